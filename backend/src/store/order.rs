//! What can be asked of the writer, and what comes of it.

use ravenry_core::mailboxes::{Acl, Name, UserId};
use ravenry_core::proto::imap::{DateTime, MetadataEntry, Uids};

use super::spool::Ready;
use super::{Limits, MailboxId, Reconstructed, SpecialUse, Suspects};

/// A change. All of it is made, or nothing.
#[derive(Debug)]
pub enum Order {
    /// Makes a mailbox.
    Create {
        /// Its name, which nothing has yet.
        name: Name,
        /// Where its messages are to be.
        partition: String,
        /// Who may do what.
        acl: Acl,
        /// What it is for (RFC 6154).
        special_use: SpecialUse,
    },
    /// Gives a mailbox another name, and no other one.
    Rename {
        /// What it is called.
        from: Name,
        /// What it is to be called: nothing is yet.
        to: Name,
    },
    /// Takes a mailbox away. It is kept until [`Order::Purge`], without a name.
    Delete {
        /// What it is called.
        name: Name,
    },
    /// Takes a mailbox away that the murder has elsewhere. It is kept for [`super::QUARANTINE`], without a name.
    Quarantine {
        /// What it is called.
        name: Name,
        /// Why.
        why: String,
    },
    /// A mailbox in quarantine counts as deleted from now on.
    Release {
        /// The mailbox.
        mailbox: MailboxId,
    },
    /// Gives a mailbox that was taken away a name again.
    Undelete {
        /// The mailbox.
        mailbox: MailboxId,
        /// Its new name: nothing has it.
        name: Name,
    },
    /// Replaces an ACL.
    SetAcl {
        /// Of this mailbox.
        name: Name,
        /// Who may do what from now on.
        acl: Acl,
    },
    /// Says what a mailbox is for.
    SetSpecialUse {
        /// Its name.
        name: Name,
        /// From now on.
        special_use: SpecialUse,
    },
    /// Annotates a mailbox (RFC 5464).
    Annotate {
        /// Which one; `None`: the server.
        of: Option<MailboxId>,
        /// Whose entries those are that aren't shared.
        user: UserId,
        /// What is to be there from now on.
        values: Vec<Annotated>,
    },
    /// Gives what a user has annotated for nobody else to another user.
    HandOverPrivate {
        /// Who has annotated.
        user: UserId,
        /// Who has it from now on; `None`: nobody, but for what is in the user's own mailboxes.
        to: Option<UserId>,
    },
    /// Subscribes a user to a name, whether a mailbox has it or not, or ends that.
    Subscribe {
        /// Whom.
        user: UserId,
        /// To what.
        name: Name,
        /// False: no longer.
        on: bool,
    },
    /// Sets a quota root's limits; what is used is counted anew.
    SetQuota {
        /// Its name: a mailbox' or not.
        root: Name,
        /// `None`: it is a root no longer, and what counted for it counts for the one above.
        limits: Option<Limits>,
    },
    /// Adds messages, all of them or none.
    Append {
        /// Where to.
        mailbox: MailboxId,
        /// In the order of the UIDs that they get.
        messages: Vec<Incoming>,
    },
    /// Changes flags.
    Flags {
        /// Whose messages.
        mailbox: MailboxId,
        /// Which; those that aren't there are passed over.
        uids: Uids,
        /// How.
        change: FlagChange,
    },
    /// Messages up to this UID have been \Recent in a session.
    Recent {
        /// Whose messages.
        mailbox: MailboxId,
        /// The highest of them.
        up_to: u32,
    },
    /// Keeps records of the header cache that a reader made, since there were none or old ones. No change that sessions
    /// are told of.
    Structures {
        /// Whose messages.
        mailbox: MailboxId,
        /// By their UIDs; messages that aren't there are passed over.
        records: Vec<(u32, Vec<u8>)>,
    },
    /// Removes messages that have \Deleted. They are kept until [`Order::Purge`].
    Expunge {
        /// Whose messages.
        mailbox: MailboxId,
        /// Of these alone, if there are any given.
        uids: Option<Uids>,
    },
    /// Brings messages back that were expunged, with new UIDs and without \Deleted.
    Unexpunge {
        /// Where they were.
        mailbox: MailboxId,
        /// Which; those that can't come back are passed over.
        uids: Uids,
    },
    /// Copies messages, all that are there, with dates and the flags that may be set.
    Copy {
        /// Where from.
        from: MailboxId,
        /// Which; those that aren't there are passed over.
        uids: Uids,
        /// Where to.
        to: MailboxId,
        /// And removes them there (RFC 6851).
        moves: bool,
        /// The flags that they keep.
        keep: Settable,
    },
    /// Adds a message and removes another one, of the same mailbox or not (RFC 8508).
    Replace {
        /// Where the one is that goes.
        from: MailboxId,
        /// Which.
        uid: u32,
        /// Where the new one comes.
        to: MailboxId,
        /// That.
        message: Incoming,
    },
    /// Moves all messages of a mailbox to another (RFC 3501 section 6.3.5, RENAME of INBOX).
    MoveAll {
        /// Where from.
        from: Name,
        /// Where to.
        to: Name,
    },
    /// Puts part of a mailbox' record and its files together again; no file is removed.
    Reconstruct {
        /// The mailbox.
        mailbox: MailboxId,
        /// One of [`super::Store::suspects`].
        suspects: Suspects,
    },
    /// Gives back the room of some that were expunged or deleted before this time, in seconds since 1970.
    Purge {
        /// The time.
        before: i64,
    },
}

