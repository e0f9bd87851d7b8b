//! The io_uring of a shard, wrapped once: polls in, completions out.
//!
//! The ring carries polls, their cancellations and nothing else. No operation has a pointer to
//! memory of ours, so no future that is dropped, leaked or forgotten can leave the kernel writing
//! where it must not.

use std::{io, os::fd::RawFd, time::Duration};

use io_uring::{Builder, IoUring, opcode, squeue, types};

use super::sim::{self, SimRing};

/// User data of completions that nobody waits for (of cancellations that came too late).
const NOBODY: u64 = u64::MAX;

/// The kernel's ring, or one of a simulation.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one a shard, and the real one is to be at hand"
)]
pub(super) enum Ring {
    Kernel(KernelRing),
    Sim(SimRing),
}

impl Ring {
    /// A ring for the calling thread, which alone may use it. May block for a moment.
    pub(super) fn new(entries: u32) -> io::Result<Self> {
        if sim::is_on() {
            return Ok(Self::Sim(SimRing::new()));
        }
        KernelRing::new(entries).map(Self::Kernel)
    }

    /// Queues a poll for readiness, once.
    pub(super) fn poll_add(&mut self, fd: RawFd, events: u32, user_data: u64) -> io::Result<()> {
        match self {
            Self::Kernel(ring) => ring.poll_add(fd, events, user_data),
            Self::Sim(ring) => ring.poll_add(fd, events, user_data),
        }
    }

    /// Queues the cancellation of a poll. The poll itself completes in any case.
    pub(super) fn cancel(&mut self, user_data: u64) -> io::Result<()> {
        match self {
            Self::Kernel(ring) => ring.cancel(user_data),
            Self::Sim(ring) => ring.cancel(user_data),
        }
    }

    /// Hands what is queued to the kernel and runs its deferred work, without waiting.
    pub(super) fn submit(&self) -> io::Result<()> {
        match self {
            Self::Kernel(ring) => ring.submit(),
            Self::Sim(_) => Ok(()),
        }
    }

    /// Whether [`Ring::submit`] has anything to do.
    pub(super) fn wants_submit(&mut self) -> bool {
        match self {
            Self::Kernel(ring) => ring.wants_submit(),
            Self::Sim(ring) => ring.has_completions(),
        }
    }

    /// Hands what is queued to the kernel and waits for a completion, for `within` at most. In a
    /// simulation nobody waits here: time passes between turns.
    pub(super) fn wait(&self, within: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Kernel(ring) => ring.wait(within),
            Self::Sim(_) => Ok(()),
        }
    }

    /// The next completion: user data and result.
    pub(super) fn reap(&mut self) -> Option<(u64, i32)> {
        match self {
            Self::Kernel(ring) => ring.reap(),
            Self::Sim(ring) => ring.reap(),
        }
    }
}

pub(super) struct KernelRing {
    ring: IoUring,
}

/// The kernel gives the memory of rings that have gone free a little later than their descriptor;
/// where little memory may be locked, a new ring has to wait for that.
const MEMORY_TRIES: u32 = 20;
const MEMORY_PAUSE: Duration = Duration::from_millis(10);

impl KernelRing {
    /// A ring for the calling thread, which alone may use it. May block for a moment.
    fn new(entries: u32) -> io::Result<Self> {
        let mut made = Self::try_new(entries);
        for _ in 0..MEMORY_TRIES {
            match &made {
                Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => pause(),
                _ => break,
            }
            made = Self::try_new(entries);
        }
        made
    }

    fn try_new(entries: u32) -> io::Result<Self> {
        match Self::modern(entries) {
            // Kernels before 6.1 know fewer flags; the ring works the same without them.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Self::plain(entries),
            other => other,
        }
    }

