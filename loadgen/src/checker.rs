//! Whether an answer is the one that is due: its tag, its status, its literals byte for byte.
//!
//! Pure: bytes in, steps out. How to drive it: [`Checker::expect`] for each command, then
//! [`Checker::next`] with the buffer that starts at the first byte not yet taken, until `Done`.
//! Untagged data is data wherever it comes; everything else that isn't due is [`Wrong`].

use std::fmt;
use std::rc::Rc;

use ravenry_core::wire::imap::{
    BadResponse, Kind, ResponseEvent, ResponseLine, ResponseScanner, Status,
};

/// A line of data may be this long before it comes in pieces.
const LINE_BYTES_MAX: usize = 64 << 10;
/// So much of an answer's data is kept for those who want to read it.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// What is wrong with an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Not IMAP.
    Malformed(BadResponse),
    /// A reply with a tag that isn't under way.
    Tag {
        /// The tag of the command.
        due: String,
        /// The tag that came.
        came: String,
    },
    /// NO or BAD.
    Refused(String),
    /// BYE in the middle.
    Bye(String),
    /// Another greeting than OK.
    Greeting(String),
    /// A continuation request that nobody waits for.
    Continuation,
    /// A reply where a continuation request was due.
    NoContinuation,
    /// A body of another size.
    Size {
        /// How long it is.
        due: usize,
        /// How long it is said to be.
        came: u64,
    },
    /// A body with another byte in it.
    Bytes {
        /// Where the piece begins that holds it.
        at: usize,
    },
    /// So many bodies, where one was due.
    Bodies(u32),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "{why}"),
            Self::Tag { due, came } => write!(f, "a reply to {came}, where {due} is due"),
            Self::Refused(text) | Self::Bye(text) | Self::Greeting(text) => write!(f, "{text}"),
            Self::Continuation => f.write_str("a continuation request that nobody asked for"),
            Self::NoContinuation => f.write_str("a reply before the literal was asked for"),
            Self::Size { due, came } => write!(f, "a body of {came} bytes, not {due}"),
            Self::Bytes { at } => write!(f, "a body that differs behind byte {at}"),
            Self::Bodies(count) => write!(f, "{count} bodies, where one is due"),
        }
    }
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// More bytes have to come.
    NeedMore,
    /// The server asks for the literal.
    Continuation,
    /// The answer is whole, and right.
    Done,
}

/// What ends an exchange.
#[derive(Debug)]
enum Due {
    Nothing,
    Greeting,
    Reply,
    /// A reply that a BYE comes before.
    Farewell,
}

/// A literal on its way.
#[derive(Debug)]
struct Passing {
    left: u64,
    at: usize,
}

/// Checks one session's answers.
#[derive(Debug)]
pub struct Checker {
    scanner: ResponseScanner,
    due: Due,
    tag: Vec<u8>,
    body: Option<Rc<[u8]>>,
    bodies: u32,
    passing: Option<Passing>,
    kept: Vec<u8>,
}

impl Default for Checker {
    fn default() -> Self {
        Self {
            scanner: ResponseScanner::new(LINE_BYTES_MAX),
            due: Due::Greeting,
            tag: Vec::new(),
            body: None,
            bodies: 0,
            passing: None,
            kept: Vec::new(),
        }
    }
}

impl Checker {
    /// The reply to `tag` is due, and, with a body, exactly one literal, which is that body.
    pub fn expect(&mut self, tag: &str, body: Option<&Rc<[u8]>>) {
        self.due = Due::Reply;
        self.tag.clear();
        self.tag.extend_from_slice(tag.as_bytes());
        self.body = body.cloned();
        self.bodies = 0;
        self.kept.clear();
    }

    /// The same for LOGOUT: BYE, then the reply.
    pub fn expect_farewell(&mut self, tag: &str) {
        self.expect(tag, None);
        self.due = Due::Farewell;
    }

