//! Names in ranges: LIST (the names that match and an identity may see), and what is below a mailbox.

use std::ops::Bound;

use heed::RoRange;
use heed::types::Bytes;
use ravenry_core::mailboxes::{
    Identity, ListCursor, ListQuery, Listed, Name, Part, Progress, Rights, Walk,
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
        let open = |part, from: &[u8], end: Option<&[u8]>| {
            let mut names = Names {
                store: self,
                reading: &reading,
                who,
                part,
                end: end.map(<[u8]>::to_vec),
                range: self.names(&reading, from, end)?,
                current: None,
                ahead: None,
            };
            names.ahead = names.range.next().transpose()?;
            Ok(names)
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
        for entry in self.names(&reading, &from, Some(&end))? {
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

    fn names<'r>(
        &self,
        reading: &'r Reading<'_>,
        from: &[u8],
        end: Option<&[u8]>,
    ) -> Result<RoRange<'r, Bytes, Bytes>, StoreError> {
        // No key is empty, and a bound may not be.
        let from = if from.is_empty() {
            Bound::Unbounded
        } else {
            Bound::Included(from)
        };
        let range = (from, end.map_or(Bound::Unbounded, Bound::Excluded));
        Ok(self.shared.tables.names.range(reading, &range)?)
    }
}

/// A walk over names for LIST.
struct Names<'r> {
    store: &'r Store,
    reading: &'r Reading<'r>,
    who: &'r Identity,
    part: Part,
    end: Option<Vec<u8>>,
    range: RoRange<'r, Bytes, Bytes>,
    /// A key and its value.
    current: Option<(&'r [u8], &'r [u8])>,
    ahead: Option<(&'r [u8], &'r [u8])>,
}

impl Walk for Names<'_> {
    type Mailbox = Visible;
    type Seen = Visible;
    type Error = StoreError;

    fn next(&mut self) -> Result<bool, StoreError> {
        self.current = self.ahead;
        self.ahead = match self.current {
            Some(_) => self.range.next().transpose()?,
            None => None,
        };
        Ok(self.current.is_some())
    }

    fn seek(&mut self, key: &[u8]) -> Result<(), StoreError> {
        if self.ahead.is_none_or(|(ahead, _)| ahead >= key) {
            return Ok(());
        }
        if self.end.as_deref().is_some_and(|end| end <= key) {
            self.ahead = None;
            return Ok(());
        }
        self.range = self.store.names(self.reading, key, self.end.as_deref())?;
        self.ahead = self.range.next().transpose()?;
        Ok(())
    }

    fn key(&self) -> &[u8] {
        self.current.map_or(&[], |(key, _)| key)
    }

    fn seen(&self) -> Result<Option<(Name, Visible)>, StoreError> {
        let Some((_, id)) = self.current else {
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
