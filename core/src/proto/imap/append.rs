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
