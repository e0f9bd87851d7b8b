//! One whole client command, gathered in the caller's buffer (RFC 3501 section 2.2.1).
//!
//! How to drive it: call [`CommandFramer::next`] with the buffer that starts at the command's first
//! byte; after [`CommandEvent::NeedMore`] append bytes and call again. Every other event says how
//! many bytes to take from the buffer's front, and the next call's buffer starts behind them
//! (`Continue` takes none). A line outside of commands (a SASL response, DONE) is read with
//! [`CommandFramer::next_line`]: one framer sees all that a client sends, so it stays in step.
//!
//! Invariants: a command is reported once, as `Complete`, `Stream` … `Complete`, or `Bad`; what is
//! left of a bad one comes as `Discard`; no more than `command_bytes_max` bytes are ever gathered.

use std::fmt;
use std::ops::Range;

use super::line::{BadLine, Discard, Line, LineError, LineScanner, Scanned};
use super::marker::Literal;

/// The longest tag that is given back in an answer.
const TAG_BYTES_MAX: usize = 128;

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub struct CommandLimits {
    /// One line, without its CRLF.
    pub line_bytes_max: usize,
    /// A gathered command: lines and literals.
    pub command_bytes_max: usize,
    /// What is read and thrown away of one bad command, before the connection is given up.
    pub discard_bytes_max: u64,
}

impl CommandLimits {
    /// How long a line may be that starts behind `start` gathered bytes.
    fn line_max(&self, start: usize) -> usize {
        let room = self
            .command_bytes_max
            .saturating_sub(start)
            .saturating_sub(b"\r\n".len());
        self.line_bytes_max.min(room)
    }
}

/// What a client's bytes have come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandEvent {
    /// The buffer holds no whole command yet.
    NeedMore,
    /// A synchronizing literal that fits follows: send a continuation request. Once a literal.
    Continue,
    /// `buf[..len]` is a whole command, or the end of one that was streamed.
    Complete {
        /// Bytes to take.
        len: usize,
    },
    /// `buf[..len]` is an APPEND, LOCALAPPEND or REPLACE up to and with the line that announces a message, which isn't
    /// gathered. Take `len` bytes, let the literal pass and call [`CommandFramer::resume`], or call
    /// [`CommandFramer::refuse`].
    Stream {
        /// Bytes to take.
        len: usize,
        /// Where the message's marker starts; it ends before the CRLF.
        marker: usize,
        /// The message.
        literal: Literal,
    },
    /// A command that is refused: answer BAD.
    Bad(BadCommand),
    /// More of a bad command: drop it without an answer.
    Discard {
        /// Bytes to drop from the buffer.
        consume: usize,
        /// Bytes to drop behind those, in the buffer or yet to come.
        skip: u64,
    },
}

/// A command that can't be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCommand {
    /// Where the tag is, if there is one that can be given back; else answer with `*`. `None` as
    /// well for the rest of a streamed command, whose tag has gone by.
    pub tag: Option<Range<usize>>,
    /// Why.
    pub why: CommandError,
    /// Bytes to drop from the buffer.
    pub consume: usize,
    /// Bytes to drop behind those, in the buffer or yet to come: a literal that nobody asked for.
    pub skip: u64,
    /// Where the next command begins can't be told: close the connection.
    pub fatal: bool,
}

/// Why a command can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// One of its lines is bad.
    Line(LineError),
    /// Its literals don't fit.
    TooLarge,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => error.fmt(f),
            Self::TooLarge => f.write_str("Command too large"),
        }
    }
}

/// Where the framer is in a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// A line that starts at `start`.
    Line,
    /// The rest of a literal that ends here.
    LiteralEnd(usize),
    /// `resume` or `refuse`.
    Verdict(Literal),
}

/// Finds commands, one after the other.
#[derive(Clone, Debug)]
pub struct CommandFramer {
    limits: CommandLimits,
    scanner: LineScanner,
    expect: Expect,
    /// Where the current line starts in the buffer; what is before it is gathered.
    start: usize,
    /// The command is an APPEND, LOCALAPPEND or REPLACE.
    append: bool,
    /// How many of its names have come as literals.
    names: usize,
    /// A message of this command has gone by.
    resumed: bool,
    /// How much of a bad command has been dropped.
    discarded: u64,
}

impl CommandFramer {
    /// A framer at the start of a connection.
    #[must_use]
    pub fn new(limits: CommandLimits) -> Self {
        Self {
            limits,
            scanner: LineScanner::new(limits.line_max(0)),
            expect: Expect::Line,
            start: 0,
            append: false,
            names: 0,
            resumed: false,
            discarded: 0,
        }
    }

