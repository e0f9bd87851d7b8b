//! What a run has measured: two histograms, and what failed.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Three significant figures, from a nanosecond to an hour.
const NANOS_MAX: u64 = 3_600_000_000_000;
const FIGURES: u8 = 3;
/// So many different failures are kept as text.
const FAILURES_MAX: usize = 20;

/// What a run has measured.
#[derive(Clone, Debug)]
pub struct Record {
    /// From the intended start to the end, in nanoseconds.
    pub latency: Histogram<u64>,
    /// From the moment of sending to the end: what a closed loop would have seen.
    pub service: Histogram<u64>,
    /// Operations that ended well.
    pub done: u64,
    /// Bytes of bodies in them.
    pub bytes: u64,
    /// Operations that failed, each with its session.
    pub failed: u64,
    /// How they failed.
    pub failures: Vec<String>,
    /// Operations that should have begun and were given up, for the run was over long ago.
    pub unsent: u64,
    /// From the first intended start to the last end.
    pub took: Duration,
}

impl Default for Record {
    fn default() -> Self {
        let empty = || {
            Histogram::new_with_bounds(1, NANOS_MAX, FIGURES)
                .expect("invariant: bounds and figures are in range")
        };
        Self {
            latency: empty(),
            service: empty(),
            done: 0,
            bytes: 0,
            failed: 0,
            failures: Vec::new(),
            unsent: 0,
            took: Duration::ZERO,
        }
    }
}

impl Record {
    /// An operation has ended well.
    pub fn done(&mut self, latency: Duration, service: Duration, bytes: u64) {
        self.latency.saturating_record(nanos(latency));
        self.service.saturating_record(nanos(service));
        self.done += 1;
        self.bytes += bytes;
    }

    /// An operation has failed.
    pub fn failed(&mut self, why: String) {
        self.failed += 1;
        if self.failures.len() < FAILURES_MAX && !self.failures.contains(&why) {
            self.failures.push(why);
        }
    }

    /// Whether all that should have been done was, and right.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failed == 0 && self.unsent == 0
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
