//! A group of orders, in one transaction of the index.
//!
//! Invariants: an order is looked at before anything is changed for it, so a refusal leaves nothing behind; what the
//! disk or the index refuses is an error, and the whole transaction goes. A mailbox' record is written once, at the
//! end. New names of files are on the disk before the index is, and are taken back if it isn't.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use heed::RwTxn;
use ravenry_core::mailboxes::Name;
use ravenry_core::proto::imap::Uids;
use ravenry_core::rt;

use super::groups::UnderWay;
use super::label::Labels;
use super::open::reserve_of;
use super::order::{Change, Order, Outcome, Refused};
use super::spool::Links;
use super::structure::Appending;
use super::tables::{Meta, message_key, message_range};
use super::{Expunged, Mailbox, MailboxId, Message, Quota, Shared, StoreError};

pub(super) struct Transaction<'s> {
    pub(super) shared: &'s Shared,
    pub(super) writing: RwTxn<'s>,
    pub(super) links: Links,
    pub(super) labels: Labels,
    pub(super) meta: Meta,
    /// Mailboxes that have changed; `None`: gone for good.
    pub(super) mailboxes: BTreeMap<MailboxId, Option<Mailbox>>,
    /// Quota roots that have changed; `None`: no longer.
    pub(super) quotas: BTreeMap<Name, Option<Quota>>,
    changes: BTreeMap<MailboxId, Change>,
    pub(super) structures: Appending,
    /// Files that nothing refers to any more.
    pub(super) unlinked: Vec<PathBuf>,
    /// Directories that nothing is in any more, once those are gone.
    pub(super) emptied: Vec<PathBuf>,
    /// The index has come to its ceiling.
    pub(super) full: bool,
    /// … and to half of what is left beyond it: the other half is for what frees room.
    brimful: bool,
    /// Nothing that its snapshot refers to may go.
    pub(super) backup_runs: bool,
    pub(super) now: i64,
    /// The last: what comes with a transaction's end comes before it.
    _under_way: UnderWay<'s>,
}

/// The inner error: it is refused, and nothing has changed. The outer one undoes the group.
pub(super) type Answer = Result<Result<Outcome, Refused>, StoreError>;

/// Goes on with what an order needs, or answers why it is refused.
macro_rules! or_refuse {
    ($found:expr) => {
        match $found {
            Ok(found) => found,
            Err(refused) => return Ok(Err(refused)),
        }
    };
}

pub(super) use or_refuse;

impl<'s> Transaction<'s> {
    pub(super) fn begin(shared: &'s Shared) -> Result<Self, StoreError> {
        let under_way = shared.groups.begin();
        let writing = shared.index.env().write_txn()?;
        let (used, most) = (shared.tables.bytes(&writing)?, shared.index_bytes_max);
        let meta = shared.tables.meta(&writing)?;
        let now = rt::wall_clock()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Ok(Self {
            shared,
            writing,
            links: Links::default(),
            labels: Labels::default(),
            meta,
            mailboxes: BTreeMap::new(),
            quotas: BTreeMap::new(),
            changes: BTreeMap::new(),
            structures: Appending::default(),
            unlinked: Vec::new(),
            emptied: Vec::new(),
            full: used > most,
            brimful: used > most + reserve_of(most) / 2,
            backup_runs: shared.backups.load(Ordering::SeqCst) > 0,
            now: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            _under_way: under_way,
        })
    }

    /// Carries out an order; an error undoes all that came before it, too.
    pub(super) fn carry_out(&mut self, order: &Order) -> Answer {
        let grows = match order {
            // Records as long as before; an ACL is looked at beside the one that it replaces.
            Order::Flags { .. }
            | Order::Recent { .. }
            | Order::SetAcl { .. }
            | Order::Delete { .. }
            | Order::Quarantine { .. }
            | Order::Release { .. }
            | Order::Expunge { .. }
            | Order::Purge { .. }
            | Order::HandOverPrivate { to: None, .. }
            | Order::Subscribe { on: false, .. }
            | Order::SetQuota { limits: None, .. } => false,
            Order::Annotate { values, .. } => values.iter().any(|(_, value)| value.is_some()),
            _ => true,
        };
        // Both leave records behind until a purge.
        let removes = matches!(
            order,
            Order::Delete { .. } | Order::Quarantine { .. } | Order::Expunge { .. }
        );
        if (self.full && grows) || (self.brimful && removes) {
            return Ok(Err(Refused::Full));
        }
        match order {
            Order::Create {
                name,
                partition,
                acl,
                special_use,
            } => self.create(name, partition, acl, *special_use),
            Order::Rename { from, to } => self.rename(from, to),
            Order::Delete { name } => self.delete(name),
            Order::Quarantine { name, why } => self.quarantine(name, why),
            Order::Release { mailbox } => self.release(*mailbox),
            Order::Undelete { mailbox, name } => self.undelete(*mailbox, name),
            Order::SetAcl { name, acl } => self.set_acl(name, acl),
            Order::SetSpecialUse { name, special_use } => self.set_special_use(name, *special_use),
            Order::Annotate { of, user, values } => self.annotate(*of, user, values),
            Order::HandOverPrivate { user, to } => self.hand_over_private(user, to.as_ref()),
            Order::Subscribe { user, name, on } => self.subscribe(user, name, *on),
            Order::SetQuota { root, limits } => self.set_quota(root, *limits),
            Order::Append { mailbox, messages } => self.append(*mailbox, messages),
            Order::Flags {
                mailbox,
                uids,
                change,
            } => self.flag(*mailbox, uids, change),
            Order::Structures { mailbox, records } => self.keep_structures(*mailbox, records),
            Order::Recent { mailbox, up_to } => self.recent(*mailbox, *up_to),
            Order::Expunge { mailbox, uids } => self.expunge(*mailbox, uids.as_ref()),
            Order::Unexpunge { mailbox, uids } => self.unexpunge(*mailbox, uids),
            Order::Copy {
                from,
                uids,
                to,
                moves,
                keep,
            } => self.copy((*from, uids), *to, *moves, *keep),
            Order::Replace {
                from,
                uid,
                to,
                message,
            } => self.replace((*from, *uid), *to, message),
            Order::MoveAll { from, to } => self.move_all(from, to),
            Order::Reconstruct { mailbox, suspects } => self.reconstruct(*mailbox, suspects),
            Order::Purge { before } => self.purge(*before),
        }
    }

