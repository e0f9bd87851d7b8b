//! The state of a world: its clock, its events to come, its sockets and rings, and what it counts.
//!
//! It belongs to the thread, and is borrowed for the length of one call that runs no code of
//! others: jobs are taken out before they run.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use super::{
    super::{
        Address, Instant,
        clock::{self, SystemTime},
        inbox::Kept,
        shard::Entered,
    },
    Settings,
    arrive::Segment,
    faults::{ALWAYS, Fault, Faults},
    poll::Polls,
    process::{Post, Process},
    stream::Socket,
    trace::Trace,
};

/// Set once a simulated shard has ended.
pub(in super::super) type Ended = Arc<AtomicBool>;

thread_local! {
    static WORLD: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// What is yet to happen.
pub(super) enum Event {
    /// Something arrives at a socket.
    Arrive(i32, Segment),
    /// What fate has in store for a connection, of which this is one end.
    Fate(i32, Fault),
    /// A pool's job is done.
    Job(u32, Box<dyn FnOnce() + Send>),
}

/// What a pool has to do.
pub(super) struct Jobs {
    pub(super) queued: usize,
    pub(super) process: Process,
}

pub(super) struct State {
    pub(super) rng: fastrand::Rng,
    /// Virtual time since the beginning.
    pub(super) now: Duration,
    /// Where the clock began.
    began: Instant,
    pub(super) faults: Faults,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) harms: u64,
    pub(super) trace: Trace,
    pub(super) failures: Vec<String>,
    pub(super) events: BTreeMap<(Duration, u64), Event>,
    events_made: u64,
    pub(super) sockets: BTreeMap<i32, Socket>,
    pub(super) sockets_made: i32,
    pub(super) polls: Polls,
    pub(super) pipes: usize,
    pub(super) pools: Vec<Jobs>,
    pub(super) newcomers: Vec<(Entered, Process, Ended)>,
    /// Who runs, or is being started; how many there are beside the world; and who is to die.
    pub(super) process: Process,
    pub(super) processes: u32,
    pub(super) killed: Vec<(Process, Post)>,
    /// Until when nothing gets to or from these.
    pub(super) cuts: BTreeMap<Address, Duration>,
    /// The shard whose turn it is.
    pub(super) shard: usize,
    /// Dropped last.
    pub(super) kept: Vec<Kept>,
}

pub(super) fn is_on() -> bool {
    WORLD.with_borrow(Option::is_some)
}

/// Does something with this thread's world, if it is one. Nothing while it is being dropped.
pub(super) fn with<T>(f: impl FnOnce(&mut State) -> T) -> Option<T> {
    WORLD
        .try_with(|world| Some(f(world.try_borrow_mut().ok()?.as_mut()?)))
        .ok()
        .flatten()
}

/// Makes this thread a world.
pub(super) fn begin(settings: &Settings) {
    let began = clock::host_instant();
    let state = State {
        rng: fastrand::Rng::with_seed(settings.seed),
        now: Duration::ZERO,
        began,
        faults: settings.faults.clone(),
        counts: Fault::ALL.iter().map(|fault| (fault.name(), 0)).collect(),
        harms: 0,
        trace: Trace::new(settings.verbose),
        failures: Vec::new(),
        events: BTreeMap::new(),
        events_made: 0,
        sockets: BTreeMap::new(),
        sockets_made: 0,
        polls: Polls::default(),
        pipes: 0,
        pools: Vec::new(),
        newcomers: Vec::new(),
        process: Process::WORLD,
        processes: 0,
        killed: Vec::new(),
        cuts: BTreeMap::new(),
        shard: 0,
        kept: Vec::new(),
    };
    state.tell_the_time();
    let before = WORLD.replace(Some(state));
    assert!(before.is_none(), "this thread is a world already");
}

