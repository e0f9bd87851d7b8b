//! How long to wait before the next attempt to reach the master: doubled with each failure up to
//! a bound, with jitter so that the frontends of a site do not come back all at once.

use std::time::Duration;

/// The wait grows with each failure and starts anew after a stream that stood for a while.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        let max = max.max(min);
        Self {
            min,
            max,
            next: min,
        }
    }

    /// The wait after another failure: between a half and the whole of the present step, as
    /// `chance` (any number) says.
    pub(crate) fn after_failure(&mut self, chance: u64) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.max);
        let half = whole / 2;
        let span = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).max(1);
        whole - Duration::from_nanos(chance % span)
    }

    /// No step but the longest, for a failure that waiting alone does not mend.
    pub(crate) fn be_slow(&mut self) {
        self.next = self.max;
    }

    /// A stream has ended that stood for so long. One that broke at once doesn't count: a master
    /// that can't keep a stream is not asked for its whole list many times a second.
    pub(crate) fn after_stream(&mut self, stood: Duration) {
        if stood >= self.max {
            self.next = self.min;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::Backoff;

    proptest! {
        #[test]
        fn steps_double_up_to_the_bound_and_start_anew(chances in prop::collection::vec(any::<u64>(), 1..20)) {
            let (min, max) = (Duration::from_millis(100), Duration::from_secs(5));
            let mut backoff = Backoff::new(min, max);
            let mut step = min;
            for chance in chances {
                let wait = backoff.after_failure(chance);
                prop_assert!(wait <= step && wait >= step / 2, "{wait:?} of {step:?}");
                step = (step * 2).min(max);
            }
            backoff.after_stream(Duration::MAX);
            prop_assert!(backoff.after_failure(0) == min);
        }
    }

    #[test]
    fn a_bound_of_nothing_is_no_trap() {
        let mut backoff = Backoff::new(Duration::ZERO, Duration::ZERO);
        assert_eq!(backoff.after_failure(u64::MAX), Duration::ZERO);
    }
}
