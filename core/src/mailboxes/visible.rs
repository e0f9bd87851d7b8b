//! The names that an identity may see, in the list's order, streamed from the tables.
//!
//! [`Candidates`] come from `names` or from `access`; each is then looked up, since an entry there is a hint that the
//! ACL has to confirm.

use super::access::Candidates;
use super::entry::{Record, State};
use super::name::key_of;
use super::reader::damaged;
use super::tables::{Reading, successor};
use super::walk::Walk;
use super::{Identity, ListError, ListReader, ListedMailbox, Location, Name, Rights};

/// A part of the tree. LIST answers one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What is INBOX, and what seems to be below it, where alt_namespace sets it apart.
    Inbox,
    /// The identity's own mailboxes (an admin's are among the others).
    Own,
    /// Own mailboxes that alt_namespace has under another name.
    Alternate,
    /// `user.…` of the identity's domain, less one's own.
    Others,
    /// What sorts before `user`.
    SharedBefore,
    /// What sorts after `user`. For an admin of the whole site, other domains are before or after it.
    SharedAfter,
}

impl Part {
    /// In LIST's order. The first three walk the same names, and each leaves some out.
    pub(super) const ALL: [Self; 6] = [
        Self::Inbox,
        Self::Own,
        Self::Alternate,
        Self::Others,
        Self::SharedBefore,
        Self::SharedAfter,
    ];

    pub(super) fn is_own(self) -> bool {
        matches!(self, Self::Inbox | Self::Own | Self::Alternate)
    }

    /// Whether a mailbox stands in another part than this one, or is none of the identity's at all, whatever its
    /// ACL says.
    #[must_use]
    pub fn leaves_out(self, name: &Name, identity: &Identity) -> bool {
        let own_elsewhere = !self.is_own() && !identity.admin && name.is_owned_by(&identity.user);
        own_elsewhere || (name.is_deleted() && !identity.admin)
    }

    /// The part's keys between these two; `None`: there are none.
    pub(super) fn between(
        self,
        identity: &Identity,
        from: &[u8],
        end: Option<&[u8]>,
    ) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let (part_from, part_end) = self.range(identity);
        let from = part_from.max(from.to_vec());
        let end = match (part_end, end) {
            (Some(a), Some(b)) if a.as_slice() > b => Some(b.to_vec()),
            (None, Some(b)) => Some(b.to_vec()),
            (a, _) => a,
        };
        let nothing =
            (identity.admin && self.is_own()) || end.as_ref().is_some_and(|end| *end <= from);
        (!nothing).then_some((from, end))
    }

    /// The part's keys: from the first (inclusive) to the second.
    fn range(self, identity: &Identity) -> (Vec<u8>, Option<Vec<u8>>) {
        let domain = key_of(&identity.user.domain_prefix());
        let behind = |begin: &[u8]| [begin, &[1]].concat();
        let user = [&domain[..], USER].concat();
        match self {
            Self::Inbox | Self::Own | Self::Alternate => {
                let inbox = identity.user.inbox().to_key();
                let end = behind(&inbox);
                (inbox, Some(end))
            }
            Self::Others => {
                let end = behind(&user);
                (user, Some(end))
            }
            Self::SharedBefore => (domain, Some(user)),
            Self::SharedAfter => (behind(&user), successor(&domain)),
        }
    }
}

/// A mailbox that the identity may see.
pub(super) struct Seen<'r> {
    pub(super) name: Name,
    pub(super) record: Record<'r>,
    pub(super) rights: Rights,
}

/// A walk over one part.
pub(super) struct Visible<'r> {
    reader: &'r ListReader,
    identity: &'r Identity,
    part: Part,
    candidates: Candidates<'r>,
}

impl<'r> Visible<'r> {
    /// Walks the keys of `part` from `from` to `end`.
    pub(super) fn new(
        reader: &'r ListReader,
        reading: &'r Reading<'r>,
        identity: &'r Identity,
        part: Part,
        from: &[u8],
        end: Option<&[u8]>,
    ) -> Result<Self, ListError> {
        let tables = (reader.store.tables.names, reader.store.tables.access);
        let candidates = Candidates::open(tables, reading, (identity, part), from, end);
        Ok(Self {
            reader,
            identity,
            part,
            candidates: candidates.map_err(|error| reader.store.error(error))?,
        })
    }

    /// Steps to the next candidate; `false` at the end.
    pub(super) fn next(&mut self) -> Result<bool, ListError> {
        let next = self.candidates.step();
        next.map_err(|error| self.reader.store.error(error))
    }

    /// The candidate, if the identity may see it.
    pub(super) fn record(&self) -> Result<Option<Seen<'r>>, ListError> {
        let found = self.candidates.record();
        let Some(record) = found.map_err(|error| self.reader.store.error(error))? else {
            return Ok(None);
        };
        let record = Record::decode(record).ok_or_else(|| damaged("a record"))?;
        let key = self.candidates.key();
        let name = Name::from_key(key);
        let identity = self.identity;
        if record.state != State::Active || self.part.leaves_out(&name, identity) {
            return Ok(None);
        }
        let rights = super::acl::rights_in(record.acl, identity) | identity.implicit_rights(&name);
        Ok(rights.contains(Rights::LOOKUP).then_some(Seen {
            name,
            record,
            rights,
        }))
    }
}

impl<'r> Walk for Visible<'r> {
    type Mailbox = ListedMailbox;
    type Seen = (Record<'r>, Rights);
    type Error = ListError;

    fn next(&mut self) -> Result<bool, ListError> {
        Visible::next(self)
    }

    fn seek(&mut self, key: &[u8]) -> Result<(), ListError> {
        let sought = self.candidates.seek(key);
        sought.map_err(|error| self.reader.store.error(error))
    }

    fn key(&self) -> &[u8] {
        self.candidates.key()
    }

    fn seen(&self) -> Result<Option<(Name, Self::Seen)>, ListError> {
        let seen = self.record()?;
        Ok(seen.map(|seen| (seen.name, (seen.record, seen.rights))))
    }

    fn mailbox(name: Name, (record, rights): Self::Seen) -> ListedMailbox {
        ListedMailbox {
            name,
            location: Location {
                server: record.server.to_owned(),
                partition: record.partition.to_owned(),
            },
            rights,
        }
    }
}

const USER: &[u8] = b"user";
