//! STORE (RFC 3501 section 6.4.6): flags, as far as rights allow them to be changed (RFC 4314 section 4).

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
    if given.unchanged_since.is_some() {
        return Err(Failure::bad("No CONDSTORE here"));
    }
    let uids = selected.among(&given.set, command.uid)?;
    session.may(
        selected,
        Rights::SEEN | Rights::WRITE | Rights::DELETE_MESSAGES,
    )?;
    // What others did until now is told; whether they do more before the change is seen by its modseq.
    session.tell(selected, false, &Silent::default()).await?;
    let mut expected = selected.modseq;
    let mut silent = Silent::default();
    for change in changes(given.mode, given.flags, selected.rights)? {
        let order = Order::Flags {
            mailbox: selected.mailbox.id,
            uids: uids.clone(),
            change,
        };
        let outcome = session.backend.carry_out(order).await?;
        if let Outcome::Flagged {
            changed, modseq, ..
        } = outcome
        {
            expected += u64::from(modseq.is_some());
            silent.modseq = modseq.unwrap_or(silent.modseq);
            silent.uids = changed;
        }
    }
    if silent.modseq != expected {
        // Others may have changed the same messages.
        silent = Silent::default();
    }
    session.tell_keywords(selected)?;
    if !given.silent {
        tell(session, selected, &uids, command.uid).await?;
    }
    session.tell(selected, command.uid, &silent).await?;
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

/// The flags as they are now.
async fn tell(
    session: &mut Session,
    selected: &Selected,
    uids: &Uids,
    with_uid: bool,
) -> Result<(), Failure> {
    let store = session.backend.parts.store.clone();
    for (first, last) in uids.in_order() {
        let mut lines = Vec::new();
        store.each_message(selected.mailbox.id, (first, last), |message| {
            if let Some(number) = selected.numbers.number(message.uid) {
                let flags = flags::list(selected, &message);
                let uid = if with_uid {
                    format!(" UID {}", message.uid)
                } else {
                    String::new()
                };
                lines.push(format!("* {number} FETCH (FLAGS {flags}{uid})"));
            }
            true
        })?;
        for line in lines {
            session.client.push_line(&line);
            session.client.flush_if_large().await?;
        }
    }
    Ok(())
}
