//! Names in ranges: LIST (the names that match and an identity may see), and what is below a mailbox.

use std::ops::Bound;

use ravenry_core::mailboxes::{
    Candidates, Identity, ListCursor, ListQuery, Listed, Name, Part, Progress, Rights, Walk,
};

use super::tables::Reading;
use super::{Mailbox, MailboxId, Store, StoreError};

/// A mailbox that an identity sees, and its rights there.
pub type Visible = (Mailbox, Rights);

impl Store {
    /// Gives `sink` the next lines of `who`'s LIST, as [`ListQuery::chunk`] does.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn list_chunk(
        &self,
        (query, who): (&ListQuery, &Identity),
        cursor: &mut ListCursor<Visible>,
        lines_max: usize,
        sink: impl FnMut(Listed<Visible>),
    ) -> Result<Progress, StoreError> {
        let reading = self.read()?;
        let tables = (self.shared.tables.names, self.shared.tables.access);
        let open = |part, from: &[u8], end: Option<&[u8]>| {
            Ok(Names {
                store: self,
                reading: &reading,
                who,
                part,
                candidates: Candidates::open(tables, &reading, (who, part), from, end)?,
            })
        };
        query.chunk(cursor, lines_max, open, sink)
    }

    /// Gives the mailboxes below a name, in the list's order, until `take` says false. There needn't be one of the name.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn each_mailbox_below(
        &self,
        name: &Name,
        mut take: impl FnMut(Mailbox) -> bool,
    ) -> Result<(), StoreError> {
        let reading = self.read()?;
        // A level ends with 0, so 1 is behind all that is below.
        let from = [&name.to_key()[..], &[0]].concat();
        let end = [&name.to_key()[..], &[1]].concat();
        let range = (Bound::Included(&from[..]), Bound::Excluded(&end[..]));
        for entry in self.shared.tables.names.range(&reading, &range)? {
            let id = MailboxId::decode(entry?.1)?;
            let mailbox = self.shared.tables.mailbox(&reading, id)?;
            let mailbox = mailbox.ok_or(StoreError::Damaged("a name without its mailbox"))?;
            // Between `a` and what is below it may be names of the domain `a.org`.
            if mailbox.name.domain() == name.domain() && !take(mailbox) {
                break;
            }
        }
        Ok(())
    }
}

/// A walk over names for LIST.
struct Names<'r> {
    store: &'r Store,
    reading: &'r Reading<'r>,
    who: &'r Identity,
    part: Part,
    candidates: Candidates<'r>,
}

impl Walk for Names<'_> {
    type Mailbox = Visible;
    type Seen = Visible;
    type Error = StoreError;

    fn next(&mut self) -> Result<bool, StoreError> {
        Ok(self.candidates.step()?)
    }

    fn seek(&mut self, key: &[u8]) -> Result<(), StoreError> {
        Ok(self.candidates.seek(key)?)
    }

    fn key(&self) -> &[u8] {
        self.candidates.key()
    }

    fn seen(&self) -> Result<Option<(Name, Visible)>, StoreError> {
        let Some(id) = self.candidates.record()? else {
            return Ok(None);
        };
        let id = MailboxId::decode(id)?;
        let mailbox = self.store.shared.tables.mailbox(self.reading, id)?;
        let mailbox = mailbox.ok_or(StoreError::Damaged("a name without its mailbox"))?;
        if self.part.leaves_out(&mailbox.name, self.who) {
            return Ok(None);
        }
        let rights = mailbox.acl.rights_on(&mailbox.name, self.who);
        let seen = rights.contains(Rights::LOOKUP);
        Ok(seen.then(|| (mailbox.name.clone(), (mailbox, rights))))
    }

    fn mailbox(_name: Name, seen: Visible) -> Visible {
        seen
    }
}
