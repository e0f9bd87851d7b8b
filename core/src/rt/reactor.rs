//! Readiness: the ring and the table of polls together, and the future that waits for one poll.
//!
//! The order of things is TigerBeetle's: flush, reap into a list, and only then run anybody.
//! [`Reactor::woken`] is that list.

use std::{
    io,
    marker::PhantomData,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

#[cfg(feature = "foreign")]
use super::foreign;
use super::{
    ops::{OpId, Ops, Outcome},
    ring::Ring,
    shard,
    socket::Socket,
    sys,
    waker::TaskId,
};

/// Wait until reading gives bytes, the end, or an error.
pub(super) const READABLE: u32 = libc::POLLIN as u32;
/// Wait until writing takes bytes or gives an error.
pub(super) const WRITABLE: u32 = libc::POLLOUT as u32;
/// Wait until the peer has reset the connection, or both directions are shut. The kernel reports
/// these with any poll.
pub(super) const HUNG_UP: u32 = (libc::POLLERR | libc::POLLHUP) as u32;

/// User data of the poll on the shard's own eventfd.
const EVENT: u64 = u64::MAX - 1;

pub(super) struct Reactor {
    ring: Ring,
    ops: Ops,
    event: BorrowedFd<'static>,
    /// The poll on the eventfd is in the kernel.
    event_armed: bool,
    /// Cancellations that found the ring full.
    unsent: Vec<OpId>,
    woken: Vec<TaskId>,
    closing: bool,
}

impl Reactor {
    pub(super) fn new(entries: u32, event: BorrowedFd<'static>) -> io::Result<Self> {
        Ok(Self {
            ring: Ring::new(entries)?,
            ops: Ops::default(),
            event,
            event_armed: false,
            unsent: Vec::new(),
            woken: Vec::new(),
            closing: false,
        })
    }

    fn submit_poll(&mut self, fd: RawFd, events: u32, task: TaskId) -> io::Result<OpId> {
        if self.closing {
            return Err(io::Error::other("the shard is stopping"));
        }
        let id = self.ops.insert(task);
        let sent = self.with_room(|ring| ring.poll_add(fd, events, id.user_data()));
        if sent.is_err() {
            self.ops.withdraw(id);
        }
        // Never WouldBlock: to the callers that means that a socket is not ready.
        sent.map(|()| id).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => io::ErrorKind::OutOfMemory.into(),
            _ => error,
        })
    }

    /// Tries again once after reaping, if the kernel takes nothing before that.
    fn with_room(&mut self, send: impl Fn(&mut Ring) -> io::Result<()>) -> io::Result<()> {
        match send(&mut self.ring) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.reap();
                send(&mut self.ring)
            }
            other => other,
        }
    }

    fn abandon(&mut self, id: OpId) {
        if self.ops.abandon(id) && self.with_room(|ring| ring.cancel(id.user_data())).is_err() {
            self.unsent.push(id);
        }
    }

    fn reap(&mut self) {
        while let Some((data, result)) = self.ring.reap() {
            if data == EVENT {
                self.event_armed = false;
                sys::eventfd_clear(self.event);
            } else if let Some(task) = self.ops.complete(OpId::from_user_data(data), result) {
                self.woken.push(task);
            }
        }
    }

    fn flush_unsent(&mut self) {
        while let Some(id) = self.unsent.pop() {
            if self.ring.cancel(id.user_data()).is_err() {
                self.unsent.push(id);
                break;
            }
        }
    }

    /// Flushes and reaps without waiting.
    pub(super) fn turn(&mut self) -> io::Result<()> {
        self.flush_unsent();
        if self.ring.wants_submit() {
            self.ring.submit()?;
        }
        self.reap();
        Ok(())
    }

    /// Flushes, waits for a completion or a wake-up from another thread, and reaps.
    pub(super) fn wait(&mut self, within: Option<Duration>) -> io::Result<()> {
        self.flush_unsent();
        if !self.event_armed {
            let event = self.event.as_raw_fd();
            match self.with_room(|ring| ring.poll_add(event, READABLE, EVENT)) {
                // The kernel is short of memory: without this poll there must be no waiting.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.turn(),
                other => other?,
            }
            self.event_armed = true;
        }
        if !self.woken.is_empty() {
            // Making room has found somebody to run.
            return self.turn();
        }
        self.ring.wait(within)?;
        self.reap();
        Ok(())
    }

    /// Wakes the tasks that completions have made ready since the last call, in their order.
    pub(super) fn take_woken(&mut self, wake: impl FnMut(TaskId)) {
        self.woken.drain(..).for_each(wake);
    }

    /// Polls that the kernel has, and whether a turn would find completions: for a simulation.
    pub(super) fn outlook(&mut self) -> (usize, bool) {
        let completions = !self.woken.is_empty() || self.ring.wants_submit();
        (self.ops.in_flight(), completions || !self.unsent.is_empty())
    }

    /// Takes every operation back from the kernel, so that the ring can go and no file stays
    /// open for its sake. No poll is taken afterwards.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.closing = true;
        for id in self.ops.waiting() {
            self.abandon(id);
        }
        if self.event_armed {
            // The eventfd stays open for good: making it readable is what ends the poll.
            sys::eventfd_signal(self.event);
        }
        for _ in 0..CLOSE_LOOKS_MAX {
            if self.ops.in_flight() == 0 && !self.event_armed {
                self.woken.clear();
                return Ok(());
            }
            self.flush_unsent();
            self.ring.wait(Some(CLOSE_LOOK))?;
            self.reap();
        }
        Err(io::Error::other(format!(
            "the kernel keeps {} polls (its own eventfd: {}, cancellations unsent: {})",
            self.ops.in_flight(),
            self.event_armed,
            self.unsent.len()
        )))
    }
}

