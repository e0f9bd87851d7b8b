//! Annotations (RFC 5464): entries of a mailbox, or of the server, with a value of any bytes; shared, or each user's own.
//!
//! A key begins with the mailbox' id, not its name, so annotations go where the mailbox goes: with RENAME, DELETE and its
//! undoing, and away with a purge. Behind that are the user, for whom a private one is, and the entry's digest, since all of them
//! together may be longer than a key may be. `annotators` finds what is a user's own in the mailboxes of others: who
//! gets a name that another user had must not find that user's annotations.

use std::collections::BTreeMap;

use heed::RoTxn;
use ravenry_core::mailboxes::UserId;
use ravenry_core::proto::imap::MetadataEntry;
use sha2::{Digest, Sha256};

use super::order::{Annotated, Outcome, Refused};
use super::record::{Rest, text};
use super::tables::Tables;
use super::transaction::{Answer, Transaction, or_refuse};
use super::{MailboxId, Store, StoreError};

/// Entries that a mailbox or the server may have, shared ones, and as many of each user's own.
pub(super) const ANNOTATIONS_MAX: usize = 100;

/// What these take together, with their names: a mailbox is cheap to make, and the index is everybody's.
const ANNOTATION_BYTES_MAX: usize = 128 * 1024;

/// What a key ends with.
const DIGEST_BYTES: usize = 32;

/// What the server's are kept under: no mailbox ever has this id.
const SERVER: MailboxId = MailboxId(u64::MAX);

