//! Which bytes of a message a FETCH asks for (RFC 3501 section 6.4.5 and section 9, `section`), and
//! what the answer calls them.

use super::cursor::{Cursor, ParseError};
use super::encode;

/// Deeper parts and more header fields aren't taken.
const PATH_MAX: usize = 128;
const HEADER_NAMES_MAX: usize = 256;

/// A section of a message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Section {
    /// The numbers of the part; none: the message itself.
    pub path: Vec<u32>,
    /// What of the part.
    pub text: SectionText,
    /// It doesn't set \Seen.
    pub peek: bool,
    /// Only from this byte on, and so many of them at most.
    pub partial: Option<(u32, u32)>,
    /// How it was asked for, and is answered.
    pub form: SectionForm,
}

/// What of a part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SectionText {
    /// All of it, but for its own MIME header.
    All,
    /// `HEADER`
    Header,
    /// `HEADER.FIELDS` and `HEADER.FIELDS.NOT`
    HeaderFields {
        /// The fields' names as they came, one at least.
        names: Vec<Vec<u8>>,
        /// Those that aren't named.
        not: bool,
    },
    /// `TEXT`
    Text,
    /// `MIME`
    Mime,
}

/// How a section is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SectionForm {
    /// `BODY[…]`, `BODY.PEEK[…]`
    Body,
    /// `RFC822`: all of the message.
    Rfc822,
    /// `RFC822.HEADER`: as `BODY.PEEK[HEADER]`.
    Rfc822Header,
    /// `RFC822.TEXT`: as `BODY[TEXT]`.
    Rfc822Text,
}

impl Section {
    /// Reads what follows `word`, an item's name that has been read; `None` if it is no section.
    pub(super) fn read(word: &[u8], cursor: &mut Cursor<'_>) -> Result<Option<Self>, ParseError> {
        let whole = |form, text, peek| Self {
            path: Vec::new(),
            text,
            peek,
            partial: None,
            form,
        };
        let section = match word.to_ascii_uppercase().as_slice() {
            b"RFC822" => whole(SectionForm::Rfc822, SectionText::All, false),
            // No RFC has it; a Cyrus frontend copies from one backend to another by it.
            b"RFC822.PEEK" => whole(SectionForm::Rfc822, SectionText::All, true),
            b"RFC822.HEADER" => whole(SectionForm::Rfc822Header, SectionText::Header, true),
            b"RFC822.TEXT" => whole(SectionForm::Rfc822Text, SectionText::Text, false),
            b"BODY" if cursor.peek() == Some(b'[') => Self::body(cursor, false)?,
            b"BODY.PEEK" => Self::body(cursor, true)?,
            _ => return Ok(None),
        };
        Ok(Some(section))
    }

    /// At the bracket.
    fn body(cursor: &mut Cursor<'_>, peek: bool) -> Result<Self, ParseError> {
        if !cursor.accept(b'[') {
            return Err(ParseError::Expected("a section in brackets"));
        }
        let path = path(cursor)?;
        let text = if cursor.peek() == Some(b']') {
            SectionText::All
        } else {
            text(cursor, !path.is_empty())?
        };
        if !cursor.accept(b']') {
            return Err(ParseError::Expected("the end of a section"));
        }
        let partial = if cursor.accept(b'<') {
            Some(partial(cursor)?)
        } else {
            None
        };
        Ok(Self {
            path,
            text,
            peek,
            partial,
            form: SectionForm::Body,
        })
    }

    /// Reads all of `text` as a URL has it (RFC 5092): what else stands between the brackets.
    pub(super) fn in_url(text: &[u8], partial: Option<(u32, u32)>) -> Result<Self, ParseError> {
        let text = [b"[", text, b"]"].concat();
        let mut cursor = Cursor::new(&text);
        let section = Self::body(&mut cursor, true)?;
        cursor.end()?;
        Ok(Self { partial, ..section })
    }

    /// Appends the name that the answer has: `BODY[1.MIME]<0>`. A field's name with a NUL in it, which
    /// none that was read has, is left out.
    pub fn write_name(&self, out: &mut Vec<u8>) {
        let rfc822: &[u8] = match self.form {
            SectionForm::Rfc822 => b"RFC822",
            SectionForm::Rfc822Header => b"RFC822.HEADER",
            SectionForm::Rfc822Text => b"RFC822.TEXT",
            SectionForm::Body => return self.write_body(out),
        };
        out.extend_from_slice(rfc822);
    }

    fn write_body(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"BODY[");
        for (at, number) in self.path.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            out.extend_from_slice(format!("{dot}{number}").as_bytes());
        }
        if !self.path.is_empty() && self.text != SectionText::All {
            out.push(b'.');
        }
        self.text.write(out);
        out.push(b']');
        if let Some((offset, _)) = self.partial {
            out.extend_from_slice(format!("<{offset}>").as_bytes());
        }
    }
}

