//! Logins that failed, by the address they came from: a table of fixed size that all shards
//! write, without a lock.
//!
//! A slot is one word: fingerprint, failures, and when the last one was. Failures halve with every
//! [`HALVED_AFTER`]. Where a window is full of addresses that are remembered, the one with the least
//! to remember makes room, so the memory is bounded whoever knocks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::limits::FAILURE_SLOTS;

/// After so long without a failure an address has half as many.
const HALVED_AFTER: Duration = Duration::from_secs(5 * 60);
/// Slots that are looked through for an address: one cache line.
const WINDOW: usize = 8;
const FAILURES_MOST: u64 = u8::MAX as u64;
const SECONDS_BITS: u32 = 28;
const SECONDS: u64 = (1 << SECONDS_BITS) - 1;
const FAILURES_BITS: u32 = 8;
/// Below the fingerprint: failures, and seconds since the table was made (eight years of them).
const LOW_BITS: u32 = SECONDS_BITS + FAILURES_BITS;

/// The table.
#[derive(Debug)]
pub(super) struct Failures {
    slots: Box<[AtomicU64]>,
}

impl Failures {
    pub(super) fn new() -> Self {
        Self {
            slots: (0..FAILURE_SLOTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Counts a failure, and gives how many there are. `since`: the age of this table.
    pub(super) fn add(&self, hash: u64, since: Duration) -> u32 {
        let now = since.as_secs().min(SECONDS);
        loop {
            let (slot, word) = self.find(hash, now);
            let before = match is_of(word, hash) {
                true => failures(word, now),
                false => 0,
            };
            let count = (before + 1).min(FAILURES_MOST);
            let new = (hash >> LOW_BITS << LOW_BITS) | (count << SECONDS_BITS) | now;
            // Each word is by itself: nothing is ordered by it.
            let order = Ordering::Relaxed;
            if slot.compare_exchange(word, new, order, order).is_ok() {
                return u32::try_from(count).unwrap_or(u32::MAX);
            }
        }
    }

    /// The slot of an address, or the one that is missed the least.
    fn find(&self, hash: u64, now: u64) -> (&AtomicU64, u64) {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
        let home = hash as usize & (self.slots.len() - 1) & !(WINDOW - 1);
        let window = &self.slots[home..home + WINDOW];
        let words = window
            .iter()
            .map(|slot| (slot, slot.load(Ordering::Relaxed)));
        words
            .min_by_key(|(_, word)| match is_of(*word, hash) {
                true => (0, 0, 0),
                false => (1, failures(*word, now), *word & SECONDS),
            })
            .expect("invariant: a window has slots")
    }
}

/// How many failures a word still stands for.
fn failures(word: u64, now: u64) -> u64 {
    let age = now.saturating_sub(word & SECONDS);
    let halvings = age / HALVED_AFTER.as_secs();
    let count = (word >> SECONDS_BITS) & FAILURES_MOST;
    u32::try_from(halvings)
        .ok()
        .and_then(|halvings| count.checked_shr(halvings))
        .unwrap_or(0)
}

fn is_of(word: u64, hash: u64) -> bool {
    word != 0 && word >> LOW_BITS == hash >> LOW_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn address(number: u64) -> u64 {
        number << LOW_BITS
    }

    #[test]
    fn failures_add_up_and_are_forgotten() {
        let failures = Failures::new();
        for count in 1..=4 {
            assert_eq!(
                failures.add(address(7), at(count)),
                u32::try_from(count).unwrap()
            );
        }
        assert_eq!(failures.add(address(8), at(5)), 1, "another address");
        assert_eq!(failures.add(address(7), at(4 + 299)), 5);
        assert_eq!(
            failures.add(address(7), at(303 + 300)),
            3,
            "half of five, and one"
        );
        assert_eq!(
            failures.add(address(7), at(1_000_000)),
            1,
            "all is forgotten"
        );
        for _ in 0..1000 {
            failures.add(address(9), at(5));
        }
        assert_eq!(failures.add(address(9), at(5)), 255);
    }

    #[test]
    fn the_least_remembered_make_room() {
        let failures = Failures::new();
        for _ in 0..10 {
            failures.add(address(1), at(10));
        }
        for stranger in 2..1000 {
            assert_eq!(failures.add(address(stranger), at(11)), 1);
        }
        assert_eq!(failures.add(address(1), at(12)), 11, "the worst one stays");
    }

    #[test]
    fn threads_lose_no_failure() {
        let failures = Failures::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        failures.add(address(3), at(1));
                    }
                });
            }
        });
        assert_eq!(failures.add(address(3), at(1)), 201);
    }
}
