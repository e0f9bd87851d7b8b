//! For the shards of a process that is the master itself: their list is the master's own, so they
//! are always up to date, and are told of every commit.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ravenry_core::mailboxes::{ListReader, ListWriter};
use ravenry_core::rt::{self, Either, channel};

use super::journal::Journal;
use crate::barrier::{self, Barrier, BarrierError, Request};
use crate::follower::Resigned;
use crate::status::{AwayReason, FollowerState, Published};

/// The master's end.
pub struct Local {
    list: ListReader,
    requests: channel::Receiver<Request>,
    published: Arc<Published>,
    watchers: Vec<channel::Sender<()>>,
}

/// The two ends: for the mupdate core, and for the shards.
pub fn local(list: ListReader) -> (Local, Barrier) {
    let published = Arc::new(Published::new(0, 0));
    let (barrier, requests) = barrier::pair(Arc::clone(&published));
    let local = Local {
        list,
        requests,
        published,
        watchers: Vec::new(),
    };
    (local, barrier)
}

impl From<Resigned> for (Local, ListWriter) {
    /// Those who asked a follower ask the master that it has become.
    fn from(resigned: Resigned) -> Self {
        let local = Local {
            list: resigned.list,
            requests: resigned.requests,
            published: resigned.published,
            watchers: resigned.watchers,
        };
        (local, resigned.writer)
    }
}

/// Says that the master has ended.
pub(crate) struct Ended(Arc<Published>);

impl Ended {
    pub(crate) fn say(&self) {
        let ended = FollowerState::Away(AwayReason::NotRunning);
        self.0.set_state(ended);
    }
}

impl Local {
    pub(crate) fn ended(&self) -> Ended {
        Ended(Arc::clone(&self.published))
    }

    /// Answers until the shard drains.
    pub(crate) async fn run(mut self, journal: Rc<Journal>) {
        let mut news = journal.watch();
        self.published.set_state(FollowerState::Streaming);
        self.published.confirmed.set_always();
        self.publish();
        loop {
            let woken = rt::select(self.requests.recv(), news.recv());
            match rt::select(rt::draining(), woken).await {
                Either::Right(Either::Left(Some(request))) => self.answer(request),
                Either::Right(Either::Right(Some(()))) => self.publish(),
                Either::Left(()) | Either::Right(Either::Left(None) | Either::Right(None)) => {
                    return;
                }
            }
        }
    }

    fn answer(&mut self, request: Request) {
        match request {
            Request::UpToDate { reply, .. } => {
                let sequence = self.list.sequence();
                let answer = sequence.map_err(|_unreadable| BarrierError::Unavailable {
                    why: "the mailbox list can't be read",
                });
                // Whoever asked may have gone.
                let _ = reply.send(answer);
            }
            Request::Watch(watcher) => {
                if barrier::told(&watcher) {
                    self.watchers.push(watcher);
                }
            }
        }
    }

    fn publish(&mut self) {
        self.published.contact(rt::wall_clock());
        if let (Ok(names), Ok(sequence)) = (self.list.count(), self.list.sequence()) {
            self.published.names.store(names, Relaxed);
            self.published.sequence.store(sequence, Relaxed);
        }
        self.watchers.retain(barrier::told);
    }
}
