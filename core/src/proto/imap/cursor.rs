//! Reading a command's arguments, one after the other, from contiguous bytes.
//!
//! Literals lie in the bytes as they came (`{5}` CRLF and five bytes), so a string is borrowed
//! unless it was quoted with escapes. Everything is read once and without recursion. The errors are
//! the text of a BAD.

use std::borrow::Cow;
use std::fmt;

use super::chars;

/// Why arguments can't be read. `Display` is fit for a BAD's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// An argument is missing or of the wrong kind: what was expected.
    Expected(&'static str),
    /// A quoted string isn't closed.
    OpenQuote,
    /// A string holds a NUL.
    Nul,
    /// A quoted string holds a CR or LF.
    LineEnd,
    /// A literal is shorter than announced.
    ShortLiteral,
    /// A number is too large.
    Number,
    /// Parentheses don't match.
    Parenthesis,
    /// More arguments than the command takes.
    Extra,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expected(what) => write!(f, "Expected {what}"),
            Self::OpenQuote => f.write_str("Quoted string isn't closed"),
            Self::Nul => f.write_str("NUL in a string"),
            Self::LineEnd => f.write_str("CR or LF in a quoted string"),
            Self::ShortLiteral => f.write_str("Literal is incomplete"),
            Self::Number => f.write_str("Number too large"),
            Self::Parenthesis => f.write_str("Parentheses don't match"),
            Self::Extra => f.write_str("Extra arguments"),
        }
    }
}

impl std::error::Error for ParseError {}

type Parsed<T> = Result<T, ParseError>;

/// A place in a command's arguments. Copy it to look ahead.
#[derive(Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

