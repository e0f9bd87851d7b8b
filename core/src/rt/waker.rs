//! Wakers that are one word: shard, slot and generation of a task, packed into 64 bits.
//!
//! The word is the whole waker: there is nothing behind it to keep alive, so cloning and dropping
//! allocate and count nothing, and waking is sound from any thread at any time. A word that has
//! outlived its task or its shard names a slot whose generation has moved on, and is ignored; in
//! the worst case (2^30 reuses of one slot later) it wakes a stranger once, which every future
//! bears.

use std::{
    ptr,
    task::{RawWaker, RawWakerVTable, Waker},
};

#[cfg(feature = "foreign")]
use super::foreign;
use super::{handshake::Name, inbox, shard};

/// Bits of a word that number the shard.
const SHARD_BITS: u32 = 10;
/// Bits of a word that number the slot in the shard's task table.
const SLOT_BITS: u32 = 24;
/// Bits of a word that hold the slot's generation.
const GENERATION_BITS: u32 = 64 - SHARD_BITS - SLOT_BITS;

/// How many shards may run in one process at the same time.
pub(super) const SHARDS_MAX: usize = 1 << SHARD_BITS;
/// How many tasks a shard may have at the same time.
pub(super) const TASKS_MAX: usize = 1 << SLOT_BITS;

const _: () = assert!(
    usize::BITS == 64,
    "a waker packs its task into one 64-bit pointer"
);

/// A task's name, unique in the process for as long as anybody could care.
///
/// Never zero: the generation starts at one, so zero can stand for "nobody".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TaskId(u64);

impl TaskId {
    pub(super) fn new(shard: u16, slot: u32, generation: u32) -> Self {
        debug_assert!(usize::from(shard) < SHARDS_MAX && (slot as usize) < TASKS_MAX);
        debug_assert!(generation == next_generation(generation.wrapping_sub(1)));
        Self(
            u64::from(shard)
                | u64::from(slot) << SHARD_BITS
                | u64::from(generation) << (SHARD_BITS + SLOT_BITS),
        )
    }

    #[expect(clippy::cast_possible_truncation, reason = "10 bits are left")]
    pub(super) fn shard(self) -> u16 {
        low_bits(self.0, SHARD_BITS) as u16
    }

    pub(super) fn slot(self) -> u32 {
        low_bits(self.0 >> SHARD_BITS, SLOT_BITS)
    }

    pub(super) fn generation(self) -> u32 {
        low_bits(self.0 >> (SHARD_BITS + SLOT_BITS), GENERATION_BITS)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a pointer has 64 bits: asserted above"
    )]
    pub(super) fn waker(self) -> Waker {
        let data = ptr::without_provenance::<()>(self.0 as usize);
        // SAFETY: `Waker::new` asks that the functions of VTABLE honour RawWaker's contract for
        // this data. The data is a plain number that is never dereferenced; `clone` gives the same
        // number with the same table, `drop` owns nothing, and `wake` works on static tables of
        // atomics and on the calling thread's own shard: all are safe from any thread, any number
        // of times, before and after the end of the task and of its shard.
        unsafe { Waker::new(data, &VTABLE) }
    }

    /// The task behind a waker of this runtime.
    ///
    /// # Panics
    /// If the waker is not from this runtime: its futures can be polled by its shards only.
    pub(super) fn of(waker: &Waker) -> Self {
        assert!(
            ptr::eq(waker.vtable(), &raw const VTABLE),
            "a future of core::rt was polled outside a shard of core::rt"
        );
        Self(waker.data().addr() as u64)
    }

    /// Whether a waker is of this runtime.
    #[cfg(feature = "foreign")]
    pub(super) fn is_ours(waker: &Waker) -> bool {
        ptr::eq(waker.vtable(), &raw const VTABLE)
    }

    /// Makes the task ready, from any thread.
    pub(super) fn wake(self) {
        if !shard::wake_here(self) {
            inbox::of(self.shard()).post(self);
        }
    }
}

/// The generation after `generation`: never zero, and never more than a word holds.
pub(super) fn next_generation(generation: u32) -> u32 {
    match generation.wrapping_add(1) & ((1 << GENERATION_BITS) - 1) {
        0 => 1,
        next => next,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the mask leaves at most 30 bits"
)]
fn low_bits(word: u64, bits: u32) -> u32 {
    (word & ((1 << bits) - 1)) as u32
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, drop_nothing);

fn clone(data: *const ()) -> RawWaker {
    RawWaker::new(data, &VTABLE)
}

fn wake(data: *const ()) {
    TaskId(data.addr() as u64).wake();
}

fn drop_nothing(_data: *const ()) {}

/// Where a task leaves its name for another thread that will wake it: one atomic word.
#[derive(Default)]
pub(super) struct WakeCell(Name, #[cfg(feature = "foreign")] foreign::Left);

impl WakeCell {
    /// Leaves the task's name. The caller must look again, after this, at what it waits for.
    pub(super) fn register(&self, waker: &Waker) {
        #[cfg(feature = "foreign")]
        if !TaskId::is_ours(waker) {
            return self.1.leave(waker);
        }
        self.0.leave(TaskId::of(waker).0);
    }

    /// Wakes the task that registered last, once. The change that it waits for was made before.
    pub(super) fn wake(&self) {
        #[cfg(feature = "foreign")]
        self.1.wake();
        if let Some(word) = self.0.take() {
            TaskId(word).wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_gives_back_what_was_packed() {
        for (shard, slot, generation) in [
            (0, 0, 1),
            (1023, (1 << 24) - 1, (1 << 30) - 1),
            (7, 123_456, 99),
        ] {
            let id = TaskId::new(shard, slot, generation);
            assert_eq!(
                (id.shard(), id.slot(), id.generation()),
                (shard, slot, generation)
            );
            assert_eq!(TaskId::of(&id.waker()), id);
            assert_eq!(TaskId::of(&id.waker().clone()), id);
        }
    }

    #[test]
    fn generations_skip_zero() {
        assert_eq!(next_generation(0), 1);
        assert_eq!(next_generation((1 << 30) - 1), 1);
    }

    #[test]
    #[should_panic(expected = "outside a shard")]
    fn a_foreign_waker_is_refused() {
        TaskId::of(Waker::noop());
    }
}
