//! Address lists as ENVELOPE shows them (RFC 5322 section 3.4, RFC 3501 section 7.4.2).
//!
//! Names stay encoded as they are (RFC 2047). Where a domain is missing Cyrus' name for that stands, since NIL would begin a
//! group. A group that isn't ended is.

use super::ADDRESSES_MAX;
use super::content::{behind_comment, unquoted};
use super::value::nstring;

const NO_DOMAIN: &[u8] = b"unspecified-domain";
const LITERAL_BYTES_MAX: usize = 256;

/// Appends the addresses of an unfolded value, or NIL if there are none.
pub(super) fn addresses(out: &mut Vec<u8>, value: &[u8]) {
    let start = out.len();
    let mut list = List {
        out,
        rest: value,
        count: 0,
        in_group: false,
    };
    list.out.push(b'(');
    while list.count < ADDRESSES_MAX && !list.rest.is_empty() {
        list.entry();
    }
    if list.in_group {
        list.put(None, None, None, None);
    }
    if list.count == 0 {
        out.truncate(start);
        out.extend_from_slice(b"NIL");
    } else {
        out.push(b')');
    }
}

struct List<'a> {
    out: &'a mut Vec<u8>,
    rest: &'a [u8],
    count: usize,
    in_group: bool,
}

/// Words up to a special character.
struct Phrase {
    text: Vec<u8>,
    /// The last comment among them.
    comment: Option<Vec<u8>>,
    /// What ended it; it is taken.
    end: Option<u8>,
}

impl List<'_> {
    fn put(
        &mut self,
        name: Option<&[u8]>,
        route: Option<&[u8]>,
        mailbox: Option<&[u8]>,
        host: Option<&[u8]>,
    ) {
        self.out.push(b'(');
        let name = name.filter(|name| !name.is_empty());
        nstring(self.out, name);
        for part in [route, mailbox, host] {
            self.out.push(b' ');
            nstring(self.out, part);
        }
        self.out.push(b')');
        self.count += 1;
    }

    /// An address, the beginning or the end of a group, or nothing between commas.
    fn entry(&mut self) {
        let words = self.phrase(b",;:<@");
        let name = Some(words.text.as_slice());
        match words.end {
            Some(b':') if !self.in_group => {
                self.in_group = true;
                self.put(None, None, name, None);
            }
            Some(b'<') => self.angle(&words.text),
            Some(b'@') => {
                let domain = self.domain();
                self.put(domain.comment.as_deref(), None, name, Some(&domain.text));
                match domain.end {
                    Some(b'<') => self.skip_angle(),
                    end => self.end_group(end),
                }
            }
            end => {
                if !words.text.is_empty() {
                    self.put(words.comment.as_deref(), None, name, Some(NO_DOMAIN));
                }
                self.end_group(end);
            }
        }
    }

    fn end_group(&mut self, end: Option<u8>) {
        if end == Some(b';') && self.in_group {
            self.in_group = false;
            self.put(None, None, None, None);
        }
    }

    /// `<@route:mailbox@domain>`, behind its `<`.
    fn angle(&mut self, name: &[u8]) {
        let mut words = self.phrase(b"@>:");
        let mut route = None;
        if words.text.is_empty() && words.end == Some(b'@') {
            let via = self.phrase(b":>");
            let mut text = b"@".to_vec();
            text.append(&mut without_spaces(via.text));
            route = Some(text);
            words = match via.end {
                Some(b':') => self.phrase(b"@>"),
                end => Phrase {
                    text: Vec::new(),
                    comment: None,
                    end,
                },
            };
        }
        let host = match words.end {
            Some(b'@') => {
                let domain = self.domain();
                if domain.end != Some(b'>') {
                    self.skip_angle();
                }
                domain.text
            }
            end => {
                if end == Some(b':') {
                    self.skip_angle();
                }
                NO_DOMAIN.to_vec()
            }
        };
        self.put(Some(name), route.as_deref(), Some(&words.text), Some(&host));
    }

    /// A domain, up to a character that it may not have: no dot at either end, none doubled.
    fn domain(&mut self) -> Phrase {
        let (mut text, mut comment, mut end) = (Vec::new(), None, None);
        while let [byte, behind @ ..] = self.rest {
            self.rest = behind;
            match byte {
                b'(' => {
                    let inside = self.comment();
                    // One before the domain isn't the address' name.
                    comment = (!text.is_empty()).then_some(inside);
                }
                b' ' | b'\t' | b'\r' => {}
                b'.' => {
                    if text.last().is_some_and(|last| *last != b'.') {
                        text.push(b'.');
                    }
                    comment = None;
                }
                byte if byte.is_ascii_alphanumeric()
                    || b"-_[]:@".contains(byte)
                    || *byte >= 128 =>
                {
                    text.push(*byte);
                    comment = None;
                }
                _ => {
                    end = Some(*byte);
                    break;
                }
            }
        }
        if text.last() == Some(&b'.') {
            text.pop();
        }
        if text.is_empty() {
            text.extend_from_slice(NO_DOMAIN);
        }
        Phrase { text, comment, end }
    }

    /// A comment behind its `(`.
    fn comment(&mut self) -> Vec<u8> {
        let before = self.rest;
        self.rest = behind_comment(before);
        let inside = &before[..before.len() - self.rest.len()];
        without_quoting(inside.strip_suffix(b")").unwrap_or(inside))
    }

    fn skip_angle(&mut self) {
        let end = memchr::memchr(b'>', self.rest).map_or(self.rest.len(), |end| end + 1);
        self.rest = &self.rest[end..];
    }

    /// Words with one space between them, quotes taken off, up to one of `specials`.
    fn phrase(&mut self, specials: &[u8]) -> Phrase {
        let (mut text, mut comment, mut end) = (Vec::new(), None, None);
        while let [byte, behind @ ..] = self.rest {
            self.rest = behind;
            match byte {
                b'"' => match unquoted(behind) {
                    (mut quoted, Some(rest)) => {
                        text.append(&mut quoted);
                        self.rest = rest;
                    }
                    // All behind the quote would be quoted.
                    (_, None) => {
                        (text, self.rest) = (Vec::new(), &[]);
                    }
                },
                b'(' => {
                    comment = Some(self.comment());
                    space(&mut text);
                }
                b'[' => {
                    // A domain literal is short; its end isn't looked for in all the rest.
                    let near = &behind[..behind.len().min(LITERAL_BYTES_MAX)];
                    let length = memchr::memchr3(b']', b',', b'>', near)
                        .filter(|end| near[*end] == b']')
                        .map_or(0, |end| end + 1);
                    text.push(b'[');
                    text.extend_from_slice(&behind[..length]);
                    self.rest = &behind[length..];
                }
                b' ' | b'\t' | b'\r' => space(&mut text),
                byte if specials.contains(byte) => {
                    end = Some(*byte);
                    break;
                }
                _ => text.push(*byte),
            }
        }
        if text.last() == Some(&b' ') {
            text.pop();
        }
        Phrase { text, comment, end }
    }
}

fn space(text: &mut Vec<u8>) {
    if text.last().is_some_and(|last| *last != b' ') {
        text.push(b' ');
    }
}

fn without_spaces(mut text: Vec<u8>) -> Vec<u8> {
    text.retain(|byte| *byte != b' ');
    text
}

/// A comment's text, its quoted pairs undone (RFC 5322 section 3.2.1).
fn without_quoting(comment: &[u8]) -> Vec<u8> {
    let mut bytes = comment.iter();
    let mut text = Vec::with_capacity(comment.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => text.extend(bytes.next()),
            _ => text.push(*byte),
        }
    }
    text
}