/// A message to be added.
#[derive(Debug)]
pub struct Incoming {
    /// Its bytes.
    pub message: Ready,
    /// INTERNALDATE.
    pub date: DateTime,
    /// Its system flags ([`super::SYSTEM_FLAGS`]).
    pub system: u8,
    /// Its keywords.
    pub keywords: Vec<String>,
}

/// Flags that may be set in a mailbox (RFC 4314 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settable {
    /// A bit for each of [`super::SYSTEM_FLAGS`].
    pub system: u8,
    /// All keywords, or none.
    pub keywords: bool,
}

impl Settable {
    /// All flags.
    pub const ALL: Self = Self {
        system: u8::MAX,
        keywords: true,
    };
}

/// STORE (RFC 3501 section 6.4.6, RFC 7162 section 3.1.3).
#[derive(Clone, Debug)]
pub struct FlagChange {
    /// How.
    pub mode: Mode,
    /// System flags.
    pub system: u8,
    /// Keywords.
    pub keywords: Vec<String>,
    /// Messages that have changed since are left alone.
    pub unchanged_since: Option<u64>,
}

/// What STORE does with the flags that are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `FLAGS`, as far as whoever asks may change them (RFC 4314 section 4).
    Replace {
        /// These system flags.
        system: u8,
        /// Keywords as well.
        keywords: bool,
    },
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// What has been done: it is on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// [`Order::Create`]
    Created {
        /// The mailbox.
        mailbox: MailboxId,
        /// Its UIDVALIDITY.
        uidvalidity: u32,
    },
    /// Nothing to be told of.
    Done,
    /// [`Order::Append`], [`Order::Replace`]
    Appended(Appended),
    /// [`Order::Flags`]
    Flagged {
        /// Messages whose flags are others now.
        changed: Uids,
        /// Messages that had changed in between.
        modified: Uids,
        /// The modseq that the change has got, if there was one.
        modseq: Option<u64>,
    },
    /// [`Order::Recent`]
    Recent {
        /// Messages up to this UID had been \Recent in another session before.
        before: u32,
    },
    /// [`Order::Expunge`]
    Expunged {
        /// Messages that are gone.
        gone: Uids,
        /// The modseq of that, if there were any.
        modseq: Option<u64>,
    },
    /// [`Order::Copy`], [`Order::Unexpunge`]
    Copied {
        /// The messages that were there.
        from: Uids,
        /// Their copies, in the same order.
        to: Appended,
    },
    /// [`Order::Reconstruct`]
    Reconstructed(Reconstructed),
    /// [`Order::Purge`]
    Purged {
        /// How many messages' room was given back.
        messages: usize,
        /// There may be more.
        more: bool,
    },
}

/// Where messages are now (RFC 4315).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The mailbox' UIDVALIDITY.
    pub uidvalidity: u32,
    /// Their UIDs.
    pub uids: Uids,
}

/// An entry and its value; `None`: there is to be none.
pub type Annotated = (MetadataEntry, Option<Vec<u8>>);

/// Why an order was not carried out: nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such mailbox.
    NoMailbox,
    /// The message that is to be replaced isn't there.
    NoMessage,
    /// The name is taken.
    Exists,
    /// The name is taken, at this server of the murder.
    ExistsAt(String),
    /// The mailbox is here, but this server's by the MUPDATE master.
    Elsewhere(String),
    /// Others have the name to themselves, here or at another server.
    Busy,
    /// The MUPDATE master can't be reached, and was asked for nothing.
    MasterAway,
    /// It was asked and has not answered: what it has done can't be told.
    MasterSilent,
    /// It doesn't want it, and says why.
    Master(String),
    /// A name, or an ACL, would be longer than it may be.
    TooLong,
    /// There is no such partition.
    NoPartition,
    /// The mailbox has as many keywords as it may.
    KeywordsFull,
    /// The user is subscribed to as many names as one may.
    SubscriptionsFull,
    /// There are as many annotations as there may be.
    AnnotationsFull,
    /// Its UIDs are used up.
    UidsExhausted,
    /// It would be more than a quota allows.
    OverQuota,
    /// The index has come to its ceiling.
    Full,
    /// The disk or the index failed, and how.
    Failed(String),
}

/// What sessions that have a mailbox open have to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Its highest modseq now.
    pub modseq: u64,
    /// Messages that came.
    pub appended: Uids,
    /// Messages whose flags changed.
    pub flagged: Uids,
    /// Messages that are gone.
    pub expunged: Uids,
    /// It has no name any more.
    pub deleted: bool,
}
