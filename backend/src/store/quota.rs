//! Quotas (RFC 9208): limits on what is below a name, and how much of them is used.
//!
//! A quota root is a name, whether a mailbox has it or not. A mailbox counts for the nearest root among its own name and
//! those above it, and for no other. Usage stands in the root's record and changes in the transaction that changes what
//! it counts; what was expunged or deleted doesn't count. What makes something less is never refused, and neither is what
//! an operator brings back.

use std::collections::BTreeSet;
use std::iter;

use heed::RoTxn;
use ravenry_core::mailboxes::Name;

use super::order::{Outcome, Refused};
use super::record::Rest;
use super::tables::Tables;
use super::transaction::{Answer, Transaction};
use super::{Mailbox, MailboxId, Message, Store, StoreError};

/// What may be used; `None`: as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of messages. The protocol's STORAGE has units of 1024.
    pub storage: Option<u64>,
    /// Messages.
    pub messages: Option<u64>,
    /// Mailboxes.
    pub mailboxes: Option<u64>,
}

/// What is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of messages.
    pub storage: u64,
    /// Messages.
    pub messages: u64,
    /// Mailboxes.
    pub mailboxes: u64,
}

/// A quota root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Its name.
    pub root: Name,
    /// What may be used.
    pub limits: Limits,
    /// What is used.
    pub usage: Usage,
}

impl Usage {
    pub(super) fn of_mailbox(mailbox: &Mailbox) -> Self {
        Self {
            mailboxes: 1,
            ..Self::of_messages_in(mailbox)
        }
    }

    fn of_messages_in(mailbox: &Mailbox) -> Self {
        Self {
            storage: mailbox.bytes,
            messages: mailbox.exists.into(),
            mailboxes: 0,
        }
    }

    pub(super) fn of_messages<'m>(messages: impl Iterator<Item = &'m Message>) -> Self {
        Self::of_sizes(messages.map(|message| message.size))
    }

    pub(super) fn of_sizes(sizes: impl Iterator<Item = u64>) -> Self {
        sizes.fold(Self::default(), |all, size| Self {
            storage: all.storage.saturating_add(size),
            messages: all.messages + 1,
            mailboxes: 0,
        })
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            storage: self.storage.saturating_add(other.storage),
            messages: self.messages.saturating_add(other.messages),
            mailboxes: self.mailboxes.saturating_add(other.mailboxes),
        }
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self {
            storage: self.storage.saturating_sub(other.storage),
            messages: self.messages.saturating_sub(other.messages),
            mailboxes: self.mailboxes.saturating_sub(other.mailboxes),
        }
    }
}

impl Quota {
    /// Whether there is room for so much more. What there is none more of may be over its limit already.
    fn has_room_for(&self, more: Usage) -> bool {
        let fits = |limit: Option<u64>, used: u64, more: u64| {
            more == 0 || limit.is_none_or(|limit| used.saturating_add(more) <= limit)
        };
        let (limits, usage) = (self.limits, self.usage);
        fits(limits.storage, usage.storage, more.storage)
            && fits(limits.messages, usage.messages, more.messages)
            && fits(limits.mailboxes, usage.mailboxes, more.mailboxes)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        for limit in [
            self.limits.storage,
            self.limits.messages,
            self.limits.mailboxes,
        ] {
            bytes.push(limit.is_some().into());
            bytes.extend_from_slice(&limit.unwrap_or_default().to_le_bytes());
        }
        for used in [
            self.usage.storage,
            self.usage.messages,
            self.usage.mailboxes,
        ] {
            bytes.extend_from_slice(&used.to_le_bytes());
        }
        bytes.extend_from_slice(self.root.as_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        Self::read(bytes).ok_or(StoreError::Damaged("the record of a quota root"))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes);
        let mut limit = || {
            let [there] = *rest.take()?;
            let number = u64::from_le_bytes(*rest.take()?);
            match there {
                0 => Some(None),
                1 => Some(Some(number)),
                _ => None,
            }
        };
        let limits = Limits {
            storage: limit()?,
            messages: limit()?,
            mailboxes: limit()?,
        };
        let mut used = || Some(u64::from_le_bytes(*rest.take()?));
        let usage = Usage {
            storage: used()?,
            messages: used()?,
            mailboxes: used()?,
        };
        let root = Name::from_mupdate(rest.0).ok()?;
        Some(Self {
            root,
            limits,
            usage,
        })
    }
}

