//! COMPRESS (RFC 4978): deflate on the client's leg, both ways. Backends aren't concerned.
//!
//! A client waits for the answer before it sends anything more (section 3): bytes behind the command end the
//! session, as behind STARTTLS.

use ravenry_core::proto::imap::Command;

use super::session::Session;
use crate::failure::Failure;

/// The capability, which is gone while compression is active.
pub(crate) const CAPABILITY: &str = "COMPRESS=DEFLATE";

/// COMPRESS mechanism.
pub(crate) async fn compress(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    let mut args = command.args;
    args.sp()?;
    let mechanism = args.atom()?;
    args.end()?;
    if !session.fe.capabilities.announces(CAPABILITY) {
        return Err(Failure::State("No compression here"));
    }
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
    session.fe.desk.metrics.sessions_compressed.add(1);
    Ok(())
}
