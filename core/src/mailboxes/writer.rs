//! Writing the list: the follower's changes, and full syncs. A master's changes are [`super::Edit`]s.
//!
//! A change that changes nothing writes nothing, so a resync of an unchanged list leaves
//! the file alone. A transaction is bounded ([`BATCH_CHANGES_MAX`]), since what it touches is held
//! in memory until it is committed; readers see whole transactions.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use super::entry::Record;
use super::file::Store;
use super::made::Made;
use super::reader::damaged;
use super::tables::Meta;
use super::transaction::Transaction;
use super::{Acl, ListError, Location, Name};
use crate::proto::mupdate::Place;

/// What MUPDATE said about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// MAILBOX: it is there.
    Active {
        /// Its name.
        name: Name,
        /// Where it lives.
        location: Location,
        /// Who may do what.
        acl: Acl,
    },
    /// RESERVE: the name is taken.
    Reserved {
        /// The name.
        name: Name,
        /// By whom.
        location: Location,
    },
    /// DEACTIVATE: the name is taken, and another server may activate it.
    Moving {
        /// The name.
        name: Name,
        /// Where from.
        location: Location,
    },
    /// DELETE: the name is free.
    Deleted {
        /// The name.
        name: Name,
    },
}

/// A full sync that is under way: which names it has seen. Dropping it ends nothing and
/// removes nothing.
#[derive(Debug)]
pub struct SyncToken {
    seen: BTreeMap<u64, u64>,
    /// Names with this id or a later one came after the sync began.
    first_new_id: u64,
}

/// What a full sync removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The number of names that it hadn't seen.
    pub names: u64,
    /// The number of the last commit.
    pub sequence: u64,
}

/// The list, to be written: there is one.
pub struct ListWriter {
    pub(super) store: Arc<Store>,
    pub(super) made: Made,
}

impl ListWriter {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            made: Made::default(),
        }
    }

    /// Begins a full sync. Every change until its end goes to [`Self::apply`] with the token.
    pub fn begin_sync(&mut self) -> Result<SyncToken, ListError> {
        let meta = self.meta(&*self.store.read()?)?;
        Ok(SyncToken {
            seen: BTreeMap::new(),
            first_new_id: meta.next_id,
        })
    }

    /// As [`Self::apply`], of a stream that has come to `place` with them: it is kept with the last
    /// of the changes.
    pub fn apply_up_to(&mut self, changes: &[Change], place: Place) -> Result<u64, ListError> {
        let last = changes.len().saturating_sub(BATCH_CHANGES_MAX);
        self.apply(&changes[..last], None)?;
        let mut transaction = Transaction::begin(&self.store)?;
        for change in &changes[last..] {
            transaction.apply(change)?;
        }
        transaction.reach(place);
        transaction.commit(&mut self.made)
    }

    /// Makes changes, in order, in as many transactions as their number asks for. Answers the
    /// number of the last commit. After an error the transactions before it stand.
    pub fn apply(
        &mut self,
        changes: &[Change],
        mut sync: Option<&mut SyncToken>,
    ) -> Result<u64, ListError> {
        let mut sequence = None;
        for batch in changes.chunks(BATCH_CHANGES_MAX) {
            let mut transaction = Transaction::begin(&self.store)?;
            for change in batch {
                let id = transaction.apply(change)?;
                if let (Some(sync), Some(id)) = (sync.as_deref_mut(), id) {
                    sync.see(id);
                }
            }
            sequence = Some(transaction.commit(&mut self.made)?);
        }
        match sequence {
            Some(sequence) => Ok(sequence),
            None => Ok(self.meta(&*self.store.read()?)?.sequence),
        }
    }

    /// Ends a full sync: removes the names that it didn't see, then marks the list complete, for
    /// good. After an error the sync has to be done again; what was removed was rightly removed.
    pub fn end_sync(&mut self, token: SyncToken) -> Result<Removed, ListError> {
        let mut names = 0;
        let mut after = Vec::new();
        while let Some((unseen, last)) = self.unseen(&token, &after)? {
            after = last;
            if unseen.is_empty() {
                continue;
            }
            let mut transaction = Transaction::begin(&self.store)?;
            for key in &unseen {
                names += u64::from(transaction.remove(key)?);
            }
            transaction.commit(&mut self.made)?;
        }
        let mut transaction = Transaction::begin(&self.store)?;
        transaction.complete();
        Ok(Removed {
            names,
            sequence: transaction.commit(&mut self.made)?,
        })
    }

    /// Some names that the sync didn't see, and where to go on; `None` at the end.
    fn unseen(&self, token: &SyncToken, after: &[u8]) -> Result<Option<Unseen>, ListError> {
        let reading = self.store.read()?;
        let after = if after.is_empty() {
            Bound::Unbounded
        } else {
            Bound::Excluded(after)
        };
        let range = (after, Bound::Unbounded);
        let names = self.store.tables.names.range(&reading, &range);
        let mut unseen = Vec::new();
        let mut last = None;
        for found in names
            .map_err(|error| self.store.error(error))?
            .take(SCAN_NAMES_MAX)
        {
            let (key, record) = found.map_err(|error| self.store.error(error))?;
            let record = Record::decode(record).ok_or_else(|| damaged("a record"))?;
            last = Some(key);
            if !token.saw(record.id) {
                unseen.push(key.to_vec());
                if unseen.len() == BATCH_CHANGES_MAX {
                    break;
                }
            }
        }
        Ok(last.map(|last| (unseen, last.to_vec())))
    }

    /// What was changed since it was last asked, where the list is one that others follow.
    pub fn take_made(&mut self) -> Made {
        std::mem::take(&mut self.made)
    }

    fn meta(&self, reading: &heed::RoTxn<'_>) -> Result<Meta, ListError> {
        let meta = self
            .store
            .tables
            .meta(reading)
            .map_err(|error| self.store.error(error))?;
        meta.ok_or_else(|| damaged("the record of its layout"))
    }
}

/// What was written reaches the disk, and the next start may trust it.
impl Drop for ListWriter {
    fn drop(&mut self) {
        if let Err(error) = self.store.close_cleanly() {
            tracing::warn!(%error, "the mailbox list may have to be fetched anew at the next start");
        }
    }
}

impl fmt::Debug for ListWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListWriter").finish_non_exhaustive()
    }
}

impl SyncToken {
    fn see(&mut self, id: u64) {
        *self.seen.entry(id / 64).or_default() |= 1 << (id % 64);
    }

    fn saw(&self, id: u64) -> bool {
        let seen = self
            .seen
            .get(&(id / 64))
            .is_some_and(|bits| bits & (1 << (id % 64)) != 0);
        seen || id >= self.first_new_id
    }
}

/// Keys of names that a sync didn't see, and the last key that was looked at.
type Unseen = (Vec<Vec<u8>>, Vec<u8>);

/// The most changes of one transaction.
const BATCH_CHANGES_MAX: usize = 1000;
/// The most names that the end of a sync looks at in one read transaction.
const SCAN_NAMES_MAX: usize = 20_000;
