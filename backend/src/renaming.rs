//! Orders that give a mailbox, or a user, another name: IMAP's RENAME and the operator's are these.

use ravenry_core::mailboxes::{Acl, Name, UserId};

use crate::store::{Limits, Mailbox, Order, Refused, Store, StoreError};

/// A mailbox and all that is below it get other names. Where one user's INBOX becomes another's, the user's rights in it, quota
/// roots and subscriptions come along.
pub(crate) fn tree(store: &Store, old: &Name, new: &Name) -> Result<Vec<Order>, Refused> {
    let mut mailboxes = Vec::from_iter(store.mailbox(old).map_err(unread)?);
    if mailboxes.is_empty() {
        return Err(Refused::NoMailbox);
    }
    let below = store.each_mailbox_below(old, |mailbox| {
        mailboxes.push(mailbox);
        true
    });
    below.map_err(unread)?;
    let users = (old.is_inbox() && new.is_inbox())
        .then(|| old.owner().zip(new.owner()))
        .flatten();
    let mut orders = Vec::new();
    for Mailbox { name, acl, .. } in mailboxes {
        let to = renamed(&name, old, new)?;
        if let Some((before, after)) = &users {
            let (name, acl) = (name.clone(), handed_over(&acl, before, after));
            orders.push(Order::SetAcl { name, acl });
        }
        orders.push(Order::Rename { from: name, to });
    }
    match users {
        Some(users) => with_user_data(store, orders, users),
        None => Ok(orders),
    }
}

/// A name at or below `old`, at or below `new` instead.
fn renamed(name: &Name, old: &Name, new: &Name) -> Result<Name, Refused> {
    let rest = name.as_bytes().strip_prefix(old.as_bytes());
    let joined = [new.as_bytes(), rest.unwrap_or_default()].concat();
    Name::from_mupdate(&joined).map_err(|_| Refused::TooLong)
}

/// Orders that give a user another name, with what else is the user's: quota roots, annotations that nobody else sees, and
/// subscriptions, those to own names by their new ones.
fn with_user_data(
    store: &Store,
    orders: Vec<Order>,
    (before, after): (UserId, UserId),
) -> Result<Vec<Order>, Refused> {
    let (old, new) = (before.inbox(), after.inbox());
    let set = |root, limits| Order::SetQuota { root, limits };
    let (mut all, mut limits) = (Vec::new(), Vec::new());
    for quota in store.quotas_below(&old).map_err(unread)? {
        let root = renamed(&quota.root, &old, &new)?;
        // The limits come last: whoever is over them is renamed as well.
        all.push(set(root.clone(), Some(Limits::default())));
        limits.push(set(root, Some(quota.limits)));
        limits.push(set(quota.root, None));
    }
    all.extend(orders);
    all.extend(limits);
    let subscribe = |user: &UserId, name, on| Order::Subscribe {
        user: user.clone(),
        name,
        on,
    };
    for name in store.subscriptions(&before).map_err(unread)? {
        let now = if name.is_owned_by(&before) {
            renamed(&name, &old, &new)?
        } else {
            name.clone()
        };
        all.push(subscribe(&before, name, false));
        all.push(subscribe(&after, now, true));
    }
    all.push(Order::HandOverPrivate {
        user: before,
        to: Some(after),
    });
    Ok(all)
}

/// The ACL with one user in another's place.
fn handed_over(acl: &Acl, before: &UserId, after: &UserId) -> Acl {
    let (before, after) = (before.as_str().as_bytes(), after.as_str().as_bytes());
    let mut handed = Vec::new();
    for (identifier, rights) in acl.entries() {
        let (sign, of) = match identifier.strip_prefix(b"-") {
            Some(of) => (&b"-"[..], of),
            None => (&b""[..], identifier),
        };
        handed.extend_from_slice(sign);
        handed.extend_from_slice(if of == before { after } else { of });
        handed.push(b'\t');
        handed.extend_from_slice(rights);
        handed.push(b'\t');
    }
    Acl::new(&handed)
}

/// The index can't be read, as an answer to an order.
pub(crate) fn unread(error: StoreError) -> Refused {
    tracing::error!("store: {error}");
    Refused::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_replaced_in_an_acl_also_where_rights_are_taken() {
        let [bob, carol] = ["bob", "carol"].map(|user| UserId::parse(user.as_bytes()).unwrap());
        let acl = Acl::new(b"bob\tlr\tanyone\tl\t-bob\ts\tbobby\tl\t");
        let handed = handed_over(&acl, &bob, &carol);
        assert_eq!(
            handed.as_bytes(),
            b"carol\tlr\tanyone\tl\t-carol\ts\tbobby\tl\t"
        );
    }
}
