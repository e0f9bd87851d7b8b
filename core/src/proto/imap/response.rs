//! The responses of a backend that a frontend acts on: status responses, LIST and LSUB.

use std::borrow::Cow;

use super::cursor::{Cursor, ParseError};

/// The condition of a status response (RFC 3501 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusKind {
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

/// A status response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status<'a> {
    /// The command it ends; `None` if it is untagged.
    pub tag: Option<&'a [u8]>,
    /// Its condition.
    pub kind: StatusKind,
    /// What stands in brackets, without them: `UIDNEXT 3`.
    pub code: Option<&'a [u8]>,
    /// The text for people.
    pub text: &'a [u8],
}

/// Reads a status response's line (without its CRLF); `None` if it is something else.
#[must_use]
pub fn status(line: &[u8]) -> Option<Status<'_>> {
    let (tag, rest) = split_word(line);
    let (name, rest) = split_word(rest);
    let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
    let kind = match name.len() {
        2 if is(b"OK") => StatusKind::Ok,
        2 if is(b"NO") => StatusKind::No,
        3 if is(b"BAD") => StatusKind::Bad,
        3 if is(b"BYE") => StatusKind::Bye,
        7 if is(b"PREAUTH") => StatusKind::Preauth,
        _ => return None,
    };
    let tag = match tag {
        b"*" => None,
        tag if Cursor::new(tag).tag().is_ok_and(|word| word == tag) => Some(tag),
        _ => return None,
    };
    let (code, text) = split_code(rest);
    Some(Status {
        tag,
        kind,
        code,
        text,
    })
}

/// `[code] text`; a bracket that isn't closed is text.
fn split_code(rest: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let closed = rest.strip_prefix(b"[").and_then(|rest| {
        let end = memchr::memchr(b']', rest)?;
        Some((&rest[..end], &rest[end + 1..]))
    });
    match closed {
        Some((code, text)) => (Some(code), text.strip_prefix(b" ").unwrap_or(text)),
        None => (None, rest),
    }
}

/// A word and what follows its space.
fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', text) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[]),
    }
}

/// A LIST, LSUB or XLIST response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<'a> {
    /// LIST, LSUB or XLIST, as it came.
    pub name: &'a [u8],
    /// The attributes as they came, without parentheses: `\HasChildren \Subscribed`.
    pub attributes: &'a [u8],
    /// The hierarchy separator; `None` for NIL.
    pub delimiter: Option<u8>,
    /// The mailbox.
    pub mailbox: Cow<'a, [u8]>,
    /// Extended data behind the mailbox (RFC 5258), as it came, with the space before it.
    pub extended: &'a [u8],
}

/// Reads a whole LIST, LSUB or XLIST response (with literals, without the CRLF that ends it).
///
/// # Errors
/// If it is something else or malformed.
pub fn list(response: &[u8]) -> Result<List<'_>, ParseError> {
    let expected = ParseError::Expected("a LIST response");
    let mut cursor = Cursor::new(response.strip_prefix(b"* ").ok_or(expected)?);
    let name = cursor.atom()?;
    if ![&b"LIST"[..], b"LSUB", b"XLIST"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
    {
        return Err(expected);
    }
    cursor.sp()?;
    let attributes = cursor.paren()?;
    let attributes = &attributes[1..attributes.len() - 1];
    cursor.sp()?;
    let delimiter = match cursor.nstring()? {
        None => None,
        Some(delimiter) => match *delimiter {
            [byte] => Some(byte),
            _ => return Err(ParseError::Expected("a hierarchy separator")),
        },
    };
    cursor.sp()?;
    let mailbox = cursor.list_mailbox()?;
    Ok(List {
        name,
        attributes,
        delimiter,
        mailbox,
        extended: cursor.rest(),
    })
}

impl<'a> List<'a> {
    /// The attributes, one by one.
    pub fn attributes(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.attributes
            .split(|byte| *byte == b' ')
            .filter(|word| !word.is_empty())
    }

    /// It has this attribute, e.g. `\Noselect`, in any case.
    #[must_use]
    pub fn has(&self, attribute: &str) -> bool {
        self.attributes()
            .any(|word| word.eq_ignore_ascii_case(attribute.as_bytes()))
    }
}
