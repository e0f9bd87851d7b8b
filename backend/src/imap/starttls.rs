//! STARTTLS (RFC 3501 section 6.2.1): bytes from before TLS never reach what follows, so those that came behind STARTTLS
//! end the session before TLS begins.

use ravenry_core::proto::imap::Command;

use super::failure::Failure;
use super::session::{Done, Reply, Session};

/// STARTTLS. Its reply is sent here: what follows it is the handshake.
pub(super) async fn starttls(session: &mut Session, command: &Command<'_>) -> Reply {
    command.no_args()?;
    if session.user.is_some() {
        return Err(Failure::State("Can't STARTTLS after authentication"));
    }
    if session.client.stream.is_tls() {
        return Err(Failure::State("TLS is active already"));
    }
    if session.backend.desk.parts.acceptor.is_none() {
        return Err(Failure::State("No TLS here"));
    }
    if !session.client.pending().is_empty() {
        return Err(Failure::Fatal(
            "Nothing may follow STARTTLS before the handshake",
        ));
    }
    session
        .client
        .push_tagged(command.tag, "OK Begin TLS negotiation now");
    session.client.flush().await?;
    session.client.release();
    let until = session.input_deadline();
    let (desk, client) = (&session.backend.desk, &mut session.client);
    let shaken = desk
        .handshake(&mut client.stream, &client.peer, until)
        .await;
    match shaken {
        Ok(()) => Ok(Done::Answered),
        Err(failed) => Err(Failure::Ended(failed.into())),
    }
}
