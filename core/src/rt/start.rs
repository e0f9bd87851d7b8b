//! Starting and ending shards.

use std::{
    cell::{Cell, RefCell},
    error, fmt,
    future::poll_fn,
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
    sync::{Arc, atomic::Ordering, mpsc},
    task::Poll,
    thread::{self, JoinHandle},
    time::Duration,
};

#[cfg(feature = "foreign")]
use super::foreign;
use super::{
    check::StartError,
    label::{label, set_label},
    shard::{self, Drain, Shard, panic_text},
    sim,
    stats::ShardStats,
    sys,
    waker::TaskId,
};

/// What a shard is given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardConfig {
    /// The thread's name.
    pub name: String,
    /// The CPU it is bound to.
    pub cpu: Option<usize>,
    /// Entries of its submission queue; it is flushed whenever it is full.
    pub ring_entries: u32,
    /// How many pipes its relays may have.
    pub pipes_max: usize,
    /// Bytes that a pipe should hold; the kernel may grant less.
    pub pipe_size: usize,
}

impl Default for ShardConfig {
    fn default() -> Self {
        Self {
            name: "shard".into(),
            cpu: None,
            ring_entries: 256,
            pipes_max: 64,
            pipe_size: 256 << 10,
        }
    }
}

/// A shard's number: unique among those that run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ShardId(u16);

impl ShardId {
    pub(super) fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number itself.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A shard's thread ended otherwise than by its work coming to an end.
#[derive(Debug)]
pub enum JoinError {
    /// Its ring failed.
    Ring(io::Error),
    /// It panicked outside every task.
    Panicked(String),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring(error) => write!(f, "the shard's ring failed: {error}"),
            Self::Panicked(text) => write!(f, "the shard's thread panicked: {text}"),
        }
    }
}

impl error::Error for JoinError {}

/// A running shard, as other threads see it.
#[derive(Debug)]
pub struct ShardHandle {
    id: ShardId,
    stats: &'static ShardStats,
    drain: Arc<Drain>,
    thread: Thread,
}

/// What runs a shard: a thread, or a simulation, which says when it has ended.
#[derive(Debug)]
enum Thread {
    Os(JoinHandle<io::Result<()>>),
    Sim(sim::Ended),
}

impl ShardHandle {
    /// The shard's number.
    #[must_use]
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// The shard's counters, which stay readable after its end.
    #[must_use]
    pub fn stats(&self) -> &'static ShardStats {
        self.stats
    }

    /// Tells the shard to end: [`draining`] resolves in its tasks, and those that are left after
    /// `grace` are dropped.
    pub fn drain(&self, grace: Duration) {
        self.drain.ask(grace);
    }

    /// Whether the shard has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.thread {
            Thread::Os(thread) => thread.is_finished(),
            Thread::Sim(ended) => ended.load(Ordering::Relaxed),
        }
    }

    /// Waits for the shard's end: when no task is left, or a drain's grace is over. In a simulation
    /// there is no waiting: look at [`Self::is_finished`] from time to time.
    ///
    /// # Errors
    /// If it ended for another reason.
    pub fn join(self) -> Result<(), JoinError> {
        let Thread::Os(thread) = self.thread else {
            return Ok(());
        };
        match thread.join() {
            Ok(result) => result.map_err(JoinError::Ring),
            Err(panic) => Err(JoinError::Panicked(panic_text(&*panic).into())),
        }
    }
}

