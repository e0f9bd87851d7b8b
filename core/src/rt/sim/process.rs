//! Processes of a world: shards and pools that die together, as by SIGKILL.
//!
//! What is started within a process belongs to it. Killed, it ends between two turns: of the jobs that its pools have
//! under way some are still done (the kernel had them), the others never; then whoever killed it looks at what it leaves
//! on the disk, before a destructor can tidy up; then all it had is dropped, and its connections end.

use super::{
    schedule::Runner,
    world::{Event, State},
};

/// A process of the world, by its number; the world itself is one, which can't be killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Process(u32);

/// Called when a process is dead and all its files are as it has left them.
pub(super) type Post = Box<dyn FnOnce()>;

impl Process {
    /// The world's own.
    pub(super) const WORLD: Self = Self(0);

    pub(super) fn new() -> Self {
        super::with(|world| {
            world.processes += 1;
            Self(world.processes)
        })
    }

    /// Does something as this process: the shards and pools that it makes are the process's.
    pub fn within<T>(self, f: impl FnOnce() -> T) -> T {
        let before = super::with(|world| std::mem::replace(&mut world.process, self));
        let done = f();
        super::with(|world| world.process = before);
        done
    }

    /// Kills it before anybody's next turn; then `post` is called. Its shards' handles say when it is over.
    pub fn kill(self, post: impl FnOnce() + 'static) {
        super::with(|world| {
            world.note("kill", self.0.into(), 0);
            world.killed.push((self, Box::new(post)));
        });
    }
}

/// Ends the processes that were killed.
pub(super) fn slay(runners: &mut Vec<Runner>) {
    for (process, post) in super::with(|world| std::mem::take(&mut world.killed)) {
        let jobs = super::with(|world| world.jobs_of(process));
        let (done, never): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .partition(|_job| super::with(|world| world.rng.bool()));
        done.into_iter().for_each(|job| process.within(job));
        post();
        drop(never);
        let (dead, alive) = std::mem::take(runners)
            .into_iter()
            .partition(|runner| runner.process == process);
        *runners = alive;
        bury(dead);
        // What its last jobs asked for.
        drop(super::with(|world| world.jobs_of(process)));
    }
}

fn bury(dead: Vec<Runner>) {
    for runner in dead {
        let ended = runner.ended.clone();
        drop(runner);
        if let Some(ended) = ended {
            ended.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

impl State {
    /// Takes out what a process's pools have still to do.
    fn jobs_of(&mut self, process: Process) -> Vec<Box<dyn FnOnce() + Send>> {
        let theirs = |pool: u32| self.pools[pool as usize].process == process;
        let keys: Vec<_> = self
            .events
            .iter()
            .filter(|(_, event)| matches!(event, Event::Job(pool, _) if theirs(*pool)))
            .map(|(key, _)| *key)
            .collect();
        let mut jobs = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(Event::Job(pool, job)) = self.events.remove(&key) {
                self.pools[pool as usize].queued -= 1;
                jobs.push(job);
            }
        }
        jobs
    }
}
