//! The index' tables: what a key and a record are.
//!
//! * `names`: a mailbox' name, so that children come right behind their parent, to its id.
//! * `access`: who may see which names (`access`).
//! * `mailboxes`: id to [`Mailbox`].
//! * `former`: a name's key to the highest UIDVALIDITY of the mailboxes that had it and have it no longer (`validity`).
//! * `messages`: id and UID to [`Message`]: a mailbox' messages stand together, in order.
//! * `expunged`: id and UID to [`Expunged`], until it is purged.
//! * `due`: the same by the time when they went, with nothing as its value.
//! * `removed`: ids of mailboxes that were deleted or are in quarantine, until they are purged, to the time, and why ([`super::removed`]).
//! * `annotations`: an id, a user (none: it is shared) and an entry's digest to the entry and its value ([`super::annotations`]).
//! * `annotators`: a user and an id, of a mailbox where the user has annotations of their own.
//! * `subscriptions`: a user and a name's digest to the name.
//! * `quotas`: names of quota roots to [`super::Quota`].
//! * `meta`: one record, [`Meta`].

use std::ops::Bound;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, RoTxn, RwTxn, WithoutTls};
use ravenry_core::mailboxes::Name;

use super::annotations as annotated;
use super::record::Rest;
use super::removed::Gone;
use super::{Expunged, Mailbox, MailboxId, Message, Quota, StoreError, subscriptions};

/// The layout's number. An index of a lower one is brought to it when it is opened: 1 had no `access`, 2 no
/// `former`, 3 no `due`, 4 no quarantine.
pub(super) const SCHEMA: u32 = 5;
pub(super) const DATABASES_MAX: u32 = 16;

pub(super) type Table = Database<'static, Bytes, Bytes>;
pub(super) type Reading<'e> = RoTxn<'e, WithoutTls>;

/// Handles of the tables.
#[derive(Clone, Copy)]
pub(super) struct Tables {
    pub(super) names: Table,
    pub(super) access: Table,
    pub(super) mailboxes: Table,
    pub(super) former: Table,
    pub(super) messages: Table,
    pub(super) expunged: Table,
    pub(super) due: Table,
    pub(super) removed: Table,
    pub(super) annotations: Table,
    pub(super) annotators: Table,
    pub(super) subscriptions: Table,
    pub(super) quotas: Table,
    meta: Table,
}

impl Tables {
    /// Opens the tables, or makes them.
    pub(super) fn open(env: &Env<WithoutTls>) -> Result<Self, StoreError> {
        let transaction = env.write_txn()?;
        let opened = env.create_databases_and_commit(transaction, |opener, transaction| {
            let mut table = |name| opener.create_database::<Bytes, Bytes>(transaction, Some(name));
            let tables = (
                table("names")?,
                table("access")?,
                table("mailboxes")?,
                table("former")?,
                table("messages")?,
                table("expunged")?,
                table("due")?,
                table("removed")?,
                (table("annotations")?, table("annotators")?),
                table("subscriptions")?,
                table("quotas")?,
                table("meta")?,
            );
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(tables))
        })?;
        let (
            names,
            access,
            mailboxes,
            former,
            messages,
            expunged,
            due,
            removed,
            (annotations, annotators),
            subscriptions,
            quotas,
            meta,
        ) = opened.unwrap_commit();
        Ok(Self {
            names,
            access,
            mailboxes,
            former,
            messages,
            expunged,
            due,
            removed,
            annotations,
            annotators,
            subscriptions,
            quotas,
            meta,
        })
    }

    /// How much of the index is in use.
    pub(super) fn bytes(&self, reading: &RoTxn<'_>) -> Result<u64, StoreError> {
        let all = [
            self.names,
            self.access,
            self.mailboxes,
            self.former,
            self.messages,
            self.expunged,
            self.due,
            self.removed,
            self.annotations,
            self.annotators,
            self.subscriptions,
            self.quotas,
        ];
        let mut bytes = 0;
        for table in all {
            let stat = table.stat(reading)?;
            let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
            bytes += pages as u64 * u64::from(stat.page_size);
        }
        Ok(bytes)
    }

    pub(super) fn id_of(
        &self,
        reading: &RoTxn<'_>,
        name: &Name,
    ) -> Result<Option<MailboxId>, StoreError> {
        let found = self.names.get(reading, &name.to_key())?;
        found.map(MailboxId::decode).transpose()
    }

    pub(super) fn mailbox(
        &self,
        reading: &RoTxn<'_>,
        id: MailboxId,
    ) -> Result<Option<Mailbox>, StoreError> {
        let found = self.mailboxes.get(reading, &id.key())?;
        found.map(|record| Mailbox::decode(id, record)).transpose()
    }

    pub(super) fn meta(&self, reading: &RoTxn<'_>) -> Result<Meta, StoreError> {
        match self.meta.get(reading, META_KEY)? {
            None => Ok(Meta::default()),
            Some(record) => {
                Meta::read(record).ok_or(StoreError::Damaged("the record of its layout"))
            }
        }
    }

    /// The number of the layout that it has; `None`: there has been nothing in it.
    pub(super) fn layout(&self, reading: &RoTxn<'_>) -> Result<Option<u32>, StoreError> {
        let found = self.meta.get(reading, META_KEY)?;
        Ok(found.and_then(|record| Some(u32::from_le_bytes(*record.first_chunk()?))))
    }

    pub(super) fn put_meta(&self, writing: &mut RwTxn<'_>, meta: Meta) -> Result<(), StoreError> {
        Ok(self.meta.put(writing, META_KEY, &meta.encode())?)
    }
}

