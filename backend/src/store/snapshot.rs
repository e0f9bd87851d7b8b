//! The store at one moment: what several questions have to agree on.

use super::tables::{Reading, message_range};
use super::{Flags, Mailbox, MailboxId, Message, Store, StoreError};

/// Answers as of when it was taken. To be dropped soon: the index can't reuse what it still sees.
pub struct Snapshot<'s> {
    store: &'s Store,
    reading: Reading<'s>,
}

impl Store {
    /// The store as it is now.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn snapshot(&self) -> Result<Snapshot<'_>, StoreError> {
        let reading = self.read()?;
        Ok(Snapshot {
            store: self,
            reading,
        })
    }
}

impl Snapshot<'_> {
    /// The mailbox with this id.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn mailbox(&self, id: MailboxId) -> Result<Option<Mailbox>, StoreError> {
        self.store.shared.tables.mailbox(&self.reading, id)
    }

    /// Gives the UIDs of a mailbox from `first` on, and whether the message is \Seen, until `take` says false.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn each_uid(
        &self,
        id: MailboxId,
        first: u32,
        mut take: impl FnMut(u32, bool) -> bool,
    ) -> Result<(), StoreError> {
        let range = message_range(id, first, u32::MAX);
        let messages = self.store.shared.tables.messages;
        for entry in messages.range(&self.reading, &range.bounds())? {
            let (key, record) = entry?;
            let (uid, system) = Message::peek(key, record)?;
            if !take(uid, system & Flags::SEEN != 0) {
                break;
            }
        }
        Ok(())
    }
}
