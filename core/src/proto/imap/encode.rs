//! Strings for the wire: an atom, quoted, or a literal; never pasted into a line.
//!
//! To a client, literals are `{n}` and need no leave ([`astring`]). To a backend a literal may have
//! to wait for a continuation request, so a command is built as a [`Request`], which knows where.

use std::fmt;

use super::capability::Literals;
use super::chars;
use super::marker;

/// Longer strings are sent as literals.
const QUOTED_BYTES_MAX: usize = 1024;
/// What LITERAL- allows unasked (RFC 7888 section 5).
const LITERAL_MINUS_BYTES_MAX: u64 = 4096;

/// The string holds a NUL, which no form of string but a literal8 can carry: refuse the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HasNul;

impl fmt::Display for HasNul {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NUL in a string")
    }
}

impl std::error::Error for HasNul {}

/// Appends `value` to a response for a client: an atom, quoted, or `{n}` with the bytes.
///
/// # Errors
/// If `value` holds a NUL; nothing is appended then.
pub fn astring(out: &mut Vec<u8>, value: &[u8]) -> Result<(), HasNul> {
    match form(value)? {
        Form::Atom => out.extend_from_slice(value),
        Form::Quoted => quote(out, value),
        Form::Literal => literal(out, value),
    }
    Ok(())
}

/// Appends `value` as [`astring`] does, but never as an atom.
///
/// # Errors
/// If `value` holds a NUL; nothing is appended then.
pub fn string(out: &mut Vec<u8>, value: &[u8]) -> Result<(), HasNul> {
    match form(value)? {
        Form::Atom | Form::Quoted => quote(out, value),
        Form::Literal => literal(out, value),
    }
    Ok(())
}

/// Appends a value of any bytes: as [`string`] does, or as a literal8 (RFC 3516).
pub fn string8(out: &mut Vec<u8>, value: &[u8]) {
    if string(out, value).is_err() {
        out.push(b'~');
        literal(out, value);
    }
}

/// Appends `value` as [`astring`] does, to a client that takes UTF-8 in quoted strings (RFC 6855 section 3, RFC 9051
/// section 4.3).
///
/// # Errors
/// If `value` holds a NUL; nothing is appended then.
pub fn utf8_astring(out: &mut Vec<u8>, value: &[u8]) -> Result<(), HasNul> {
    let on_a_line = memchr::memchr3(0, b'\r', b'\n', value).is_none();
    if on_a_line && value.len() <= QUOTED_BYTES_MAX && std::str::from_utf8(value).is_ok() {
        match form(value)? {
            Form::Atom => out.extend_from_slice(value),
            Form::Quoted | Form::Literal => quote(out, value),
        }
        return Ok(());
    }
    astring(out, value)
}

/// Human-readable text of a status response: what can't stand on a line, or would be taken for a
/// code or a literal, is replaced by `?`.
pub fn text(out: &mut Vec<u8>, text: &[u8]) {
    let plain = |byte: &u8| matches!(*byte, b' '..=b'~') && *byte != b'{';
    let start = out.len();
    out.extend(
        text.iter()
            .map(|byte| if plain(byte) { *byte } else { b'?' }),
    );
    match out.get_mut(start) {
        Some(first) if *first == b'[' => *first = b'?',
        Some(_) => {}
        None => out.push(b'?'),
    }
}

fn literal(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(format!("{{{}}}\r\n", value.len()).as_bytes());
    out.extend_from_slice(value);
}

enum Form {
    Atom,
    Quoted,
    Literal,
}

/// The shortest form that carries `value`.
fn form(value: &[u8]) -> Result<Form, HasNul> {
    if memchr::memchr(0, value).is_some() {
        return Err(HasNul);
    }
    let fits = value.len() <= QUOTED_BYTES_MAX;
    let nil = value.eq_ignore_ascii_case(b"NIL");
    if fits && !value.is_empty() && !nil && value.iter().all(|byte| chars::is_astring(*byte)) {
        return Ok(Form::Atom);
    }
    let quotable = |byte: &u8| byte.is_ascii() && !matches!(byte, b'\r' | b'\n');
    Ok(if fits && value.iter().all(quotable) {
        Form::Quoted
    } else {
        Form::Literal
    })
}

fn quote(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// A command for a backend, and the places in it where a continuation request is waited for.
///
/// Send the first of [`Request::chunks`]; before each further one wait for `+`.
#[derive(Clone)]
pub struct Request {
    bytes: Vec<u8>,
    /// Ends of the chunks but the last.
    waits: Vec<usize>,
    literals: Literals,
}

/// Never the bytes: they may be a password.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("bytes", &self.bytes.len())
            .field("waits", &self.waits)
            .field("literals", &self.literals)
            .finish()
    }
}

