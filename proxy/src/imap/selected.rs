//! What happens inside the selected mailbox goes to its backend untouched, with the client's own
//! tag: FETCH, STORE, SEARCH, SORT, THREAD, EXPUNGE, CHECK, NOOP, UID …, COPY and MOVE, CLOSE,
//! UNSELECT (RFC 3501 section 6.4).

use ravenry_core::proto::imap::Command;

use super::is_ok;
use super::session::Session;
use crate::failure::Failure;

/// Passes a command to the selected mailbox's backend, byte for byte.
pub(crate) async fn pass(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let index = selected(session)?;
    let reply = session.forward_untouched(index, command).await?;
    session.client.push(&reply);
    Ok(())
}

/// CLOSE and UNSELECT: where the backend refuses, the mailbox is still selected.
pub(crate) async fn leave(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    command.no_args()?;
    let index = selected(session)?;
    let reply = session.forward_untouched(index, command).await?;
    if is_ok(&reply) {
        session.selected = None;
    }
    session.client.push(&reply);
    Ok(())
}

/// COPY and MOVE: within a backend they are the backend's own affair.
pub(crate) async fn copy(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    selected(session)?;
    let mut args = command.args;
    args.sp()?;
    args.sequence_set()?;
    args.sp()?;
    let given = args.astring()?;
    args.end()?;
    let name = session.internal(&given)?;
    let server = session.target(&name).await?;
    let identity = session.logged_in()?;
    let entry = session.entry(&name)?;
    if entry.is_some_and(|entry| !entry.acl.rights_on(&name, identity).may_know()) {
        return Err(Failure::coded("TRYCREATE", "Mailbox does not exist"));
    }
    if session.selected.as_ref() != Some(&server) {
        return Err(Failure::coded(
            "CANNOT",
            format!("The mailbox is at another server ({server}): copying there isn't built yet"),
        ));
    }
    pass(session, command).await
}

/// The connection of the selected mailbox.
fn selected(session: &Session) -> Result<usize, Failure> {
    session
        .selected_index()
        .ok_or(Failure::State("Please select a mailbox first"))
}
