//! The commands of any state: CAPABILITY, NOOP, ID (RFC 3501 section 6.1, RFC 2971).

use ravenry_core::proto::imap::Command;

use super::selected;
use super::session::Session;
use crate::failure::Failure;
use crate::upstream::printable;

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
    let within = fe.parts.limits.upstream_login;
    fe.capabilities.wait_for_probes(&fe.servers(), within).await;
    fe.capabilities.after_login()
}

/// NOOP: the selected mailbox's backend has the news; without one there is nothing to tell.
pub(crate) async fn noop(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    command.no_args()?;
    if session.selected.is_some() {
        return selected::pass(session, command).await;
    }
    session.client.push_tagged(command.tag, "OK Completed");
    Ok(())
}

/// ID: who we are. What the client says of itself is of use to whoever looks for a fault.
pub(crate) fn id(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    if args.peek() == Some(b'(') {
        args.paren()?;
    } else {
        args.nstring()?;
    }
    args.end()?;
    tracing::debug!(session = %session.id, client = %printable(command.args.rest()), "ID");
    let version = env!("CARGO_PKG_VERSION");
    session.client.push_line(&format!(
        "* ID (\"name\" \"Ravenry\" \"version\" \"{version}\")"
    ));
    session.client.push_tagged(command.tag, "OK Completed");
    Ok(())
}
