//! One write transaction: records, the tables that follow from them, and what was changed.
//!
//! Invariant: whatever is written to `names` is written to `access`, `servers` and (where it is
//! kept) `changes` in the same transaction, so that no reader sees one without the other.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::UNIX_EPOCH;

use heed::RwTxn;

use super::access::replace_access;
use super::entry::{Record, State};
use super::file::Store;
use super::made::{Made, OneMade};
use super::reader::{damaged, decode_server};
use super::tables::{Meta, NOT_KEPT, access_keys, change_key, server_key, split_change_key};
use super::writer::Change;
use super::{ListError, Location, Upstream};
use crate::proto::mupdate::Place;
use crate::rt;

/// A write transaction that knows whether it has anything to commit.
pub(super) struct Transaction<'s> {
    pub(super) store: &'s Store,
    pub(super) writing: RwTxn<'s>,
    pub(super) meta: Meta,
    changed: bool,
    /// How far it has come in another list is new.
    reached: bool,
    /// How many more (or fewer) names each backend has.
    servers: BTreeMap<String, i64>,
    made: Vec<OneMade>,
    buffer: Vec<u8>,
}

impl<'s> Transaction<'s> {
    pub(super) fn begin(store: &'s Store) -> Result<Self, ListError> {
        let writing = store.env.write_txn().map_err(|error| store.error(error))?;
        let meta = store
            .tables
            .meta(&writing)
            .map_err(|error| store.error(error))?;
        let meta = meta.ok_or_else(|| damaged("the record of its layout"))?;
        Ok(Self {
            store,
            writing,
            meta,
            changed: false,
            reached: false,
            servers: BTreeMap::new(),
            made: Vec::new(),
            buffer: Vec::new(),
        })
    }

    /// Makes a change; the name's id, unless it is gone.
    pub(super) fn apply(&mut self, change: &Change) -> Result<Option<u64>, ListError> {
        let (name, location, state, acl) = match change {
            Change::Active {
                name,
                location,
                acl,
            } => (name, location, State::Active, acl.as_bytes()),
            Change::Reserved { name, location } => (name, location, State::Reserved, &[][..]),
            Change::Moving { name, location } => (name, location, State::Moving, &[][..]),
            Change::Deleted { name } => return self.remove(&name.to_key()).map(|_was_there| None),
        };
        self.put(&name.to_key(), location, state, acl).map(Some)
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
        if let Some(old) = &old {
            self.count(old.server, -1);
        }
        self.count(record.server, 1);
        self.index(key, old.as_ref(), Some(&record))?;
        Ok(record.id)
    }

    /// Removes a name; whether it was there.
    pub(super) fn remove(&mut self, key: &[u8]) -> Result<bool, ListError> {
        let Some(old) = self.get(key)? else {
            return Ok(false);
        };
        let old = Record::decode(&old).ok_or_else(|| damaged("a record"))?;
        let deleted = self.store.tables.names.delete(&mut self.writing, key);
        deleted.map_err(|error| self.store.error(error))?;
        self.replace_access(&access_keys(key, &old), &[])?;
        self.count(old.server, -1);
        self.index(key, Some(&old), None)?;
        Ok(true)
    }

    /// Notes that a name has changed: in `changes`, and for those who are told at once.
    fn index(
        &mut self,
        key: &[u8],
        old: Option<&Record<'_>>,
        new: Option<&Record<'_>>,
    ) -> Result<(), ListError> {
        self.changed = true;
        if self.meta.indexed_from == NOT_KEPT {
            return Ok(());
        }
        let changes = self.store.tables.changes;
        let error = |error| self.store.error(error);
        if let Some(old) = old {
            let was = change_key(old.sequence, key);
            changes.delete(&mut self.writing, &was).map_err(error)?;
        }
        let time = match new {
            Some(_) => Vec::new(),
            None => unix_seconds().to_le_bytes().to_vec(),
        };
        let is = change_key(self.meta.sequence + 1, key);
        changes.put(&mut self.writing, &is, &time).map_err(error)?;
        self.made.push(OneMade::new(key, old, new));
        Ok(())
    }

    /// Drops tombstones of commits before `before` (in seconds since 1970), looking at `count_max`
    /// changes at the most, which is more than a commit has; whether there may be more.
    pub(super) fn forget(&mut self, before: u64, count_max: usize) -> Result<bool, ListError> {
        let (store, changes) = (self.store, self.store.tables.changes);
        let error = |error| store.error(error);
        let from = change_key(self.meta.removed_from.saturating_add(1), b"");
        let (mut old, mut seen, mut reached) = (Vec::new(), 0, self.meta.sequence);
        let range = (Bound::Included(from.as_slice()), Bound::Unbounded);
        let found = changes.range(&self.writing, &range);
        for found in found.map_err(error)? {
            let (key, value) = found.map_err(error)?;
            let (sequence, _) = split_change_key(key).ok_or_else(|| damaged("a change"))?;
            let removed_at = value.first_chunk().copied().map(u64::from_le_bytes);
            seen += 1;
            if seen > count_max || removed_at.is_some_and(|at| at >= before) {
                // What is left of this commit stays whole.
                reached = sequence - 1;
                break;
            }
            if removed_at.is_some() {
                old.push((sequence, key.to_vec()));
            }
        }
        for (_, key) in old.iter().filter(|(sequence, _)| *sequence <= reached) {
            changes.delete(&mut self.writing, key).map_err(error)?;
        }
        self.meta.removed_from = self.meta.removed_from.max(reached);
        Ok(seen > count_max)
    }

    /// What is committed now is a copy of another list at `place`.
    pub(super) fn reach(&mut self, place: Place) {
        self.meta.standing.epoch = self.meta.standing.epoch.max(place.epoch);
        self.meta.upstream = Upstream {
            identity: place.identity,
            sequence: place.sequence,
        };
        self.reached = true;
    }

    /// Commits what isn't a change of names.
    pub(super) fn keep(mut self) -> Result<(), ListError> {
        let store = self.store;
        let put = store.tables.put_meta(&mut self.writing, &self.meta);
        put.and_then(|()| self.writing.commit())
            .map_err(|error| store.error(error))
    }

    pub(super) fn complete(&mut self) {
        if !self.meta.complete {
            self.meta.complete = true;
            self.changed = true;
        }
    }

    /// Commits, if there is anything; the number of the last commit.
    pub(super) fn commit(mut self, made: &mut Made) -> Result<u64, ListError> {
        if !self.changed {
            let sequence = self.meta.sequence;
            match self.reached {
                true => self.keep()?,
                false => self.writing.abort(),
            }
            return Ok(sequence);
        }
        self.meta.sequence += 1;
        let store = self.store;
        self.write_counts()?;
        let put = store.tables.put_meta(&mut self.writing, &self.meta);
        put.and_then(|()| self.writing.commit())
            .map_err(|error| store.error(error))?;
        made.extend(self.meta.sequence, self.made);
        Ok(self.meta.sequence)
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ListError> {
        let found = self.store.tables.names.get(&self.writing, key);
        Ok(found
            .map_err(|error| self.store.error(error))?
            .map(<[u8]>::to_vec))
    }

    fn replace_access(&mut self, old: &[Vec<u8>], new: &[Vec<u8>]) -> Result<(), ListError> {
        let replaced = replace_access(self.store.tables.access, &mut self.writing, old, new);
        replaced.map_err(|error| self.store.error(error))
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

/// When it is, as tombstones carry it.
pub(super) fn unix_seconds() -> u64 {
    let since = rt::wall_clock().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
