//! LOGIN and AUTHENTICATE (RFC 3501 section 6.2, RFC 4616 PLAIN, RFC 4959 initial responses).
//!
//! The password is checked by the frontend's own `Authenticator`, off the shard. Whatever is wrong
//! with a name or a password, the answer is the same.

use ravenry_core::admission::Refused;
use ravenry_core::auth::AuthError;
use ravenry_core::mailboxes::{Identity, UserId};
use ravenry_core::proto::imap::Command;
use ravenry_core::proto::sasl::{self, Login, LoginStep, Plain, SaslError, Secret};
use ravenry_core::rt;

use super::basic;
use super::session::Session;
use crate::failure::{End, Failure};
use crate::upstream::printable;

const FAILED: &str = "AUTHENTICATIONFAILED";

/// LOGIN user password.
pub(crate) async fn login(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    not_yet(session)?;
    let mut args = command.args;
    args.sp()?;
    let authcid = args.astring()?.into_owned();
    args.sp()?;
    let password = Secret::new(args.astring()?.into_owned());
    args.end()?;
    enter(
        session,
        command.tag,
        Plain {
            authzid: Vec::new(),
            authcid,
            password,
        },
    )
    .await
}

/// AUTHENTICATE PLAIN and LOGIN, with or without an initial response.
pub(crate) async fn authenticate(
    session: &mut Session,
    command: &Command<'_>,
) -> Result<(), Failure> {
    not_yet(session)?;
    let given = command.authenticate()?;
    let initial = given.initial.map(sasl::response).transpose()?;
    let plain = match given.mechanism.to_ascii_uppercase().as_slice() {
        b"PLAIN" => {
            let response = match initial {
                Some(response) => response,
                None => ask(session, "").await?,
            };
            Plain::decode(response.expose())?
        }
        b"LOGIN" => login_mechanism(session, initial).await?,
        _ => {
            return Err(Failure::coded(
                "CANNOT",
                "No such mechanism here: use PLAIN or LOGIN",
            ));
        }
    };
    enter(session, command.tag, plain).await
}

async fn login_mechanism(
    session: &mut Session,
    mut initial: Option<Secret>,
) -> Result<Plain, Failure> {
    let mut state = Login::User;
    loop {
        let response = match initial.take() {
            Some(response) => response,
            None => ask(session, state.challenge()).await?,
        };
        match state.answer(&response)? {
            LoginStep::Ask(next) => state = next,
            LoginStep::Done(plain) => return Ok(plain),
        }
    }
}

/// Sends a challenge, which is in base64, and gives the client's response decoded.
async fn ask(session: &mut Session, challenge: &str) -> Result<Secret, Failure> {
    session.client.push_line(&format!("+ {challenge}"));
    let line = Secret::new(session.line().await?);
    Ok(sasl::response(line.expose())?)
}

fn not_yet(session: &Session) -> Result<(), Failure> {
    if session.user.is_some() {
        Err(Failure::State("Already logged in"))
    } else if !session.takes_logins() {
        Err(Failure::coded(
            "PRIVACYREQUIRED",
            "No logins without TLS: STARTTLS first",
        ))
    } else {
        Ok(())
    }
}

/// Checks the password and begins the authenticated state.
async fn enter(session: &mut Session, tag: &[u8], given: Plain) -> Result<(), Failure> {
    // Mailbox names have the lower-case form (Cyrus' username_tolower).
    let user = given.authcid.to_ascii_lowercase();
    if !given.authzid.is_empty() && given.authzid.to_ascii_lowercase() != user {
        return Err(Failure::coded(
            FAILED,
            "Logging in for somebody else isn't built yet",
        ));
    }
    session.client.flush().await?;
    let verdict = session
        .fe
        .parts
        .authenticator
        .verify(&user, &given.password)
        .await;
    let id = match (verdict, UserId::parse(&user)) {
        (Ok(()), Ok(id)) => id,
        (Err(AuthError::Unavailable(why)), _) => {
            session.fe.metrics.logins_unavailable.add(1);
            tracing::error!(session = %session.id, "logins can't be checked: {why}");
            return Err(Failure::unavailable(
                "Logins can't be checked at the moment",
            ));
        }
        (Err(AuthError::Denied), _) | (Ok(()), Err(_)) => {
            return Err(denied(session, tag, &user).await);
        }
    };
    let place = match session.fe.parts.admission.user(&id) {
        Ok(place) => place,
        Err(refused) => return Err(limited(session, &id, refused)),
    };
    session.user_place = Some(place);
    let admin = session.fe.is_admin(&id);
    session.user = Some(Box::new(Identity::new(
        id,
        admin,
        &session.fe.parts.groups.get(),
    )));
    session.client.set_limits(session.fe.command_limits(true));
    // Until now it stood behind those who are served, with all others who came.
    rt::come_forward().await;
    session.fe.metrics.logins_ok.add(1);
    let capabilities = basic::capabilities(session).await;
    let id = &session.id;
    let reply = format!("OK [CAPABILITY {capabilities}] User logged in SESSIONID=<{id}>");
    session.client.push_tagged(tag, &reply);
    Ok(())
}

/// A login that failed: its answer is held back, longer with each one more, and after some of them the
/// session ends. The wait doesn't look whether the client is still there: whoever hangs up to try
/// again keeps the place that the connection has at its address.
async fn denied(session: &mut Session, tag: &[u8], user: &[u8]) -> Failure {
    let (fe, peer) = (&session.fe, &session.client.peer);
    session.logins_failed += 1;
    let delay = fe.parts.admission.login_failed(peer, session.logins_failed);
    fe.metrics.logins_denied.add(1);
    let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    fe.metrics.login_delay_ms.add(delay_ms);
    let user = printable(user);
    tracing::info!(session = %session.id, client = %peer, user, delay_ms, "login failed");
    rt::select(rt::draining(), rt::sleep(delay)).await;
    let text = "Login failed: authentication failure";
    if session.logins_failed < fe.parts.limits.login_failures {
        return Failure::coded(FAILED, text);
    }
    let reply = format!("NO [{FAILED}] {text}");
    session.client.push_tagged(tag, &reply);
    session.bye(End::BadLogins, "Too many failed logins").await;
    Failure::Ended(End::BadLogins)
}

/// The password is right, and the user has as many connections as may be.
fn limited(session: &Session, id: &UserId, refused: Refused) -> Failure {
    session
        .fe
        .refused(refused, id.as_str(), &session.client.peer);
    Failure::coded("LIMIT", "This user has too many connections")
}

impl From<SaslError> for Failure {
    fn from(error: SaslError) -> Self {
        Self::bad(error.to_string())
    }
}
