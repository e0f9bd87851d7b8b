//! A shard: one thread with its tasks, ring, timers, pipes and scratch buffer, and the loop that
//! turns them.
//!
//! A turn: take what other threads posted, fire timers, poll a bounded number of ready tasks,
//! hand what they queued to the kernel and reap; wait in the kernel only if nobody is ready.
//! No task runs while the ring is being reaped.
//!
//! Everything mutable is in a `RefCell` of its own, borrowed for the length of one call that runs
//! no foreign code: tasks, destructors and wakers come back into the shard at any time.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

#[cfg(feature = "foreign")]
use super::foreign;
use super::{
    Instant,
    inbox::{self, Inbox, Kept},
    now,
    pipes::Pipes,
    reactor::Reactor,
    sim,
    start::{ShardConfig, ShardId},
    stats::ShardStats,
    tasks::{Boxed, Tasks, Turn},
    timer::{Timers, after},
    waker::TaskId,
};

/// What a task may do in one poll: a unit is a system call, or 16 KiB moved.
const ALLOWANCE: u32 = 128;
/// The scratch buffer, for system calls that need memory only while they last.
const SCRATCH_BYTES: usize = 64 << 10;

/// The future that `block_on` drives: it stays where it is, so that it may borrow.
pub(super) type Main<'a> = Pin<&'a mut dyn Future<Output = ()>>;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Shard>>> = const { RefCell::new(None) };
}

pub(super) struct Shard {
    /// Unique in the process's life, unlike `id`.
    pub(super) serial: u64,
    pub(super) id: ShardId,
    pub(super) stats: &'static ShardStats,
    pub(super) reactor: RefCell<Reactor>,
    pub(super) timers: RefCell<Timers>,
    pub(super) pipes: RefCell<Pipes>,
    pub(super) scratch: RefCell<Box<[u8]>>,
    pub(super) random: RefCell<fastrand::Rng>,
    /// What the running task may still do in this poll.
    allowance: Cell<u32>,
    pub(super) drain: Arc<Drain>,
    inbox: &'static Inbox,
    tasks: RefCell<Tasks>,
    /// When the grace of a drain is over.
    drain_until: Cell<Option<Instant>>,
    closing: Cell<bool>,
    /// The seed chooses which ready task is next.
    simulated: bool,
}

/// Runs `f` with the calling thread's shard.
///
/// # Panics
/// If this thread isn't a shard.
pub(super) fn with<T>(f: impl FnOnce(&Shard) -> T) -> T {
    CURRENT.with_borrow(|current| {
        f(current
            .as_deref()
            .expect("core::rt was called outside a shard: use block_on or start_shard"))
    })
}

/// Runs `f` with the calling thread's shard, if it is one.
pub(super) fn try_with<T>(f: impl FnOnce(&Shard) -> T) -> Option<T> {
    CURRENT
        .try_with(|current| Some(f(current.try_borrow().ok()?.as_deref()?)))
        .ok()
        .flatten()
}

/// Wakes a task of the calling thread's own shard. False: it is another's.
pub(super) fn wake_here(id: TaskId) -> bool {
    try_with(|shard| {
        let own = shard.id.number() == id.shard();
        if own {
            shard.tasks.borrow_mut().wake(id);
        }
        own
    })
    .unwrap_or(false)
}

impl Shard {
    /// Makes the calling thread a shard.
    pub(super) fn enter(config: &ShardConfig) -> io::Result<Entered> {
        if CURRENT.with_borrow(Option::is_some) {
            return Err(io::Error::other("this thread is a shard already"));
        }
        let entered = Self::make(config)?;
        entered.step_in();
        Ok(entered)
    }

