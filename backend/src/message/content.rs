//! The fields that say what a part is: Content-Type and its kin (RFC 2045, RFC 2183, RFC 2231, RFC 3282).
//!
//! Where a field comes twice, the last counts, as at Cyrus.

use std::collections::BTreeMap;

use super::header::Fields;
use super::value::unfolded;
use super::{PARAMETERS_MAX, encoding::both_hex};

/// Names (in capitals) and values.
pub(super) type Parameters = Vec<(Vec<u8>, Vec<u8>)>;

/// What the fields of a part say of it.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// In capitals, as is the subtype.
    pub(super) kind: Vec<u8>,
    pub(super) subtype: Vec<u8>,
    pub(super) parameters: Parameters,
    pub(super) id: Option<Vec<u8>>,
    pub(super) description: Option<Vec<u8>>,
    pub(super) encoding: Option<Vec<u8>>,
    pub(super) md5: Option<Vec<u8>>,
    pub(super) disposition: Option<(Vec<u8>, Parameters)>,
    pub(super) languages: Vec<Vec<u8>>,
    pub(super) location: Option<Vec<u8>>,
    /// A message/global is a message, too.
    pub(super) global: bool,
}

impl Content {
    /// Reads a part's header. `digest`: it lies in a multipart/digest, where another type is the default.
    pub(super) fn read(header: &[u8], digest: bool) -> Self {
        let mut content = Self::default();
        for field in Fields::new(header) {
            let begins = field.name().and_then(|name| name.get(..8));
            if !begins.is_some_and(|begins| begins.eq_ignore_ascii_case(b"content-")) {
                continue;
            }
            let value = || unfolded(field.value());
            if field.is("Content-Type") {
                content.set_type(&value());
            } else if field.is("Content-ID") {
                content.id = Some(value());
            } else if field.is("Content-Description") {
                content.description = Some(value());
            } else if field.is("Content-MD5") {
                content.md5 = Some(value());
            } else if field.is("Content-Location") {
                content.location = Some(value());
            } else if field.is("Content-Transfer-Encoding") {
                content.encoding = encoding(&value());
            } else if field.is("Content-Disposition") {
                content.disposition = disposition(&value());
            } else if field.is("Content-Language") {
                content.languages = languages(&value());
            }
        }
        if content.kind.is_empty() {
            content.set_default(digest);
        }
        content
    }

    fn set_type(&mut self, value: &[u8]) {
        let mut words = Words(value);
        words.space();
        self.kind.clear();
        // One that can't be read counts as none (RFC 2045 section 5.2).
        if let Some(read) = read_type(&mut words) {
            (self.kind, self.subtype) = read;
            self.parameters = parameters(&mut words);
        }
    }

    fn set_default(&mut self, digest: bool) {
        if digest {
            (self.kind, self.subtype) = (b"MESSAGE".to_vec(), b"RFC822".to_vec());
            self.parameters = Vec::new();
        } else {
            self.become_text();
        }
    }

    /// Shows it as text/plain, whatever it says it is.
    pub(super) fn become_text(&mut self) {
        (self.kind, self.subtype) = (b"TEXT".to_vec(), b"PLAIN".to_vec());
        self.parameters = vec![(b"CHARSET".to_vec(), b"us-ascii".to_vec())];
    }

    /// Shows it as bytes.
    pub(super) fn become_bytes(&mut self) {
        (self.kind, self.subtype) = (b"APPLICATION".to_vec(), b"OCTET-STREAM".to_vec());
        self.parameters = Vec::new();
    }

    pub(super) fn is_multipart(&self) -> bool {
        self.kind == b"MULTIPART"
    }

    /// A message as a part (RFC 2046 section 5.2.1; message/global: RFC 6532 section 3.7).
    pub(super) fn is_message(&self) -> bool {
        let global = self.global && self.subtype == b"GLOBAL";
        self.kind == b"MESSAGE" && (self.subtype == b"RFC822" || global)
    }

    pub(super) fn is_text(&self) -> bool {
        self.kind == b"TEXT"
    }

    pub(super) fn parameter(&self, name: &[u8]) -> Option<&[u8]> {
        let found = self.parameters.iter().find(|(this, _)| this == name);
        found.map(|(_, value)| value.as_slice())
    }
}

