//! Whether a data file is whole, found with ordinary reads before it is mapped.
//!
//! LMDB trusts its file: a short one kills the process with SIGBUS, a damaged page sends it
//! anywhere. So every page that it could reach is walked first (`tree`): bounds of pages and
//! nodes, order of keys, no page used twice. Then the tables have to agree with each other, which
//! costs no memory: what `access` and `servers` hold is summed up as hashes against what the
//! records of `names` ask for. What this can't see is a changed byte in a
//! record that still reads well: the next full sync compares and mends that.
//!
//! The layout is LMDB's on 64-bit machines, data version 1, in the machine's byte order.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::super::entry::Record;
use super::super::reader::decode_server;
use super::super::tables::{
    META_KEY, Meta, SCHEMA, access_keys, change_key, hash, server_key, split_change_key,
};
use tree::{Kind, Pages, Tree};

mod tree;

/// Why a file isn't used.
pub(super) enum Bad {
    /// It can't be read.
    Io(io::Error),
    /// It is none of ours, or damaged.
    Why(String),
}

impl From<io::Error> for Bad {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

pub(super) fn bad<T>(why: impl Into<String>) -> Result<T, Bad> {
    Err(Bad::Why(why.into()))
}

/// Checks the file.
pub(super) fn file(file: &File) -> Result<(), Bad> {
    let first = meta_page(file, 0)?;
    let second = meta_page(file, first.page_bytes.into())?;
    if second.page_bytes != first.page_bytes {
        return bad("its first two pages don't agree on the size of a page");
    }
    let newest = if second.transaction > first.transaction {
        second
    } else {
        first
    };
    let (bytes, page_bytes) = (file.metadata()?.len(), u64::from(newest.page_bytes));
    let needed = newest
        .last_page
        .checked_add(1)
        .and_then(|pages| pages.checked_mul(page_bytes));
    match needed {
        Some(needed) if needed <= bytes => {}
        _ => return bad(format!("it has {bytes} bytes, fewer than its pages take")),
    }
    let mut pages = Pages::new(file, newest.page_bytes, newest.last_page);
    free_pages(&mut pages, newest.free)?;
    let mut tables = Vec::new();
    pages.walk(newest.main, |name, value| {
        tables.push((name.to_vec(), Tree::decode(Kind::Table, value)?));
        Some(())
    })?;
    let mut sums = Sums::default();
    // What the others have to hold depends on it.
    tables.sort_by_key(|(name, _)| name != b"meta");
    for (name, tree) in tables {
        let walked = match &name[..] {
            b"changes" => pages.walk(tree, |key, value| sums.change(key, value)),
            b"names" => pages.walk(tree, |key, value| sums.name(key, value)),
            b"access" => pages.walk(tree, |key, _| sums.access(key)),
            b"servers" => pages.walk(tree, |key, value| sums.server(key, value)),
            b"meta" => pages.walk(tree, |key, value| sums.meta(key, value)),
            _ => return bad("it has a table that isn't ours"),
        };
        walked?;
    }
    sums.verdict()
}

/// LMDB's list of free pages: none of them may be in use, or two writers' pages become one.
fn free_pages(pages: &mut Pages<'_>, tree: Tree) -> Result<(), Bad> {
    let mut free = Vec::new();
    pages.walk(tree, |key, value| {
        let _transaction: [u8; 8] = key.try_into().ok()?;
        let (numbers, []) = value.as_chunks() else {
            return None;
        };
        let (count, numbers) = numbers.split_first()?;
        let count = usize::try_from(u64::from_ne_bytes(*count)).ok()?;
        free.extend(
            numbers
                .get(..count)?
                .iter()
                .map(|number| u64::from_ne_bytes(*number)),
        );
        Some(())
    })?;
    free.into_iter()
        .try_for_each(|number| pages.claim(number, 1))
}

/// What a meta page says.
#[derive(Clone, Copy)]
struct MetaPage {
    page_bytes: u32,
    free: Tree,
    main: Tree,
    last_page: u64,
    transaction: u64,
}

fn meta_page(file: &File, at: u64) -> Result<MetaPage, Bad> {
    let mut page = [0; META_END];
    match file.read_exact_at(&mut page, at) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return bad(format!("it ends after {} bytes", file.metadata()?.len()));
        }
        read => read?,
    }
    match MetaPage::decode(&page) {
        Some(page) => Ok(page),
        None => bad("its first two pages aren't LMDB's"),
    }
}

impl MetaPage {
    /// A page's header, then magic, version, address, map size, two trees, last page, transaction.
    fn decode(page: &[u8; META_END]) -> Option<Self> {
        let u32_at = |at: usize| Some(u32::from_ne_bytes(*page.get(at..)?.first_chunk()?));
        let u64_at = |at: usize| Some(u64::from_ne_bytes(*page.get(at..)?.first_chunk()?));
        let flags = u16::from_ne_bytes([page[10], page[11]]);
        // The free list's tree has no padding and flags of its own: both are the environment's.
        let page_bytes = u32_at(40)?;
        let mut free = page[40..88].to_vec();
        free[..6].fill(0);
        let good = flags & FLAG_META != 0
            && u32_at(16)? == MAGIC
            && u32_at(20)? == VERSION
            && page_bytes.is_power_of_two()
            && (512..=32768).contains(&page_bytes)
            && u16::from_ne_bytes([page[44], page[45]]) == FLAG_INTEGER_KEY;
        good.then_some(Self {
            page_bytes,
            free: Tree::decode(Kind::Free, &free)?,
            main: Tree::decode(Kind::Main, &page[88..136])?,
            last_page: u64_at(136)?,
            transaction: u64_at(144)?,
        })
    }
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

const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
const FLAG_META: u16 = 0x08;
const FLAG_INTEGER_KEY: u16 = 0x08;
const META_END: usize = 152;
