//! What is true of the mailboxes, from what clients were told, without the order in which others did things.
//!
//! A message that was acknowledged is there with its bytes until somebody may have removed it. A keyword `$cN` is client
//! N's alone, so its last word counts. What was asked for and not acknowledged may have happened, once.

use std::collections::{BTreeMap, BTreeSet};

use ravenry_backend::store::{Mailbox, Message, SYSTEM_FLAGS, Store};
use ravenry_core::mailboxes::Name;

/// A mailbox that is renamed now and then: what it is called here, and how clients call it.
pub(crate) const ROAMS: &str = "roams";
pub(crate) const NAMES: [&str; 3] = ["shared.a", "shared.b", "shared.c"];

/// A message's bytes, from the number that names them.
pub(crate) fn message(key: u64) -> Vec<u8> {
    let mut text = format!("X-Key: {key}\r\nSubject: {}\r\n\r\n", key % 7).into_bytes();
    let size = usize::try_from(key % 3000).expect("small");
    text.extend((0..size).map(|at| match at % 60 {
        58 => b'\r',
        59 => b'\n',
        at => b'a' + u8::try_from(at % 26).expect("small"),
    }));
    text.extend_from_slice(b"\r\n");
    text
}

/// The number, from the bytes; `None` if these aren't that message's.
pub(crate) fn key_of(bytes: &[u8]) -> Option<u64> {
    let line = bytes.strip_prefix(b"X-Key: ")?.split(|byte| *byte == b'\r');
    let key = std::str::from_utf8(line.into_iter().next()?)
        .ok()?
        .parse()
        .ok()?;
    (message(key) == bytes).then_some(key)
}

/// What a mailbox is called here, and a UID.
type At = (String, u32);

#[derive(Default)]
pub(crate) struct Model {
    /// Messages that were acknowledged, and the numbers of their bytes.
    pub(crate) kept: BTreeMap<At, u64>,
    /// Somebody may have removed these. Others may see a message before it is acknowledged.
    pub(crate) doomed: BTreeSet<At>,
    /// What is known of clients' keywords.
    keywords: BTreeMap<At, BTreeMap<u64, bool>>,
    /// Messages that may have come to a mailbox, each once.
    maybe: Vec<(String, u64)>,
    /// Copies of such.
    unknown: Vec<(String, u32)>,
    /// Who was the one session that had a message as \Recent.
    pub(crate) recent: BTreeMap<(String, u32), u64>,
}

impl Model {
    /// A message has come, with this UID. Gives what is wrong with that.
    pub(crate) fn came(&mut self, mailbox: &str, uid: u32, key: u64) -> Option<String> {
        let before = self.kept.insert((mailbox.to_owned(), uid), key);
        before.map(|_| format!("{mailbox}: UID {uid} was given twice"))
    }

    /// A message has come whose bytes nobody has been told of.
    pub(crate) fn unknown(&mut self, mailbox: &str, uid: u32) {
        self.unknown.push((mailbox.to_owned(), uid));
    }

    /// A message may have come.
    pub(crate) fn may_have_come(&mut self, mailbox: &str, key: u64) {
        self.maybe.push((mailbox.to_owned(), key));
    }

    /// Somebody asks for something that may remove these.
    pub(crate) fn may_vanish(&mut self, mailbox: &str, uids: &[u32]) {
        for uid in uids {
            self.doomed.insert((mailbox.to_owned(), *uid));
        }
    }

    /// A client has set or taken its keyword, or (`None`) may have.
    pub(crate) fn keyword(&mut self, mailbox: &str, uids: &[u32], client: u64, set: Option<bool>) {
        for uid in uids {
            let known = self.keywords.entry((mailbox.to_owned(), *uid)).or_default();
            match set {
                Some(set) => known.insert(client, set),
                None => known.remove(&client),
            };
        }
    }

    /// What is known of a client's keyword.
    pub(crate) fn keyword_of(&self, mailbox: &str, uid: u32, client: u64) -> Option<bool> {
        let known = self.keywords.get(&(mailbox.to_owned(), uid));
        known?.get(&client).copied()
    }

