//! As of when the list is known to be up to date, for answers that need no barrier of their own.
//!
//! The follower says so at every answer to a NOOP: the list has what the master had when that NOOP went
//! out. Shards read it at no cost. They also note here where they have waited for an answer in vain, so
//! that while the master is silent one of them waits, and not each. Atomics, for any thread.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use ravenry_core::rt::{self, Instant};

/// Nobody has waited in vain.
const NONE: u64 = u64::MAX - 1;
/// The list is the master's own.
const ALWAYS: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Confirmed {
    since: Instant,
    /// Microseconds after `since` and one more; 0 for never, or `ALWAYS`.
    at: AtomicU64,
    /// What `at` was when somebody began to wait in vain.
    missed: AtomicU64,
}

impl Default for Confirmed {
    fn default() -> Self {
        Self {
            since: rt::now(),
            at: AtomicU64::new(0),
            missed: AtomicU64::new(NONE),
        }
    }
}

/// A look at it, to be compared with a later one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen(u64);

impl Confirmed {
    /// The list has every change that the master had made at `at`, and they are committed.
    pub(crate) fn set(&self, at: Instant) {
        let micros = at.saturating_duration_since(self.since).as_micros();
        let micros = u64::try_from(micros).unwrap_or(NONE - 2);
        self.at.store(micros + 1, Release);
    }

    /// The list is never behind.
    pub(crate) fn set_always(&self) {
        self.at.store(ALWAYS, Release);
    }

    /// Whether the list has every change that the master had made `age` ago.
    pub(crate) fn within(&self, age: Duration) -> bool {
        match self.at.load(Acquire) {
            0 => false,
            ALWAYS => true,
            at => self.since + Duration::from_micros(at - 1) + age >= rt::now(),
        }
    }

    pub(crate) fn look(&self) -> Seen {
        Seen(self.at.load(Acquire))
    }

    /// Somebody who looked then has waited in vain.
    pub(crate) fn miss(&self, then: Seen) {
        self.missed.store(then.0, Relaxed);
    }

    /// Whether the master hasn't said a word since somebody waited in vain.
    pub(crate) fn is_silent(&self) -> bool {
        self.missed.load(Relaxed) == self.at.load(Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(10);

    #[test]
    fn it_is_as_old_as_the_noop_that_was_answered() {
        let confirmed = Confirmed::default();
        assert!(!confirmed.within(AGE), "never yet");
        let start = confirmed.since;
        confirmed.set(start);
        assert!(confirmed.within(AGE));
        while rt::now() == start {}
        assert!(!confirmed.within(Duration::ZERO));
        confirmed.set_always();
        assert!(confirmed.within(Duration::ZERO));
    }

    #[test]
    fn one_waits_in_vain_until_the_master_says_something() {
        let confirmed = Confirmed::default();
        assert!(!confirmed.is_silent());
        confirmed.miss(confirmed.look());
        assert!(confirmed.is_silent());
        confirmed.set(rt::now());
        assert!(!confirmed.is_silent());
        let then = confirmed.look();
        confirmed.set(rt::now() + AGE);
        confirmed.miss(then);
        assert!(!confirmed.is_silent(), "it has answered meanwhile");
    }
}