    /// Looks on for the end of the command at the start of `buf`.
    pub fn next(&mut self, buf: &[u8]) -> CommandEvent {
        match self.expect {
            Expect::Verdict(_) => {
                debug_assert!(false, "resume() or refuse() comes first");
                return CommandEvent::NeedMore;
            }
            Expect::LiteralEnd(end) if buf.len() < end => return CommandEvent::NeedMore,
            Expect::LiteralEnd(end) => self.line_starts_at(end),
            Expect::Line => {}
        }
        loop {
            let line = match self.scanner.next(&buf[self.start..]) {
                Scanned::NeedMore => return CommandEvent::NeedMore,
                Scanned::Discard(discard) => return self.discard(discard),
                Scanned::Bad(bad) => return self.bad_line(buf, bad),
                Scanned::Line(line) => line,
            };
            if let Some(event) = self.take_line(buf, line) {
                return event;
            }
            // A non-synchronizing literal, which may lie in the buffer already.
            match self.expect {
                Expect::LiteralEnd(end) if buf.len() >= end => self.line_starts_at(end),
                _ => return CommandEvent::NeedMore,
            }
        }
    }

    /// Looks for a line that is no command: a SASL response, DONE. Only between commands. The line
    /// comes as `Complete`; a brace at its end means nothing.
    pub fn next_line(&mut self, buf: &[u8]) -> CommandEvent {
        debug_assert!(
            self.start == 0 && self.expect == Expect::Line,
            "only between commands"
        );
        match self.scanner.next_plain(buf) {
            Scanned::NeedMore => CommandEvent::NeedMore,
            Scanned::Discard(discard) => self.discard(discard),
            Scanned::Bad(bad) => match self.bad_line(buf, bad) {
                // The line has no tag: its first word is data, perhaps a secret.
                CommandEvent::Bad(bad) => CommandEvent::Bad(BadCommand { tag: None, ..bad }),
                event => event,
            },
            Scanned::Line(line) => self.complete(line.len),
        }
    }

    /// More of a bad command or line is to come as `Discard`.
    #[must_use]
    pub fn is_discarding(&self) -> bool {
        self.scanner.is_discarding()
    }

    /// The streamed literal has gone by; the buffer starts behind it.
    pub fn resume(&mut self) {
        debug_assert!(
            matches!(self.expect, Expect::Verdict(_)),
            "nothing was streamed"
        );
        self.expect = Expect::Line;
        self.resumed = true;
    }

    /// The literal just announced is refused (and the client told so). Returns how many bytes come
    /// nevertheless, for the caller to drop; what is left of the command then comes as `Discard`.
    /// `None`: that would be more than is dropped of one command; close the connection.
    #[must_use]
    pub fn refuse(&mut self) -> Option<u64> {
        let Expect::Verdict(literal) = self.expect else {
            debug_assert!(false, "nothing was streamed");
            return Some(0);
        };
        self.reset();
        if !literal.non_sync {
            return Some(0);
        }
        self.scanner.discard_line();
        self.may_discard(literal.size).then_some(literal.size)
    }

    /// What `line` means for the command; `None` where a non-synchronizing literal is to be gathered.
    fn take_line(&mut self, buf: &[u8], line: Line) -> Option<CommandEvent> {
        let len = self.start + line.len;
        let Some(literal) = line.literal else {
            return Some(self.complete(len));
        };
        let mut is_name = false;
        if !self.resumed {
            // What has been gathered is a name's literal or two, so this is short.
            let streamed = streamed_arguments(&buf[..self.start + line.marker]);
            self.append = streamed.is_some();
            is_name = streamed
                .is_some_and(|(arguments, names)| self.names < names && whole(arguments) < names);
            self.names += usize::from(is_name);
        }
        if self.append && !is_name {
            let marker = self.start + line.marker;
            self.line_starts_at(0);
            self.expect = Expect::Verdict(literal);
            return Some(CommandEvent::Stream {
                len,
                marker,
                literal,
            });
        }
        let room = self.limits.command_bytes_max.saturating_sub(len);
        match usize::try_from(literal.size) {
            Ok(size) if size <= room => {
                self.expect = Expect::LiteralEnd(len + size);
                (!literal.non_sync).then_some(CommandEvent::Continue)
            }
            _ => Some(self.refuse_literal(buf, len, literal)),
        }
    }

    fn line_starts_at(&mut self, start: usize) {
        self.expect = Expect::Line;
        self.start = start;
        self.scanner.set_max(self.limits.line_max(start));
    }

    /// The command is over.
    fn complete(&mut self, len: usize) -> CommandEvent {
        self.reset();
        CommandEvent::Complete { len }
    }

    fn reset(&mut self) {
        self.line_starts_at(0);
        self.append = false;
        self.names = 0;
        self.resumed = false;
        self.discarded = 0;
    }