impl SectionText {
    fn write(&self, out: &mut Vec<u8>) {
        let word: &[u8] = match self {
            Self::All => b"",
            Self::Header => b"HEADER",
            Self::HeaderFields { not: false, .. } => b"HEADER.FIELDS (",
            Self::HeaderFields { not: true, .. } => b"HEADER.FIELDS.NOT (",
            Self::Text => b"TEXT",
            Self::Mime => b"MIME",
        };
        out.extend_from_slice(word);
        let Self::HeaderFields { names, .. } = self else {
            return;
        };
        let start = out.len();
        for name in names {
            let end = out.len();
            if end > start {
                out.push(b' ');
            }
            if encode::astring(out, name).is_err() {
                out.truncate(end);
            }
        }
        out.push(b')');
    }
}

/// A part whose transfer encoding is undone (RFC 3516 section 4.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BinarySection {
    /// The numbers of the part; none: the message itself.
    pub path: Vec<u32>,
    /// It doesn't set \Seen.
    pub peek: bool,
    /// Only from this byte on, and so many of them at most: of what has been decoded.
    pub partial: Option<(u32, u32)>,
}

impl BinarySection {
    /// Reads what follows the name of a `BINARY` item, at the bracket.
    pub(super) fn read(cursor: &mut Cursor<'_>, peek: bool) -> Result<Self, ParseError> {
        let path = numbers(cursor)?;
        let partial = if cursor.accept(b'<') {
            Some(partial(cursor)?)
        } else {
            None
        };
        Ok(Self {
            path,
            peek,
            partial,
        })
    }

    /// Appends the name that the answer has: `BINARY[1.2]<0>`.
    pub(super) fn write_name(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"BINARY");
        write_numbers(out, &self.path);
        if let Some((offset, _)) = self.partial {
            out.extend_from_slice(format!("<{offset}>").as_bytes());
        }
    }
}

/// A part's numbers in brackets, or none.
pub(super) fn numbers(cursor: &mut Cursor<'_>) -> Result<Vec<u32>, ParseError> {
    if !cursor.accept(b'[') {
        return Err(ParseError::Expected("a part in brackets"));
    }
    let path = path(cursor)?;
    if !cursor.accept(b']') {
        return Err(ParseError::Expected("a part's numbers and nothing else"));
    }
    Ok(path)
}

/// Appends them.
pub(super) fn write_numbers(out: &mut Vec<u8>, path: &[u32]) {
    let path: Vec<String> = path.iter().map(u32::to_string).collect();
    out.extend_from_slice(format!("[{}]", path.join(".")).as_bytes());
}

/// Numbers with dots between them, and the dot before what follows.
fn path(cursor: &mut Cursor<'_>) -> Result<Vec<u32>, ParseError> {
    let mut path = Vec::new();
    while cursor.peek().is_some_and(|byte| byte.is_ascii_digit()) {
        match cursor.number32()? {
            0 => return Err(ParseError::Expected("a part's number that isn't 0")),
            number => path.push(number),
        }
        if path.len() > PATH_MAX {
            return Err(ParseError::Expected("a part that isn't so deep"));
        }
        if cursor.peek() == Some(b']') {
            break;
        }
        if !cursor.accept(b'.') || cursor.peek() == Some(b']') {
            return Err(ParseError::Expected("a dot between a part's numbers"));
        }
    }
    Ok(path)
}

fn text(cursor: &mut Cursor<'_>, of_part: bool) -> Result<SectionText, ParseError> {
    let is = |byte: u8| byte.is_ascii_alphabetic() || byte == b'.';
    let word = cursor.run(is, "a section's name")?.to_ascii_uppercase();
    Ok(match word.as_slice() {
        b"HEADER" => SectionText::Header,
        b"TEXT" => SectionText::Text,
        b"MIME" if of_part => SectionText::Mime,
        b"HEADER.FIELDS" => fields(cursor, false)?,
        b"HEADER.FIELDS.NOT" => fields(cursor, true)?,
        _ => return Err(ParseError::Expected("a section that is known")),
    })
}

fn fields(cursor: &mut Cursor<'_>, not: bool) -> Result<SectionText, ParseError> {
    cursor.sp()?;
    if !cursor.accept(b'(') {
        return Err(ParseError::Expected("header fields in parentheses"));
    }
    let mut names = Vec::new();
    loop {
        names.push(cursor.astring()?.into_owned());
        if names.len() > HEADER_NAMES_MAX {
            return Err(ParseError::Expected("at most 256 header fields"));
        }
        if cursor.accept(b')') {
            return Ok(SectionText::HeaderFields { names, not });
        }
        cursor.sp()?;
    }
}

/// Behind `<`: `0.2048>`.
fn partial(cursor: &mut Cursor<'_>) -> Result<(u32, u32), ParseError> {
    let expected = ParseError::Expected("an offset and a length that isn't 0, such as <0.2048>");
    let offset = cursor.number32()?;
    if !cursor.accept(b'.') {
        return Err(expected);
    }
    let length = cursor.number32()?;
    if length == 0 || !cursor.accept(b'>') {
        return Err(expected);
    }
    Ok((offset, length))
}
