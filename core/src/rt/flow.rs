//! The bookkeeping of a relay through a pipe: how much may go in, how much is inside, and what is
//! to be done next. Pure: no descriptor here.
//!
//! Invariants: no more goes in than the relay was told to move; the pipe is filled only when it is
//! empty, so that EAGAIN on filling can only mean that the source has nothing; a pipe that holds
//! bytes stays with its relay.

/// What to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Splice at most so many bytes from the source into the pipe.
    Fill(usize),
    /// Splice what the pipe holds to the destination.
    Drain(usize),
    /// All of it has arrived.
    Done,
}

#[derive(Clone, Debug)]
pub(super) struct Flow {
    /// Bytes that the source still has to give.
    left: u64,
    /// Bytes in the pipe.
    held: usize,
}

impl Flow {
    pub(super) fn new(bytes: u64) -> Self {
        Self {
            left: bytes,
            held: 0,
        }
    }

    /// What to do next, with a pipe that holds `capacity` bytes.
    pub(super) fn step(&self, capacity: usize) -> Step {
        if self.held > 0 {
            Step::Drain(self.held)
        } else if self.left > 0 {
            Step::Fill(
                usize::try_from(self.left)
                    .unwrap_or(usize::MAX)
                    .min(capacity),
            )
        } else {
            Step::Done
        }
    }

    /// So many bytes went into the pipe.
    pub(super) fn filled(&mut self, bytes: usize) {
        assert!(
            self.held == 0 && bytes as u64 <= self.left,
            "more went in than was asked for"
        );
        self.left -= bytes as u64;
        self.held = bytes;
    }

    /// So many bytes left the pipe.
    pub(super) fn drained(&mut self, bytes: usize) {
        assert!(bytes <= self.held, "more came out than went in");
        self.held -= bytes;
    }

    /// So many bytes went from the source to the destination, or into a buffer of the relay's,
    /// without the pipe.
    pub(super) fn passed_by(&mut self, bytes: usize) {
        assert!(
            self.held == 0 && bytes as u64 <= self.left,
            "more was read than was asked for"
        );
        self.left -= bytes as u64;
    }

    /// Bytes that the source still has to give.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Nothing is inside: the pipe may serve another relay.
    pub(super) fn is_clean(&self) -> bool {
        self.held == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a system call does in the model: moves a share of what it was asked for, or nothing.
    fn calls() -> impl Strategy<Value = Vec<Option<u16>>> {
        proptest::collection::vec(proptest::option::of(any::<u16>()), 1..400)
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_too_much(
            total in 0u64..5_000_000,
            capacity in 1usize..1_000_000,
            calls in calls(),
        ) {
            let (mut flow, mut taken, mut given) = (Flow::new(total), 0u64, 0u64);
            for call in calls {
                let share = |most: usize| call.map(|part| most * usize::from(part) / 65_535);
                match flow.step(capacity) {
                    Step::Fill(most) => {
                        prop_assert!(most >= 1 && most <= capacity);
                        prop_assert!(taken + most as u64 <= total);
                        prop_assert!(flow.is_clean());
                        if let Some(bytes @ 1..) = share(most) {
                            flow.filled(bytes);
                            taken += bytes as u64;
                        }
                    }
                    Step::Drain(most) => {
                        prop_assert_eq!(most as u64, taken - given);
                        prop_assert!(!flow.is_clean());
                        if let Some(bytes @ 1..) = share(most) {
                            flow.drained(bytes);
                            given += bytes as u64;
                        }
                    }
                    Step::Done => {
                        prop_assert_eq!((taken, given), (total, total));
                    }
                }
                prop_assert_eq!(flow.left(), total - taken);
                prop_assert_eq!(flow.is_clean(), taken == given);
            }
        }

        #[test]
        fn a_relay_whose_calls_move_something_ends(total in 0u64..100_000, capacity in 1usize..70_000) {
            let mut flow = Flow::new(total);
            let mut calls = 0;
            loop {
                match flow.step(capacity) {
                    Step::Fill(most) => flow.filled(most.div_ceil(2)),
                    Step::Drain(most) => flow.drained(most.div_ceil(2)),
                    Step::Done => break,
                }
                calls += 1;
                prop_assert!(calls <= 2 * (total + 1));
            }
        }
    }

    #[test]
    fn sizes_beyond_memory_are_taken_in_steps() {
        assert_eq!(Flow::new(u64::MAX).step(1 << 20), Step::Fill(1 << 20));
    }

    #[test]
    #[should_panic(expected = "more went in")]
    fn too_much_in_is_a_bug() {
        Flow::new(10).filled(11);
    }
}
