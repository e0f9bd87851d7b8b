//! SEARCH: whether a message is what a client looks for (RFC 3501 section 6.4.4).
//!
//! A program is made once for a command ([`Program::new`]): sets become numbers, keywords bits, strings what can be found in
//! folded text. Then each message is judged ([`Program::matches`]), at first by its record alone. Its header is asked for only if the
//! record doesn't decide, its text only if the header doesn't, and once for all strings. What is in a file is somebody
//! else's to read and decode: [`Content`].

mod evaluate;
mod needle;
mod program;

#[cfg(test)]
mod tests;

use ravenry_core::proto::imap::{Day, Uids};

use crate::store::Message;

pub use self::program::{Program, TooManyStrings};

/// What a program's meaning depends on.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// How many messages the client knows of: `*` as a message number.
    pub exists: u32,
    /// The highest UID among them, 0 without any: `*` as a UID.
    pub highest_uid: u32,
    /// The UIDs that `$` stands for.
    pub saved: &'a Uids,
    /// The mailbox' keywords.
    pub keywords: &'a [String],
    /// The time, in seconds since 1970.
    pub now: i64,
}

/// A message that is judged.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its message number.
    pub number: u32,
    /// What the index knows of it.
    pub message: &'a Message,
    /// It is \Recent in this session.
    pub recent: bool,
}

/// How much of a message has to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// Its record in the index.
    Record,
    /// Its header, too.
    Header,
    /// All of it.
    Whole,
}

/// What a header field says.
#[derive(Clone, Copy, Debug)]
pub enum Text<'a> {
    /// As it is.
    Plain(&'a str),
    /// Folded: [`crate::collation::fold`].
    Folded(&'a [u8]),
}

/// What lies in a message's file, or is kept of it. Nothing is asked for before it is needed; fields may be asked for several times.
pub trait Content {
    /// Why it can't be read.
    type Error;

    /// Gives the text of each header field of this name, in any case: unfolded, encoded words decoded (RFC 2047).
    /// Until `take` says false.
    ///
    /// # Errors
    /// If the file can't be read.
    fn field(
        &mut self,
        name: &[u8],
        take: &mut dyn FnMut(Text<'_>) -> bool,
    ) -> Result<(), Self::Error>;

    /// The day that the Date: field says, whatever its time and zone; `None` without such a field.
    ///
    /// # Errors
    /// If the file can't be read.
    fn sent(&mut self) -> Result<Option<Day>, Self::Error>;

    /// Gives the texts of the header and the body, decoded (transfer encoding, charset). Until `take` says false.
    ///
    /// # Errors
    /// If the file can't be read.
    fn texts(&mut self, take: &mut dyn FnMut(Place, &str) -> bool) -> Result<(), Self::Error>;
}

/// Where a text of a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In its header: only TEXT looks there.
    Header,
    /// In its body: BODY and TEXT do.
    Body,
}
