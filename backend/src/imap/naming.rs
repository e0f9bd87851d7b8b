//! What CREATE and RENAME share: whether a name may be made, and the orders that make it with the levels above it.
//!
//! Rights are looked at first (RFC 4314 section 4: `k` on the nearest mailbox above): who may not make a name isn't told
//! whether it exists.
//!
//! In a murder a level above may be at another server: then it isn't made here, and its ACL counts as if it were here.

use ravenry_core::mailboxes::{Acl, Identity, Name, Rights, State};
use ravenry_mupdate::Held;

use super::failure::Failure;
use super::login::own_acl;
use super::session::Session;
pub(super) use crate::renaming::unread;
use crate::store::{Order, Refused, SpecialUse, Store, StoreError};

/// Whether the user may make a mailbox of this name. One that they know of exists; otherwise the levels above decide.
/// Gives what other servers have of those.
pub(super) async fn may_make(session: &Session, name: &Name) -> Result<Others, Failure> {
    session.may_be_called(name)?;
    let who = session.who()?;
    let store = &session.backend.parts.store;
    if let Some(there) = store.mailbox(name)?
        && there.acl.rights_on(name, who).may_know()
    {
        return Err(Refused::Exists.into());
    }
    let others = Others::around(session, name).await?;
    if let Some(there) = others.acl(name)
        && there.rights_on(name, who).may_know()
    {
        return Err(Refused::Exists.into());
    }
    if is_a_users(name) && needs_inbox(store, &others, name)? {
        return inbox_may_be_made(session, name).map(|()| others);
    }
    if who.administers(name) {
        return Ok(others);
    }
    match nearest_above(store, &others, name)? {
        Some((above, acl)) if acl.rights_on(&above, who).contains(Rights::CREATE) => Ok(others),
        _ => Err(Failure::noperm()),
    }
}

/// What other servers of the murder have of a name and the levels above it.
#[derive(Default)]
pub(super) struct Others(Vec<Held>);

impl Others {
    /// Asks the master, where a level above isn't here.
    async fn around(session: &Session, name: &Name) -> Result<Self, Failure> {
        let parts = &session.backend.parts;
        let mut missing = Vec::new();
        for level in levels_above(name) {
            if parts.store.mailbox(&level)?.is_none() {
                missing.push(level);
            }
        }
        if missing.is_empty() {
            return Ok(Self::default());
        }
        missing.push(name.clone());
        let held = parts.member.elsewhere(missing).await?;
        // Another server is about to make a level above: whose it will be can't be told.
        if held
            .iter()
            .any(|held| held.name != *name && held.state != State::Active)
        {
            return Err(Refused::Busy.into());
        }
        Ok(Self(held))
    }

    /// The ACL of a mailbox that is at another server.
    fn acl(&self, name: &Name) -> Option<&Acl> {
        let held = self.0.iter().find(|held| held.name == *name);
        let held = held.filter(|held| held.state == State::Active);
        held.map(|held| &held.acl)
    }
}

/// The levels above a name, from the nearest, up to a user's inbox or to the top. Nothing is above an inbox.
fn levels_above(name: &Name) -> impl Iterator<Item = Name> {
    let above = |name: &Name| (!name.is_inbox()).then(|| name.parent()).flatten();
    std::iter::successors(above(name), move |level| above(level))
}

/// Whether a name is an inbox or below one.
fn is_a_users(name: &Name) -> bool {
    let levels = std::iter::successors(Some(name.clone()), Name::parent);
    levels.into_iter().any(|level| level.is_inbox())
}

/// Whether the user's inbox that this name is, or is below, isn't there.
fn needs_inbox(store: &Store, others: &Others, name: &Name) -> Result<bool, Failure> {
    let inbox = name.owner().map(|owner| owner.inbox());
    match inbox {
        Some(inbox) => Ok(others.acl(&inbox).is_none() && store.mailbox(&inbox)?.is_none()),
        None => Ok(true),
    }
}

