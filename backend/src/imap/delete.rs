//! DELETE (RFC 3501 section 6.3.4): the mailbox goes, what is below it stays; a user's inbox goes with all that is below it,
//! and only by an admin.
//!
//! Both RFC 3501 and RFC 9051 (section 6.3.5) leave it to the server whether a mailbox goes that has others below it. Cyrus and
//! Dovecot let it go, and clients of theirs count on that: so does this. What is left is a level without a mailbox, which can't
//! be deleted as long as something is below it: HASCHILDREN.

use ravenry_core::mailboxes::{Name, Rights};
use ravenry_core::proto::imap::Command;

use super::failure::Failure;
use super::list;
use super::naming::{is_own_inbox, unread};
use super::session::{COMPLETED, Reply, Session};
use crate::member::Kind;
use crate::store::{Order, Refused, Store};

/// DELETE mailbox.
pub(super) async fn delete(session: &Session, command: &Command<'_>) -> Reply {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?;
    args.end()?;
    let (mailbox, rights) = match session.mailbox(&given) {
        Err(Failure::No(code, _))
            if code == "NONEXISTENT" && list::has_children(session, &given).await? =>
        {
            return Err(Failure::coded(
                "HASCHILDREN",
                "There are mailboxes below it",
            ));
        }
        found => found?,
    };
    let name = mailbox.name;
    let who = session.who()?;
    if is_own_inbox(who, &name) {
        return Err(Failure::coded("CANNOT", "INBOX can't be deleted"));
    }
    let is_inbox = name.is_inbox();
    if (is_inbox && !who.administers(&name)) || !rights.contains(Rights::DELETE_MAILBOX) {
        return Err(Failure::noperm());
    }
    let done = session.backend.change(Kind::Delete, move |store| {
        let mut orders = Vec::new();
        if is_inbox {
            orders = of_user(store, &name)?;
        }
        let name = name.clone();
        orders.push(Order::Delete { name });
        Ok(orders)
    });
    done.await?;
    COMPLETED
}

/// What goes with a user's inbox: all that is below it, quota roots, subscriptions, annotations
/// that nobody else sees.
fn of_user(store: &Store, inbox: &Name) -> Result<Vec<Order>, Refused> {
    let quotas = store.quotas_below(inbox).map_err(unread)?.into_iter();
    let mut orders: Vec<Order> = quotas
        .map(|quota| Order::SetQuota {
            root: quota.root,
            limits: None,
        })
        .collect();
    if let Some(user) = inbox.owner() {
        for name in store.subscriptions(&user).map_err(unread)? {
            let (user, on) = (user.clone(), false);
            orders.push(Order::Subscribe { user, name, on });
        }
        orders.push(Order::HandOverPrivate { user, to: None });
    }
    let below = store.each_mailbox_below(inbox, |mailbox| {
        orders.push(Order::Delete { name: mailbox.name });
        true
    });
    below.map_err(unread)?;
    Ok(orders)
}
