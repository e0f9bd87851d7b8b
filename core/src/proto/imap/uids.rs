//! Sets of UIDs in the order in which messages are handled (RFC 4315 section 3: COPYUID and
//! APPENDUID give the old and the new ones in the same order).

use std::fmt;

/// UIDs in order, those in a row kept as one range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uids {
    ranges: Vec<(u32, u32)>,
}

impl Uids {
    /// Adds one at the end.
    pub fn push(&mut self, uid: u32) {
        match self.ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(uid) => *last = uid,
            _ => self.ranges.push((uid, uid)),
        }
    }

    /// Adds others at the end, range by range.
    pub fn append(&mut self, others: &Self) {
        for (first, last) in &others.ranges {
            self.push_range(*first, *last);
        }
    }

    /// Every UID that there can be.
    #[must_use]
    pub fn all() -> Self {
        Self {
            ranges: vec![(1, u32::MAX)],
        }
    }

    /// Reads a set such as `3,7:9`; `None` if it is none, or has `*` in it.
    #[must_use]
    pub fn parse(set: &[u8]) -> Option<Self> {
        let mut uids = Self::default();
        for range in set.split(|byte| *byte == b',') {
            let mut ends = range.split(|byte| *byte == b':');
            let first = number(ends.next()?)?;
            let last = ends.next().map_or(Some(first), number)?;
            if ends.next().is_some() {
                return None;
            }
            uids.ranges.push((first.min(last), first.max(last)));
        }
        Some(uids)
    }

    /// These ranges in the order of their UIDs; what touches or overlaps is one.
    #[must_use]
    pub fn merged(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        ranges.dedup_by(|(first, last), (_, end)| {
            let touches = *first <= end.saturating_add(1);
            if touches {
                *end = *last.max(end);
            }
            touches
        });
        Self { ranges }
    }

    /// The ranges as they are kept.
    #[must_use]
    pub fn as_ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// Whether `uid` is in the set, whose UIDs are in order ([`Self::merged`]).
    #[must_use]
    pub fn has(&self, uid: u32) -> bool {
        let at = self.ranges.partition_point(|(_, last)| *last < uid);
        self.ranges.get(at).is_some_and(|(first, _)| *first <= uid)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        let sizes = self.ranges.iter();
        sizes.map(|(first, last)| u64::from(last - first) + 1).sum()
    }

    /// There is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges in the order of their UIDs, none of them in two.
    #[must_use]
    pub fn in_order(&self) -> Vec<(u32, u32)> {
        let mut ranges = self.ranges.clone();
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= *end => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        merged
    }

    /// Those that aren't among `others`.
    #[must_use]
    pub fn without(&self, others: &Self) -> Self {
        let others = others.in_order();
        let mut left = Self::default();
        for (first, last) in &self.ranges {
            let (mut next, last) = (u64::from(*first), u64::from(*last));
            let from = others.partition_point(|(_, end)| end < first);
            for (begin, end) in &others[from..] {
                let (begin, end) = (u64::from(*begin), u64::from(*end));
                if begin > last {
                    break;
                }
                left.push_from(next, begin);
                next = end + 1;
            }
            left.push_from(next, last + 1);
        }
        left
    }

    /// Adds those from `first` to `last` at the end, both included.
    pub fn push_range(&mut self, first: u32, last: u32) {
        if first > last {
            return;
        }
        self.push(first);
        if let Some((_, end)) = self.ranges.last_mut() {
            *end = last;
        }
    }

    /// Adds those from `first` up to and without `end`.
    fn push_from(&mut self, first: u64, end: u64) {
        let (Ok(first), Ok(last)) = (u32::try_from(first), u32::try_from(end.saturating_sub(1)))
        else {
            return;
        };
        self.push_range(first, last);
    }

    /// The same in pieces, each of which has no more than `bytes_max` bytes as text: servers have a
    /// limit on a word.
    pub fn pieces(&self, bytes_max: usize) -> impl Iterator<Item = Self> {
        let ranges = self.ranges.chunks((bytes_max / RANGE_BYTES_MAX).max(1));
        ranges.map(|ranges| Self {
            ranges: ranges.to_vec(),
        })
    }

    /// How many ranges they take: what they cost.
    #[must_use]
    pub fn ranges(&self) -> usize {
        self.ranges.len()
    }

    /// All of them, one by one.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.ranges.iter().flat_map(|(first, last)| *first..=*last)
    }
}

