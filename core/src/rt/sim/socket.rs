//! The calls on a socket of a world, each doing what the system's does without blocking.

use std::{io, mem, os::fd::RawFd};

use super::{
    super::Address,
    arrive::Segment,
    faults::Fault,
    stream::{End, Kind, Socket},
    world::State,
};

/// A socket by its number in the world. Numbers are not used again.
#[derive(Debug)]
pub(in super::super) struct SimSocket(i32);

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

fn would_block() -> io::Error {
    errno(libc::EAGAIN)
}

impl SimSocket {
    pub(in super::super) fn new() -> Self {
        Self(super::with(|world| world.insert(Socket::fresh())))
    }

    pub(in super::super) fn raw_fd(&self) -> RawFd {
        self.0
    }

    fn call<T>(&self, f: impl FnOnce(&mut State, i32) -> io::Result<T>) -> io::Result<T> {
        super::with(|world| {
            if world.strikes(Fault::Interrupted) {
                return Err(errno(libc::EINTR));
            }
            f(world, self.0)
        })
    }

    pub(in super::super) fn listen(&self, address: &Address) -> io::Result<()> {
        super::with(|world| {
            let mut address = address.clone();
            if let Address::Tcp(tcp) = &mut address
                && tcp.port() == 0
            {
                tcp.set_port(u16::try_from(self.0 + 20_000).unwrap_or(u16::MAX));
            }
            let socket = world
                .sockets
                .get_mut(&self.0)
                .ok_or_else(|| errno(libc::EBADF))?;
            socket.local = Some(address);
            socket.kind = Kind::Listener {
                queue: std::collections::VecDeque::new(),
            };
            Ok(())
        })
    }

    pub(in super::super) fn connect(&self, address: &Address) -> io::Result<()> {
        super::with(|world| {
            let socket = world
                .sockets
                .get_mut(&self.0)
                .ok_or_else(|| errno(libc::EBADF))?;
            socket.local = Some(State::client_address(self.0));
            socket.kind = Kind::End(Box::new(End {
                remote: Some(address.clone()),
                ..End::default()
            }));
            world.note("connect", self.0.unsigned_abs().into(), 0);
            if world.strikes(Fault::Refused) {
                world.harms += 1;
                world.send(self.0, self.0, Segment::Refusal);
            } else if world.strikes(Fault::ConnectHangs) {
                world.harms += 1;
            } else {
                world.send(self.0, self.0, Segment::Hello(address.clone()));
            }
            Err(errno(libc::EINPROGRESS))
        })
    }

    pub(in super::super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        super::with(|world| {
            let end = world.end(self.0).ok_or_else(|| errno(libc::ENOTCONN))?;
            Ok(end.error.take().map(errno))
        })
    }

    pub(in super::super) fn accept(&self) -> io::Result<(Self, Address)> {
        self.call(|world, fd| {
            let socket = world.sockets.get_mut(&fd).map(|socket| &mut socket.kind);
            let Some(Kind::Listener { queue }) = socket else {
                return Err(errno(libc::EINVAL));
            };
            if queue.is_empty() {
                return Err(would_block());
            }
            let Some(accepted) = queue.pop_front() else {
                return Err(would_block());
            };
            if world.strikes(Fault::AcceptFails) {
                if let Some(Kind::Listener { queue }) =
                    world.sockets.get_mut(&fd).map(|socket| &mut socket.kind)
                {
                    queue.push_front(accepted);
                }
                return Err(errno(libc::EMFILE));
            }
            world.note(
                "accept",
                fd.unsigned_abs().into(),
                accepted.unsigned_abs().into(),
            );
            let remote = world.end(accepted).and_then(|end| end.remote.clone());
            let remote = remote.unwrap_or_else(|| State::client_address(accepted));
            Ok((Self(accepted), remote))
        })
    }

    pub(in super::super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.call(|world, fd| {
            let short = world.strikes_quietly(Fault::ShortRead);
            let end = world.end(fd).ok_or_else(|| errno(libc::EBADF))?;
            let here = end.arrived.len().min(buffer.len());
            if here == 0 && !buffer.is_empty() {
                return match end.error.take() {
                    Some(error) => {
                        (end.ended, end.shut) = (true, true);
                        Err(errno(error))
                    }
                    None if end.ended => Ok(0),
                    None => Err(would_block()),
                };
            }
            let other = end.other;
            let count = if short && here > 1 {
                world.count(Fault::ShortRead);
                world.rng.usize(1..here)
            } else {
                here
            };
            let end = world.end(fd).ok_or_else(|| errno(libc::EBADF))?;
            let (front, back) = end.arrived.as_slices();
            let cut = count.min(front.len());
            buffer[..cut].copy_from_slice(&front[..cut]);
            buffer[cut..count].copy_from_slice(&back[..count - cut]);
            end.arrived.drain(..count);
            let mute = end.mute;
            world.note("read", fd.unsigned_abs().into(), count as u64);
            // Whoever writes hears of the room, unless nothing goes back.
            if let Some(other) = other
                && let Some(writer) = world.end(other)
                && !mute
            {
                writer.unread -= count.min(writer.unread);
                world.look(other);
            }
            Ok(count)
        })
    }

