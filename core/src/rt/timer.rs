//! Timers: a sorted table of deadlines in each shard; the loop waits in the kernel until the first.
//!
//! A timer is entered when its future first has to wait and taken out when the future is dropped,
//! so a deadline that isn't needed costs nothing, and thousands that are cost a few dozen bytes
//! each.

use std::{
    collections::BTreeMap,
    error, fmt, io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

#[cfg(feature = "foreign")]
use super::foreign;
use super::{Either, Instant, Select, combine::select, now, shard, waker::TaskId};

/// A timer's place in the table: its deadline, and a number that tells equal deadlines apart.
type Key = (Instant, u64);

#[derive(Default)]
pub(super) struct Timers {
    entries: BTreeMap<Key, TaskId>,
    last: u64,
}

impl Timers {
    fn insert(&mut self, deadline: Instant, task: TaskId) -> Key {
        self.last += 1;
        self.entries.insert((deadline, self.last), task);
        (deadline, self.last)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn first(&self) -> Option<Instant> {
        self.entries.first_key_value().map(|(key, _)| key.0)
    }

    /// Takes out one timer whose time has come.
    pub(super) fn expire(&mut self, now: Instant) -> Option<TaskId> {
        let entry = self.entries.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

/// Waits until a time. Dropping it takes the timer back.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    deadline: Instant,
    /// The timer, and the shard that keeps it.
    timer: Option<(u64, Key)>,
    #[cfg(feature = "foreign")]
    foreign: foreign::Timer,
}

/// Waits for `duration`.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(after(duration))
}

/// Waits until `deadline`.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        deadline,
        timer: None,
        #[cfg(feature = "foreign")]
        foreign: foreign::Timer::default(),
    }
}

/// The time `duration` from now; a duration beyond the clock's end becomes a century.
pub(super) fn after(duration: Duration) -> Instant {
    let now = now();
    now.checked_add(duration).unwrap_or(now + CENTURY)
}

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if now() >= self.deadline {
            self.cancel();
            return Poll::Ready(());
        }
        #[cfg(feature = "foreign")]
        {
            let deadline = self.deadline;
            if let Some(polled) = self.foreign.poll(deadline, context) {
                return polled;
            }
        }
        let task = TaskId::of(context.waker());
        shard::with(|shard| {
            let mut timers = shard.timers.borrow_mut();
            if let Some((serial, key)) = self.timer
                && serial == shard.serial
                && let Some(waiting) = timers.entries.get_mut(&key)
            {
                *waiting = task;
            } else {
                self.timer = Some((shard.serial, timers.insert(self.deadline, task)));
            }
        });
        Poll::Pending
    }
}

impl Sleep {
    fn cancel(&mut self) {
        #[cfg(feature = "foreign")]
        self.foreign.cancel();
        let Some((serial, key)) = self.timer.take() else {
            return;
        };
        shard::try_with(|shard| {
            if shard.serial == serial {
                shard.timers.borrow_mut().entries.remove(&key);
            }
        });
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        #[cfg(not(bug_10))] // Else timers that nobody waits for stay.
        self.cancel();
    }
}

/// The time was over before the future was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is over")
    }
}

impl error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(io::ErrorKind::TimedOut, elapsed)
    }
}

/// Gives the future `duration` from now, then drops it.
///
/// # Errors
/// [`Elapsed`] if the future was not done in time.
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    timeout_at(after(duration), future)
}

/// Gives the future until `deadline`, then drops it. A future that is done at once is never late.
///
/// # Errors
/// [`Elapsed`] if the future was not done in time.
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    Timeout {
        race: select(future, sleep_until(deadline)),
    }
}

/// What [`timeout`] gives.
#[derive(Debug)]
#[must_use = "it does nothing unless awaited"]
pub struct Timeout<F> {
    race: Select<F, Sleep>,
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the one field is pinned with the whole, for the reasons that `Select` has.
        let race = unsafe { self.map_unchecked_mut(|timeout| &mut timeout.race) };
        race.poll(context).map(|first| match first {
            Either::Left(output) => Ok(output),
            Either::Right(()) => Err(Elapsed),
        })
    }
}
