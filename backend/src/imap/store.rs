//! STORE (RFC 3501 section 6.4.6): flags, as far as rights allow them to be changed (RFC 4314 section 4),
//! and as long as nobody else has changed them (UNCHANGEDSINCE: RFC 7162 section 3.1.3).

use ravenry_core::mailboxes::Rights;
use ravenry_core::proto::imap::{Command, StoreCommand, StoreMode, Uids};

use super::failure::Failure;
use super::flags::{self, may_change};
use super::news::Silent;
use super::select::Selected;
use super::session::{COMPLETED, Reply, Session, ok};
use crate::store::{FlagChange, Mode, Order, Outcome};

/// STORE.
pub(super) async fn store(
    session: &mut Session,
    selected: &mut Selected,
    command: &Command<'_>,
) -> Reply {
    let given = StoreCommand::parse(command.args)?;
    let mut uids = selected.among(&given.set, command.uid)?;
    session.may(
        selected,
        Rights::SEEN | Rights::WRITE | Rights::DELETE_MESSAGES,
    )?;
    if given.unchanged_since.is_some() {
        session.hears_modseqs(Some(selected));
    }
    // What others did until now is told; whether they do more before the change is seen by its modseq.
    session.tell(selected, false, &Silent::default()).await?;
    let expected = selected.modseq + 1;
    let change = change(&given, selected.rights)?;
    #[cfg(bug_17)] // What this session has been told of is taken for what its client has seen.
    let change = FlagChange {
        unchanged_since: change.unchanged_since.map(|it| it.max(selected.modseq)),
        ..change
    };
    let order = Order::Flags {
        mailbox: selected.mailbox.id,
        uids: uids.clone(),
        change,
    };
    let (mut silent, mut modified) = (Silent::default(), Uids::default());
    if let Outcome::Flagged {
        changed,
        modified: kept,
        modseq,
    } = session.backend.carry_out(order).await?
    {
        uids = uids.without(&kept);
        (modified, silent.uids) = (kept, changed);
        silent.modseq = modseq.unwrap_or_default();
    }
    // With modseqs it is told its own changes' (RFC 7162 section 3.1.3).
    let told = if given.silent { &silent.uids } else { &uids };
    let told = Uids::merged(told.as_ranges().to_vec());
    if silent.modseq != expected {
        // Others may have changed the same messages.
        silent = Silent::default();
    }
    session.tell_keywords(selected)?;
    if !given.silent || session.condstore {
        let items = (!given.silent, command.uid);
        session.tell_flags(selected, &told, items).await?;
    }
    session.tell(selected, command.uid, &silent).await?;
    done(selected, modified, command.uid)
}

/// The reply, with what others had changed or expunged.
fn done(selected: &Selected, mut modified: Uids, uid: bool) -> Reply {
    if !modified.is_empty() {
        if !uid {
            let numbers = modified.iter();
            modified = numbers
                .filter_map(|uid| selected.numbers.number(uid))
                .collect();
        }
        return ok(format!(
            "OK [MODIFIED {modified}] Some were changed by others"
        ));
    }
    if selected.gone.is_empty() {
        COMPLETED
    } else {
        ok("OK [EXPUNGEISSUED] Completed")
    }
}

/// The change that rights allow; none at all is refused.
fn change(given: &StoreCommand, rights: Rights) -> Result<FlagChange, Failure> {
    let flags = &given.flags;
    let wanted = flags.system != 0 || !flags.keywords.is_empty();
    let allowed = flags::permitted(flags.clone(), rights);
    if wanted && allowed.system == 0 && allowed.keywords.is_empty() {
        return Err(Failure::noperm());
    }
    Ok(FlagChange {
        mode: match given.mode {
            StoreMode::Add => Mode::Add,
            StoreMode::Remove => Mode::Remove,
            StoreMode::Replace => Mode::Replace {
                system: may_change(rights),
                keywords: rights.contains(Rights::WRITE),
            },
        },
        system: allowed.system,
        keywords: allowed.keywords,
        unchanged_since: given.unchanged_since,
    })
}
