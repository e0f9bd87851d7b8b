//! What the list holds of a mailbox, and how a record is laid out.

use super::Acl;

/// Whether a name is in use or only held (RFC 3656 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The mailbox is there.
    Active,
    /// The name is taken, the mailbox isn't there (yet, or for a moment).
    Reserved,
    /// As reserved: the mailbox leaves its server for another, which may activate it there.
    Moving,
}

/// Where a mailbox lives: MUPDATE's `server!partition`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// The backend's host name.
    pub server: String,
    /// The partition there; empty while a mailbox is renamed.
    pub partition: String,
}

impl Location {
    /// Splits `server!partition` at the first `!`. Never fails: a location that makes no sense
    /// leads to no server, while a refused name would seem not to be there.
    pub fn parse(text: &[u8]) -> Self {
        let (server, partition) = match memchr::memchr(b'!', text) {
            Some(at) => (&text[..at], &text[at + 1..]),
            None => (text, &text[..0]),
        };
        let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
        Self {
            server: text(server),
            partition: text(partition),
        }
    }
}

/// A mailbox of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// A number that no other name of this list had or will have.
    pub id: u64,
    /// Active, or reserved only.
    pub state: State,
    /// Where it lives.
    pub location: Location,
    /// Who may do what.
    pub acl: Acl,
    /// The commit that last changed it.
    pub sequence: u64,
}

/// A record as it lies in the table: nothing copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) id: u64,
    pub(super) sequence: u64,
    pub(super) state: State,
    pub(super) server: &'a str,
    pub(super) partition: &'a str,
    pub(super) acl: &'a [u8],
}

impl<'a> Record<'a> {
    /// A record with no more of a location than is kept.
    pub(super) fn new(id: u64, state: State, location: &'a Location, acl: &'a [u8]) -> Self {
        let bounded = |part: &'a str| &part[..part.floor_char_boundary(LOCATION_PART_BYTES_MAX)];
        let (server, partition) = (bounded(&location.server), bounded(&location.partition));
        Self {
            id,
            sequence: 0,
            state,
            server,
            partition,
            acl,
        }
    }

    /// Reads a record; `None` if the bytes are none of ours.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (id, bytes) = bytes.split_first_chunk()?;
        let (sequence, bytes) = bytes.split_first_chunk()?;
        let ([state], bytes) = bytes.split_first_chunk::<1>()?;
        let (server_len, bytes) = bytes.split_first_chunk()?;
        let (partition_len, bytes) = bytes.split_first_chunk()?;
        let (server, bytes) = bytes.split_at_checked(u16::from_le_bytes(*server_len).into())?;
        let (partition, acl) = bytes.split_at_checked(u16::from_le_bytes(*partition_len).into())?;
        let state = match state {
            1 => State::Active,
            2 => State::Reserved,
            3 => State::Moving,
            _ => return None,
        };
        Some(Self {
            id: u64::from_le_bytes(*id),
            sequence: u64::from_le_bytes(*sequence),
            state,
            server: std::str::from_utf8(server).ok()?,
            partition: std::str::from_utf8(partition).ok()?,
            acl,
        })
    }

    pub(super) fn encode(&self, into: &mut Vec<u8>) {
        let len = |part: &str| {
            u16::try_from(part.len()).expect("invariant: Record::new bounds its parts")
        };
        into.clear();
        into.extend_from_slice(&self.id.to_le_bytes());
        into.extend_from_slice(&self.sequence.to_le_bytes());
        into.push(match self.state {
            State::Active => 1,
            State::Reserved => 2,
            State::Moving => 3,
        });
        into.extend_from_slice(&len(self.server).to_le_bytes());
        into.extend_from_slice(&len(self.partition).to_le_bytes());
        into.extend_from_slice(self.server.as_bytes());
        into.extend_from_slice(self.partition.as_bytes());
        into.extend_from_slice(self.acl);
    }

    pub(super) fn to_entry(self) -> Entry {
        Entry {
            id: self.id,
            state: self.state,
            location: Location {
                server: self.server.to_owned(),
                partition: self.partition.to_owned(),
            },
            acl: Acl::new(self.acl),
            sequence: self.sequence,
        }
    }
}

/// The most of a server's or a partition's name that is kept.
const LOCATION_PART_BYTES_MAX: usize = 1024;