/// An inbox is made by an admin, by itself; or by its user, where the site makes inboxes for who has none.
fn inbox_may_be_made(session: &Session, name: &Name) -> Result<(), Failure> {
    let who = session.who()?;
    if !who.admin && name.is_owned_by(&who.user) && session.backend.parts.backend.autocreate_inbox {
        return Ok(());
    }
    if !who.administers(name) {
        return Err(Failure::noperm());
    }
    match name.owner() {
        None => Err(Failure::coded("CANNOT", "No user can have this name")),
        Some(_) if name.is_inbox() => Ok(()),
        Some(_) => Err(Failure::coded("CANNOT", "That user has no INBOX yet")),
    }
}

fn nearest_above(
    store: &Store,
    others: &Others,
    name: &Name,
) -> Result<Option<(Name, Acl)>, StoreError> {
    let mut above = name.parent();
    while let Some(name) = above {
        if let Some(mailbox) = store.mailbox(&name)? {
            return Ok(Some((name, mailbox.acl)));
        }
        if let Some(acl) = others.acl(&name) {
            let acl = acl.clone();
            return Ok(Some((name, acl)));
        }
        above = name.parent();
    }
    Ok(None)
}

/// A mailbox to be made.
pub(super) struct Wanted {
    pub(super) name: Name,
    /// `None`: where the mailbox above it is.
    pub(super) partition: Option<String>,
    pub(super) special_use: SpecialUse,
    /// Where a mailbox is with nothing above it.
    pub(super) default_partition: String,
    others: Others,
}

impl Wanted {
    pub(super) fn new(session: &Session, name: Name, others: Others) -> Self {
        Self {
            name,
            partition: None,
            special_use: SpecialUse::NONE,
            default_partition: session.backend.parts.backend.default_partition.clone(),
            others,
        }
    }

    /// Makes it, and the levels above it that have no mailbox, which get the ACL of the nearest that has one. It comes last.
    pub(super) fn orders(&self, store: &Store) -> Result<Vec<Order>, Refused> {
        let mut orders = self.orders_above(store)?;
        let (partition, acl) = match orders.last() {
            Some(Order::Create { partition, acl, .. }) => (partition.clone(), acl.clone()),
            _ => self.inherited(store, &self.name)?,
        };
        orders.push(Order::Create {
            name: self.name.clone(),
            partition: self.partition.clone().unwrap_or(partition),
            acl,
            special_use: self.special_use,
        });
        Ok(orders)
    }

    /// Makes the levels above it that have no mailbox, from the top.
    pub(super) fn orders_above(&self, store: &Store) -> Result<Vec<Order>, Refused> {
        if store.mailbox(&self.name).map_err(unread)?.is_some() {
            return Err(Refused::Exists);
        }
        let mut missing = Vec::new();
        for level in levels_above(&self.name) {
            if self.others.acl(&level).is_some() || store.mailbox(&level).map_err(unread)?.is_some()
            {
                break;
            }
            missing.push(level);
        }
        let Some(top) = missing.last() else {
            return Ok(Vec::new());
        };
        let (partition, acl) = self.inherited(store, top)?;
        let create = |name| Order::Create {
            name,
            partition: partition.clone(),
            acl: acl.clone(),
            special_use: SpecialUse::NONE,
        };
        Ok(missing.into_iter().rev().map(create).collect())
    }

    /// The partition and the ACL of a mailbox below one that exists, or below none.
    fn inherited(&self, store: &Store, name: &Name) -> Result<(String, Acl), Refused> {
        if let Some(above) = levels_above(name).next() {
            if let Some(above) = store.mailbox(&above).map_err(unread)? {
                return Ok((above.partition, above.acl));
            }
            if let Some(acl) = self.others.acl(&above) {
                return Ok((self.default_partition.clone(), acl.clone()));
            }
        }
        let acl = match name.owner() {
            Some(owner) => own_acl(&owner),
            None => Acl::new(SHARED_ACL),
        };
        Ok((self.default_partition.clone(), acl))
    }
}

/// Who may do what with a shared mailbox that nothing is above: Cyrus' default.
const SHARED_ACL: &[u8] = b"anyone\tlrs\t";

/// Whether a name is a user's own inbox.
pub(super) fn is_own_inbox(who: &Identity, name: &Name) -> bool {
    *name == who.user.inbox()
}