/// Makes this thread what it was. The state comes back, to be looked at and dropped outside.
pub(super) fn end() -> State {
    let state = WORLD.take().expect("invariant: a world ends once");
    clock::set(None);
    state
}

/// The first moment of every world.
const WALL_CLOCK: Duration = Duration::from_secs(1_795_000_000);

impl State {
    fn tell_the_time(&self) {
        let wall = SystemTime::UNIX_EPOCH + WALL_CLOCK + self.now;
        clock::set(Some((self.began + self.now, wall)));
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, until: Duration) {
        self.now = self.now.max(until);
        self.tell_the_time();
    }

    /// A time on the clock as it is in the world.
    pub(super) fn since_began(&self, time: Instant) -> Duration {
        time.saturating_duration_since(self.began)
    }

    pub(super) fn note(&mut self, what: &str, a: u64, b: u64) {
        self.trace.event(self.now, self.shard, what, a, b);
    }

    pub(super) fn fail(&mut self, why: String) {
        self.trace.text(self.now, &format!("FAILED: {why}"));
        self.failures.push(why);
    }

    /// Whether a fault happens now. One that does is counted.
    pub(super) fn strikes(&mut self, fault: Fault) -> bool {
        let rate = self.faults.rate(fault);
        let strikes = rate > 0 && self.rng.u32(..ALWAYS) < rate;
        if strikes {
            self.count(fault);
        }
        strikes
    }

    pub(super) fn count(&mut self, fault: Fault) {
        *self.counts.entry(fault.name()).or_insert(0) += 1;
        self.note(fault.name(), 0, 0);
    }

    pub(super) fn schedule(&mut self, at: Duration, event: Event) {
        self.events_made += 1;
        self.events.insert((at, self.events_made), event);
    }

    pub(super) fn next_event(&self) -> Option<Duration> {
        self.events.first_key_value().map(|(key, _)| key.0)
    }

    /// The next event whose time has come.
    pub(super) fn due(&mut self) -> Option<Event> {
        let entry = self.events.first_entry()?;
        (entry.key().0 <= self.now).then(|| entry.remove())
    }

    /// How long something on the network takes.
    pub(super) fn delay(&mut self) -> Duration {
        let micros = if self.strikes(Fault::Delay) {
            1 << self.rng.u32(10..20)
        } else {
            self.rng.u64(20..400)
        };
        Duration::from_micros(micros)
    }
}

/// A pool's queue in a world.
#[derive(Clone, Debug)]
pub(in super::super) struct JobQueue {
    number: u32,
    jobs_max: usize,
}

impl JobQueue {
    pub(in super::super) fn new(jobs_max: usize) -> Self {
        super::with(|world| {
            let process = world.process;
            world.pools.push(Jobs { queued: 0, process });
            let number = u32::try_from(world.pools.len() - 1).expect("invariant: pools are few");
            Self { number, jobs_max }
        })
    }

    pub(in super::super) fn len(&self) -> usize {
        super::with(|world| world.pools[self.number as usize].queued)
    }

    /// Queues a job. False: as many wait as may.
    pub(in super::super) fn push(&self, job: Box<dyn FnOnce() + Send>) -> bool {
        super::with(|world| {
            let full = world.pools[self.number as usize].queued >= self.jobs_max;
            if full || world.strikes(Fault::JobRefused) {
                world.harms += 1;
                return false;
            }
            world.pools[self.number as usize].queued += 1;
            let micros = if world.strikes(Fault::JobSlow) {
                world.rng.u64(100_000..3_000_000)
            } else {
                // Often several at once, as from threads.
                world.rng.u64(1..5) * 5000
            };
            let at = world.now + Duration::from_micros(micros);
            let at = Duration::from_millis(1 + u64::try_from(at.as_millis()).unwrap_or(0));
            world.schedule(at, Event::Job(self.number, job));
            true
        })
    }
}

/// Completions that wait to be reaped.
pub(super) type Completions = VecDeque<(u64, i32)>;
