//! What the index keeps of a mailbox and of a message, and how it is written.
//!
//! Numbers are little-endian; texts have their length before them. A record that doesn't read is damage, never a
//! default.

use std::fmt;

use ravenry_core::mailboxes::{Acl, Name};
use ravenry_core::proto::imap::DateTime;
pub use ravenry_core::proto::imap::SYSTEM_FLAGS;

use super::{Place, SpecialUse, StoreError};

/// A mailbox for as long as it lives, whatever it is called. Never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MailboxId(pub(super) u64);

impl MailboxId {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let bytes = bytes
            .try_into()
            .map_err(|_| StoreError::Damaged("a mailbox's id"))?;
        Ok(Self(u64::from_be_bytes(bytes)))
    }

    /// From its sixteen digits, as it is shown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = u64::from_str_radix(text, 16).ok()?;
        digits.then_some(Self(id))
    }

    /// As the beginning of keys: in order.
    pub(super) fn key(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

/// As directories are named by it, and MAILBOXID (RFC 8474).
impl fmt::Display for MailboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A mailbox (RFC 3501 section 2.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Its id.
    pub id: MailboxId,
    /// Its internal name.
    pub name: Name,
    /// No other mailbox has had it, and its name had none that is greater.
    pub uidvalidity: u32,
    /// The UID that the next message gets.
    pub uidnext: u32,
    /// Messages with a higher UID haven't been \Recent in any session yet (RFC 3501 section 2.3.2).
    pub recent: u32,
    /// The highest modseq of any of its messages, and of those that are gone (RFC 7162).
    pub highestmodseq: u64,
    /// How many messages there are, without \Seen, with \Deleted.
    pub exists: u32,
    /// Messages without \Seen.
    pub unseen: u32,
    /// Messages with \Deleted.
    pub deleted: u32,
    /// The messages' sizes together.
    pub bytes: u64,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// Where its messages' files are.
    pub partition: String,
    /// The number of the file that its messages' records of the header cache are in.
    pub structures: u32,
    /// What those records take there.
    pub structure_bytes: u64,
    /// What it is for.
    pub special_use: SpecialUse,
    /// Who may do what.
    pub acl: Acl,
    /// Its keywords; a message has them by their place here.
    pub keywords: Vec<String>,
}

impl Mailbox {
    /// The bits of all keywords that it has.
    pub(super) fn all_keywords(&self) -> u128 {
        let all = (0..self.keywords.len()).map(|at| 1_u128 << at);
        all.sum()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(160);
        for word in [
            self.uidvalidity,
            self.uidnext,
            self.exists,
            self.unseen,
            self.deleted,
            self.recent,
            self.structures,
        ] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        for word in [self.highestmodseq, self.bytes, self.structure_bytes] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&self.created.to_le_bytes());
        bytes.push(self.special_use.bits());
        text(&mut bytes, self.name.as_bytes());
        text(&mut bytes, self.partition.as_bytes());
        text(&mut bytes, self.acl.as_bytes());
        self.keywords
            .iter()
            .for_each(|keyword| text(&mut bytes, keyword.as_bytes()));
        bytes
    }

    pub(super) fn decode(id: MailboxId, bytes: &[u8]) -> Result<Self, StoreError> {
        Self::read(id, bytes).ok_or(StoreError::Damaged("a mailbox's record"))
    }

    /// How many messages it has, and their bytes, alone.
    pub(super) fn peek(bytes: &[u8]) -> Result<(u32, u64), StoreError> {
        let exists = bytes.get(EXISTS_AT..).and_then(<[u8]>::first_chunk);
        let sizes = bytes.get(BYTES_AT..).and_then(<[u8]>::first_chunk);
        let (exists, sizes) = exists
            .zip(sizes)
            .ok_or(StoreError::Damaged("a mailbox's record"))?;
        Ok((u32::from_le_bytes(*exists), u64::from_le_bytes(*sizes)))
    }

    fn read(id: MailboxId, bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes);
        let mut small = || Some(u32::from_le_bytes(*rest.take()?));
        let (uidvalidity, uidnext) = (small()?, small()?);
        let (exists, unseen, deleted) = (small()?, small()?, small()?);
        let (recent, structures) = (small()?, small()?);
        let mut mailbox = Self {
            id,
            uidvalidity,
            uidnext,
            exists,
            unseen,
            deleted,
            recent,
            structures,
            highestmodseq: u64::from_le_bytes(*rest.take()?),
            bytes: u64::from_le_bytes(*rest.take()?),
            structure_bytes: u64::from_le_bytes(*rest.take()?),
            created: i64::from_le_bytes(*rest.take()?),
            special_use: SpecialUse::from_bits(rest.take::<1>()?[0])?,
            // Was checked when it was given; one with a domain isn't a client's.
            name: Name::from_mupdate(rest.text()?).ok()?,
            partition: rest.string()?,
            acl: Acl::new(rest.text()?),
            keywords: Vec::new(),
        };
        while !rest.0.is_empty() {
            mailbox.keywords.push(rest.string()?);
        }
        Some(mailbox)
    }
}

