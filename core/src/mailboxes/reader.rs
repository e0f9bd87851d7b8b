//! Reading the list: lookups, and what else can be told without walking it.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use super::entry::Record;
use super::file::Store;
use super::name::key_of;
use super::tables::{Meta, Reading, server_key, successor};
use super::visible::{Part, Visible};
use super::{Entry, Identity, ListError, Name, Namespace};

/// The list, to be read. Clones share one map; any number of threads may read at once, each call
/// in a read transaction of its own.
#[derive(Clone)]
pub struct ListReader {
    pub(super) store: Arc<Store>,
}

impl ListReader {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    /// Finds a mailbox. `None`: it isn't there (nor reserved). [`ListError::Incomplete`]: it isn't
    /// in the list, but the list has never been whole.
    pub fn lookup(&self, name: &Name) -> Result<Option<Entry>, ListError> {
        let reading = self.store.read()?;
        let found = self.get(&reading, &name.to_key())?.map(Record::to_entry);
        if found.is_none() && !self.meta(&reading)?.complete {
            return Err(ListError::Incomplete);
        }
        Ok(found)
    }

    /// Whether a full sync has ever ended.
    pub fn is_complete(&self) -> Result<bool, ListError> {
        Ok(self.meta(&self.store.read()?)?.complete)
    }

    /// The number of the last commit.
    pub fn sequence(&self) -> Result<u64, ListError> {
        Ok(self.meta(&self.store.read()?)?.sequence)
    }

    /// How many names there are, reserved ones included.
    pub fn count(&self) -> Result<u64, ListError> {
        let reading = self.store.read()?;
        self.store
            .tables
            .names
            .len(&reading)
            .map_err(|error| self.store.error(error))
    }

    /// The backends that names are at, in order, with the number of names.
    pub fn servers(&self) -> Result<Vec<(String, u64)>, ListError> {
        let reading = self.store.read()?;
        let servers = self.store.tables.servers.iter(&reading);
        let mut found = Vec::new();
        for server in servers.map_err(|error| self.store.error(error))? {
            let (_, value) = server.map_err(|error| self.store.error(error))?;
            let (count, server) = decode_server(value).ok_or_else(|| damaged("a server"))?;
            found.push((server.to_owned(), count));
        }
        Ok(found)
    }

    /// How many names are at a backend.
    pub fn count_at(&self, server: &str) -> Result<u64, ListError> {
        let reading = self.store.read()?;
        let found = self.store.tables.servers.get(&reading, &server_key(server));
        let found = found.map_err(|error| self.store.error(error))?;
        Ok(found.and_then(decode_server).map_or(0, |(count, _)| count))
    }

    /// Whether `identity` sees a mailbox below `name`, in their view of the tree.
    pub fn has_children(
        &self,
        identity: &Identity,
        namespace: Namespace,
        name: &Name,
    ) -> Result<bool, ListError> {
        let reading = self.store.read()?;
        let Some(below) = namespace.below(name, identity) else {
            return Ok(false);
        };
        let below = key_of(&[&below[..], b"."].concat());
        let end = successor(&below);
        for part in [
            Part::Own,
            Part::Others,
            Part::SharedBefore,
            Part::SharedAfter,
        ] {
            let mut visible = Visible::new(self, &reading, identity, part, &below, end.as_deref())?;
            while visible.next()? {
                // Between an admin's `a` and its children may be names of the domain `a.org`.
                let seen = visible.record()?;
                if seen.is_some_and(|seen| seen.name.domain() == name.domain()) {
                    return Ok(true);
                }
            }
        }
        if self.meta(&reading)?.complete {
            Ok(false)
        } else {
            Err(ListError::Incomplete)
        }
    }

    /// Adds the backends that have mailboxes below `name`, whoever may see them, to `found`: two at most,
    /// which is enough to tell whether they are at one. Looks at some thousand names from `after` on, and gives
    /// where to go on, if there are more.
    pub fn servers_below(
        &self,
        name: &Name,
        after: Option<Vec<u8>>,
        found: &mut BTreeSet<String>,
    ) -> Result<Option<Vec<u8>>, ListError> {
        let reading = self.store.read()?;
        let below = key_of(&[name.as_bytes(), b"."].concat());
        let end = successor(&below);
        let from = after.unwrap_or(below);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let range = (Bound::Included(&from[..]), end);
        let names = self.store.tables.names.range(&reading, &range);
        let names = names.map_err(|error| self.store.error(error))?;
        for (number, entry) in names.enumerate() {
            let (key, record) = entry.map_err(|error| self.store.error(error))?;
            if number == LOOKED_AT_MAX {
                return Ok(Some(key.to_vec()));
            }
            let server = Record::decode(record)
                .ok_or_else(|| damaged("a record"))?
                .server;
            // Between `a` and what is below it may be names of the domain `a.org`.
            if !found.contains(server) && Name::from_key(key).domain() == name.domain() {
                found.insert(server.to_owned());
            }
            if found.len() == 2 {
                break;
            }
        }
        Ok(None)
    }

    pub(super) fn get<'r>(
        &self,
        reading: &'r Reading<'_>,
        key: &[u8],
    ) -> Result<Option<Record<'r>>, ListError> {
        let found = self.store.tables.names.get(reading, key);
        match found.map_err(|error| self.store.error(error))? {
            Some(record) => Record::decode(record)
                .map(Some)
                .ok_or_else(|| damaged("a record")),
            None => Ok(None),
        }
    }

    pub(super) fn meta(&self, reading: &Reading<'_>) -> Result<Meta, ListError> {
        let meta = self
            .store
            .tables
            .meta(reading)
            .map_err(|error| self.store.error(error))?;
        meta.ok_or_else(|| damaged("the record of its layout"))
    }
}

impl fmt::Debug for ListReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListReader").finish_non_exhaustive()
    }
}

/// The most names that one call looks at.
const LOOKED_AT_MAX: usize = 4000;

/// The value of a record of `servers`: number of names, full name.
pub(super) fn decode_server(value: &[u8]) -> Option<(u64, &str)> {
    let (count, server) = value.split_first_chunk()?;
    Some((
        u64::from_le_bytes(*count),
        std::str::from_utf8(server).ok()?,
    ))
}

pub(super) fn damaged(what: &str) -> ListError {
    ListError::Damaged(format!("{what} can't be read"))
}
