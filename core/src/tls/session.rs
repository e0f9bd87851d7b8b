//! One TLS session without a socket: records in, plaintext and records out.
//!
//! How to drive it: append what was read to [`Session::incoming`] and call [`Session::advance`];
//! take the plaintext by [`Session::read`]; [`Session::write`] encrypts. After each of these send
//! [`Session::outgoing`], in order and from its front. rustls' unbuffered interface is used
//! because it keeps no buffers: those here are given back when they are empty.

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};
use rustls::{Error, ProtocolVersion};

/// What a record adds to its plaintext, at most: header, explicit nonce, type, tag (RFC 5246,
/// RFC 8446 section 5.2). Where it isn't enough rustls says so, and gets more.
const RECORD_OVERHEAD: usize = 40;
/// The plaintext of a record, at most.
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// What an encrypted record may be longer than its plaintext (RFC 5246 section 6.2.3).
const RECORD_EXPANSION_MAX: usize = 2048;

/// Which end we are.
pub(super) enum End {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
    /// None: somebody else has the session.
    Away,
}

/// See the head of this file.
pub(super) struct Session {
    end: End,
    /// Records as they were read; a part of one stays until the rest has come.
    pub(super) incoming: Vec<u8>,
    /// Records to be sent.
    pub(super) outgoing: Vec<u8>,
    plain: Plain,
    failed: Option<Error>,
}

/// What the peer has said.
#[derive(Default)]
struct Plain {
    bytes: Vec<u8>,
    /// Those that have been taken.
    taken: usize,
    /// The peer has sent close_notify: it says nothing more.
    closed: bool,
}

/// What is to be encrypted once the session can.
#[derive(Clone, Copy)]
enum Say<'a> {
    Nothing,
    Data(&'a [u8]),
    CloseNotify,
}

/// Whether a step was the last one for now.
enum Next {
    GoOn,
    Done,
}

impl Session {
    pub(super) fn new(end: End) -> Self {
        Self {
            end,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            plain: Plain::default(),
            failed: None,
        }
    }

    /// What stands in for a session while another thread works on it: it never gets further.
    pub(super) fn away() -> Self {
        let mut away = Self::new(End::Away);
        away.failed = Some(Error::HandshakeNotComplete);
        away
    }

    /// Whether a whole record has come, or what can't become one.
    pub(super) fn has_record(&self) -> bool {
        let [_, _, _, high, low, body @ ..] = self.incoming.as_slice() else {
            return false;
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        body.len() >= length || length > RECORD_BYTES_MAX + RECORD_EXPANSION_MAX
    }

    /// The handshake isn't over.
    pub(super) fn is_handshaking(&self) -> bool {
        match &self.end {
            End::Server(server) => server.is_handshaking(),
            End::Client(client) => client.is_handshaking(),
            End::Away => true,
        }
    }

    /// For the log.
    pub(super) fn version(&self) -> &'static str {
        let version = match &self.end {
            End::Server(server) => server.protocol_version(),
            End::Client(client) => client.protocol_version(),
            End::Away => None,
        };
        match version {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLS",
        }
    }

    /// There is plaintext to take, or the end of it to be told.
    pub(super) fn has_news(&self) -> bool {
        self.plain.taken < self.plain.bytes.len() || self.plain.closed
    }

    /// Takes at most so many bytes of the plaintext that is here; none: the peer has closed, or
    /// nothing is here.
    pub(super) fn read(&mut self, max: usize, take: impl FnOnce(&[u8])) -> usize {
        let plain = &mut self.plain;
        let here = &plain.bytes[plain.taken..];
        let count = here.len().min(max);
        take(&here[..count]);
        plain.taken += count;
        if plain.taken == plain.bytes.len() {
            plain.bytes = Vec::new();
            plain.taken = 0;
        }
        count
    }

    /// Makes of the incoming records what can be made of them.
    pub(super) fn advance(&mut self) -> Result<(), Error> {
        self.run(Say::Nothing)
    }

    /// Encrypts.
    pub(super) fn write(&mut self, data: &[u8]) -> Result<(), Error> {
        self.run(Say::Data(data))
    }

    /// Says that nothing more will come; nothing may be written after it.
    pub(super) fn close(&mut self) -> Result<(), Error> {
        if self.is_handshaking() {
            return Ok(());
        }
        self.run(Say::CloseNotify)
    }