    /// Whether a read would wait.
    pub(in super::super) fn is_quiet(&self) -> bool {
        super::with(|world| {
            let socket = world.sockets.get(&self.0);
            socket.is_some_and(|socket| !socket.is_readable())
        })
    }

    pub(in super::super) fn write(&self, buffer: &[u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.call(|world, fd| {
            let end = world.end(fd).ok_or_else(|| errno(libc::EBADF))?;
            if let Some(error) = end.error.take() {
                (end.ended, end.shut) = (true, true);
                return Err(errno(error));
            }
            if end.shut {
                return Err(errno(libc::EPIPE));
            }
            let Some(other) = end.other else {
                return Err(errno(libc::ENOTCONN));
            };
            let room = end.window.saturating_sub(end.unread).min(buffer.len());
            if room == 0 {
                world.count(Fault::FullBuffer);
                return Err(would_block());
            }
            let mut count = room;
            if count > 1 && world.strikes(Fault::ShortWrite) {
                count = world.rng.usize(1..count);
            }
            world.write_some(fd, other, &buffer[..count]);
            Ok(count)
        })
    }

    pub(in super::super) fn shutdown_write(&self) -> io::Result<()> {
        self.call(|world, fd| {
            let end = world.end(fd).ok_or_else(|| errno(libc::ENOTCONN))?;
            let Some(other) = end.other else {
                return Err(errno(libc::ENOTCONN));
            };
            if !mem::replace(&mut end.shut, true) && !end.mute && !end.broken {
                world.send(fd, other, Segment::Fin);
            }
            Ok(())
        })
    }

    pub(in super::super) fn local_address(&self) -> io::Result<Address> {
        super::with(|world| {
            let socket = world.sockets.get(&self.0);
            let local = socket.and_then(|socket| socket.local.clone());
            local.ok_or_else(|| errno(libc::EINVAL))
        })
    }

    pub(in super::super) fn peer_address(&self) -> io::Result<Address> {
        super::with(|world| {
            let remote = world.end(self.0).and_then(|end| end.remote.clone());
            remote.ok_or_else(|| errno(libc::ENOTCONN))
        })
    }
}

impl State {
    /// Bytes set out from one end to the other, in pieces; or into the void.
    fn write_some(&mut self, fd: i32, other: i32, bytes: &[u8]) {
        self.note("write", fd.unsigned_abs().into(), bytes.len() as u64);
        self.trace.bytes(bytes);
        let Some(end) = self.end(fd) else { return };
        end.unread += bytes.len();
        end.written = end.written.saturating_add(bytes.len() as u64);
        let (mute, broken) = (end.mute, end.broken);
        let written = end.written;
        let struck = end.fate.take_if(|(after, _)| *after <= written);
        if broken {
            let at = self.now + self.delay();
            self.schedule(at, super::world::Event::Arrive(fd, Segment::Reset));
        } else if !mute {
            let cut = self.rng.usize(..=bytes.len());
            let (first, second) = match self.rng.u8(..4) {
                0 if cut > 0 => bytes.split_at(cut),
                _ => (bytes, &[][..]),
            };
            for piece in [first, second] {
                if !piece.is_empty() {
                    self.send(fd, other, Segment::Bytes(piece.to_vec()));
                }
            }
        }
        if let Some((_, fault)) = struck {
            self.strike(fd, fault);
        }
    }

    /// A socket goes: its other end is told, unless nothing can be told any more.
    fn close(&mut self, fd: i32) {
        let Some(mut socket) = self.sockets.remove(&fd) else {
            return;
        };
        self.note("close", fd.unsigned_abs().into(), 0);
        if let Kind::Listener { queue } = &mut socket.kind {
            for waiting in mem::take(queue) {
                self.close_end(waiting, true);
            }
        }
        if let Some(end) = socket.end() {
            let (other, last, unread) = (end.other, end.last_arrival, !end.arrived.is_empty());
            if end.mute || end.broken {
                return;
            }
            if let Some(other) = other {
                self.say_goodbye(other, last, unread, end.shut);
            }
        }
    }

    fn close_end(&mut self, fd: i32, reset: bool) {
        let Some(mut socket) = self.sockets.remove(&fd) else {
            return;
        };
        if let Some(End {
            other: Some(other),
            last_arrival,
            ..
        }) = socket.end()
        {
            self.say_goodbye(*other, *last_arrival, reset, false);
        }
    }

    fn say_goodbye(&mut self, other: i32, last: std::time::Duration, reset: bool, shut: bool) {
        let at = (self.now + self.delay()).max(last);
        let at = at.max(self.cut_until(other).unwrap_or_default());
        let segment = match (reset, shut) {
            (true, _) => Segment::Reset,
            (false, false) => Segment::Fin,
            (false, true) => return,
        };
        self.schedule(at, super::world::Event::Arrive(other, segment));
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        super::world::with(|world| world.close(self.0));
    }
}