/// Starts a shard on a thread of its own. Its first task is what `main` gives, called there.
///
/// # Errors
/// If the host does not allow it, with what to change; the thread has ended then.
pub fn start_shard<F>(
    config: ShardConfig,
    main: impl FnOnce() -> F + Send + 'static,
) -> Result<ShardHandle, StartError>
where
    F: Future<Output = ()> + 'static,
{
    if sim::is_on() {
        return start_simulated(&config, main);
    }
    let (report, started) = mpsc::sync_channel(1);
    let name = config.name.clone();
    #[cfg(feature = "foreign")]
    let (foreign, config) = foreign::wanting(config);
    let label = label();
    let thread = thread::Builder::new().name(name).spawn(move || {
        set_label(label);
        let entered = match enter_pinned(&config) {
            Ok(entered) => entered,
            Err(error) => {
                // The receiver waits for this message.
                let _ = report.send(Err(error));
                return Ok(());
            }
        };
        let shard = entered.shard();
        let _ = report.send(Ok((shard.id, shard.stats, Arc::clone(&shard.drain))));
        let first = Box::pin(async move { main().await });
        #[cfg(feature = "foreign")]
        if let Some(executor) = foreign {
            foreign::run(executor, first);
            return Ok(());
        }
        shard.spawn(first, false);
        entered.run()
    });
    let thread = thread.map_err(StartError::Thread)?;
    match started.recv() {
        Ok(Ok((id, stats, drain))) => Ok(ShardHandle {
            id,
            stats,
            drain,
            thread: Thread::Os(thread),
        }),
        Ok(Err(error)) => Err(error),
        Err(_gone) => Err(StartError::Thread(io::Error::other(
            "it ended before it began",
        ))),
    }
}

/// Adds a shard to the world that this thread is.
fn start_simulated<F>(
    config: &ShardConfig,
    main: impl FnOnce() -> F + Send + 'static,
) -> Result<ShardHandle, StartError>
where
    F: Future<Output = ()> + 'static,
{
    let entered = Shard::make(config).map_err(StartError::ring)?;
    let shard = entered.shard();
    shard.spawn(Box::pin(async move { main().await }), false);
    let ended = sim::Ended::default();
    let handle = ShardHandle {
        id: shard.id,
        stats: shard.stats,
        drain: Arc::clone(&shard.drain),
        thread: Thread::Sim(Arc::clone(&ended)),
    };
    sim::add(entered, ended);
    Ok(handle)
}

fn enter_pinned(config: &ShardConfig) -> Result<shard::Entered, StartError> {
    if let Some(cpu) = config.cpu {
        sys::pin(cpu).map_err(|error| StartError::Cpu { cpu, error })?;
    }
    Shard::enter(config).map_err(StartError::ring)
}

/// Makes the calling thread a shard until `future` is done. Tasks that are left are dropped. The
/// thread is not bound to a CPU.
///
/// # Errors
/// If the ring can't be set up (the error says why) or fails.
pub fn block_on<F: Future>(config: ShardConfig, future: F) -> io::Result<F::Output> {
    let entered =
        Shard::enter(&config).map_err(|error| io::Error::other(StartError::ring(error)))?;
    let output = RefCell::new(None);
    let done = Cell::new(false);
    {
        let mut future = pin!(future);
        let main = pin!(poll_fn(|context| {
            // Main stays in the caller's hands: once done it must not be polled again.
            if done.get() {
                return Poll::Ready(());
            }
            let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
            let result = match polled {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(output)) => Ok(output),
                Err(panic) => Err(panic),
            };
            *output.borrow_mut() = Some(result);
            done.set(true);
            Poll::Ready(())
        }));
        entered.run_main(main, &done)?;
    }
    drop(entered);
    match output
        .into_inner()
        .expect("invariant: the loop ends when main is done")
    {
        Ok(output) => Ok(output),
        Err(panic) => resume_unwind(panic),
    }
}

/// Adds a task to the calling thread's shard.
///
/// # Panics
/// If this thread isn't a shard.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    let future = Box::pin(future);
    shard::with(|shard| shard.spawn(future, false));
}

/// The same for a task that stands behind the others: of all of its kind the shard polls a few
/// between two looks at the ring, however many are ready. A crowd of newcomers waits, and those who
/// are served already don't wait for it.
///
/// # Panics
/// If this thread isn't a shard.
pub fn spawn_behind(future: impl Future<Output = ()> + 'static) {
    let future = Box::pin(future);
    shard::with(|shard| shard.spawn(future, true));
}

/// The calling task no longer stands behind the others.
pub async fn come_forward() {
    #[cfg(feature = "foreign")]
    if foreign::here().is_some() {
        return;
    }
    poll_fn(|context| {
        shard::with(|shard| shard.come_forward(TaskId::of(context.waker())));
        Poll::Ready(())
    })
    .await;
}

/// Resolves once the shard has been told to end.
pub async fn draining() {
    // A drain wakes every task once.
    poll_fn(|_context| {
        if shard::with(Shard::draining) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}
