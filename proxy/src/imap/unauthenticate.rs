//! UNAUTHENTICATE (RFC 8437): back to the state before login. TLS stays; compression ends behind the command
//! in one direction and behind its answer in the other (section 4.1).
//!
//! Invariant: nothing of the user is left; the backend connections, which are the user's, are closed.

use ravenry_core::proto::imap::Command;
use ravenry_core::rt;

use super::enable::Enabled;
use super::session::Session;
use crate::failure::Failure;

/// UNAUTHENTICATE.
pub(crate) async fn unauthenticate(
    session: &mut Session,
    command: &Command<'_>,
) -> Result<(), Failure> {
    command.no_args()?;
    session.logged_in()?;
    if !session.fe.capabilities.announces("UNAUTHENTICATE") {
        return Err(Failure::State("Not allowed here"));
    }
    let compressed = session.client.stream.is_compressed();
    if compressed && !session.client.pending().is_empty() {
        return Err(Failure::Fatal(
            "Nothing compressed may follow UNAUTHENTICATE",
        ));
    }
    tracing::info!(session = %session.id, user = %session.logged_in()?.user.as_str(), "unauthenticated");
    session.selected = None;
    session.upstreams.clear();
    session.user = None;
    session.user_place = None;
    session.own_login = None;
    session.knows_referrals = false;
    session.enabled = Enabled::default();
    session.remembered.clear();
    session.saved_search = false;
    session.started = rt::now();
    session
        .client
        .set_limits(session.fe.desk.command_limits(false));
    let capabilities = session.before_login();
    let reply = format!("OK [CAPABILITY {capabilities}] Completed");
    session.client.push_tagged(command.tag, &reply);
    if compressed {
        session.client.flush().await?;
        session.fe.desk.count_compression(&session.client.stream);
        session.client.stop_compressing();
    }
    Ok(())
}
