//! Who waits for the list to be up to date, and for which NOOP.
//!
//! A shard that misses a name asks whether the list is up to date. The master answers a NOOP
//! only after every change that came before it, so the answer to a NOOP *sent after the request*
//! is the answer to the request. Requests that come together share one: those in `flying` wait
//! for the NOOP that is in flight, those in `queued` came after it went out and wait for the next.
//! Never more than one NOOP is in flight, and never more than one is owed.
//!
//! Pure: no clock, no channel. `R` is whatever takes the answer.

use ravenry_core::rt::Instant;

/// One who waits, and until when.
#[derive(Debug)]
struct Waiter<R> {
    reply: R,
    deadline: Instant,
}

/// Everybody who waits for a barrier.
#[derive(Debug)]
pub(crate) struct Barriers<R> {
    flying: Vec<Waiter<R>>,
    queued: Vec<Waiter<R>>,
    /// Not after any deadline of a waiter: nothing is searched before it. `None`: nobody waits.
    earliest: Option<Instant>,
    count_max: usize,
}

impl<R> Barriers<R> {
    pub(crate) fn new(count_max: usize) -> Self {
        Self {
            flying: Vec::new(),
            queued: Vec::new(),
            earliest: None,
            count_max,
        }
    }

    /// Lets `reply` wait for a NOOP that is yet to be sent; gives it back when too many wait.
    pub(crate) fn ask(&mut self, reply: R, deadline: Instant) -> Result<(), R> {
        if self.flying.len() + self.queued.len() >= self.count_max {
            return Err(reply);
        }
        self.earliest = Some(
            self.earliest
                .map_or(deadline, |earliest| earliest.min(deadline)),
        );
        #[cfg(bug_6)] // Who asks while a NOOP is under way rides on it, though it was sent before.
        if !self.flying.is_empty() {
            self.flying.push(Waiter { reply, deadline });
            return Ok(());
        }
        self.queued.push(Waiter { reply, deadline });
        Ok(())
    }

    /// Whether somebody waits for a NOOP that has not been sent.
    pub(crate) fn wanted(&self) -> bool {
        !self.queued.is_empty()
    }

    /// A NOOP goes out: it answers all who are queued. Says how many share it.
    pub(crate) fn sent(&mut self) -> usize {
        debug_assert!(self.flying.is_empty(), "one NOOP in flight");
        self.flying.append(&mut self.queued);
        self.flying.len()
    }

    /// The NOOP in flight is answered, and what came before it is in the list.
    pub(crate) fn answered(&mut self) -> impl Iterator<Item = R> + '_ {
        if self.queued.is_empty() {
            self.earliest = None;
        }
        self.flying.drain(..).map(|waiter| waiter.reply)
    }

    /// The stream broke: the NOOP in flight will not be answered, those who wait for it are
    /// asked for again, first.
    pub(crate) fn broken(&mut self) {
        self.flying.append(&mut self.queued);
        std::mem::swap(&mut self.flying, &mut self.queued);
    }

    /// Takes out all who wait.
    pub(crate) fn take_all(&mut self) -> Vec<R> {
        self.earliest = None;
        let waiters = self.flying.drain(..).chain(self.queued.drain(..));
        waiters.map(|waiter| waiter.reply).collect()
    }

    /// Takes out those whose time is over.
    pub(crate) fn expired(&mut self, now: Instant) -> Vec<R> {
        if self.earliest.is_none_or(|earliest| now < earliest) {
            return Vec::new();
        }
        let mut expired = Vec::new();
        for waiters in [&mut self.flying, &mut self.queued] {
            for waiter in std::mem::take(waiters) {
                if waiter.deadline <= now {
                    expired.push(waiter.reply);
                } else {
                    waiters.push(waiter);
                }
            }
        }
        self.earliest = self
            .flying
            .iter()
            .chain(&self.queued)
            .map(|waiter| waiter.deadline)
            .min();
        expired
    }

    /// When [`Self::expired`] has to be called again, at the latest.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.earliest
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ravenry_core::rt;

    use super::Barriers;

    #[test]
    fn those_who_come_together_share_and_those_who_come_later_wait_for_the_next() {
        let later = rt::now() + Duration::from_secs(9);
        let mut barriers = Barriers::new(9);
        for reply in [1, 2] {
            barriers.ask(reply, later).unwrap();
        }
        assert!(barriers.wanted());
        assert_eq!(barriers.sent(), 2);
        assert!(!barriers.wanted());
        barriers.ask(3, later).unwrap();
        assert!(barriers.wanted());
        assert_eq!(barriers.answered().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(barriers.sent(), 1);
        assert_eq!(barriers.answered().collect::<Vec<_>>(), [3]);
        assert_eq!(barriers.next_deadline(), None);
    }

    #[test]
    fn a_broken_stream_asks_again_in_order() {
        let later = rt::now() + Duration::from_secs(9);
        let mut barriers = Barriers::new(9);
        barriers.ask(1, later).unwrap();
        barriers.sent();
        barriers.ask(2, later).unwrap();
        barriers.broken();
        assert_eq!(barriers.sent(), 2);
        assert_eq!(barriers.answered().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn deadlines_take_out_only_those_who_are_due() {
        let start = rt::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut barriers = Barriers::new(9);
        barriers.ask(1, after(5)).unwrap();
        barriers.sent();
        barriers.ask(2, after(3)).unwrap();
        barriers.ask(3, after(8)).unwrap();
        assert_eq!(barriers.next_deadline(), Some(after(3)));
        assert!(barriers.expired(after(2)).is_empty());
        assert_eq!(barriers.expired(after(6)), [1, 2]);
        assert_eq!(barriers.next_deadline(), Some(after(8)));
        assert_eq!(barriers.expired(after(8)), [3]);
        assert_eq!(barriers.next_deadline(), None);
    }

    #[test]
    fn all_can_be_sent_away() {
        let later = rt::now() + Duration::from_secs(9);
        let mut barriers = Barriers::new(2);
        barriers.ask(1, later).unwrap();
        barriers.sent();
        barriers.ask(2, later).unwrap();
        assert_eq!(barriers.take_all(), [1, 2]);
        assert!(!barriers.wanted());
        assert_eq!(barriers.next_deadline(), None);
        barriers.ask(3, later).unwrap();
        assert_eq!(barriers.sent(), 1);
    }

    #[test]
    fn no_more_wait_than_may() {
        let later = rt::now() + Duration::from_secs(9);
        let mut barriers = Barriers::new(1);
        barriers.ask(1, later).unwrap();
        barriers.sent();
        assert_eq!(barriers.ask(2, later), Err(2));
    }
}
