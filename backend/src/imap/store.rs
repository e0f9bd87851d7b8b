//! STORE (RFC 3501 section 6.4.6): flags, as far as rights allow them to be changed (RFC 4314 section 4),
//! and as long as nobody else has changed them (UNCHANGEDSINCE: RFC 7162 section 3.1.3).

use ravenry_core::mailboxes::Rights;
use ravenry_core::proto::imap::{Command, FlagList, StoreCommand, StoreMode, Uids};

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
    let mut expected = selected.modseq;
    let mut silent = Silent::default();
    let mut modified = Uids::default();
    let mut unchanged_since = given.unchanged_since;
    for change in changes(given.mode, given.flags, selected.rights)? {
        // Asked once: the first change gives a new modseq.
        let change = FlagChange {
            unchanged_since: unchanged_since.take(),
            ..change
        };
        let order = Order::Flags {
            mailbox: selected.mailbox.id,
            uids: uids.clone(),
            change,
        };
        let outcome = session.backend.carry_out(order).await?;
        if let Outcome::Flagged {
            changed,
            modified: kept,
            modseq,
        } = outcome
        {
            uids = uids.without(&kept);
            modified.append(&kept);
            expected += u64::from(modseq.is_some());
            silent.modseq = modseq.unwrap_or(silent.modseq);
            silent.uids.append(&changed);
        }
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

/// The changes that rights allow; none at all is refused.
fn changes(mode: StoreMode, given: FlagList, rights: Rights) -> Result<Vec<FlagChange>, Failure> {
    let wanted = given.system != 0 || !given.keywords.is_empty();
    let allowed = flags::permitted(given, rights);
    if wanted && allowed.system == 0 && allowed.keywords.is_empty() {
        return Err(Failure::noperm());
    }
    let change = |mode, system, keywords| FlagChange {
        mode,
        system,
        keywords,
        unchanged_since: None,
    };
    let all = [Rights::SEEN, Rights::WRITE, Rights::DELETE_MESSAGES];
    let mode = match mode {
        StoreMode::Add => Mode::Add,
        StoreMode::Remove => Mode::Remove,
        StoreMode::Replace if all.iter().all(|right| rights.contains(*right)) => Mode::Replace,
        StoreMode::Replace => {
            // Only what may be changed is replaced.
            let others = may_change(rights) & !allowed.system;
            return Ok(vec![
                change(Mode::Remove, others, Vec::new()),
                change(Mode::Add, allowed.system, allowed.keywords),
            ]);
        }
    };
    Ok(vec![change(mode, allowed.system, allowed.keywords)])
}
