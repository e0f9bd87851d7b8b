//! Mailboxes and messages: an LMDB index and plain files, which agree whatever happens between two lines.
//!
//! A message is a file in wire format; everything else (names, UIDs, flags, dates) is a record of the index. Any
//! number of threads read ([`Store`]), each call in a read transaction of its own; one writes ([`Writer`]), and what it has
//! been given together it commits together. The order of a group: the messages' bytes are on the disk before
//! it ([`Staged`]), then their names are, then the index says that they exist. So the index never refers to a
//! file that isn't there; a file that the index doesn't know is a change nobody was told of, and
//! [`Store::open`] moves it to `lost+found` after a crash.

mod access;
mod annotations;
mod backup;
mod check;
mod error;
mod expunged;
mod groups;
mod label;
mod list;
mod mail;
mod naming;
mod open;
mod order;
mod purge;
mod quota;
mod reconstruct;
mod record;
mod removed;
mod snapshot;
mod special_use;
mod spool;
mod structure;
mod subscriptions;
mod tables;
mod transaction;
mod upgrade;
mod validity;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use ravenry_core::lmdb::Durable;
use ravenry_core::mailboxes::Name;

pub use self::backup::{BackedUp, Progress};
pub use self::check::{Finding, Report, Wrong};
pub use self::error::StoreError;
pub use self::expunged::{Expunged, Rests};
use self::groups::Groups;
pub use self::list::Visible;
pub use self::open::{Found, Settings};
pub use self::order::{
    Annotated, Appended, Change, FlagChange, Incoming, Mode, Order, Outcome, Refused, Settable,
};
pub use self::quota::{Limits, Quota, Usage};
pub use self::reconstruct::{Reconstructed, Suspects};
pub use self::record::{Flags, Mailbox, MailboxId, Message, SYSTEM_FLAGS};
pub use self::removed::{QUARANTINE, Quarantined, Removed};
pub use self::snapshot::Snapshot;
pub use self::special_use::SpecialUse;
use self::spool::Spool;
pub use self::spool::{Ready, Staged};
pub use self::structure::{Place, Records};
use self::tables::{Reading, Tables, message_key, message_range};
pub use self::writer::{Group, Whole, Writer};

/// The store, to be read. Clones share one map.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    tables: Tables,
    spool: Spool,
    /// The index grows no further than this.
    index_bytes_max: u64,
    /// How many backups run: none of their files may go.
    backups: AtomicU32,
    groups: Groups,
    index: Durable,
}

impl Store {
    /// The mailbox of this name.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn mailbox(&self, name: &Name) -> Result<Option<Mailbox>, StoreError> {
        let reading = self.read()?;
        let id = self.shared.tables.id_of(&reading, name)?;
        id.map_or(Ok(None), |id| self.shared.tables.mailbox(&reading, id))
    }

    /// The mailbox with this id, whatever it is called by now.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn mailbox_by_id(&self, id: MailboxId) -> Result<Option<Mailbox>, StoreError> {
        let reading = self.read()?;
        self.shared.tables.mailbox(&reading, id)
    }

    /// Gives every name and its mailbox, in the list's order.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn each_mailbox(&self, mut take: impl FnMut(Mailbox)) -> Result<(), StoreError> {
        let reading = self.read()?;
        for entry in self.shared.tables.names.iter(&reading)? {
            let id = MailboxId::decode(entry?.1)?;
            let mailbox = self.shared.tables.mailbox(&reading, id)?;
            take(mailbox.ok_or(StoreError::Damaged("a name without its mailbox"))?);
        }
        Ok(())
    }

    /// Gives the messages of a mailbox from UID `first` to `last`, in order, until `take` says false.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn each_message(
        &self,
        mailbox: MailboxId,
        (first, last): (u32, u32),
        mut take: impl FnMut(Message) -> bool,
    ) -> Result<(), StoreError> {
        let reading = self.read()?;
        let range = message_range(mailbox, first, last);
        for entry in self
            .shared
            .tables
            .messages
            .range(&reading, &range.bounds())?
        {
            let (key, value) = entry?;
            if !take(Message::decode(key, value)?) {
                break;
            }
        }
        Ok(())
    }

    /// One message.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn message(&self, mailbox: MailboxId, uid: u32) -> Result<Option<Message>, StoreError> {
        let (reading, key) = (self.read()?, message_key(mailbox, uid));
        let found = self.shared.tables.messages.get(&reading, &key)?;
        found.map(|value| Message::decode(&key, value)).transpose()
    }

    /// Where a message's file is.
    #[must_use]
    pub fn path(&self, mailbox: &Mailbox, uid: u32) -> PathBuf {
        self.shared
            .spool
            .message(&mailbox.partition, mailbox.id, uid)
    }

    /// Begins a message that is to be stored in `partition`: bytes go into a file of its own. Blocks, as all
    /// that is done with it does: for a pool.
    ///
    /// # Errors
    /// If there is no such partition, or the operating system refuses.
    pub fn stage(&self, partition: &str) -> Result<Staged, StoreError> {
        self.shared.spool.stage(partition)
    }

    /// How much of the index is in use, and its ceiling, in bytes.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn index_use(&self) -> Result<(u64, u64), StoreError> {
        let reading = self.read()?;
        let used = self.shared.tables.bytes(&reading)?;
        Ok((used, self.shared.index_bytes_max))
    }

    fn read(&self) -> Result<Reading<'_>, StoreError> {
        Ok(self.shared.index.env().read_txn()?)
    }
}
