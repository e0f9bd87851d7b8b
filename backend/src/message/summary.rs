//! What SEARCH, SORT and THREAD look at in a header, ready to be looked at: kept in a message's record, so that they open no file.
//!
//! Of each of [`FIELDS`] the values stand there with their encoded words decoded, most of them folded ([`crate::collation`]); then what
//! Date says, and the envelope, which has the addresses. A field that takes too much room isn't kept, and is said not to be.

use ravenry_core::proto::imap::{Cursor, Day};

use super::date::{DAY_SECONDS, Sent, sent};
use super::envelope::envelope;
use super::header::{Fields, decode_words};
use super::record::{Rest, number};
use super::value::unfolded;
use crate::collation::fold;

/// The fields, in the order in which they are kept.
const FIELDS: [&str; 8] = [
    "From",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Message-ID",
    "In-Reply-To",
    "References",
];
/// The case counts in those from here on, for THREAD: they are kept as they are.
const UNFOLDED_FROM: usize = 5;

/// Values of a field that takes more aren't kept.
const FIELD_BYTES_MAX: usize = 4 << 10;
/// Likewise if it has more values.
const VALUES_MAX: usize = 32;
/// The earliest day that a Date can name, 1 January 1900, as it is counted; one day more for what zones do to it.
const FIRST_DAY: i64 = -25_568;

/// A field that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// From
    From = 0,
    /// To
    To = 1,
    /// Cc
    Cc = 2,
    /// Subject
    Subject = 4,
    /// Message-ID
    MessageId = 5,
    /// In-Reply-To
    InReplyTo = 6,
    /// References
    References = 7,
}

/// A value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Folded.
    Folded(&'a [u8]),
    /// As it is, in UTF-8.
    Plain(&'a [u8]),
}

impl<'a> Value<'a> {
    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Folded(bytes) | Self::Plain(bytes) => bytes,
        }
    }
}

/// An address as ENVELOPE shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// Its name, decoded.
    pub name: Option<String>,
    /// What stands before `@`; of a group its name.
    pub mailbox: Vec<u8>,
    /// What stands behind it. `None`: it is the beginning of a group.
    pub host: Option<Vec<u8>>,
}

/// What is kept of a header.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    fields: &'a [u8],
    envelope: &'a [u8],
}

impl<'a> Summary<'a> {
    /// Of what [`write()`] wrote.
    pub(super) fn new(fields: &'a [u8], envelope: &'a [u8]) -> Self {
        Self { fields, envelope }
    }

    /// Gives the values of the fields of this name, in any case, until `take` says false. Whether they are kept; nothing is given if not.
    pub fn named(&self, name: &[u8], take: impl FnMut(Value<'a>) -> bool) -> bool {
        let named = |field: &str| field.as_bytes().eq_ignore_ascii_case(name);
        match FIELDS.iter().position(|field| named(field)) {
            Some(at) => self.values(at, take).is_some(),
            None => false,
        }
    }

    /// The last value of a field. `None`: it isn't kept; `Some(None)`: there is none.
    #[must_use]
    pub fn last(&self, field: Field) -> Option<Option<Value<'a>>> {
        let mut last = None;
        self.values(field as usize, |value| {
            last = Some(value);
            true
        })?;
        Some(last)
    }

    fn values(&self, at: usize, mut take: impl FnMut(Value<'a>) -> bool) -> Option<()> {
        let mut rest = Rest(self.fields);
        rest.number()?;
        for _ in 0..at {
            for _ in 1..rest.size()? {
                rest.slice()?;
            }
        }
        let count = rest.size()?.checked_sub(1)?;
        for _ in 0..count {
            let value = rest.slice()?;
            let value = match at < UNFOLDED_FROM {
                true => Value::Folded(value),
                false => Value::Plain(value),
            };
            if !take(value) {
                break;
            }
        }
        Some(())
    }

    /// What the Date field says.
    #[must_use]
    pub fn sent(&self) -> Option<Sent> {
        let number = i64::try_from(Rest(self.fields).number()?.checked_sub(1)?).ok()?;
        let day = number.div_euclid(3 * DAY_SECONDS) + FIRST_DAY;
        let in_day = number.rem_euclid(3 * DAY_SECONDS) - DAY_SECONDS;
        Some(Sent {
            day: Day(day),
            seconds: day * DAY_SECONDS + in_day,
        })
    }

    /// The first address of From, To or Cc.
    #[must_use]
    pub fn first_address(&self, field: Field) -> Option<Address> {
        // What stands before it: two strings, and lists.
        let lists = match field {
            Field::From => 0,
            Field::To => 3,
            Field::Cc => 4,
            _ => return None,
        };
        let mut cursor = Cursor::new(self.envelope);
        cursor.accept(b'(');
        for _ in 0..2 {
            cursor.nstring().ok()?;
            cursor.accept(b' ');
        }
        for _ in 0..lists {
            if cursor.peek() == Some(b'(') {
                cursor.paren().ok()?;
            } else {
                cursor.nstring().ok()?;
            }
            cursor.accept(b' ');
        }
        if !(cursor.accept(b'(') && cursor.accept(b'(')) {
            return None;
        }
        let mut parts = [const { None }; 4];
        for part in &mut parts {
            *part = cursor.nstring().ok()?;
            cursor.accept(b' ');
        }
        let [name, _route, mailbox, host] = parts;
        Some(Address {
            name: name.map(|name| decode_words(name.into_owned())),
            mailbox: mailbox.unwrap_or_default().into_owned(),
            host: host.map(std::borrow::Cow::into_owned),
        })
    }
}

/// Writes down what is to be kept of a header: its fields, and its envelope. With `all`, of whatever size.
pub(super) fn write(header: &[u8], all: bool) -> (Vec<u8>, Vec<u8>) {
    let mut values: [Vec<Vec<u8>>; FIELDS.len()] = [const { Vec::new() }; FIELDS.len()];
    for field in Fields::new(header) {
        if let Some(at) = FIELDS.iter().position(|name| field.is(name)) {
            let text = decode_words(unfolded(field.value()));
            values[at].push(if at < UNFOLDED_FROM {
                let mut folded = Vec::with_capacity(text.len());
                fold(&text, &mut folded);
                folded
            } else {
                text.into_bytes()
            });
        }
    }
    let mut fields = Vec::with_capacity(256);
    number(&mut fields, sent(header).map_or(0, |sent| 1 + packed(sent)));
    for values in values {
        let bytes: usize = values.iter().map(Vec::len).sum();
        if !all && (bytes > FIELD_BYTES_MAX || values.len() > VALUES_MAX) {
            number(&mut fields, 0);
            continue;
        }
        number(&mut fields, values.len() as u64 + 1);
        for value in values {
            number(&mut fields, value.len() as u64);
            fields.extend_from_slice(&value);
        }
    }
    let mut text = Vec::with_capacity(512);
    envelope(&mut text, header);
    (fields, text)
}

/// The day, and the seconds since the day before it began.
fn packed(sent: Sent) -> u64 {
    let in_day = sent.seconds - sent.day.0 * DAY_SECONDS + DAY_SECONDS;
    let packed = (sent.day.0 - FIRST_DAY) * 3 * DAY_SECONDS + in_day;
    u64::try_from(packed).expect("invariant: no Date is before 1900, no zone further than a day")
}