    /// A literal too large to be gathered: who waits for leave is in step with the answer; who
    /// doesn't has his bytes dropped, if that is a matter of reasonable time.
    fn refuse_literal(&mut self, buf: &[u8], consume: usize, literal: Literal) -> CommandEvent {
        let tag = self.tag(buf);
        self.reset();
        let mut bad = BadCommand {
            tag,
            why: CommandError::TooLarge,
            consume,
            skip: 0,
            fatal: false,
        };
        if literal.non_sync {
            bad.skip = literal.size;
            bad.fatal = !self.may_discard(literal.size);
            self.scanner.discard_line();
        }
        CommandEvent::Bad(bad)
    }

    fn bad_line(&mut self, buf: &[u8], bad: BadLine) -> CommandEvent {
        let tag = self.tag(buf);
        let consume = self.start + bad.consume;
        self.reset();
        let fatal = bad.why == LineError::LiteralTooLarge { non_sync: true };
        CommandEvent::Bad(BadCommand {
            tag,
            why: CommandError::Line(bad.why),
            consume,
            skip: 0,
            fatal,
        })
    }

    /// More of a bad command: its line's rest and, with that, literals that come unasked.
    fn discard(&mut self, discard: Discard) -> CommandEvent {
        let consume = discard.consume;
        let skip = discard
            .literal
            .filter(|literal| literal.non_sync)
            .map(|literal| literal.size);
        let sum = (consume as u64).saturating_add(skip.unwrap_or(0));
        if !self.may_discard(sum) {
            let why = CommandError::TooLarge;
            return CommandEvent::Bad(BadCommand {
                tag: None,
                why,
                consume,
                skip: 0,
                fatal: true,
            });
        }
        match skip {
            Some(_) => self.scanner.discard_line(),
            None if discard.ended => self.reset(),
            None => {}
        }
        CommandEvent::Discard {
            consume,
            skip: skip.unwrap_or(0),
        }
    }

    fn may_discard(&mut self, bytes: u64) -> bool {
        self.discarded = self.discarded.saturating_add(bytes);
        self.discarded <= self.limits.discard_bytes_max
    }

    /// The tag at the start of the command, if it can be given back.
    fn tag(&self, buf: &[u8]) -> Option<Range<usize>> {
        if self.resumed {
            return None;
        }
        // No further than a line may reach: what lies behind a bad one depends on the split.
        let limit = self
            .limits
            .line_bytes_max
            .min(self.limits.command_bytes_max);
        let window = &buf[..buf.len().min(limit).min(TAG_BYTES_MAX + 1)];
        let end = memchr::memchr(b' ', window)?;
        (end > 0 && window[..end].iter().copied().all(is_tag_char)).then_some(0..end)
    }
}

/// ASTRING-CHAR but `+` (RFC 3501 section 9, `tag`).
fn is_tag_char(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"(){%*\"\\+".contains(&byte)
}

/// What follows `tag SP "APPEND"`, `tag SP "LOCALAPPEND"`, or `tag SP ["UID" SP] "REPLACE" SP sequence-set`, and how many
/// names stand before the message there: the mailbox', and in LOCALAPPEND (Cyrus) that of the mailbox which relative URLs mean.
fn streamed_arguments(text: &[u8]) -> Option<(&[u8], usize)> {
    let tag = memchr::memchr(b' ', text)?;
    let text = &text[tag + 1..];
    let after = |text: &'_ [u8], name: &[u8]| {
        let starts = text.get(..name.len())?.eq_ignore_ascii_case(name);
        (starts && text.get(name.len()) == Some(&b' ')).then_some(name.len())
    };
    if let Some(end) = after(text, b"APPEND") {
        return Some((&text[end..], 1));
    }
    if let Some(end) = after(text, b"LOCALAPPEND") {
        return Some((&text[end..], 2));
    }
    let text = after(text, b"UID").map_or(text, |end| &text[end + 1..]);
    let text = &text[after(text, b"REPLACE")? + 1..];
    let number = memchr::memchr(b' ', text)?;
    Some((&text[number..], 1))
}

/// How many arguments there are whole: literals, quoted strings, and what else stands between spaces.
fn whole(mut text: &[u8]) -> usize {
    let mut count = 0;
    loop {
        let spaces = text.iter().take_while(|byte| **byte == b' ').count();
        text = &text[spaces..];
        let len = match text.first() {
            None => return count,
            Some(b'"') => quoted(text),
            Some(b'{') => literal(text).unwrap_or(text.len()),
            Some(_) => memchr::memchr(b' ', text).unwrap_or(text.len()),
        };
        text = text.get(len..).unwrap_or_default();
        count += 1;
    }
}

/// The length of a quoted string with its quotes; of all there is, where it has no end.
fn quoted(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// The length of a literal with its marker.
fn literal(text: &[u8]) -> Option<usize> {
    let end = memchr::memchr(b'\n', text)? + 1;
    let digits = text[1..].iter().take_while(|byte| byte.is_ascii_digit());
    let size = std::str::from_utf8(&text[1..1 + digits.count()]).ok()?;
    end.checked_add(size.parse().ok()?)
}

#[cfg(test)]
mod tests;
