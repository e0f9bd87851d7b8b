//! Lines that end in CRLF, found in a growing buffer.
//!
//! The buffer given to each call starts at the line's first byte and holds at least what it held
//! the call before. A line that is bad (a NUL, a bare CR or LF, too long) is reported once; what is
//! left of it is then handed out as [`Scanned::Discard`], so that a bad line costs no memory and
//! the next line is found where it begins. Invariant: `searched` bytes of the buffer hold no line end.

use std::fmt;

use super::marker::{self, Literal, MARKER_BYTES_MAX, Marker};

/// A whole line at the start of the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Bytes up to and with the CRLF.
    pub len: usize,
    /// Bytes without the CRLF; a literal's marker is still in.
    pub text: usize,
    /// Where the literal's marker starts; `text` if there is none.
    pub marker: usize,
    /// The literal that follows.
    pub literal: Option<Literal>,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineError {
    /// Longer than the limit.
    TooLong,
    /// It holds a NUL.
    Nul,
    /// It ends in LF alone.
    BareLf,
    /// A CR that no LF follows.
    BareCr,
    /// It announces a literal of more than 64 bits.
    LiteralTooLarge {
        /// The sender doesn't wait to be asked for it.
        non_sync: bool,
    },
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "Line too long",
            Self::Nul => "NUL in a line",
            Self::BareLf => "Line ends in LF without CR",
            Self::BareCr => "CR without LF in a line",
            Self::LiteralTooLarge { .. } => "Literal too large",
        })
    }
}

/// A line that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Why.
    pub why: LineError,
    /// How many bytes to drop from the buffer. If the line isn't over with them, the rest comes as
    /// [`Scanned::Discard`].
    pub consume: usize,
}

/// A piece of a line that was reported as bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discard {
    /// How many bytes to drop from the buffer.
    pub consume: usize,
    /// The bad line ends with these bytes.
    pub ended: bool,
    /// The literal that the bad line's end announces.
    pub literal: Option<Literal>,
}

/// What [`LineScanner::next`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scanned {
    /// The line isn't whole yet.
    NeedMore,
    /// A line. The buffer of the next call starts `len` bytes further on.
    Line(Line),
    /// A bad line.
    Bad(BadLine),
    /// More of a bad line, to be dropped.
    Discard(Discard),
}

/// Where a line ends, or why it doesn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    NeedMore,
    /// The CRLF is here.
    At(usize),
    /// `max + 1` bytes hold no end.
    TooLong,
    Nul(usize),
    BareLf(usize),
    BareCr(usize),
}

/// The search for a line's end; it remembers how far it has come.
#[derive(Clone, Debug)]
pub(super) struct EndSearch {
    searched: usize,
    pub(super) max: usize,
}

impl EndSearch {
    pub(super) fn new(max: usize) -> Self {
        Self { searched: 0, max }
    }

    /// Looks on where the last call stopped. Every answer but `NeedMore` starts the search anew.
    pub(super) fn next(&mut self, buf: &[u8]) -> End {
        let window = buf.len().min(self.max.saturating_add(1));
        let from = self.searched.min(window);
        let end = match memchr::memchr3(b'\r', b'\n', 0, &buf[from..window]).map(|at| from + at) {
            None if window > self.max => End::TooLong,
            None => return self.wait(window),
            Some(at) if buf[at] == b'\n' => End::BareLf(at),
            Some(at) if buf[at] == 0 => End::Nul(at),
            Some(at) => match buf.get(at + 1) {
                None => return self.wait(at),
                Some(b'\n') => End::At(at),
                Some(_) => End::BareCr(at),
            },
        };
        self.searched = 0;
        end
    }

    /// The first `searched` bytes of the buffer have been looked at already.
    pub(super) fn start_at(&mut self, searched: usize) {
        self.searched = searched;
    }

    fn wait(&mut self, searched: usize) -> End {
        self.searched = searched;
        End::NeedMore
    }
}

/// Finds lines, one after the other.
#[derive(Clone, Debug)]
pub struct LineScanner {
    search: EndSearch,
    discarding: bool,
    /// Of the bad line: bytes at the buffer's start that hold no LF.
    kept: usize,
}