    /// The lines of data of the last answer, the first 64 KiB of them.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.kept
    }

    /// Takes bytes, and says how many, until the answer is whole or more have to come.
    ///
    /// # Errors
    /// The answer isn't the one that is due; nothing can be known of the session any more.
    pub fn next(&mut self, buf: &[u8]) -> Result<(usize, Step), Wrong> {
        let mut taken = 0;
        loop {
            let rest = &buf[taken..];
            if let Some(passing) = &mut self.passing {
                taken += compare(passing, self.body.as_deref(), rest)?;
                if passing.left > 0 {
                    return Ok((taken, Step::NeedMore));
                }
                self.passing = None;
                self.scanner.literal_done();
                continue;
            }
            match self.scanner.next(rest) {
                ResponseEvent::NeedMore => return Ok((taken, Step::NeedMore)),
                ResponseEvent::Partial { len, .. } => taken += len,
                ResponseEvent::Bad(why) => return Err(Wrong::Malformed(why)),
                ResponseEvent::Line(line) => {
                    taken += line.len;
                    if let Some(step) = self.line(&rest[..line.text], &line)? {
                        return Ok((taken, step));
                    }
                }
            }
        }
    }

    fn line(&mut self, text: &[u8], line: &ResponseLine) -> Result<Option<Step>, Wrong> {
        if let Some(literal) = line.literal {
            self.literal(literal.size)?;
        }
        match &line.start {
            Some(Kind::Continuation) if matches!(self.due, Due::Reply) => {
                Ok(Some(Step::Continuation))
            }
            Some(Kind::Continuation) => Err(Wrong::Continuation),
            Some(Kind::Tagged { tag, status }) => {
                self.reply(text, &text[tag.clone()], *status).map(Some)
            }
            Some(Kind::Untagged {
                status: Some(status),
                ..
            }) => self.condition(text, *status),
            _ => {
                self.keep(text);
                Ok(None)
            }
        }
    }

    fn literal(&mut self, size: u64) -> Result<(), Wrong> {
        self.passing = Some(Passing { left: size, at: 0 });
        self.bodies += 1;
        match &self.body {
            Some(body) if body.len() as u64 != size => Err(Wrong::Size {
                due: body.len(),
                came: size,
            }),
            _ => Ok(()),
        }
    }

    fn reply(&mut self, text: &[u8], tag: &[u8], status: Status) -> Result<Step, Wrong> {
        if !matches!(self.due, Due::Reply | Due::Farewell) || tag != self.tag {
            return Err(Wrong::Tag {
                due: said(&self.tag),
                came: said(tag),
            });
        }
        if status != Status::Ok {
            return Err(Wrong::Refused(said(text)));
        }
        if self.body.is_some() && self.bodies != 1 {
            return Err(Wrong::Bodies(self.bodies));
        }
        self.keep(text);
        self.due = Due::Nothing;
        self.body = None;
        Ok(Step::Done)
    }

    fn condition(&mut self, text: &[u8], status: Status) -> Result<Option<Step>, Wrong> {
        match (&self.due, status) {
            (Due::Greeting, Status::Ok) => {
                self.due = Due::Nothing;
                Ok(Some(Step::Done))
            }
            (Due::Greeting, _) => Err(Wrong::Greeting(said(text))),
            (Due::Farewell, Status::Bye) => Ok(None),
            (_, Status::Bye) => Err(Wrong::Bye(said(text))),
            _ => {
                self.keep(text);
                Ok(None)
            }
        }
    }

    fn keep(&mut self, text: &[u8]) {
        if self.kept.len() + text.len() < KEPT_BYTES_MAX {
            self.kept.extend_from_slice(text);
            self.kept.push(b'\n');
        }
    }
}

/// Compares what is here of a literal with the body that it should be.
fn compare(passing: &mut Passing, body: Option<&[u8]>, rest: &[u8]) -> Result<usize, Wrong> {
    let left = usize::try_from(passing.left).unwrap_or(usize::MAX);
    let here = rest.len().min(left);
    let due = body.map(|body| &body[passing.at..passing.at + here]);
    if due.is_some_and(|due| due != &rest[..here]) {
        return Err(Wrong::Bytes { at: passing.at });
    }
    passing.at += here;
    passing.left -= here as u64;
    Ok(here)
}

fn said(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(300)]).into_owned()
}

#[cfg(test)]
mod tests;
