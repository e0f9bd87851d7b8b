//! The io_uring of a shard, wrapped once: polls in, completions out.
//!
//! The ring carries polls, their cancellations and nothing else. No operation has a pointer to
//! memory of ours, so no future that is dropped, leaked or forgotten can leave the kernel writing
//! where it must not.

use std::{io, os::fd::RawFd, time::Duration};

use io_uring::{IoUring, opcode, squeue, types};

/// User data of completions that nobody waits for (of cancellations that came too late).
const NOBODY: u64 = u64::MAX;

pub(super) struct Ring {
    ring: IoUring,
}

impl Ring {
    /// A ring for the calling thread, which alone may use it.
    pub(super) fn new(entries: u32) -> io::Result<Self> {
        let modern = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_coop_taskrun()
            .setup_submit_all()
            .setup_cqsize(entries.saturating_mul(4))
            .setup_clamp()
            .build(entries);
        let ring = match modern {
            // Kernels before 6.1 know fewer flags; the ring works the same without them.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => IoUring::builder()
                .setup_cqsize(entries.saturating_mul(4))
                .build(entries)?,
            other => other?,
        };
        let params = ring.params();
        if !params.is_feature_ext_arg() || !params.is_feature_nodrop() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Self { ring })
    }

    /// Queues a poll for readiness, once.
    pub(super) fn poll_add(&mut self, fd: RawFd, events: u32, user_data: u64) -> io::Result<()> {
        self.push(
            &opcode::PollAdd::new(types::Fd(fd), events)
                .build()
                .user_data(user_data),
        )
    }

    /// Queues the cancellation of a poll. The poll itself completes in any case.
    pub(super) fn poll_remove(&mut self, user_data: u64) -> io::Result<()> {
        let remove = opcode::PollRemove::new(user_data).build();
        self.push(&remove.user_data(NOBODY).flags(squeue::Flags::SKIP_SUCCESS))
    }

    /// Err(WouldBlock) if the queue is full and the kernel takes nothing before completions are
    /// reaped.
    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        if self.ring.submission().is_full() {
            self.submit()?;
        }
        // SAFETY: `push` asks that the entry's parameters be valid for the whole operation.
        // Entries come from `poll_add` and `poll_remove` alone: they hold numbers only. A
        // descriptor that is closed, or even used again, before the kernel sees it makes the
        // poll fail or report another file's events: no memory is at stake, and the op table's
        // generations keep the outcome from reaching the wrong waiter.
        unsafe { self.ring.submission().push(entry) }
            .map_err(|_full| io::ErrorKind::WouldBlock.into())
    }

    /// Hands what is queued to the kernel and runs its deferred work, without waiting.
    pub(super) fn submit(&self) -> io::Result<()> {
        lenient(self.ring.submit())
    }

    /// Whether [`Ring::submit`] has anything to do.
    pub(super) fn wants_submit(&mut self) -> bool {
        let queue = self.ring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow()
    }

    /// Hands what is queued to the kernel and waits for a completion, for `within` at most.
    pub(super) fn wait(&self, within: Option<Duration>) -> io::Result<()> {
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
    pub(super) fn reap(&mut self) -> Option<(u64, i32)> {
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