    /// An error stays: no byte after it is looked at. The alert that tells the peer is in
    /// `outgoing`.
    fn run(&mut self, say: Say<'_>) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut used = 0;
        let done = loop {
            match self.step(&mut used, say) {
                Ok(Next::GoOn) => {}
                Ok(Next::Done) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if let Err(error) = &done {
            self.failed = Some(error.clone());
            while self.has_alert() && self.step(&mut used, Say::Nothing).is_ok() {}
        }
        if used == self.incoming.len() {
            self.incoming = Vec::new();
        } else {
            self.incoming.drain(..used);
        }
        done
    }

    /// rustls has something to send of its own, before it looks at any input.
    fn has_alert(&self) -> bool {
        match &self.end {
            End::Server(server) => server.wants_write(),
            End::Client(client) => client.wants_write(),
            End::Away => false,
        }
    }

    fn step(&mut self, used: &mut usize, say: Say<'_>) -> Result<Next, Error> {
        let (plain, outgoing) = (&mut self.plain, &mut self.outgoing);
        let input = &mut self.incoming[*used..];
        let (discard, next) = match &mut self.end {
            End::Server(server) => act(server.process_tls_records(input), plain, outgoing, say),
            End::Client(client) => act(client.process_tls_records(input), plain, outgoing, say),
            End::Away => (0, Err(Error::HandshakeNotComplete)),
        };
        *used += discard;
        next
    }
}

/// Does what rustls asks for, and gives how much of the input is used up.
fn act<D>(
    status: UnbufferedStatus<'_, '_, D>,
    plain: &mut Plain,
    outgoing: &mut Vec<u8>,
    say: Say<'_>,
) -> (usize, Result<Next, Error>) {
    let UnbufferedStatus { mut discard, state } = status;
    let next = match state {
        Err(error) => Err(error),
        Ok(ConnectionState::ReadTraffic(mut records)) => loop {
            match records.next_record() {
                Some(Ok(record)) => {
                    discard += record.discard;
                    plain.bytes.extend_from_slice(record.payload);
                }
                Some(Err(error)) => break Err(error),
                None => break Ok(Next::GoOn),
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            let encoded = fill(outgoing, 0, |room| match data.encode(room) {
                Ok(count) => Ok(count),
                Err(EncodeError::InsufficientSize(more)) => Err(Unfit::Small(more)),
                Err(EncodeError::AlreadyEncoded) => Ok(0),
            });
            encoded.map(|()| Next::GoOn)
        }
        // What was encoded lies in `outgoing`, which is sent in order.
        Ok(ConnectionState::TransmitTlsData(sent)) => {
            sent.done();
            Ok(Next::GoOn)
        }
        Ok(ConnectionState::PeerClosed) => {
            plain.closed = true;
            Ok(Next::GoOn)
        }
        Ok(ConnectionState::WriteTraffic(traffic)) => speak(traffic, outgoing, say),
        // Early data is never asked for. Without it: more has to come, or nothing will.
        Ok(_) => match say {
            Say::Data(_) => Err(Error::HandshakeNotComplete),
            Say::Nothing | Say::CloseNotify => Ok(Next::Done),
        },
    };
    (discard, next)
}

fn speak<D>(
    mut traffic: WriteTraffic<'_, D>,
    outgoing: &mut Vec<u8>,
    say: Say<'_>,
) -> Result<Next, Error> {
    let unfit = |error| match error {
        EncryptError::InsufficientSize(more) => Unfit::Small(more),
        EncryptError::EncryptExhausted => Unfit::Never,
    };
    let said = match say {
        Say::Nothing => Ok(()),
        Say::Data(data) => {
            let records = data.len() / RECORD_BYTES_MAX + 1;
            let room = data.len() + records * RECORD_OVERHEAD;
            fill(outgoing, room, |room| {
                traffic.encrypt(data, room).map_err(unfit)
            })
        }
        Say::CloseNotify => fill(outgoing, RECORD_OVERHEAD, |room| {
            traffic.queue_close_notify(room).map_err(unfit)
        }),
    };
    said.map(|()| Next::Done)
}

#[cfg(test)]
mod tests;

/// Why nothing was written.
enum Unfit {
    Small(InsufficientSizeError),
    Never,
}

/// Appends to `outgoing` what `write` writes; first with `room`, then with as much as it wants.
fn fill(
    outgoing: &mut Vec<u8>,
    mut room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Unfit>,
) -> Result<(), Error> {
    let start = outgoing.len();
    loop {
        outgoing.resize(start + room, 0);
        match write(&mut outgoing[start..]) {
            Ok(count) => {
                outgoing.truncate(start + count);
                return Ok(());
            }
            Err(Unfit::Small(more)) if more.required_size > room => room = more.required_size,
            Err(_) => {
                outgoing.truncate(start);
                return Err(Error::EncryptError);
            }
        }
    }
}
