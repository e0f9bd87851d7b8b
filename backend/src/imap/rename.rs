//! RENAME (RFC 3501 section 6.3.5): a mailbox with all that is below it, at once; INBOX gives its messages to a new mailbox
//! and stays; an admin renames a user.

use ravenry_core::mailboxes::{Name, Rights};
use ravenry_core::proto::imap::Command;

use super::failure::Failure;
use super::naming::{Wanted, is_own_inbox, may_make};
use super::session::{COMPLETED, Reply, Session};
use crate::member::Kind;
use crate::renaming;
use crate::store::{Order, Refused, Store};

/// `RENAME old new [partition]`.
pub(super) async fn rename(session: &Session, command: &Command<'_>) -> Reply {
    let mut args = command.args;
    args.sp()?;
    let old = args.astring()?;
    args.sp()?;
    let new = args.astring()?;
    let place = if args.is_done() {
        None
    } else {
        args.sp()?;
        Some(args.astring()?)
    };
    args.end()?;
    let (mailbox, rights) = session.mailbox(&old)?;
    let (old, new) = (mailbox.name, session.internal(&new)?);
    if place.is_some() {
        let admin = session.who()?.administers(&old);
        let cannot = || Failure::coded("CANNOT", "Mailboxes aren't moved to other partitions here");
        return Err(if admin { cannot() } else { Failure::noperm() });
    }
    if old == new {
        return Err(Refused::Exists.into());
    }
    let done = if is_own_inbox(session.who()?, &old) {
        let into = wanted(session, new).await?;
        let make = move |store: &Store| empty_inbox(store, &old, &into);
        session.backend.change(Kind::Rename, make).await
    } else {
        let (old, into) = allowed(session, old, new, rights).await?;
        let make = move |store: &Store| tree(store, &old, &into);
        session.backend.change(Kind::Rename, make).await
    };
    done?;
    COMPLETED
}

/// A mailbox that the user may make, and that is no user's inbox.
async fn wanted(session: &Session, name: Name) -> Result<Wanted, Failure> {
    let others = may_make(session, &name).await?;
    if name.is_inbox() {
        return Err(Failure::coded("CANNOT", "An INBOX is no mailbox' new name"));
    }
    Ok(Wanted::new(session, name, others))
}

/// Whether a mailbox may get another name.
async fn allowed(
    session: &Session,
    old: Name,
    new: Name,
    rights: Rights,
) -> Result<(Name, Wanted), Failure> {
    let who = session.who()?;
    if old.is_inbox() {
        if !who.administers(&old) {
            return Err(Failure::noperm());
        }
        if !new.is_inbox() {
            return Err(Failure::coded(
                "CANNOT",
                "A user's INBOX becomes another user's only",
            ));
        }
        let others = may_make(session, &new).await?;
        return Ok((old, Wanted::new(session, new, others)));
    }
    if !rights.contains(Rights::DELETE_MAILBOX) && !who.administers(&old) {
        return Err(Failure::noperm());
    }
    let into = wanted(session, new).await?;
    if is_below(&into.name, &old) {
        return Err(Failure::coded(
            "CANNOT",
            "A mailbox can't come to be below itself",
        ));
    }
    Ok((old, into))
}

fn is_below(name: &Name, above: &Name) -> bool {
    let rest = name.as_bytes().strip_prefix(above.as_bytes());
    rest.is_some_and(|rest| rest.first() == Some(&b'.'))
}

/// INBOX' messages go to a new mailbox; it stays, and what is below it.
fn empty_inbox(store: &Store, inbox: &Name, into: &Wanted) -> Result<Vec<Order>, Refused> {
    let (from, to) = (inbox.clone(), into.name.clone());
    let mut orders = into.orders(store)?;
    orders.push(Order::MoveAll { from, to });
    Ok(orders)
}

/// A mailbox and all that is below it.
fn tree(store: &Store, old: &Name, into: &Wanted) -> Result<Vec<Order>, Refused> {
    let mut orders = into.orders_above(store)?;
    orders.extend(renaming::tree(store, old, &into.name)?);
    Ok(orders)
}
