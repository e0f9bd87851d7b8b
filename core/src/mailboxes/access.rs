//! The reverse ACL: which names an identifier may see, and the walk over those that an identity may.
//!
//! A key of a reverse ACL is domain and identifier, 0, name ([`Name::to_key`]), with nothing as its value: the ACL of the
//! mailbox grants `l` to the identifier, not that nothing takes it away. What a mailbox's own user may see isn't in it: those
//! names stand together among the names. The domain is the name's, since nobody sees another's, whoever `anyone` is there.
//!
//! The mailbox list has such a table, and so has a backend's store. Invariant: whoever writes a name or its ACL writes its
//! keys here in the same transaction ([`replace_access`]).
//!
//! A key ends at 511 bytes and a name's may have 491, so an identifier's tag has 19 at most: a longer
//! one is cut and hashed. Two that get the same tag cost time, never a wrong answer: whoever walks looks at the ACL
//! itself.

use std::ops::Bound;

use heed::types::Bytes;
use heed::{Database, RoRange, RoTxn, RwTxn};

use super::acl::entries;
use super::tables::{successor, tag};
use super::{Identity, Name, Part, Rights, UserId};

type Table = Database<'static, Bytes, Bytes>;

/// The keys for a mailbox with this name's key and this ACL, sorted, none twice.
#[must_use]
pub fn access_keys(name_key: &[u8], acl: &[u8]) -> Vec<Vec<u8>> {
    let name = Name::from_key(name_key);
    let domain = name.domain();
    // A name in a domain is of a user in a domain, whichever the default one is.
    let user = |identifier: &[u8]| match domain {
        b"" => UserId::parse(identifier),
        _ => UserId::in_domains(identifier, ""),
    };
    let seen_anyway =
        |identifier: &[u8]| user(identifier).is_ok_and(|user| name.is_owned_by(&user));
    let mut keys: Vec<Vec<u8>> = entries(acl)
        .filter(|(identifier, rights)| {
            !identifier.starts_with(b"-")
                && Rights::parse(rights).contains(Rights::LOOKUP)
                && !seen_anyway(identifier)
        })
        .map(|(identifier, _)| [&access_prefix(domain, identifier)[..], name_key].concat())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Takes a mailbox' keys that are old alone out of a reverse ACL, and puts those in that are new alone; both are of
/// [`access_keys`].
///
/// # Errors
/// If LMDB refuses.
pub fn replace_access(
    access: Table,
    writing: &mut RwTxn<'_>,
    old: &[Vec<u8>],
    new: &[Vec<u8>],
) -> heed::Result<()> {
    for gone in old.iter().filter(|key| new.binary_search(key).is_err()) {
        access.delete(writing, gone)?;
    }
    for come in new.iter().filter(|key| old.binary_search(key).is_err()) {
        access.put(writing, come, &[])?;
    }
    Ok(())
}

/// What the keys of an identifier begin with that names of a domain have: a tag of both, and a 0.
fn access_prefix(domain: &[u8], identifier: &[u8]) -> Vec<u8> {
    let mut prefix = if domain.is_empty() {
        tag(identifier, TAG_BYTES_MAX)
    } else {
        tag(&[domain, b"!", identifier].concat(), TAG_BYTES_MAX)
    };
    prefix.push(0);
    prefix
}

/// A walk over the names of a part that an identity may see, in the list's order, and over some that it may not: the ACL has
/// the last word.
///
/// An admin's and an owner's are a range of `names`. The rest comes from `access`, a range for each identifier, merged.
pub struct Candidates<'r> {
    names: Table,
    reading: &'r RoTxn<'r>,
    end: Option<Vec<u8>>,
    sources: Vec<Source<'r>>,
    /// A key, and its record if it comes from `names`.
    current: Option<(&'r [u8], Option<&'r [u8]>)>,
}

