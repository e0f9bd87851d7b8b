//! The shards' end of the follower: "is the list up to date?", and its published status.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ravenry_core::rt::{self, Instant, channel};

use crate::config::WAIT;
use crate::status::{FollowerState, FollowerStatus, Published};

/// Requests on their way to the follower; it takes them at every turn.
const REQUESTS_MAX: usize = 4096;

/// Why nobody can tell whether the list is up to date. Never the same as "no such name".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarrierError {
    /// There is no stream, and there was none up to the deadline, or none is in sight.
    Unavailable {
        /// In words for a log line, without a full stop.
        why: &'static str,
    },
    /// There is a stream, but the answer did not come in time.
    TimedOut,
}

impl BarrierError {
    pub(crate) const CROWDED: Self = Self::Unavailable {
        why: "too many wait for the MUPDATE master",
    };
    pub(crate) const REFUSED: Self = Self::Unavailable {
        why: "the MUPDATE server can't reach its own master",
    };
    const ENDED: Self = Self::Unavailable {
        why: "the follower has ended",
    };

    /// What a deadline that passed means in `state`.
    pub(crate) fn late(state: FollowerState) -> Self {
        state
            .trouble()
            .map_or(Self::TimedOut, |why| Self::Unavailable { why })
    }
}

impl fmt::Display for BarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable { why } => f.write_str(why),
            Self::TimedOut => f.write_str("the MUPDATE master did not answer in time"),
        }
    }
}

impl std::error::Error for BarrierError {}

/// A question on its way to the follower.
pub(crate) enum Request {
    /// Is the list up to date?
    UpToDate { deadline: Instant, reply: Reply },
    /// To be told of every commit.
    Watch(channel::Sender<()>),
}

/// Where the answer goes.
pub(crate) type Reply = channel::OneSender<Result<u64, BarrierError>>;

/// A handle for shards: asks whether the list has every change that the master has made.
#[derive(Clone)]
pub struct Barrier {
    requests: channel::Sender<Request>,
    published: Arc<Published>,
}

/// The two ends.
pub(crate) fn pair(published: Arc<Published>) -> (Barrier, channel::Receiver<Request>) {
    let (requests, receiver) = channel::channel(REQUESTS_MAX);
    (
        Barrier {
            requests,
            published,
        },
        receiver,
    )
}

impl Barrier {
    /// Waits until the list has every change that the master had made when this was called;
    /// returns a sequence of the list that has them all.
    ///
    /// It fails when `within` has passed. A stream that has just broken may come back in time, and
    /// then answers; once the master has been away for a second and an attempt to reach it has
    /// failed, or where waiting alone doesn't help, it fails at once. So it does where the follower
    /// has ended, or far too many wait. Dropping the future is fine.
    pub async fn wait(&self, within: Duration) -> Result<u64, BarrierError> {
        self.published.barriers_asked.fetch_add(1, Relaxed);
        let outcome = self.ask(rt::now() + within.min(WAIT.1)).await;
        if outcome.is_err() {
            self.published.barriers_failed.fetch_add(1, Relaxed);
        }
        outcome
    }

    /// Whether the list has every change that the master had made `age` ago. Costs a look at the clock.
    pub fn is_fresh(&self, age: Duration) -> bool {
        self.published.confirmed.within(age)
    }

    /// [`Barrier::wait`] for answers that may be a little behind where the master is slow or away: whether
    /// the list is up to date now. Nobody waits while there is no stream, nor where somebody has waited
    /// in vain and the master hasn't said a word since.
    pub async fn refresh(&self, within: Duration) -> bool {
        let confirmed = &self.published.confirmed;
        if self.published.state() != FollowerState::Streaming || confirmed.is_silent() {
            return false;
        }
        let then = confirmed.look();
        match self.wait(within).await {
            Ok(_sequence) => true,
            Err(BarrierError::CROWDED) => false,
            Err(_) => {
                confirmed.miss(then);
                false
            }
        }
    }

    /// Messages that the list has changed: at least one after each commit, and one to begin with.
    /// Commits that nobody has looked at yet share one. They end where the follower does.
    pub fn watch(&self) -> channel::Receiver<()> {
        let (changed, changes) = channel::channel(1);
        // Where there is no room for the request there is no message either, and that is seen.
        let _ = self.requests.try_send(Request::Watch(changed));
        changes
    }

    /// What the follower is doing and has done.
    pub fn status(&self) -> FollowerStatus {
        self.published.read()
    }

    async fn ask(&self, deadline: Instant) -> Result<u64, BarrierError> {
        let (reply, answer) = channel::oneshot();
        if let Err(refused) = self
            .requests
            .try_send(Request::UpToDate { deadline, reply })
        {
            return Err(match refused {
                channel::SendError::Full(_) => BarrierError::CROWDED,
                channel::SendError::Closed(_) => BarrierError::ENDED,
            });
        }
        // The follower answers at the deadline as well; its core may be busy with a commit.
        match rt::timeout_at(deadline, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_closed)) => Err(BarrierError::ENDED),
            Err(_elapsed) => Err(BarrierError::late(self.published.state())),
        }
    }
}

/// Tells a watcher that the list has changed. False: it has gone.
pub(crate) fn told(watcher: &channel::Sender<()>) -> bool {
    // One that hasn't looked at the last message yet needs no other.
    !matches!(watcher.try_send(()), Err(channel::SendError::Closed(())))
}
