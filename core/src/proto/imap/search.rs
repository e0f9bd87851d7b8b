//! SEARCH: what a client looks for (RFC 3501 section 6.4.4). RETURN: RFC 4731, SAVE and `$`: RFC 5182,
//! OLDER and YOUNGER: RFC 5032, MODSEQ: RFC 7162, EMAILID and THREADID: RFC 8474, SAVEDBEFORE and its
//! kin: RFC 8514.
//!
//! The keys are a tree. It is read with recursion, and dropped so: parentheses and first operands of OR are as deep as
//! [`DEPTH_MAX`] at most. NOT after NOT, and OR as the second operand of OR, take no depth, however long the chain.

mod keys;

use std::fmt;

use super::cursor::{Cursor, ParseError};
use super::date::Day;
use super::sequence::SequenceSet;

pub(super) use keys::all_of;

/// Parentheses and ORs in each other, and no more.
const DEPTH_MAX: usize = 100;

/// A SEARCH's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchCommand {
    /// What the strings are in, if the client says so.
    pub charset: Option<Charset>,
    /// `RETURN (…)`: the answer is an ESEARCH.
    pub returns: Option<SearchReturns>,
    /// Which messages.
    pub key: SearchKey,
}

/// The charsets that are known: one is part of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// `US-ASCII`
    UsAscii,
    /// `UTF-8`
    Utf8,
}

/// Result options (RFC 4731 section 3.1); ALL where the client gives none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchReturns {
    /// MIN: the lowest number.
    pub min: bool,
    /// MAX: the highest one.
    pub max: bool,
    /// ALL: every number.
    pub all: bool,
    /// COUNT: how many there are.
    pub count: bool,
    /// SAVE: the result becomes `$`.
    pub save: bool,
}

impl SearchReturns {
    /// SAVE and nothing else: there is no ESEARCH (RFC 5182 section 2.1).
    #[must_use]
    pub fn saves_only(self) -> bool {
        self.save && !(self.min || self.max || self.all || self.count)
    }
}

/// Which messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchKey {
    /// `ALL`
    All,
    /// Every one of these holds; NEW is RECENT and UNSEEN.
    And(Vec<Self>),
    /// `OR`: one of these holds.
    Or(Vec<Self>),
    /// `NOT`
    Not(Box<Self>),
    /// Message numbers; or `$`, which means messages whatever they are counted by.
    Numbers(SequenceSet),
    /// `UID`
    Uids(SequenceSet),
    /// A system flag: `SEEN`, `UNSEEN` and so on.
    System {
        /// Its bit, as in [`super::SYSTEM_FLAGS`].
        bit: u8,
        /// Whether the message is to have it.
        set: bool,
    },
    /// `KEYWORD`, `UNKEYWORD`
    Keyword {
        /// The keyword.
        name: String,
        /// Whether the message is to have it.
        set: bool,
    },
    /// `RECENT`; `OLD` is its contrary.
    Recent(bool),
    /// A day.
    Date {
        /// Of what.
        of: DateOf,
        /// Where it lies.
        when: When,
        /// The day that is named.
        day: Day,
    },
    /// `SAVEDATESUPPORTED`
    SaveDateSupported,
    /// `LARGER`: than so many bytes.
    Larger(u64),
    /// `SMALLER`: than so many bytes.
    Smaller(u64),
    /// `OLDER`: so many seconds, or more.
    Older(u32),
    /// `YOUNGER`: so many seconds, or less.
    Younger(u32),
    /// `MODSEQ`: this one, or a higher one. An entry's name is passed over, as flags have no modseqs of their own.
    ModSeq(u64),
    /// `EMAILID`
    EmailId(Vec<u8>),
    /// `THREADID`
    ThreadId(Vec<u8>),
    /// `HEADER`, and BCC, CC, FROM, SUBJECT and TO, which are fields, too.
    Header {
        /// The field's name.
        name: Vec<u8>,
        /// What its text has in it; an empty one: the field is there.
        value: Vec<u8>,
    },
    /// `BODY`
    Body(Vec<u8>),
    /// `TEXT`
    Text(Vec<u8>),
}

