//! What has been promised to clients: mailboxes, their ACLs, and how often each message is in which.
//!
//! A mailbox of its own belongs to one client, who sends one command at a time; so after an answer that decides all is
//! known. After one that doesn't (no answer, or "can't tell") the mailbox is *in doubt*: it may have any of the names,
//! or not be there; whatever comes to be, its messages are in it.

use std::collections::{BTreeMap, BTreeSet};

use ravenry_core::rt::{self, Instant};

/// A message's bytes, from the number that names them.
pub(crate) fn message(key: u64) -> Vec<u8> {
    let mut text = format!("X-Key: {key}\r\nSubject: {}\r\n\r\n", key % 7).into_bytes();
    let size = usize::try_from(key * 7919 % 2500).expect("small");
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
    let digits = std::str::from_utf8(line.into_iter().next()?).ok()?;
    let key = digits.parse().ok()?;
    (message(key) == bytes).then_some(key)
}

/// What a mailbox in doubt may have come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    Made,
    Deleted,
    Renamed,
}

/// How often a message may be in a mailbox: at least and at most.
pub(crate) type Times = (u32, u32);

#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    /// Who uses it: a client, or all.
    pub(crate) owner: Option<u64>,
    /// As internal names; where there are two, it has one of them.
    pub(crate) names: Vec<String>,
    /// Since when, and of what, nothing is sure.
    pub(crate) doubt: Option<(Doubt, Instant)>,
    /// How often something was begun that may change its name, or that it is there.
    pub(crate) begun: u64,
    /// It was deleted, and that is sure.
    pub(crate) gone: bool,
    /// What the friend may do here: one of these.
    pub(crate) rights: BTreeSet<String>,
    pub(crate) messages: BTreeMap<u64, Times>,
}

impl Mailbox {
    pub(crate) fn new(owner: Option<u64>, name: String) -> Self {
        Self {
            owner,
            names: vec![name],
            doubt: None,
            begun: 0,
            gone: false,
            rights: [String::new()].into(),
            messages: BTreeMap::new(),
        }
    }

    /// Whether it is there, by the first of its names.
    pub(crate) fn is_sure(&self) -> bool {
        !self.gone && self.doubt.is_none()
    }

    /// Whether it may not be there.
    pub(crate) fn may_be_missing(&self) -> bool {
        self.gone || matches!(self.doubt, Some((Doubt::Made | Doubt::Deleted, _)))
    }

    pub(crate) fn doubts(&mut self, doubt: Doubt) {
        self.begun += 1;
        self.doubt = Some((doubt, rt::now()));
    }

    /// What is wrong with these being all the messages in it, `before` having been known when they were asked for.
    pub(crate) fn wrong(&self, before: &BTreeMap<u64, Times>, keys: &[u64]) -> Option<String> {
        let mut found: BTreeMap<u64, u32> = BTreeMap::new();
        for key in keys {
            *found.entry(*key).or_default() += 1;
        }
        let name = self.names.join(" or ");
        for (key, (least, _)) in before {
            let (now, _) = self.messages.get(key).copied().unwrap_or_default();
            let times = found.get(key).copied().unwrap_or(0);
            if times < now.min(*least) {
                return Some(format!("{name}: message {key} is lost"));
            }
        }
        for (key, times) in found {
            let (_, most) = self.messages.get(&key).copied().unwrap_or_default();
            if times > most {
                return Some(format!("{name}: message {key} is there {times} times"));
            }
        }
        None
    }
}

#[derive(Default)]
pub(crate) struct Book {
    pub(crate) mailboxes: Vec<Mailbox>,
    /// Messages that have been acknowledged, and that nobody may have removed.
    pub(crate) alive: BTreeSet<u64>,
}

impl Book {
    /// Counts one more of a message in a mailbox: surely, or maybe.
    pub(crate) fn came(&mut self, mailbox: usize, key: u64, sure: bool) {
        let times = self.mailboxes[mailbox].messages.entry(key).or_default();
        times.0 += u32::from(sure);
        times.1 += 1;
    }

    /// Counts one less.
    pub(crate) fn went(&mut self, mailbox: usize, key: u64, sure: bool) {
        let times = self.mailboxes[mailbox].messages.entry(key).or_default();
        times.0 = times.0.saturating_sub(1);
        times.1 = times.1.saturating_sub(u32::from(sure));
    }

    /// Somebody asks for something that takes these away.
    pub(crate) fn may_die(&mut self, mailbox: usize) {
        for key in self.mailboxes[mailbox].messages.keys() {
            self.alive.remove(key);
        }
    }
}