/// `4294967294:4294967295,`
const RANGE_BYTES_MAX: usize = 22;

impl FromIterator<u32> for Uids {
    fn from_iter<T: IntoIterator<Item = u32>>(uids: T) -> Self {
        let mut set = Self::default();
        uids.into_iter().for_each(|uid| set.push(uid));
        set
    }
}

impl fmt::Display for Uids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}:{last}")?;
            }
        }
        Ok(())
    }
}

/// A UID: not zero, no sign.
fn number(text: &[u8]) -> Option<u32> {
    let digits = text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().filter(|_| digits)?;
    number.parse().ok().filter(|uid| *uid > 0)
}

#[cfg(test)]
mod tests {
    use super::Uids;

    #[test]
    fn others_are_taken_out_and_pieces_are_short() {
        let set = |text: &str| Uids::parse(text.as_bytes()).expect("a set");
        for (all, others, left) in [
            ("1:10", "3,5:6,10", "1:2,4,7:9"),
            ("7,1:3", "2,9", "7,1,3"),
            ("1:4294967295", "2:4294967294", "1,4294967295"),
            ("5", "1:9", ""),
            ("5:6", "7", "5:6"),
        ] {
            assert_eq!(set(all).without(&set(others)).to_string(), left, "{all}");
        }
        let odd: Uids = (0..1000).map(|at| 4_294_960_000 + 2 * at).collect();
        let pieces: Vec<Uids> = odd.pieces(100).collect();
        assert!(pieces.len() > 200 && pieces.iter().all(|piece| piece.to_string().len() <= 100));
        assert_eq!(pieces.iter().flat_map(Uids::iter).collect::<Uids>(), odd);
        assert_eq!(odd.pieces(0).count(), 1000);
    }

    #[test]
    fn uids_in_a_row_are_one_range() {
        let uids: Uids = [3, 4, 5, 9, 11, 12, 7].into_iter().collect();
        assert_eq!(uids.to_string(), "3:5,9,11:12,7");
        assert_eq!((uids.len(), uids.ranges()), (7, 4));
        assert_eq!(Uids::parse(b"3:5,9,12:11,7"), Some(uids.clone()));
        assert_eq!(uids.iter().collect::<Vec<_>>(), [3, 4, 5, 9, 11, 12, 7]);
        let mut both: Uids = [1, 2].into_iter().collect();
        both.append(&Uids::parse(b"3:4294967295,7").expect("a set"));
        assert_eq!(both.to_string(), "1:4294967295,7");
        let last: Uids = [u32::MAX - 1, u32::MAX, 1].into_iter().collect();
        assert_eq!(last.iter().count(), 3);
    }

    #[test]
    fn ranges_are_merged() {
        let set = Uids::merged(vec![
            (9, 12),
            (4, 4),
            (10, 10),
            (u32::MAX, u32::MAX),
            (5, 6),
            (1, 2),
        ]);
        assert_eq!(set.to_string(), "1:2,4:6,9:12,4294967295");
        for (uid, has) in [(2, true), (3, false), (4, true), (12, true), (13, false)] {
            assert_eq!(set.has(uid), has, "{uid}");
        }
        assert!(set.has(u32::MAX) && !set.has(u32::MAX - 1) && !Uids::default().has(1));
        assert_eq!(
            Uids::merged(vec![(1, u32::MAX), (7, 8)]).len(),
            4_294_967_295
        );
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in [
            "",
            "0",
            "1:",
            "*",
            "1:*",
            "1,",
            "+1",
            "4294967296",
            "1:2:3",
            "a",
        ] {
            assert_eq!(Uids::parse(text.as_bytes()), None, "{text}");
        }
    }
}
