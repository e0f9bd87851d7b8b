//! What a LIST walks: names in the list's order, of which an identity may see some.
//!
//! The mailbox list has its own walk (`visible`); whoever keeps names otherwise, in the same order, brings one, and
//! [`super::ListQuery::chunk`] answers LIST from it.

use super::Name;

/// A walk over names, in the order of their keys ([`Name::to_key`]).
pub trait Walk {
    /// What is known of a mailbox.
    type Mailbox;
    /// The same before it is known whether it is wanted.
    type Seen;
    /// Why it can't go on.
    type Error;

    /// Steps to the next name; `false` at the end.
    ///
    /// # Errors
    /// If it can't be read.
    fn next(&mut self) -> Result<bool, Self::Error>;

    /// The next step is to the first name at or after `key`.
    ///
    /// # Errors
    /// If it can't be read.
    fn seek(&mut self, key: &[u8]) -> Result<(), Self::Error>;

    /// The key of the name that it has stepped to.
    fn key(&self) -> &[u8];

    /// The mailbox of that name, if the identity may see it.
    ///
    /// # Errors
    /// If it can't be read.
    fn seen(&self) -> Result<Option<(Name, Self::Seen)>, Self::Error>;

    /// What is to be told of it.
    fn mailbox(name: Name, seen: Self::Seen) -> Self::Mailbox;
}
