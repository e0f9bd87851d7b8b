//! A walk over the pages of one of LMDB's B+ trees, with ordinary reads.
//!
//! A page has a header (its number, 2 bytes unused, flags, where its free space begins and ends),
//! offsets of its nodes, free space, and the nodes themselves up to the page's end without a
//! gap. A node has 8 bytes (size of its data or number of a page, flags, size of its key), its
//! key, and in leaves its data, or the number of the first of several pages that hold it.

use std::cmp::Ordering;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::check::{Bad, bad};

/// A tree's root and what it should hold (`MDB_db`).
#[derive(Clone, Copy)]
pub(super) struct Tree {
    pub(super) kind: Kind,
    depth: u16,
    entries: u64,
    root: u64,
}

/// What a tree is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Free pages, by the transaction that freed them: keys are numbers.
    Free,
    /// The tables, by name: data are trees.
    Main,
    /// One of our tables.
    Table,
}

impl Tree {
    /// Reads the 48 bytes of a tree; none of ours has flags.
    pub(super) fn decode(kind: Kind, bytes: &[u8]) -> Option<Self> {
        let u64_at = |at: usize| Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let plain = bytes.len() == 48 && bytes[..6].iter().all(|byte| *byte == 0);
        plain.then_some(Self {
            kind,
            depth: u16::from_ne_bytes([bytes[6], bytes[7]]),
            entries: u64_at(32)?,
            root: u64_at(40)?,
        })
    }
}

/// A file's pages, and which of them have been met.
pub(super) struct Pages<'f> {
    file: &'f File,
    page_bytes: usize,
    last: u64,
    met: Vec<u64>,
}

impl<'f> Pages<'f> {
    /// The file must be known to hold the pages up to `last`.
    pub(super) fn new(file: &'f File, page_bytes: u32, last: u64) -> Self {
        let words = usize::try_from(last / 64 + 1).expect("invariant: fewer pages than bytes");
        let page_bytes = usize::try_from(page_bytes).expect("invariant: at most 32768");
        Self {
            file,
            page_bytes,
            last,
            met: vec![0; words],
        }
    }

    /// Notes that pages are in use (or free) for one purpose, and so for no other.
    pub(super) fn claim(&mut self, number: u64, count: u64) -> Result<(), Bad> {
        let end = number
            .checked_add(count)
            .filter(|end| *end <= self.last + 1);
        let Some(end) = end.filter(|_| number >= META_PAGES) else {
            return bad(format!("it refers to a page {number} that it doesn't have"));
        };
        for number in number..end {
            let word = usize::try_from(number / 64).expect("invariant: claimed pages are there");
            let bit = 1 << (number % 64);
            if self.met[word] & bit != 0 {
                return bad(format!("it uses page {number} twice"));
            }
            self.met[word] |= bit;
        }
        Ok(())
    }

    /// Walks a tree in order; `entry` takes key and data, and answers `None` if they make no sense.
    pub(super) fn walk(
        &mut self,
        tree: Tree,
        mut entry: impl FnMut(&[u8], &[u8]) -> Option<()>,
    ) -> Result<(), Bad> {
        let mut walk = Walk {
            tree,
            entries: 0,
            last: None,
        };
        if tree.root == NO_PAGE && tree.depth == 0 {
            return if tree.entries == 0 {
                Ok(())
            } else {
                bad("a tree without pages has entries")
            };
        }
        if !(1..=DEPTH_MAX).contains(&tree.depth) {
            return bad("a tree is too deep");
        }
        self.subtree(&mut walk, tree.root, tree.depth, None, &mut entry)?;
        if walk.entries == tree.entries {
            Ok(())
        } else {
            bad("a tree has lost entries")
        }
    }

