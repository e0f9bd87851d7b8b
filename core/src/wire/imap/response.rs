//! A backend's responses, line by line, to be relayed as they come (RFC 3501 section 7).
//!
//! How to drive it: call [`ResponseScanner::next`] with the buffer that starts at the first byte
//! not yet taken. After `Line` take `len` bytes; if it announces a literal, let the literal pass
//! too and call [`ResponseScanner::literal_done`]. Lines of up to `line_bytes_max` bytes come
//! whole. Longer data (a FETCH of an ENVELOPE, a SEARCH of a large mailbox) comes in `Partial`
//! pieces. So that an answer such as COPYUID may be long, a status response whose [code] is longer than that comes
//! whole nevertheless, up to [`CODE_BYTES_MAX`]; longer lines of any other kind are an error.
//!
//! Backends aren't trusted: what isn't a response is an error, after which the connection can only
//! be closed. Invariants: a literal is seen only where one may be (never in a status response's text);
//! a `Line` without a literal ends a response.

use std::fmt;
use std::ops::Range;

use super::line::{End, EndSearch, LineError};
use super::marker::{self, Literal, MARKER_BYTES_MAX, Marker};

/// The condition that a status response reports (RFC 3501 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// OK
    Ok,
    /// NO
    No,
    /// BAD
    Bad,
    /// BYE
    Bye,
    /// PREAUTH
    Preauth,
}

/// What a response is, known from its first line. Ranges count from the line's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `* …`
    Untagged {
        /// OK, NO, BAD, BYE or PREAUTH; `None` for data.
        status: Option<Status>,
        /// The response's name: FETCH in `* 12 FETCH`, LIST in `* LIST`.
        name: Range<usize>,
    },
    /// `+ …`
    Continuation,
    /// `tag OK …`
    Tagged {
        /// The tag.
        tag: Range<usize>,
        /// OK, NO or BAD.
        status: Status,
    },
    /// An empty line, which no server should send (Cyrus does before some errors): drop it.
    Empty,
}

/// A line of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseLine {
    /// Bytes up to and with the CRLF.
    pub len: usize,
    /// Bytes without the CRLF; a literal's marker is still in.
    pub text: usize,
    /// Where the literal's marker starts; `text` if there is none.
    pub marker: usize,
    /// The literal that follows; without one the response is over.
    pub literal: Option<Literal>,
    /// What the response is, where this line starts one.
    pub start: Option<Kind>,
}

/// What a backend's bytes have come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseEvent {
    /// The line isn't whole yet.
    NeedMore,
    /// A whole line, or the end of one that came in pieces.
    Line(ResponseLine),
    /// A piece of a long line of data: it can be passed on.
    Partial {
        /// Bytes to take.
        len: usize,
        /// What the response is, where this piece starts one.
        start: Option<Kind>,
    },
    /// The backend doesn't speak IMAP: close the connection.
    Bad(BadResponse),
}

/// What is wrong with a backend's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadResponse {
    /// A line is bad.
    Line(LineError),
    /// A line is neither `*` nor `+` nor a tag with OK, NO or BAD.
    NotAResponse,
}

impl fmt::Display for BadResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => error.fmt(f),
            Self::NotAResponse => f.write_str("not an IMAP response"),
        }
    }
}

/// Where the scanner is in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before a response.
    Start,
    /// In data: any line's end may announce a literal.
    Data,
    /// In the [code] of a status response, behind a literal.
    OpenCode,
    /// Before a literal; behind it comes this.
    Literal(Rest),
    /// After an error.
    Dead(BadResponse),
}

/// What a literal is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Data,
    OpenCode,
}

/// The longest status response whose code isn't closed where other lines have to end.
const CODE_BYTES_MAX: usize = 1024 * 1024;

/// Walks over responses.
#[derive(Clone, Debug)]
pub struct ResponseScanner {
    search: EndSearch,
    line_bytes_max: usize,
    at: At,
}

impl ResponseScanner {
    /// The smallest `line_bytes_max`: enough to tell what a response is.
    pub const LINE_BYTES_MIN: usize = 256;

    /// A scanner at the start of a connection (the greeting is an untagged status response). Lines
    /// of at most `line_bytes_max` bytes (without the CRLF) come whole.
    #[must_use]
    pub fn new(line_bytes_max: usize) -> Self {
        let max = line_bytes_max.max(Self::LINE_BYTES_MIN);
        Self {
            search: EndSearch::new(max),
            line_bytes_max: max,
            at: At::Start,
        }
    }

    /// Looks on for the end of the line at the start of `buf`.
    pub fn next(&mut self, buf: &[u8]) -> ResponseEvent {
        match self.at {
            At::Literal(_) => {
                debug_assert!(false, "literal_done() comes first");
                return ResponseEvent::NeedMore;
            }
            At::Dead(why) => return ResponseEvent::Bad(why),
            At::Start | At::Data | At::OpenCode => {}
        }
        let found = match self.search.next(buf) {
            End::NeedMore => return ResponseEvent::NeedMore,
            End::At(text) => {
                self.search.max = self.line_bytes_max;
                self.line(&buf[..text])
            }
            End::TooLong if self.is_long_code(&buf[..self.search.max]) => {
                self.search.start_at(self.search.max);
                self.search.max = CODE_BYTES_MAX.max(self.line_bytes_max);
                return self.next(buf);
            }
            End::TooLong => self.piece(&buf[..self.search.max]),
            End::Nul(_) => Err(BadResponse::Line(LineError::Nul)),
            End::BareLf(_) => Err(BadResponse::Line(LineError::BareLf)),
            End::BareCr(_) => Err(BadResponse::Line(LineError::BareCr)),
        };
        found.unwrap_or_else(|why| {
            self.at = At::Dead(why);
            ResponseEvent::Bad(why)
        })
    }

