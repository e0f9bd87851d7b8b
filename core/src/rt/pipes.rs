//! The shard's pipes: made when a relay first needs one, kept for the next, never more than the
//! bound. Nobody waits for a pipe: a relay that gets none copies.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use super::{
    Instant, Stream, now, shard,
    sim::{self, SimPipe},
    socket::Socket,
    stats::ShardStats,
    sys,
};

/// A pipe below this is worse than copying; unprivileged users get such pipes when they have many.
const CAPACITY_MIN: usize = 64 << 10;
/// How long to copy before asking again, after the kernel has refused a pipe.
const REFUSED_FOR: Duration = Duration::from_secs(1);

pub(super) struct Pipes {
    idle: Vec<Pipe>,
    open: usize,
    open_max: usize,
    /// What a pipe is asked to hold.
    size: usize,
    refused_until: Option<Instant>,
    stats: &'static ShardStats,
}

pub(super) struct Pipe {
    ends: Ends,
    /// Bytes it holds.
    pub(super) capacity: usize,
}

/// The kernel's pipe, or one of a simulation.
enum Ends {
    Os {
        reading: OwnedFd,
        /// Shared with the thread that fills it from a file.
        writing: Arc<OwnedFd>,
    },
    Sim(SimPipe),
}

impl Pipe {
    fn new(size: usize) -> io::Result<Self> {
        if sim::is_on() {
            let ends = Ends::Sim(SimPipe::new(size)?);
            let capacity = size;
            return Ok(Self { ends, capacity });
        }
        let (reading, writing) = sys::pipe()?;
        let capacity = sys::pipe_size(writing.as_fd(), size)?;
        let writing = Arc::new(writing);
        let ends = Ends::Os { reading, writing };
        Ok(Self { ends, capacity })
    }

    /// Splices at most so many bytes from a connection into the pipe; zero: the peer has closed.
    pub(super) fn fill(&self, from: &Stream, most: usize) -> io::Result<usize> {
        match (&self.ends, from.socket()) {
            (Ends::Os { writing, .. }, Socket::Os(socket)) => {
                sys::splice(socket.as_fd(), writing.as_fd(), most)
            }
            (Ends::Sim(pipe), Socket::Sim(socket)) => pipe.fill(socket, most),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Where a thread may fill it from a file; `None` in a simulation, which has no such pipes.
    pub(super) fn writing(&self) -> Option<Arc<OwnedFd>> {
        match &self.ends {
            Ends::Os { writing, .. } => Some(Arc::clone(writing)),
            Ends::Sim(_) => None,
        }
    }

    /// Splices at most so many bytes from the pipe to a connection.
    pub(super) fn drain(&self, to: &Stream, most: usize) -> io::Result<usize> {
        match (&self.ends, to.socket()) {
            (Ends::Os { reading, .. }, Socket::Os(socket)) => {
                sys::splice(reading.as_fd(), socket.as_fd(), most)
            }
            (Ends::Sim(pipe), Socket::Sim(socket)) => pipe.drain(socket, most),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl Pipes {
    pub(super) fn new(open_max: usize, size: usize, stats: &'static ShardStats) -> Self {
        Self {
            idle: Vec::new(),
            open: 0,
            open_max,
            size,
            refused_until: None,
            stats,
        }
    }

    fn take(&mut self) -> Option<Pipe> {
        let pipe = self.idle.pop().or_else(|| self.make());
        if pipe.is_none() {
            self.stats.pipes_missed.add(1);
        }
        self.count();
        pipe
    }

    fn make(&mut self) -> Option<Pipe> {
        if self.open >= self.open_max || self.refused_until.is_some_and(|until| now() < until) {
            return None;
        }
        match Pipe::new(self.size) {
            Ok(pipe) if pipe.capacity >= CAPACITY_MIN => {
                self.open += 1;
                self.refused_until = None;
                Some(pipe)
            }
            // Too small, or no descriptors left.
            _ => {
                self.refused_until = Some(now() + REFUSED_FOR);
                None
            }
        }
    }

    /// Takes an empty pipe back.
    fn give_back(&mut self, pipe: Pipe) {
        self.idle.push(pipe);
        self.count();
    }

    /// A pipe that still held bytes was closed.
    fn forget(&mut self) {
        self.open -= 1;
        self.count();
    }

    fn count(&self) {
        self.stats.pipes_open.set(self.open as u64);
        self.stats
            .pipes_in_use
            .set((self.open - self.idle.len()) as u64);
    }
}

/// A pipe that a relay has for the moment. Dropped clean it goes back to the shard; dropped dirty
/// it is closed, for what is in it belongs to a session that has died.
pub(super) struct Lease {
    /// Taken out by the destructor alone.
    pipe: Option<Pipe>,
    serial: u64,
    /// There are bytes inside.
    dirty: bool,
}

impl Lease {
    /// A pipe, if one can be had.
    pub(super) fn take() -> Option<Self> {
        shard::with(|shard| {
            let pipe = shard.pipes.borrow_mut().take()?;
            Some(Self {
                pipe: Some(pipe),
                serial: shard.serial,
                dirty: false,
            })
        })
    }

    pub(super) fn pipe(&self) -> &Pipe {
        self.pipe
            .as_ref()
            .expect("invariant: a lease has its pipe until it is dropped")
    }

    pub(super) fn set_dirty(&mut self, dirty: bool) {
        #[cfg(bug_3)] // A pipe with bytes inside goes back to the pool.
        let dirty = dirty & !dirty;
        self.dirty = dirty;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(pipe) = self.pipe.take() else { return };
        // A lease that has outlived its shard closes its pipe: there is no pool any more.
        shard::try_with(|shard| {
            if shard.serial != self.serial {
                return;
            }
            let mut pipes = shard.pipes.borrow_mut();
            if self.dirty {
                pipes.forget();
            } else {
                pipes.give_back(pipe);
            }
        });
    }
}
