//! Names and the reverse ACL, which change together, and an index of before there was one.
//!
//! Invariant: `access` has the keys of each mailbox that has a name, of its ACL under this name, and no others
//! ([`ravenry_core::mailboxes::access_keys`]).

use std::ops::Bound;

use heed::{Env, RwTxn, WithoutTls};
use ravenry_core::mailboxes::{Acl, access_keys, replace_access};

use super::tables::{SCHEMA, Tables};
use super::transaction::Transaction;
use super::{Mailbox, MailboxId, StoreError};

/// Names that are read at once while an old index is brought up to date.
const PIECE: usize = 10_000;

impl Mailbox {
    /// Its keys in `access`, as long as it has its name.
    pub(super) fn access_keys(&self) -> Vec<Vec<u8>> {
        access_keys(&self.name.to_key(), self.acl.as_bytes())
    }
}

impl Transaction<'_> {
    /// A mailbox has its name from now on.
    pub(super) fn put_name(&mut self, mailbox: &Mailbox) -> Result<(), StoreError> {
        let (names, access) = (self.shared.tables.names, self.shared.tables.access);
        names.put(&mut self.writing, &mailbox.name.to_key(), &mailbox.id.key())?;
        Ok(replace_access(
            access,
            &mut self.writing,
            &[],
            &mailbox.access_keys(),
        )?)
    }

    /// … and no longer.
    pub(super) fn take_name(&mut self, mailbox: &Mailbox) -> Result<(), StoreError> {
        self.note_former(mailbox)?;
        let (names, access) = (self.shared.tables.names, self.shared.tables.access);
        names.delete(&mut self.writing, &mailbox.name.to_key())?;
        Ok(replace_access(
            access,
            &mut self.writing,
            &mailbox.access_keys(),
            &[],
        )?)
    }

    /// A mailbox that has a name gets another ACL.
    pub(super) fn replace_acl(
        &mut self,
        mailbox: &mut Mailbox,
        acl: &Acl,
    ) -> Result<(), StoreError> {
        let old = mailbox.access_keys();
        mailbox.acl = acl.clone();
        let access = self.shared.tables.access;
        Ok(replace_access(
            access,
            &mut self.writing,
            &old,
            &mailbox.access_keys(),
        )?)
    }
}

impl Tables {
    /// Brings an index of an older layout to this one, in one commit.
    pub(super) fn upgrade(&self, env: &Env<WithoutTls>) -> Result<(), StoreError> {
        let mut writing = env.write_txn()?;
        // One that has none has never had a mailbox.
        let layout = self.layout(&writing)?.unwrap_or(SCHEMA);
        if layout == SCHEMA {
            return Ok(());
        }
        tracing::info!("the index has layout {layout}: it is brought to {SCHEMA}");
        if layout == 1 {
            self.fill_access(&mut writing)?;
        }
        let meta = self.meta(&writing)?;
        self.put_meta(&mut writing, meta)?;
        Ok(writing.commit()?)
    }

    fn fill_access(&self, writing: &mut RwTxn<'_>) -> Result<(), StoreError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let (mut last, mut keys) = (None, Vec::new());
            let names = self.names.range(writing, &(from, Bound::Unbounded))?;
            for entry in names.take(PIECE) {
                let (key, id) = entry?;
                let mailbox = self.mailbox(writing, MailboxId::decode(id)?)?;
                let mailbox = mailbox.ok_or(StoreError::Damaged("a name without its mailbox"))?;
                keys.extend(mailbox.access_keys());
                last = Some(key.to_vec());
            }
            if last.is_none() {
                return Ok(());
            }
            after = last;
            keys.sort_unstable();
            replace_access(self.access, writing, &[], &keys)?;
        }
    }
}
