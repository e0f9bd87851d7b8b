//! When each session of a shard that drains says good-bye.
//!
//! Clients that are sent away come back at once, to another frontend or to this one's successor; all
//! of them in one second would be a storm. So the good-byes are spread evenly over the time there is:
//! the n-th session that asks leaves after n parts of it, and until then goes on as ever. Where
//! there are few the end comes sooner.

use std::cell::Cell;
use std::time::Duration;

use crate::rt::{self, Instant};

/// Of a shard: a TLS handshake and a login for each of these are some hundredths of a CPU.
const GOODBYES_PER_SECOND: u32 = 200;
/// What is kept of the drain for commands that are cut off, and for good-byes on their way.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A shard's good-byes.
#[derive(Debug)]
pub struct Departures {
    /// The last session has left by then, counted from the beginning.
    within: Duration,
    /// Set when the first session asks.
    plan: Cell<Option<Plan>>,
    given: Cell<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    began: Instant,
    sessions: u32,
    spread: Duration,
}

impl Departures {
    /// `drain`: from the first word of the end to its last.
    pub fn new(drain: Duration) -> Self {
        Self {
            within: drain - LAST_WORDS.min(drain / 5),
            plan: Cell::new(None),
            given: Cell::new(0),
        }
    }

    /// When the next session leaves; `open` are there when the first one asks.
    pub fn next(&self, open: u32) -> Instant {
        let plan = self.plan(open);
        let number = self.given.get();
        self.given.set(number.saturating_add(1));
        let share = f64::from(number.min(plan.sessions)) / f64::from(plan.sessions);
        plan.began + plan.spread.mul_f64(share)
    }

    /// When a command that is still under way is cut off.
    pub fn cut_off(&self, open: u32) -> Instant {
        self.plan(open).began + self.within
    }

    fn plan(&self, open: u32) -> Plan {
        if let Some(plan) = self.plan.get() {
            return plan;
        }
        let few = Duration::from_secs(1) * open / GOODBYES_PER_SECOND;
        let plan = Plan {
            began: rt::now(),
            sessions: open.max(1),
            spread: few.min(self.within),
        };
        self.plan.set(Some(plan));
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaving(drain: u64, open: u32) -> Vec<Duration> {
        let departures = Departures::new(Duration::from_secs(drain));
        let times: Vec<_> = (0..open).map(|_| departures.next(open)).collect();
        times.iter().map(|at| *at - times[0]).collect()
    }

    #[test]
    fn many_are_spread_evenly_over_the_whole() {
        let times = leaving(30, 100_000);
        assert!(times.is_sorted());
        for second in 0..28 {
            let second = Duration::from_secs(second);
            let within = second..second + Duration::from_secs(1);
            let count = times.iter().filter(|at| within.contains(*at)).count();
            assert!((3500..3650).contains(&count), "{count} at {second:?}");
        }
        assert!(*times.last().unwrap() <= Duration::from_secs(28));
    }

    #[test]
    fn few_are_soon_gone() {
        assert_eq!(leaving(30, 1), [Duration::ZERO]);
        assert!(*leaving(30, 400).last().unwrap() < Duration::from_secs(2));
        assert!(*leaving(1, 400).last().unwrap() <= Duration::from_millis(800));
    }

    #[test]
    fn whoever_comes_late_leaves_at_the_end() {
        let departures = Departures::new(Duration::from_secs(10));
        let first = departures.next(2);
        let rest: Vec<_> = (0..5).map(|_| departures.next(9)).collect();
        assert!(
            rest.iter()
                .all(|at| *at - first <= Duration::from_millis(10))
        );
        assert_eq!(departures.cut_off(0) - first, Duration::from_secs(8));
    }
}
