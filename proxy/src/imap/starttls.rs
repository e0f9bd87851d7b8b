//! TLS on the client's leg: STARTTLS (RFC 3501 section 6.2.1, RFC 9051 section 6.2.1), and the
//! handshake that comes first on an imaps listener (RFC 8314 section 3.2).
//!
//! Nothing that came before the handshake reaches what follows: bytes behind STARTTLS end the
//! session before TLS begins.

use ravenry_core::client::HandshakeFailed;
use ravenry_core::proto::imap::Command;

use super::session::Session;
use crate::failure::{End, Failure};

/// STARTTLS.
pub(crate) async fn starttls(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    command.no_args()?;
    if session.user.is_some() {
        return Err(Failure::State("Can't STARTTLS after authentication"));
    }
    if session.client.stream.is_tls() {
        return Err(Failure::State("TLS is active already"));
    }
    if session.fe.desk.parts.acceptor.is_none() {
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
    let (desk, client) = (&session.fe.desk, &mut session.client);
    let shaken = desk
        .handshake(&mut client.stream, &client.peer, until)
        .await;
    shaken.map_err(|failed| Failure::Ended(failed.into()))
}

impl From<HandshakeFailed> for End {
    fn from(failed: HandshakeFailed) -> Self {
        match failed {
            HandshakeFailed::Draining => Self::Draining,
            HandshakeFailed::Failed => Self::NoTls,
        }
    }
}
