//! The end: everybody is up and all is quiet. The master's list is the union of the backends', and what was promised is
//! there.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use ravenry_backend::store::Store;
use ravenry_core::mailboxes::{Entry, Name, State};
use ravenry_core::rt;

use crate::book::{Mailbox, key_of};
use crate::client::Client;
use crate::names::external;
use crate::parts::{BACKENDS, FRONTENDS_AT, store_settings};
use crate::site::{Site, Which};

/// By then all that was left to do is done.
const CONVERGED_WITHIN: Duration = Duration::from_secs(900);
/// By then everything that a session may wait for is over.
const QUIET_WITHIN: Duration = Duration::from_secs(1200);
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Waits until all parts agree on what is where.
pub(crate) async fn converged(site: &Rc<Site>) {
    let deadline = rt::now() + CONVERGED_WITHIN;
    loop {
        let wrong = disagreements(site);
        if wrong.is_empty() {
            return;
        }
        if rt::now() > deadline {
            wrong.into_iter().for_each(|wrong| site.fail(wrong));
            return;
        }
        rt::sleep(LOOK_EVERY).await;
    }
}

/// Every mailbox of the backends: where, with which ACL.
type All = BTreeMap<Name, (usize, Vec<u8>)>;

fn disagreements(site: &Site) -> Vec<String> {
    let (mut all, mut wrong) = (All::new(), Vec::new());
    for number in 0..BACKENDS.len() {
        site.with(Which::Backend(number), |part| {
            let store = part.store.as_ref().expect("a backend's");
            let each = store.each_mailbox(|mailbox| {
                let acl = mailbox.acl.as_bytes().to_vec();
                if all.insert(mailbox.name.clone(), (number, acl)).is_some() {
                    wrong.push(format!("{}: it is at both backends", mailbox.name));
                }
            });
            each.unwrap();
        });
    }
    for which in [Which::Master, Which::Frontend(0), Which::Frontend(1)] {
        site.with(which, |part| {
            let list = part.list.as_ref().expect("a list");
            for (name, (server, acl)) in &all {
                let entry = list.lookup(name).unwrap();
                let is_right = entry.as_ref().is_some_and(|entry| {
                    entry.state == State::Active
                        && entry.location.server == BACKENDS[*server]
                        && entry.acl.as_bytes() == acl
                });
                if !is_right {
                    let server = BACKENDS[*server];
                    wrong.push(format!(
                        "{which:?} has {name}, which is at {server} with {}, as {}",
                        acl.escape_ascii(),
                        entry.map_or_else(|| "nothing".to_owned(), |entry| said(&entry)),
                    ));
                }
            }
            let count = list.count().unwrap();
            if count > all.len() as u64 {
                let here = |name: &&String| {
                    let name = Name::parse(name.as_bytes()).unwrap();
                    !all.contains_key(&name) && list.lookup(&name).unwrap().is_some()
                };
                let book = site.book.borrow();
                let known = book.mailboxes.iter().flat_map(|mailbox| &mailbox.names);
                let more: Vec<&String> = known.filter(here).collect();
                wrong.push(format!("{which:?} has {more:?}, the backends haven't"));
            }
        });
    }
    wrong
}

fn said(entry: &Entry) -> String {
    let (server, acl) = (&entry.location.server, entry.acl.as_bytes());
    format!("{:?} at {server} with {}", entry.state, acl.escape_ascii())
}

/// When all clients have gone, all that was there for them goes as well.
pub(crate) async fn at_rest(site: &Rc<Site>) {
    let deadline = rt::now() + QUIET_WITHIN;
    while !busy(site).is_empty() && rt::now() < deadline {
        rt::sleep(LOOK_EVERY).await;
    }
    for left in busy(site) {
        site.fail(format!("when all clients had gone: {left}"));
    }
}

fn busy(site: &Site) -> Vec<String> {
    let mut busy = Vec::new();
    for which in Which::ALL {
        let samples = site.with(which, |part| {
            part.registry
                .as_ref()
                .map(ravenry_core::metrics::Registry::samples)
        });
        let open = |name: &str| ["sessions_open", "upstream_open"].contains(&name);
        for sample in samples.into_iter().flatten() {
            if open(sample.name) && sample.value > 0 {
                busy.push(format!("{which:?}: {} {}", sample.value, sample.name));
            }
        }
    }
    busy
}

