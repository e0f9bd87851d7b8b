//! APPEND as far as a router reads it: the mailbox, and the rest as it came.
//!
//! RFC 3501 section 6.3.11, MULTIAPPEND (RFC 3502), CATENATE (RFC 4469), UTF8 (RFC 6855 section 4),
//! REPLACE (RFC 8508), which is an APPEND behind a sequence set; LOCALAPPEND, as which a Cyrus frontend passes a client's
//! APPEND on: behind the mailbox stands the name of the one that the client has selected, or an empty one.

use std::borrow::Cow;

use super::command::Command;
use super::cursor::{Cursor, ParseError};
use super::marker;
use super::sequence::SequenceSet;
use super::verb::Verb;

/// The beginning of an APPEND, up to its first message literal or, without one, to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendHead<'a> {
    /// Of a REPLACE: the message that is replaced.
    pub replaced: Option<&'a [u8]>,
    /// Where to.
    pub mailbox: Cow<'a, [u8]>,
    /// Of a LOCALAPPEND: the mailbox that relative URLs mean; empty: none.
    pub selected: Option<Cow<'a, [u8]>>,
    /// What lies between the mailbox's space and the marker of the message, verbatim:
    /// `(\Seen) "date" `, `CATENATE (TEXT `, or nothing. It holds no line end.
    pub options: &'a [u8],
    /// A message literal follows; its marker isn't part of `options`.
    pub has_literal: bool,
}

/// What a literal of an APPEND is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A message of its own (RFC 3501).
    Message,
    /// A message with UTF-8 headers, `UTF8 (~{n}` (RFC 6855 section 4).
    Utf8,
    /// A text of a message that is put together, `CATENATE (… TEXT {n}` (RFC 4469).
    Catenate,
}

/// What follows a piece of an APPEND's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// A literal's marker.
    Literal(Part),
    /// The command's end; what the last message was.
    End(Part),
}

/// What has to follow `text`, which stands behind the mailbox's name and its space (`last` is
/// `None`) or behind the literal of the part `last`; `None`: no APPEND reads so. Only behind text
/// that is known here is it certain that a server which knows the part takes the marker for a
/// literal's, and doesn't read the message as commands.
#[must_use]
pub fn append_follows(text: &[u8], last: Option<Part>) -> Option<Follows> {
    let mut text = Cursor::new(text);
    match last {
        None => first(text),
        Some(Part::Message) => message_over(text, Part::Message),
        Some(Part::Utf8) => {
            text.accept(b')').then_some(())?;
            message_over(text, Part::Utf8)
        }
        Some(Part::Catenate) => parts_over(text),
    }
}

/// At a message's beginning: flags, a date, and what kind of message it is.
fn first(mut text: Cursor<'_>) -> Option<Follows> {
    let rest = behind_options(text.rest())?;
    if rest.is_empty() {
        return Some(Follows::Literal(Part::Message));
    }
    text = Cursor::new(rest);
    let kind = text.atom().ok()?;
    text.sp().ok()?;
    text.accept(b'(').then_some(())?;
    if kind.eq_ignore_ascii_case(b"UTF8") {
        return text.is_done().then_some(Follows::Literal(Part::Utf8));
    }
    kind.eq_ignore_ascii_case(b"CATENATE").then_some(())?;
    part(text)
}

/// Behind a message: the end, or one more (RFC 3502).
fn message_over(mut text: Cursor<'_>, last: Part) -> Option<Follows> {
    if text.is_done() {
        return Some(Follows::End(last));
    }
    text.sp().ok()?;
    first(text)
}

/// At a part of CATENATE. A URL in a literal can't be told from a text here, and isn't taken.
fn part(mut text: Cursor<'_>) -> Option<Follows> {
    let kind = text.atom().ok()?;
    text.sp().ok()?;
    if kind.eq_ignore_ascii_case(b"TEXT") {
        return text.is_done().then_some(Follows::Literal(Part::Catenate));
    }
    kind.eq_ignore_ascii_case(b"URL").then_some(())?;
    (text.peek() != Some(b'{')).then_some(())?;
    text.astring().ok()?;
    parts_over(text)
}

fn parts_over(mut text: Cursor<'_>) -> Option<Follows> {
    if text.accept(b')') {
        return message_over(text, Part::Catenate);
    }
    text.sp().ok()?;
    part(text)
}

/// What stands behind a flag list and a date, each with its space, where they are.
fn behind_options(text: &[u8]) -> Option<&[u8]> {
    let rest = match text.strip_prefix(b"(") {
        None => text,
        Some(rest) => {
            let end = memchr::memchr(b')', rest)?;
            let flag = |byte: &u8| matches!(byte, b' '..=b'~') && !b"(){%*\"".contains(byte);
            let known = rest[..end].iter().all(flag);
            rest[end + 1..].strip_prefix(b" ").filter(|_| known)?
        }
    };
    let Some(date) = rest.strip_prefix(b"\"") else {
        return Some(rest);
    };
    let end = memchr::memchr(b'"', date)?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b" :+-".contains(byte);
    let known = end <= DATE_BYTES_MAX && date[..end].iter().all(plain);
    date[end + 1..].strip_prefix(b" ").filter(|_| known)
}

/// Some more than ` 1-Jan-2024 00:00:00 +0000` has.
const DATE_BYTES_MAX: usize = 32;

