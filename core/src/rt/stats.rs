//! What a shard publishes about itself: counters that it alone writes and anybody may read.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number with one writing thread and any number of readers.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// What it is now.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Only the shard calls this: a load and a store, no locked instruction.
    pub(super) fn add(&self, more: u64) {
        self.set(self.value().wrapping_add(more));
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// The counters of one shard.
#[derive(Debug, Default)]
pub struct ShardStats {
    /// Tasks that have not ended.
    pub tasks: Counter,
    /// Tasks started since the shard began.
    pub tasks_started: Counter,
    /// Polls of tasks.
    pub polls: Counter,
    /// Turns of the loop.
    pub turns: Counter,
    /// Panics that were caught.
    pub panics: Counter,
    /// Wake-ups that came from other threads.
    pub wakeups_remote: Counter,
    /// Pipes that are open.
    pub pipes_open: Counter,
    /// Pipes that a relay holds.
    pub pipes_in_use: Counter,
    /// Times a relay would have spliced and found no pipe.
    pub pipes_missed: Counter,
    /// Bytes relayed through user memory.
    pub bytes_copied: Counter,
    /// Bytes relayed through pipes.
    pub bytes_spliced: Counter,
}