    /// What of the store isn't as it has to be.
    pub(crate) fn wrong(&self, store: &Store) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut there: BTreeMap<(String, u32), ()> = BTreeMap::new();
        let mut maybe = self.maybe.clone();
        let mut mailboxes = Vec::new();
        store
            .each_mailbox(|mailbox| mailboxes.push(mailbox))
            .unwrap();
        let roams = |mailbox: &&Mailbox| called(mailbox) == ROAMS;
        if mailboxes.iter().filter(roams).count() != 1 {
            wrong.push(format!("one mailbox has one of {NAMES:?}"));
        }
        for mailbox in mailboxes {
            let name = called(&mailbox);
            for message in messages(store, &mailbox) {
                let at = (name.clone(), message.uid);
                there.insert(at.clone(), ());
                let bytes = std::fs::read(store.path(&mailbox, message.uid)).unwrap_or_default();
                let key = key_of(&bytes);
                match (self.kept.get(&at), key) {
                    (_, None) => wrong.push(format!("{at:?}: its bytes are nobody's")),
                    (Some(kept), Some(key)) if *kept != key => {
                        wrong.push(format!("{at:?}: has the bytes of another message"));
                    }
                    (Some(_), Some(_)) => {
                        let known = self.keywords.get(&at);
                        wrong.extend(wrong_keywords(&at, known, &mailbox, &message));
                    }
                    (None, Some(_)) if self.unknown.contains(&at) => {}
                    (None, Some(key)) => {
                        let found = maybe.iter().position(|one| *one == (name.clone(), key));
                        match found {
                            Some(found) => drop(maybe.swap_remove(found)),
                            None => wrong.push(format!("{at:?}: nobody was told of it")),
                        }
                    }
                }
            }
        }
        for at in self.kept.keys() {
            if !there.contains_key(at) && !self.doomed.contains(at) {
                wrong.push(format!("{at:?}: is lost"));
            }
        }
        wrong
    }
}

fn wrong_keywords(
    at: &At,
    known: Option<&BTreeMap<u64, bool>>,
    mailbox: &Mailbox,
    message: &Message,
) -> Vec<String> {
    let has = |client: u64| {
        let name = format!("$c{client}");
        let place = mailbox.keywords.iter().position(|known| *known == name);
        place.is_some_and(|place| message.flags.keywords & (1 << place) != 0)
    };
    let known = known.into_iter().flatten();
    let wrong = known.filter(|(client, set)| has(**client) != **set);
    wrong
        .map(|(client, set)| format!("{at:?}: $c{client} should be {set}"))
        .collect()
}

/// A mailbox' messages, as they are in the store.
pub(crate) fn messages(store: &Store, mailbox: &Mailbox) -> Vec<Message> {
    let mut messages = Vec::new();
    let all = (1, u32::MAX);
    let read = store.each_message(mailbox.id, all, |message| {
        messages.push(message);
        true
    });
    read.unwrap();
    messages
}

/// What a mailbox is called here.
fn called(mailbox: &Mailbox) -> String {
    let name = String::from_utf8(mailbox.name.as_bytes().to_vec()).unwrap();
    if NAMES.contains(&&*name) {
        ROAMS.to_owned()
    } else {
        name
    }
}

/// The mailbox that is called so here, if it is there.
pub(crate) fn find(store: &Store, called: &str) -> Option<Mailbox> {
    let names = if called == ROAMS {
        &NAMES[..]
    } else {
        &[called]
    };
    let mut names = names.iter().map(|name| Name::parse(name.as_bytes()));
    names.find_map(|name| store.mailbox(&name.unwrap()).unwrap())
}

/// The one that has to be there.
pub(crate) fn mailbox(store: &Store, called: &str) -> Mailbox {
    find(store, called).expect("the mailbox")
}

/// A message's flags, in order.
pub(crate) fn flags(mailbox: &Mailbox, message: &Message) -> Vec<String> {
    let system = SYSTEM_FLAGS.iter().enumerate();
    let mut flags: Vec<String> = system
        .filter(|(at, _)| message.flags.has(1 << at))
        .map(|(_, flag)| (*flag).to_owned())
        .collect();
    let keywords = mailbox.keywords.iter().enumerate();
    let set = keywords.filter(|(at, _)| message.flags.keywords & (1 << at) != 0);
    flags.extend(set.map(|(_, keyword)| keyword.clone()));
    flags.sort_unstable();
    flags
}
