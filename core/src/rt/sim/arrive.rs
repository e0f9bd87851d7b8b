//! What travels between sockets of a world, what happens when it arrives, and what the network does
//! to connections on purpose.

use std::{net::SocketAddr, time::Duration};

use super::{
    super::Address,
    faults::{Fault, Faults},
    stream::{End, Kind, Socket},
    world::{Event, State},
};

/// What travels.
pub(super) enum Segment {
    /// A connection to this address is wanted.
    Hello(Address),
    /// A connection is refused.
    Refusal,
    Bytes(Vec<u8>),
    /// No more bytes will come.
    Fin,
    Reset,
}

/// The largest and the smallest buffer between two ends.
const WINDOW_MAX: usize = 256 << 10;
const WINDOW_LOG_MIN: u32 = 9;
/// When a fate that waits for its time strikes, at the latest.
const FATE_WITHIN_MILLIS: u64 = 90_000;

impl State {
    pub(super) fn insert(&mut self, socket: Socket) -> i32 {
        self.sockets_made += 1;
        self.sockets.insert(self.sockets_made, socket);
        self.sockets_made
    }

    pub(super) fn end(&mut self, fd: i32) -> Option<&mut End> {
        self.sockets.get_mut(&fd)?.end()
    }

    pub(super) fn harm(&mut self, fd: i32) -> Option<Fault> {
        let end = self.end(fd)?;
        end.harm.iter().next().copied()
    }

    /// Sends something from `from` to `to`, behind what was sent before.
    pub(super) fn send(&mut self, from: i32, to: i32, segment: Segment) {
        let mut at = self.now + self.delay();
        let until = match &segment {
            Segment::Hello(address) => self.cuts.get(address).copied(),
            _ => self.cut_until(from),
        };
        at = at.max(until.unwrap_or_default());
        if let Some(end) = self.end(from) {
            at = at.max(end.last_arrival);
            end.last_arrival = at;
        }
        self.schedule(at, Event::Arrive(to, segment));
    }

    /// Until when a connection's link is cut.
    pub(super) fn cut_until(&mut self, fd: i32) -> Option<Duration> {
        if self.cuts.is_empty() {
            return None;
        }
        let socket = self.sockets.get_mut(&fd)?;
        let local = socket.local.clone();
        let remote = socket.end().and_then(|end| end.remote.clone());
        let ends = local.iter().chain(&remote);
        ends.filter_map(|end| self.cuts.get(end)).max().copied()
    }

    /// Nothing gets to or from this address for a while.
    pub(super) fn cut(&mut self, address: &Address, time: Duration) {
        let until = self.now + time;
        self.note("cut", until.as_secs(), 0);
        let cut = self.cuts.entry(address.clone()).or_default();
        *cut = until.max(*cut);
    }