impl<'r> Candidates<'r> {
    /// Walks the keys of `part` from `from` to `end`, in a table of names and its reverse ACL.
    ///
    /// # Errors
    /// If LMDB refuses.
    pub fn open(
        (names, access): (Table, Table),
        reading: &'r RoTxn<'r>,
        (identity, part): (&Identity, Part),
        from: &[u8],
        end: Option<&[u8]>,
    ) -> heed::Result<Self> {
        let between = part.between(identity, from, end);
        let (from, end) = between.clone().unwrap_or_default();
        let mut candidates = Self {
            names,
            reading,
            end,
            sources: Vec::new(),
            current: None,
        };
        if between.is_none() {
            return Ok(candidates);
        }
        if identity.admin || part.is_own() {
            let source = candidates.source(names, Vec::new(), &from)?;
            candidates.sources.push(source);
            return Ok(candidates);
        }
        let domain = identity.user.domain().unwrap_or_default();
        for identifier in identity.identifiers() {
            let prefix = access_prefix(domain.as_bytes(), &identifier);
            let source = candidates.source(access, prefix, &from)?;
            candidates.sources.push(source);
        }
        Ok(candidates)
    }

    fn source(&self, table: Table, prefix: Vec<u8>, from: &[u8]) -> heed::Result<Source<'r>> {
        let start = [&prefix[..], from].concat();
        let end = match &self.end {
            Some(end) => Some([&prefix[..], end].concat()),
            None => successor(&prefix),
        };
        let range = (
            // No key is empty, and a bound may not be.
            if start.is_empty() {
                Bound::Unbounded
            } else {
                Bound::Included(&start[..])
            },
            end.as_deref().map_or(Bound::Unbounded, Bound::Excluded),
        );
        let mut source = Source {
            table,
            range: table.range(self.reading, &range)?,
            prefix,
            head: None,
        };
        source.advance()?;
        Ok(source)
    }

    /// Steps to the next; `false` at the end.
    ///
    /// # Errors
    /// If LMDB refuses.
    pub fn step(&mut self) -> heed::Result<bool> {
        let heads = self.sources.iter().filter_map(|source| source.head);
        let Some(least) = heads.min() else {
            self.current = None;
            return Ok(false);
        };
        let from_names = self.sources.len() == 1 && self.sources[0].prefix.is_empty();
        self.current = Some((least.0, from_names.then_some(least.1)));
        for source in &mut self.sources {
            if source.head.is_some_and(|head| head.0 == least.0) {
                source.advance()?;
            }
        }
        Ok(true)
    }

    /// Goes on with the first at or after `key`.
    ///
    /// # Errors
    /// If LMDB refuses.
    pub fn seek(&mut self, key: &[u8]) -> heed::Result<()> {
        for at in 0..self.sources.len() {
            if self.sources[at].head.is_some_and(|head| head.0 < key) {
                let (table, prefix) = (self.sources[at].table, self.sources[at].prefix.clone());
                self.sources[at] = self.source(table, prefix, key)?;
            }
        }
        Ok(())
    }

    /// The key of the name stepped to.
    #[must_use]
    pub fn key(&self) -> &'r [u8] {
        self.current.map_or(&[], |(key, _)| key)
    }

    /// What `names` has of it.
    ///
    /// # Errors
    /// If LMDB refuses.
    pub fn record(&self) -> heed::Result<Option<&'r [u8]>> {
        match self.current {
            None => Ok(None),
            Some((_, Some(record))) => Ok(Some(record)),
            Some((key, None)) => self.names.get(self.reading, key),
        }
    }
}

/// A range of one table.
struct Source<'r> {
    table: Table,
    prefix: Vec<u8>,
    range: RoRange<'r, Bytes, Bytes>,
    head: Option<(&'r [u8], &'r [u8])>,
}

impl Source<'_> {
    fn advance(&mut self) -> heed::Result<()> {
        let found = self.range.next().transpose()?;
        self.head = found.map(|(key, value)| (&key[self.prefix.len()..], value));
        Ok(())
    }
}

const TAG_BYTES_MAX: usize = 19;
