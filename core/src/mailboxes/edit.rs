//! A master's changes: looked up, decided and made in one transaction, which is on the disk when
//! [`Edit::commit`] returns.
//!
//! Dropping an edit undoes it. What a transaction touches is held in memory until it is committed:
//! whoever edits bounds it.

use super::entry::Record;
use super::made::Made;
use super::reader::{damaged, decode_server};
use super::tables::server_key;
use super::transaction::Transaction;
use super::writer::{Change, ListWriter};
use super::{Entry, ListError, Name, Standing, Upstream};
use crate::proto::mupdate::Place;

/// Changes that will be committed together.
pub struct Edit<'w> {
    transaction: Transaction<'w>,
    made: &'w mut Made,
}

impl ListWriter {
    /// Begins a transaction.
    pub fn edit(&mut self) -> Result<Edit<'_>, ListError> {
        Ok(Edit {
            transaction: Transaction::begin(&self.store)?,
            made: &mut self.made,
        })
    }

    /// Drops tombstones of commits before `before` (in seconds since 1970), some at a time; whether
    /// there may be more.
    pub fn forget_removed(&mut self, before: u64) -> Result<bool, ListError> {
        let mut transaction = Transaction::begin(&self.store)?;
        let was = transaction.meta.removed_from;
        let more = transaction.forget(before, FORGET_CHANGES_MAX)?;
        if transaction.meta.removed_from != was {
            transaction.keep()?;
        }
        Ok(more)
    }

    /// This list, a copy, has all that its upstream had at `place`.
    pub fn set_reached(&mut self, place: Place) -> Result<(), ListError> {
        let mut transaction = Transaction::begin(&self.store)?;
        transaction.reach(place);
        transaction.keep()
    }

    /// Makes this list, which has everything, a master's own or a copy.
    pub fn set_standing(&mut self, standing: Standing) -> Result<(), ListError> {
        let mut transaction = Transaction::begin(&self.store)?;
        transaction.meta.standing = standing;
        if standing.is_master() {
            transaction.meta.complete = true;
            transaction.meta.upstream = Upstream::default();
        }
        transaction.keep()
    }
}

impl Edit<'_> {
    /// What is there, changes of this transaction among it.
    pub fn lookup(&self, name: &Name) -> Result<Option<Entry>, ListError> {
        let found = self.transaction.get(&name.to_key())?;
        let Some(found) = found else {
            return Ok(None);
        };
        let record = Record::decode(&found).ok_or_else(|| damaged("a record"))?;
        Ok(Some(record.to_entry()))
    }

    /// How many names are at a server, as of the last commit.
    pub fn count_at(&self, server: &str) -> Result<u64, ListError> {
        let store = self.transaction.store;
        let found = store
            .tables
            .servers
            .get(&self.transaction.writing, &server_key(server))
            .map_err(|error| store.error(error))?;
        Ok(found.and_then(decode_server).map_or(0, |(count, _)| count))
    }

    /// The list's standing.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.transaction.meta.standing
    }

    /// Makes a change.
    pub fn apply(&mut self, change: &Change) -> Result<(), ListError> {
        self.transaction.apply(change).map(drop)
    }

    /// Commits: the number of the last commit that changed something. With an error nothing has
    /// been changed.
    pub fn commit(self) -> Result<u64, ListError> {
        self.transaction.commit(self.made)
    }
}

/// Changes that are looked at in one transaction for tombstones; more than any commit makes.
const FORGET_CHANGES_MAX: usize = 20_000;
