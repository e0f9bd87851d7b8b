//! Group commit: what is asked for while a commit is under way waits here for the next one, which takes all of it.
//!
//! Who was answered by a commit mostly has the next order ready: the commit behind it waits for them, for a part of the
//! time that a commit takes. Otherwise those who were answered and those who waited meanwhile would take turns, two
//! halves that each pay for a sync.

use std::collections::VecDeque;
use std::time::Duration;

use crate::rt::channel::{self, Receiver, Sender};
use crate::rt::{self, Instant};

/// Orders that may wait for the next commit; past it they are refused.
const ORDERS_MAX: usize = 16_384;
/// Orders in one commit: some milliseconds of a thread, a few MiB of pages.
pub const GROUP_ORDERS_MAX: usize = 1024;
/// What part of a commit's time the next one waits for those who were answered.
const PATIENCE: u32 = 2;
/// It waits no longer, however slow the disk is.
const PATIENCE_MAX: Duration = Duration::from_millis(1);

/// Where orders come together: where to send them, and where they wait.
#[must_use]
pub fn waiting<W: Send>() -> (Sender<W>, Waiting<W>) {
    let (work, incoming) = channel::channel(ORDERS_MAX);
    let waiting = Waiting {
        incoming,
        here: VecDeque::new(),
        answered: 0,
        patient_until: rt::now(),
    };
    (work, waiting)
}

/// What waits for the next commit.
pub struct Waiting<W> {
    incoming: Receiver<W>,
    here: VecDeque<W>,
    /// How many the last commit answered.
    answered: usize,
    patient_until: Instant,
}

impl<W: Send> Waiting<W> {
    /// Nothing has been taken from the channel and not been carried out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.here.is_empty()
    }

    /// Waits for one more; false: there won't be any.
    pub async fn more(&mut self) -> bool {
        let next = self.incoming.recv().await;
        let any = next.is_some();
        self.here.extend(next);
        any
    }

    /// Takes one more, if it has come.
    pub fn more_now(&mut self) -> bool {
        let next = self.incoming.try_recv();
        let any = next.is_some();
        self.here.extend(next);
        any
    }

    /// Takes what has come, and what those who were answered just now send at once.
    pub async fn gather(&mut self) {
        while self.more_now() {}
        let expected = GROUP_ORDERS_MAX.min(self.here.len() + self.answered);
        self.answered = 0;
        let until = self.patient_until;
        while self.here.len() < expected {
            if !matches!(rt::timeout_at(until, self.more()).await, Ok(true)) {
                return;
            }
        }
    }

    /// The next one.
    pub fn pop(&mut self) -> Option<W> {
        self.here.pop_front()
    }

    /// It has to wait for another commit, before all others.
    pub fn put_back(&mut self, work: W) {
        self.here.push_front(work);
    }

    /// A commit took so long, and so many are answered now.
    pub fn committed(&mut self, took: Duration, answered: usize) {
        self.patient_until = rt::now() + PATIENCE_MAX.min(took / PATIENCE);
        self.answered = answered;
    }
}
