//! The runtime: a pinned shard per core on io_uring.
//!
//! A shard is a thread with a ring, tasks, timers, pipes and a scratch buffer. The free functions
//! here ([`spawn`], [`sleep`], [`relay_exact`] …) and [`Stream`], [`Listener`] work on the calling
//! thread's shard, so nothing has to be handed around. Between threads go messages
//! ([`channel`]), wake-ups and published counters ([`ShardStats`]), nothing else.
//!
//! The way of a wait: a future tries its system call; after EAGAIN it queues a poll
//! (`reactor`, `ops`, `ring`) and the loop (`shard`) goes on; the completion names the poll, the
//! poll names the task (`waker`), the task is queued (`tasks`) and polled again.
//!
//! Invariants:
//! * The ring never holds a pointer to memory of ours: dropping or leaking a future is harmless.
//! * A poll's slot is used again only when the kernel has given the poll back, and the ring goes
//!   only when all are given back.
//! * A task that waits holds its future and one slot of a table for each thing it waits for.
//! * A panic in a task, also in its destructors, ends that task alone.
//! * What the system does is an enum wherever it is done (`ring`, `socket`, `pipes`, `pool`, the
//!   clock): on a thread that is a simulated world (`sim`) the other half of it is used. A third
//!   (`foreign`) is built for a measurement alone.
//! * This is the only place that reads the clock, draws random numbers, starts threads or calls
//!   the system; and the only one with `unsafe`, in `waker` (packed words), `ring` (queueing
//!   operations), `sys` (system calls), `combine` and `timer` (futures within futures).

#![expect(
    unsafe_code,
    reason = "wakers, ring, system calls, pinning: see the invariants above"
)]

mod address;
pub mod channel;
pub mod check;
mod clock;
mod combine;
mod file;
mod flow;
#[cfg(feature = "foreign")]
pub mod foreign;
mod handshake;
mod inbox;
mod label;
mod listener;
mod ops;
mod pipes;
mod pool;
pub mod random;
mod reactor;
mod relay;
mod ring;
mod shard;
pub mod signals;
pub mod sim;
mod socket;
mod start;
mod stats;
mod stream;
mod sys;
mod tasks;
mod terminal;
mod timer;
mod waker;

/// What `handshake` meets by.
mod atomic {
    pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
}

pub use self::{
    address::{Address, BadAddress},
    check::StartError,
    clock::{Instant, SystemTime, now, wall_clock},
    combine::{Either, Select, allowance, join_all, select, yield_now},
    file::{SendFileError, read_file, send_file, space},
    label::{label, set_label},
    listener::Listener,
    pool::{Pool, PoolError},
    relay::{RelayError, Relayed, count_copied, discard_exact, relay_exact},
    start::{
        JoinError, ShardConfig, ShardHandle, ShardId, block_on, come_forward, draining, spawn,
        spawn_behind, start_shard,
    },
    stats::{Counter, ShardStats},
    stream::Stream,
    terminal::read_unseen,
    timer::{Elapsed, Sleep, Timeout, sleep, sleep_until, timeout, timeout_at},
};

/// The number of this process, as far as it shows outside: one, in a simulation.
#[must_use]
pub fn process_id() -> u32 {
    if sim::is_on() {
        return 1;
    }
    std::process::id()
}

/// The CPUs that this process may run on, in order.
#[must_use]
pub fn cpus() -> Vec<usize> {
    sys::affinity().unwrap_or_else(|_more_than_the_call_can_tell| {
        (0..std::thread::available_parallelism().map_or(1, usize::from)).collect()
    })
}
