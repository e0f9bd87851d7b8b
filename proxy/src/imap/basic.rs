//! The commands of any state: CAPABILITY, NOOP, ID (RFC 3501 section 6.1, RFC 2971).

use ravenry_core::log::printable;
use ravenry_core::proto::imap::{self, Command};

use super::session::Session;
use super::{compress, selected};
use crate::failure::Failure;

/// CAPABILITY: what this frontend does, and the backends can too.
pub(crate) async fn capability(
    session: &mut Session,
    command: &Command<'_>,
) -> Result<(), Failure> {
    command.no_args()?;
    let list = capabilities(session).await;
    session.client.push_line(&format!("* CAPABILITY {list}"));
    session.client.push_tagged(command.tag, "OK Completed");
    Ok(())
}

/// The capabilities in the session's present state.
pub(crate) async fn capabilities(session: &Session) -> String {
    let fe = &session.fe;
    if session.user.is_none() {
        return session.before_login();
    }
    let within = fe.desk.parts.limits.upstream_login;
    fe.capabilities.wait_for_probes(&fe.servers(), within).await;
    let compressed = session.client.stream.is_compressed();
    fe.capabilities
        .after_login(compressed.then_some(compress::CAPABILITY))
}

/// NOOP: the selected mailbox's backend has the news; without one there is nothing to tell.
pub(crate) async fn noop(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    command.no_args()?;
    if session.selected.is_some() {
        match selected::pass(session, command).await {
            // It asked for nothing that could be lost.
            Err(Failure::Backend(lost)) => Box::pin(session.recover(lost)).await?,
            done => return done,
        }
    }
    session.client.push_tagged(command.tag, "OK Completed");
    Ok(())
}

/// ID: who we are. What the client says of itself is of use to whoever looks for a fault.
pub(crate) fn id(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    imap::id(command.args)?;
    tracing::debug!(session = %session.id, client = %printable(command.args.rest()), "ID");
    let version = env!("CARGO_PKG_VERSION");
    session.client.push_line(&format!(
        "* ID (\"name\" \"Ravenry\" \"version\" \"{version}\")"
    ));
    session.client.push_tagged(command.tag, "OK Completed");
    Ok(())
}
