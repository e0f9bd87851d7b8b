//! Whether the list's tables agree with each other, told before its file is mapped.
//!
//! Pages and trees are `lmdb::check`'s. What `access`, `servers` and `changes` hold is summed up as hashes
//! against what the records of `names` ask for, which costs no memory. What this can't see is a changed byte in a
//! record that still reads well: the next full sync compares and mends that.

use std::fs::File;

use super::super::entry::Record;
use super::super::reader::decode_server;
use super::super::tables::{
    META_KEY, Meta, SCHEMA, access_keys, change_key, hash, server_key, split_change_key,
};
use crate::lmdb::check::{Bad, bad, tables};

/// Checks the file.
pub(super) fn file(file: &File) -> Result<(), Bad> {
    let mut sums = Sums::default();
    // What the others have to hold depends on `meta`.
    tables(file, b"meta", |table, key, value| match table {
        b"changes" => sums.change(key, value),
        b"names" => sums.name(key, value),
        b"access" => sums.access(key),
        b"servers" => sums.server(key, value),
        b"meta" => sums.meta(key, value),
        _ => None,
    })?;
    sums.verdict()
}

/// The tables against each other: each difference is zero if they agree.
#[derive(Default)]
struct Sums {
    access: u64,
    servers: u64,
    changes: u64,
    ids_end: u64,
    meta: Option<Meta>,
}

impl Sums {
    fn name(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let record = Record::decode(value)?;
        for key in access_keys(key, &record) {
            self.access = self.access.wrapping_sub(hash(&key));
        }
        self.servers = self.servers.wrapping_sub(hash(record.server.as_bytes()));
        self.ids_end = self.ids_end.max(record.id.checked_add(1)?);
        if self
            .meta
            .is_some_and(|meta| record.sequence > meta.indexed_from)
        {
            let change = change_key(record.sequence, key);
            self.changes = self.changes.wrapping_sub(hash(&change));
        }
        Some(())
    }

    /// A tombstone stands for itself.
    fn change(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let (sequence, _) = split_change_key(key)?;
        match value.len() {
            0 => self.changes = self.changes.wrapping_add(hash(key)),
            8 => {}
            _ => return None,
        }
        (sequence <= self.meta?.sequence).then_some(())
    }

    fn access(&mut self, key: &[u8]) -> Option<()> {
        self.access = self.access.wrapping_add(hash(key));
        Some(())
    }

    fn server(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        let (count, server) = decode_server(value)?;
        let sum = hash(server.as_bytes()).wrapping_mul(count);
        self.servers = self.servers.wrapping_add(sum);
        (key == server_key(server)).then_some(())
    }

    fn meta(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        self.meta = Some(Meta::decode(value).filter(|_| key == META_KEY)?);
        Some(())
    }

    fn verdict(&self) -> Result<(), Bad> {
        match self.meta {
            None => bad("it has no record of its layout"),
            Some(meta) if meta.schema != SCHEMA => bad(format!(
                "its layout is number {}, not {SCHEMA}",
                meta.schema
            )),
            Some(meta) if meta.next_id < self.ids_end => bad("its numbering went back"),
            Some(_) if (self.access, self.servers, self.changes) != (0, 0, 0) => {
                bad("its tables contradict each other")
            }
            Some(_) => Ok(()),
        }
    }
}
