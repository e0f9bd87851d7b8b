//! UNAUTHENTICATE (RFC 8437): back to the state before login. TLS stays; compression ends behind the command in one
//! direction and behind its answer in the other (section 4.1).
//!
//! Invariant: nothing of the user is left.

use ravenry_core::proto::imap::Command;
use ravenry_core::rt;

use super::dispatch;
use super::failure::Failure;
use super::session::{Done, Reply, Session};

/// UNAUTHENTICATE. Its reply is sent here: what follows it isn't compressed.
pub(super) async fn unauthenticate(session: &mut Session, command: &Command<'_>) -> Reply {
    command.no_args()?;
    let compressed = session.client.stream.is_compressed();
    if compressed && !session.client.pending().is_empty() {
        return Err(Failure::Fatal(
            "Nothing compressed may follow UNAUTHENTICATE",
        ));
    }
    tracing::info!(session = %session.id, user = %session.who()?.user.as_str(), "unauthenticated");
    session.selected = None;
    (session.condstore, session.qresync) = (false, false);
    (session.utf8, session.rev2) = (false, false);
    session.user = None;
    session.user_place = None;
    session.started = rt::now();
    let desk = &session.backend.desk;
    session.client.set_limits(desk.command_limits(false));
    let capabilities = dispatch::capabilities(session);
    let reply = format!("OK [CAPABILITY {capabilities}] Completed");
    session.client.push_tagged(command.tag, &reply);
    session.client.flush().await?;
    if compressed {
        let desk = &session.backend.desk;
        desk.count_compression(&session.client.stream);
        session.client.stop_compressing();
    }
    Ok(Done::Answered)
}