/// Whether a record of a file that is about to be mapped makes sense.
pub(super) fn makes_sense(table: &[u8], key: &[u8], record: &[u8]) -> Option<()> {
    match table {
        b"names" => MailboxId::decode(record).ok().map(drop),
        b"access" => (record.is_empty() && key.contains(&0)).then_some(()),
        b"mailboxes" => Mailbox::decode(MailboxId::decode(key).ok()?, record)
            .ok()
            .map(drop),
        b"former" => decode_uidvalidity(record).ok().map(drop),
        b"messages" => Message::decode(key, record).ok().map(drop),
        b"expunged" => Expunged::decode(key, record).ok().map(drop),
        b"due" => decode_due_key(key).ok().map(drop),
        b"removed" => Gone::decode(record).ok().map(drop),
        b"annotations" => annotated::makes_sense(key, record),
        b"annotators" => record.is_empty().then_some(()),
        b"subscriptions" => subscriptions::decode(record).ok().map(drop),
        b"quotas" => Quota::decode(record).ok().map(drop),
        b"meta" => Meta::read(record).map(drop),
        _ => None,
    }
}

/// What the store knows of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Meta {
    /// The id of the next mailbox.
    pub(super) next_id: u64,
    /// The highest UIDVALIDITY that was ever given.
    pub(super) uidvalidity: u32,
    /// A name that isn't in `former` may have had a mailbox with a UIDVALIDITY up to this.
    pub(super) former_floor: u32,
}

impl Meta {
    fn encode(self) -> Vec<u8> {
        let mut bytes = SCHEMA.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.next_id.to_le_bytes());
        bytes.extend_from_slice(&self.uidvalidity.to_le_bytes());
        bytes.extend_from_slice(&self.former_floor.to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes);
        let schema = u32::from_le_bytes(*rest.take()?);
        let next_id = u64::from_le_bytes(*rest.take()?);
        let uidvalidity = u32::from_le_bytes(*rest.take()?);
        let meta = Self {
            next_id,
            uidvalidity,
            former_floor: match schema {
                // Nobody knows what names had.
                1 | 2 => uidvalidity,
                _ => u32::from_le_bytes(*rest.take()?),
            },
        };
        ((1..=SCHEMA).contains(&schema) && rest.0.is_empty()).then_some(meta)
    }
}

pub(super) fn decode_uidvalidity(bytes: &[u8]) -> Result<u32, StoreError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| StoreError::Damaged("a UIDVALIDITY"))?;
    Ok(u32::from_le_bytes(bytes))
}

/// The mailbox and the UID that a message's key names.
pub(super) fn decode_message_key(key: &[u8]) -> Result<(MailboxId, u32), StoreError> {
    let split = key.split_at_checked(8);
    let (id, uid) = split.ok_or(StoreError::Damaged("a message's key"))?;
    let uid = uid
        .try_into()
        .map_err(|_| StoreError::Damaged("a message's key"))?;
    Ok((MailboxId::decode(id)?, u32::from_be_bytes(uid)))
}

pub(super) fn message_key(mailbox: MailboxId, uid: u32) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&mailbox.key());
    key[8..].copy_from_slice(&uid.to_be_bytes());
    key
}

/// The key in `due` of a message that went at this time.
pub(super) fn due_key(at: i64, mailbox: MailboxId, uid: u32) -> [u8; 20] {
    let mut key = [0; 20];
    // Times before 1970 come before the others.
    let ordered = at.cast_unsigned() ^ (1 << 63);
    key[..8].copy_from_slice(&ordered.to_be_bytes());
    key[8..].copy_from_slice(&message_key(mailbox, uid));
    key
}

/// The time, the mailbox and the UID that a key in `due` names.
pub(super) fn decode_due_key(key: &[u8]) -> Result<(i64, MailboxId, u32), StoreError> {
    let split = key.split_first_chunk();
    let (at, message) = split.ok_or(StoreError::Damaged("a time to purge"))?;
    let (mailbox, uid) = decode_message_key(message)?;
    let at = (u64::from_be_bytes(*at) ^ (1 << 63)).cast_signed();
    Ok((at, mailbox, uid))
}

/// The keys of a mailbox' messages between two UIDs, both included.
pub(super) struct MessageRange([u8; 12], [u8; 12]);

pub(super) fn message_range(mailbox: MailboxId, first: u32, last: u32) -> MessageRange {
    MessageRange(message_key(mailbox, first), message_key(mailbox, last))
}

impl MessageRange {
    pub(super) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (Bound::Included(&self.0), Bound::Included(&self.1))
    }
}

const META_KEY: &[u8] = b"meta";