/// Never the bytes: they may be a password.
impl fmt::Debug for Cursor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("left", &self.rest.len())
            .finish()
    }
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `bytes`: a command's arguments, without the CRLF that ends it.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What hasn't been read yet, as it came.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Nothing is left.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes `byte` if it comes next.
    pub fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.rest = &self.rest[usize::from(found)..];
        found
    }

    /// The one space between arguments.
    ///
    /// # Errors
    /// If there is none.
    pub fn sp(&mut self) -> Parsed<()> {
        if self.accept(b' ') {
            Ok(())
        } else {
            Err(ParseError::Expected("a space"))
        }
    }

    /// The end of the arguments.
    ///
    /// # Errors
    /// If there are more.
    pub fn end(&self) -> Parsed<()> {
        if self.is_done() {
            Ok(())
        } else {
            Err(ParseError::Extra)
        }
    }

    /// An atom: a keyword, a mechanism, an item.
    ///
    /// # Errors
    /// If there is none.
    pub fn atom(&mut self) -> Parsed<&'a [u8]> {
        self.run(chars::is_atom, "an atom")
    }

    /// A tag.
    ///
    /// # Errors
    /// If there is none.
    pub fn tag(&mut self) -> Parsed<&'a [u8]> {
        self.run(chars::is_tag, "a tag")
    }

    /// A 64-bit number.
    ///
    /// # Errors
    /// If there is none, or it is too large.
    pub fn number(&mut self) -> Parsed<u64> {
        let digits = self.run(|byte| byte.is_ascii_digit(), "a number")?;
        digits
            .iter()
            .try_fold(0_u64, |sum, digit| {
                sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
            })
            .ok_or(ParseError::Number)
    }

    /// A 32-bit number.
    ///
    /// # Errors
    /// If there is none, or it is too large.
    pub fn number32(&mut self) -> Parsed<u32> {
        u32::try_from(self.number()?).map_err(|_| ParseError::Number)
    }

    /// A modification sequence (RFC 7162 section 7, `mod-sequence-valzer`): 63 bits.
    ///
    /// # Errors
    /// If there is none, or it is too large.
    pub fn modseq(&mut self) -> Parsed<u64> {
        let number = self.number()?;
        if i64::try_from(number).is_err() {
            return Err(ParseError::Number);
        }
        Ok(number)
    }

    /// A sequence set, `$` (RFC 5182) among them, as it came: `1:*,7`. Its characters are checked.
    ///
    /// # Errors
    /// If there is none.
    pub fn sequence_set(&mut self) -> Parsed<&'a [u8]> {
        let set = |byte: u8| byte.is_ascii_digit() || b":,*$".contains(&byte);
        self.run(set, "a sequence set")
    }

    /// A string in any form: a mailbox name, a user, a password.
    ///
    /// # Errors
    /// If there is none, or it is malformed or holds a NUL.
    pub fn astring(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => self.run(chars::is_astring, "a string").map(Cow::Borrowed),
        }
    }

    /// A LIST pattern: as an astring, with wildcards.
    ///
    /// # Errors
    /// As for [`Self::astring`].
    pub fn list_mailbox(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => self
                .run(chars::is_list, "a mailbox pattern")
                .map(Cow::Borrowed),
        }
    }

    /// A quoted string or a literal.
    ///
    /// # Errors
    /// If there is none, or it is malformed or holds a NUL.
    pub fn string(&mut self) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            _ => Err(ParseError::Expected("a quoted string or a literal")),
        }
    }

    /// A string, or `None` for NIL.
    ///
    /// # Errors
    /// As for [`Self::string`].
    pub fn nstring(&mut self) -> Parsed<Option<Cow<'a, [u8]>>> {
        let mut ahead = *self;
        match ahead.atom() {
            Ok(word) if word.eq_ignore_ascii_case(b"NIL") => {
                *self = ahead;
                Ok(None)
            }
            _ => self.string().map(Some),
        }
    }

    /// A string, a literal8 (RFC 3516), which holds any bytes, or `None` for NIL.
    ///
    /// # Errors
    /// As for [`Self::string`].
    pub fn nstring8(&mut self) -> Parsed<Option<Cow<'a, [u8]>>> {
        let mut ahead = *self;
        if !(ahead.accept(b'~') && ahead.peek() == Some(b'{')) {
            return self.nstring();
        }
        let value = ahead.take_literal()?;
        *self = ahead;
        Ok(Some(Cow::Borrowed(value)))
    }

    /// A parenthesized list as it came, with its parentheses, and strings, literals and lists in it.
    ///
    /// # Errors
    /// If there is none, or it isn't closed.
    pub fn paren(&mut self) -> Parsed<&'a [u8]> {
        if self.peek() != Some(b'(') {
            return Err(ParseError::Expected("a parenthesized list"));
        }
        let whole = self.rest;
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                None => return Err(ParseError::Parenthesis),
                Some(b'"') => drop(self.quoted()?),
                Some(b'{') => self.skip_literal()?,
                Some(byte) => {
                    self.rest = &self.rest[1..];
                    match byte {
                        b'(' => depth += 1,
                        b')' => depth -= 1,
                        _ => {}
                    }
                }
            }
            if depth == 0 {
                return Ok(&whole[..whole.len() - self.rest.len()]);
            }
        }
    }

    /// What comes next of characters that `is` takes: one at least.
    pub(super) fn run(&mut self, is: impl Fn(u8) -> bool, what: &'static str) -> Parsed<&'a [u8]> {
        let len = self.rest.iter().take_while(|byte| is(**byte)).count();
        if len == 0 {
            return Err(ParseError::Expected(what));
        }
        let (word, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(word)
    }

    fn quoted(&mut self) -> Parsed<Cow<'a, [u8]>> {
        let body = &self.rest[1..];
        let mut from = 0;
        let mut unescaped: Option<Vec<u8>> = None;
        loop {
            let at = memchr::memchr2(b'"', b'\\', &body[from..]).ok_or(ParseError::OpenQuote)?;
            let plain = &body[from..from + at];
            let stop = from + at;
            let closed = body[stop] == b'"';
            if closed && unescaped.is_none() {
                self.rest = &body[stop + 1..];
                return in_line(plain).map(Cow::Borrowed);
            }
            let value = unescaped.get_or_insert_with(Vec::new);
            value.extend_from_slice(in_line(plain)?);
            if closed {
                self.rest = &body[stop + 1..];
                return Ok(Cow::Owned(unescaped.unwrap_or_default()));
            }
            match body.get(stop + 1) {
                Some(byte @ (b'"' | b'\\')) => value.push(*byte),
                Some(_) => return Err(ParseError::Expected("\\\" or \\\\ in a quoted string")),
                None => return Err(ParseError::OpenQuote),
            }
            from = stop + 2;
        }
    }

    fn literal(&mut self) -> Parsed<Cow<'a, [u8]>> {
        let value = self.take_literal()?;
        match memchr::memchr(0, value) {
            Some(_) => Err(ParseError::Nul),
            None => Ok(Cow::Borrowed(value)),
        }
    }

    /// Within a list a brace may also be text.
    fn skip_literal(&mut self) -> Parsed<()> {
        let mut ahead = *self;
        match ahead.take_literal() {
            Ok(_) => *self = ahead,
            Err(ParseError::ShortLiteral) => return Err(ParseError::ShortLiteral),
            Err(_) => self.rest = &self.rest[1..],
        }
        Ok(())
    }

    fn take_literal(&mut self) -> Parsed<&'a [u8]> {
        let mut ahead = Self {
            rest: &self.rest[1..],
        };
        let malformed = ParseError::Expected("a literal");
        let size = ahead.number().map_err(|_| malformed)?;
        ahead.accept(b'+');
        let body = ahead.rest.strip_prefix(b"}\r\n").ok_or(malformed)?;
        let size = usize::try_from(size).map_err(|_| ParseError::ShortLiteral)?;
        let value = body.get(..size).ok_or(ParseError::ShortLiteral)?;
        self.rest = &body[size..];
        Ok(value)
    }
}

/// What may stand between quotes: anything that stays on a line. 8-bit bytes are the caller's matter.
fn in_line(bytes: &[u8]) -> Parsed<&[u8]> {
    match memchr::memchr3(0, b'\r', b'\n', bytes) {
        None => Ok(bytes),
        Some(at) if bytes[at] == 0 => Err(ParseError::Nul),
        Some(_) => Err(ParseError::LineEnd),
    }
}