/// How long one wait lasts while the ring closes, where a completion could be kept back by a full
/// completion queue.
const CLOSE_LOOK: Duration = Duration::from_millis(100);
/// How often it looks before it gives up. Closing the ring then cancels what is left.
const CLOSE_LOOKS_MAX: u32 = 20;

/// Waits until a descriptor is ready, and gives the events. One slot in the op table while it waits, and nothing else.
///
/// Borrows the socket, so the poll is cancelled before the descriptor is closed.
pub(super) struct Readiness<'fd> {
    fd: RawFd,
    owner: PhantomData<&'fd Socket>,
    events: u32,
    /// The poll in the kernel, and the shard whose kernel ring has it.
    op: Option<(u64, OpId)>,
    /// Another runtime waits instead.
    #[cfg(feature = "foreign")]
    foreign: Option<foreign::Wait<'fd>>,
}

/// Waits for `events` (or an error, which the next system call then reports) on `socket`.
pub(super) fn ready(socket: &Socket, events: u32) -> Readiness<'_> {
    Readiness {
        fd: socket.raw_fd(),
        owner: PhantomData,
        events,
        op: None,
        #[cfg(feature = "foreign")]
        foreign: match socket {
            Socket::Foreign(socket) => Some(foreign::Wait::new(socket, events)),
            _ => None,
        },
    }
}

impl Future for Readiness<'_> {
    type Output = io::Result<u32>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        #[cfg(feature = "foreign")]
        if let Some(wait) = &mut self.foreign {
            return wait.poll(context);
        }
        let task = TaskId::of(context.waker());
        shard::with(|shard| {
            let mut reactor = shard.reactor.borrow_mut();
            let outcome = match self.op {
                Some((serial, id)) if serial == shard.serial => reactor.ops.poll(id, task),
                _ => Outcome::Unknown,
            };
            match outcome {
                Outcome::Waiting => return Poll::Pending,
                Outcome::Done(result) => {
                    self.op = None;
                    return Poll::Ready(match result {
                        events @ 0.. => Ok(events.unsigned_abs()),
                        error => Err(io::Error::from_raw_os_error(-error)),
                    });
                }
                Outcome::Unknown => {}
            }
            match reactor.submit_poll(self.fd, self.events, task) {
                Ok(id) => self.op = Some((shard.serial, id)),
                Err(error) => return Poll::Ready(Err(error)),
            }
            Poll::Pending
        })
    }
}

impl Drop for Readiness<'_> {
    fn drop(&mut self) {
        let Some((serial, id)) = self.op else { return };
        // On another shard, or after the end of its own, there is nothing left to cancel: the
        // shard has taken all its polls back itself.
        shard::try_with(|shard| {
            #[cfg(bug_8)] // A poll stays in the kernel.
            let serial = serial + 1;
            if shard.serial == serial {
                shard.reactor.borrow_mut().abandon(id);
            }
        });
    }
}
