//! The ledger of messages: which UID was given to which, what flags each has had, which commands
//! were to bring it somewhere and what became of them; and what must hold of all that.
//!
//! What has to hold at the moment something happens is judged then: a message goes from its mailbox only when
//! the other one has it. The rest is judged at the end, when nothing is under way any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::site::{Flags, Held, Site};

/// What a client wants done with messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Append,
    Copy,
    Move,
    Replace,
}

/// What it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing.
    Unheard,
    /// That a server can't be asked, or good-bye: nobody can know.
    Unknown,
    Done,
    /// Nothing has come of it.
    Refused,
    /// Messages stay where they were brought, though not all are there.
    Stays,
    /// They have been brought, and may still be where they were.
    Brought,
}

/// A command that brings messages to a mailbox.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) kind: Kind,
    pub(crate) to: String,
    /// The messages that come there, by their keys.
    pub(crate) brings: Vec<u64>,
    /// Those that go from the selected mailbox.
    pub(crate) takes: Vec<u64>,
    /// How many of each of `brings` the mailbox must have had before others go.
    pub(crate) before: Vec<u64>,
    /// One APPEND brings all or none.
    pub(crate) at_once: bool,
    pub(crate) end: End,
}

#[derive(Default)]
pub(crate) struct Ledger {
    given: BTreeMap<(String, u32, u32), u64>,
    /// The flags and the date that a message has had.
    states: BTreeMap<u64, (BTreeSet<Flags>, String)>,
    /// How often a message was brought to a mailbox by a backend's APPEND, less what was taken back.
    came: BTreeMap<(String, u64), u64>,
    /// Removed by others, or by its own client.
    pub(crate) removed: BTreeSet<u64>,
    pub(crate) orders: Vec<Order>,
    /// Whether messages are counted at all: where clients are told of in orders.
    pub(crate) kept: bool,
}

impl Ledger {
    pub(crate) fn new(kept: bool) -> Self {
        Self {
            kept,
            ..Self::default()
        }
    }

    /// A UID has been given to a message.
    pub(crate) fn given(&mut self, (name, validity, uid): (&str, u32, u32), held: &Held) {
        let key = held.message.key;
        self.given.insert((name.to_owned(), validity, uid), key);
        self.seen_as(held);
    }

    /// The message that a UID was given to, ever.
    pub(crate) fn key(&self, name: &str, validity: u32, uid: u32) -> Option<u64> {
        self.given.get(&(name.to_owned(), validity, uid)).copied()
    }

    /// A message has these flags and this date, somewhere, or its client has sent it with them.
    pub(crate) fn seen_as(&mut self, held: &Held) {
        let state = self.states.entry(held.message.key).or_default();
        state.0.insert(held.flags.clone());
        state.1.clone_from(&held.date);
    }

    /// What is wrong with the flags and the date of a message that a backend is given.
    pub(crate) fn wrong_with(&self, held: &Held) -> Option<String> {
        let (flags, date) = self.states.get(&held.message.key)?;
        if flags.contains(&held.flags) && (*date == held.date || date.is_empty()) {
            return None;
        }
        Some(format!("{held:?} never was so, but {date} {flags:?}"))
    }

    pub(crate) fn brought(&mut self, name: &str, key: u64) {
        *self.came.entry((name.to_owned(), key)).or_default() += 1;
    }

    /// How often a message has come to a mailbox.
    pub(crate) fn count(&self, name: &str, key: u64) -> u64 {
        let count = self.came.get(&(name.to_owned(), key));
        count.copied().unwrap_or_default()
    }

    /// The frontend takes a message out of a mailbox: `back`, since a copy has failed.
    pub(crate) fn taken(&mut self, name: &str, key: u64, back: bool) -> Option<String> {
        if !self.kept {
            return None;
        }
        if back {
            match self.came.get_mut(&(name.to_owned(), key)) {
                Some(count @ 1..) => *count -= 1,
                _ => return Some(format!("{key:x} is taken back that hasn't come to {name}")),
            }
            return None;
        }
        let has_all = |order: &Order| {
            let mut came = order.brings.iter().zip(&order.before);
            came.all(|(key, before)| {
                // What others removed may never have been there to be brought.
                self.count(&order.to, *key) > *before || self.removed.contains(key)
            })
        };
        let mut wanted = self
            .orders
            .iter()
            .filter(|order| order.takes.contains(&key));
        if wanted.clone().next().is_none() {
            return Some(format!("{key:x} goes from {name}, which nobody wants"));
        }
        (!wanted.any(has_all)).then(|| format!("{key:x} goes from {name} before it is elsewhere"))
    }

