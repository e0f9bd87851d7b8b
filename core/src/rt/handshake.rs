//! The two places where threads of this runtime meet without a lock: a task's name that is left for
//! whoever changes something, and a shard that goes to sleep while others post.
//!
//! Both are the same question twice: A writes, then looks at what B wrote; B writes, then looks at
//! what A wrote; one of them at least must see the other. Fences on both sides make it so. They are
//! by themselves in this file so that `tests/rt_loom.rs` can put them through every interleaving
//! with loom's atomics in the place of these (`super::atomic`).

use super::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// Where a task leaves its name. Zero: nobody.
#[derive(Default)]
pub(super) struct Name(AtomicU64);

impl Name {
    /// Leaves a name. The caller must look again, after this, at what it waits for.
    pub(super) fn leave(&self, name: u64) {
        self.0.store(name, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Takes the name that was left last, once. What the task waits for was changed before.
    pub(super) fn take(&self) -> Option<u64> {
        // Either this swap finds the name, or the task's second look finds the change.
        fence(Ordering::SeqCst);
        match self.0.swap(0, Ordering::Relaxed) {
            0 => None,
            name => Some(name),
        }
    }
}

/// Whether a shard waits in the kernel, or is about to.
#[derive(Debug)]
pub(super) struct Sleeper(pub(super) AtomicBool);

impl Sleeper {
    /// The shard is about to wait. False: don't, something has come.
    pub(super) fn fall_asleep(&self, nothing_posted: impl Fn() -> bool) -> bool {
        self.0.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let nothing = nothing_posted();
        if !nothing {
            self.wake_up();
        }
        nothing
    }

    /// The shard has come back.
    pub(super) fn wake_up(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Something was posted before this call. True: the caller has to wake the shard.
    pub(super) fn rouse(&self) -> bool {
        // Either this thread sees `asleep`, or the shard sees what was posted before it sleeps.
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::AcqRel)
    }
}