impl Tables {
    pub(super) fn quota(
        &self,
        reading: &RoTxn<'_>,
        root: &Name,
    ) -> Result<Option<Quota>, StoreError> {
        let found = self.quotas.get(reading, &root.to_key())?;
        found.map(Quota::decode).transpose()
    }
}

/// A name and those above it, from below.
pub(super) fn upwards(name: &Name) -> impl Iterator<Item = Name> {
    iter::successors(Some(name.clone()), Name::parent)
}

impl Store {
    /// The quota root that a mailbox of this name counts for, whether there is one or not.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn quota_root_of(&self, name: &Name) -> Result<Option<Name>, StoreError> {
        let reading = self.read()?;
        for name in upwards(name) {
            if self.shared.tables.quota(&reading, &name)?.is_some() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// The quota root of this name.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn quota(&self, root: &Name) -> Result<Option<Quota>, StoreError> {
        let reading = self.read()?;
        self.shared.tables.quota(&reading, root)
    }

    /// The quota roots at and below a name, in the list's order.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn quotas_below(&self, name: &Name) -> Result<Vec<Quota>, StoreError> {
        let (reading, tables) = (self.read()?, &self.shared.tables);
        let mut all = Vec::from_iter(tables.quota(&reading, name)?);
        let below = [name.to_key(), vec![0]].concat();
        for entry in tables.quotas.prefix_iter(&reading, &below)? {
            all.push(Quota::decode(entry?.1)?);
        }
        Ok(all)
    }

    /// Gives every quota root, in the list's order.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn each_quota(&self, mut take: impl FnMut(Quota)) -> Result<(), StoreError> {
        let reading = self.read()?;
        for entry in self.shared.tables.quotas.iter(&reading)? {
            take(Quota::decode(entry?.1)?);
        }
        Ok(())
    }
}