    fn modern(entries: u32) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag();
        builder.setup_coop_taskrun().setup_submit_all();
        Self::build(&mut builder, entries)
    }

    fn plain(entries: u32) -> io::Result<Self> {
        Self::build(&mut IoUring::builder(), entries)
    }

    fn build(builder: &mut Builder, entries: u32) -> io::Result<Self> {
        let ring = builder
            .setup_cqsize(entries.saturating_mul(4))
            .setup_clamp()
            .build(entries)?;
        let params = ring.params();
        if !params.is_feature_ext_arg() || !params.is_feature_nodrop() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Self { ring })
    }

    /// Queues a poll for readiness, once.
    fn poll_add(&mut self, fd: RawFd, events: u32, user_data: u64) -> io::Result<()> {
        self.push(
            &opcode::PollAdd::new(types::Fd(fd), events)
                .build()
                .user_data(user_data),
        )
    }

    /// Queues the cancellation of a poll. The poll itself completes in any case.
    ///
    /// By ASYNC_CANCEL: POLL_REMOVE answers EALREADY while a wake-up is being looked into, and if
    /// that comes to nothing the poll stays.
    fn cancel(&mut self, user_data: u64) -> io::Result<()> {
        let cancel = opcode::AsyncCancel::new(user_data).build();
        self.push(&cancel.user_data(NOBODY).flags(squeue::Flags::SKIP_SUCCESS))
    }

    /// Err(WouldBlock) if the queue is full and the kernel takes nothing before completions are
    /// reaped.
    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        if self.ring.submission().is_full() {
            self.submit()?;
        }
        // SAFETY: `push` asks that the entry's parameters be valid for the whole operation.
        // Entries come from `poll_add` and `cancel` alone: they hold numbers only. A
        // descriptor that is closed, or even used again, before the kernel sees it makes the
        // poll fail or report another file's events: no memory is at stake, and the op table's
        // generations keep the outcome from reaching the wrong waiter.
        unsafe { self.ring.submission().push(entry) }
            .map_err(|_full| io::ErrorKind::WouldBlock.into())
    }

    /// Hands what is queued to the kernel and runs its deferred work, without waiting.
    fn submit(&self) -> io::Result<()> {
        lenient(self.ring.submit())
    }

    /// Whether [`KernelRing::submit`] has anything to do.
    fn wants_submit(&mut self) -> bool {
        let queue = self.ring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow()
    }

    /// Hands what is queued to the kernel and waits for a completion, for `within` at most.
    fn wait(&self, within: Option<Duration>) -> io::Result<()> {
        lenient(match within {
            None => self.ring.submit_and_wait(1),
            Some(within) => {
                let timespec = types::Timespec::from(within);
                let args = types::SubmitArgs::new().timespec(&timespec);
                self.ring.submitter().submit_with_args(1, &args)
            }
        })
    }

    /// The next completion: user data and result.
    fn reap(&mut self) -> Option<(u64, i32)> {
        loop {
            let entry = self.ring.completion().next()?;
            if entry.user_data() != NOBODY {
                return Some((entry.user_data(), entry.result()));
            }
        }
    }
}

/// Takes the errors that mean "look again" for what they are.
fn lenient(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            // A signal; the time is over; completions must be reaped first; memory is short.
            Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN) => Ok(()),
            _ => Err(error),
        },
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "before the shard begins: there is nobody to keep"
)]
fn pause() {
    std::thread::sleep(MEMORY_PAUSE);
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::super::sys;
    use super::*;

    fn next(ring: &mut KernelRing) -> Option<(u64, i32)> {
        ring.wait(Some(Duration::from_secs(1))).unwrap();
        ring.reap()
    }

    /// Both kinds of ring that kernels give us do the same.
    #[test]
    fn polls_complete_or_are_cancelled() {
        for mut ring in [
            KernelRing::modern(4).unwrap(),
            KernelRing::plain(4).unwrap(),
        ] {
            let (reading, writing) = sys::pipe().unwrap();
            let (reading, writing) = (reading.as_raw_fd(), writing.as_raw_fd());
            ring.poll_add(writing, libc::POLLOUT as u32, 1).unwrap();
            assert_eq!(next(&mut ring), Some((1, i32::from(libc::POLLOUT))));
            ring.poll_add(reading, libc::POLLIN as u32, 2).unwrap();
            ring.wait(Some(Duration::from_millis(1))).unwrap();
            assert_eq!(ring.reap(), None);
            ring.cancel(2).unwrap();
            assert_eq!(next(&mut ring), Some((2, -libc::ECANCELED)));
            // A cancellation that finds nothing is nobody's business.
            ring.cancel(2).unwrap();
            ring.wait(Some(Duration::from_millis(1))).unwrap();
            assert_eq!(ring.reap(), None);
        }
    }

    /// More completions than the queue holds: the kernel keeps the rest.
    #[test]
    fn an_overflowing_completion_queue_loses_nothing() {
        for mut ring in [
            KernelRing::modern(2).unwrap(),
            KernelRing::plain(2).unwrap(),
        ] {
            let (_reading, writing) = sys::pipe().unwrap();
            for number in 0..100 {
                ring.poll_add(writing.as_raw_fd(), libc::POLLOUT as u32, number)
                    .unwrap();
            }
            let mut seen = Vec::new();
            while seen.len() < 100 {
                seen.push(next(&mut ring).unwrap().0);
                while let Some((number, _)) = ring.reap() {
                    seen.push(number);
                }
            }
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..100));
        }
    }
}
