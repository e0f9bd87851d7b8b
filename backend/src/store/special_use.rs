//! What a mailbox is for (RFC 6154): a few bits of its record.

/// Special uses; a mailbox may have several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpecialUse(u8);

/// The attributes, in the order of their bits, as LIST has them.
const ATTRIBUTES: [&str; 7] = [
    "\\All",
    "\\Archive",
    "\\Drafts",
    "\\Flagged",
    "\\Junk",
    "\\Sent",
    "\\Trash",
];

impl SpecialUse {
    /// None.
    pub const NONE: Self = Self(0);

    /// The use that an attribute such as `\Sent` names, in any case. `None`: we know none of the kind.
    #[must_use]
    pub fn parse(attribute: &[u8]) -> Option<Self> {
        let is_it = |known: &str| known.as_bytes().eq_ignore_ascii_case(attribute);
        let at = ATTRIBUTES.iter().position(|known| is_it(known))?;
        Some(Self(1 << at))
    }

    /// Its attributes.
    pub fn attributes(self) -> impl Iterator<Item = &'static str> {
        let all = ATTRIBUTES.into_iter().enumerate();
        all.filter_map(move |(at, attribute)| (self.0 & (1 << at) != 0).then_some(attribute))
    }

    /// These and those.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it is for any of these.
    #[must_use]
    pub fn is_any_of(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// It has none.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    pub(super) fn bits(self) -> u8 {
        self.0
    }

    /// `None`: a bit that means nothing.
    pub(super) fn from_bits(bits: u8) -> Option<Self> {
        (bits >> ATTRIBUTES.len() == 0).then_some(Self(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::SpecialUse;

    #[test]
    fn attributes_are_read_and_written() {
        let sent = SpecialUse::parse(b"\\sENT").unwrap();
        let both = sent.and(SpecialUse::parse(b"\\All").unwrap());
        assert!(both.attributes().eq(["\\All", "\\Sent"]));
        assert!(both.is_any_of(sent) && !sent.is_any_of(SpecialUse::parse(b"\\All").unwrap()));
        assert_eq!(SpecialUse::from_bits(both.bits()), Some(both));
        for (unknown, bits) in [(&b"Sent"[..], 0x80), (b"\\Sen", 0xff), (b"", 0x80)] {
            assert_eq!(SpecialUse::parse(unknown), None);
            assert_eq!(SpecialUse::from_bits(bits), None);
        }
        assert!(SpecialUse::NONE.is_none() && SpecialUse::NONE.attributes().next().is_none());
    }
}
