//! SUBSCRIBE, UNSUBSCRIBE and LSUB (RFC 3501 section 6.3).
//!
//! A name may be subscribed whether a mailbox has it or not (section 6.3.6 leaves it to the server): in a murder it may be
//! at another backend, and nobody learns from the answer which names there are.

use std::collections::BTreeMap;

use ravenry_core::mailboxes::ListQuery;
use ravenry_core::proto::imap::{Command, Verb};

use super::failure::Failure;
use super::list::push;
use super::session::{COMPLETED, Reply, Session};
use crate::store::Order;

/// SUBSCRIBE mailbox, UNSUBSCRIBE mailbox.
pub(super) async fn subscribe(session: &Session, command: &Command<'_>) -> Reply {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?;
    args.end()?;
    let order = Order::Subscribe {
        user: session.who()?.user.clone(),
        name: session.internal(&given)?,
        on: command.verb == Verb::Subscribe,
    };
    session.backend.carry_out(order).await?;
    COMPLETED
}

/// LSUB reference pattern.
pub(super) async fn lsub(session: &mut Session, command: &Command<'_>) -> Reply {
    let mut args = command.args;
    args.sp()?;
    let reference = args.astring()?;
    args.sp()?;
    let pattern = args.list_mailbox()?;
    args.end()?;
    if pattern.is_empty() {
        push(session, "LSUB", b"", "\\Noselect")?;
        return COMPLETED;
    }
    let query = session.query(&reference, &[&pattern])?;
    for (name, subscribed) in lines(session, &query)? {
        let attributes = if subscribed { "" } else { "\\Noselect" };
        push(session, "LSUB", &name, attributes)?;
        session.client.flush_if_large().await?;
    }
    COMPLETED
}

/// The names that match; false: only something below it is subscribed (section 6.3.9, `%`).
fn lines(session: &Session, query: &ListQuery) -> Result<BTreeMap<Vec<u8>, bool>, Failure> {
    let who = session.who()?;
    let namespace = session.backend.desk.parts.namespace;
    let mut lines = BTreeMap::new();
    for name in session.backend.parts.store.subscriptions(&who.user)? {
        let Some(external) = namespace.external(&name, who) else {
            continue;
        };
        if query.matches(&external) {
            lines.insert(external, true);
            continue;
        }
        for (at, byte) in external.iter().enumerate() {
            if *byte == namespace.delimiter() && query.matches(&external[..at]) {
                lines.entry(external[..at].to_vec()).or_insert(false);
            }
        }
    }
    Ok(lines)
}
