//! The LMDB tables: what a key and a record are.
//!
//! * `names`: name (as [`super::Name::to_key`] writes it) to [`Record`].
//! * `access`, the reverse ACL of the names that are active ([`super::access`]).
//! * `servers`: how many names are at a backend.
//! * `changes`, kept where others follow: sequence of a commit, name, with nothing as its value for a
//!   name that was last changed by that commit, and the time for one that was removed by it (a
//!   *tombstone*, for a while).
//! * `meta`: one record, [`Meta`].

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, RoTxn, RwTxn, WithoutTls};

use super::access;
use super::entry::{Record, State};
use super::standing::{Standing, Upstream};

/// The layout's number: another one means that the file is begun anew.
pub(super) const SCHEMA: u32 = 3;
pub(super) const DATABASES_MAX: u32 = 5;

pub(super) type Table = Database<'static, Bytes, Bytes>;
pub(super) type Reading<'e> = RoTxn<'e, WithoutTls>;

/// Handles of the tables. `Copy`, as heed's handles are.
#[derive(Clone, Copy)]
pub(super) struct Tables {
    pub(super) names: Table,
    pub(super) access: Table,
    pub(super) servers: Table,
    pub(super) changes: Table,
    pub(super) meta: Table,
}

impl Tables {
    /// Opens the tables, or makes them, in a transaction that is committed (a handle of a
    /// dropped one would fail later).
    pub(super) fn open(env: &Env<WithoutTls>) -> heed::Result<Self> {
        let transaction = env.write_txn()?;
        let (names, access, servers, changes, meta) = env
            .create_databases_and_commit(transaction, |opener, transaction| {
                let mut table =
                    |name| opener.create_database::<Bytes, Bytes>(transaction, Some(name));
                let tables = (
                    table("names")?,
                    table("access")?,
                    table("servers")?,
                    table("changes")?,
                    table("meta")?,
                );
                Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(tables))
            })?
            .unwrap_commit();
        Ok(Self {
            names,
            access,
            servers,
            changes,
            meta,
        })
    }

    pub(super) fn meta(&self, reading: &RoTxn<'_>) -> heed::Result<Option<Meta>> {
        Ok(self.meta.get(reading, META_KEY)?.and_then(Meta::decode))
    }

    pub(super) fn put_meta(&self, writing: &mut RwTxn<'_>, meta: &Meta) -> heed::Result<()> {
        self.meta.put(writing, META_KEY, &meta.encode())
    }
}

/// What the list knows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) schema: u32,
    /// Whether a full sync has ever ended: before, a missing name says nothing.
    pub(super) complete: bool,
    /// The number of the last commit.
    pub(super) sequence: u64,
    /// The id of the next new name.
    pub(super) next_id: u64,
    /// Which list this is: drawn when it was begun.
    pub(super) identity: u64,
    /// `changes` has each name that a later commit than this changed; [`NOT_KEPT`]: it has none.
    pub(super) indexed_from: u64,
    /// … and each that a later commit than this removed.
    pub(super) removed_from: u64,
    /// Whose list this is.
    pub(super) standing: Standing,
    /// How far it has come in another's.
    pub(super) upstream: Upstream,
}

impl Meta {
    pub(super) fn new(identity: u64) -> Self {
        Self {
            schema: SCHEMA,
            complete: false,
            sequence: 0,
            next_id: 0,
            identity,
            indexed_from: NOT_KEPT,
            removed_from: NOT_KEPT,
            standing: Standing::default(),
            upstream: Upstream::default(),
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (schema, bytes) = bytes.split_first_chunk()?;
        let ([complete], bytes) = bytes.split_first_chunk::<1>()?;
        let (words, []) = bytes.as_chunks() else {
            return None;
        };
        let words: &[[u8; 8]; 10] = words.try_into().ok()?;
        let [
            sequence,
            next_id,
            identity,
            indexed_from,
            removed_from,
            epoch,
            master_in,
            superseded_by,
            upstream,
            reached,
        ] = words.map(u64::from_le_bytes);
        Some(Self {
            schema: u32::from_le_bytes(*schema),
            complete: *complete == 1,
            sequence,
            next_id,
            identity,
            indexed_from,
            removed_from,
            standing: Standing {
                epoch,
                master_in,
                superseded_by,
            },
            upstream: Upstream {
                identity: upstream,
                sequence: reached,
            },
        })
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.schema.to_le_bytes().to_vec();
        bytes.push(u8::from(self.complete));
        for word in [
            self.sequence,
            self.next_id,
            self.identity,
            self.indexed_from,
            self.removed_from,
            self.standing.epoch,
            self.standing.master_in,
            self.standing.superseded_by,
            self.upstream.identity,
            self.upstream.sequence,
        ] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// The key of a name in `changes`.
pub(super) fn change_key(sequence: u64, name_key: &[u8]) -> Vec<u8> {
    [&sequence.to_be_bytes()[..], name_key].concat()
}

/// The sequence and the name's key in a key of `changes`.
pub(super) fn split_change_key(key: &[u8]) -> Option<(u64, &[u8])> {
    let (sequence, name_key) = key.split_first_chunk()?;
    Some((u64::from_be_bytes(*sequence), name_key))
}

/// The keys of `access` for a mailbox with this record, sorted, none twice.
pub(super) fn access_keys(name_key: &[u8], record: &Record<'_>) -> Vec<Vec<u8>> {
    match record.state {
        State::Active => access::access_keys(name_key, record.acl),
        State::Reserved | State::Moving => Vec::new(),
    }
}

/// The key of a backend in `servers`.
pub(super) fn server_key(server: &str) -> Vec<u8> {
    tag(server.as_bytes(), SERVER_TAG_BYTES_MAX)
}

/// The first key after all that begin with `prefix`.
pub(super) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let end = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut successor = prefix[..=end].to_vec();
    successor[end] += 1;
    Some(successor)
}

/// Text as it stands in a key: itself, or if it is too long its beginning and a hash.
pub(super) fn tag(text: &[u8], bytes_max: usize) -> Vec<u8> {
    if text.is_empty() || text.contains(&0) || text.len() > bytes_max {
        let kept = text.iter().filter(|byte| **byte != 0).take(bytes_max - 9);
        let hash = hash(text).to_le_bytes().map(|byte| byte | 1);
        return kept.copied().chain([1]).chain(hash).collect();
    }
    text.to_vec()
}

/// FNV-1a: spreads keys, protects against nothing.
pub(super) fn hash(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// `changes` isn't kept.
pub(super) const NOT_KEPT: u64 = u64::MAX;
pub(super) const META_KEY: &[u8] = b"meta";
const SERVER_TAG_BYTES_MAX: usize = 255;
