//! Names and the reverse ACL, which change together.
//!
//! Invariant: `access` has the keys of each mailbox that has a name, of its ACL under this name, and no others
//! ([`ravenry_core::mailboxes::access_keys`]).

use ravenry_core::mailboxes::{Acl, access_keys, replace_access};

use super::transaction::Transaction;
use super::{Mailbox, StoreError};

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
