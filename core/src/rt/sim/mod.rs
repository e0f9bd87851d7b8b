//! The second back end of the runtime: shards, sockets, pipes, pools and time, all simulated on
//! the calling thread from one seed.
//!
//! [`run`] makes the calling thread a world. In it [`super::start_shard`] adds a shard to the
//! world instead of a thread, [`super::Listener`] and [`super::Stream`] work on the world's network, a
//! [`super::Pool`]'s jobs run here, and [`super::now`] is the world's clock, which jumps to the next event
//! when nobody is ready. What runs above a system call is the real thing: executor, op table,
//! timers, inboxes, wakers, channels, relays and the bound on pipes. Simulated is only what the
//! kernel does: `ring` and `poll` for io_uring, `socket`, `stream` and `arrive` for sockets, `pipe`
//! for pipes.
//!
//! Every choice (which shard turns, which task of it, how much a call moves, when bytes arrive,
//! what fails) is drawn from the seed, and every event goes into a hash: the same seed gives the
//! same hash, or something here reads what it must not.

mod arrive;
mod faults;
mod pipe;
mod poll;
mod process;
mod schedule;
mod socket;
mod stream;
mod trace;
mod world;

use std::{collections::BTreeMap, time::Duration};

use self::world::State;
pub use self::{
    faults::{Fault, Faults},
    process::Process,
};
pub(super) use self::{pipe::SimPipe, poll::SimRing, socket::SimSocket, world::JobQueue};
use super::{Address, Stream, inbox::Kept, shard::Entered};

/// What a run is given.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Decides everything.
    pub seed: u64,
    /// What goes wrong, and how often.
    pub faults: Faults,
    /// Whether the trace is kept, to be read.
    pub verbose: bool,
    /// The virtual time after which a run that hasn't ended has failed.
    pub within: Duration,
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Of every event in its order.
    pub hash: u64,
    /// What went wrong on purpose, by kind: every [`Fault`], and what [`World::count`] added.
    pub faults: BTreeMap<&'static str, u64>,
    /// What went wrong otherwise: panics, leaks, no end. Empty for a good run.
    pub failures: Vec<String>,
    /// The trace, if it was kept.
    pub trace: Vec<String>,
    /// Virtual time that passed.
    pub elapsed: Duration,
    /// Turns of all shards.
    pub turns: u64,
}

/// The world that the calling thread is, for those in it who know.
#[derive(Clone, Copy, Debug)]
pub struct World(());

impl World {
    /// Puts a line into the trace.
    pub fn note(self, text: &str) {
        with(|world| world.trace.text(world.now, text));
    }

    /// Counts something that was done wrong on purpose.
    pub fn count(self, kind: &'static str) {
        self.add(kind, 1);
    }

    /// The same, of a kind that must be in the counts though it may be nothing this time.
    pub fn add(self, kind: &'static str, times: u64) {
        with(|world| *world.counts.entry(kind).or_insert(0) += times);
    }

    /// The run has failed, and why.
    pub fn fail(self, why: String) {
        with(|world| world.fail(why));
    }

    /// What the network has done to a connection.
    #[must_use]
    pub fn harm(self, stream: &Stream) -> Option<Fault> {
        let fd = stream.socket().raw_fd();
        with(|world| world.harm(fd))
    }

    /// How often the network has done the worst to some connection so far: reset, closed, silenced.
    #[must_use]
    pub fn harms(self) -> u64 {
        with(|world| world.harms)
    }

    /// A process to be, of which there is nothing yet.
    #[must_use]
    pub fn process(self) -> Process {
        Process::new()
    }

    /// Nothing gets to or from who listens at this address for a while: it arrives afterwards, as by a link that was cut.
    pub fn cut(self, address: &Address, time: Duration) {
        with(|world| world.cut(address, time));
    }

    /// What goes wrong by itself from now on; what fate had in store for connections until then doesn't come.
    pub fn set_faults(self, faults: Faults) {
        with(|world| world.set_faults(faults));
    }

    /// Virtual time since the beginning.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        with(|world| world.now)
    }
}

/// Runs a world until the future that `main` gives is done, and says what came of it. `main` runs on
/// a shard of its own; whatever it leaves behind is looked at, and dropped.
pub fn run<F>(settings: Settings, main: impl FnOnce(World) -> F) -> Outcome
where
    F: Future<Output = ()> + 'static,
{
    schedule::run(settings, main)
}

/// Whether the calling thread is a world.
pub(super) fn is_on() -> bool {
    world::is_on()
}

/// Does something with the world that this thread is.
fn with<T>(f: impl FnOnce(&mut State) -> T) -> T {
    world::with(f).expect("a simulated thing is used on the thread of its own world")
}

/// A seed for a generator in the world.
pub(super) fn seed() -> Option<u64> {
    world::with(|world| world.rng.u64(..))
}

/// One of `count` that may be next, and how many of them may run before others' turn.
pub(super) fn pick(count: usize) -> usize {
    with(|world| world.rng.usize(..count.max(1)))
}

/// A task is polled.
pub(super) fn polled(slot: u32) {
    with(|world| world.note("poll", u64::from(slot), 0));
}

/// A shard that is to be part of the world.
pub(super) fn add(entered: Entered, ended: Ended) {
    with(|world| world.newcomers.push((entered, world.process, ended)));
}

/// The number of a shard that has ended stays with its world to the world's end: wakers that are
/// left would wake a shard of another one, for nothing, but not in a hundred runs the same.
pub(super) fn keep(kept: Kept) {
    world::with(|world| world.kept.push(kept));
}

/// Something has panicked.
pub(super) fn panicked(text: &str) {
    world::with(|world| world.fail(format!("panic: {text}")));
}

pub(super) use self::world::Ended;
