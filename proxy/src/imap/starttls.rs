//! TLS on the client's leg: STARTTLS (RFC 3501 section 6.2.1, RFC 9051 section 6.2.1), and the
//! handshake that comes first on an imaps listener (RFC 8314 section 3.2).
//!
//! Nothing that came before the handshake reaches what follows: bytes behind STARTTLS end the
//! session before TLS begins.

use ravenry_core::proto::imap::Command;
use ravenry_core::rt::{self, Address, Either, Instant};
use ravenry_core::tls::Leg;

use super::session::Session;
use crate::failure::{End, Failure};
use crate::frontend::Frontend;

/// STARTTLS.
pub(crate) async fn starttls(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    command.no_args()?;
    if session.user.is_some() {
        return Err(Failure::State("Can't STARTTLS after authentication"));
    }
    if session.client.stream.is_tls() {
        return Err(Failure::State("TLS is active already"));
    }
    if session.fe.parts.acceptor.is_none() {
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
    let (fe, client) = (&session.fe, &mut session.client);
    let shaken = handshake(fe, &mut client.stream, &client.peer, until).await;
    shaken.map_err(Failure::Ended)
}

/// The handshake on a leg where nothing, or nothing more, is to be said in clear.
pub(crate) async fn handshake(
    fe: &Frontend,
    leg: &mut Leg,
    peer: &Address,
    until: Instant,
) -> Result<(), End> {
    let acceptor = fe.parts.acceptor.as_ref();
    let acceptor = acceptor.expect("invariant: no imaps listener and no STARTTLS without TLS");
    let accept = Box::pin(rt::timeout_at(until, acceptor.accept(leg)));
    let why = match rt::select(rt::draining(), accept).await {
        Either::Left(()) => return Err(End::Draining),
        Either::Right(Ok(Ok(()))) => {
            fe.metrics.tls_handshakes.add(1);
            return Ok(());
        }
        Either::Right(Ok(Err(error))) => error.to_string(),
        Either::Right(Err(_elapsed)) => "not done in time".to_owned(),
    };
    fe.metrics.tls_handshakes_failed.add(1);
    tracing::info!(client = %peer, "TLS handshake failed: {why}");
    Err(End::NoTls)
}
