//! A third back end: the executor, timers and sockets of another runtime in the place of ours, so
//! that the same sessions can be measured on both (bench/runtimes). It is there only with the
//! feature `foreign`, which nothing that is shipped turns on.
//!
//! Whoever measures installs an [`Executor`]. A shard that it wants is a thread with the usual
//! scratch buffer, counters and allowance; but tasks and wakers are the executor's, a [`Sleep`]
//! is its timer, connections are its own, and the shard's ring stands idle. A call that would
//! wait has left the running task's waker with the connection: the wait behind it goes on from there.
//!
//! What such a shard can't do, for the other runtime has no readiness for plain descriptors, and no
//! queue that a task could leave: splice (its relays copy), unix sockets, tasks that stand behind
//! others ([`super::spawn_behind`] spawns). A drain ends it at once. A peer that has reset its
//! connection is noticed unless it has said something before.
//!
//! [`Sleep`]: super::Sleep

mod socket;

use std::{
    cell::{Cell, RefCell},
    fmt, io,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{OnceLock, PoisonError},
    task::{Context, Poll, Waker},
};

pub(super) use self::socket::{Socket, Wait};
use super::{
    Instant, ShardConfig,
    shard::{self, Shard},
    tasks::Boxed,
};

/// A task, or something else to be awaited.
pub type Task = Pin<Box<dyn Future<Output = ()>>>;
/// A connection that is being made.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Connection>>>>>;

/// The other runtime.
pub trait Executor: Sync {
    /// Whether it runs this shard; if not, it is one of ours.
    fn wants(&self, shard: &ShardConfig) -> bool;
    /// Runs `main`, and what is spawned meanwhile, on the calling thread until `main` is done.
    fn run(&self, main: Task);
    /// Adds a task, in [`Self::run`].
    fn spawn(&self, task: Task);
    /// A timer.
    fn sleep_until(&self, deadline: Instant) -> Task;
    /// A connection to somewhere.
    fn connect(&self, to: SocketAddr) -> Connecting;
    /// Listens, with SO_REUSEPORT.
    ///
    /// # Errors
    /// What the system calls say.
    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Queue>>;
}

/// A connection of the other runtime's.
pub trait Connection {
    /// Reads what is there. With an empty buffer: waits until there is something, or the end.
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>>;
    /// Writes what fits.
    fn poll_write(&mut self, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>>;
    /// Tells the peer that nothing more will be written.
    ///
    /// # Errors
    /// What the system call says.
    fn shutdown_write(&mut self) -> io::Result<()>;
    /// Where the peer is.
    ///
    /// # Errors
    /// What the system call says.
    fn peer_address(&self) -> io::Result<SocketAddr>;
    /// Our own end.
    ///
    /// # Errors
    /// What the system call says.
    fn local_address(&self) -> io::Result<SocketAddr>;
}

/// Connections that wait to be accepted.
pub trait Queue {
    /// Takes one.
    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Box<dyn Connection>>>;
    /// Where it listens.
    ///
    /// # Errors
    /// What the system call says.
    fn local_address(&self) -> io::Result<SocketAddr>;
}

static INSTALLED: OnceLock<&'static dyn Executor> = OnceLock::new();

thread_local! {
    /// The executor that this thread is in.
    static HERE: Cell<Option<&'static dyn Executor>> = const { Cell::new(None) };
    /// The running task's.
    static WAKER: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// Shards that are started from now on run on `executor` if it wants them. The first call counts.
pub fn install(executor: &'static dyn Executor) {
    let _ = INSTALLED.set(executor);
}

/// The executor of the calling thread, if it isn't ours.
pub(super) fn here() -> Option<&'static dyn Executor> {
    HERE.get()
}

/// The executor that a shard is to run on, if one wants it, and what our side of it needs.
pub(super) fn wanting(mut config: ShardConfig) -> (Option<&'static dyn Executor>, ShardConfig) {
    let executor = INSTALLED.get().copied();
    let executor = executor.filter(|executor| executor.wants(&config));
    if executor.is_some() {
        config.ring_entries = 1;
        config.pipes_max = 0;
    }
    (executor, config)
}

/// Runs the calling thread's shard, from its first task to a drain.
pub(super) fn run(executor: &'static dyn Executor, first: Boxed) {
    HERE.set(Some(executor));
    executor.run(Box::pin(async {
        super::spawn(first);
        shard::drain_is_asked().await;
    }));
    HERE.set(None);
}

/// What a turn of ours does around the poll of a task.
struct Polled(Option<Boxed>);

/// A task for the other executor.
pub(super) fn polled(future: Boxed) -> Task {
    Box::pin(Polled(Some(future)))
}

impl Future for Polled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(future) = &mut self.0 else {
            return Poll::Ready(());
        };
        shard::with(Shard::begin_poll);
        // A task may be polled within the one that spawns it.
        let outer = WAKER.replace(Some(context.waker().clone()));
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        WAKER.set(outer);
        if matches!(polled, Ok(Poll::Pending)) {
            return Poll::Pending;
        }
        let future = self.0.take();
        shard::with(|shard| shard.end_foreign(polled.err(), future));
        Poll::Ready(())
    }
}

/// Does something as the running task: a wait that begins in it wakes that one.
fn in_task<T>(f: impl FnOnce(&mut Context<'_>) -> T) -> T {
    WAKER.with_borrow(|waker| {
        f(&mut Context::from_waker(
            waker.as_ref().unwrap_or(Waker::noop()),
        ))
    })
}

/// Where a task of another runtime leaves its waker: for [`super::waker::WakeCell`].
#[derive(Default, Debug)]
#[expect(
    clippy::disallowed_types,
    reason = "a waker is two words, and this is no part of what is shipped"
)]
pub(super) struct Left(std::sync::Mutex<Option<Waker>>);

impl Left {
    /// Leaves the waker. The caller must look again, after this, at what it waits for.
    pub(super) fn leave(&self, waker: &Waker) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }

    /// Wakes whoever has left one, once. What the task waits for was changed before.
    pub(super) fn wake(&self) {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        left.into_iter().for_each(Waker::wake);
    }
}

/// A timer of the other runtime's inside one of ours.
#[derive(Default)]
pub(super) struct Timer(Option<Task>);

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timer")
    }
}

impl Timer {
    /// Waits by the executor's own timer, made when first there is something to wait for. None: the
    /// thread is a shard of ours.
    pub(super) fn poll(
        &mut self,
        deadline: Instant,
        context: &mut Context<'_>,
    ) -> Option<Poll<()>> {
        let executor = here()?;
        let timer = self.0.get_or_insert_with(|| executor.sleep_until(deadline));
        Some(timer.as_mut().poll(context))
    }

    pub(super) fn cancel(&mut self) {
        self.0 = None;
    }
}
