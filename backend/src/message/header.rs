//! A header's fields: where they begin and end, and their values (RFC 5322 section 2.2).
//!
//! Lines end with LF, with or without CR; a line that begins with a space or a tab goes on with the field before it. A CR
//! alone ends nothing.

use std::collections::BTreeSet;

use mail_parser::HeaderValue;
use mail_parser::parsers::MessageStream;
use memchr::memchr;

use super::value::unfolded;

/// How much of a message is its header, with the empty line that ends it. All of it, if there is none.
#[must_use]
pub fn header_length(message: &[u8]) -> usize {
    let mut lines = Lines::new(message);
    for line in lines.by_ref() {
        if is_empty_line(line) {
            break;
        }
    }
    lines.at
}

/// The fields of `header` that are called as one of `names` (with `not`: the others), as they are, and an empty line: HEADER.FIELDS
/// and HEADER.FIELDS.NOT. NULs are left out.
#[must_use]
pub fn header_fields(header: &[u8], names: &[impl AsRef<[u8]>], not: bool) -> Vec<u8> {
    let names = names.iter().map(|name| name.as_ref().to_ascii_lowercase());
    let names: BTreeSet<Vec<u8>> = names.collect();
    let mut answer = Vec::new();
    for field in Fields::new(header) {
        let named = field
            .name()
            .is_some_and(|name| names.contains(&name.to_ascii_lowercase()));
        if named != not {
            answer.extend(field.bytes.iter().filter(|byte| **byte != 0));
        }
    }
    if !answer.is_empty() && !answer.ends_with(b"\n") {
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"\r\n");
    answer
}

/// The values of the fields called `name`, unfolded, as they were sent.
pub fn field_values<'a>(header: &'a [u8], name: &'a str) -> impl Iterator<Item = Vec<u8>> + 'a {
    Fields::new(header)
        .filter(move |field| field.is(name))
        .map(|field| unfolded(field.value()))
}

/// The values of the fields called `name`, unfolded and with their encoded words decoded (RFC 2047).
pub fn decoded<'a>(header: &'a [u8], name: &'a str) -> impl Iterator<Item = String> + 'a {
    field_values(header, name).map(decode_words)
}

/// A value with its encoded words decoded.
pub(super) fn decode_words(mut value: Vec<u8>) -> String {
    value.push(b'\n');
    match MessageStream::new(&value).parse_unstructured() {
        HeaderValue::Text(text) => text.into_owned(),
        _ => String::new(),
    }
}

/// A field, or lines that are none.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    /// All its lines.
    pub(super) bytes: &'a [u8],
    colon: Option<usize>,
}

impl<'a> Field<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let colon = memchr(b':', bytes).filter(|colon| {
            let name = bytes[..*colon].trim_ascii_end();
            !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
        });
        Self { bytes, colon }
    }

    pub(super) fn name(&self) -> Option<&'a [u8]> {
        self.colon.map(|colon| self.bytes[..colon].trim_ascii_end())
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name()
            .is_some_and(|this| this.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// What stands behind the colon, still folded, without the last line's end.
    pub(super) fn value(&self) -> &'a [u8] {
        let value = &self.bytes[self.colon.map_or(0, |colon| colon + 1)..];
        let value = value.strip_suffix(b"\n").unwrap_or(value);
        value.strip_suffix(b"\r").unwrap_or(value)
    }
}

/// The fields of a header, up to its empty line.
pub(super) struct Fields<'a> {
    lines: Lines<'a>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(header: &'a [u8]) -> Self {
        Self {
            lines: Lines::new(header),
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let start = self.lines.at;
        if is_empty_line(self.lines.next()?) {
            self.lines.at = self.lines.bytes.len();
            return None;
        }
        let goes_on = |lines: &Lines<'_>| matches!(lines.bytes.get(lines.at), Some(b' ' | b'\t'));
        while goes_on(&self.lines) {
            self.lines.next();
        }
        Some(Field::new(&self.lines.bytes[start..self.lines.at]))
    }
}

/// Lines with their ends; the last may have none.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    /// Where the next line begins.
    pub(super) at: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let line = &rest[..memchr(b'\n', rest).map_or(rest.len(), |end| end + 1)];
        self.at += line.len();
        Some(line)
    }
}

pub(super) fn is_empty_line(line: &[u8]) -> bool {
    line == b"\r\n" || line == b"\n"
}
