//! Threads for what blocks: password hashing, DNS, saslauthd, disks. Few threads, a bounded queue,
//! and a clear answer when it is full.

use std::{
    error, fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use crossbeam_channel::TrySendError;

use super::{
    channel::{Closed, oneshot},
    label::{label, set_label},
    shard::panic_text,
    sim::{self, JobQueue},
    sys,
};

type Job = Box<dyn FnOnce() + Send>;

/// A handle to a pool. The threads end when the last handle is dropped and the queue is empty.
#[derive(Clone)]
pub struct Pool {
    jobs: Jobs,
}

/// Where jobs wait: for threads, or for their time in a simulation.
#[derive(Clone)]
enum Jobs {
    Threads(crossbeam_channel::Sender<Job>),
    Sim(JobQueue),
}

/// Why a pool gave no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PoolError {
    /// As many jobs wait as may.
    Full,
    /// The job panicked.
    Panicked,
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the pool's queue is full",
            Self::Panicked => "the job panicked",
        })
    }
}

impl error::Error for PoolError {}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queued = match &self.jobs {
            Jobs::Threads(jobs) => jobs.len(),
            Jobs::Sim(jobs) => jobs.len(),
        };
        f.debug_struct("Pool").field("queued", &queued).finish()
    }
}

impl Pool {
    /// Starts the threads (at least one). At most `queue_max` jobs wait for one of them.
    ///
    /// # Errors
    /// If a thread can't be started.
    pub fn new(name: &str, threads: usize, queue_max: usize) -> io::Result<Self> {
        Self::start(name, threads, queue_max, || {})
    }

    /// The same for jobs that use a CPU for long: where a shard wants it, the shard comes first.
    ///
    /// # Errors
    /// If a thread can't be started.
    pub fn background(name: &str, threads: usize, queue_max: usize) -> io::Result<Self> {
        Self::start(name, threads, queue_max, sys::step_back)
    }

    fn start(name: &str, threads: usize, queue_max: usize, prepare: fn()) -> io::Result<Self> {
        if sim::is_on() {
            let jobs = Jobs::Sim(JobQueue::new(queue_max + threads.max(1)));
            return Ok(Self { jobs });
        }
        let (jobs, queue) = crossbeam_channel::bounded::<Job>(queue_max);
        for number in 0..threads.max(1) {
            let (queue, label) = (queue.clone(), label());
            thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || {
                    set_label(label);
                    prepare();
                    queue.into_iter().for_each(|job| job());
                })?;
        }
        let jobs = Jobs::Threads(jobs);
        Ok(Self { jobs })
    }

    /// Runs `job` on one of the threads. If this future is dropped before the job has begun, the
    /// job is not run; once begun it runs to its end, and the result is dropped.
    ///
    /// # Errors
    /// [`PoolError::Full`] at once if too many jobs wait already; [`PoolError::Panicked`] if the
    /// job did.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let (sender, receiver) = oneshot();
        let job = Box::new(move || {
            if sender.is_closed() {
                return;
            }
            match catch_unwind(AssertUnwindSafe(job)) {
                // Nobody may be waiting any more: then the result is not needed.
                Ok(result) => drop(sender.send(result)),
                Err(panic) => tracing::error!("a pool's job panicked: {}", panic_text(&*panic)),
            }
        });
        self.jobs.push(job)?;
        receiver.await.map_err(|Closed| PoolError::Panicked)
    }
}

impl Jobs {
    fn push(&self, job: Job) -> Result<(), PoolError> {
        match self {
            Self::Threads(jobs) => jobs.try_send(job).map_err(|error| match error {
                TrySendError::Full(_) => PoolError::Full,
                // The threads outlive the handles, and no job ends a thread.
                TrySendError::Disconnected(_) => PoolError::Panicked,
            }),
            Self::Sim(jobs) if jobs.push(job) => Ok(()),
            Self::Sim(_) => Err(PoolError::Full),
        }
    }
}