    /// Notes a command that is about to be sent; gives its number.
    pub(crate) fn begin(
        &mut self,
        kind: Kind,
        to: &str,
        brings: Vec<u64>,
        takes: Vec<u64>,
    ) -> usize {
        let before = brings.iter().map(|key| self.count(to, *key)).collect();
        self.orders.push(Order {
            kind,
            to: to.to_owned(),
            brings,
            takes,
            before,
            at_once: true,
            end: End::Unheard,
        });
        self.orders.len() - 1
    }

    /// How often at least and at most a message must have come to a mailbox.
    pub(crate) fn due(&self, name: &str, key: u64) -> (u64, u64) {
        let (mut least, mut most) = (0, 0);
        for order in self.orders.iter().filter(|order| order.to == name) {
            let times = order
                .brings
                .iter()
                .filter(|brought| **brought == key)
                .count() as u64;
            let sure = matches!(order.end, End::Done | End::Brought);
            least += if sure { times } else { 0 };
            most += if order.end == End::Refused { 0 } else { times };
        }
        (least, most)
    }

    /// What is wrong when all is over.
    pub(crate) fn wrong_at_the_end(&self, site: &Site) -> Vec<String> {
        let mut wrong = Vec::new();
        let ordered = self.orders.iter().flat_map(|order| {
            let to = &order.to;
            order.brings.iter().map(move |key| (to.clone(), *key))
        });
        let all: BTreeSet<(String, u64)> = ordered.chain(self.came.keys().cloned()).collect();
        for (name, key) in all {
            let ((least, most), count) = (self.due(&name, key), self.count(&name, key));
            // What others removed may never have been there to be brought.
            let least = if self.removed.contains(&key) {
                0
            } else {
                least
            };
            if count < least || count > most {
                wrong.push(format!(
                    "{key:x} has come to {name} {count} times, not {least} to {most}"
                ));
            }
        }
        wrong.extend(self.orders.iter().filter_map(|order| self.halves(order)));
        for key in self.states.keys().filter(|key| !self.removed.contains(key)) {
            if !self.may_be_nowhere(site, *key) && !site.is_somewhere(*key) {
                wrong.push(format!("{key:x} is nowhere"));
            }
        }
        wrong
    }

    /// A message that never came, or in whose place another one is.
    fn may_be_nowhere(&self, site: &Site, key: u64) -> bool {
        if !self.is_born(key) {
            return true;
        }
        let mut replaced = self.orders.iter().filter(|order| {
            order.kind == Kind::Replace && order.takes.contains(&key) && order.end != End::Refused
        });
        let is_there = |key: &u64| {
            let there = site.is_somewhere(*key) || self.removed.contains(key);
            there || self.is_born(*key) && self.may_be_nowhere(site, *key)
        };
        replaced.any(|order| order.brings.iter().any(is_there))
    }

    fn is_born(&self, key: u64) -> bool {
        self.given.values().any(|given| *given == key)
    }

    /// Whether a command of which nobody can know what it did has done half of it.
    fn halves(&self, order: &Order) -> Option<String> {
        if order.end != End::Unknown {
            return None;
        }
        // Of messages that no other command may have brought there.
        let of_it = |key: &u64| {
            order
                .brings
                .iter()
                .filter(|brought| *brought == key)
                .count() as u64
        };
        let only = |key: &&u64| of_it(key) == 1 && self.due(&order.to, **key).1 == 1;
        let came: Vec<bool> = order
            .brings
            .iter()
            .filter(only)
            .map(|key| self.count(&order.to, *key) > 0)
            .collect();
        let there = came.iter().filter(|came| **came).count();
        let half = if order.at_once {
            there > 0 && there < came.len()
        } else {
            there > 1
        };
        half.then(|| format!("{there} of {} have come: {order:?}", came.len()))
    }
}
