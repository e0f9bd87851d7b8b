//! What is true in the site: which mailbox is where, which messages are in it, and what went wrong
//! on purpose. The peers share it; the frontend has to find it out by the protocols.
//!
//! A message says itself what its bytes are: a header with key and size, and a body that follows
//! from both. Lines in it look like replies, so that whoever miscounts a literal reads nonsense.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ravenry_core::rt::sim::World;

use crate::backend::Able;
use crate::ledger::Ledger;
use crate::messages::Opened;

pub(crate) const USERS: u64 = 4;
pub(crate) const BACKENDS: [&str; 2] = ["backend1.test", "backend2.test"];

/// A message by what its bytes follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) key: u64,
    pub(crate) size: usize,
}

const FILL: &[u8] = b"\r\nA1 OK nonsense\r\n* BYE {99}\r\n+ go\r\n* 7 FETCH (BODY[] {5}\r\n)\r\n";

impl Message {
    pub(crate) fn bytes(self) -> Vec<u8> {
        let mut bytes =
            format!("Key: {:016x}\r\nSize: {:08}\r\n\r\n", self.key, self.size).into_bytes();
        bytes.reserve(self.size);
        let mut state = self.key | 1;
        while bytes.len() < self.size {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(99);
            let from = usize::try_from(state >> 60).expect("four bits");
            bytes.extend_from_slice(&FILL[from..]);
            bytes.extend_from_slice(format!("{state:x}").as_bytes());
        }
        bytes.truncate(self.size);
        bytes
    }

    /// The smallest there is: its header.
    pub(crate) const SIZE_MIN: usize = 41;

    /// What these bytes are, if they are a message to the last byte.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let header = std::str::from_utf8(bytes.get(..Self::SIZE_MIN - 2)?).ok()?;
        let key = u64::from_str_radix(header.get(5..21)?, 16).ok()?;
        let size = header.get(29..37)?.parse().ok()?;
        let message = Self { key, size };
        (message.bytes() == bytes).then_some(message)
    }
}

pub(crate) type Flags = BTreeSet<String>;

/// A message as a mailbox holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) message: Message,
    pub(crate) flags: Flags,
    /// INTERNALDATE, without its quotes.
    pub(crate) date: String,
}

impl Held {
    /// As it comes into the world, with flags and a date that no other message has.
    pub(crate) fn new(message: Message) -> Self {
        let key = message.key;
        let (day, hour) = (key % 28 + 1, key / 28 % 24);
        let (minute, second) = (key / 700 % 60, key / 50_000 % 60);
        Self {
            message,
            flags: [format!("$k{:x}", key >> 40)].into(),
            date: format!("{day:2}-Jul-2024 {hour:02}:{minute:02}:{second:02} +0000"),
        }
    }

    /// The flags as a list.
    pub(crate) fn list(&self) -> String {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        format!("({})", flags.join(" "))
    }
}

pub(crate) struct Mailbox {
    /// Which backend has it.
    pub(crate) server: usize,
    pub(crate) validity: u32,
    /// Grows with every change.
    pub(crate) modseq: u64,
    pub(crate) messages: BTreeMap<u32, Held>,
    pub(crate) uid_next: u32,
}

pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) mailboxes: RefCell<BTreeMap<String, Mailbox>>,
    /// The master's stream: names whose entry changed, in order.
    pub(crate) changes: RefCell<Vec<String>>,
    pub(crate) subscribed: RefCell<BTreeSet<(String, String)>>,
    /// What became of each message.
    pub(crate) ledger: RefCell<Ledger>,
    /// What each backend can do.
    pub(crate) able: [Able; BACKENDS.len()],
    /// Whether peers do wrong, and how often: of a hundred.
    pub(crate) backends_err: u64,
    pub(crate) master_errs: u64,
    pub(crate) clients_err: u64,
    /// Whether others change mailboxes while a backend is down, and while it isn't: of a hundred.
    pub(crate) others: u64,
    /// How often they have.
    pub(crate) others_did: Cell<u64>,
    /// What peers did wrong that the frontend's clients may notice.
    pub(crate) misdeeds: Cell<u64>,
    /// How long a backend stands at most that goes down at all.
    pub(crate) up_at_most: Duration,
    /// Nothing takes long by itself.
    pub(crate) prompt: bool,
    pub(crate) large: bool,
}

impl Site {
    /// Something that may be noticed goes wrong on purpose.
    pub(crate) fn misdeed(&self, what: &'static str) {
        self.world.note(what);
        self.world.count(what);
        self.misdeeds.set(self.misdeeds.get() + 1);
    }

