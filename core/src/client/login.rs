//! Who may log in, and as whom: the decision behind LOGIN, AUTHENTICATE and their kin in other protocols.
//!
//! The password is checked off the shard. Whatever is wrong with a name or a password, the answer is the same,
//! and it is held back, longer with each failure.

use super::Desk;
use crate::admission::Place;
use crate::auth::AuthError;
use crate::log::printable;
use crate::mailboxes::{Identity, UserId};
use crate::proto::sasl::{self, Login, LoginStep, Plain, SaslError, Secret};
use crate::rt::{self, Address};

/// Who may act for others (RFC 4616 section 2), beside admins, who may act for anybody who is none.
#[derive(Clone, Copy, Debug)]
pub struct Powers<'a> {
    /// Accounts that may act for users.
    pub proxy_users: &'a [String],
    /// And for admins, who stay admins then.
    pub proxy_admins: bool,
}

/// A login that is good.
pub struct Admitted {
    /// Who it is from now on.
    pub identity: Box<Identity>,
    /// The user's place for this session.
    pub place: Place,
}

/// Why a login isn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdmitted {
    /// It can't be told.
    Unavailable,
    /// The user isn't known, or the password is wrong; the answer has been held back. Too many of these: it is the
    /// last.
    Denied {
        /// The session is to end.
        last: bool,
    },
    /// The password is right, but not to act for that user.
    NotFor,
    /// The password is right, and the user has as many connections as may be.
    Limited,
}

impl NotAdmitted {
    /// The response code and text of an IMAP server's NO.
    #[must_use]
    pub fn imap(self) -> (&'static str, &'static str) {
        match self {
            Self::Unavailable => ("UNAVAILABLE", "Logins can't be checked at the moment"),
            Self::Denied { .. } => (
                "AUTHENTICATIONFAILED",
                "Login failed: authentication failure",
            ),
            Self::NotFor => ("AUTHORIZATIONFAILED", "You may not act for this user"),
            Self::Limited => ("LIMIT", "This user has too many connections"),
        }
    }
}

impl Desk {
    /// Decides a login of the session `id` from `peer`; `failures` of its logins have failed before.
    ///
    /// # Errors
    /// If it isn't good.
    pub async fn admit(
        &self,
        (id, peer): (&str, &Address),
        given: &Plain,
        powers: Powers<'_>,
        failures: &mut u32,
    ) -> Result<Admitted, NotAdmitted> {
        // Mailbox names have the lower-case form (Cyrus' username_tolower).
        let name = self.user_named(&given.authcid);
        let verdict = self
            .parts
            .authenticator
            .verify(&name, &given.password)
            .await;
        let user = match (verdict, self.parts.namespace.user(&name)) {
            (Ok(()), Ok(user)) => user,
            (Err(AuthError::Unavailable(why)), _) => {
                self.metrics.logins_unavailable.add(1);
                tracing::error!(session = %id, "logins can't be checked: {why}");
                return Err(NotAdmitted::Unavailable);
            }
            (Err(AuthError::Denied), _) | (Ok(()), Err(_)) => {
                *failures += 1;
                return Err(self.denied((id, peer), &name, *failures).await);
            }
        };
        let (user, admin) = self.acting_for(id, user, &given.authzid, powers)?;
        let place = self.parts.admission.user(&user).map_err(|refused| {
            self.refused(refused, user.as_str(), peer);
            NotAdmitted::Limited
        })?;
        let identity = Identity::new(user, admin, &self.parts.groups.get());
        self.metrics.logins_ok.add(1);
        Ok(Admitted {
            identity: Box::new(identity),
            place,
        })
    }

    /// A user's name as passwords and mailboxes know it; what is no name stays what it is, so that
    /// it is refused like a wrong password.
    #[must_use]
    pub fn user_named(&self, given: &[u8]) -> Vec<u8> {
        match self.parts.namespace.user(given) {
            Ok(id) => id.as_str().as_bytes().to_vec(),
            Err(_no_name) => given.to_ascii_lowercase(),
        }
    }

    /// Whose session it becomes, and whether it is an admin's. An admin may act for anybody and is no admin then, a
    /// proxy user too; for an admin, whose rights the proxy account would have then, only where that is allowed.
    fn acting_for(
        &self,
        session: &str,
        user: UserId,
        authzid: &[u8],
        powers: Powers<'_>,
    ) -> Result<(UserId, bool), NotAdmitted> {
        let wanted = self.user_named(authzid);
        if wanted.is_empty() || wanted == user.as_str().as_bytes() {
            let admin = self.is_admin(&user);
            return Ok((user, admin));
        }
        let is_proxy = powers.proxy_users.iter().any(|name| name == user.as_str());
        let target = self.parts.namespace.user(&wanted).ok();
        let target = target.filter(|target| {
            if self.is_admin(target) {
                return is_proxy && powers.proxy_admins;
            }
            // An admin who is in a domain is an admin of that domain alone.
            let is_theirs = user.domain().is_none() || user.domain() == target.domain();
            is_proxy || (self.is_admin(&user) && is_theirs)
        });
        let Some(target) = target else {
            self.metrics.logins_denied.add(1);
            return Err(NotAdmitted::NotFor);
        };
        tracing::info!(%session, user = user.as_str(), acts_for = target.as_str(), "login");
        let admin = self.is_admin(&target);
        Ok((target, admin))
    }

    /// A login that failed: its answer is held back, longer with each one more, and after some of them the session
    /// ends. The wait doesn't look whether the client is still there: whoever hangs up to try again keeps the place
    /// that the connection has at its address.
    async fn denied(
        &self,
        (id, peer): (&str, &Address),
        user: &[u8],
        failures: u32,
    ) -> NotAdmitted {
        let delay = self.parts.admission.login_failed(peer, failures);
        self.metrics.logins_denied.add(1);
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.metrics.login_delay_ms.add(delay_ms);
        let user = printable(user);
        tracing::info!(session = %id, client = %peer, user, delay_ms, "login failed");
        rt::select(rt::draining(), rt::sleep(delay)).await;
        NotAdmitted::Denied {
            last: failures >= self.parts.limits.login_failures,
        }
    }
}

/// The exchange of AUTHENTICATE by PLAIN or LOGIN, with or without an initial response; `ask` sends a challenge, which
/// is in base64, and gives the client's line. `None`: there is no such mechanism here.
///
/// # Errors
/// If a response can't be read, or `ask` fails.
pub async fn plain_login<E: From<SaslError>>(
    mechanism: &[u8],
    initial: Option<&[u8]>,
    mut ask: impl AsyncFnMut(&str) -> Result<Vec<u8>, E>,
) -> Result<Option<Plain>, E> {
    let mut initial = initial.map(sasl::response).transpose()?;
    let mut response = async |challenge: &str| match initial.take() {
        Some(response) => Ok(response),
        None => {
            let line = Secret::new(ask(challenge).await?);
            Ok::<_, E>(sasl::response(line.expose())?)
        }
    };
    if mechanism.eq_ignore_ascii_case(b"PLAIN") {
        let response = response("").await?;
        return Ok(Some(Plain::decode(response.expose())?));
    }
    if !mechanism.eq_ignore_ascii_case(b"LOGIN") {
        return Ok(None);
    }
    let mut state = Login::User;
    loop {
        let answer = response(state.challenge()).await?;
        match state.answer(&answer)? {
            LoginStep::Ask(next) => state = next,
            LoginStep::Done(plain) => return Ok(Some(plain)),
        }
    }
}
