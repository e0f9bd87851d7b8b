//! APPEND as far as a router reads it: the mailbox, and the rest as it came.
//!
//! RFC 3501 section 6.3.11, MULTIAPPEND (RFC 3502), CATENATE (RFC 4469).

use std::borrow::Cow;

use super::command::Command;
use super::cursor::ParseError;
use super::marker;

/// The beginning of an APPEND, up to its first message literal or, without one, to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendHead<'a> {
    /// Where to.
    pub mailbox: Cow<'a, [u8]>,
    /// What lies between the mailbox's space and the marker of the message, verbatim:
    /// `(\Seen) "date" `, `CATENATE (TEXT `, or nothing. It holds no line end.
    pub options: &'a [u8],
    /// A message literal follows; its marker isn't part of `options`.
    pub has_literal: bool,
}

/// Whether `text`, which stands before a message's marker, is what RFC 3501 has there and nothing
/// else: a flag list, a date, each with its space, or nothing. Only behind such text is it certain
/// that every server takes the marker for a literal's, and doesn't read the message as commands.
#[must_use]
pub fn is_append_options(text: &[u8]) -> bool {
    let rest = match text.strip_prefix(b"(") {
        None => text,
        Some(rest) => {
            let Some(end) = memchr::memchr(b')', rest) else {
                return false;
            };
            let flag = |byte: &u8| matches!(byte, b' '..=b'~') && !b"(){%*\"".contains(byte);
            match rest[end + 1..].strip_prefix(b" ") {
                Some(after) if rest[..end].iter().all(flag) => after,
                _ => return false,
            }
        }
    };
    if rest.is_empty() {
        return true;
    }
    let date = rest
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\" "));
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b" :+-".contains(byte);
    date.is_some_and(|date| date.len() <= DATE_BYTES_MAX && date.iter().all(plain))
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
        let mailbox = args.astring()?;
        args.sp()?;
        let rest = args.rest();
        if rest.is_empty() {
            return Err(ParseError::Expected("a message"));
        }
        if memchr::memchr2(b'\r', b'\n', rest).is_some() {
            return Err(ParseError::LineEnd);
        }
        let marker = marker::read(rest).map(|marker| marker.start);
        Ok(Self {
            mailbox,
            options: &rest[..marker.unwrap_or(rest.len())],
            has_literal: marker.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::is_append_options;

    #[test]
    fn what_stands_before_a_message_is_known() {
        let date = "\" 1-Jan-2024 00:00:00 +0000\" ";
        for text in [
            "",
            "() ",
            "(\\Seen $Label) ",
            date,
            &format!("(\\Deleted) {date}"),
        ] {
            assert!(is_append_options(text.as_bytes()), "{text}");
        }
        for text in [
            "(\\Seen ",
            "(\\Seen)",
            "(a\"b) ",
            "((a) ",
            "\"",
            "x ",
            " ",
            "CATENATE (TEXT ",
            "UTF8 (",
            "() () ",
            "(\\Seen) (",
            "\" 1-Jan-2024 00:00:00 \"000\" ",
        ] {
            assert!(!is_append_options(text.as_bytes()), "{text}");
        }
    }
}
