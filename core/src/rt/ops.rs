//! The table of polls that the kernel holds.
//!
//! Each poll has a slot; its number and generation are the completion's user data. A slot is used
//! again only when the kernel has given the poll back, also when nobody waits for it any more: a
//! late completion can't be taken for that of a later poll.
//!
//! Pure bookkeeping: no ring here.

use super::waker::TaskId;

/// A poll's name: slot and generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct OpId {
    slot: u32,
    generation: u32,
}

impl OpId {
    /// As the ring carries it. Never one of [`super::ring`]'s reserved values: the top slot is
    /// not used.
    pub(super) fn user_data(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the word is taken apart again"
    )]
    pub(super) fn from_user_data(data: u64) -> Self {
        Self {
            slot: data as u32,
            generation: (data >> 32) as u32,
        }
    }
}

/// What has become of a poll.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// The kernel still has it.
    Waiting,
    /// The kernel has given it back: the events, or a negated errno.
    Done(i32),
    /// No poll of this name.
    Unknown,
}

#[derive(Default)]
pub(super) struct Ops {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Polls that the kernel has.
    in_flight: usize,
}

struct Slot {
    generation: u32,
    state: State,
}

enum State {
    Free,
    /// In the kernel, and this task waits for it.
    Waiting(TaskId),
    /// Given back; the task has not looked yet.
    Done(i32),
    /// In the kernel, and nobody waits for it.
    Orphan,
}

impl Ops {
    /// A slot for a poll that is about to be submitted.
    pub(super) fn insert(&mut self, task: TaskId) -> OpId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                state: State::Free,
            });
            u32::try_from(self.slots.len() - 1).expect("invariant: polls are fewer than 2^32")
        });
        let entry = &mut self.slots[slot as usize];
        entry.state = State::Waiting(task);
        self.in_flight += 1;
        OpId {
            slot,
            generation: entry.generation,
        }
    }

    fn slot(&mut self, id: OpId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        (slot.generation == id.generation).then_some(slot)
    }

    fn release(&mut self, id: OpId) {
        let slot = &mut self.slots[id.slot as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.state = State::Free;
        self.free.push(id.slot);
    }

    /// Asks for the outcome on behalf of a task; a slot that is done is free afterwards.
    pub(super) fn poll(&mut self, id: OpId, task: TaskId) -> Outcome {
        let Some(slot) = self.slot(id) else {
            return Outcome::Unknown;
        };
        match &mut slot.state {
            State::Waiting(waiting) => {
                *waiting = task;
                Outcome::Waiting
            }
            State::Done(result) => {
                let result = *result;
                self.release(id);
                Outcome::Done(result)
            }
            State::Free | State::Orphan => Outcome::Unknown,
        }
    }

    /// The kernel has given a poll back. The task that waits for it, if any.
    pub(super) fn complete(&mut self, id: OpId, result: i32) -> Option<TaskId> {
        let slot = self.slot(id)?;
        match slot.state {
            State::Waiting(task) => {
                slot.state = State::Done(result);
                self.in_flight -= 1;
                Some(task)
            }
            State::Orphan => {
                self.in_flight -= 1;
                self.release(id);
                None
            }
            State::Free | State::Done(_) => None,
        }
    }

    /// Nobody waits for this poll any more. True: the kernel still has it and must be told.
    #[must_use]
    pub(super) fn abandon(&mut self, id: OpId) -> bool {
        let Some(slot) = self.slot(id) else {
            return false;
        };
        match slot.state {
            State::Waiting(_) => {
                slot.state = State::Orphan;
                true
            }
            State::Done(_) => {
                self.release(id);
                false
            }
            State::Free | State::Orphan => false,
        }
    }

    /// A poll that was inserted but could not be submitted.
    pub(super) fn withdraw(&mut self, id: OpId) {
        if self.abandon(id) {
            self.in_flight -= 1;
            self.release(id);
        }
    }

    /// Every poll that a task waits for: for a ring that ends.
    pub(super) fn waiting(&self) -> Vec<OpId> {
        (0u32..)
            .zip(&self.slots)
            .filter(|(_, entry)| matches!(entry.state, State::Waiting(_)))
            .map(|(slot, entry)| OpId {
                slot,
                generation: entry.generation,
            })
            .collect()
    }

    /// How many polls the kernel has.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(slot: u32) -> TaskId {
        TaskId::new(0, slot, 1)
    }

    #[test]
    fn a_poll_goes_round() {
        let mut ops = Ops::default();
        let id = ops.insert(task(1));
        assert_eq!(ops.poll(id, task(2)), Outcome::Waiting);
        assert_eq!(ops.complete(id, 1), Some(task(2)));
        assert_eq!(ops.poll(id, task(2)), Outcome::Done(1));
        assert_eq!(ops.poll(id, task(2)), Outcome::Unknown);
        assert_eq!(ops.in_flight(), 0);
    }

    #[test]
    fn an_abandoned_slot_waits_for_the_kernel() {
        let mut ops = Ops::default();
        let first = ops.insert(task(1));
        assert!(ops.abandon(first));
        assert!(!ops.abandon(first));
        let second = ops.insert(task(1));
        assert_ne!(first.slot, second.slot);
        assert_eq!(ops.in_flight(), 2);
        assert_eq!(ops.complete(first, -libc::ECANCELED), None);
        let third = ops.insert(task(1));
        assert_eq!(third.slot, first.slot);
        assert_ne!(third, first);
        // A completion of the first that comes twice means nothing to the third.
        assert_eq!(ops.complete(first, 1), None);
        assert_eq!(ops.poll(third, task(1)), Outcome::Waiting);
    }

    #[test]
    fn a_poll_that_is_done_is_abandoned_without_the_kernel() {
        let mut ops = Ops::default();
        let id = ops.insert(task(1));
        assert_eq!(ops.complete(id, 1), Some(task(1)));
        assert!(!ops.abandon(id));
        assert_eq!(ops.insert(task(1)).slot, id.slot);
    }

    #[test]
    fn user_data_gives_the_name_back() {
        let id = OpId {
            slot: 77,
            generation: u32::MAX,
        };
        assert_eq!(OpId::from_user_data(id.user_data()), id);
    }
}
