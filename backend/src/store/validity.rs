//! UIDVALIDITY (RFC 3501 section 2.3.1.1): who knew a mailbox by a name never takes another one of this name for it.
//!
//! Each mailbox gets one that is greater than all that were ever given, and keeps it when it gets another name: its UIDs are
//! what they were, and a client that follows a rename needs nothing anew. Not where a mailbox with a greater one had that name:
//! there it gets a new one. Invariant: what a name's mailbox has is never less than what an earlier one of the name had, and
//! equal only if it was the same mailbox.
//!
//! `former` says what names had. It has [`FORMER_MAX`] names at most: then it is emptied, and *no* name that isn't in it may be
//! taken for one that never had a mailbox (`former_floor`). So does an index of before there was one begin.

use super::tables::decode_uidvalidity;
use super::transaction::Transaction;
use super::{Mailbox, StoreError};

/// Names whose past is known: some MiB.
const FORMER_MAX: u64 = if cfg!(test) { 8 } else { 65_536 };

impl Transaction<'_> {
    /// One that no mailbox has had: the time, or more.
    pub(super) fn new_uidvalidity(&mut self) -> u32 {
        let time = u32::try_from(self.now).unwrap_or(u32::MAX);
        self.meta.uidvalidity = time.max(self.meta.uidvalidity.saturating_add(1));
        self.meta.uidvalidity
    }

    /// A mailbox that gets its name now keeps its own, unless the name had a greater one.
    pub(super) fn keep_uidvalidity(&mut self, mailbox: &mut Mailbox) -> Result<(), StoreError> {
        let former = self.shared.tables.former;
        let had = match former.get(&self.writing, &mailbox.name.to_key())? {
            Some(record) => decode_uidvalidity(record)?,
            None => self.meta.former_floor,
        };
        if had > mailbox.uidvalidity || cfg!(bug_18) {
            mailbox.uidvalidity = self.new_uidvalidity();
        }
        Ok(())
    }

    /// A mailbox is about to lose its name.
    pub(super) fn note_former(&mut self, mailbox: &Mailbox) -> Result<(), StoreError> {
        let former = self.shared.tables.former;
        if former.len(&self.writing)? >= FORMER_MAX {
            former.clear(&mut self.writing)?;
            self.meta.former_floor = self.meta.uidvalidity;
        }
        // No less than what is there: `keep_uidvalidity` saw to that.
        let record = mailbox.uidvalidity.to_le_bytes();
        Ok(former.put(&mut self.writing, &mailbox.name.to_key(), &record)?)
    }
}
