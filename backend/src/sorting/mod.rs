//! SORT: messages in the order of what is in their headers (RFC 5256 section 3; DISPLAYFROM and DISPLAYTO: RFC 5957).
//!
//! Of each message its keys are taken ([`keys`]); when all are there, they are compared ([`Sorter::sorted`]). What isn't there is less than
//! all else. Texts are folded ([`crate::collation`]). No I/O, no clock.

mod subject;

use std::cmp::Ordering;

use ravenry_core::proto::imap::{SortCriterion, SortKey};

pub use self::subject::BaseSubject;
use crate::collation::folded;
use crate::message::{Address, Field, Summary, Value};
use crate::store::Message;

/// A key is compared by so many of its bytes.
const KEY_BYTES_MAX: usize = 1 << 10;
/// What keys may take, and what THREAD may.
pub const ROOM_BYTES_MAX: usize = 256 << 20;

/// So much of a mailbox would have to be held in memory that it is refused: `NO [LIMIT]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// What a message is compared by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A size, or seconds.
    Number(i64),
    /// A folded text.
    Text(Box<[u8]>),
}

/// Whether these are in headers.
#[must_use]
pub fn need_header(criteria: &[SortCriterion]) -> bool {
    let in_index = |key| matches!(key, SortKey::Arrival | SortKey::Size);
    !criteria.iter().all(|criterion| in_index(criterion.key))
}

/// A message's keys, one for each criterion. `None`: what is kept of its header isn't enough.
#[must_use]
pub fn keys(
    criteria: &[SortCriterion],
    message: &Message,
    kept: Option<Summary<'_>>,
) -> Option<Vec<Key>> {
    let keys = criteria.iter();
    keys.map(|criterion| key(criterion.key, message, kept))
        .collect()
}

fn key(key: SortKey, message: &Message, kept: Option<Summary<'_>>) -> Option<Key> {
    let mailbox = |field| {
        Some(text(
            &kept?.first_address(field).unwrap_or_default().mailbox,
        ))
    };
    let shown = |field| Some(text(&shown(kept?.first_address(field).unwrap_or_default())));
    match key {
        SortKey::Arrival => Some(Key::Number(message.date.seconds)),
        SortKey::Size => Some(Key::Number(i64::try_from(message.size).unwrap_or(i64::MAX))),
        SortKey::Date => Some(Key::Number(sent(message, kept?))),
        SortKey::Subject => {
            let subject = subject(kept?)?.text;
            Some(Key::Text(
                subject[..subject.len().min(KEY_BYTES_MAX)].into(),
            ))
        }
        SortKey::From => mailbox(Field::From),
        SortKey::To => mailbox(Field::To),
        SortKey::Cc => mailbox(Field::Cc),
        SortKey::DisplayFrom => shown(Field::From),
        SortKey::DisplayTo => shown(Field::To),
    }
}

/// When a message was sent, in seconds since 1970; if it doesn't say, when it came (RFC 5256 section 2.2).
#[must_use]
pub fn sent(message: &Message, kept: Summary<'_>) -> i64 {
    kept.sent()
        .map_or(message.date.seconds, |sent| sent.seconds)
}

/// A message's base subject. `None`: its subject isn't kept.
#[must_use]
pub fn subject(kept: Summary<'_>) -> Option<BaseSubject> {
    let subject = kept.last(Field::Subject)?;
    Some(subject.map_or_else(BaseSubject::default, |subject| {
        BaseSubject::of(Value::bytes(subject))
    }))
}

/// What a client shows of an address (RFC 5957 section 3): its name, or the address itself; of a group its name.
fn shown(address: Address) -> Vec<u8> {
    let name = address.name.filter(|name| !name.is_empty());
    match (name, address.host) {
        (Some(name), _) => name.into_bytes(),
        (None, Some(host)) if !address.mailbox.is_empty() => {
            [&address.mailbox[..], b"@", &host].concat()
        }
        (None, _) => address.mailbox,
    }
}

fn text(text: &[u8]) -> Key {
    let text = folded(&String::from_utf8_lossy(
        &text[..text.len().min(KEY_BYTES_MAX)],
    ));
    Key::Text(text.into())
}

/// Messages that are to be put in order.
pub struct Sorter {
    criteria: Vec<SortCriterion>,
    rows: Vec<(Vec<Key>, u32, u64)>,
    bytes: usize,
}

impl Sorter {
    /// One for these criteria.
    #[must_use]
    pub fn new(criteria: Vec<SortCriterion>) -> Self {
        Self {
            criteria,
            rows: Vec::new(),
            bytes: 0,
        }
    }

    /// Adds a message: its UID, which is higher than those before, its modseq, its keys.
    ///
    /// # Errors
    /// If that is more than may be held.
    pub fn push(&mut self, uid: u32, modseq: u64, keys: Vec<Key>) -> Result<(), TooLarge> {
        let text = |key: &Key| match key {
            Key::Number(_) => 0,
            Key::Text(text) => text.len(),
        };
        let row = size_of::<(Vec<Key>, u32, u64)>() + keys.len() * size_of::<Key>();
        self.bytes += row + keys.iter().map(text).sum::<usize>();
        self.rows.push((keys, uid, modseq));
        (self.bytes <= ROOM_BYTES_MAX).then_some(()).ok_or(TooLarge)
    }

    /// The messages' UIDs and modseqs in order. Where all keys are the same, that of the mailbox.
    #[must_use]
    pub fn sorted(mut self) -> Vec<(u32, u64)> {
        let criteria = &self.criteria;
        self.rows
            .sort_unstable_by(|(one, uid, _), (other, other_uid, _)| {
                let keys = one.iter().zip(other).zip(criteria);
                let compared = keys.map(|((one, other), criterion)| match criterion.reverse {
                    false => one.cmp(other),
                    true => other.cmp(one),
                });
                let first = compared.into_iter().find(|order| *order != Ordering::Equal);
                first.unwrap_or_else(|| uid.cmp(other_uid))
            });
        let rows = self.rows.into_iter();
        rows.map(|(_, uid, modseq)| (uid, modseq)).collect()
    }
}

#[cfg(test)]
mod tests;
