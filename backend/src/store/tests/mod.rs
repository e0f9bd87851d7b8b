//! The store's tests: what it answers, against a model, and after a crash.

mod annotations;
mod answers;
mod backups;
mod checks;
mod crash;
mod full;
mod listing;
mod model;
mod names;
mod plain;
mod quotas;
mod removed;
mod structures;
mod upgrade;
mod validity;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ravenry_core::lmdb::DurableError;
use ravenry_core::mailboxes::{Acl, Name};
use ravenry_core::proto::imap::{DateTime, Uids};

use super::{
    Found, Group, Incoming, MailboxId, Message, Order, Outcome, Refused, Settings, SpecialUse,
    Store, StoreError, Writer,
};

fn settings(root: &Path) -> Settings {
    let partition = |name: &str| (name.to_owned(), root.join("spool").join(name));
    Settings {
        directory: root.join("state"),
        partitions: BTreeMap::from([partition("default"), partition("archive")]),
        index_size: 64 << 20,
    }
}

fn open(root: &Path) -> (Writer, Store, Found) {
    open_with(&settings(root)).unwrap()
}

/// Opens a store. A process that another test begins at this moment has our locks for as long as it
/// takes to become another program.
fn open_with(settings: &Settings) -> Result<(Writer, Store, Found), StoreError> {
    for _ in 0..500 {
        match Store::open(settings) {
            Err(StoreError::Open(DurableError::InUse { .. })) => {
                #[expect(clippy::disallowed_methods, reason = "no shard waits here")]
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened,
        }
    }
    panic!("the store is in use");
}

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

fn uids(text: &str) -> Uids {
    match text {
        "" => Uids::default(),
        set => Uids::parse(set.as_bytes()).unwrap(),
    }
}

fn create(text: &str) -> Order {
    Order::Create {
        name: name(text),
        partition: "default".to_owned(),
        acl: Acl::new(b"alice\tlrswipkxtecda\t"),
        special_use: SpecialUse::NONE,
    }
}

fn incoming(store: &Store, body: &[u8], system: u8, keywords: &[&str]) -> Incoming {
    let mut staged = store.stage("default").unwrap();
    body.chunks(7)
        .for_each(|piece| staged.write(piece).unwrap());
    Incoming {
        message: staged.finish().unwrap(),
        date: DateTime {
            seconds: 1_700_000_000,
            zone: 60,
        },
        system,
        keywords: keywords.iter().map(|word| (*word).to_owned()).collect(),
    }
}

fn one(writer: &mut Writer, order: Order) -> Result<Outcome, Refused> {
    let Group { mut outcomes, .. } = writer.carry_out(&[order]);
    assert_eq!(outcomes.len(), 1, "one answer to one order");
    outcomes.remove(0)
}

/// Appends one message without keywords.
fn append(writer: &mut Writer, store: &Store, mailbox: MailboxId, body: &[u8], system: u8) {
    let messages = vec![incoming(store, body, system, &[])];
    one(writer, Order::Append { mailbox, messages }).unwrap();
}

fn created(writer: &mut Writer, text: &str) -> MailboxId {
    match one(writer, create(text)) {
        Ok(Outcome::Created { mailbox, .. }) => mailbox,
        other => panic!("{other:?}"),
    }
}

fn messages(store: &Store, mailbox: MailboxId) -> Vec<Message> {
    let mut found = Vec::new();
    let each = store.each_message(mailbox, (1, u32::MAX), |message| {
        found.push(message);
        true
    });
    each.unwrap();
    found
}

fn body(store: &Store, mailbox: MailboxId, uid: u32) -> Vec<u8> {
    let mailbox = store.mailbox_by_id(mailbox).unwrap().unwrap();
    std::fs::read(store.path(&mailbox, uid)).unwrap()
}

/// The record of the header cache of a message, or of one that was expunged.
fn structure(store: &Store, mailbox: MailboxId, uid: u32) -> Option<Vec<u8>> {
    let of = store.mailbox_by_id(mailbox).unwrap()?;
    let expunged = || {
        let mut all = store.expunged(mailbox).unwrap().into_iter();
        Some(all.find(|it| it.message.uid == uid)?.message)
    };
    let message = store.message(mailbox, uid).unwrap().or_else(expunged)?;
    let mut records = store.structures(&of, std::slice::from_ref(&message));
    records.get(&message).map(<[u8]>::to_vec)
}
