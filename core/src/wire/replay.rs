//! Plays bytes in pieces to each framer, as a caller does, and writes down what comes out.
//!
//! Only for tests and fuzzing: what comes out must not depend on the pieces.

use super::imap::{
    CommandError, CommandEvent, CommandFramer, CommandLimits, LineError, Literal, ResponseEvent,
    ResponseScanner,
};
use super::mupdate::Framer;

/// What a framer has reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A continuation request is due.
    Continue,
    /// A whole command, line or response.
    Complete(Vec<u8>),
    /// The start of a streamed command.
    Stream(Vec<u8>, Literal),
    /// A streamed literal: how many of its bytes came.
    Literal(u64),
    /// A bad command: its tag, the error, what to skip, whether that is the end.
    Bad(Option<Vec<u8>>, CommandError, u64, bool),
    /// Bytes of a bad command that were dropped, the end of the bad line among them.
    Discarded(usize),
    /// Of a response: a piece or line, written down with all that was said of it.
    Response(Vec<u8>, String),
    /// The connection would be closed.
    Closed(String),
}

/// What is done with a message that an APPEND announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Resume,
    /// It is refused; one that isn't waited for comes nevertheless.
    Refuse,
}

/// `input` cut at `cuts`, which may be in any order and beyond the end.
#[must_use]
pub fn split<'a>(input: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
    cuts.push(input.len());
    cuts.sort_unstable();
    let mut from = 0;
    cuts.iter()
        .map(|to| &input[std::mem::replace(&mut from, *to)..*to])
        .collect()
}

/// A buffer that is fed piece by piece, and from which bytes may have to be skipped.
struct Feed<'a> {
    pieces: std::slice::Iter<'a, &'a [u8]>,
    buf: Vec<u8>,
    skip: u64,
}

impl Feed<'_> {
    /// Appends a piece; `false` at the end.
    fn more(&mut self) -> bool {
        let Some(piece) = self.pieces.next() else {
            return false;
        };
        self.buf.extend_from_slice(piece);
        self.drop_skipped();
        true
    }

    fn drop_skipped(&mut self) {
        let skipped = self.skip.min(self.buf.len() as u64);
        self.buf
            .drain(..usize::try_from(skipped).expect("invariant: no more than buf.len()"));
        self.skip -= skipped;
    }

    fn skip(&mut self, bytes: u64) {
        self.skip = bytes;
        self.drop_skipped();
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        self.buf.drain(..len).collect()
    }
}

/// Plays a client's bytes to a [`CommandFramer`].
#[must_use]
pub fn commands(pieces: &[&[u8]], limits: CommandLimits, verdict: Verdict) -> Vec<Seen> {
    let mut feed = Feed {
        pieces: pieces.iter(),
        buf: Vec::new(),
        skip: 0,
    };
    let mut framer = CommandFramer::new(limits);
    let mut seen = Vec::new();
    let mut announced = None;
    loop {
        if feed.skip > 0 {
            if feed.more() {
                continue;
            }
            break;
        }
        if let Some(size) = announced.take() {
            seen.push(Seen::Literal(size));
            framer.resume();
        }
        match framer.next(&feed.buf) {
            CommandEvent::NeedMore if feed.more() => {}
            CommandEvent::NeedMore => break,
            CommandEvent::Continue => seen.push(Seen::Continue),
            CommandEvent::Complete { len } => seen.push(Seen::Complete(feed.take(len))),
            CommandEvent::Stream { len, literal, .. } => {
                seen.push(Seen::Stream(feed.take(len), literal));
                match verdict {
                    Verdict::Resume => {
                        announced = Some(literal.size);
                        feed.skip(literal.size);
                    }
                    Verdict::Refuse => match framer.refuse() {
                        Some(coming) => feed.skip(coming),
                        None => break,
                    },
                }
            }
            CommandEvent::Bad(bad) => {
                let tag = bad.tag.map(|range| feed.buf[range].to_vec());
                drop(feed.take(bad.consume));
                if bad.fatal {
                    // How much of the line came with it depends on the pieces.
                    seen.pop_if(|last| matches!(last, Seen::Discarded(_)));
                    seen.push(Seen::Bad(tag, bad.why, 0, true));
                    break;
                }
                seen.push(Seen::Bad(tag, bad.why, bad.skip, false));
                feed.skip(bad.skip);
            }
            CommandEvent::Discard { consume, skip } => {
                drop(feed.take(consume));
                feed.skip(skip);
                match seen.last_mut() {
                    Some(Seen::Discarded(sum)) => *sum += consume,
                    _ => seen.push(Seen::Discarded(consume)),
                }
            }
        }
    }
    seen
}

/// Plays a backend's bytes to a [`ResponseScanner`].
#[must_use]
pub fn responses(pieces: &[&[u8]], line_bytes_max: usize) -> Vec<Seen> {
    let mut feed = Feed {
        pieces: pieces.iter(),
        buf: Vec::new(),
        skip: 0,
    };
    let mut scanner = ResponseScanner::new(line_bytes_max);
    let mut seen = Vec::new();
    let mut announced = None;
    loop {
        if feed.skip > 0 {
            if feed.more() {
                continue;
            }
            break;
        }
        if let Some(size) = announced.take() {
            seen.push(Seen::Literal(size));
            scanner.literal_done();
        }
        match scanner.next(&feed.buf) {
            ResponseEvent::NeedMore if feed.more() => {}
            ResponseEvent::NeedMore => break,
            ResponseEvent::Line(line) => {
                let said = format!("{line:?}");
                seen.push(Seen::Response(feed.take(line.len), said));
                announced = line.literal.map(|literal| literal.size);
                feed.skip(announced.unwrap_or(0));
            }
            ResponseEvent::Partial { len, start } => {
                seen.push(Seen::Response(feed.take(len), format!("{start:?}")));
            }
            ResponseEvent::Bad(why) => {
                seen.push(Seen::Closed(why.to_string()));
                break;
            }
        }
    }
    seen
}

/// Plays a MUPDATE server's bytes to a [`Framer`].
#[must_use]
pub fn mupdate(pieces: &[&[u8]], bytes_max: usize) -> Vec<Seen> {
    let mut feed = Feed {
        pieces: pieces.iter(),
        buf: Vec::new(),
        skip: 0,
    };
    let mut framer = Framer::new(bytes_max);
    let mut seen = Vec::new();
    loop {
        match framer.next(&feed.buf) {
            Ok(Some(len)) => seen.push(Seen::Complete(feed.take(len))),
            Ok(None) if feed.more() => {}
            Ok(None) => break,
            Err(why) => {
                seen.push(Seen::Closed(why.to_string()));
                break;
            }
        }
    }
    seen
}

/// A bad line, as [`commands`] writes it down.
#[must_use]
pub fn bad_line(tag: Option<&str>, why: LineError) -> Seen {
    Seen::Bad(
        tag.map(|tag| tag.as_bytes().to_vec()),
        CommandError::Line(why),
        0,
        false,
    )
}
