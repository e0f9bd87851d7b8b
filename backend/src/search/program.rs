//! A program: a SEARCH's keys, made ready for one mailbox.

use std::collections::BTreeMap;
use std::fmt;

use ravenry_core::proto::imap::{DateOf, Day, SearchKey, SequenceSet, Uids, When};

use super::evaluate::Evaluation;
use super::needle::Needle;
use super::{Candidate, Content, Context, Needs};
use crate::objectid;
use crate::store::Flags;

/// More strings in header fields, and in texts, aren't looked for: each costs a walk over the message.
const FIELDS_MAX: usize = 1000;
const TEXTS_MAX: usize = 100;

/// What a SEARCH looks for, in one mailbox at one time.
#[derive(Debug)]
pub struct Program {
    pub(super) key: Key,
    /// What is looked for in texts, by [`Key::Text`]; in the body alone, if so marked.
    pub(super) texts: Vec<(bool, Needle)>,
    /// What `$` stands for: kept once, however often a key names it.
    pub(super) saved: Uids,
    needs: Needs,
}

/// The SEARCH looks for so many strings that it would cost too much: `NO [LIMIT]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyStrings;

impl fmt::Display for TooManyStrings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Too many strings to search for")
    }
}

impl std::error::Error for TooManyStrings {}

/// A key that needs nothing but a message.
#[derive(Debug)]
pub(super) enum Key {
    Is(bool),
    /// In order of what they need.
    All(Vec<Self>),
    /// Likewise.
    Any(Vec<Self>),
    Not(Box<Self>),
    Number(Uids),
    Uid(Uids),
    /// `$`
    Saved,
    System {
        bit: u8,
        set: bool,
    },
    Keyword {
        bit: u128,
        set: bool,
    },
    Recent(bool),
    Internal(When, Day),
    Came(When, Day),
    Larger(u64),
    Smaller(u64),
    /// INTERNALDATE is this or earlier.
    Until(i64),
    /// INTERNALDATE is this or later.
    From(i64),
    ModSeq(u64),
    Digest([u8; 32]),
    Sent(When, Day),
    Field {
        name: Vec<u8>,
        value: Needle,
    },
    /// An index into [`Program::texts`].
    Text(usize),
}

impl Key {
    /// How much of a message it may need.
    pub(super) fn needs(&self) -> Needs {
        match self {
            // In order: the last one needs most.
            Self::All(keys) | Self::Any(keys) => keys.last().map_or(Needs::Record, Self::needs),
            Self::Not(key) => key.needs(),
            Self::Sent(..) | Self::Field { .. } => Needs::Header,
            Self::Text(_) => Needs::Whole,
            _ => Needs::Record,
        }
    }
}

impl Program {
    /// Makes keys ready.
    ///
    /// # Errors
    /// If they look for too many strings in what lies in files.
    pub fn new(key: SearchKey, context: &Context<'_>) -> Result<Self, TooManyStrings> {
        let mut making = Making {
            context,
            fields: 0,
            texts: Vec::new(),
            known: BTreeMap::new(),
        };
        let key = making.key(key)?;
        Ok(Self {
            needs: key.needs(),
            key,
            texts: making.texts,
            saved: Uids::merged(context.saved.as_ranges().to_vec()),
        })
    }

    /// How much of a message may have to be read.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Whether the message is one that is looked for.
    ///
    /// # Errors
    /// If what has to be read can't be.
    pub fn matches<C: Content>(
        &self,
        candidate: &Candidate<'_>,
        content: &mut C,
    ) -> Result<bool, C::Error> {
        Evaluation::new(self, candidate, content).result()
    }
}

/// A program in the making.
struct Making<'a> {
    context: &'a Context<'a>,
    fields: usize,
    texts: Vec<(bool, Needle)>,
    /// Where a text is among them: the same one is looked for once.
    known: BTreeMap<(bool, Vec<u8>), usize>,
}