    /// Whether nothing has gone wrong yet that a client may notice.
    pub(crate) fn is_calm(&self) -> bool {
        self.misdeeds.get() == 0 && self.world.harms() == 0
    }

    pub(crate) fn put(&self, name: &str, server: usize) {
        let mailbox = Mailbox {
            server,
            validity: 7,
            modseq: 1,
            messages: BTreeMap::new(),
            uid_next: 1,
        };
        self.mailboxes.borrow_mut().insert(name.to_owned(), mailbox);
        self.changes.borrow_mut().push(name.to_owned());
    }

    pub(crate) fn remove(&self, name: &str) -> bool {
        self.changes.borrow_mut().push(name.to_owned());
        self.mailboxes.borrow_mut().remove(name).is_some()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.mailboxes.borrow().contains_key(name)
    }

    /// Puts a message into a mailbox; gives its UID.
    pub(crate) fn append(&self, name: &str, held: Held) -> Option<u32> {
        let mut mailboxes = self.mailboxes.borrow_mut();
        let mailbox = mailboxes.get_mut(name)?;
        let uid = mailbox.uid_next;
        mailbox.uid_next += 1;
        mailbox.modseq += 1;
        let mut ledger = self.ledger.borrow_mut();
        ledger.given((name, mailbox.validity, uid), &held);
        mailbox.messages.insert(uid, held);
        Some(uid)
    }

    /// Takes a message out of a mailbox.
    pub(crate) fn expunge(&self, name: &str, uid: u32) -> Option<Held> {
        let mut mailboxes = self.mailboxes.borrow_mut();
        let mailbox = mailboxes.get_mut(name)?;
        mailbox.modseq += 1;
        mailbox.messages.remove(&uid)
    }

    /// Gives a message other flags.
    pub(crate) fn set_flags(&self, name: &str, uid: u32, change: impl FnOnce(&mut Flags)) {
        let mut mailboxes = self.mailboxes.borrow_mut();
        let Some(mailbox) = mailboxes.get_mut(name) else {
            return;
        };
        mailbox.modseq += 1;
        if let Some(held) = mailbox.messages.get_mut(&uid) {
            change(&mut held.flags);
            self.ledger.borrow_mut().seen_as(held);
        }
    }

    /// The number, the UID and the flags of the first message that a connection knows.
    pub(crate) fn first_flags(&self, opened: &Opened) -> Option<(usize, u32, String)> {
        let mailboxes = self.mailboxes.borrow();
        let mailbox = mailboxes.get(&opened.name)?;
        let uids = opened.numbers.iter().zip(1..);
        let mut held = uids
            .filter_map(|(uid, number)| Some((number, *uid, mailbox.messages.get(uid)?.list())));
        held.next()
    }

    /// Whether each message is accounted for.
    pub(crate) fn keeps_ledger(&self) -> bool {
        self.ledger.borrow().kept
    }

    /// How many messages of this key a mailbox has.
    pub(crate) fn count(&self, name: &str, key: u64) -> usize {
        let mailboxes = self.mailboxes.borrow();
        let messages = mailboxes.get(name).map(|mailbox| mailbox.messages.values());
        let held = messages.into_iter().flatten();
        held.filter(|held| held.message.key == key).count()
    }

    pub(crate) fn has_message(&self, name: &str, key: u64) -> bool {
        self.count(name, key) > 0
    }

    /// Whether a message is anywhere.
    pub(crate) fn is_somewhere(&self, key: u64) -> bool {
        let mailboxes = self.mailboxes.borrow();
        let mut held = mailboxes
            .values()
            .flat_map(|mailbox| mailbox.messages.values());
        held.any(|held| held.message.key == key)
    }

    pub(crate) fn message_size(&self) -> usize {
        use crate::dice::{below, percent};
        let size = match below(10) {
            0..4 => below(200),
            4..8 => below(9_000),
            8 => below(70_000),
            _ if self.large => 60_000 + below(300_000),
            _ => 60_000 + below(20_000),
        };
        let size = usize::try_from(size).expect("small");
        if percent(10) {
            Message::SIZE_MIN
        } else {
            size.max(Message::SIZE_MIN)
        }
    }
}

/// A name as the user gives it, in its internal form.
pub(crate) fn internal(user: &str, given: &str) -> String {
    match given.strip_prefix("INBOX") {
        Some(rest) => format!("user.{user}{rest}"),
        None => given.to_owned(),
    }
}
