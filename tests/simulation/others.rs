//! Others who use the same mailboxes by ways of their own: they bring messages, remove some, change
//! flags; and an operator who puts a mailbox back from a copy, with a new UIDVALIDITY.

use std::rc::Rc;
use std::time::Duration;

use ravenry_core::rt;

use crate::dice;
use crate::site::{Held, Message, Site};

pub(crate) const DEEDS: [&str; 5] = [
    "others: bring a message",
    "others: remove a message",
    "others: bring one and remove one",
    "others: change flags",
    "others: a new UIDVALIDITY",
];

/// What happens to a backend's mailboxes while it is down.
pub(crate) fn while_down(site: &Site, server: usize) {
    if !site.keeps_ledger() {
        return;
    }
    let mailboxes = site.mailboxes.borrow();
    let here = mailboxes
        .iter()
        .filter(|(_, mailbox)| mailbox.server == server);
    let names: Vec<String> = here.map(|(name, _)| name.clone()).collect();
    drop(mailboxes);
    for name in names {
        if dice::percent(site.others) {
            change(site, &name, dice::below(5));
        }
    }
}

/// What happens while sessions have the mailboxes selected.
pub(crate) async fn meanwhile(site: Rc<Site>) {
    loop {
        rt::sleep(dice::time(Duration::from_secs(20))).await;
        let name = {
            let mailboxes = site.mailboxes.borrow();
            let which = dice::below(mailboxes.len() as u64);
            let mut names = mailboxes.keys();
            names.nth(usize::try_from(which).expect("small")).cloned()
        };
        if let Some(name) = name {
            change(&site, &name, dice::below(2));
        }
    }
}

fn change(site: &Site, name: &str, deed: u64) {
    let what = DEEDS[usize::try_from(deed).expect("small")];
    site.world.note(&format!("{what}: {name}"));
    site.world.count(what);
    site.others_did.set(site.others_did.get() + 1);
    match deed {
        0 => bring(site, name),
        1 => remove(site, name),
        2 => {
            bring(site, name);
            remove(site, name);
        }
        3 => {
            if let Some(uid) = some_uid(site, name) {
                site.set_flags(name, uid, |flags| {
                    if !flags.remove("\\Flagged") {
                        flags.insert("\\Flagged".to_owned());
                    }
                });
            }
        }
        _ => put_back(site, name),
    }
}

fn bring(site: &Site, name: &str) {
    let message = Message {
        key: rt::random::u64(),
        size: site.message_size(),
    };
    site.append(name, Held::new(message));
}

fn remove(site: &Site, name: &str) {
    let Some(uid) = some_uid(site, name) else {
        return;
    };
    if let Some(held) = site.expunge(name, uid) {
        site.ledger.borrow_mut().removed.insert(held.message.key);
    }
}

fn some_uid(site: &Site, name: &str) -> Option<u32> {
    let mailboxes = site.mailboxes.borrow();
    let messages = &mailboxes.get(name)?.messages;
    let which = dice::below(messages.len() as u64);
    messages.keys().nth(usize::try_from(which).ok()?).copied()
}

/// The same messages, and as many UIDs, but other ones have them.
fn put_back(site: &Site, name: &str) {
    let mut mailboxes = site.mailboxes.borrow_mut();
    let Some(mailbox) = mailboxes.get_mut(name) else {
        return;
    };
    mailbox.validity += 1;
    mailbox.modseq += 1;
    let uids: Vec<u32> = mailbox.messages.keys().copied().collect();
    let held = std::mem::take(&mut mailbox.messages);
    let mut ledger = site.ledger.borrow_mut();
    for (uid, held) in uids.into_iter().zip(held.into_values().rev()) {
        ledger.given((name, mailbox.validity, uid), &held);
        mailbox.messages.insert(uid, held);
    }
}
