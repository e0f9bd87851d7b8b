//! FETCH: what a client asks of messages (RFC 3501 section 6.4.5; CHANGEDSINCE and VANISHED: RFC 7162;
//! EMAILID and THREADID: RFC 8474; SAVEDATE: RFC 8514; BINARY: RFC 3516; PREVIEW: RFC 8970).
//!
//! An item that is asked for twice is given once, and there is a limit to items: one command can't
//! ask for a message a hundred thousand times.

use std::collections::BTreeSet;

use super::cursor::{Cursor, ParseError};
use super::section::{BinarySection, Section, numbers, write_numbers};
use super::sequence::SequenceSet;

/// More items aren't taken.
const ITEMS_MAX: usize = 1024;

/// A FETCH's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchCommand {
    /// Which messages.
    pub set: SequenceSet,
    /// What of them, in the client's order. MODSEQ is among it where CHANGEDSINCE asks for it; UID
    /// isn't where only `UID FETCH` does.
    pub items: Vec<FetchItem>,
    /// Only messages that have changed since.
    pub changed_since: Option<u64>,
    /// And those that are gone since then.
    pub vanished: bool,
}

/// What can be asked of a message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FetchItem {
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822.SIZE`
    Rfc822Size,
    /// `ENVELOPE`
    Envelope,
    /// `BODY`
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `UID`
    Uid,
    /// `MODSEQ`
    ModSeq,
    /// `EMAILID`
    EmailId,
    /// `THREADID`
    ThreadId,
    /// `SAVEDATE`
    SaveDate,
    /// `PREVIEW`, with or without LAZY.
    Preview,
    /// `BINARY[…]`, `BINARY.PEEK[…]`
    Binary(BinarySection),
    /// `BINARY.SIZE[…]`: the numbers of the part.
    BinarySize(Vec<u32>),
    /// Bytes: `BODY[…]`, `RFC822` and what else means a section.
    Section(Section),
}

use FetchItem as Item;

/// Items that are a word.
const WORDS: [(&str, Item); 12] = [
    ("FLAGS", Item::Flags),
    ("INTERNALDATE", Item::InternalDate),
    ("RFC822.SIZE", Item::Rfc822Size),
    ("ENVELOPE", Item::Envelope),
    ("BODY", Item::Body),
    ("BODYSTRUCTURE", Item::BodyStructure),
    ("UID", Item::Uid),
    ("MODSEQ", Item::ModSeq),
    ("EMAILID", Item::EmailId),
    ("THREADID", Item::ThreadId),
    ("SAVEDATE", Item::SaveDate),
    ("PREVIEW", Item::Preview),
];

/// Words that stand for several items, alone.
const MACROS: [(&str, &[Item]); 3] = [
    ("FAST", &[Item::Flags, Item::InternalDate, Item::Rfc822Size]),
    (
        "ALL",
        &[
            Item::Flags,
            Item::InternalDate,
            Item::Rfc822Size,
            Item::Envelope,
        ],
    ),
    (
        "FULL",
        &[
            Item::Flags,
            Item::InternalDate,
            Item::Rfc822Size,
            Item::Envelope,
            Item::Body,
        ],
    ),
];

impl FetchCommand {
    /// Reads what follows the command's name, of `UID FETCH` if `uid` says so.
    ///
    /// # Errors
    /// Where it isn't what the RFCs have; where there are too many items.
    pub fn parse(mut args: Cursor<'_>, uid: bool) -> Result<Self, ParseError> {
        args.sp()?;
        let set = SequenceSet::read(&mut args)?;
        args.sp()?;
        let mut fetch = Self {
            set,
            items: items(&mut args)?,
            changed_since: None,
            vanished: false,
        };
        if !args.is_done() {
            args.sp()?;
            fetch.modifiers(&mut args)?;
        }
        args.end()?;
        // RFC 7162 section 3.2.6.
        if fetch.vanished && !(uid && fetch.changed_since.is_some()) {
            return Err(ParseError::Expected(
                "VANISHED with UID FETCH and CHANGEDSINCE",
            ));
        }
        // RFC 7162 section 3.1.4.1.
        if fetch.changed_since.is_some() {
            fetch.items.push(FetchItem::ModSeq);
        }
        let mut seen = BTreeSet::new();
        fetch.items.retain(|item| seen.insert(item.clone()));
        Ok(fetch)
    }

    fn modifiers(&mut self, args: &mut Cursor<'_>) -> Result<(), ParseError> {
        if !args.accept(b'(') {
            return Err(ParseError::Expected("FETCH modifiers in parentheses"));
        }
        loop {
            let name = args.atom()?;
            if name.eq_ignore_ascii_case(b"CHANGEDSINCE") && self.changed_since.is_none() {
                args.sp()?;
                self.changed_since = Some(args.modseq()?);
            } else if name.eq_ignore_ascii_case(b"VANISHED") && !self.vanished {
                self.vanished = true;
            } else {
                return Err(ParseError::Expected("a FETCH modifier that is known, once"));
            }
            if args.accept(b')') {
                return Ok(());
            }
            args.sp()?;
        }
    }
}

impl FetchItem {
    /// Appends the item's name as an answer has it: `FLAGS`, `BODY[HEADER.FIELDS (From)]<0>`.
    pub fn write_name(&self, out: &mut Vec<u8>) {
        match self {
            Self::Section(section) => return section.write_name(out),
            Self::Binary(section) => return section.write_name(out),
            Self::BinarySize(path) => {
                out.extend_from_slice(b"BINARY.SIZE");
                return write_numbers(out, path);
            }
            _ => {}
        }
        let word = WORDS.iter().find(|(_, item)| item == self);
        out.extend_from_slice(word.map_or("", |(word, _)| *word).as_bytes());
    }

    /// Asking for it sets \Seen.
    #[must_use]
    pub fn sets_seen(&self) -> bool {
        match self {
            Self::Section(section) => !section.peek,
            Self::Binary(section) => !section.peek,
            _ => false,
        }
    }

    /// Reads the item that comes next.
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let word = word(cursor)?;
        if let Some(section) = Section::read(word, cursor)? {
            return Ok(Self::Section(section));
        }
        match word.to_ascii_uppercase().as_slice() {
            b"BINARY" => return Ok(Self::Binary(BinarySection::read(cursor, false)?)),
            b"BINARY.PEEK" => return Ok(Self::Binary(BinarySection::read(cursor, true)?)),
            b"BINARY.SIZE" => return Ok(Self::BinarySize(numbers(cursor)?)),
            _ => {}
        }
        let named = |known: &str| known.as_bytes().eq_ignore_ascii_case(word);
        let found = WORDS.iter().find(|(known, _)| named(known));
        let (_, item) = found.ok_or(ParseError::Expected("a FETCH item that is known"))?;
        if *item == Self::Preview {
            lazy(cursor);
        }
        Ok(item.clone())
    }
}

/// A macro, an item, or items in parentheses.
fn items(args: &mut Cursor<'_>) -> Result<Vec<FetchItem>, ParseError> {
    if !args.accept(b'(') {
        let mut ahead = *args;
        let word = word(&mut ahead)?;
        let named = |known: &str| known.as_bytes().eq_ignore_ascii_case(word);
        if let Some((_, items)) = MACROS.iter().find(|(known, _)| named(known)) {
            *args = ahead;
            return Ok(items.to_vec());
        }
        return Ok(vec![FetchItem::read(args)?]);
    }
    let mut items = Vec::new();
    loop {
        items.push(FetchItem::read(args)?);
        if items.len() > ITEMS_MAX {
            return Err(ParseError::Expected("at most 1024 FETCH items"));
        }
        if args.accept(b')') {
            return Ok(items);
        }
        args.sp()?;
    }
}

/// What may follow PREVIEW (RFC 8970 section 4): `(LAZY)`. Anything else is none of the item's.
fn lazy(cursor: &mut Cursor<'_>) {
    let mut ahead = *cursor;
    if ahead.accept(b' ') && ahead.accept(b'(') {
        let lazy = ahead
            .atom()
            .is_ok_and(|word| word.eq_ignore_ascii_case(b"LAZY"));
        if lazy && ahead.accept(b')') {
            *cursor = ahead;
        }
    }
}

/// An item's name up to a section: brackets are atom characters, too.
fn word<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], ParseError> {
    let is = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
    cursor.run(is, "a FETCH item")
}

#[cfg(test)]
mod tests;