impl Request {
    /// An empty command for a backend that takes literals so.
    #[must_use]
    pub fn new(literals: Literals) -> Self {
        Self {
            bytes: Vec::new(),
            waits: Vec::new(),
            literals,
        }
    }

    /// Appends protocol text: tag, verb, spaces, keywords; arguments that were checked to be on one
    /// line and have no literal. For all else there are the other methods.
    ///
    /// # Panics
    /// If a line would end within the command: rather no session than a second command.
    pub fn raw(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        let text = text.as_ref();
        assert!(
            memchr::memchr3(b'\r', b'\n', 0, text).is_none(),
            "raw() is for plain text"
        );
        self.bytes.extend_from_slice(text);
        self
    }

    /// Appends a string in the shortest form: a mailbox name, a pattern, an identifier.
    ///
    /// # Errors
    /// If `value` holds a NUL; the command is not to be sent then.
    pub fn astring(&mut self, value: &[u8]) -> Result<&mut Self, HasNul> {
        match form(value)? {
            Form::Atom => self.bytes.extend_from_slice(value),
            Form::Quoted => quote(&mut self.bytes, value),
            Form::Literal => {
                self.marker(value.len() as u64, false);
                self.bytes.extend_from_slice(value);
            }
        }
        Ok(self)
    }

    /// Appends `value` as [`Self::astring`] does, but never as an atom.
    ///
    /// # Errors
    /// If `value` holds a NUL; nothing is appended then.
    pub fn string(&mut self, value: &[u8]) -> Result<&mut Self, HasNul> {
        match form(value)? {
            Form::Atom | Form::Quoted => quote(&mut self.bytes, value),
            Form::Literal => return self.astring(value),
        }
        Ok(self)
    }

    /// Appends gathered arguments as a client sent them, literals included; only the literals'
    /// markers are rewritten to the form that the backend takes. What a framer wouldn't have let
    /// through (a line's end or a NUL outside of literals, a marker at the end) ends it: no second command comes of it.
    pub fn verbatim(&mut self, mut args: &[u8]) -> &mut Self {
        loop {
            let end = memchr::memchr3(b'\r', b'\n', 0, args).unwrap_or(args.len());
            let (line, rest) = args.split_at(end);
            let Some(marker) = marker::read(line) else {
                self.bytes.extend_from_slice(line);
                return self;
            };
            let Some(rest) = rest.strip_prefix(b"\r\n") else {
                self.bytes.extend_from_slice(&line[..end - b"}".len()]);
                return self;
            };
            self.bytes.extend_from_slice(&line[..marker.start]);
            let size = usize::try_from(marker.size)
                .unwrap_or(usize::MAX)
                .min(rest.len());
            let (value, rest) = rest.split_at(size);
            self.marker(size as u64, marker.binary);
            self.bytes.extend_from_slice(value);
            args = rest;
        }
    }

    /// Appends the marker of a literal whose bytes the caller sends after the last chunk. `true` if
    /// a continuation request is to be waited for before them.
    #[must_use]
    pub fn stream(&mut self, size: u64, binary: bool) -> bool {
        self.marker(size, binary);
        if self.waits.last() == Some(&self.bytes.len()) {
            self.waits.pop();
            return true;
        }
        false
    }

    /// Ends the command.
    pub fn end(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// What to send, in order; before each chunk but the first a continuation request is waited for.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.waits.iter().copied());
        let ends = self
            .waits
            .iter()
            .copied()
            .chain(std::iter::once(self.bytes.len()));
        starts.zip(ends).map(|(start, end)| &self.bytes[start..end])
    }

    /// All of it, where no continuation request is waited for.
    #[must_use]
    pub fn whole(&self) -> Option<&[u8]> {
        self.waits.is_empty().then_some(&self.bytes)
    }

    fn marker(&mut self, size: u64, binary: bool) {
        let unasked = match self.literals {
            Literals::Plus => true,
            Literals::Minus => size <= LITERAL_MINUS_BYTES_MAX,
            Literals::Sync => false,
        };
        let tilde = if binary { "~" } else { "" };
        let plus = if unasked { "+" } else { "" };
        self.bytes
            .extend_from_slice(format!("{tilde}{{{size}{plus}}}\r\n").as_bytes());
        if !unasked {
            self.waits.push(self.bytes.len());
        }
    }
}

#[cfg(test)]
mod tests;
