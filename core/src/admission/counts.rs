//! How many connections each address, and each user, has: a table that all shards write, without
//! a lock.
//!
//! The kernel spreads connections over the shards by a hash, so a limit that is divided among them
//! would refuse one client and let another have all: the count has to be one (decision 0008). A slot is one
//! word, a fingerprint of the key and a count; a key's slot is in a window that its hash names. Two
//! threads that enter the same new key at once may make two slots of it, so the count of a key is
//! the sum over its window.
//!
//! Invariants: a slot whose count isn't zero keeps its fingerprint, so that whoever entered leaves
//! by a subtraction in the slot it remembers. Each enters first and sums afterwards, in one order
//! for all (`SeqCst`): of those who enter at a limit the last sees all others, so a limit is never
//! passed; two at once may both be refused the last place.

use std::sync::atomic::{AtomicU64, Ordering};

/// Slots that are looked through for a key: eight cache lines, one after the other. With half of
/// all slots taken a window is full once in some hundred thousand.
const WINDOW: usize = 64;
/// The low bits of a word: how many. The others are the fingerprint.
const COUNT_BITS: u32 = 24;
const COUNT: u64 = (1 << COUNT_BITS) - 1;

/// A table of counts.
#[derive(Debug)]
pub(super) struct Counts {
    slots: Box<[AtomicU64]>,
}

/// What came of entering.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// Counted, in this slot.
    In(usize),
    /// There are as many as may be.
    Full,
    /// The window is full: nobody counts this one.
    Uncounted,
}

impl Counts {
    /// For so many keys at once.
    pub(super) fn new(keys: usize) -> Self {
        let slots = (keys * 2).next_power_of_two().max(WINDOW);
        Self {
            slots: (0..slots).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Counts one more of this key, if then there are no more than `most`.
    pub(super) fn enter(&self, hash: u64, most: u64) -> Entered {
        let Some(slot) = self.add(hash) else {
            return Entered::Uncounted;
        };
        if self.sum(hash) <= most {
            return Entered::In(slot);
        }
        self.leave(slot);
        Entered::Full
    }

    /// One less of the key in this slot.
    pub(super) fn leave(&self, slot: usize) {
        self.slots[slot].fetch_sub(1, Ordering::SeqCst);
    }

    fn add(&self, hash: u64) -> Option<usize> {
        loop {
            let mut free = None;
            let mut own = None;
            for slot in self.window(hash) {
                let word = self.slots[slot].load(Ordering::SeqCst);
                if word & COUNT == 0 {
                    free.get_or_insert((slot, word));
                } else if is_of(word, hash) {
                    own = Some((slot, word));
                    break;
                }
            }
            let (slot, word) = own.or(free)?;
            let more = fingerprint(hash) | ((word & COUNT) + 1);
            let (set, failed) = (Ordering::SeqCst, Ordering::Relaxed);
            if self.slots[slot]
                .compare_exchange(word, more, set, failed)
                .is_ok()
            {
                return Some(slot);
            }
        }
    }

    fn sum(&self, hash: u64) -> u64 {
        let words = self
            .window(hash)
            .map(|slot| self.slots[slot].load(Ordering::SeqCst));
        words
            .filter(|word| is_of(*word, hash))
            .map(|word| word & COUNT)
            .sum()
    }

    fn window(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let mask = self.slots.len() - 1;
        // The mask takes the low bits of whatever is left of them.
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
        let home = hash as usize;
        (0..WINDOW).map(move |step| home.wrapping_add(step) & mask)
    }
}

fn fingerprint(hash: u64) -> u64 {
    hash & !COUNT
}

/// The fingerprint has the high bits, the place in the table the low ones.
fn is_of(word: u64, hash: u64) -> bool {
    fingerprint(word) == fingerprint(hash)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    const ONE: u64 = 0x1234_5678_9abc_def0;
    const OTHER: u64 = 0x4321_5678_9abc_def0;

    fn all_free(counts: &Counts) -> bool {
        let word = |slot: &AtomicU64| slot.load(Ordering::SeqCst);
        counts.slots.iter().all(|slot| word(slot) & COUNT == 0)
    }

    #[test]
    fn keys_are_counted_apart() {
        let counts = Counts::new(100);
        let place = |hash, most| match counts.enter(hash, most) {
            Entered::In(slot) => Some(slot),
            _ => None,
        };
        let first = place(ONE, 2).unwrap();
        let second = place(ONE, 2).unwrap();
        assert_eq!(place(ONE, 2), None);
        let other = place(OTHER, 1).unwrap();
        assert_eq!(place(OTHER, 1), None);
        counts.leave(first);
        assert!(place(ONE, 2).is_some());
        assert_eq!(place(ONE, 2), None);
        for slot in [first, second, other] {
            counts.leave(slot);
        }
        assert!(all_free(&counts));
    }

    #[test]
    fn a_full_window_lets_in_uncounted() {
        let counts = Counts::new(WINDOW / 2);
        for key in 1..=WINDOW as u64 {
            assert!(matches!(counts.enter(key << COUNT_BITS, 1), Entered::In(_)));
        }
        assert_eq!(counts.enter(99 << COUNT_BITS, 1), Entered::Uncounted);
        assert_eq!(
            counts.enter(1 << COUNT_BITS, 1),
            Entered::Full,
            "one that is known is counted"
        );
    }

    #[test]
    fn threads_never_pass_a_limit() {
        const THREADS: usize = 4;
        const MOST: u64 = 3;
        let counts = Counts::new(8);
        let inside = [const { AtomicU64::new(0) }; 3];
        let passed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (counts, inside, passed) = (&counts, &inside, &passed);
                scope.spawn(move || {
                    for turn in 0..20_000 {
                        let key = (turn + thread) % inside.len();
                        // All three begin at the same slot.
                        let hash = (key as u64 + 1) << COUNT_BITS;
                        let Entered::In(slot) = counts.enter(hash, MOST) else {
                            continue;
                        };
                        if inside[key].fetch_add(1, Ordering::SeqCst) >= MOST {
                            passed.store(true, Ordering::SeqCst);
                        }
                        if turn % 64 == 0 {
                            std::thread::yield_now();
                        }
                        inside[key].fetch_sub(1, Ordering::SeqCst);
                        counts.leave(slot);
                    }
                });
            }
        });
        assert!(!passed.into_inner(), "more were in than may be");
        assert!(all_free(&counts), "who entered has left");
    }
}
