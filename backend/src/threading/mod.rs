//! THREAD: messages as conversations (RFC 5256 section 3).
//!
//! Messages come in the order of the mailbox ([`Threader::push`]), each as what its header says ([`Entry`]); then the threads are made. A
//! message may claim anything: loops, chains of any length, IDs of others. Nothing here recurses, and nothing takes more than
//! about linear time. No I/O, no clock.

mod forest;
mod ids;
mod links;
mod text;

use std::collections::BTreeMap;

use ravenry_core::proto::imap::ThreadAlgorithm;

use self::links::Links;
use crate::message::Summary;
use crate::sorting::{self, BaseSubject, ROOM_BYTES_MAX, TooLarge};
use crate::store::Message;

/// What threads are made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The message's UID.
    pub uid: u32,
    /// When it was sent, in seconds since 1970.
    pub sent: i64,
    /// Its base subject, folded.
    pub subject: BaseSubject,
    /// Its Message-ID.
    pub id: Option<Box<[u8]>>,
    /// What it refers to, the nearest last.
    pub references: Vec<Box<[u8]>>,
}

impl Entry {
    /// Takes it from what is kept of a header. `None`: something that is needed isn't.
    #[must_use]
    pub fn of(algorithm: ThreadAlgorithm, message: &Message, kept: Summary<'_>) -> Option<Self> {
        let (id, references) = match algorithm {
            ThreadAlgorithm::OrderedSubject => (None, Vec::new()),
            ThreadAlgorithm::References => (ids::own(kept)?, ids::references(kept)?),
        };
        Some(Self {
            uid: message.uid,
            sent: sorting::sent(message, kept),
            subject: sorting::subject(kept)?,
            id,
            references,
        })
    }
}

/// Threads in the making.
pub struct Threader {
    messages: Vec<Told>,
    /// `None`: by subject alone.
    links: Option<Links>,
    bytes: usize,
}

/// What is kept of a message.
struct Told {
    uid: u32,
    sent: i64,
    subject: BaseSubject,
}

/// Threads: nodes below nodes. A node is a message by its place among them, or, from there on, a dummy: messages that have the same
/// one, which isn't there. A dummy stands at the top, and two messages at least are below it.
struct Threads {
    messages: Vec<Told>,
    tops: Vec<u32>,
    /// What is below each node.
    below: Vec<Vec<u32>>,
}

impl Threader {
    /// One that makes threads in this way.
    #[must_use]
    pub fn new(algorithm: ThreadAlgorithm) -> Self {
        Self {
            messages: Vec::new(),
            links: (algorithm == ThreadAlgorithm::References).then(Links::default),
            bytes: 0,
        }
    }

    /// Adds the next message.
    ///
    /// # Errors
    /// If all that takes more room than it may.
    pub fn push(&mut self, entry: Entry) -> Result<(), TooLarge> {
        self.bytes += size_of::<Told>() + entry.subject.text.len();
        if let Some(links) = &mut self.links {
            self.bytes += links.add(entry.id, entry.references);
        }
        self.messages.push(Told {
            uid: entry.uid,
            sent: entry.sent,
            subject: entry.subject,
        });
        (self.bytes <= ROOM_BYTES_MAX).then_some(()).ok_or(TooLarge)
    }

    /// The threads as the answer has them: `(2)(3 6 (4 23)(44 7 96))`, each message called as `name` says.
    pub fn finish(self, name: impl Fn(u32) -> u32) -> String {
        let threads = match self.links {
            None => Threads::by_subject(self.messages),
            Some(links) => {
                let (tops, below) = links.threads();
                let mut threads = Threads {
                    messages: self.messages,
                    tops,
                    below,
                };
                threads.gather();
                threads
            }
        };
        threads.text(name)
    }
}