impl LineScanner {
    /// A scanner for lines of at most `max` bytes (without the CRLF).
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            search: EndSearch::new(max),
            discarding: false,
            kept: 0,
        }
    }

    /// Looks for a line at the start of `buf` and for the literal that it announces.
    pub fn next(&mut self, buf: &[u8]) -> Scanned {
        self.scan(buf, true)
    }

    /// Looks for a line that can't announce a literal: a SASL response, DONE.
    pub fn next_plain(&mut self, buf: &[u8]) -> Scanned {
        self.scan(buf, false)
    }

    /// Lines may be `max` bytes long from now on. Only between lines.
    pub(in crate::wire) fn set_max(&mut self, max: usize) {
        self.search.max = max;
    }

    /// The rest of a bad line is to come.
    pub(super) fn is_discarding(&self) -> bool {
        self.discarding
    }

    /// What comes is the rest of a bad line.
    pub(super) fn discard_line(&mut self) {
        self.discarding = true;
        self.kept = 0;
    }

    fn scan(&mut self, buf: &[u8], with_literals: bool) -> Scanned {
        if self.discarding {
            return self.discard(buf, with_literals);
        }
        match self.search.next(buf) {
            End::NeedMore => Scanned::NeedMore,
            End::At(text) => line(&buf[..text], with_literals),
            End::BareLf(at) => Scanned::Bad(BadLine {
                why: LineError::BareLf,
                consume: at + 1,
            }),
            End::Nul(at) => self.bad(LineError::Nul, at + 1, 0),
            End::BareCr(at) => self.bad(LineError::BareCr, at + 1, 0),
            // What is kept back may be the beginning of a marker.
            End::TooLong => {
                let seen = self.search.max.saturating_add(1);
                let keep = seen.min(MARKER_BYTES_MAX);
                self.bad(LineError::TooLong, seen - keep, keep)
            }
        }
    }

    fn bad(&mut self, why: LineError, consume: usize, kept: usize) -> Scanned {
        self.discarding = true;
        self.kept = kept;
        Scanned::Bad(BadLine { why, consume })
    }

    fn discard(&mut self, buf: &[u8], with_literals: bool) -> Scanned {
        if let Some(at) = memchr::memchr(b'\n', &buf[self.kept..]) {
            let lf = self.kept + at;
            self.discarding = false;
            // No more of the line than is surely here: a longer marker, all zeros, is text.
            let end = &buf[lf.saturating_sub(MARKER_BYTES_MAX)..lf];
            let literal = match end.strip_suffix(b"\r").map(marker::read) {
                Some(Marker::Literal { literal, .. }) if with_literals => Some(literal),
                Some(Marker::TooLarge { non_sync }) if with_literals => Some(Literal {
                    size: u64::MAX,
                    non_sync,
                    binary: false,
                }),
                _ => None,
            };
            return Scanned::Discard(Discard {
                consume: lf + 1,
                ended: true,
                literal,
            });
        }
        self.kept = buf.len().min(MARKER_BYTES_MAX);
        match buf.len() - self.kept {
            0 => Scanned::NeedMore,
            consume => Scanned::Discard(Discard {
                consume,
                ended: false,
                literal: None,
            }),
        }
    }
}

/// The line whose text is `text`.
fn line(text: &[u8], with_literals: bool) -> Scanned {
    let plain = Line {
        len: text.len() + 2,
        text: text.len(),
        marker: text.len(),
        literal: None,
    };
    if !with_literals {
        return Scanned::Line(plain);
    }
    match marker::read(text) {
        Marker::None => Scanned::Line(plain),
        Marker::Literal { start, literal } => Scanned::Line(Line {
            marker: start,
            literal: Some(literal),
            ..plain
        }),
        Marker::TooLarge { non_sync } => Scanned::Bad(BadLine {
            why: LineError::LiteralTooLarge { non_sync },
            consume: plain.len,
        }),
    }
}

#[cfg(test)]
mod tests;
