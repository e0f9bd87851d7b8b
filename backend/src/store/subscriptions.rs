//! Which names a user is subscribed to (RFC 3501 section 6.3.6).
//!
//! A subscription is to a name: whether a mailbox has it, or has it no longer, changes nothing. A key has the name's
//! digest, since the two names together may be longer than a key may be; the name itself is the record.

use ravenry_core::mailboxes::{Name, UserId};
use sha2::{Digest, Sha256};

use super::order::{Outcome, Refused};
use super::transaction::{Answer, Transaction};
use super::{Store, StoreError};

/// Names that one user may be subscribed to: a hundred times what people have.
const SUBSCRIPTIONS_MAX: usize = 10_000;

impl Store {
    /// What a user is subscribed to, in the list's order.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn subscriptions(&self, user: &UserId) -> Result<Vec<Name>, StoreError> {
        let reading = self.read()?;
        let table = self.shared.tables.subscriptions;
        let mut names = Vec::new();
        for entry in table.prefix_iter(&reading, &prefix(user))? {
            names.push(decode(entry?.1)?);
        }
        names.sort_unstable();
        Ok(names)
    }
}

impl Transaction<'_> {
    pub(super) fn subscribe(&mut self, user: &UserId, name: &Name, on: bool) -> Answer {
        let table = self.shared.tables.subscriptions;
        let key = [prefix(user), Sha256::digest(name.as_bytes()).to_vec()].concat();
        if !on {
            table.delete(&mut self.writing, &key)?;
            return Ok(Ok(Outcome::Done));
        }
        if table.get(&self.writing, &key)?.is_some() {
            return Ok(Ok(Outcome::Done));
        }
        let all = table.prefix_iter(&self.writing, &prefix(user))?;
        if all.take(SUBSCRIPTIONS_MAX).count() == SUBSCRIPTIONS_MAX {
            return Ok(Err(Refused::SubscriptionsFull));
        }
        table.put(&mut self.writing, &key, name.as_bytes())?;
        Ok(Ok(Outcome::Done))
    }
}

pub(super) fn decode(record: &[u8]) -> Result<Name, StoreError> {
    Name::from_mupdate(record).map_err(|_| StoreError::Damaged("a subscription"))
}

/// What the keys of a user begin with: no name of a user has a NUL in it.
fn prefix(user: &UserId) -> Vec<u8> {
    [user.as_str().as_bytes(), b"\0"].concat()
}
