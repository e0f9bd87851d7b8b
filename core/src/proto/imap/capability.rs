//! What a server says it can do (RFC 3501 section 7.2.1).

use std::collections::BTreeSet;

use super::response::status;

/// More than this many names, or longer ones, aren't kept.
const NAMES_MAX: usize = 512;
const NAME_BYTES_MAX: usize = 256;

/// How a server takes literals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literals {
    /// It asks for each.
    Sync,
    /// LITERAL-: it takes those of up to 4096 bytes unasked (RFC 7888 section 5).
    Minus,
    /// LITERAL+: it takes them unasked.
    Plus,
}

/// A set of capability names; case doesn't matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// In capitals.
    names: BTreeSet<String>,
}

impl Capabilities {
    /// The names in `list`, separated by spaces. What isn't printable ASCII is left out.
    #[must_use]
    pub fn parse(list: &[u8]) -> Self {
        let names = list
            .split(|byte| *byte == b' ')
            .filter(|name| !name.is_empty() && name.len() <= NAME_BYTES_MAX)
            .filter_map(|name| std::str::from_utf8(name).ok())
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()))
            .map(str::to_ascii_uppercase)
            .take(NAMES_MAX)
            .collect();
        Self { names }
    }

    /// The capabilities in a response's line (without its CRLF): `* CAPABILITY …`, or the code of a
    /// status response, `… [CAPABILITY …] …`.
    #[must_use]
    pub fn from_line(line: &[u8]) -> Option<Self> {
        let list = match strip_prefix(line, b"* CAPABILITY ") {
            Some(list) => list,
            None => strip_prefix(status(line)?.code?, b"CAPABILITY ")?,
        };
        Some(Self::parse(list))
    }

    /// The server has `name`, e.g. `IDLE` or `AUTH=PLAIN`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        if name.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return self.names.contains(&name.to_ascii_uppercase());
        }
        self.names.contains(name)
    }

    /// The server has a name that begins so, e.g. `MUPDATE=`.
    #[must_use]
    pub fn has_prefix(&self, prefix: &str) -> bool {
        let prefix = prefix.to_ascii_uppercase();
        self.names
            .range(prefix.clone()..)
            .next()
            .is_some_and(|name| name.starts_with(&prefix))
    }

    /// The largest message that the server takes (APPENDLIMIT, RFC 7889), if it says so.
    #[must_use]
    pub fn append_limit(&self) -> Option<u64> {
        let prefix = "APPENDLIMIT=";
        let named = self.names.range(prefix.to_owned()..).next()?;
        named.strip_prefix(prefix)?.parse().ok()
    }

    /// The names, in capitals and order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// What this and `other` both have.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            names: self.names.intersection(&other.names).cloned().collect(),
        }
    }

    /// How the server takes literals.
    #[must_use]
    pub fn literals(&self) -> Literals {
        if self.has("LITERAL+") {
            Literals::Plus
        } else if self.has("LITERAL-") {
            Literals::Minus
        } else {
            Literals::Sync
        }
    }
}

/// What follows `prefix`, in any case.
fn strip_prefix<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}
