//! LIST's patterns (RFC 3501 section 6.3.8): `*` matches anything, `%` anything but the separator.
//!
//! A pattern is run as a set of positions, one bit each: a name costs its length times the
//! pattern's words of 64 bits, however many wildcards there are. The set tells early when no
//! name that begins like this one can match: LIST skips from there.

use smallvec::SmallVec;

/// The longest pattern (reference included), in bytes.
pub const PATTERN_BYTES_MAX: usize = 1024;

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    items: Vec<Item>,
    /// For each byte, the positions that it moves on from.
    moves: Vec<Words>,
    /// Positions at a wildcard.
    wild: Words,
    /// Positions at a `*`: the separator keeps them, too.
    star: Words,
    separator: u8,
    parents: bool,
}

/// A pattern over [`PATTERN_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternTooLong;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Byte(u8),
    /// `%`
    Level,
    /// `*`
    Any,
}

impl Item {
    fn literal(&self) -> Option<u8> {
        match self {
            Self::Byte(byte) => Some(*byte),
            Self::Level | Self::Any => None,
        }
    }
}

type Words = SmallVec<[u64; 2]>;

impl Pattern {
    /// Compiles a pattern for names with this separator.
    pub fn new(pattern: &[u8], separator: u8) -> Result<Self, PatternTooLong> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(PatternTooLong);
        }
        let mut items: Vec<Item> = Vec::with_capacity(pattern.len());
        for byte in pattern {
            let item = match byte {
                b'*' => Item::Any,
                b'%' => Item::Level,
                byte => Item::Byte(*byte),
            };
            // Wildcards in a row are one: then no position leads to the next but one for free.
            match (items.last_mut(), item) {
                (Some(last @ (Item::Any | Item::Level)), Item::Any) => *last = Item::Any,
                (Some(Item::Any | Item::Level), Item::Level) => {}
                _ => items.push(item),
            }
        }
        let parents = pattern.last() != Some(&b'*');
        Ok(Self::compiled(items, separator, parents))
    }

    /// All names that begin so, whatever the bytes mean in a pattern.
    pub(super) fn beginning(prefix: &[u8], separator: u8) -> Self {
        let literal = prefix.iter().map(|byte| Item::Byte(*byte));
        Self::compiled(literal.chain([Item::Any]).collect(), separator, false)
    }

    fn compiled(items: Vec<Item>, separator: u8, parents: bool) -> Self {
        let words = items.len() / 64 + 1;
        let none: Words = SmallVec::from_elem(0, words);
        let mut pattern = Self {
            moves: vec![none.clone(); 256],
            wild: none.clone(),
            star: none,
            items,
            separator,
            parents,
        };
        for (at, item) in pattern.items.iter().enumerate() {
            let (word, bit) = (at / 64, 1 << (at % 64));
            match item {
                Item::Byte(byte) => pattern.moves[usize::from(*byte)][word] |= bit,
                Item::Level => pattern.wild[word] |= bit,
                Item::Any => {
                    pattern.wild[word] |= bit;
                    pattern.star[word] |= bit;
                }
            }
        }
        pattern
    }

    /// Whether the whole of `name` matches.
    pub fn matches(&self, name: &[u8]) -> bool {
        let mut run = Run::new(self);
        name.iter().all(|byte| run.feed(*byte)) && run.accepts()
    }

    /// What every match begins with.
    pub fn literal_prefix(&self) -> Vec<u8> {
        self.items.iter().map_while(Item::literal).collect()
    }

    /// Whether there is no wildcard in it.
    pub fn is_literal(&self) -> bool {
        self.items.iter().all(|item| item.literal().is_some())
    }

    /// What every match ends with.
    pub fn literal_suffix(&self) -> Vec<u8> {
        let literal = self.items.iter().rev().map_while(Item::literal);
        let mut suffix: Vec<u8> = literal.collect();
        suffix.reverse();
        suffix
    }

    /// Whether levels that match are answered although no mailbox is there: a pattern that ends
    /// with `*` finds the mailboxes below them anyway.
    pub fn wants_parents(&self) -> bool {
        self.parents
    }
}

/// A pattern being run over a name, byte by byte.
pub(super) struct Run<'p> {
    pattern: &'p Pattern,
    positions: Words,
}

impl<'p> Run<'p> {
    pub(super) fn new(pattern: &'p Pattern) -> Self {
        let mut run = Self {
            pattern,
            positions: SmallVec::from_elem(0, pattern.wild.len()),
        };
        run.positions[0] = 1;
        run.pass_wildcards();
        run
    }

    /// Takes the next byte; `false` if no name that begins like this can match any more.
    pub(super) fn feed(&mut self, byte: u8) -> bool {
        let pattern = self.pattern;
        let moves = &pattern.moves[usize::from(byte)];
        let stays = if byte == pattern.separator {
            &pattern.star
        } else {
            &pattern.wild
        };
        let (mut carry, mut alive) = (0, 0);
        for (at, positions) in self.positions.iter_mut().enumerate() {
            let moved = *positions & moves[at];
            *positions = (moved << 1) | carry | (*positions & stays[at]);
            carry = moved >> 63;
            alive |= *positions;
        }
        self.pass_wildcards();
        alive != 0
    }

    /// Whether what was fed so far is a match.
    pub(super) fn accepts(&self) -> bool {
        let end = self.pattern.items.len();
        self.positions[end / 64] & (1 << (end % 64)) != 0
    }

    /// A wildcard may match nothing.
    fn pass_wildcards(&mut self) {
        let mut carry = 0;
        for (at, positions) in self.positions.iter_mut().enumerate() {
            let passed = *positions & self.pattern.wild[at];
            *positions |= (passed << 1) | carry;
            carry = passed >> 63;
        }
    }
}