/// Through either frontend every mailbox can be selected that is there for sure.
pub(crate) async fn through_frontends(site: &Rc<Site>) {
    for (number, at) in FRONTENDS_AT.iter().enumerate() {
        let users: BTreeSet<u64> = (0..crate::parts::USERS).collect();
        for user in users {
            let name = format!("u{user}");
            let mut client = match Client::login(site, 80 + user, (at, &name)).await {
                Ok(client) => client,
                Err(gone) => return site.fail(format!("at the end: frontend {number}: {gone:?}")),
            };
            let prefix = format!("user.{name}");
            let names: Vec<String> = {
                let book = site.book.borrow();
                let sure = book.mailboxes.iter().filter(|mailbox| mailbox.is_sure());
                let names = sure.map(|mailbox| mailbox.names[0].clone());
                names.filter(|name| name.starts_with(&prefix)).collect()
            };
            for name in names {
                let done = client
                    .command(&format!("EXAMINE {}", external(&name)))
                    .await;
                if !done.as_ref().is_ok_and(crate::client::Reply::is_ok) {
                    let text = done.map_or_else(|gone| format!("{gone:?}"), |reply| reply.text);
                    site.fail(format!("at the end: frontend {number}: {name}: {text}"));
                }
            }
        }
    }
}

/// What is in the stores, when nobody has them any more.
pub(crate) fn stores(site: &Site) {
    let mut found: BTreeMap<String, Vec<Vec<u64>>> = BTreeMap::new();
    for (number, server) in BACKENDS.iter().enumerate() {
        let directory = site.directory(Which::Backend(number));
        let (_writer, store, opened) = Store::open(&store_settings(&directory)).unwrap();
        if opened.crashed || !opened.missing.is_empty() {
            site.fail(format!("{}: the store wasn't closed: {opened:?}", server));
        }
        store
            .each_mailbox(|mailbox| {
                let keys = keys(site, &store, &mailbox);
                found
                    .entry(mailbox.name.to_string())
                    .or_default()
                    .push(keys);
            })
            .unwrap();
    }
    let book = site.book.borrow();
    for mailbox in &book.mailboxes {
        if let Some(wrong) = wrong(mailbox, &found) {
            site.fail(wrong);
        }
    }
    let known: BTreeSet<&String> = book
        .mailboxes
        .iter()
        .flat_map(|mailbox| &mailbox.names)
        .collect();
    for name in found.keys().filter(|name| !known.contains(name)) {
        site.fail(format!("{name}: nobody wanted it"));
    }
    let there: BTreeSet<u64> = found.values().flatten().flatten().copied().collect();
    for key in book.alive.difference(&there) {
        site.fail(format!("message {key}, which was acknowledged, is nowhere"));
    }
}

fn keys(site: &Site, store: &Store, mailbox: &ravenry_backend::store::Mailbox) -> Vec<u64> {
    let mut keys = Vec::new();
    let read = store.each_message(mailbox.id, (1, u32::MAX), |message| {
        let bytes = std::fs::read(store.path(mailbox, message.uid)).unwrap_or_default();
        match key_of(&bytes) {
            Some(key) => keys.push(key),
            None => site.fail(format!(
                "{} UID {}: its bytes are nobody's",
                mailbox.name, message.uid
            )),
        }
        true
    });
    read.unwrap();
    keys
}

fn wrong(mailbox: &Mailbox, found: &BTreeMap<String, Vec<Vec<u64>>>) -> Option<String> {
    let name = mailbox.names.join(" or ");
    let there: Vec<&Vec<u64>> = mailbox
        .names
        .iter()
        .filter_map(|name| found.get(name))
        .flatten()
        .collect();
    match there[..] {
        [] if mailbox.may_be_missing() => None,
        [] => Some(format!("{name}: it is lost")),
        [_] if mailbox.gone => Some(format!("{name}: it was deleted, and is there")),
        [keys] => mailbox.wrong(&mailbox.messages, keys),
        _ => Some(format!("{name}: it is there {} times", there.len())),
    }
}