/// The transfer encoding that a part's header names, in capitals; empty: it names none, or is that of a part with parts in it, which
/// may have none (RFC 2045 section 6.4).
#[must_use]
pub fn transfer_encoding(header: &[u8]) -> Vec<u8> {
    let content = Content::read(header, false);
    let encoding = content.encoding.as_deref().unwrap_or_default();
    match content.is_multipart() || content.is_message() {
        true => Vec::new(),
        false => encoding.to_vec(),
    }
}

fn read_type(words: &mut Words<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let kind = words.token()?.to_ascii_uppercase();
    words.is(b'/').then_some(())?;
    let subtype = words.token()?.to_ascii_uppercase();
    (words.0.is_empty() || words.0[0] == b';').then_some((kind, subtype))
}

fn encoding(value: &[u8]) -> Option<Vec<u8>> {
    let mut words = Words(value);
    words.space();
    let token = words.token()?.to_ascii_uppercase();
    words.0.is_empty().then_some(token)
}

fn disposition(value: &[u8]) -> Option<(Vec<u8>, Parameters)> {
    let mut words = Words(value);
    words.space();
    let token = words.token().unwrap_or_default().to_ascii_uppercase();
    match words.0 {
        [] => (!token.is_empty()).then_some((token, Vec::new())),
        [first, ..] => (*first == b';').then(|| (token, parameters(&mut words))),
    }
}

fn languages(value: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Words(value);
    let mut tags = Vec::new();
    words.space();
    while tags.len() < PARAMETERS_MAX
        && let Some(tag) = words.token()
        && tag
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    {
        tags.push(tag.to_ascii_uppercase());
        if !words.is(b',') {
            // Tags without a comma between them are none (RFC 3282).
            if !words.0.is_empty() {
                tags.clear();
            }
            break;
        }
    }
    tags
}

/// `;name=value…`. One that is malformed is passed over.
fn parameters(words: &mut Words<'_>) -> Parameters {
    let mut found = Vec::new();
    while found.len() < PARAMETERS_MAX && !words.0.is_empty() {
        if !words.is(b';') {
            words.skip_to_semicolon();
            continue;
        }
        // A name may be missing; Cyrus and Dovecot tell such a value, too.
        let name = words.token().unwrap_or_default();
        if !words.is(b'=') {
            continue;
        }
        if let Some(value) = words.value() {
            found.push((name.to_ascii_uppercase(), value));
        }
    }
    joined(found)
}

/// A value's pieces by their numbers: whether each is extended, and its text.
type Pieces = BTreeMap<u16, (bool, Vec<u8>)>;

/// Values that come in pieces put together (RFC 2231 section 3), as its section 6 asks of IMAP servers.
fn joined(found: Parameters) -> Parameters {
    let mut whole = Vec::new();
    let mut pieces: BTreeMap<Vec<u8>, Pieces> = BTreeMap::new();
    for (name, value) in found {
        match piece(&name) {
            Some((base, number, extended)) => {
                let pieces = pieces.entry(base.to_vec()).or_default();
                pieces.entry(number).or_insert((extended, value));
            }
            None => whole.push((name, value)),
        }
    }
    for (mut name, pieces) in pieces {
        let mut pieces = pieces;
        let run: Vec<(bool, Vec<u8>)> = (0..).map_while(|at| pieces.remove(&at)).collect();
        // Pieces that nothing comes before are told as they came.
        let alone = pieces.into_iter().map(|(number, (extended, value))| {
            let mut name = [&name[..], format!("*{number}").as_bytes()].concat();
            name.extend(extended.then_some(b'*'));
            (name, value)
        });
        let alone: Parameters = alone.collect();
        let extended = run.iter().any(|(extended, _)| *extended);
        let mut value = Vec::new();
        // A value whose first piece isn't extended names no charset.
        if extended && run.first().is_some_and(|(extended, _)| !extended) {
            value.extend_from_slice(b"''");
        }
        for (is_extended, piece) in &run {
            match extended && !is_extended {
                true => percent(&mut value, piece),
                false => value.extend_from_slice(piece),
            }
        }
        if extended {
            name.push(b'*');
        }
        if !run.is_empty() {
            whole.push((name, value));
        }
        whole.extend(alone);
    }
    whole
}

