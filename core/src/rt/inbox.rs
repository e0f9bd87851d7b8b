//! Where wake-ups from other threads arrive: a static table with one inbox for each shard number.
//!
//! An inbox is never freed and its eventfd never closed, so a waker may use it at any time, also
//! long after its shard has gone. Numbers and inboxes are used again by later shards; generations
//! keep the words of the old ones from meaning anything.
//!
//! An inbox is bounded and cannot lose a wake-up: when the queue is full a flag says "wake
//! everybody", which costs a round of polls and nothing else.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use crossbeam_queue::ArrayQueue;

use super::{
    handshake::Sleeper,
    sys,
    waker::{SHARDS_MAX, TaskId, next_generation},
};

/// Words that wait in an inbox before it falls back to waking everybody.
const WORDS_MAX: usize = 1024;

static INBOXES: [Inbox; SHARDS_MAX] = [const { Inbox::new() }; SHARDS_MAX];

/// The inbox of a shard number.
pub(super) fn of(shard: u16) -> &'static Inbox {
    &INBOXES[usize::from(shard)]
}

/// Takes a number that no live shard has.
pub(super) fn claim() -> io::Result<(u16, &'static Inbox)> {
    for (number, inbox) in (0u16..).zip(&INBOXES) {
        if inbox.claimed.swap(true, Ordering::AcqRel) {
            continue;
        }
        if let Err(error) = inbox.prepare() {
            inbox.claimed.store(false, Ordering::Release);
            return Err(error);
        }
        return Ok((number, inbox));
    }
    Err(io::Error::other(format!("{SHARDS_MAX} shards run already")))
}

#[derive(Debug)]
pub(super) struct Inbox {
    claimed: AtomicBool,
    /// Made when the number is first used, kept for good.
    parts: OnceLock<Parts>,
    /// Somebody could not push: every task is to be woken.
    everybody: AtomicBool,
    /// The shard waits in the kernel, or is about to: write to the eventfd.
    asleep: Sleeper,
    /// The first generation that the next shard of this number may use.
    generation: AtomicU32,
}

/// The inbox of a shard that has ended, whose number is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Kept {
    inbox: &'static Inbox,
    generation: u32,
}

impl Kept {
    /// `generation`: see [`Inbox::release`].
    pub(super) fn new(inbox: &'static Inbox, generation: u32) -> Self {
        Self { inbox, generation }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.inbox.release(self.generation);
    }
}

#[derive(Debug)]
struct Parts {
    words: ArrayQueue<TaskId>,
    event: OwnedFd,
}

impl Inbox {
    const fn new() -> Self {
        Self {
            claimed: AtomicBool::new(false),
            parts: OnceLock::new(),
            everybody: AtomicBool::new(false),
            asleep: Sleeper(AtomicBool::new(false)),
            generation: AtomicU32::new(1),
        }
    }

    fn prepare(&self) -> io::Result<()> {
        if self.parts.get().is_none() {
            let parts = Parts {
                words: ArrayQueue::new(WORDS_MAX),
                event: sys::eventfd()?,
            };
            // Only the thread that holds the claim comes here.
            let _ = self.parts.set(parts);
        }
        // Words for tasks of the shard that had the number before.
        while self.take().is_some() {}
        self.everybody.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn parts(&self) -> &Parts {
        self.parts
            .get()
            .expect("invariant: an inbox that was claimed has its parts")
    }

    /// Gives the number back. `generation` is one that no task of this shard has had.
    fn release(&self, generation: u32) {
        self.generation
            .store(next_generation(generation), Ordering::Relaxed);
        self.asleep.wake_up();
        self.claimed.store(false, Ordering::Release);
    }

    pub(super) fn first_generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    pub(super) fn event(&self) -> BorrowedFd<'_> {
        self.parts().event.as_fd()
    }

    /// Called from any thread: the shard will wake this task.
    pub(super) fn post(&self, id: TaskId) {
        #[cfg(bug_1)] // A wake-up is lost: "somebody has knocked already".
        if self.has_posted() {
            return;
        }
        if self.parts().words.push(id).is_err() {
            self.everybody.store(true, Ordering::SeqCst);
        }
        self.rouse();
    }

    /// Called from any thread: the shard is to look at what has changed before this call.
    pub(super) fn rouse(&self) {
        if self.asleep.rouse() {
            sys::eventfd_signal(self.event());
        }
    }

    /// The shard is about to wait in the kernel. False: don't, something has come.
    pub(super) fn fall_asleep(&self) -> bool {
        self.asleep.fall_asleep(|| !self.has_posted())
    }

    /// Whether something has been posted.
    pub(super) fn has_posted(&self) -> bool {
        !self.parts().words.is_empty() || self.everybody.load(Ordering::Relaxed)
    }

    /// The shard has come back from the kernel.
    pub(super) fn wake_up(&self) {
        self.asleep.wake_up();
    }

    /// The next word that was posted.
    pub(super) fn take(&self) -> Option<TaskId> {
        self.parts().words.pop()
    }

    /// Whether every task is to be woken, because words were turned away.
    pub(super) fn take_everybody(&self) -> bool {
        self.everybody.load(Ordering::Relaxed) && self.everybody.swap(false, Ordering::SeqCst)
    }
}
