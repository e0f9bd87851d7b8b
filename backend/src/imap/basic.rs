//! The commands of any state: CAPABILITY, NOOP, CHECK, LOGOUT (RFC 3501 section 6.1), ID (RFC 2971), ENABLE (RFC 5161).

use ravenry_core::log::printable;
use ravenry_core::proto::imap::{self, Command, Uids};

use super::dispatch;
use super::failure::{End, Failure};
use super::select::Selected;
use super::session::{COMPLETED, Reply, Session};

/// CAPABILITY.
pub(super) async fn capability(session: &mut Session, command: &Command<'_>) -> Reply {
    command.no_args()?;
    let list = dispatch::capabilities(session);
    session.client.push_line(&format!("* CAPABILITY {list}"));
    COMPLETED
}

/// NOOP: the news come before any reply.
pub(super) async fn noop(_session: &mut Session, command: &Command<'_>) -> Reply {
    command.no_args()?;
    COMPLETED
}

/// CHECK: every change is on the disk already.
pub(super) async fn check(
    _session: &mut Session,
    _selected: &mut Selected,
    command: &Command<'_>,
) -> Reply {
    command.no_args()?;
    COMPLETED
}

/// LOGOUT.
pub(super) async fn logout(session: &mut Session, command: &Command<'_>) -> Reply {
    command.no_args()?;
    session.client.push_line("* BYE LOGOUT received");
    session.client.push_tagged(command.tag, "OK Completed");
    if session.client.flush().await.is_ok() {
        session.client.stream.close();
    }
    Err(Failure::Ended(End::Logout))
}

/// What changes what a client is told, and so is asked for. QRESYNC has CONDSTORE in it (RFC 7162).
const EXTENSIONS: [&str; 4] = ["CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "IMAP4rev2"];

/// ENABLE; what is unknown is passed over.
pub(super) async fn enable(session: &mut Session, command: &Command<'_>) -> Reply {
    let mut args = command.args;
    let mut enabled = Vec::new();
    loop {
        args.sp()?;
        let name = args.atom()?;
        let is = |known: &&&str| known.as_bytes().eq_ignore_ascii_case(name);
        let known = EXTENSIONS.iter().find(is).copied();
        enabled.extend(known.filter(|known| !enabled.contains(known)));
        if args.is_done() {
            break;
        }
    }
    let names: String = enabled.iter().map(|name| format!(" {name}")).collect();
    session.client.push_line(&format!("* ENABLED{names}"));
    session.qresync |= enabled.contains(&"QRESYNC");
    session.utf8 |= enabled.contains(&"UTF8=ACCEPT");
    session.rev2 |= enabled.contains(&"IMAP4rev2");
    let mut selected = session.selected.take();
    if session.qresync || enabled.contains(&"CONDSTORE") {
        session.hears_modseqs(selected.as_deref());
    }
    if let Some(selected) = selected.as_mut().filter(|_| session.rev2) {
        // RFC 9051 has no \Recent.
        selected.recent = Uids::default();
    }
    session.selected = selected;
    COMPLETED
}

/// ID: who we are. What the client says of itself is of use to whoever looks for a fault.
pub(super) async fn id(session: &mut Session, command: &Command<'_>) -> Reply {
    imap::id(command.args)?;
    tracing::debug!(session = %session.id, client = %printable(command.args.rest()), "ID");
    let version = env!("CARGO_PKG_VERSION");
    session.client.push_line(&format!(
        "* ID (\"name\" \"Ravenry\" \"version\" \"{version}\")"
    ));
    COMPLETED
}
