//! Quotas (RFC 9208): GETQUOTA, GETQUOTAROOT, SETQUOTA.
//!
//! A quota root has a name as mailboxes have. Its user may look at it, and whoever may read the mailbox of that name; for all
//! others it isn't there. Only admins set limits.

use std::borrow::Cow;

use ravenry_core::mailboxes::{Name, Rights};
use ravenry_core::proto::imap::Command;

use super::create::{behind_item, inner};
use super::failure::Failure;
use super::session::{COMPLETED, Reply, Session};
use crate::store::{Limits, Order, Quota};

/// STORAGE is counted in these (RFC 9208 section 5.1).
const STORAGE_UNIT: u64 = 1024;

/// GETQUOTA root.
pub(super) async fn get(session: &mut Session, command: &Command<'_>) -> Reply {
    let given = argument(command)?;
    let name = session.internal(&given)?;
    let quota = session.backend.parts.store.quota(&name)?;
    let quota = match quota {
        Some(quota) if may_look(session, &name)? => quota,
        _ => return Err(Failure::coded("NONEXISTENT", "Quota root does not exist")),
    };
    tell(session, &given, &quota)?;
    COMPLETED
}

/// GETQUOTAROOT mailbox.
pub(super) async fn get_root(session: &mut Session, command: &Command<'_>) -> Reply {
    let given = argument(command)?;
    let (mailbox, rights) = session.mailbox(&given)?;
    let who = session.who()?;
    if !rights.contains(Rights::READ) && !who.administers(&mailbox.name) {
        return Err(Failure::noperm());
    }
    let store = &session.backend.parts.store;
    let root = store.quota_root_of(&mailbox.name)?;
    let quota = root.map_or(Ok(None), |root| store.quota(&root))?;
    let namespace = session.backend.desk.parts.namespace;
    let shown = quota.and_then(|quota| {
        let root = namespace.external(&quota.root, who)?;
        Some((session.shown(&root), quota))
    });
    let mut line = b"* QUOTAROOT ".to_vec();
    session.write_name(&mut line, &given)?;
    if let Some((root, _)) = &shown {
        line.push(b' ');
        session.write_name(&mut line, root)?;
    }
    line.extend_from_slice(b"\r\n");
    session.client.push(&line);
    if let Some((root, quota)) = &shown {
        tell(session, root, quota)?;
    }
    COMPLETED
}

/// `SETQUOTA root (resource limit …)`; with a `+` before the root, no mailbox needs to have its name (Cyrus).
pub(super) async fn set(session: &Session, command: &Command<'_>) -> Reply {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?;
    args.sp()?;
    let list = args.paren()?;
    args.end()?;
    let limits = limits(list)?;
    let (forced, given) = match given.strip_prefix(b"+") {
        Some(given) => (true, given),
        None => (false, &given[..]),
    };
    let root = session.internal(given)?;
    if !session.who()?.administers(&root) {
        return Err(Failure::noperm());
    }
    let store = &session.backend.parts.store;
    if !forced && store.quota(&root)?.is_none() && store.mailbox(&root)?.is_none() {
        return Err(Failure::nonexistent());
    }
    let order = Order::SetQuota {
        root,
        limits: Some(limits),
    };
    session.backend.carry_out(order).await?;
    COMPLETED
}

fn argument<'a>(command: &Command<'a>) -> Result<Cow<'a, [u8]>, Failure> {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?;
    args.end()?;
    Ok(given)
}

fn may_look(session: &Session, root: &Name) -> Result<bool, Failure> {
    let who = session.who()?;
    if who.administers(root) || root.is_owned_by(&who.user) {
        return Ok(true);
    }
    let mailbox = session.backend.parts.store.mailbox(root)?;
    Ok(mailbox.is_some_and(|mailbox| mailbox.acl.rights_on(root, who).contains(Rights::READ)))
}

/// The limits in a list; a resource that isn't named has none.
fn limits(list: &[u8]) -> Result<Limits, Failure> {
    let mut rest = inner(list);
    let mut limits = Limits::default();
    while !rest.is_done() {
        let resource = rest.atom()?.to_ascii_uppercase();
        rest.sp()?;
        let limit = rest.number()?;
        match resource.as_slice() {
            b"STORAGE" => limits.storage = Some(limit.saturating_mul(STORAGE_UNIT)),
            b"MESSAGE" => limits.messages = Some(limit),
            b"MAILBOX" => limits.mailboxes = Some(limit),
            _ => return Err(Failure::coded("CANNOT", "There is no such resource here")),
        }
        behind_item(&mut rest)?;
    }
    Ok(limits)
}

/// The QUOTA response: what has a limit.
fn tell(session: &mut Session, root: &[u8], quota: &Quota) -> Result<(), Failure> {
    let (limits, usage) = (quota.limits, quota.usage);
    let resources = [
        ("STORAGE", usage.storage, limits.storage, STORAGE_UNIT),
        ("MESSAGE", usage.messages, limits.messages, 1),
        ("MAILBOX", usage.mailboxes, limits.mailboxes, 1),
    ];
    let limited = resources
        .into_iter()
        .filter_map(|(name, used, limit, unit)| {
            Some(format!("{name} {} {}", used / unit, limit? / unit))
        });
    let limited: Vec<String> = limited.collect();
    let mut line = b"* QUOTA ".to_vec();
    session.write_name(&mut line, root)?;
    line.extend_from_slice(format!(" ({})\r\n", limited.join(" ")).as_bytes());
    session.client.push(&line);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        assert_eq!(limits(b"()").unwrap(), Limits::default());
        let read = limits(b"(storage 512 MESSAGE 7)").unwrap();
        assert_eq!((read.storage, read.messages), (Some(512 * 1024), Some(7)));
        assert_eq!(read.mailboxes, None);
        let most = limits(b"(STORAGE 18446744073709551615)").unwrap();
        assert_eq!(most.storage, Some(u64::MAX));
        for bad in [
            "(STORAGE)",
            "(STORAGE -1)",
            "(STORAGE 1 )",
            "(STORAGE 99999999999999999999)",
        ] {
            assert!(
                matches!(limits(bad.as_bytes()), Err(Failure::Bad(_))),
                "{bad}"
            );
        }
        assert!(matches!(
            limits(b"(ANNOTATION-STORAGE 1)"),
            Err(Failure::No(..))
        ));
    }
}
