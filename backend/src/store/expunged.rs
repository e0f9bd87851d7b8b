//! What was expunged and isn't purged yet, and how it comes back.
//!
//! A message comes back as a new one, with another UID: clients have been told that the old one is gone for good
//! (RFC 3501 section 2.3.1.1). The old record stays until it is purged, so that nothing but a purge removes a file.

use std::fs;

use ravenry_core::proto::imap::Uids;

use super::order::{Appended, Outcome};
use super::record::Rest;
use super::tables::message_range;
use super::transaction::{Answer, Transaction, or_refuse};
use super::{Flags, Mailbox, MailboxId, Message, Store, StoreError, mail};

/// A message that is gone, until it is purged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expunged {
    /// The mailbox' modseq when it went.
    pub modseq: u64,
    /// When, in seconds since 1970.
    pub at: i64,
    /// Whether it can come back.
    pub rest: Rests,
    /// As it was.
    pub message: Message,
}

/// What there is of a message that was expunged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rests {
    /// Its file: it can come back.
    File,
    /// It has come back, with another UID.
    Returned,
    /// Nothing: its file was missing, or another one, and so it went.
    Missing,
}

impl Store {
    /// A mailbox' messages that were expunged.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn expunged(&self, mailbox: MailboxId) -> Result<Vec<Expunged>, StoreError> {
        let reading = self.read()?;
        let table = self.shared.tables.expunged;
        let all = table.prefix_iter(&reading, &mailbox.key())?;
        all.map(|entry| {
            let (key, record) = entry?;
            Expunged::decode(key, record)
        })
        .collect()
    }
}

impl Transaction<'_> {
    pub(super) fn unexpunge(&mut self, id: MailboxId, uids: &Uids) -> Answer {
        let mut mailbox = or_refuse!(self.open(id)?);
        let expunged = self.that_can_return(&mailbox, uids)?;
        or_refuse!(mail::room_for(&mailbox, expunged.len()));
        mailbox.highestmodseq += u64::from(!expunged.is_empty());
        let mut structures = self.structures_of(&mailbox);
        let (mut taken, mut given) = (Uids::default(), Uids::default());
        for mut expunged in expunged {
            let (old, uid) = (&expunged.message, mailbox.uidnext);
            let structure = self.copy_structure((&mut structures, old), (&mut mailbox, uid));
            let mut message = Message {
                uid,
                modseq: mailbox.highestmodseq,
                saved: self.now,
                structure,
                ..old.clone()
            };
            // Or the next EXPUNGE would take it again.
            message.flags.system &= !Flags::DELETED;
            let path = |uid| self.shared.spool.message(&mailbox.partition, id, uid);
            let (from, to) = (path(old.uid), path(message.uid));
            self.links.link(&from, to)?;
            taken.push(old.uid);
            given.push(message.uid);
            expunged.rest = Rests::Returned;
            self.put_expunged(id, &expunged)?;
            self.add(&mut mailbox, &message)?;
        }
        let to = Appended {
            uidvalidity: mailbox.uidvalidity,
            uids: given,
        };
        self.keep(mailbox)?;
        Ok(Ok(Outcome::Copied { from: taken, to }))
    }

    fn that_can_return(&self, mailbox: &Mailbox, uids: &Uids) -> Result<Vec<Expunged>, StoreError> {
        let mut found = Vec::new();
        for (first, last) in uids.in_order() {
            let range = message_range(mailbox.id, first, last);
            let table = self.shared.tables.expunged;
            for entry in table.range(&self.writing, &range.bounds())? {
                let (key, record) = entry?;
                let expunged = Expunged::decode(key, record)?;
                let uid = expunged.message.uid;
                let path = self
                    .shared
                    .spool
                    .message(&mailbox.partition, mailbox.id, uid);
                if expunged.rest == Rests::File && fs::symlink_metadata(path).is_ok() {
                    found.push(expunged);
                }
            }
        }
        Ok(found)
    }
}

impl Expunged {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.modseq.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.at.to_le_bytes());
        bytes.push(match self.rest {
            Rests::File => 0,
            Rests::Returned => 1,
            Rests::Missing => 2,
        });
        bytes.extend_from_slice(&self.message.encode());
        bytes
    }

    pub(super) fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, StoreError> {
        Self::read(key, bytes).ok_or(StoreError::Damaged("the record of an expunged message"))
    }

    fn read(key: &[u8], bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes);
        Some(Self {
            modseq: u64::from_le_bytes(*rest.take()?),
            at: i64::from_le_bytes(*rest.take()?),
            rest: match rest.take()? {
                [0] => Rests::File,
                [1] => Rests::Returned,
                [2] => Rests::Missing,
                _ => return None,
            },
            message: Message::decode(key, rest.0).ok()?,
        })
    }
}