impl Transaction<'_> {
    pub(super) fn set_quota(&mut self, root: &Name, limits: Option<Limits>) -> Answer {
        let above = match root.parent() {
            Some(parent) => self.root_of(&parent)?,
            None => None,
        };
        match (self.quota(root)?, limits) {
            (None, None) => {}
            (Some(_), Some(limits)) => {
                let usage = self.usage_below(root)?;
                self.put_quota(Quota {
                    root: root.clone(),
                    limits,
                    usage,
                });
            }
            (Some(old), None) => {
                self.quotas.insert(root.clone(), None);
                self.count(above, old.usage)?;
            }
            (None, Some(limits)) => {
                let usage = self.usage_below(root)?;
                self.uncount(above, usage)?;
                self.put_quota(Quota {
                    root: root.clone(),
                    limits,
                    usage,
                });
            }
        }
        Ok(Ok(Outcome::Done))
    }

    /// What mailboxes at and below a name use, without those that count for a root below it. The writer is kept meanwhile, so
    /// nothing is looked at of a mailbox but its counts.
    fn usage_below(&self, name: &Name) -> Result<Usage, StoreError> {
        let (names, key) = (self.shared.tables.names, name.to_key());
        let below = [&key[..], &[0]].concat();
        let nested = self.root_keys(&below)?;
        let is_nested = |name: &[u8]| {
            let ends = (below.len()..name.len()).filter(|at| name[*at] == 0);
            let mut levels = ends.chain([name.len()]).map(|end| &name[..end]);
            !nested.is_empty() && levels.any(|level| nested.contains(level))
        };
        let mut usage = match names.get(&self.writing, &key)? {
            Some(id) => self.usage_of(MailboxId::decode(id)?)?,
            None => Usage::default(),
        };
        for entry in names.prefix_iter(&self.writing, &below)? {
            let (name, id) = entry?;
            if !is_nested(name) {
                usage = usage.and(self.usage_of(MailboxId::decode(id)?)?);
            }
        }
        Ok(usage)
    }

    /// The keys of quota roots that begin so, as this group has left them.
    fn root_keys(&self, prefix: &[u8]) -> Result<BTreeSet<Vec<u8>>, StoreError> {
        let mut keys = BTreeSet::new();
        for entry in self
            .shared
            .tables
            .quotas
            .prefix_iter(&self.writing, prefix)?
        {
            keys.insert(entry?.0.to_vec());
        }
        for (root, quota) in &self.quotas {
            let key = root.to_key();
            if quota.is_none() {
                keys.remove(&key);
            } else if key.starts_with(prefix) {
                keys.insert(key);
            }
        }
        Ok(keys)
    }

    fn usage_of(&self, id: MailboxId) -> Result<Usage, StoreError> {
        let nameless = StoreError::Damaged("a name without its mailbox");
        match self.mailboxes.get(&id) {
            Some(Some(mailbox)) => Ok(Usage::of_mailbox(mailbox)),
            Some(None) => Err(nameless),
            None => {
                let record = self.shared.tables.mailboxes.get(&self.writing, &id.key())?;
                let (exists, storage) = Mailbox::peek(record.ok_or(nameless)?)?;
                Ok(Usage {
                    storage,
                    messages: exists.into(),
                    mailboxes: 1,
                })
            }
        }
    }

    pub(super) fn root_of(&self, name: &Name) -> Result<Option<Name>, StoreError> {
        for name in upwards(name) {
            if self.quota(&name)?.is_some() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Whether so much more may be at a name.
    pub(super) fn has_room(
        &self,
        name: &Name,
        more: Usage,
    ) -> Result<Result<(), Refused>, StoreError> {
        let quota = match self.root_of(name)? {
            Some(root) => self.quota(&root)?,
            None => None,
        };
        let fits = quota.is_none_or(|quota| quota.has_room_for(more));
        Ok(if fits {
            Ok(())
        } else {
            Err(Refused::OverQuota)
        })
    }

    /// So much more counts for a root.
    pub(super) fn count(&mut self, root: Option<Name>, more: Usage) -> Result<(), StoreError> {
        self.change_usage(root, |usage| usage.and(more))
    }

    /// So much doesn't count for a root any more.
    pub(super) fn uncount(&mut self, root: Option<Name>, less: Usage) -> Result<(), StoreError> {
        self.change_usage(root, |usage| usage.without(less))
    }

    /// Keeps a mailbox of this name as it is now, and counts what has come or gone.
    pub(super) fn keep(&mut self, mailbox: Mailbox) -> Result<(), StoreError> {
        let before = self.mailbox(mailbox.id)?;
        let before = before.map_or_else(Usage::default, |old| Usage::of_messages_in(&old));
        let now = Usage::of_messages_in(&mailbox);
        if before != now {
            let root = self.root_of(&mailbox.name)?;
            self.change_usage(root, |usage| usage.and(now).without(before))?;
        }
        self.mailboxes.insert(mailbox.id, Some(mailbox));
        Ok(())
    }

    fn change_usage(
        &mut self,
        root: Option<Name>,
        change: impl FnOnce(Usage) -> Usage,
    ) -> Result<(), StoreError> {
        let Some(root) = root else { return Ok(()) };
        if let Some(mut quota) = self.quota(&root)? {
            quota.usage = change(quota.usage);
            self.put_quota(quota);
        }
        Ok(())
    }

    fn put_quota(&mut self, quota: Quota) {
        self.quotas.insert(quota.root.clone(), Some(quota));
    }

    /// A quota root as this group has left it.
    fn quota(&self, root: &Name) -> Result<Option<Quota>, StoreError> {
        match self.quotas.get(root) {
            Some(quota) => Ok(quota.clone()),
            None => self.shared.tables.quota(&self.writing, root),
        }
    }

    /// Writes what has changed.
    pub(super) fn write_quotas(&mut self) -> Result<(), StoreError> {
        let table = self.shared.tables.quotas;
        for (root, quota) in std::mem::take(&mut self.quotas) {
            match quota {
                Some(quota) => table.put(&mut self.writing, &root.to_key(), &quota.encode())?,
                None => drop(table.delete(&mut self.writing, &root.to_key())?),
            }
        }
        Ok(())
    }
}
