//! COMPRESS (RFC 4978): deflate on the client's leg, both ways.
//!
//! A client waits for the answer before it sends anything more (section 3): bytes behind the command end the session, as
//! behind STARTTLS. On a compressed leg messages are copied, never spliced: [`ravenry_core::tls`] sees to that.

use ravenry_core::proto::imap::Command;

use super::failure::Failure;
use super::session::{Done, Reply, Session};

/// COMPRESS mechanism. Its reply is sent here: what follows it is compressed.
pub(super) async fn compress(session: &mut Session, command: &Command<'_>) -> Reply {
    let mut args = command.args;
    args.sp()?;
    let mechanism = args.atom()?;
    args.end()?;
    if !mechanism.eq_ignore_ascii_case(b"DEFLATE") {
        return Err(Failure::coded("CANNOT", "No such mechanism here: DEFLATE"));
    }
    if session.client.stream.is_compressed() {
        return Err(Failure::coded(
            "COMPRESSIONACTIVE",
            "DEFLATE is active already",
        ));
    }
    if !session.client.pending().is_empty() {
        return Err(Failure::Fatal(
            "Nothing may follow COMPRESS before its answer",
        ));
    }
    session.client.push_tagged(command.tag, "OK DEFLATE active");
    session.client.flush().await?;
    session.client.stream.compress();
    session.backend.desk.metrics.sessions_compressed.add(1);
    Ok(Done::Answered)
}
