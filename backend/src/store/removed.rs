//! Mailboxes without a name: what was deleted, and what is in quarantine. They come back by [`super::Order::Undelete`], and
//! go for good by a purge.
//!
//! Into quarantine goes what the murder has at another backend: nobody asked for it, so it is kept for [`QUARANTINE`],
//! whatever `keep_removed` says and whatever an operator purges, until its time is over or it is released.

use std::time::Duration;

use ravenry_core::mailboxes::Name;

use super::order::{Outcome, Refused};
use super::record::{Rest, text};
use super::transaction::{Answer, Transaction, or_refuse};
use super::{Mailbox, MailboxId, Store, StoreError, Usage};

/// How long a mailbox is kept in quarantine.
pub const QUARANTINE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// What is kept of a reason.
const WHY_BYTES_MAX: usize = 1024;

/// A mailbox that has no name any more, until it is purged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// With the name that it had.
    pub mailbox: Mailbox,
    /// When, in seconds since 1970.
    pub at: i64,
    /// `None`: somebody deleted it.
    pub quarantined: Option<Quarantined>,
}

/// Why a mailbox was taken away that nobody deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Until when it is kept, in seconds since 1970.
    pub until: i64,
    /// Why.
    pub why: String,
}

/// A record of the table `removed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) at: i64,
    pub(super) quarantined: Option<Quarantined>,
}

impl Gone {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.at.to_le_bytes().to_vec();
        if let Some(Quarantined { until, why }) = &self.quarantined {
            bytes.extend_from_slice(&until.to_le_bytes());
            let why = &why[..why.floor_char_boundary(WHY_BYTES_MAX)];
            text(&mut bytes, why.as_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        Self::read(bytes).ok_or(StoreError::Damaged("the record of a deleted mailbox"))
    }

    /// Up to layout 4 there was the time alone.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes);
        let at = i64::from_le_bytes(*rest.take()?);
        let quarantined = match rest.0 {
            [] => None,
            _ => Some(Quarantined {
                until: i64::from_le_bytes(*rest.take()?),
                why: String::from_utf8(rest.text()?.to_vec()).ok()?,
            }),
        };
        rest.0.is_empty().then_some(Self { at, quarantined })
    }

    /// Whether a purge of what was deleted before a time takes it.
    pub(super) fn is_due(&self, before: i64, now: i64) -> bool {
        match &self.quarantined {
            None => self.at < before,
            Some(quarantined) => quarantined.until <= now,
        }
    }
}

impl Store {
    /// Mailboxes without a name, in the order in which they were made.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn removed(&self) -> Result<Vec<Removed>, StoreError> {
        let (reading, tables) = (self.read()?, &self.shared.tables);
        let mut all = Vec::new();
        for entry in tables.removed.iter(&reading)? {
            let (id, record) = entry?;
            let mailbox = tables.mailbox(&reading, MailboxId::decode(id)?)?;
            let Gone { at, quarantined } = Gone::decode(record)?;
            all.push(Removed {
                mailbox: mailbox.ok_or_else(no_record)?,
                at,
                quarantined,
            });
        }
        Ok(all)
    }
}

impl Transaction<'_> {
    pub(super) fn delete(&mut self, name: &Name) -> Answer {
        let mailbox = or_refuse!(self.named(name)?);
        self.take_away(&mailbox, None)
    }

    pub(super) fn quarantine(&mut self, name: &Name, why: &str) -> Answer {
        let mailbox = or_refuse!(self.named(name)?);
        let kept = i64::try_from(QUARANTINE.as_secs()).unwrap_or(i64::MAX);
        let quarantined = Quarantined {
            until: self.now.saturating_add(kept),
            why: why.to_owned(),
        };
        self.take_away(&mailbox, Some(quarantined))
    }

    fn take_away(&mut self, mailbox: &Mailbox, quarantined: Option<Quarantined>) -> Answer {
        self.take_name(mailbox)?;
        let at = self.now;
        self.put_gone(mailbox.id, &Gone { at, quarantined })?;
        self.uncount(self.root_of(&mailbox.name)?, Usage::of_mailbox(mailbox))?;
        self.changed(mailbox).deleted = true;
        Ok(Ok(Outcome::Done))
    }

    fn put_gone(&mut self, id: MailboxId, gone: &Gone) -> Result<(), StoreError> {
        let removed = self.shared.tables.removed;
        Ok(removed.put(&mut self.writing, &id.key(), &gone.encode())?)
    }

    /// From now on it is one that was deleted now.
    pub(super) fn release(&mut self, id: MailboxId) -> Answer {
        let record = self.shared.tables.removed.get(&self.writing, &id.key())?;
        match record.map(Gone::decode).transpose()? {
            Some(gone) if gone.quarantined.is_some() => {
                let (at, quarantined) = (self.now, None);
                self.put_gone(id, &Gone { at, quarantined })?;
                Ok(Ok(Outcome::Done))
            }
            _ => Ok(Err(Refused::NoMailbox)),
        }
    }

    pub(super) fn undelete(&mut self, id: MailboxId, name: &Name) -> Answer {
        or_refuse!(self.is_free(name)?);
        let removed = self.shared.tables.removed;
        if !removed.delete(&mut self.writing, &id.key())? {
            return Ok(Err(Refused::NoMailbox));
        }
        let mut mailbox = self.mailbox(id)?.ok_or_else(no_record)?;
        mailbox.name = name.clone();
        self.keep_uidvalidity(&mut mailbox)?;
        self.put_name(&mailbox)?;
        self.count(self.root_of(name)?, Usage::of_mailbox(&mailbox))?;
        self.labels.write(&self.shared.spool, &mailbox)?;
        self.mailboxes.insert(id, Some(mailbox));
        Ok(Ok(Outcome::Done))
    }
}

fn no_record() -> StoreError {
    StoreError::Damaged("a mailbox that was deleted has no record")
}
