//! APPEND (RFC 3501 section 6.3.11), MULTIAPPEND (RFC 3502), CATENATE (RFC 4469), LITERAL+ and LITERAL- (RFC 7888), UIDPLUS'
//! APPENDUID (RFC 4315), APPENDLIMIT (RFC 7889); LOCALAPPEND, which is what a Cyrus frontend makes of an APPEND; UTF8 (RFC 6855 section 4; RFC 9755, which follows it, takes such messages in a plain literal).
//!
//! The messages come in by `receive`; the store adds all messages of a command or none. One whose first literal is still to come
//! begins at [`run`], as a REPLACE does.

use ravenry_core::client::Left;
use ravenry_core::limits;
use ravenry_core::mailboxes::Rights;
use ravenry_core::proto::imap::{self, AppendHead, Command, Verb};
use ravenry_core::rt;
use ravenry_core::wire::imap::Literal;

use super::failure::Failure;
use super::receive::Target;
use super::replace;
use super::session::{Reply, Session, ok};
use crate::store::{Appended, Mailbox, MailboxId, Order, Outcome};

/// Carries out an APPEND or REPLACE whose first literal `head` has just announced.
pub(super) async fn run(session: &mut Session, head: &[u8], literal: Literal) -> Reply {
    session.backend.desk.metrics.commands_append.add(1);
    let mut left = Left::Literal(literal);
    let done = match imap::command(head) {
        Ok(command) => streamed(session, &command, &mut left).await,
        Err(bad) => Err(Failure::bad(bad.text)),
    };
    match &done {
        Ok(_) | Err(Failure::Client(_) | Failure::Fatal(_) | Failure::Ended(_)) => {}
        Err(_) if session.user.is_some() => session.client.drain(left).await?,
        Err(_) => drain_stranger(session, left).await?,
    }
    if done.is_ok() {
        session.tell_news(true).await?;
    }
    done
}

async fn streamed(session: &mut Session, command: &Command<'_>, left: &mut Left) -> Reply {
    session.who()?;
    match command.verb {
        Verb::Append | Verb::LocalAppend => append(session, command, left).await,
        Verb::Replace => {
            let unselected = Failure::State("Select a mailbox first");
            let mut selected = session.selected.take().ok_or(unselected)?;
            let done = replace::replace(session, &mut selected, command, left).await;
            session.selected = Some(selected);
            done
        }
        _ => Err(Failure::bad("Unrecognized command")),
    }
}

/// Drains before login, which that doesn't prolong.
async fn drain_stranger(session: &mut Session, left: Left) -> Result<(), Failure> {
    let deadline = session.input_deadline();
    match rt::timeout_at(deadline, session.client.drain(left)).await {
        Ok(drained) => Ok(drained?),
        Err(_elapsed) => Err(Failure::Ended(session.timed_out().await)),
    }
}

/// An APPEND without a literal: what it adds is there already (CATENATE).
pub(super) async fn without_literal(session: &mut Session, command: &Command<'_>) -> Reply {
    append(session, command, &mut Left::Nothing).await
}

async fn append(session: &mut Session, command: &Command<'_>, left: &mut Left) -> Reply {
    let head = AppendHead::parse(command)?;
    let (mailbox, rights) = target(session, &head.mailbox)?;
    let target = Target {
        mailbox,
        rights,
        selected: selected(session, &head),
        messages_max: limits::APPEND_MESSAGES_MAX,
    };
    let messages = target.receive(session, head.options.to_vec(), left).await?;
    let count = messages.len() as u64;
    let order = Order::Append {
        mailbox: target.mailbox.id,
        messages,
    };
    let outcome = session.backend.carry_out(order).await;
    let Outcome::Appended(appended) = outcome.map_err(|refused| to_target(refused.into()))? else {
        return Err(Failure::unavailable("The store gave no answer"));
    };
    session.backend.desk.metrics.messages_stored.add(count);
    match append_uid(rights, &appended) {
        Some(code) => ok(format!("OK {code} Completed")),
        None => ok("OK Completed"),
    }
}

/// The mailbox that relative URLs mean: the one selected here, or the one that a frontend says is selected there. That may be
/// another backend's, and then there is none.
fn selected(session: &Session, head: &AppendHead<'_>) -> Option<MailboxId> {
    match head.selected.as_deref() {
        None => Some(session.selected.as_ref()?.mailbox.id),
        Some(b"") => None,
        Some(name) => Some(session.mailbox(name).ok()?.0.id),
    }
}

/// The code APPENDUID. Who may not read learns nothing of UIDs (RFC 4315 section 3).
pub(super) fn append_uid(rights: Rights, appended: &Appended) -> Option<String> {
    let (uidvalidity, uids) = (appended.uidvalidity, &appended.uids);
    let told = rights.contains(Rights::READ);
    told.then(|| format!("[APPENDUID {uidvalidity} {uids}]"))
}

/// A mailbox that messages are to be put into. One that isn't there could be made (RFC 3501 section 7.1, TRYCREATE).
pub(super) fn target(session: &Session, given: &[u8]) -> Result<(Mailbox, Rights), Failure> {
    let found = session.mailbox(given).map_err(to_target)?;
    if found.1.contains(Rights::INSERT) {
        Ok(found)
    } else {
        Err(Failure::noperm())
    }
}

/// What isn't there, where something is to be put into it.
pub(super) fn to_target(failure: Failure) -> Failure {
    match failure {
        Failure::No(code, text) if code == "NONEXISTENT" => Failure::No("TRYCREATE".into(), text),
        other => other,
    }
}