    /// A shard that nothing runs on yet: for a simulation, which has many on a thread.
    pub(super) fn make(config: &ShardConfig) -> io::Result<Entered> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let (number, inbox) = inbox::claim()?;
        let reactor = match Reactor::new(config.ring_entries, inbox.event()) {
            Ok(reactor) => reactor,
            Err(error) => {
                drop(Kept::new(inbox, inbox.first_generation()));
                return Err(error);
            }
        };
        let stats: &'static ShardStats = Box::leak(Box::default());
        let shard = Rc::new(Self {
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
            id: ShardId::new(number),
            stats,
            reactor: RefCell::new(reactor),
            timers: RefCell::default(),
            pipes: RefCell::new(Pipes::new(config.pipes_max, config.pipe_size, stats)),
            scratch: RefCell::new(vec![0; SCRATCH_BYTES].into()),
            random: RefCell::new(
                sim::seed().map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed),
            ),
            allowance: Cell::new(ALLOWANCE),
            drain: Arc::new(Drain {
                grace: AtomicU64::new(0),
                inbox,
                #[cfg(feature = "foreign")]
                foreign: foreign::Left::default(),
            }),
            inbox,
            tasks: RefCell::new(Tasks::new(number, inbox.first_generation())),
            drain_until: Cell::new(None),
            closing: Cell::new(false),
            simulated: sim::is_on(),
        });
        Ok(Entered(shard))
    }

    /// Adds a task. A shard that is ending drops the future instead.
    pub(super) fn spawn(&self, future: Boxed, behind: bool) {
        if self.closing.get() {
            return self.drop_caught(future);
        }
        #[cfg(feature = "foreign")]
        if let Some(executor) = foreign::here() {
            self.stats.tasks_started.add(1);
            self.stats.tasks.add(1);
            return executor.spawn(foreign::polled(future));
        }
        let refused = self.tasks.borrow_mut().insert(future, behind).err();
        if let Some(future) = refused {
            tracing::error!(shard = %self.id, "too many tasks: a new one is dropped");
            return self.drop_caught(future);
        }
        self.stats.tasks_started.add(1);
        self.count_tasks();
    }

    /// A task no longer stands behind the others.
    pub(super) fn come_forward(&self, id: TaskId) {
        self.tasks.borrow_mut().come_forward(id);
    }

    /// Takes from what the running task may do in this poll. False: it has done enough.
    pub(super) fn spend(&self, units: u32) -> bool {
        let left = self.allowance.get();
        self.allowance.set(left.saturating_sub(units));
        left >= units
    }

    pub(super) fn spend_bytes(&self, bytes: usize) {
        self.spend(u32::try_from(bytes >> 14).unwrap_or(u32::MAX));
    }

    pub(super) fn draining(&self) -> bool {
        self.drain_until.get().is_some()
    }

    fn count_tasks(&self) {
        self.stats.tasks.set(self.tasks.borrow().len() as u64);
    }

    fn run(&self, mut main: Option<Main<'_>>, ended: impl Fn() -> bool) -> io::Result<()> {
        while !ended() {
            self.stats.turns.add(1);
            self.take_posted();
            self.fire_timers();
            self.poll_ready(&mut main);
            if !ended() {
                self.turn_ring()?;
            }
        }
        Ok(())
    }

    fn take_posted(&self) {
        if self.inbox.take_everybody() {
            self.tasks.borrow_mut().wake_all();
        }
        while let Some(id) = self.inbox.take() {
            self.stats.wakeups_remote.add(1);
            self.tasks.borrow_mut().wake(id);
        }
        if let Some(grace) = self.drain.take() {
            self.drain_until.set(Some(after(grace)));
            // Whoever awaits `draining` looks again; the others go back to sleep.
            self.tasks.borrow_mut().wake_all();
        }
    }

    fn fire_timers(&self) {
        if self.timers.borrow().first().is_none() {
            return;
        }
        let now = now();
        while let Some(id) = self.timers.borrow_mut().expire(now) {
            self.tasks.borrow_mut().wake(id);
        }
    }

    fn poll_ready(&self, main: &mut Option<Main<'_>>) {
        let mut ready = self.tasks.borrow().for_a_turn();
        if self.simulated && ready > 0 {
            ready = sim::pick(ready) + 1;
        }
        for _ in 0..ready {
            if self.simulated {
                self.choose_next();
            }
            let Some(turn) = self.tasks.borrow_mut().next() else {
                return;
            };
            self.allowance.set(ALLOWANCE);
            self.stats.polls.add(1);
            match (turn, &mut *main) {
                (Turn::Task(id, future), _) => self.poll_task(id, future),
                (Turn::Main(id), Some(main)) => {
                    // Its output, also a panic, is its caller's business.
                    let _ = main.as_mut().poll(&mut Context::from_waker(&id.waker()));
                }
                (Turn::Main(_), None) => {}
            }
        }
    }

    /// What precedes the poll of a task in a foreign executor.
    #[cfg(feature = "foreign")]
    pub(super) fn begin_poll(&self) {
        self.allowance.set(ALLOWANCE);
        self.stats.polls.add(1);
    }

    /// A task in a foreign executor has ended, by a panic or well.
    #[cfg(feature = "foreign")]
    pub(super) fn end_foreign(&self, panic: Option<Box<dyn Any + Send>>, future: Option<Boxed>) {
        panic.into_iter().for_each(|panic| self.report(panic));
        future
            .into_iter()
            .for_each(|future| self.drop_caught(future));
        self.stats
            .tasks
            .set(self.stats.tasks.value().saturating_sub(1));
    }

    fn choose_next(&self) {
        let mut tasks = self.tasks.borrow_mut();
        let index = sim::pick(tasks.ready());
        tasks.bring_forward(index);
    }

    fn poll_task(&self, id: TaskId, mut future: Boxed) {
        if self.simulated {
            sim::polled(id.slot());
        }
        let waker = id.waker();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            future.as_mut().poll(&mut Context::from_waker(&waker))
        }));
        match polled {
            Ok(Poll::Pending) => return self.tasks.borrow_mut().put_back(id, future),
            Ok(Poll::Ready(())) => {}
            Err(panic) => self.report(panic),
        }
        self.drop_caught(future);
        self.tasks.borrow_mut().remove(id);
        self.count_tasks();
    }

    /// Drops a future, whose destructors may panic too.
    fn drop_caught(&self, future: Boxed) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(future))) {
            self.report(panic);
        }
    }

    fn report(&self, panic: Box<dyn Any + Send>) {
        self.stats.panics.add(1);
        if self.simulated {
            sim::panicked(panic_text(&*panic));
        }
        tracing::error!(shard = %self.id, "a task panicked: {}", panic_text(&*panic));
        // A payload is a value like any other: its destructor may panic as well. That one's
        // payload is leaked: there must be an end to it.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            Box::leak(again);
        }
    }

    fn turn_ring(&self) -> io::Result<()> {
        self.take_woken();
        if self.tasks.borrow().ready() == 0 && self.inbox.fall_asleep() && !self.drain.is_asked() {
            let within = self.until_next_deadline();
            self.reactor.borrow_mut().wait(within)?;
        } else {
            self.reactor.borrow_mut().turn()?;
        }
        self.inbox.wake_up();
        self.take_woken();
        Ok(())
    }

    fn take_woken(&self) {
        let mut reactor = self.reactor.borrow_mut();
        let mut tasks = self.tasks.borrow_mut();
        reactor.take_woken(|id| tasks.wake(id));
    }

    fn until_next_deadline(&self) -> Option<Duration> {
        let timer = self.timers.borrow().first();
        let first = timer.into_iter().chain(self.drain_until.get()).min()?;
        Some(first.saturating_duration_since(now()))
    }

    /// When this shard has something to do: now (None), or at some time, if ever.
    pub(super) fn next_turn(&self) -> Option<Option<Instant>> {
        let ready = self.tasks.borrow().ready() > 0 || self.inbox.has_posted();
        if ready || self.drain.is_asked() || self.reactor.borrow_mut().outlook().1 {
            return None;
        }
        let timer = self.timers.borrow().first();
        Some(timer.into_iter().chain(self.drain_until.get()).min())
    }

    /// What a shard whose work has ended still has.
    pub(super) fn leftovers(&self) -> Vec<String> {
        let pipes = &self.stats.pipes_in_use;
        let found = [
            ("tasks", self.tasks.borrow().len()),
            ("polls", self.reactor.borrow_mut().outlook().0),
            ("timers", self.timers.borrow().len()),
            (
                "pipes in use",
                usize::try_from(pipes.value()).unwrap_or(usize::MAX),
            ),
        ];
        let left = found.into_iter().filter(|(_, count)| *count > 0);
        left.map(|(what, count)| format!("{count} {what} left"))
            .collect()
    }

    /// No task is left, or the grace of a drain is over.
    pub(super) fn ended(&self) -> bool {
        self.tasks.borrow().len() == 0 || self.drain_until.get().is_some_and(|until| now() >= until)
    }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no text)")
}