/// `NAME*3*`: the name, the number, whether it is extended.
fn piece(name: &[u8]) -> Option<(&[u8], u16, bool)> {
    let (name, extended) = match name.strip_suffix(b"*") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let star = name.iter().rposition(|byte| *byte == b'*')?;
    let digits = std::str::from_utf8(&name[star + 1..]).ok()?;
    let number = digits.parse().ok()?;
    let plain = digits == "0" || digits.starts_with(|first: char| ('1'..='9').contains(&first));
    (star > 0 && plain).then_some((&name[..star], number, extended))
}

fn percent(out: &mut Vec<u8>, value: &[u8]) {
    for byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~!#$&+^`{|}".contains(byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

/// An extended value's bytes (RFC 2231 section 4): what a boundary may be written as.
pub(super) fn extended(value: &[u8]) -> Vec<u8> {
    let mut quotes = value.splitn(3, |byte| *byte == b'\'');
    let text = quotes.nth(2).unwrap_or(value);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, behind @ ..] = rest {
        rest = behind;
        match behind {
            [high, low, behind @ ..] if *byte == b'%' && both_hex(*high, *low).is_some() => {
                bytes.extend(both_hex(*high, *low));
                rest = behind;
            }
            _ => bytes.push(*byte),
        }
    }
    bytes
}

/// What is still to be read of a structured value. Spaces and comments behind what is read are passed over.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn space(&mut self) {
        while let [first, rest @ ..] = self.0 {
            match first {
                b' ' | b'\t' | b'\r' => self.0 = rest,
                b'(' => self.0 = behind_comment(rest),
                _ => break,
            }
        }
    }

    fn is(&mut self, byte: u8) -> bool {
        let Some(rest) = self.0.strip_prefix(&[byte]) else {
            return false;
        };
        self.0 = rest;
        self.space();
        true
    }

    fn token(&mut self) -> Option<&'a [u8]> {
        let is_token = |byte: &u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(byte);
        let end = self.0.iter().position(|byte| !is_token(byte));
        let (token, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        self.space();
        (!token.is_empty()).then_some(token)
    }

    /// A quoted string, or all up to a `;` or a comment: names with spaces in them come unquoted, too.
    fn value(&mut self) -> Option<Vec<u8>> {
        if let Some(quoted) = self.0.strip_prefix(b"\"") {
            let (value, rest) = unquoted(quoted);
            self.0 = rest.unwrap_or_default();
            self.space();
            return rest.map(|_| value);
        }
        let end = self.0.iter().position(|byte| b";(".contains(byte));
        let (value, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        self.space();
        let value = value.trim_ascii();
        let lawful = !value.iter().any(|byte| byte.is_ascii_control());
        (lawful && !value.is_empty()).then(|| value.to_vec())
    }

    fn skip_to_semicolon(&mut self) {
        let at = memchr::memchr(b';', self.0).unwrap_or(self.0.len());
        self.0 = &self.0[at..];
    }
}

/// What stands in a quoted string, and what is behind it. `None`: it isn't closed.
pub(super) fn unquoted(bytes: &[u8]) -> (Vec<u8>, Option<&[u8]>) {
    let mut value = Vec::new();
    let mut rest = bytes;
    while let [byte, behind @ ..] = rest {
        rest = behind;
        match (byte, behind) {
            (b'"', _) => return (value, Some(behind)),
            (b'\\', [escaped, behind @ ..]) => {
                value.push(*escaped);
                rest = behind;
            }
            _ => value.push(*byte),
        }
    }
    (value, None)
}

/// What is behind a comment that has been opened; comments lie in comments.
pub(super) fn behind_comment(mut bytes: &[u8]) -> &[u8] {
    let mut depth = 1_usize;
    while depth > 0 {
        let [byte, rest @ ..] = bytes else { break };
        bytes = rest;
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'\\' => bytes = bytes.get(1..).unwrap_or_default(),
            _ => {}
        }
    }
    bytes
}
