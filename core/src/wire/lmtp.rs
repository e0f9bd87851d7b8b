//! LMTP's framing (RFC 2033): a message behind DATA (RFC 5321 section 4.5.2), found in bytes that come in any pieces.
//!
//! Lines of commands are those of IMAP ([`super::imap::LineScanner`]): CRLF ends one, a bare CR or LF and a NUL make it
//! a bad one. A message ends with `CRLF . CRLF`, and with nothing else: whoever takes `LF . LF` or `LF . CRLF` for an end
//! can be made to take a part of a message for commands. A bare CR or LF is a byte like any other, and
//! stays what it is. A line begins behind CRLF alone; the dot that stands first in one goes.

/// Undoes what DATA does to a message.
#[derive(Clone, Debug, Default)]
pub struct Dots {
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A line begins.
    #[default]
    Begins,
    /// Its first byte was a dot.
    Dot,
    /// And the second a CR.
    DotCr,
    /// Within a line.
    Text,
    /// Within a line, behind a CR.
    Cr,
    /// The message is over.
    Over,
}

/// What became of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undotted {
    /// So many were the message's; what follows is the next command.
    pub consumed: usize,
    /// The message ends with them.
    pub ended: bool,
}

impl Dots {
    /// A message that begins.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what `bytes` has of the message, and appends it to `out` in wire format.
    pub fn next(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Undotted {
        let mut at = 0;
        while self.state != State::Over && at < bytes.len() {
            at += self.step(&bytes[at..], out);
        }
        Undotted {
            consumed: at,
            ended: self.state == State::Over,
        }
    }

    /// Takes some of `bytes`, which has one at least: how many. None are taken where the same byte has to be looked at
    /// again in the new state, and that state takes it.
    fn step(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        match (self.state, bytes[0]) {
            (State::Begins, b'.') => self.state = State::Dot,
            (State::Dot, b'\r') => self.state = State::DotCr,
            (State::DotCr, b'\n') => self.state = State::Over,
            (State::DotCr, _) => {
                out.push(b'\r');
                self.state = State::Cr;
                return 0;
            }
            (State::Cr, b'\n') => {
                out.push(b'\n');
                self.state = State::Begins;
            }
            (State::Begins | State::Dot | State::Cr | State::Text, _) => {
                let cr = memchr::memchr(b'\r', bytes);
                let len = cr.map_or(bytes.len(), |at| at + 1);
                out.extend_from_slice(&bytes[..len]);
                self.state = if cr.is_some() { State::Cr } else { State::Text };
                return len;
            }
            (State::Over, _) => return 0,
        }
        1
    }
}

/// A message as DATA carries it, its end included: the other direction.
#[must_use]
pub fn dotted(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 5);
    let mut begins = true;
    for (at, byte) in message.iter().enumerate() {
        if begins && *byte == b'.' {
            out.push(b'.');
        }
        out.push(*byte);
        begins = *byte == b'\n' && at > 0 && message[at - 1] == b'\r';
    }
    if !begins {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests;
