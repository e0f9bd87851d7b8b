//! One compressed connection without a socket: raw deflate both ways (RFC 1951), as COMPRESS=DEFLATE
//! has it (RFC 4978).
//!
//! How to drive it: append what was read to [`Deflated::incoming`] and call [`Deflated::advance`]; take
//! the text by [`Deflated::read`]. [`Deflated::write`] gives what is to be sent, up to a flush point, and
//! [`Deflated::sent`] says that it has been sent whole. Invariants: text comes out in bounded pieces, whatever
//! was made of it; what stands behind the peer's flush point isn't looked at before the text up to it has been
//! taken; any split of the input gives the same.
//!
//! A new compressor may go on where another has flushed, since it refers to nothing that it hasn't written
//! itself: so the one here, which is large, goes by [`Deflated::rest`] and comes again when it is needed.

use std::fmt;

use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush, Status};

/// How hard it compresses: less than half of the CPU time of zlib's default (6), for four hundredths of the text's
/// size (docs/performance.md).
const LEVEL: i32 = 2;
/// Bits of the window: what every peer can.
const WINDOW_BITS: u8 = 15;
/// The most text that is made of the input before it is taken.
const TEXT_BYTES_MAX: usize = 16 * 1024;
/// What an empty stored block adds, and then some.
const FLUSH_BYTES: usize = 64;

/// Why there is nothing more to be had of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Garbled {
    /// It is no deflate stream.
    NoDeflate,
    /// The stream has ended, and nothing can follow.
    Ended,
    /// A write was cut off: what is written now would make no sense.
    Torn,
}

impl fmt::Display for Garbled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDeflate => "not a deflate stream",
            Self::Ended => "the compressed stream has ended",
            Self::Torn => "a compressed write was cut off",
        })
    }
}

/// Bytes before and after, both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Text that came.
    pub text_in: u64,
    /// As it came.
    pub wire_in: u64,
    /// Text that was sent.
    pub text_out: u64,
    /// As it was sent.
    pub wire_out: u64,
}

/// See the head of this file.
pub struct Deflated {
    /// As it was read; what has been used is gone from it.
    pub incoming: Vec<u8>,
    inflate: Inflate,
    /// Bytes of a flush point that came last.
    matched: usize,
    /// The last piece filled the room it had: there may be more of it.
    is_full: bool,
    text: Vec<u8>,
    /// Bytes of `text` that have been taken.
    taken: usize,
    end: Option<Garbled>,
    deflate: Option<Deflate>,
    /// What was written last has not been sent whole.
    is_sending: bool,
    counts: Counts,
}

impl Default for Deflated {
    fn default() -> Self {
        Self {
            incoming: Vec::new(),
            inflate: Inflate::new(false, WINDOW_BITS),
            matched: 0,
            is_full: false,
            text: Vec::new(),
            taken: 0,
            end: None,
            deflate: None,
            is_sending: false,
            counts: Counts::default(),
        }
    }
}