    /// Every key of a subtree must lie before `end`; that it lies after what came before is checked
    /// key by key.
    fn subtree(
        &mut self,
        walk: &mut Walk,
        number: u64,
        levels: u16,
        end: Option<&[u8]>,
        entry: &mut impl FnMut(&[u8], &[u8]) -> Option<()>,
    ) -> Result<(), Bad> {
        self.claim(number, 1)?;
        let page = self.read(number)?;
        let nodes = page.nodes(if levels == 1 { FLAG_LEAF } else { FLAG_BRANCH })?;
        if levels == 1 {
            return nodes
                .iter()
                .try_for_each(|node| self.leaf(walk, node, end, entry));
        }
        for (at, node) in nodes.iter().enumerate() {
            if at > 0 && !walk.is_next(node.key) {
                return bad(format!("page {number} isn't in order"));
            }
            // The key of a branch's first node isn't looked at: it may be empty.
            let begins = (at > 0).then(|| node.key.to_vec());
            let ends = nodes.get(at + 1).map(|next| next.key).or(end);
            let before = walk.entries;
            if let Some(begins) = begins {
                walk.begin(begins);
            }
            self.subtree(walk, node.page(), levels - 1, ends, entry)?;
            if walk.entries == before {
                return bad(format!("page {number} has an empty branch"));
            }
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        walk: &mut Walk,
        node: &Node<'_>,
        end: Option<&[u8]>,
        entry: &mut impl FnMut(&[u8], &[u8]) -> Option<()>,
    ) -> Result<(), Bad> {
        let before_end = end.is_none_or(|end| walk.compare(node.key, end) == Ordering::Less);
        if node.key.is_empty() || !before_end || !walk.advance(node.key) {
            return bad("keys aren't in order");
        }
        if (node.flags & NODE_TREE != 0) != (walk.tree.kind == Kind::Main) {
            return bad("it has a table where none belongs");
        }
        let whole;
        let data = if node.flags & NODE_BIG != 0 {
            whole = self.overflow(node)?;
            &whole[..]
        } else {
            node.data
        };
        match entry(node.key, data) {
            Some(()) => Ok(()),
            None => bad("it has a record that makes no sense"),
        }
    }

    /// Data too large for a page.
    fn overflow(&mut self, node: &Node<'_>) -> Result<Vec<u8>, Bad> {
        let Some(first) = node
            .data
            .first_chunk()
            .map(|number| u64::from_ne_bytes(*number))
        else {
            return bad("a node refers to no page");
        };
        let pages = (HEADER - 1 + node.data_bytes) / self.page_bytes + 1;
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        self.claim(first, pages.into())?;
        let head = self.read(first)?;
        let counted = u32::from_ne_bytes([head.0[12], head.0[13], head.0[14], head.0[15]]);
        if head.flags() != FLAG_OVERFLOW || counted != pages {
            return bad(format!("page {first} isn't what is referred to"));
        }
        let mut data = vec![0; node.data_bytes];
        let at = first * self.page_bytes as u64 + HEADER as u64;
        self.file.read_exact_at(&mut data, at)?;
        Ok(data)
    }

    fn read(&self, number: u64) -> Result<Page, Bad> {
        let mut page = vec![0; self.page_bytes];
        self.file
            .read_exact_at(&mut page, number * self.page_bytes as u64)?;
        let page = Page(page);
        match page.0.first_chunk() {
            Some(written) if u64::from_ne_bytes(*written) == number => Ok(page),
            _ => bad(format!("page {number} has another one's number")),
        }
    }
}

/// Where a walk is.
struct Walk {
    tree: Tree,
    entries: u64,
    /// What the next key must lie after, or (the flag) at least at.
    last: Option<(Vec<u8>, bool)>,
}

impl Walk {
    fn is_next(&self, key: &[u8]) -> bool {
        match &self.last {
            None => true,
            Some((last, may_equal)) => match self.compare(last, key) {
                Ordering::Less => true,
                Ordering::Equal => *may_equal,
                Ordering::Greater => false,
            },
        }
    }

    fn begin(&mut self, key: Vec<u8>) {
        self.last = Some((key, true));
    }