/// A request that a shard end, from any thread. Each shard has its own: one that comes too late
/// is nobody's.
#[derive(Debug)]
pub(super) struct Drain {
    /// Zero, or one more than the milliseconds of grace.
    grace: AtomicU64,
    inbox: &'static Inbox,
    #[cfg(feature = "foreign")]
    foreign: foreign::Left,
}

impl Drain {
    pub(super) fn ask(&self, grace: Duration) {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.grace
            .store(grace_ms.saturating_add(1), Ordering::SeqCst);
        self.inbox.rouse();
        #[cfg(feature = "foreign")]
        self.foreign.wake();
    }

    fn is_asked(&self) -> bool {
        self.grace.load(Ordering::SeqCst) != 0
    }

    fn take(&self) -> Option<Duration> {
        if !self.is_asked() {
            return None;
        }
        self.grace
            .swap(0, Ordering::SeqCst)
            .checked_sub(1)
            .map(Duration::from_millis)
    }
}

/// Resolves once the calling thread's shard, which a foreign executor runs, has been told to end.
#[cfg(feature = "foreign")]
pub(super) async fn drain_is_asked() {
    std::future::poll_fn(|context| {
        with(|shard| {
            shard.drain.foreign.leave(context.waker());
            match shard.drain.is_asked() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
    })
    .await;
}

/// The calling thread is a shard for as long as this lives. Dropping it ends the shard: the tasks
/// first, then what the kernel has, then the ring.
pub(super) struct Entered(Rc<Shard>);

impl Entered {
    pub(super) fn shard(&self) -> &Shard {
        &self.0
    }

    /// Makes this the calling thread's shard.
    fn step_in(&self) {
        CURRENT.set(Some(Rc::clone(&self.0)));
    }

    /// One turn that never waits: for a simulation, whose thread has other shards too.
    pub(super) fn turn(&self) -> io::Result<()> {
        self.step_in();
        self.0.stats.turns.add(1);
        self.0.take_posted();
        self.0.fire_timers();
        self.0.poll_ready(&mut None);
        self.0.take_woken();
        let turned = self.0.reactor.borrow_mut().turn();
        self.0.take_woken();
        CURRENT.take();
        turned
    }

    /// Turns until no task is left, or a drain's grace is over.
    pub(super) fn run(&self) -> io::Result<()> {
        self.0.run(None, || self.0.ended())
    }

    /// Turns until `done`, with a future that isn't in the table.
    pub(super) fn run_main(&self, main: Main<'_>, done: &Cell<bool>) -> io::Result<()> {
        self.0.tasks.borrow_mut().insert_main();
        self.0.run(Some(main), || done.get())
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.step_in();
        let shard = &self.0;
        shard.closing.set(true);
        loop {
            let Some(future) = shard.tasks.borrow_mut().take_any() else {
                break;
            };
            shard.drop_caught(future);
        }
        shard.count_tasks();
        if let Err(error) = shard.reactor.borrow_mut().close() {
            tracing::error!(shard = %shard.id, "the ring does not close: {error}");
        }
        let kept = Kept::new(shard.inbox, shard.tasks.borrow().last_generation());
        match shard.simulated {
            true => sim::keep(kept),
            false => drop(kept),
        }
        CURRENT.take();
    }
}