    /// The announced literal has gone by; the buffer starts behind it.
    pub fn literal_done(&mut self) {
        let At::Literal(rest) = self.at else {
            debug_assert!(false, "no literal was announced");
            return;
        };
        self.at = match rest {
            Rest::Data => At::Data,
            Rest::OpenCode => At::OpenCode,
        };
    }

    /// No response is begun and not ended: a command may be given up, the connection reused.
    #[must_use]
    pub fn is_between_responses(&self) -> bool {
        self.at == At::Start
    }

    fn line(&mut self, text: &[u8]) -> Result<ResponseEvent, BadResponse> {
        let (start, rest) = match self.at {
            At::Start => {
                let (kind, rest) = classify(text).ok_or(BadResponse::NotAResponse)?;
                (Some(kind), rest)
            }
            At::OpenCode => (None, code_in(text)),
            _ => (None, Some(Rest::Data)),
        };
        let len = text.len() + 2;
        let found = match rest {
            Some(_) => marker::read(text),
            None => Marker::None,
        };
        let (marker, literal) = match found {
            Marker::None => (text.len(), None),
            Marker::Literal { start, literal } => (start, Some(literal)),
            Marker::TooLarge { non_sync } => {
                return Err(BadResponse::Line(LineError::LiteralTooLarge { non_sync }));
            }
        };
        self.at = match (literal, rest) {
            (Some(_), Some(rest)) => At::Literal(rest),
            _ => At::Start,
        };
        Ok(ResponseEvent::Line(ResponseLine {
            len,
            text: text.len(),
            marker,
            literal,
            start,
        }))
    }

    /// Whether the first bytes of a line are in a status response's code, and it may be longer.
    fn is_long_code(&self, text: &[u8]) -> bool {
        let open = match self.at {
            At::Start => classify(text).and_then(|(_, rest)| rest) == Some(Rest::OpenCode),
            At::OpenCode => code_in(text).is_some(),
            _ => false,
        };
        open && self.search.max < CODE_BYTES_MAX
    }

    /// The first bytes of a line that is longer than the limit.
    fn piece(&mut self, text: &[u8]) -> Result<ResponseEvent, BadResponse> {
        let start = match self.at {
            At::Start => Some(classify(text).ok_or(BadResponse::NotAResponse)?.0),
            _ => None,
        };
        let data = match &start {
            Some(Kind::Untagged { status, .. }) => status.is_none(),
            Some(_) => false,
            None => self.at == At::Data,
        };
        if !data {
            return Err(BadResponse::Line(LineError::TooLong));
        }
        // What is kept back may be the beginning of a marker.
        self.at = At::Data;
        let len = text.len() - MARKER_BYTES_MAX;
        self.search.start_at(self.search.max + 1 - len);
        Ok(ResponseEvent::Partial { len, start })
    }
}

/// What a response's first line says it is, and what a literal at the line's end would be part of.
fn classify(text: &[u8]) -> Option<(Kind, Option<Rest>)> {
    if text.is_empty() {
        return Some((Kind::Empty, None));
    }
    let word = word_at(text, 0);
    match &text[word.clone()] {
        b"*" => untagged(text),
        b"+" => Some((Kind::Continuation, None)),
        tag if is_tag(tag) => {
            let name = word_at(text, word.end + 1);
            let status = status(text.get(name.clone())?)
                .filter(|status| matches!(status, Status::Ok | Status::No | Status::Bad))?;
            Some((
                Kind::Tagged { tag: word, status },
                code(text.get(name.end + 1..)),
            ))
        }
        _ => None,
    }
}

fn untagged(text: &[u8]) -> Option<(Kind, Option<Rest>)> {
    let mut name = word_at(text, 2);
    if name.is_empty() {
        return None;
    }
    if text[name.clone()].iter().all(u8::is_ascii_digit) {
        name = word_at(text, name.end + 1);
    }
    let status = status(&text[name.clone()]);
    let rest = match status {
        Some(_) => code(text.get(name.end + 1..)),
        None => Some(Rest::Data),
    };
    Some((Kind::Untagged { status, name }, rest))
}

/// The word at `from`, up to a space or the end; empty at the end if there is none.
fn word_at(text: &[u8], from: usize) -> Range<usize> {
    let from = from.min(text.len());
    let len = memchr::memchr(b' ', &text[from..]).unwrap_or(text.len() - from);
    from..from + len
}

/// A tag: no longer than those that we send, and of printable ASCII without `+`, `*`, specials.
fn is_tag(word: &[u8]) -> bool {
    let fits = (1..=128).contains(&word.len());
    fits && word
        .iter()
        .all(|byte| byte.is_ascii_graphic() && !b"(){%*\"\\+".contains(byte))
}

fn status(word: &[u8]) -> Option<Status> {
    let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
    match word.len() {
        2 if is(b"OK") => Some(Status::Ok),
        2 if is(b"NO") => Some(Status::No),
        3 if is(b"BAD") => Some(Status::Bad),
        3 if is(b"BYE") => Some(Status::Bye),
        7 if is(b"PREAUTH") => Some(Status::Preauth),
        _ => None,
    }
}

/// A status response's text announces a literal only from within its [code].
fn code(text: Option<&[u8]>) -> Option<Rest> {
    text.and_then(|text| text.strip_prefix(b"["))
        .and_then(code_in)
}

/// Within a [code]: it goes on at the line's end if it isn't closed.
fn code_in(text: &[u8]) -> Option<Rest> {
    memchr::memchr(b']', text)
        .is_none()
        .then_some(Rest::OpenCode)
}

#[cfg(test)]
mod tests;
