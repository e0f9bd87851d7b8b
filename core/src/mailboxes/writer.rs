//! Writing the list: the follower's changes, and full syncs.
//!
//! A change that changes nothing writes nothing, so a resync of an unchanged list leaves
//! the file alone. A transaction is bounded ([`BATCH_CHANGES_MAX`]), since what it touches is held
//! in memory until it is committed; readers see whole transactions.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use heed::RwTxn;

use super::entry::{Record, State};
use super::file::Store;
use super::reader::{damaged, decode_server};
use super::tables::{Meta, access_keys, server_key};
use super::{Acl, ListError, Location, Name};

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
    store: Arc<Store>,
}

impl ListWriter {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    /// Begins a full sync. Every change until its end goes to [`Self::apply`] with the token.
    pub fn begin_sync(&mut self) -> Result<SyncToken, ListError> {
        let meta = self.meta(&*self.store.read()?)?;
        Ok(SyncToken {
            seen: BTreeMap::new(),
            first_new_id: meta.next_id,
        })
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
                transaction.apply(change, sync.as_deref_mut())?;
            }
            sequence = Some(transaction.commit()?);
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
            transaction.commit()?;
        }
        let mut transaction = Transaction::begin(&self.store)?;
        transaction.complete();
        Ok(Removed {
            names,
            sequence: transaction.commit()?,
        })
    }

    /// Some names that the sync didn't see, and where to go on; `None` at the end.
    fn unseen(
        &self,
        token: &SyncToken,
        after: &[u8],
    ) -> Result<Option<(Vec<Key>, Key)>, ListError> {
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

type Key = Vec<u8>;

/// A write transaction that knows whether it has anything to commit.
struct Transaction<'s> {
    store: &'s Store,
    writing: RwTxn<'s>,
    meta: Meta,
    changed: bool,
    /// How many more (or fewer) names each backend has.
    servers: BTreeMap<String, i64>,
    buffer: Vec<u8>,
}

impl<'s> Transaction<'s> {
    fn begin(store: &'s Store) -> Result<Self, ListError> {
        let writing = store.env.write_txn().map_err(|error| store.error(error))?;
        let meta = store
            .tables
            .meta(&writing)
            .map_err(|error| store.error(error))?;
        let meta = meta.ok_or_else(|| damaged("the record of its layout"))?;
        let (servers, buffer) = (BTreeMap::new(), Vec::new());
        Ok(Self {
            store,
            writing,
            meta,
            changed: false,
            servers,
            buffer,
        })
    }

    fn apply(&mut self, change: &Change, sync: Option<&mut SyncToken>) -> Result<(), ListError> {
        let (name, location, state, acl) = match change {
            Change::Active {
                name,
                location,
                acl,
            } => (name, location, State::Active, acl.as_bytes()),
            Change::Reserved { name, location } => (name, location, State::Reserved, &[][..]),
            Change::Deleted { name } => return self.remove(&name.to_key()).map(drop),
        };
        let id = self.put(&name.to_key(), location, state, acl)?;
        if let Some(sync) = sync {
            sync.see(id);
        }
        Ok(())
    }

    /// Writes a name, if that changes anything; its id.
    fn put(
        &mut self,
        key: &[u8],
        location: &Location,
        state: State,
        acl: &[u8],
    ) -> Result<u64, ListError> {
        let old = self.get(key)?;
        let old = old.as_deref().and_then(Record::decode);
        let mut record = Record::new(self.meta.next_id, state, location, acl);
        record.sequence = self.meta.sequence + 1;
        if let Some(old) = old {
            record.id = old.id;
            if (Record {
                sequence: old.sequence,
                ..record
            }) == old
            {
                return Ok(old.id);
            }
        } else {
            self.meta.next_id += 1;
        }
        record.encode(&mut self.buffer);
        let put = self
            .store
            .tables
            .names
            .put(&mut self.writing, key, &self.buffer);
        put.map_err(|error| self.store.error(error))?;
        let old_keys = old.map(|old| access_keys(key, &old)).unwrap_or_default();
        self.replace_access(&old_keys, &access_keys(key, &record))?;
        if let Some(old) = old {
            self.count(old.server, -1);
        }
        self.count(record.server, 1);
        self.changed = true;
        Ok(record.id)
    }

    /// Removes a name; whether it was there.
    fn remove(&mut self, key: &[u8]) -> Result<bool, ListError> {
        let Some(old) = self.get(key)? else {
            return Ok(false);
        };
        let old = Record::decode(&old).ok_or_else(|| damaged("a record"))?;
        let deleted = self.store.tables.names.delete(&mut self.writing, key);
        deleted.map_err(|error| self.store.error(error))?;
        self.replace_access(&access_keys(key, &old), &[])?;
        self.count(old.server, -1);
        self.changed = true;
        Ok(true)
    }

    fn complete(&mut self) {
        if !self.meta.complete {
            self.meta.complete = true;
            self.changed = true;
        }
    }

    /// Commits, if there is anything; the number of the last commit.
    fn commit(mut self) -> Result<u64, ListError> {
        if !self.changed {
            self.writing.abort();
            return Ok(self.meta.sequence);
        }
        self.meta.sequence += 1;
        let store = self.store;
        self.write_counts()?;
        let put = store.tables.put_meta(&mut self.writing, &self.meta);
        put.and_then(|()| self.writing.commit())
            .map_err(|error| store.error(error))?;
        Ok(self.meta.sequence)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ListError> {
        let found = self.store.tables.names.get(&self.writing, key);
        Ok(found
            .map_err(|error| self.store.error(error))?
            .map(<[u8]>::to_vec))
    }

    fn replace_access(&mut self, old: &[Vec<u8>], new: &[Vec<u8>]) -> Result<(), ListError> {
        let access = self.store.tables.access;
        let mut replaced = || {
            for gone in old.iter().filter(|key| new.binary_search(key).is_err()) {
                access.delete(&mut self.writing, gone)?;
            }
            for come in new.iter().filter(|key| old.binary_search(key).is_err()) {
                access.put(&mut self.writing, come, &[])?;
            }
            Ok(())
        };
        replaced().map_err(|error| self.store.error(error))
    }

    fn count(&mut self, server: &str, by: i64) {
        match self.servers.get_mut(server) {
            Some(count) => *count += by,
            None => {
                self.servers.insert(server.to_owned(), by);
            }
        }
    }

    fn write_counts(&mut self) -> Result<(), ListError> {
        let servers = self.store.tables.servers;
        for (server, by) in std::mem::take(&mut self.servers) {
            let key = server_key(&server);
            let error = |error| self.store.error(error);
            let value = servers.get(&self.writing, &key).map_err(error)?;
            let old = value.and_then(decode_server).map_or(0, |(count, _)| count);
            let count = old.saturating_add_signed(by);
            if count == 0 {
                servers.delete(&mut self.writing, &key).map_err(error)?;
            } else if by != 0 {
                let value = [&count.to_le_bytes()[..], server.as_bytes()].concat();
                servers
                    .put(&mut self.writing, &key, &value)
                    .map_err(error)?;
            }
        }
        Ok(())
    }
}

/// The most changes of one transaction.
const BATCH_CHANGES_MAX: usize = 1000;
/// The most names that the end of a sync looks at in one read transaction.
const SCAN_NAMES_MAX: usize = 20_000;
