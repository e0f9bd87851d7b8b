//! LOGIN and AUTHENTICATE (RFC 3501 section 6.2, RFC 4616 PLAIN, RFC 4959 initial responses).

use std::rc::Rc;

use ravenry_core::client::{Admitted, NotAdmitted, Powers, plain_login};
use ravenry_core::mailboxes::{Acl, Identity, UserId};
use ravenry_core::proto::imap::Command;
use ravenry_core::proto::sasl::{Plain, Secret};
use ravenry_core::rt;

use super::dispatch;
use super::failure::{End, Failure};
use super::session::{Reply, Session, ok};
use crate::member::Kind;
use crate::shard::Backend;
use crate::store::{Order, Refused, SpecialUse, Store};

/// LOGIN user password.
pub(super) async fn login(session: &mut Session, command: &Command<'_>) -> Reply {
    not_yet(session)?;
    let mut args = command.args;
    args.sp()?;
    let authcid = args.astring()?.into_owned();
    args.sp()?;
    let password = Secret::new(args.astring()?.into_owned());
    args.end()?;
    let given = Plain {
        authzid: Vec::new(),
        authcid,
        password,
    };
    enter(session, command.tag, given).await
}

/// AUTHENTICATE PLAIN and LOGIN, with or without an initial response.
pub(super) async fn authenticate(session: &mut Session, command: &Command<'_>) -> Reply {
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
    } else if !session.backend.desk.takes_logins(&session.client.stream) {
        Err(Failure::coded(
            "PRIVACYREQUIRED",
            "No logins without TLS: STARTTLS first",
        ))
    } else {
        Ok(())
    }
}

/// Checks the password and begins the authenticated state.
async fn enter(session: &mut Session, tag: &[u8], given: Plain) -> Reply {
    session.client.flush().await?;
    let backend = Rc::clone(&session.backend);
    let powers = Powers {
        proxy_users: &backend.parts.backend.proxy_users,
        proxy_admins: backend.parts.backend.proxy_admins,
    };
    let who = (session.id.as_str(), &session.client.peer);
    let admitted = backend
        .desk
        .admit(who, &given, powers, &mut session.logins_failed);
    let Admitted { identity, place } = match admitted.await {
        Ok(admitted) => admitted,
        Err(why @ NotAdmitted::Denied { last: true }) => {
            let told = session.conclude(tag, why.into()).await;
            told.map_err(Failure::Ended)?;
            let end = session.bye(End::BadLogins, "Too many failed logins").await;
            return Err(Failure::Ended(end));
        }
        Err(why) => return Err(why.into()),
    };
    if given.authzid.is_empty() {
        make_inbox(&backend, &identity).await;
    }
    session.user_place = Some(place);
    session.user = Some(identity);
    session.client.set_limits(backend.desk.command_limits(true));
    // Until now it stood behind those who are served, with all others who came.
    rt::come_forward().await;
    let capabilities = dispatch::capabilities(session);
    let id = &session.id;
    ok(format!(
        "OK [CAPABILITY {capabilities}] User logged in SESSIONID=<{id}>"
    ))
}

/// Who logs in and has no INBOX gets one, where the site wants that; not through a proxy, which may have come for another
/// mailbox. Where it can't be made now, the login is as good.
async fn make_inbox(backend: &Backend, identity: &Identity) {
    let parts = &backend.parts;
    if !parts.backend.autocreate_inbox || identity.admin {
        return;
    }
    let name = identity.user.inbox();
    if !matches!(parts.store.mailbox(&name), Ok(None)) {
        return;
    }
    let (partition, acl) = (
        parts.backend.default_partition.clone(),
        own_acl(&identity.user),
    );
    let make = move |_: &Store| {
        Ok(vec![Order::Create {
            name: name.clone(),
            partition: partition.clone(),
            acl: acl.clone(),
            special_use: SpecialUse::NONE,
        }])
    };
    match backend.change(Kind::Create, make).await {
        Ok(_) => tracing::info!(user = identity.user.as_str(), "an INBOX was made"),
        // The log has said already that the master is away.
        Err(Refused::Exists | Refused::ExistsAt(_) | Refused::MasterAway) => {}
        Err(refused) => {
            tracing::error!(
                user = identity.user.as_str(),
                "no INBOX can be made: {refused:?}"
            );
        }
    }
}

/// The ACL of a user's own mailboxes: everything, to the user.
pub(crate) fn own_acl(user: &UserId) -> Acl {
    Acl::new(format!("{user}\tlrswipkxtecdan\t").as_bytes())
}
