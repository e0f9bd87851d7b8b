//! The mailbox list: which mailboxes a site has, where each lives and who may see it.
//!
//! * Pure parts: [`Name`] and [`Namespace`] (internal form, a client's view), [`Acl`] and
//!   [`Rights`], [`Location`], [`Pattern`] (LIST's `*` and `%`).
//! * The list itself: LMDB tables, opened by [`ListFile`]. [`ListWriter`] is the only writer (it
//!   can't be cloned); [`ListReader`]s are clones, one read transaction a call, none held after it.
//! * A follower's list is a copy that can be fetched anew; a master's ([`ListFile::open_durable`]) is the
//!   truth: its [`Edit`]s are on the disk when they are committed, and it can tell others what changed.
//! * [`ListReader::list_chunk`] answers LIST for what an identity can see, a bounded piece at a
//!   time, at a cost that goes with what it can see.
//!
//! Names are kept with '.' between components, as MUPDATE carries them. In the tables '.' is
//! byte 0, so that a mailbox's children follow it directly, and names with a domain begin with one,
//! so that they stand apart.
//! docs/protocols/mailbox-list.md has what differs from Cyrus, and why.

mod access;
mod acl;
mod acl_change;
mod addressed;
mod domains;
mod edit;
mod entry;
mod error;
mod file;
mod groups;
mod list;
mod made;
mod name;
mod namespace;
mod net_unicode;
mod pattern;
mod reader;
mod standing;
mod tables;
mod told;
mod transaction;
mod utf7;
mod visible;
mod walk;
mod writer;

pub use access::{Candidates, access_keys, replace_access};
pub use acl::{Acl, Identity, Rights};
pub use acl_change::AclChange;
pub use addressed::Addressed;
pub use edit::Edit;
pub use entry::{Entry, Location, State};
pub use error::ListError;
pub use file::{ListFile, Opened};
pub use groups::{Groups, GroupsError};
pub use list::{ListCursor, ListQuery, Listed, ListedMailbox, Progress};
pub use made::{Made, OneMade};
pub use name::{NAME_BYTES_MAX, Name, NameError, USER_BYTES_MAX, UserId};
pub use namespace::{Namespace, Prefixes};
pub use net_unicode::is_net_unicode;
pub use pattern::{PATTERN_BYTES_MAX, Pattern, PatternTooLong};
pub use reader::ListReader;
pub use standing::{Standing, Upstream};
pub use told::{About, After, Held, Piece, Told};
pub use utf7::{utf7_of, utf8_of};
pub use visible::Part;
pub use walk::Walk;
pub use writer::{Change, ListWriter, Removed, SyncToken};

#[cfg(test)]
mod tests;
