//! What happens inside the selected mailbox goes to its backend untouched, with the client's own
//! tag: FETCH, STORE, SEARCH, SORT, THREAD, EXPUNGE, CHECK, NOOP, UID …, COPY and MOVE, CLOSE,
//! UNSELECT (RFC 3501 section 6.4).

use ravenry_core::proto::imap::Command;

use super::session::Session;
use super::view::View;
use super::{across, is_ok};
use crate::failure::Failure;

/// Passes a command to the selected mailbox's backend, byte for byte.
pub(crate) async fn pass(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let reply = passed(session, command).await?;
    session.client.push(&reply);
    Ok(())
}

/// The same, up to the tagged reply.
async fn passed(session: &mut Session, command: &Command<'_>) -> Result<Vec<u8>, Failure> {
    let index = selected(session)?;
    session.note_condstore(command);
    session.note_saved(command);
    if session.upstreams[index].enabled != session.enabled {
        session.enable_at(index).await?;
    }
    session.forward_untouched(index, command).await
}

/// CLOSE and UNSELECT: where the backend refuses, the mailbox is still selected.
pub(crate) async fn leave(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    command.no_args()?;
    let index = selected(session)?;
    let reply = session.forward_untouched(index, command).await?;
    if is_ok(&reply) {
        session.upstreams[index].view = None;
        session.selected = None;
    }
    session.client.push(&reply);
    Ok(())
}

/// COPY and MOVE: within a backend they are the backend's own affair, to another one ours.
pub(crate) async fn copy(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    selected(session)?;
    let mut args = command.args;
    args.sp()?;
    let set = args.sequence_set()?;
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
    if session.selected_server() != Some(&server) {
        session.refer(&server, &name)?;
        return across::copy(session, command, set, (&given, &name, &server)).await;
    }
    let before = expunged(session);
    let reply = passed(session, command).await?;
    let confirmed = session.confirm(&reply, &name, &server).await;
    if !command.uid && expunged(session) != before {
        // Its numbers mean others by now: it isn't carried out anew.
        confirmed.map_err(Failure::final_word)?;
    } else {
        confirmed?;
    }
    session.client.push(&reply);
    Ok(())
}

/// How many messages have gone from the selected mailbox.
fn expunged(session: &Session) -> Option<u64> {
    let index = session.selected_index()?;
    session.upstreams[index].view.as_ref().map(View::expunged)
}

/// The connection of the selected mailbox.
pub(super) fn selected(session: &Session) -> Result<usize, Failure> {
    session
        .selected_index()
        .ok_or(Failure::State("Please select a mailbox first"))
}