impl Store {
    /// The entries that a user finds at a mailbox (`None`: at the server), in order, with the sizes of their values.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn annotations(
        &self,
        of: Option<MailboxId>,
        user: &UserId,
    ) -> Result<Vec<(MetadataEntry, u64)>, StoreError> {
        let reading = self.read()?;
        let mut found = Vec::new();
        for scope in [b"".as_slice(), user.as_str().as_bytes()] {
            let table = self.shared.tables.annotations;
            for entry in table.prefix_iter(&reading, &prefix(of, scope))? {
                let (entry, value) = decode(entry?.1)?;
                found.push((entry, value.len() as u64));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The value that a user finds.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn annotation(
        &self,
        of: Option<MailboxId>,
        user: &UserId,
        entry: &MetadataEntry,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let (reading, key) = (self.read()?, key(of, user, entry));
        let found = self.shared.tables.annotations.get(&reading, &key)?;
        found
            .map(|record| Ok(decode(record)?.1.to_vec()))
            .transpose()
    }
}

impl Transaction<'_> {
    pub(super) fn annotate(
        &mut self,
        of: Option<MailboxId>,
        user: &UserId,
        values: &[Annotated],
    ) -> Answer {
        if let Some(id) = of {
            or_refuse!(self.open(id)?);
        }
        for private in [false, true] {
            or_refuse!(self.has_room_for(of, user, private, values)?);
        }
        let tables = self.shared.tables;
        for (entry, value) in values {
            let key = key(of, user, entry);
            match value {
                None => drop(tables.annotations.delete(&mut self.writing, &key)?),
                Some(value) => {
                    let record = encode(entry, value);
                    tables.annotations.put(&mut self.writing, &key, &record)?;
                }
            }
        }
        if values.iter().any(|(entry, _)| entry.is_private()) {
            self.note_annotator(of, user)?;
        }
        Ok(Ok(Outcome::Done))
    }

    /// Whether a user has annotations of their own there, to be found by the user.
    fn note_annotator(&mut self, of: Option<MailboxId>, user: &UserId) -> Result<(), StoreError> {
        let (tables, user) = (self.shared.tables, user.as_str().as_bytes());
        let by = annotator(user, of.unwrap_or(SERVER));
        let mut private = tables
            .annotations
            .prefix_iter(&self.writing, &prefix(of, user))?;
        let any = private.next().transpose()?.is_some();
        drop(private);
        if any {
            tables.annotators.put(&mut self.writing, &by, &[])?;
        } else {
            tables.annotators.delete(&mut self.writing, &by)?;
        }
        Ok(())
    }

    /// Whether there will be no more than there may be, of the shared or of the private ones.
    fn has_room_for(
        &self,
        of: Option<MailboxId>,
        user: &UserId,
        private: bool,
        values: &[Annotated],
    ) -> Result<Result<(), Refused>, StoreError> {
        let mut values = values
            .iter()
            .filter(|(entry, _)| entry.is_private() == private)
            .peekable();
        if values.peek().is_none() {
            return Ok(Ok(()));
        }
        let scope: &[u8] = if private {
            user.as_str().as_bytes()
        } else {
            b""
        };
        let table = self.shared.tables.annotations;
        let mut sizes = BTreeMap::new();
        for entry in table.prefix_iter(&self.writing, &prefix(of, scope))? {
            let (key, record) = entry?;
            sizes.insert(key.to_vec(), record.len());
        }
        let bytes = |sizes: &BTreeMap<Vec<u8>, usize>| sizes.values().sum::<usize>();
        let before = (sizes.len(), bytes(&sizes));
        for (entry, value) in values {
            let key = key(of, user, entry);
            match value {
                Some(value) => sizes.insert(key, encode(entry, value).len()),
                None => sizes.remove(&key),
            };
        }
        let fits = sizes.len() <= ANNOTATIONS_MAX.max(before.0)
            && bytes(&sizes) <= ANNOTATION_BYTES_MAX.max(before.1);
        Ok(if fits {
            Ok(())
        } else {
            Err(Refused::AnnotationsFull)
        })
    }

    /// What a user has annotated privately becomes another's. Without another it goes, but for what is in the user's own
    /// mailboxes: it is theirs as long as these can come back.
    pub(super) fn hand_over_private(&mut self, user: &UserId, to: Option<&UserId>) -> Answer {
        let tables = self.shared.tables;
        let (scope, begin) = (
            user.as_str().as_bytes(),
            annotator(user.as_str().as_bytes(), SERVER),
        );
        let begin = &begin[..begin.len() - size_of::<u64>()];
        let mut ids = Vec::new();
        for entry in tables.annotators.prefix_iter(&self.writing, begin)? {
            ids.push(MailboxId::decode(&entry?.0[begin.len()..])?);
        }
        for id in ids {
            let mailbox = self.mailbox(id)?;
            if to.is_none() && mailbox.is_some_and(|mailbox| mailbox.name.is_owned_by(user)) {
                continue;
            }
            for old in self.keys_from(&prefix(Some(id), scope))? {
                if let Some(to) = to {
                    let digest = &old[old.len() - DIGEST_BYTES..];
                    let begin = prefix(Some(id), to.as_str().as_bytes());
                    self.copy_annotation(&old, &[&begin, digest].concat())?;
                }
                tables.annotations.delete(&mut self.writing, &old)?;
            }
            if let Some(to) = to {
                let by = annotator(to.as_str().as_bytes(), id);
                tables.annotators.put(&mut self.writing, &by, &[])?;
            }
            let by = annotator(scope, id);
            tables.annotators.delete(&mut self.writing, &by)?;
        }
        Ok(Ok(Outcome::Done))
    }

    /// The same annotations at another mailbox, in place of its own of the same names (RENAME of INBOX, RFC 5464 section 4.1).
    pub(super) fn copy_annotations(
        &mut self,
        from: MailboxId,
        to: MailboxId,
    ) -> Result<(), StoreError> {
        let tables = self.shared.tables;
        for old in self.keys_from(&from.key())? {
            let new = [&to.key()[..], &old[size_of::<u64>()..]].concat();
            self.copy_annotation(&old, &new)?;
            if let Some(user) = user_of(&new) {
                let by = annotator(user, to);
                tables.annotators.put(&mut self.writing, &by, &[])?;
            }
        }
        Ok(())
    }

    /// A mailbox goes for good, and what it was annotated with.
    pub(super) fn forget_annotations(&mut self, id: MailboxId) -> Result<(), StoreError> {
        let tables = self.shared.tables;
        for key in self.keys_from(&id.key())? {
            tables.annotations.delete(&mut self.writing, &key)?;
            if let Some(user) = user_of(&key) {
                let by = annotator(user, id);
                tables.annotators.delete(&mut self.writing, &by)?;
            }
        }
        Ok(())
    }

    fn copy_annotation(&mut self, from: &[u8], to: &[u8]) -> Result<(), StoreError> {
        let table = self.shared.tables.annotations;
        let record = table.get(&self.writing, from)?.map(<[u8]>::to_vec);
        let record = record.ok_or(StoreError::Damaged("an annotation's key"))?;
        Ok(table.put(&mut self.writing, to, &record)?)
    }

    /// Keys alone: the values may be more than there is memory for.
    fn keys_from(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let table = self.shared.tables.annotations;
        let keys = table.prefix_iter(&self.writing, prefix)?;
        keys.map(|entry| Ok(entry?.0.to_vec())).collect()
    }
}

/// What the keys of a scope at a mailbox begin with: no name of a user has a NUL in it, and no user has an empty one, which
/// stands for what is shared.
fn prefix(of: Option<MailboxId>, scope: &[u8]) -> Vec<u8> {
    [&of.unwrap_or(SERVER).key(), scope, b"\0"].concat()
}

fn key(of: Option<MailboxId>, user: &UserId, entry: &MetadataEntry) -> Vec<u8> {
    let scope: &[u8] = if entry.is_private() {
        user.as_str().as_bytes()
    } else {
        b""
    };
    let mut key = prefix(of, scope);
    key.extend_from_slice(&Sha256::digest(entry.as_str()));
    key
}

/// Whose a key's annotation is; `None`: it is shared.
fn user_of(key: &[u8]) -> Option<&[u8]> {
    let user = key.get(size_of::<u64>()..)?.split(|byte| *byte == 0);
    user.into_iter().next().filter(|user| !user.is_empty())
}

/// The key that says that a user has annotations of their own there.
fn annotator(user: &[u8], id: MailboxId) -> Vec<u8> {
    [user, b"\0", &id.key()].concat()
}

fn encode(entry: &MetadataEntry, value: &[u8]) -> Vec<u8> {
    let mut record = Vec::new();
    text(&mut record, entry.as_str().as_bytes());
    record.extend_from_slice(value);
    record
}

/// The entry and its value.
pub(super) fn decode(record: &[u8]) -> Result<(MetadataEntry, &[u8]), StoreError> {
    let mut rest = Rest(record);
    let entry = rest.text().and_then(MetadataEntry::parse);
    let entry = entry.ok_or(StoreError::Damaged("an annotation"))?;
    Ok((entry, rest.0))
}

/// Whether a record of a file that is about to be mapped makes sense.
pub(super) fn makes_sense(key: &[u8], record: &[u8]) -> Option<()> {
    let digest = key.get(size_of::<u64>()..)?.last_chunk::<DIGEST_BYTES>()?;
    let entry = decode(record).ok()?.0;
    (*digest == Sha256::digest(entry.as_str())[..]).then_some(())
}

/// Whether what a key is of is there, and where it is a user's own, whether the user finds it.
pub(super) fn belongs(
    tables: &Tables,
    reading: &RoTxn<'_>,
    key: &[u8],
) -> Result<bool, StoreError> {
    let id = key.get(..size_of::<u64>()).unwrap_or_default();
    let id = MailboxId::decode(id)?;
    let there = id == SERVER || tables.mailbox(reading, id)?.is_some();
    let found = match user_of(key) {
        Some(user) => tables
            .annotators
            .get(reading, &annotator(user, id))?
            .is_some(),
        None => true,
    };
    Ok(there && found)
}