impl Threads {
    /// ORDEREDSUBJECT: the first message of each subject, and the others below it.
    fn by_subject(messages: Vec<Told>) -> Self {
        let mut order: Vec<u32> = (0..).zip(&messages).map(|(at, _)| at).collect();
        let of = |at: u32| &messages[at as usize];
        order.sort_unstable_by(|one, other| {
            let key = |at: u32| (&of(at).subject.text, of(at).sent, at);
            key(*one).cmp(&key(*other))
        });
        let mut threads = Self {
            tops: Vec::new(),
            below: vec![Vec::new(); messages.len()],
            messages,
        };
        let same = |one: &u32, other: &u32| {
            let text = |at: &u32| &threads.messages[*at as usize].subject.text;
            text(one) == text(other)
        };
        for thread in order.chunk_by(same) {
            let (first, others) = thread
                .split_first()
                .expect("invariant: chunks aren't empty");
            threads.tops.push(*first);
            threads.below[*first as usize] = others.to_vec();
        }
        let mut tops = std::mem::take(&mut threads.tops);
        threads.sort(&mut tops);
        threads.tops = tops;
        threads
    }

    /// Steps 4 to 6 of REFERENCES: threads of the same subject become one, and all is put in order.
    fn gather(&mut self) {
        // Step 4. The order of what is below messages is settled at the end.
        let mut tops = std::mem::take(&mut self.tops);
        for top in &tops {
            if self.is_dummy(*top) {
                self.sort_below(*top);
            }
        }
        self.sort(&mut tops);
        // Step 5.
        let mut table = self.subjects(&tops);
        let mut merged = Vec::with_capacity(tops.len());
        let mut gone = vec![false; self.below.len()];
        for top in tops {
            let text = self.subject(top).text.clone();
            let Some(first) = table.get_mut(&text).filter(|first| **first != top) else {
                merged.push(top);
                continue;
            };
            if let Some(dummy) = self.merge(*first, top) {
                gone[*first as usize] = true;
                merged.push(dummy);
                *first = dummy;
            }
        }
        merged.retain(|top| !gone.get(*top as usize).copied().unwrap_or(false));
        // Step 6.
        for node in (0..)
            .zip(&self.below)
            .map(|(node, _)| node)
            .collect::<Vec<u32>>()
        {
            self.sort_below(node);
        }
        self.sort(&mut merged);
        self.tops = merged;
    }

    /// The subject table: a thread for each subject, by steps 5.A and 5.B.
    fn subjects(&self, tops: &[u32]) -> BTreeMap<Box<[u8]>, u32> {
        let mut table: BTreeMap<Box<[u8]>, u32> = BTreeMap::new();
        for top in tops {
            let subject = self.subject(*top);
            if subject.text.is_empty() {
                continue;
            }
            let Some(first) = table.get_mut(&subject.text) else {
                table.insert(subject.text.clone(), *top);
                continue;
            };
            let replies = self.subject(*first).reply && !subject.reply;
            if !self.is_dummy(*first) && (self.is_dummy(*top) || replies) {
                *first = *top;
            }
        }
        table
    }

    /// Step 5.C: puts `top` to `first`, which has the same subject. The dummy that both are below now, if one has to be made.
    fn merge(&mut self, first: u32, top: u32) -> Option<u32> {
        let replies = self.subject(top).reply && !self.subject(first).reply;
        match (self.is_dummy(first), self.is_dummy(top)) {
            (true, true) => {
                let mut below = std::mem::take(&mut self.below[top as usize]);
                self.below[first as usize].append(&mut below);
                None
            }
            (false, false) if !replies => {
                self.below.push(vec![first, top]);
                Some(u32::try_from(self.below.len() - 1).expect("invariant: their room is limited"))
            }
            _ => {
                self.below[first as usize].push(top);
                None
            }
        }
    }

    fn is_dummy(&self, node: u32) -> bool {
        node as usize >= self.messages.len()
    }

    /// The message by which a thread is put in order, and from which its subject is.
    fn leader(&self, top: u32) -> u32 {
        match self.is_dummy(top) {
            true => self.below[top as usize].first().copied().unwrap_or(0),
            false => top,
        }
    }

    fn subject(&self, top: u32) -> &BaseSubject {
        &self.messages[self.leader(top) as usize].subject
    }

    /// By date, and then by place in the mailbox.
    fn sort(&self, nodes: &mut [u32]) {
        nodes.sort_unstable_by_key(|node| {
            let leader = self.leader(*node);
            (self.messages[leader as usize].sent, leader)
        });
    }

    fn sort_below(&mut self, node: u32) {
        let mut below = std::mem::take(&mut self.below[node as usize]);
        self.sort(&mut below);
        self.below[node as usize] = below;
    }
}

#[cfg(test)]
mod tests;
