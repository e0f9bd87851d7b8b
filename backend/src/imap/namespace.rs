//! NAMESPACE (RFC 2342).

use ravenry_core::proto::imap::Command;

use super::session::{COMPLETED, Reply, Session};

/// NAMESPACE.
pub(super) async fn namespace(session: &mut Session, command: &Command<'_>) -> Reply {
    command.no_args()?;
    let namespace = session.backend.desk.parts.namespace;
    let response = namespace.response(session.who()?);
    session.client.push_line(&response);
    COMPLETED
}