    fn advance(&mut self, key: &[u8]) -> bool {
        let good = self.is_next(key) && (self.tree.kind != Kind::Free || key.len() == 8);
        self.last = Some((key.to_vec(), false));
        self.entries += 1;
        good
    }

    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        let number = |key: &[u8]| key.first_chunk().map(|key| u64::from_ne_bytes(*key));
        if self.tree.kind == Kind::Free {
            number(a).cmp(&number(b))
        } else {
            a.cmp(b)
        }
    }
}

struct Page(Vec<u8>);

struct Node<'p> {
    flags: u16,
    key: &'p [u8],
    /// What is in the page: the data, or where they are.
    data: &'p [u8],
    data_bytes: usize,
    low_bytes: u32,
}

impl Page {
    fn u16_at(&self, at: usize) -> u16 {
        u16::from_ne_bytes([self.0[at], self.0[at + 1]])
    }

    fn flags(&self) -> u16 {
        self.u16_at(10)
    }

    /// The page's nodes, if it is of the kind `flag` and every byte of it is accounted for.
    fn nodes(&self, flag: u16) -> Result<Vec<Node<'_>>, Bad> {
        let (lower, upper) = (usize::from(self.u16_at(12)), usize::from(self.u16_at(14)));
        let well_formed = self.flags() == flag
            && lower > HEADER
            && lower.is_multiple_of(2)
            && lower <= upper
            && upper <= self.0.len();
        let nodes = well_formed.then(|| {
            let mut taken = Vec::new();
            let offsets = (HEADER..lower)
                .step_by(2)
                .map(|at| usize::from(self.u16_at(at)));
            let nodes: Option<Vec<_>> = offsets
                .map(|at| self.node(at, flag == FLAG_LEAF, &mut taken))
                .collect();
            taken.sort_unstable();
            let end = taken
                .iter()
                .try_fold(upper, |end, (from, to)| (end == *from).then_some(*to));
            nodes.filter(|_| end == Some(self.0.len()))
        });
        match nodes.flatten() {
            Some(nodes) => Ok(nodes),
            None => bad("a page is damaged"),
        }
    }

    fn node(&self, at: usize, leaf: bool, taken: &mut Vec<(usize, usize)>) -> Option<Node<'_>> {
        let head = self.0.get(at..at + NODE_HEADER)?;
        let u16_at = |at: usize| u16::from_ne_bytes([head[at], head[at + 1]]);
        let (low_bytes, flags) = (u32::from_ne_bytes(*head.first_chunk()?), u16_at(4));
        let key_end = at + NODE_HEADER + usize::from(u16_at(6));
        let key = self
            .0
            .get(at + NODE_HEADER..key_end)
            .filter(|key| key.len() <= KEY_BYTES_MAX)?;
        let data_bytes = if leaf {
            usize::try_from(low_bytes).ok()?
        } else {
            0
        };
        let in_page = match flags {
            // In a branch these are a page number's higher bits.
            _ if !leaf => 0,
            0 | NODE_TREE => data_bytes,
            NODE_BIG => 8,
            _ => return None,
        };
        let end = key_end.checked_add(in_page)?;
        let data = self.0.get(key_end..end)?;
        taken.push((at, end.next_multiple_of(2)));
        at.is_multiple_of(2).then_some(Node {
            flags,
            key,
            data,
            data_bytes,
            low_bytes,
        })
    }
}

impl Node<'_> {
    /// The page that a branch's node leads to.
    fn page(&self) -> u64 {
        u64::from(self.flags) << 32 | u64::from(self.low_bytes)
    }
}

const META_PAGES: u64 = 2;
const NO_PAGE: u64 = u64::MAX;
const DEPTH_MAX: u16 = 32;
const HEADER: usize = 16;
const NODE_HEADER: usize = 8;
const KEY_BYTES_MAX: usize = 511;
const FLAG_BRANCH: u16 = 0x01;
const FLAG_LEAF: u16 = 0x02;
const FLAG_OVERFLOW: u16 = 0x04;
const NODE_BIG: u16 = 0x01;
const NODE_TREE: u16 = 0x02;