    /// Makes all of it last.
    pub(super) fn commit(mut self) -> Result<Vec<Change>, StoreError> {
        for (id, mailbox) in std::mem::take(&mut self.mailboxes) {
            let table = self.shared.tables.mailboxes;
            match mailbox {
                Some(mailbox) => table.put(&mut self.writing, &id.key(), &mailbox.encode())?,
                None => drop(table.delete(&mut self.writing, &id.key())?),
            }
        }
        self.write_quotas()?;
        // Or each commit writes a page more.
        if self.meta != self.shared.tables.meta(&self.writing)? {
            self.shared.tables.put_meta(&mut self.writing, self.meta)?;
        }
        self.labels.sync()?;
        self.links.sync()?;
        self.writing.commit()?;
        self.labels.keep();
        self.links.keep();
        let removed = self
            .unlinked
            .iter()
            .map(|path| (path, fs::remove_file(path)));
        let emptied = self.emptied.iter().map(|path| (path, fs::remove_dir(path)));
        for (path, removed) in removed.chain(emptied) {
            // Nothing refers to it; after a crash it would be found.
            if let Err(error) = removed
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!("can't remove {}: {error}", path.display());
            }
        }
        Ok(self.changes.into_values().collect())
    }

    /// What is there of these messages, in order; all, where none are named.
    pub(super) fn messages(
        &self,
        id: MailboxId,
        uids: Option<&Uids>,
    ) -> Result<Vec<Message>, StoreError> {
        let all = (1, u32::MAX);
        let ranges = uids.map_or_else(|| vec![all], |uids| uids.in_order());
        let mut found = Vec::new();
        for (first, last) in ranges {
            let range = message_range(id, first, last);
            for entry in self
                .shared
                .tables
                .messages
                .range(&self.writing, &range.bounds())?
            {
                let (key, record) = entry?;
                found.push(Message::decode(key, record)?);
            }
        }
        Ok(found)
    }

    pub(super) fn put_message(
        &mut self,
        id: MailboxId,
        message: &Message,
    ) -> Result<(), StoreError> {
        let key = message_key(id, message.uid);
        let table = self.shared.tables.messages;
        Ok(table.put(&mut self.writing, &key, &message.encode())?)
    }

    pub(super) fn put_expunged(
        &mut self,
        id: MailboxId,
        expunged: &Expunged,
    ) -> Result<(), StoreError> {
        let key = message_key(id, expunged.message.uid);
        let table = self.shared.tables.expunged;
        Ok(table.put(&mut self.writing, &key, &expunged.encode())?)
    }

    pub(super) fn is_free(&self, name: &Name) -> Result<Result<(), Refused>, StoreError> {
        let taken = self.shared.tables.id_of(&self.writing, name)?.is_some();
        Ok(if taken { Err(Refused::Exists) } else { Ok(()) })
    }

    pub(super) fn named(&self, name: &Name) -> Result<Result<Mailbox, Refused>, StoreError> {
        let id = self.shared.tables.id_of(&self.writing, name)?;
        match id {
            None => Ok(Err(Refused::NoMailbox)),
            Some(id) => Ok(self.mailbox(id)?.ok_or(Refused::NoMailbox)),
        }
    }

    /// A mailbox that has a name.
    pub(super) fn open(&self, id: MailboxId) -> Result<Result<Mailbox, Refused>, StoreError> {
        let removed = self.shared.tables.removed.get(&self.writing, &id.key())?;
        let found = self.mailbox(id)?.filter(|_| removed.is_none());
        Ok(found.ok_or(Refused::NoMailbox))
    }

    /// A mailbox as this group has left it.
    pub(super) fn mailbox(&self, id: MailboxId) -> Result<Option<Mailbox>, StoreError> {
        match self.mailboxes.get(&id) {
            Some(mailbox) => Ok(mailbox.clone()),
            None => self.shared.tables.mailbox(&self.writing, id),
        }
    }

    pub(super) fn changed(&mut self, mailbox: &Mailbox) -> &mut Change {
        let change = self.changes.entry(mailbox.id).or_insert_with(|| Change {
            mailbox: mailbox.id,
            modseq: mailbox.highestmodseq,
            appended: Uids::default(),
            flagged: Uids::default(),
            expunged: Uids::default(),
            deleted: false,
        });
        change.modseq = mailbox.highestmodseq;
        change
    }
}