impl Deflated {
    /// Bytes so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let inflated = &self.inflate;
        Counts {
            text_in: inflated.total_out(),
            wire_in: inflated.total_in(),
            ..self.counts
        }
    }

    /// There is text to take.
    #[must_use]
    pub fn has_text(&self) -> bool {
        self.taken < self.text.len()
    }

    /// Whether the peer has sent what is no deflate stream.
    #[must_use]
    pub fn is_garbled(&self) -> bool {
        self.end.is_some()
    }

    /// Makes text of the input, one piece, unless some is there that hasn't been taken.
    ///
    /// # Errors
    /// If there can be no more text.
    pub fn advance(&mut self) -> Result<(), Garbled> {
        let mut used = 0;
        while !self.has_text() && self.end.is_none() && (self.is_full || used < self.incoming.len())
        {
            used += self.inflate(used);
        }
        if used == self.incoming.len() {
            self.incoming = Vec::new();
        } else {
            self.incoming.drain(..used);
        }
        match self.end {
            Some(why) if !self.has_text() => Err(why),
            _ => Ok(()),
        }
    }

    /// Makes text of the input from `from` on, up to the next flush point; gives how much of it was used.
    fn inflate(&mut self, from: usize) -> usize {
        let input = &self.incoming[from..];
        let (len, matched) = up_to_flush_point(input, self.matched);
        self.text.resize(TEXT_BYTES_MAX, 0);
        let (came, made) = (self.inflate.total_in(), self.inflate.total_out());
        let done = self
            .inflate
            .decompress(&input[..len], &mut self.text, InflateFlush::NoFlush);
        let used = difference(came, self.inflate.total_in());
        let room = self.text.len();
        self.text
            .truncate(difference(made, self.inflate.total_out()));
        self.is_full = self.text.len() == room;
        if self.text.is_empty() {
            self.text = Vec::new();
        }
        self.taken = 0;
        match done {
            Ok(Status::StreamEnd) => self.end = Some(Garbled::Ended),
            Ok(Status::Ok | Status::BufError) => {}
            Err(_) => self.end = Some(Garbled::NoDeflate),
        }
        if used == 0 && len > 0 && self.text.is_empty() {
            // It doesn't get any further.
            self.end = Some(Garbled::NoDeflate);
        }
        self.matched = if used == len {
            matched
        } else {
            up_to_flush_point(&input[..used], self.matched).1
        };
        used
    }

    /// Takes at most so many bytes of the text that is here.
    pub fn read(&mut self, max: usize, take: impl FnOnce(&[u8])) -> usize {
        let here = &self.text[self.taken..];
        let count = here.len().min(max);
        take(&here[..count]);
        self.taken += count;
        if !self.has_text() {
            self.text = Vec::new();
            self.taken = 0;
        }
        count
    }

    /// Compresses, up to a flush point: the peer can make all of `data` of what it has then. Once it has
    /// been sent, [`Self::sent`] is to be called.
    ///
    /// # Errors
    /// If what was written before hasn't been sent.
    pub fn write(&mut self, data: &[u8]) -> Result<Vec<u8>, Garbled> {
        if std::mem::replace(&mut self.is_sending, true) {
            return Err(Garbled::Torn);
        }
        let new = || Deflate::new(LEVEL, false, WINDOW_BITS);
        let deflate = self.deflate.get_or_insert_with(new);
        let mut out = vec![0; data.len() / 2 + FLUSH_BYTES];
        let (mut used, mut len) = (0, 0);
        loop {
            let (came, made) = (deflate.total_in(), deflate.total_out());
            deflate
                .compress(&data[used..], &mut out[len..], DeflateFlush::SyncFlush)
                .map_err(|_| Garbled::Torn)?;
            used += difference(came, deflate.total_in());
            len += difference(made, deflate.total_out());
            // Room is left: all has been written, the flush point too.
            if len < out.len() {
                break;
            }
            out.resize(out.len() * 2, 0);
        }
        out.truncate(len);
        self.counts.text_out += data.len() as u64;
        self.counts.wire_out += len as u64;
        Ok(out)
    }

    /// What was written has been sent.
    pub fn sent(&mut self) {
        self.is_sending = false;
    }

    /// Nothing will be written for a while: the compressor goes.
    pub fn rest(&mut self) {
        self.deflate = None;
    }
}

/// How much of `input` to take: all of it, or up to the end of the next flush point, which is a stored block's
/// length, none, and its complement (00 00 FF FF); and how many bytes of one stand at the end of that. `matched`
/// of them stand before it.
fn up_to_flush_point(input: &[u8], mut matched: usize) -> (usize, usize) {
    for (index, byte) in input.iter().enumerate() {
        matched = match (matched, byte) {
            (3, 0xff) => return (index + 1, 0),
            (2, 0xff) => 3,
            (1 | 2, 0) => 2,
            (_, 0) => 1,
            _ => 0,
        };
    }
    (input.len(), matched)
}

fn difference(before: u64, now: u64) -> usize {
    usize::try_from(now - before).expect("invariant: one call fills no more than a buffer")
}

#[cfg(test)]
mod tests;
