//! APPEND as a server reads it, piece by piece: what stands between the literals of a message or of several (RFC 3501 section 6.3.11,
//! MULTIAPPEND RFC 3502, CATENATE RFC 4469, UTF8 RFC 6855 section 4, REPLACE RFC 8508).
//!
//! How to drive it: give [`AppendText::read`] the text behind the mailbox, then the text behind each literal, each up to the next
//! literal's marker or the command's end. What comes of it is to be done in order; a literal is always the last. A text is read to its
//! end before anything of it is given, so what is malformed is never begun.

use std::borrow::Cow;

use super::append_options::AppendOptions;
use super::cursor::{Cursor, ParseError};

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendStep<'a> {
    /// A message begins, with these flags and this date.
    Begin(AppendOptions),
    /// The literal that follows is (the next part of) it.
    Literal,
    /// The same, if that is a literal8: it has headers in UTF-8.
    Utf8Literal,
    /// What this URL names is its next part.
    Url(Cow<'a, [u8]>),
    /// The literal that follows is a URL, which names its next part.
    UrlLiteral,
    /// The message is complete.
    End,
}

/// What is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// A message.
    Message,
    /// Behind a message that is one literal.
    AfterLiteral,
    /// A part of CATENATE.
    Part,
    /// What follows such a part.
    AfterPart,
    /// The end of a UTF8 that is the message, or a part of it.
    Utf8End {
        /// It is a part.
        part: bool,
    },
    /// What follows a message: the end, or another one.
    Over,
}

use Expect::{AfterLiteral, AfterPart, Message, Over, Part, Utf8End};

/// Reads the texts of one APPEND.
#[derive(Debug)]
pub struct AppendText {
    expect: Expect,
}

impl Default for AppendText {
    fn default() -> Self {
        Self { expect: Message }
    }
}

impl AppendText {
    /// Reads the next text; `literal`: one follows, otherwise the command ends.
    ///
    /// # Errors
    /// If it isn't what the RFCs have.
    pub fn read<'a>(
        &mut self,
        text: &'a [u8],
        literal: bool,
    ) -> Result<Vec<AppendStep<'a>>, ParseError> {
        let mut reading = Reading {
            text: Cursor::new(text),
            literal,
            steps: Vec::new(),
        };
        while !reading.is_over(self.expect) {
            self.expect = reading.next(self.expect)?;
            if reading.is_at_literal() {
                break;
            }
        }
        Ok(reading.steps)
    }
}

/// One text, and what has been read of it.
struct Reading<'a> {
    text: Cursor<'a>,
    literal: bool,
    steps: Vec<AppendStep<'a>>,
}

impl Reading<'_> {
    /// The command ends here, as it may.
    fn is_over(&self, expect: Expect) -> bool {
        expect == Over && self.text.is_done() && !self.literal
    }

    /// The literal that follows is what was expected.
    fn is_at_literal(&self) -> bool {
        let last = self.steps.last();
        matches!(
            last,
            Some(AppendStep::Literal | AppendStep::Utf8Literal | AppendStep::UrlLiteral)
        )
    }

    fn next(&mut self, expect: Expect) -> Result<Expect, ParseError> {
        match expect {
            Message => self.message(),
            Part => self.part(),
            Utf8End { .. } if !self.text.accept(b')') => Err(ParseError::Parenthesis),
            Utf8End { part: true } => Ok(AfterPart),
            AfterPart if !self.text.accept(b')') => {
                self.text.sp()?;
                Ok(Part)
            }
            AfterLiteral | AfterPart | Utf8End { part: false } => {
                self.steps.push(AppendStep::End);
                Ok(Over)
            }
            Over => {
                self.text.sp()?;
                Ok(Message)
            }
        }
    }

    fn message(&mut self) -> Result<Expect, ParseError> {
        let options = AppendOptions::read(&mut self.text)?;
        self.steps.push(AppendStep::Begin(options));
        if self.literal && self.text.is_done() {
            self.steps.push(AppendStep::Literal);
            return Ok(AfterLiteral);
        }
        let expected = ParseError::Expected("flags, a date and time, a message, UTF8 or CATENATE");
        let word = self.text.atom().map_err(|_| expected)?;
        if word.eq_ignore_ascii_case(b"UTF8") {
            return self.utf8(false);
        }
        if !word.eq_ignore_ascii_case(b"CATENATE") {
            return Err(expected);
        }
        self.text.sp()?;
        if !self.text.accept(b'(') {
            return Err(ParseError::Expected("a message's parts in parentheses"));
        }
        Ok(Part)
    }

    /// Behind UTF8: `(` and a literal8.
    fn utf8(&mut self, part: bool) -> Result<Expect, ParseError> {
        self.text.sp()?;
        if !(self.text.accept(b'(') && self.literal && self.text.is_done()) {
            return Err(ParseError::Expected("a literal8 in parentheses"));
        }
        self.steps.push(AppendStep::Utf8Literal);
        Ok(Utf8End { part })
    }

    fn part(&mut self) -> Result<Expect, ParseError> {
        let expected = ParseError::Expected("TEXT or UTF8 and a literal, or URL and a string");
        let word = self.text.atom().map_err(|_| expected)?;
        if word.eq_ignore_ascii_case(b"UTF8") {
            return self.utf8(true);
        }
        self.text.sp()?;
        let at_literal = self.literal && self.text.is_done();
        let step = match word.to_ascii_uppercase().as_slice() {
            b"TEXT" if at_literal => AppendStep::Literal,
            b"URL" if at_literal => AppendStep::UrlLiteral,
            b"URL" => AppendStep::Url(self.text.astring()?),
            _ => return Err(expected),
        };
        self.steps.push(step);
        Ok(AfterPart)
    }
}

