//! The changes of the last while, in memory, for those who stream: each encoded once and shared.
//!
//! A stream holds a place in here, the number of the change that it sends next. What is kept is
//! bounded in bytes; a stream whose place has gone catches up from the list itself, where it finds
//! each name as it is now. All on the mupdate core: no lock.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use ravenry_core::mailboxes::{Made, OneMade, State};
use ravenry_core::proto::mupdate::reply;
use ravenry_core::rt::channel;

use crate::master::same;

/// One change, as it is told.
pub(crate) struct Event {
    /// The commit that it was in.
    pub(crate) sequence: u64,
    /// From behind the tag on.
    pub(crate) body: Box<[u8]>,
    /// The name moves: a Ravenry is told.
    moving: bool,
    server_now: Option<Box<str>>,
    server_before: Option<Box<str>>,
}

impl Event {
    fn new(sequence: u64, made: OneMade) -> Self {
        let mut body = Vec::new();
        let name = made.name.as_bytes();
        match &made.now {
            Some(entry) => {
                let location = &entry.location;
                let place = (location.server.as_str(), location.partition.as_str());
                match entry.state {
                    State::Active => reply::mailbox(name, place, entry.acl.as_bytes(), &mut body),
                    State::Reserved | State::Moving => reply::reserve(name, place, &mut body),
                }
            }
            None => reply::delete(name, &mut body),
        }
        let moving = made
            .now
            .as_ref()
            .is_some_and(|entry| entry.state == State::Moving);
        Self {
            sequence,
            body: body.into(),
            moving,
            server_now: made.now.map(|entry| entry.location.server.into()),
            server_before: made.server_before.map(Into::into),
        }
    }

    /// Adds it, from the tag on, for a Ravenry or for others.
    pub(crate) fn tell(&self, tag: &[u8], ravenry: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(tag);
        match self.body.strip_prefix(b" RESERVE") {
            Some(rest) if ravenry && self.moving => {
                out.extend_from_slice(b" DEACTIVATE");
                out.extend_from_slice(rest);
            }
            _ => out.extend_from_slice(&self.body),
        }
    }

    /// Whether the name is, or was, at one of these servers; at any, if none are named.
    pub(crate) fn concerns(&self, servers: &[String]) -> bool {
        let named = |server: &str| servers.iter().any(|wanted| same(wanted, server));
        servers.is_empty()
            || self.server_now.as_deref().is_some_and(named)
            || self.server_before.as_deref().is_some_and(named)
    }

    fn bytes(&self) -> usize {
        let servers = [&self.server_now, &self.server_before];
        let servers = servers.into_iter().flatten().map(|server| server.len());
        self.body.len() + servers.sum::<usize>() + EVENT_BYTES
    }
}

/// See the head of this file.
pub(crate) struct Journal {
    events: RefCell<VecDeque<Rc<Event>>>,
    /// The number of the first event.
    first: Cell<u64>,
    /// The last commit of which an event may have gone.
    gone_through: Cell<u64>,
    bytes: Cell<usize>,
    bytes_max: usize,
    watchers: RefCell<Vec<channel::Sender<()>>>,
    /// What a follower has committed and nobody has looked at.
    feed: RefCell<Option<channel::Receiver<Made>>>,
}

impl Journal {
    /// A journal of at most `bytes_max`, of a list that is at `sequence`.
    pub(crate) fn new(bytes_max: usize, sequence: u64) -> Self {
        Self {
            events: RefCell::default(),
            first: Cell::new(0),
            gone_through: Cell::new(sequence),
            bytes: Cell::new(0),
            bytes_max,
            watchers: RefCell::default(),
            feed: RefCell::default(),
        }
    }

    /// The same for a list that a follower writes, which sends what it commits.
    pub(crate) fn fed(bytes_max: usize, sequence: u64, feed: channel::Receiver<Made>) -> Self {
        Self {
            feed: RefCell::new(Some(feed)),
            ..Self::new(bytes_max, sequence)
        }
    }

    /// Takes what the follower has committed: whoever looks at the journal sees it.
    pub(crate) fn take_in(&self) {
        loop {
            let made = match &mut *self.feed.borrow_mut() {
                Some(feed) => feed.try_recv(),
                None => None,
            };
            match made {
                Some(made) => self.publish(made),
                None => return,
            }
        }
    }

    /// What was committed: it goes to the end, and all who watch are told.
    pub(crate) fn publish(&self, made: Made) {
        let Some((last, _)) = made.changes.last() else {
            return;
        };
        if !made.whole {
            self.drop_all(*last);
        } else {
            let mut events = self.events.borrow_mut();
            for (sequence, made) in made.changes {
                let event = Event::new(sequence, made);
                self.bytes.set(self.bytes.get() + event.bytes());
                events.push_back(Rc::new(event));
            }
        }
        self.trim();
        self.wake();
    }