/// A message's flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// A bit for each of [`SYSTEM_FLAGS`].
    pub system: u8,
    /// A bit for each of the mailbox's keywords.
    pub keywords: u128,
}

impl Flags {
    /// The bit of \Deleted.
    pub const DELETED: u8 = 1 << 2;
    /// The bit of \Seen.
    pub const SEEN: u8 = 1 << 3;
    /// Keywords that a mailbox may have.
    pub const KEYWORDS_MAX: usize = 128;

    /// Whether it has one of these system flags.
    #[must_use]
    pub fn has(self, system: u8) -> bool {
        self.system & system != 0
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its UID.
    pub uid: u32,
    /// When it changed last (RFC 7162).
    pub modseq: u64,
    /// INTERNALDATE.
    pub date: DateTime,
    /// When it came into this mailbox (RFC 8514), in seconds since 1970.
    pub saved: i64,
    /// RFC822.SIZE: the file's size.
    pub size: u64,
    /// How much of that is header, with the empty line.
    pub header_size: u32,
    /// Its flags.
    pub flags: Flags,
    /// SHA-256 of its bytes: the same message has the same one (EMAILID, RFC 8474).
    pub digest: [u8; 32],
    /// Where its record of the header cache is.
    pub structure: Place,
}

impl Message {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MESSAGE_BYTES);
        bytes.extend_from_slice(&self.modseq.to_le_bytes());
        bytes.extend_from_slice(&self.date.seconds.to_le_bytes());
        bytes.extend_from_slice(&self.date.zone.to_le_bytes());
        bytes.extend_from_slice(&self.saved.to_le_bytes());
        bytes.extend_from_slice(&self.size.to_le_bytes());
        bytes.extend_from_slice(&self.header_size.to_le_bytes());
        bytes.push(self.flags.system);
        bytes.extend_from_slice(&self.flags.keywords.to_le_bytes());
        bytes.extend_from_slice(&self.digest);
        bytes.extend_from_slice(&self.structure.at.to_le_bytes());
        bytes.extend_from_slice(&self.structure.len.to_le_bytes());
        bytes
    }

    /// From its key and its record.
    pub(super) fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, StoreError> {
        Self::read(key, bytes).ok_or(StoreError::Damaged("a message's record"))
    }

    /// Its UID and its system flags alone.
    pub(super) fn peek(key: &[u8], bytes: &[u8]) -> Result<(u32, u8), StoreError> {
        let system = bytes.get(FLAGS_AT).copied();
        Self::uid_of(key)
            .zip(system)
            .ok_or(StoreError::Damaged("a message's record"))
    }

    fn uid_of(key: &[u8]) -> Option<u32> {
        Some(u32::from_be_bytes(*key.get(8..)?.first_chunk()?))
    }

    fn read(key: &[u8], bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes);
        let message = Self {
            uid: Self::uid_of(key)?,
            modseq: u64::from_le_bytes(*rest.take()?),
            date: DateTime {
                seconds: i64::from_le_bytes(*rest.take()?),
                zone: i16::from_le_bytes(*rest.take()?),
            },
            saved: i64::from_le_bytes(*rest.take()?),
            size: u64::from_le_bytes(*rest.take()?),
            header_size: u32::from_le_bytes(*rest.take()?),
            flags: Flags {
                system: rest.take::<1>()?[0],
                keywords: u128::from_le_bytes(*rest.take()?),
            },
            digest: *rest.take()?,
            structure: Place {
                at: u64::from_le_bytes(*rest.take()?),
                len: u32::from_le_bytes(*rest.take()?),
            },
        };
        rest.0.is_empty().then_some(message)
    }
}

/// Where a mailbox' messages are counted, behind UIDVALIDITY and UIDNEXT, and their bytes, behind seven counts and
/// HIGHESTMODSEQ.
const EXISTS_AT: usize = 2 * 4;
const BYTES_AT: usize = 7 * 4 + 8;
/// Where the system flags are, behind modseq, dates and sizes.
const FLAGS_AT: usize = 8 + 8 + 2 + 8 + 8 + 4;
const MESSAGE_BYTES: usize = FLAGS_AT + 1 + 16 + 32 + 8 + 4;

/// Appends a text with its length before it.
pub(super) fn text(bytes: &mut Vec<u8>, text: &[u8]) {
    let len = u32::try_from(text.len()).expect("invariant: names and ACLs are short");
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(text);
}

/// What is still to be read of a record.
pub(super) struct Rest<'a>(pub(super) &'a [u8]);

impl<'a> Rest<'a> {
    pub(super) fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(u32::from_le_bytes(*self.take()?)).ok()?;
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(text)
    }

    fn string(&mut self) -> Option<String> {
        std::str::from_utf8(self.text()?).ok().map(str::to_owned)
    }
}