#[cfg(test)]
mod tests {
    use super::super::flags::SEEN;
    use super::AppendStep::{Begin, End, Literal, Url, UrlLiteral, Utf8Literal};
    use super::*;

    /// What comes of texts with a literal between each and the next.
    fn read<'a>(texts: &[&'a str]) -> Result<Vec<AppendStep<'a>>, ParseError> {
        let mut reader = AppendText::default();
        let mut steps = Vec::new();
        for (at, text) in texts.iter().enumerate() {
            steps.extend(reader.read(text.as_bytes(), at + 1 < texts.len())?);
        }
        Ok(steps)
    }

    fn url(text: &str) -> AppendStep<'_> {
        Url(text.as_bytes().into())
    }

    fn plain<'a>() -> AppendStep<'a> {
        Begin(AppendOptions::default())
    }

    #[test]
    fn messages_and_their_parts_are_read() {
        let mut seen = AppendOptions::default();
        seen.flags.system = SEEN;
        let seen = || Begin(seen.clone());
        assert_eq!(read(&["", ""]), Ok(vec![plain(), Literal, End]));
        assert_eq!(
            read(&["(\\Seen) ", " ", ""]),
            Ok(vec![seen(), Literal, End, plain(), Literal, End])
        );
        // RFC 4469 section 3.
        let first = "(\\Seen) CATENATE (URL \"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER\" TEXT ";
        let last = " URL \"/Drafts;UIDVALIDITY=385759045/;UID=30\" TEXT ";
        assert_eq!(
            read(&[first, last, ")"]),
            Ok(vec![
                seen(),
                url("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER"),
                Literal,
                url("/Drafts;UIDVALIDITY=385759045/;UID=30"),
                Literal,
                End
            ])
        );
        // Without a literal at all; several of them; with plain messages between.
        assert_eq!(
            read(&["CATENATE (URL a URL b) (\\Seen) catenate (url \"c d\")"]),
            Ok(vec![
                plain(),
                url("a"),
                url("b"),
                End,
                seen(),
                url("c d"),
                End
            ])
        );
        assert_eq!(
            read(&["CATENATE (URL ", " text ", " URL x) ", " CATENATE (URL y)"]),
            Ok(vec![
                plain(),
                UrlLiteral,
                Literal,
                url("x"),
                End,
                plain(),
                Literal,
                End,
                plain(),
                url("y"),
                End
            ])
        );
    }

    #[test]
    fn utf8_is_a_message_or_a_part_of_one() {
        let seen = "(\\Seen) utf8 (";
        let mut options = AppendOptions::default();
        options.flags.system = SEEN;
        assert_eq!(
            read(&[seen, ") UTF8 (", ") ", ""]),
            Ok(vec![
                Begin(options),
                Utf8Literal,
                End,
                plain(),
                Utf8Literal,
                End,
                plain(),
                Literal,
                End
            ])
        );
        assert_eq!(
            read(&["CATENATE (UTF8 (", ") URL x UTF8 (", "))"]),
            Ok(vec![plain(), Utf8Literal, url("x"), Utf8Literal, End])
        );
    }

    #[test]
    fn nothing_else_is_taken() {
        let wrong: &[&[&str]] = &[
            &[""],
            &["(\\Seen)", ""],
            &["(\\Seen) "],
            &["x ", ""],
            &["UTF8 (", ""],
            &["UTF8 (", ") "],
            &["UTF8 (", "))"],
            &["UTF8 (", " )"],
            &["UTF8 (x", ")"],
            &["UTF8 ()"],
            &["UTF8 "],
            &["UTF8 ", ""],
            &["UTF8(", ")"],
            &["CATENATE (UTF8 (", ")"],
            &["CATENATE (UTF8 (", ") )"],
            &["CATENATE (UTF8 (", ")URL x)"],
            &["", " "],
            &["", "x"],
            &["", "", ""],
            &["", ")"],
            &["CATENATE ", ""],
            &["CATENATE (", ")"],
            &["CATENATE ()"],
            &["CATENATE (TEXT"],
            &["CATENATE (TEXT ", ""],
            &["CATENATE (TEXT  ", ")"],
            &["CATENATE (TEXT x)"],
            &["CATENATE (TEXT \"x\")"],
            &["CATENATE (URL a"],
            &["CATENATE (URL a ", ")"],
            &["CATENATE (URL a)", ""],
            &["CATENATE (URL a))"],
            &["CATENATE (URL a )"],
            &["CATENATE (URL  a)"],
            &["CATENATE (URL \"a)"],
            &["CATENATE (URL a) CATENATE"],
            &["CATENATE (TEXT ", " TEXT)"],
            &["XCATENATE (TEXT ", ")"],
        ];
        for texts in wrong {
            let read = read(texts);
            assert!(read.is_err(), "{texts:?}: {read:?}");
        }
    }

    #[test]
    fn a_text_is_read_however_many_parts_it_has() {
        let text = format!("CATENATE ({}URL x)", "URL x ".repeat(10_000));
        assert_eq!(read(&[&text]).map(|steps| steps.len()), Ok(10_003));
        let many = "CATENATE (URL x) ".repeat(10_000);
        assert_eq!(
            read(&[many.trim_end()]).map(|steps| steps.len()),
            Ok(30_000)
        );
    }
}