impl<'a> AppendHead<'a> {
    /// Reads what the framer handed over as a stream's beginning, or as a complete command.
    ///
    /// # Errors
    /// If there is no mailbox, nothing behind it, or a further literal was gathered.
    pub fn parse(command: &Command<'a>) -> Result<Self, ParseError> {
        let mut args = command.args;
        args.sp()?;
        let replaced = if command.verb == Verb::Replace {
            let number = args.sequence_set()?;
            args.sp()?;
            Some(number)
        } else {
            None
        };
        let mailbox = args.astring()?;
        args.sp()?;
        let mut selected = None;
        if command.verb == Verb::LocalAppend {
            selected = Some(args.astring()?);
            args.sp()?;
        }
        let rest = args.rest();
        if rest.is_empty() {
            return Err(ParseError::Expected("a message"));
        }
        if memchr::memchr2(b'\r', b'\n', rest).is_some() {
            return Err(ParseError::LineEnd);
        }
        let marker = marker::read(rest).map(|marker| marker.start);
        Ok(Self {
            replaced,
            mailbox,
            selected,
            options: &rest[..marker.unwrap_or(rest.len())],
            has_literal: marker.is_some(),
        })
    }
}

/// The one message that a REPLACE names (RFC 8508 section 5): no set, and not `$`.
///
/// # Errors
/// If `number` is something else.
pub fn replaced_message(number: &[u8]) -> Result<SequenceSet, ParseError> {
    let one = number == b"*" || number.iter().all(u8::is_ascii_digit);
    if !one {
        return Err(ParseError::Expected("the number of one message"));
    }
    SequenceSet::parse(number)
}

#[cfg(test)]
mod tests {
    use super::Follows::{End, Literal};
    use super::Part::{Catenate, Message, Utf8};
    use super::append_follows;

    #[test]
    fn what_stands_before_a_message_is_known() {
        let date = "\" 1-Jan-2024 00:00:00 +0000\" ";
        for options in [
            "",
            "() ",
            "(\\Seen $Label) ",
            date,
            &format!("(\\Deleted) {date}"),
        ] {
            for (text, part) in [
                ("", Message),
                ("UTF8 (", Utf8),
                ("catenate (TEXT ", Catenate),
                ("CATENATE (URL \"/x;UID=1 {3}\" text ", Catenate),
                ("CATENATE (URL ;UID=1 URL /y;UID=2 TEXT ", Catenate),
            ] {
                let text = format!("{options}{text}");
                assert_eq!(
                    append_follows(text.as_bytes(), None),
                    Some(Literal(part)),
                    "{text}"
                );
                for last in [
                    (Message, " "),
                    (Utf8, ") "),
                    (Catenate, ") "),
                    (Catenate, " URL x) "),
                ] {
                    let text = format!("{}{text}", last.1);
                    assert_eq!(
                        append_follows(text.as_bytes(), Some(last.0)),
                        Some(Literal(part)),
                        "{text}"
                    );
                }
            }
        }
    }

    #[test]
    fn one_message_is_replaced() {
        for number in ["1", "*", "4294967295"] {
            let set = super::replaced_message(number.as_bytes());
            assert_eq!(set.expect(number).to_string(), number);
        }
        for number in ["", "0", "1:2", "1:1", "1,2", "$", "**", "4294967296"] {
            assert!(
                super::replaced_message(number.as_bytes()).is_err(),
                "{number}"
            );
        }
    }

    #[test]
    fn the_end_is_known() {
        for (text, last) in [
            ("", Some(Message)),
            (")", Some(Utf8)),
            (")", Some(Catenate)),
            (" URL \"/x;UID=1\")", Some(Catenate)),
        ] {
            let end = last.map(End);
            assert_eq!(append_follows(text.as_bytes(), last), end, "{text}");
        }
        let whole = b"(\\Seen) CATENATE (URL \"/x;UID=1\" URL /y;UID=3)";
        assert_eq!(append_follows(whole, None), Some(End(Catenate)));
        assert_eq!(
            append_follows(b" TEXT ", Some(Catenate)),
            Some(Literal(Catenate))
        );
    }

    #[test]
    fn nothing_else_is_taken() {
        for text in [
            "(\\Seen ",
            "(\\Seen)",
            "(a\"b) ",
            "((a) ",
            "\"",
            "x ",
            " ",
            "UTF8 ",
            "UTF8 (x",
            "UTF8 (URL x)",
            "CATENATE ",
            "CATENATE (",
            "CATENATE ()",
            "CATENATE (URL ",
            "CATENATE (URL {3}\r\nabc TEXT ",
            "CATENATE (TEXT",
            "CATENATE (TEXT  ",
            "CATENATE (URL x",
            "CATENATE (URL x) CATENATE",
            "XCATENATE (TEXT ",
            "() () ",
            "(\\Seen) (",
            "\" 1-Jan-2024 00:00:00 \"000\" ",
        ] {
            assert_eq!(append_follows(text.as_bytes(), None), None, "{text}");
        }
        for (text, last) in [
            ("x", Message),
            ("  ", Message),
            ("", Utf8),
            ("", Catenate),
            ("))", Catenate),
            (")x", Utf8),
        ] {
            assert_eq!(append_follows(text.as_bytes(), Some(last)), None, "{text}");
        }
    }
}
