//! Whether a data file is whole, found with ordinary reads before it is mapped.
//!
//! LMDB trusts its file: a short one kills the process with SIGBUS, a damaged page sends it
//! anywhere. So every page that it could reach is walked first (`tree`): bounds of pages and
//! nodes, order of keys, no page used twice. What the records mean is the caller's to check.
//!
//! The layout is LMDB's on 64-bit machines, data version 1, in the machine's byte order.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::tree::{Kind, Pages, Tree};

/// Why a file isn't used.
pub(crate) enum Bad {
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

pub(crate) fn bad<T>(why: impl Into<String>) -> Result<T, Bad> {
    Err(Bad::Why(why.into()))
}

/// Walks all tables of the file, the one named `first` before the others. `entry` takes a table's name, a key
/// and what is there, and answers `None` if that makes no sense.
pub(crate) fn tables(
    file: &File,
    first: &[u8],
    mut entry: impl FnMut(&[u8], &[u8], &[u8]) -> Option<()>,
) -> Result<(), Bad> {
    let one = meta_page(file, 0)?;
    let other = meta_page(file, one.page_bytes.into())?;
    if other.page_bytes != one.page_bytes {
        return bad("its first two pages don't agree on the size of a page");
    }
    let newest = if other.transaction > one.transaction {
        other
    } else {
        one
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
    tables.sort_by_key(|(name, _)| name != first);
    for (name, tree) in tables {
        pages.walk(tree, |key, value| entry(&name, key, value))?;
    }
    Ok(())
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

const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
const FLAG_META: u16 = 0x08;
const FLAG_INTEGER_KEY: u16 = 0x08;
const META_END: usize = 152;
