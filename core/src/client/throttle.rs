//! A log line that many may cause: at most one in a while, with how many it stands for.

use std::cell::Cell;
use std::time::Duration;

use crate::rt::{self, Instant};

/// Between two lines of a kind on a shard.
const QUIET: Duration = Duration::from_secs(10);

/// One kind of line.
#[derive(Debug, Default)]
pub struct Throttle {
    said: Cell<Option<Instant>>,
    unsaid: Cell<u64>,
}

impl Throttle {
    /// It has happened once more: how often since the last line, if it is time for one.
    pub fn count(&self) -> Option<u64> {
        let count = self.unsaid.get() + 1;
        let now = rt::now();
        if self.said.get().is_some_and(|said| now < said + QUIET) {
            self.unsaid.set(count);
            return None;
        }
        self.said.set(Some(now));
        self.unsaid.set(0);
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_and_the_rest_counted() {
        let throttle = Throttle::default();
        assert_eq!(throttle.count(), Some(1));
        for _ in 0..1000 {
            assert_eq!(throttle.count(), None);
        }
        let past = rt::now().checked_sub(QUIET).unwrap();
        throttle.said.set(Some(past));
        assert_eq!(throttle.count(), Some(1001));
    }
}