impl Making<'_> {
    fn key(&mut self, key: SearchKey) -> Result<Key, TooManyStrings> {
        Ok(match key {
            SearchKey::And(keys) => Key::All(self.keys(keys)?),
            SearchKey::Or(keys) => Key::Any(self.keys(keys)?),
            SearchKey::Not(key) => Key::Not(Box::new(self.key(*key)?)),
            SearchKey::Header { name, value } => self.field(name, &value)?,
            SearchKey::Body(text) => self.text(true, &text)?,
            SearchKey::Text(text) => self.text(false, &text)?,
            key => self.of_record(key),
        })
    }

    fn keys(&mut self, keys: Vec<SearchKey>) -> Result<Vec<Key>, TooManyStrings> {
        let made: Result<Vec<Key>, _> = keys.into_iter().map(|key| self.key(key)).collect();
        let mut keys = made?;
        keys.sort_by_cached_key(Key::needs);
        Ok(keys)
    }

    fn field(&mut self, name: Vec<u8>, value: &[u8]) -> Result<Key, TooManyStrings> {
        let Some(value) = Needle::new(value) else {
            return Ok(Key::Is(false));
        };
        self.fields += 1;
        if self.fields > FIELDS_MAX {
            return Err(TooManyStrings);
        }
        Ok(Key::Field { name, value })
    }

    fn text(&mut self, body: bool, text: &[u8]) -> Result<Key, TooManyStrings> {
        let Some(needle) = Needle::new(text) else {
            return Ok(Key::Is(false));
        };
        // RFC 3501 section 6.4.4 has this for HEADER; every text has an empty string in it.
        if needle.folded().is_empty() {
            return Ok(Key::Is(true));
        }
        let at = self.texts.len();
        let at = *self
            .known
            .entry((body, needle.folded().to_vec()))
            .or_insert(at);
        if at == self.texts.len() {
            self.texts.push((body, needle));
        }
        if self.texts.len() > TEXTS_MAX {
            return Err(TooManyStrings);
        }
        Ok(Key::Text(at))
    }

    /// A key that looks at one thing.
    fn of_record(&self, key: SearchKey) -> Key {
        match key {
            SearchKey::Numbers(SequenceSet::Saved) | SearchKey::Uids(SequenceSet::Saved) => {
                Key::Saved
            }
            SearchKey::Numbers(set) => Key::Number(set.resolve(self.context.exists)),
            SearchKey::Uids(set) => Key::Uid(set.resolve(self.context.highest_uid)),
            SearchKey::System { bit, set } => Key::System { bit, set },
            SearchKey::Keyword { name, set } => self.keyword(&name, set),
            SearchKey::Recent(recent) => Key::Recent(recent),
            SearchKey::Date { of, when, day } => match of {
                DateOf::Internal => Key::Internal(when, day),
                DateOf::Saved => Key::Came(when, day),
                DateOf::Sent => Key::Sent(when, day),
            },
            SearchKey::Larger(size) => Key::Larger(size),
            SearchKey::Smaller(size) => Key::Smaller(size),
            SearchKey::Older(seconds) => Key::Until(self.ago(seconds)),
            SearchKey::Younger(seconds) => Key::From(self.ago(seconds)),
            SearchKey::ModSeq(modseq) => Key::ModSeq(modseq),
            SearchKey::EmailId(id) => objectid::digest_of(&id).map_or(Key::Is(false), Key::Digest),
            // No message has a thread's id (RFC 8474 section 5.2).
            SearchKey::ThreadId(_) => Key::Is(false),
            // Every message has the date of its coming (RFC 8514); what is left is taken apart in `key`.
            _ => Key::Is(true),
        }
    }

    fn keyword(&self, name: &str, set: bool) -> Key {
        let table = self.context.keywords.iter().take(Flags::KEYWORDS_MAX);
        let mut table = table.enumerate();
        match table.find(|(_, known)| known.eq_ignore_ascii_case(name)) {
            Some((at, _)) => Key::Keyword { bit: 1 << at, set },
            None => Key::Is(!set),
        }
    }

    fn ago(&self, seconds: u32) -> i64 {
        self.context.now.saturating_sub(i64::from(seconds))
    }
}
