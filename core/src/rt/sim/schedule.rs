//! Who turns next: shards with something to do, in an order drawn from the seed; then, when nobody
//! has anything to do, the clock.

use std::{cell::Cell, rc::Rc, sync::atomic::Ordering, time::Duration};

use super::{
    super::{
        ShardConfig,
        shard::{Entered, Shard},
    },
    Outcome, Settings, World,
    process::{self, Process},
    world::{self, Ended, Event, State},
};

/// Turns after which a run that hasn't ended goes round in circles.
const TURNS_MAX: u64 = 5_000_000;
/// What a turn takes, at most.
const TURN_MICROS_MAX: u64 = 30;

pub(super) struct Runner {
    number: usize,
    entered: Entered,
    pub(super) process: Process,
    /// None: the world's own shard.
    pub(super) ended: Option<Ended>,
}

/// Set when it is dropped: also where main panics.
struct Done(Rc<Cell<bool>>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

pub(super) fn run<F>(settings: Settings, main: impl FnOnce(World) -> F) -> Outcome
where
    F: Future<Output = ()> + 'static,
{
    world::begin(&settings);
    let config = ShardConfig::default();
    let entered = Shard::make(&config).expect("invariant: a simulated shard needs nothing");
    let done = Rc::new(Cell::new(false));
    let (guard, main) = (Done(Rc::clone(&done)), main(World(())));
    entered.shard().spawn(
        Box::pin(async move {
            let _guard = guard;
            main.await;
        }),
        false,
    );
    let mut runners = vec![Runner {
        number: 0,
        entered,
        process: Process::WORLD,
        ended: None,
    }];
    let mut started = 1;
    let mut turns = 0;
    while !done.get() {
        adopt(&mut runners, &mut started);
        process::slay(&mut runners);
        fire_events();
        bury(&mut runners);
        if !turn(&runners, settings.within) {
            break;
        }
        turns += 1;
        if turns == TURNS_MAX {
            super::with(|world| world.fail(format!("no end after {turns} turns")));
            break;
        }
    }
    close(runners);
    outcome(world::end(), turns)
}

fn adopt(runners: &mut Vec<Runner>, started: &mut usize) {
    for (entered, process, ended) in super::with(|world| std::mem::take(&mut world.newcomers)) {
        runners.push(Runner {
            number: *started,
            entered,
            process,
            ended: Some(ended),
        });
        *started += 1;
    }
}

fn fire_events() {
    while let Some(event) = super::with(State::due) {
        match event {
            Event::Arrive(fd, segment) => super::with(|world| world.arrive(fd, segment)),
            Event::Fate(fd, fault) => super::with(|world| world.strike(fd, fault)),
            Event::Job(pool, job) => {
                let process = super::with(|world| {
                    world.pools[pool as usize].queued -= 1;
                    world.note("job", pool.into(), 0);
                    world.pools[pool as usize].process
                });
                process.within(job);
            }
        }
    }
}

/// Takes out shards that have ended, and looks at what they leave.
fn bury(runners: &mut Vec<Runner>) {
    runners.retain(|runner| {
        let Some(ended) = &runner.ended else {
            return true;
        };
        if !runner.entered.shard().ended() {
            return true;
        }
        for left in runner.entered.shard().leftovers() {
            super::with(|world| world.fail(format!("shard {} ended: {left}", runner.number)));
        }
        ended.store(true, Ordering::Relaxed);
        false
    });
}

/// One shard's turn, or a step of the clock. False: nothing can happen any more.
fn turn(runners: &[Runner], within: Duration) -> bool {
    let (mut ready, mut next) = (Vec::new(), super::with(|world| world.next_event()));
    for (index, runner) in runners.iter().enumerate() {
        let turn = runner.entered.shard().next_turn();
        let (now, at) = super::with(|world| {
            let at = turn.map_or(Some(world.now), |at| at.map(|at| world.since_began(at)));
            (world.now, at)
        });
        match at {
            Some(at) if at <= now => ready.push(index),
            Some(at) => next = Some(next.map_or(at, |next| next.min(at))),
            None => {}
        }
    }
    if ready.is_empty() {
        return wait_until(next, within);
    }
    let chosen = super::with(|world| {
        let index = ready[world.rng.usize(..ready.len())];
        world.shard = runners[index].number;
        index
    });
    let runner = &runners[chosen];
    let turned = runner.process.within(|| runner.entered.turn());
    super::with(|world| {
        if let Err(error) = turned {
            world.fail(format!("a ring failed: {error}"));
        }
        let took = Duration::from_micros(world.rng.u64(..TURN_MICROS_MAX));
        world.pass(world.now + took);
    });
    true
}

fn wait_until(next: Option<Duration>, within: Duration) -> bool {
    super::with(|world| match next {
        Some(at) if at <= within => {
            world.pass(at);
            true
        }
        Some(_) => {
            world.fail(format!("no end within {within:?}"));
            false
        }
        None => {
            world.fail("everybody waits, and nothing is to come".to_owned());
            false
        }
    })
}

/// Drops what is left: the shards of others should have ended, the world's own may have peers.
fn close(runners: Vec<Runner>) {
    let sure = super::with(|world| world.failures.is_empty());
    for runner in runners.into_iter().rev() {
        if runner.ended.is_some() && sure && !runner.entered.shard().ended() {
            let left = runner.entered.shard().leftovers().join(", ");
            super::with(|world| world.fail(format!("shard {} runs on: {left}", runner.number)));
        }
        drop(runner);
    }
    let newcomers = super::with(|world| std::mem::take(&mut world.newcomers));
    drop(newcomers);
    super::with(|world| {
        let left = [
            ("sockets", world.sockets.len()),
            ("polls", world.polls.len()),
            ("pipes", world.pipes),
        ];
        for (what, count) in left {
            if count > 0 {
                world.fail(format!("{count} {what} are left in the world"));
            }
        }
    });
}

fn outcome(state: State, turns: u64) -> Outcome {
    let (hash, trace) = state.trace.end();
    Outcome {
        hash,
        faults: state.counts,
        failures: state.failures,
        trace,
        elapsed: state.now,
        turns,
    }
}