impl SearchKey {
    /// MODSEQ is among the keys: the answer has one, too (RFC 7162 section 3.1.5).
    #[must_use]
    pub fn has_modseq(&self) -> bool {
        match self {
            Self::ModSeq(_) => true,
            Self::And(keys) | Self::Or(keys) => keys.iter().any(Self::has_modseq),
            Self::Not(key) => key.has_modseq(),
            _ => false,
        }
    }
}

/// What is dated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOf {
    /// INTERNALDATE: `BEFORE`, `ON`, `SINCE`.
    Internal,
    /// The Date: field: `SENTBEFORE` …
    Sent,
    /// When the message came into its mailbox: `SAVEDBEFORE` …
    Saved,
}

/// Where a day lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Earlier.
    Before,
    /// The same day.
    On,
    /// The same day or later.
    Since,
}

impl When {
    /// Whether `day` lies so to the day that is `named`.
    #[must_use]
    pub fn holds(self, day: Day, named: Day) -> bool {
        match self {
            Self::Before => day < named,
            Self::On => day == named,
            Self::Since => day >= named,
        }
    }
}

/// Why a SEARCH can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchError {
    /// BAD
    Parse(ParseError),
    /// `NO [BADCHARSET (US-ASCII UTF-8)]`
    Charset {
        /// With SAVE: `$` becomes empty.
        saves: bool,
    },
}

impl From<ParseError> for SearchError {
    fn from(error: ParseError) -> Self {
        Self::Parse(error)
    }
}

impl fmt::Display for SearchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(error) => error.fmt(f),
            Self::Charset { .. } => f.write_str("Charset isn't known"),
        }
    }
}

impl std::error::Error for SearchError {}

impl SearchCommand {
    /// Reads what follows the command's name.
    ///
    /// # Errors
    /// Where it isn't what the RFCs have, or strings are in an unknown charset.
    pub fn parse(mut args: Cursor<'_>) -> Result<Self, SearchError> {
        args.sp()?;
        let returns = if word(&mut args, b"RETURN") {
            Some(returns(&mut args)?)
        } else {
            None
        };
        let charset = if word(&mut args, b"CHARSET") {
            let known = charset(&mut args)?;
            let saves = returns.is_some_and(|returns: SearchReturns| returns.save);
            Some(known.ok_or(SearchError::Charset { saves })?)
        } else {
            None
        };
        let key = all_of(&mut args, 0)?;
        args.end()?;
        Ok(Self {
            charset,
            returns,
            key,
        })
    }
}

/// Takes `name` and the space behind it if they come next.
pub(super) fn word(args: &mut Cursor<'_>, name: &[u8]) -> bool {
    let mut ahead = *args;
    let found = ahead
        .atom()
        .is_ok_and(|word| word.eq_ignore_ascii_case(name))
        && ahead.accept(b' ');
    if found {
        *args = ahead;
    }
    found
}

/// `(MIN COUNT) `
pub(super) fn returns(args: &mut Cursor<'_>) -> Result<SearchReturns, ParseError> {
    if !args.accept(b'(') {
        return Err(ParseError::Expected("result options in parentheses"));
    }
    let mut returns = SearchReturns::default();
    let mut empty = true;
    while !args.accept(b')') {
        if !empty {
            args.sp()?;
        }
        empty = false;
        let option = match args.atom()?.to_ascii_uppercase().as_slice() {
            b"MIN" => &mut returns.min,
            b"MAX" => &mut returns.max,
            b"ALL" => &mut returns.all,
            b"COUNT" => &mut returns.count,
            b"SAVE" => &mut returns.save,
            _ => return Err(ParseError::Expected("a result option that is known")),
        };
        *option = true;
    }
    returns.all |= empty;
    args.sp()?;
    Ok(returns)
}

/// `UTF-8 `; `None`: it isn't known.
pub(super) fn charset(args: &mut Cursor<'_>) -> Result<Option<Charset>, ParseError> {
    let name = args.astring()?;
    let charset = if name.eq_ignore_ascii_case(b"UTF-8") {
        Some(Charset::Utf8)
    } else if name.eq_ignore_ascii_case(b"US-ASCII") {
        Some(Charset::UsAscii)
    } else {
        None
    };
    args.sp()?;
    Ok(charset)
}

#[cfg(test)]
mod tests;
