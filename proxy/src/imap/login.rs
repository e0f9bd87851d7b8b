//! LOGIN and AUTHENTICATE (RFC 3501 section 6.2, RFC 4616 PLAIN, RFC 4959 initial responses).
//!
//! The password is checked by the frontend's own `Authenticator`, off the shard. Whatever is wrong
//! with a name or a password, the answer is the same.

use std::rc::Rc;

use ravenry_core::client::{Admitted, NotAdmitted, Powers, plain_login};
use ravenry_core::config::AdminActions;
use ravenry_core::proto::imap::Command;
use ravenry_core::proto::sasl::{Plain, SaslError, Secret};
use ravenry_core::rt;

use super::basic;
use super::session::Session;
use crate::failure::{End, Failure};

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
    let ask = async |challenge: &str| {
        session.client.push_line(&format!("+ {challenge}"));
        session.line().await
    };
    match plain_login(given.mechanism, given.initial, ask).await? {
        Some(plain) => enter(session, command.tag, plain).await,
        None => Err(Failure::coded(
            "CANNOT",
            "No such mechanism here: use PLAIN or LOGIN",
        )),
    }
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
    session.client.flush().await?;
    let fe = Rc::clone(&session.fe);
    let powers = Powers {
        proxy_users: &fe.parts.proxy.proxy_users,
        // The proxy account would have an admin's rights at the backends.
        proxy_admins: false,
    };
    let who = (session.id.as_str(), &session.client.peer);
    let admitted = fe
        .desk
        .admit(who, &given, powers, &mut session.logins_failed);
    let Admitted { identity, place } = match admitted.await {
        Ok(admitted) => admitted,
        Err(why) => return Err(refusal(session, tag, why).await),
    };
    session.user_place = Some(place);
    if identity.admin && fe.parts.proxy.admin_actions == AdminActions::Own {
        session.own_login = Some(Box::new(Plain {
            authzid: Vec::new(),
            ..given
        }));
    }
    session.user = Some(identity);
    session.client.set_limits(fe.desk.command_limits(true));
    // Until now it stood behind those who are served, with all others who came.
    rt::come_forward().await;
    let capabilities = basic::capabilities(session).await;
    let id = &session.id;
    let mut code = format!("CAPABILITY {capabilities}");
    if fe.parts.proxy.login_referrals
        && let Some(referral) = session.login_referral()
    {
        session.client.push_line(&format!("* {code}"));
        code = referral;
    }
    let reply = format!("OK [{code}] User logged in SESSIONID=<{id}>");
    session.client.push_tagged(tag, &reply);
    Ok(())
}

/// What a client is told whose login isn't good; too many of them, and the session ends.
async fn refusal(session: &mut Session, tag: &[u8], why: NotAdmitted) -> Failure {
    if why == (NotAdmitted::Denied { last: true }) {
        let (code, text) = why.imap();
        let reply = format!("NO [{code}] {text}");
        session.client.push_tagged(tag, &reply);
        session.bye(End::BadLogins, "Too many failed logins").await;
        return Failure::Ended(End::BadLogins);
    }
    let (code, text) = why.imap();
    Failure::coded(code, text)
}

impl From<SaslError> for Failure {
    fn from(error: SaslError) -> Self {
        Self::bad(error.to_string())
    }
}
