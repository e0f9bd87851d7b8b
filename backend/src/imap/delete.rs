//! DELETE (RFC 3501 section 6.3.4): the mailbox goes, what is below it stays; a user's inbox goes with all that is below it,
//! and only by an admin.

use ravenry_core::mailboxes::{Name, Rights};
use ravenry_core::proto::imap::Command;

use super::failure::Failure;
use super::naming::{below, is_own_inbox, unread};
use super::session::{COMPLETED, Reply, Session};
use crate::store::{Order, Refused, Store};

/// DELETE mailbox.
pub(super) async fn delete(session: &Session, command: &Command<'_>) -> Reply {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?;
    args.end()?;
    let (mailbox, rights) = session.mailbox(&given)?;
    let name = mailbox.name;
    let who = session.who()?;
    if is_own_inbox(who, &name) {
        return Err(Failure::coded("CANNOT", "INBOX can't be deleted"));
    }
    let is_inbox = name.is_inbox();
    if (is_inbox && !who.administers(&name)) || !rights.contains(Rights::DELETE_MAILBOX) {
        return Err(Failure::noperm());
    }
    let done = session.backend.all_or_nothing(move |store| {
        let mut orders = Vec::new();
        if is_inbox {
            orders = of_user(store, &name)?;
        }
        orders.push(Order::Delete { name });
        Ok(orders)
    });
    done.await?;
    COMPLETED
}

/// What goes with a user's inbox: all that is below it, quota roots, subscriptions, annotations
/// that nobody else sees.
fn of_user(store: &Store, inbox: &Name) -> Result<Vec<Order>, Refused> {
    let mut names = vec![inbox.clone()];
    names.extend(below(store, inbox)?.into_iter().map(|(name, _)| name));
    let mut orders = Vec::new();
    for root in &names {
        if store.quota(root).map_err(unread)?.is_some() {
            let root = root.clone();
            orders.push(Order::SetQuota { root, limits: None });
        }
    }
    if let Some(user) = inbox.owner() {
        for name in store.subscriptions(&user).map_err(unread)? {
            let (user, on) = (user.clone(), false);
            orders.push(Order::Subscribe { user, name, on });
        }
        orders.push(Order::HandOverPrivate { user, to: None });
    }
    let below = names.into_iter().skip(1);
    orders.extend(below.map(|name| Order::Delete { name }));
    Ok(orders)
}
