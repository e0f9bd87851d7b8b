//! STARTTLS (RFC 3207) and AUTH (RFC 4954): for those who may not deliver without.
//!
//! Bytes from before TLS never reach what follows: those that came behind STARTTLS end the session. Accounts that may act
//! for users (`proxy_users`) and admins may deliver; anybody else's login is refused, the password being right.

use std::rc::Rc;

use ravenry_core::client::{Admitted, HandshakeFailed, NotAdmitted, Powers, plain_login};
use ravenry_core::limits;
use ravenry_core::proto::lmtp::Reply;
use ravenry_core::proto::sasl::{Plain, SaslError};
use ravenry_core::wire::imap::LineScanner;

use super::session::{Done, End, Over, Session, reply};

/// STARTTLS. Its reply is sent here: what follows it is the handshake.
pub(super) async fn starttls(session: &mut Session) -> Done {
    if session.client.stream.is_tls() {
        return reply(503, "5.5.1", "TLS is active already");
    }
    let desk = Rc::clone(&session.backend.desk);
    if desk.parts.acceptor.is_none() {
        return reply(502, "5.5.1", "No TLS here");
    }
    if !session.client.pending().is_empty() {
        let text = "Nothing may follow STARTTLS before the handshake";
        let refused = Reply::new(421, "5.5.1", text);
        return Err(Over::Bye(End::BadClient, refused));
    }
    session
        .client
        .push_line("220 2.0.0 Begin TLS negotiation now");
    session.client.flush().await?;
    session.client.release();
    let until = session.input_deadline();
    let client = &mut session.client;
    let shaken = desk.handshake(&mut client.stream, &client.peer, until);
    match shaken.await {
        Ok(()) => {}
        Err(HandshakeFailed::Draining) => return Err(Over::Silent(End::Draining)),
        Err(HandshakeFailed::Failed) => return Err(Over::Silent(End::NoTls)),
    }
    // What was said before counts for nothing (RFC 3207 section 4.2).
    (session.name, session.envelope) = (None, None);
    (session.user, session.user_place) = (None, None);
    session.lines = LineScanner::new(limits::LMTP_LINE_BYTES_MAX);
    Ok(None)
}

/// Why an exchange came to no end.
enum Stopped {
    Sasl(SaslError),
    Line(String),
    Over(Over),
}

impl From<SaslError> for Stopped {
    fn from(error: SaslError) -> Self {
        Self::Sasl(error)
    }
}

/// AUTH PLAIN and LOGIN, with or without an initial response.
pub(super) async fn auth(session: &mut Session, mechanism: &[u8], initial: Option<&[u8]>) -> Done {
    if session.name.is_none() {
        return reply(503, "5.5.1", "LHLO first");
    }
    if session.user.is_some() || session.envelope.is_some() {
        return reply(503, "5.5.1", "Not now");
    }
    if !session.backend.desk.takes_logins(&session.client.stream) {
        return reply(538, "5.7.11", "No logins without TLS: STARTTLS first");
    }
    let ask = async |challenge: &str| {
        session.client.push_line(&format!("334 {challenge}"));
        let line = session.next_line().await.map_err(Stopped::Over)?;
        line.map_err(Stopped::Line)
    };
    match plain_login(mechanism, initial, ask).await {
        Ok(Some(plain)) => enter(session, &plain).await,
        Ok(None) => reply(504, "5.5.4", "No such mechanism here: use PLAIN or LOGIN"),
        Err(Stopped::Over(over)) => Err(over),
        Err(Stopped::Line(why)) => Ok(Some(Reply {
            code: 500,
            status: "5.5.2",
            text: why.into(),
        })),
        Err(Stopped::Sasl(error)) => Ok(Some(Reply {
            code: 501,
            status: "5.5.2",
            text: error.to_string().into(),
        })),
    }
}

async fn enter(session: &mut Session, given: &Plain) -> Done {
    session.client.flush().await?;
    let backend = Rc::clone(&session.backend);
    let proxies = &backend.parts.backend.proxy_users;
    let powers = Powers {
        proxy_users: proxies,
        proxy_admins: backend.parts.backend.proxy_admins,
    };
    let who = (session.id.as_str(), &session.client.peer);
    let admitted = backend
        .desk
        .admit(who, given, powers, &mut session.logins_failed);
    let Admitted { identity, place } = match admitted.await {
        Ok(admitted) => admitted,
        Err(NotAdmitted::Unavailable) => {
            return reply(454, "4.7.0", "Logins can't be checked at the moment");
        }
        Err(NotAdmitted::Limited) => {
            return reply(421, "4.7.0", "This user has too many connections");
        }
        Err(NotAdmitted::NotFor) => return reply(535, "5.7.8", "You may not act for this user"),
        Err(NotAdmitted::Denied { last: true }) => {
            let bye = Reply::new(421, "4.7.0", "Too many failed logins");
            return Err(Over::Bye(End::BadLogins, bye));
        }
        Err(NotAdmitted::Denied { last: false }) => {
            return reply(535, "5.7.8", "Login failed: authentication failure");
        }
    };
    let is_proxy = proxies.iter().any(|name| name == identity.user.as_str());
    if !is_proxy && !identity.admin {
        return reply(535, "5.7.1", "This account may not deliver mail");
    }
    (session.user, session.user_place) = (Some(identity), Some(place));
    reply(235, "2.7.0", "Authenticated")
}