    /// Has all who watch look.
    pub(crate) fn wake(&self) {
        let told = |watcher: &channel::Sender<()>| {
            // One that hasn't looked at the last message yet needs no other.
            !matches!(watcher.try_send(()), Err(channel::SendError::Closed(())))
        };
        self.watchers.borrow_mut().retain(told);
    }

    /// Messages that there is something new: one may stand for many.
    pub(crate) fn watch(&self) -> channel::Receiver<()> {
        let (sender, receiver) = channel::channel(1);
        self.watchers.borrow_mut().push(sender);
        receiver
    }

    /// The place behind commit `sequence`; `None`: what comes after it isn't all here.
    pub(crate) fn place_after(&self, sequence: u64) -> Option<u64> {
        self.take_in();
        if sequence < self.gone_through.get() {
            return None;
        }
        let events = self.events.borrow();
        let before = events.partition_point(|event| event.sequence <= sequence);
        Some(self.first.get() + before as u64)
    }

    /// The change at a place; `None`: there is none yet.
    ///
    /// # Errors
    /// If it has gone.
    pub(crate) fn at(&self, place: u64) -> Result<Option<Rc<Event>>, Gone> {
        self.take_in();
        let index = place.checked_sub(self.first.get()).ok_or(Gone)?;
        let index = usize::try_from(index).map_err(|_| Gone)?;
        Ok(self.events.borrow().get(index).map(Rc::clone))
    }

    /// Whether what a stream has yet to send is still here.
    pub(crate) fn has(&self, place: u64) -> bool {
        place >= self.first.get()
    }

    fn drop_all(&self, through: u64) {
        let mut events = self.events.borrow_mut();
        // A place behind the last one would seem to be in step with what comes next.
        self.first.set(self.first.get() + events.len() as u64 + 1);
        events.clear();
        self.bytes.set(0);
        self.gone_through.set(through);
    }

    fn trim(&self) {
        let mut events = self.events.borrow_mut();
        while self.bytes.get() > self.bytes_max
            && let Some(event) = events.pop_front()
        {
            self.bytes.set(self.bytes.get() - event.bytes());
            self.first.set(self.first.get() + 1);
            self.gone_through.set(event.sequence);
        }
    }
}

/// A change that isn't kept any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// What an event takes beside its text.
const EVENT_BYTES: usize = 96;

#[cfg(test)]
mod tests {
    use ravenry_core::mailboxes::{Made, Name, OneMade};

    use super::{Gone, Journal};

    fn made(sequence: u64, names: &[&str]) -> Made {
        let gone = |name: &&str| OneMade {
            name: Name::from_mupdate(name.as_bytes()).unwrap(),
            now: None,
            server_before: Some("b1".to_owned()),
        };
        Made {
            changes: names.iter().map(|name| (sequence, gone(name))).collect(),
            whole: true,
        }
    }

    fn body(journal: &Journal, place: u64) -> String {
        let event = journal.at(place).unwrap().unwrap();
        String::from_utf8(event.body.to_vec()).unwrap()
    }

    #[test]
    fn a_place_is_behind_a_whole_commit() {
        let journal = Journal::new(1 << 20, 7);
        assert_eq!(journal.place_after(6), None, "that was before this journal");
        assert_eq!(journal.place_after(7), Some(0));
        journal.publish(made(8, &["a", "b"]));
        journal.publish(made(9, &["c"]));
        assert_eq!(journal.place_after(7), Some(0));
        assert_eq!(journal.place_after(8), Some(2));
        assert_eq!(journal.place_after(9), Some(3));
        assert_eq!(body(&journal, 2), " DELETE {1+}\r\nc\r\n");
        assert!(journal.at(3).unwrap().is_none());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let journal = Journal::new(500, 0);
        for sequence in 1..=100 {
            journal.publish(made(sequence, &["name"]));
        }
        assert_eq!(journal.at(0).err(), Some(Gone));
        assert_eq!(journal.place_after(50), None);
        let place = journal.place_after(99).unwrap();
        assert!(journal.has(place) && !journal.has(90));
        assert!(body(&journal, place).contains("name"));
        assert!(journal.bytes.get() <= 500);
    }

    #[test]
    fn where_changes_are_missing_nobody_is_in_step() {
        let journal = Journal::new(1 << 20, 0);
        journal.publish(made(1, &["a"]));
        let place = journal.place_after(1).unwrap();
        journal.publish(Made {
            whole: false,
            ..made(9, &["z"])
        });
        assert_eq!(journal.at(place).err(), Some(Gone));
        assert_eq!(journal.place_after(8), None);
        let place = journal.place_after(9).unwrap();
        assert!(journal.at(place).unwrap().is_none());
        journal.publish(made(10, &["b"]));
        assert!(body(&journal, place).contains('b'));
    }

    #[test]
    fn servers_are_told_what_is_or_was_theirs() {
        let journal = Journal::new(1 << 20, 0);
        journal.publish(made(1, &["a"]));
        let event = journal.at(0).unwrap().unwrap();
        assert!(event.concerns(&[]) && event.concerns(&["B1".to_owned()]));
        assert!(!event.concerns(&["b2".to_owned()]));
    }
}
