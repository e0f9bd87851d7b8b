//! The list as it is told to others: all names, or what has changed, a bounded piece at a time.
//!
//! A *sequence* is the number of a commit. Who has had all names in pieces that were read at or after
//! sequence S, and then what has changed since S up to a piece that was read at E and had no
//! successor, has the list as it was at E: a name that changes meanwhile comes again, in a later
//! place, and is never told in an older state than before.

use std::ops::Bound;

use super::entry::{Record, State};
use super::name::write_name;
use super::reader::damaged;
use super::tables::{NOT_KEPT, change_key, split_change_key};
use super::{ListError, ListReader, Standing, Upstream};

/// A name as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// The name.
    pub name: &'a [u8],
    /// What is there; `None`: nothing any more.
    pub held: Option<Held<'a>>,
}

/// A name's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held<'a> {
    /// Active, reserved or moving.
    pub state: State,
    /// The backend's host name.
    pub server: &'a str,
    /// The partition there.
    pub partition: &'a str,
    /// As it came.
    pub acl: &'a [u8],
}

/// Where the next piece begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After(Vec<u8>);

/// What was told.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The list's sequence when it was read.
    pub sequence: u64,
    /// Where the next one begins; `None`: this was the last.
    pub next: Option<After>,
}

/// What a list says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Which list it is.
    pub identity: u64,
    /// The number of the last commit.
    pub sequence: u64,
    /// From here on it can be told what has changed; `None`: it isn't kept.
    pub changes_from: Option<u64>,
    /// Its part among others.
    pub standing: Standing,
    /// How far it has come in another's.
    pub upstream: Upstream,
    /// Whether it has ever been whole.
    pub complete: bool,
}

impl After {
    /// Before the first name.
    #[must_use]
    pub fn nothing() -> Self {
        Self(Vec::new())
    }

    /// Behind all changes up to `sequence`.
    #[must_use]
    pub fn sequence(sequence: u64) -> Self {
        Self(change_key(sequence.saturating_add(1), b""))
    }

    fn bound(&self) -> Bound<&[u8]> {
        // LMDB knows no empty key.
        if self.0.is_empty() {
            Bound::Unbounded
        } else {
            Bound::Excluded(&self.0)
        }
    }
}

impl ListReader {
    /// What the list says of itself.
    pub fn about(&self) -> Result<About, ListError> {
        let meta = self.meta(&self.store.read()?)?;
        let from = meta.indexed_from.max(meta.removed_from);
        Ok(About {
            identity: meta.identity,
            sequence: meta.sequence,
            changes_from: (from != NOT_KEPT).then_some(from),
            standing: meta.standing,
            upstream: meta.upstream,
            complete: meta.complete,
        })
    }

    /// Tells names in order, until `tell` says that it is enough or `PIECE_NAMES_MAX` were read.
    pub fn tell_names(
        &self,
        after: &After,
        mut tell: impl FnMut(Told<'_>) -> bool,
    ) -> Result<Piece, ListError> {
        let reading = self.store.read()?;
        let sequence = self.meta(&reading)?.sequence;
        let range = (after.bound(), Bound::Unbounded);
        let names = self.store.tables.names.range(&reading, &range);
        let (mut name, mut count) = (Vec::new(), 0);
        for found in names.map_err(|error| self.store.error(error))? {
            let (key, record) = found.map_err(|error| self.store.error(error))?;
            let record = Record::decode(record).ok_or_else(|| damaged("a record"))?;
            write_name(key, &mut name);
            count += 1;
            if !tell(told(&name, &record)) || count == PIECE_NAMES_MAX {
                let next = Some(After(key.to_vec()));
                return Ok(Piece { sequence, next });
            }
        }
        Ok(Piece {
            sequence,
            next: None,
        })
    }

    /// Tells what has changed, in order, each name as it is now; otherwise as [`Self::tell_names`].
    pub fn tell_changes(
        &self,
        after: &After,
        mut tell: impl FnMut(Told<'_>) -> bool,
    ) -> Result<Piece, ListError> {
        let reading = self.store.read()?;
        let sequence = self.meta(&reading)?.sequence;
        let range = (after.bound(), Bound::Unbounded);
        let changes = self.store.tables.changes.range(&reading, &range);
        let (mut name, mut count) = (Vec::new(), 0);
        for found in changes.map_err(|error| self.store.error(error))? {
            let (key, removed_at) = found.map_err(|error| self.store.error(error))?;
            let (_, name_key) = split_change_key(key).ok_or_else(|| damaged("a change"))?;
            write_name(name_key, &mut name);
            let more = if removed_at.is_empty() {
                let record = self.get(&reading, name_key)?;
                let record = record.ok_or_else(|| damaged("a change"))?;
                tell(told(&name, &record))
            } else {
                let held = None;
                tell(Told { name: &name, held })
            };
            count += 1;
            if !more || count == PIECE_NAMES_MAX {
                let next = Some(After(key.to_vec()));
                return Ok(Piece { sequence, next });
            }
        }
        Ok(Piece {
            sequence,
            next: None,
        })
    }
}

fn told<'a>(name: &'a [u8], record: &Record<'a>) -> Told<'a> {
    Told {
        name,
        held: Some(Held {
            state: record.state,
            server: record.server,
            partition: record.partition,
            acl: record.acl,
        }),
    }
}

/// The most names that are read in one transaction: some hundred microseconds.
const PIECE_NAMES_MAX: usize = 1000;
