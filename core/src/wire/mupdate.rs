//! The bounds of MUPDATE commands and responses: lines and literals, gathered whole (RFC 3656
//! section 2.2).
//!
//! MUPDATE's literals `{n}` and `{n+}` look like IMAP's. A server never waits before it sends one; a
//! client that writes `{n}` does, and [`Framer::take_announced`] says when it is to be asked on. A
//! command or response is small (a name, a location, an ACL), so it is gathered. A line that is bad,
//! or one over the limit, is an error after which the connection can only be closed.

use std::fmt;

use super::imap::{BadLine, Line, LineError, LineScanner, Scanned};

/// Why a peer's bytes can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A line is bad.
    Line(LineError),
    /// A command or response is larger than the limit.
    TooLarge,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => error.fmt(f),
            Self::TooLarge => f.write_str("command or response too large"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Finds commands or responses, one after the other, in a growing buffer that the caller owns.
#[derive(Clone, Debug)]
pub struct Framer {
    scanner: LineScanner,
    bytes_max: usize,
    /// Where the current line starts; what is before it is gathered. Beyond the buffer's end while
    /// a literal is on its way.
    start: usize,
    /// Literals that were announced by a sender who waits.
    announced: usize,
}

impl Framer {
    /// A framer for what has at most `bytes_max` bytes with its literals.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            scanner: LineScanner::new(bytes_max),
            bytes_max,
            start: 0,
            announced: 0,
        }
    }

    /// How many literals have been announced as `{n}` since this was last asked.
    pub fn take_announced(&mut self) -> usize {
        std::mem::take(&mut self.announced)
    }

    /// Looks on for the end of what is at the start of `buf`: its length, or `None` if it
    /// isn't whole yet. The buffer of the next call starts behind it.
    ///
    /// # Errors
    /// The connection is to be closed; the framer isn't used again.
    pub fn next(&mut self, buf: &[u8]) -> Result<Option<usize>, FrameError> {
        while let Some(rest) = buf.get(self.start..) {
            let Line { len, literal, .. } = match self.scanner.next(rest) {
                Scanned::Line(line) => line,
                Scanned::NeedMore => return Ok(None),
                Scanned::Bad(BadLine {
                    why: LineError::TooLong,
                    ..
                })
                | Scanned::Discard(_) => {
                    return Err(FrameError::TooLarge);
                }
                Scanned::Bad(bad) => return Err(FrameError::Line(bad.why)),
            };
            let end = self.start + len;
            let size = literal.map_or(Some(0), |literal| usize::try_from(literal.size).ok());
            let room = self.bytes_max.checked_sub(end);
            let size = size.filter(|size| room.is_some_and(|room| *size <= room));
            self.line_starts_at(end + size.ok_or(FrameError::TooLarge)?);
            self.announced += usize::from(literal.is_some_and(|literal| !literal.non_sync));
            if literal.is_none() {
                self.line_starts_at(0);
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    fn line_starts_at(&mut self, start: usize) {
        self.start = start;
        self.scanner.set_max(self.bytes_max - start);
    }
}

#[cfg(test)]
mod tests;