    /// Other faults from now on; what fate has in store for connections doesn't come.
    pub(super) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
        self.events
            .retain(|_, event| !matches!(event, Event::Fate(..)));
        let ends = self.sockets.values_mut().filter_map(Socket::end);
        ends.for_each(|end| end.fate = None);
    }

    /// What is sent has arrived at `fd`.
    pub(super) fn arrive(&mut self, fd: i32, segment: Segment) {
        match segment {
            Segment::Hello(address) => self.greet(fd, &address),
            Segment::Refusal => self.set_error(fd, libc::ECONNREFUSED),
            Segment::Bytes(bytes) => self.arrive_bytes(fd, &bytes),
            Segment::Fin => {
                if let Some(end) = self.end(fd) {
                    end.ended = true;
                }
            }
            Segment::Reset => self.set_error(fd, libc::ECONNRESET),
        }
        self.look(fd);
    }

    fn arrive_bytes(&mut self, fd: i32, bytes: &[u8]) {
        self.note("arrive", fd.unsigned_abs().into(), bytes.len() as u64);
        if let Some(end) = self.end(fd) {
            if end.error.is_none() && !end.ended {
                end.arrived.extend(bytes);
            }
            return;
        }
        // Nobody is there any more: whoever sent it is told.
        let sender = self.sockets.iter_mut().find_map(|(sender, socket)| {
            let end = socket.end()?;
            (end.other == Some(fd) && !end.mute).then_some(*sender)
        });
        if let Some(sender) = sender {
            let at = self.now + self.delay();
            self.schedule(at, Event::Arrive(sender, Segment::Reset));
        }
    }

    fn set_error(&mut self, fd: i32, error: i32) {
        self.note(
            "error",
            fd.unsigned_abs().into(),
            error.unsigned_abs().into(),
        );
        if let Some(end) = self.end(fd)
            && !(end.ended && end.shut)
        {
            end.error.get_or_insert(error);
            end.broken = true;
        }
    }

    /// Somebody wants to connect to `address`.
    fn greet(&mut self, client: i32, address: &Address) {
        if self.end(client).is_none() {
            return;
        }
        let listening = |(fd, socket): (&i32, &Socket)| {
            let here = socket.local.as_ref() == Some(address);
            (here && matches!(socket.kind, Kind::Listener { .. })).then_some(*fd)
        };
        let listeners: Vec<i32> = self.sockets.iter().filter_map(listening).collect();
        let Some(&listener) = self.rng.choice(&listeners) else {
            return self.set_error(client, libc::ECONNREFUSED);
        };
        self.connect_ends(client, listener, address);
    }

    fn connect_ends(&mut self, client: i32, listener: i32, address: &Address) {
        let windows = [self.window(), self.window()];
        let fate = self.fate();
        let local = self
            .sockets
            .get(&client)
            .and_then(|socket| socket.local.clone());
        let server = self.insert(Socket {
            local: Some(address.clone()),
            kind: Kind::End(Box::new(End {
                other: Some(client),
                remote: local,
                window: windows[0],
                ..End::default()
            })),
        });
        if let Some(end) = self.end(client) {
            end.other = Some(server);
            end.window = windows[1];
        }
        match fate {
            Some((Some(bytes), fault)) => {
                let end = if self.rng.bool() { client } else { server };
                if let Some(end) = self.end(end) {
                    end.fate = Some((bytes, fault));
                }
            }
            Some((None, fault)) => {
                let millis = self.rng.u64(..FATE_WITHIN_MILLIS);
                let at = self.now + Duration::from_millis(millis);
                self.schedule(at, Event::Fate(client, fault));
            }
            None => {}
        }
        if let Some(Kind::Listener { queue }) = self
            .sockets
            .get_mut(&listener)
            .map(|socket| &mut socket.kind)
        {
            queue.push_back(server);
        }
        self.look(listener);
    }

    fn window(&mut self) -> usize {
        if self.strikes_quietly(Fault::FullBuffer) {
            1 << self.rng.u32(WINDOW_LOG_MIN..WINDOW_MAX.ilog2())
        } else {
            WINDOW_MAX
        }
    }

    /// Like `strikes`, for what is counted when it shows.
    pub(super) fn strikes_quietly(&mut self, fault: Fault) -> bool {
        let rate = self.faults.rate(fault);
        rate > 0 && self.rng.u32(..super::faults::ALWAYS) < rate
    }

    /// What a new connection will come to: a fault after so many bytes, or at some time.
    fn fate(&mut self) -> Option<(Option<u64>, Fault)> {
        let fatal = [Fault::Reset, Fault::Closed, Fault::Silence];
        let fault = fatal
            .into_iter()
            .find(|fault| self.strikes_quietly(*fault))?;
        let after = self.rng.u32(..19);
        let bytes = self.rng.u64(..1 << after);
        Some((self.rng.u8(..4).ne(&0).then_some(bytes), fault))
    }

    /// The network does its worst to a connection.
    pub(super) fn strike(&mut self, fd: i32, fault: Fault) {
        let Some(other) = self.end(fd).and_then(|end| end.other) else {
            return;
        };
        self.count(fault);
        self.harms += 1;
        let one_way = self.rng.u8(..3);
        for (way, fd) in [(0, fd), (1, other)] {
            if let Some(end) = self.end(fd) {
                end.harm.insert(fault);
                end.fate = None;
                match fault {
                    Fault::Silence => end.mute |= one_way != way,
                    Fault::Closed => {
                        end.broken = true;
                        end.ended = true;
                    }
                    _ => {}
                }
            }
            if fault == Fault::Reset {
                self.set_error(fd, libc::ECONNRESET);
            }
            self.look(fd);
        }
    }

    /// The address of a client that has named none.
    pub(super) fn client_address(fd: i32) -> Address {
        let port = u16::try_from(1024 + fd % 60_000).unwrap_or(u16::MAX);
        Address::Tcp(SocketAddr::from(([10, 0, 0, 1], port)))
    }
}
