//! The rings of a world, and the polls in them: what io_uring does, as far as `ring` uses it.
//!
//! A poll stays until its socket is ready or it is cancelled, also when its socket has been
//! closed meanwhile: the kernel holds the file, and whoever forgets to cancel leaks.

use std::{collections::BTreeMap, io, os::fd::RawFd};

use super::{
    super::reactor::{HUNG_UP, READABLE, WRITABLE},
    faults::Fault,
    world::{Completions, State},
};

#[derive(Default)]
pub(super) struct Polls {
    rings: Vec<Completions>,
    /// By ring and user data: what is waited for.
    waiting: BTreeMap<(usize, u64), (RawFd, u32)>,
}

impl Polls {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// A simulated ring, by its number in the world.
pub(in super::super) struct SimRing {
    number: usize,
    /// It was full a moment ago: it won't be twice in a row.
    was_full: bool,
}

impl SimRing {
    pub(in super::super) fn new() -> Self {
        super::with(|world| {
            world.polls.rings.push(Completions::new());
            Self {
                number: world.polls.rings.len() - 1,
                was_full: false,
            }
        })
    }

    fn is_full(&mut self, world: &mut State) -> bool {
        self.was_full = !self.was_full && world.strikes(Fault::RingFull);
        self.was_full
    }

    pub(in super::super) fn poll_add(
        &mut self,
        fd: RawFd,
        events: u32,
        data: u64,
    ) -> io::Result<()> {
        super::with(|world| {
            if self.is_full(world) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            world
                .polls
                .waiting
                .insert((self.number, data), (fd, events));
            // Never while connecting, or for a peer that has gone: there the first poll that
            // completes is believed.
            if events != HUNG_UP && world.is_made(fd) && world.strikes(Fault::Spurious) {
                world.complete(self.number, data, events);
            }
            world.look(fd);
            Ok(())
        })
    }

    pub(in super::super) fn cancel(&mut self, data: u64) -> io::Result<()> {
        super::with(|world| {
            if self.is_full(world) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let cancelled = world.polls.waiting.remove(&(self.number, data));
            if cancelled.is_some() {
                world.polls.rings[self.number].push_back((data, -libc::ECANCELED));
            }
            Ok(())
        })
    }

    /// Any one of the completions: the kernel promises no order.
    pub(in super::super) fn reap(&self) -> Option<(u64, i32)> {
        super::with(|world| {
            let count = world.polls.rings[self.number].len();
            if count == 0 {
                return None;
            }
            let index = world.rng.usize(..count);
            world.polls.rings[self.number].swap_remove_back(index)
        })
    }

    pub(in super::super) fn has_completions(&self) -> bool {
        super::with(|world| !world.polls.rings[self.number].is_empty())
    }
}

impl State {
    fn is_made(&mut self, fd: RawFd) -> bool {
        self.end(fd).is_none_or(|end| end.other.is_some())
    }

    fn complete(&mut self, ring: usize, data: u64, events: u32) {
        if self.polls.waiting.remove(&(ring, data)).is_some() {
            let result = i32::try_from(events).unwrap_or(i32::MAX);
            self.polls.rings[ring].push_back((data, result));
        }
    }

    /// Completes the polls of a socket that is ready now.
    pub(super) fn look(&mut self, fd: RawFd) {
        let Some(socket) = self.sockets.get(&fd) else {
            return;
        };
        let ready = [
            (READABLE, socket.is_readable()),
            (WRITABLE, socket.is_writable()),
            (HUNG_UP, socket.is_hung_up()),
        ];
        let ready = ready.into_iter().filter(|(_, is)| *is);
        let ready = ready.fold(0, |events, (event, _)| events | event);
        if ready == 0 {
            return;
        }
        let polls = self.polls.waiting.iter();
        let polls = polls.filter(|(_, (of, events))| *of == fd && events & ready != 0);
        let done: Vec<(usize, u64)> = polls.map(|(key, _)| *key).collect();
        for (ring, data) in done {
            self.complete(ring, data, ready);
        }
    }
}
