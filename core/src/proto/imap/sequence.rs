//! Sequence sets: message numbers or UIDs as a client names them (RFC 3501 section 9,
//! `sequence-set`), and `$`, what the last SEARCH saved (RFC 5182).
//!
//! What they mean depends on the mailbox: [`SequenceSet::resolve`]. Reading costs what the text is
//! long; ranges in a row are kept as one, and there is a limit to them.

use std::fmt;

use super::cursor::{Cursor, ParseError};
use super::uids::Uids;

/// More ranges aren't taken: they are two megabytes.
const RANGES_MAX: usize = 1 << 18;
/// How `*` is kept. No message has this number.
const STAR: u32 = 0;

/// Message numbers or UIDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SequenceSet {
    /// `$`: what the last SEARCH with SAVE found.
    Saved,
    /// Numbers and ranges.
    Ranges(Ranges),
}

/// Numbers and ranges, one at least, in the order in which they were named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges {
    /// Both ends, the lower one first; [`STAR`] stands second, or twice.
    ranges: Vec<(u32, u32)>,
}

impl SequenceSet {
    /// Reads a set that is all of `text`.
    ///
    /// # Errors
    /// If it is none, or has too many ranges.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(text);
        let set = Self::read(&mut cursor)?;
        cursor.end()?;
        Ok(set)
    }

    /// Reads the set that comes next.
    ///
    /// # Errors
    /// As for [`Self::parse`].
    pub fn read(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        if cursor.accept(b'$') {
            return Ok(Self::Saved);
        }
        let mut ranges = Vec::new();
        loop {
            let first = end(cursor)?;
            let last = if cursor.accept(b':') {
                end(cursor)?
            } else {
                first
            };
            push(&mut ranges, (first, last));
            if ranges.len() > RANGES_MAX {
                return Err(ParseError::Expected("a sequence set with fewer ranges"));
            }
            if !cursor.accept(b',') {
                return Ok(Self::Ranges(Ranges { ranges }));
            }
        }
    }

    /// The numbers it stands for where the highest one is `max`, in order. `$` gives none: it is
    /// the caller's. Where there is no message (`max` is 0), neither does a set with `*`.
    #[must_use]
    pub fn resolve(&self, max: u32) -> Uids {
        let Self::Ranges(Ranges { ranges }) = self else {
            return Uids::default();
        };
        if max == 0 && self.has_star() {
            return Uids::default();
        }
        let known = |number: u32| if number == STAR { max } else { number };
        let ends = ranges
            .iter()
            .map(|(first, last)| (known(*first), known(*last)));
        Uids::merged(ends.map(|(a, b)| (a.min(b), a.max(b))).collect())
    }

    /// The highest number that is named, without `*`; 0 if there is none. A message number above
    /// EXISTS is a BAD.
    #[must_use]
    pub fn highest_number(&self) -> u32 {
        match self {
            Self::Saved => 0,
            Self::Ranges(Ranges { ranges }) => {
                let ends = ranges.iter().flat_map(|(first, last)| [*first, *last]);
                ends.max().unwrap_or(0)
            }
        }
    }

    /// It has a `*`.
    #[must_use]
    pub fn has_star(&self) -> bool {
        match self {
            Self::Saved => false,
            Self::Ranges(Ranges { ranges }) => ranges.iter().any(|(_, last)| *last == STAR),
        }
    }
}

/// As it is written in a command.
impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Ranges(Ranges { ranges }) = self else {
            return f.write_str("$");
        };
        for (at, (first, last)) in ranges.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match (*first, *last) {
                (STAR, STAR) => write!(f, "{comma}*")?,
                (first, STAR) => write!(f, "{comma}{first}:*")?,
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first}:{last}")?,
            }
        }
        Ok(())
    }
}

/// One end of a range.
fn end(cursor: &mut Cursor<'_>) -> Result<u32, ParseError> {
    if cursor.accept(b'*') {
        return Ok(STAR);
    }
    let expected = ParseError::Expected("a number that isn't 0, `*`, or `$` alone");
    if !cursor.peek().is_some_and(|byte| byte.is_ascii_digit()) {
        return Err(expected);
    }
    match cursor.number32()? {
        0 => Err(expected),
        number => Ok(number),
    }
}

/// Adds a range, to the last one if it goes on there.
fn push(ranges: &mut Vec<(u32, u32)>, (first, last): (u32, u32)) {
    if first == STAR || last == STAR {
        ranges.push((first.max(last), STAR));
        return;
    }
    let (first, last) = (first.min(last), first.max(last));
    match ranges.last_mut() {
        Some((begin, end)) if *end != STAR && *begin <= first && first <= end.saturating_add(1) => {
            *end = last.max(*end);
        }
        _ => ranges.push((first, last)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(text: &str) -> SequenceSet {
        SequenceSet::parse(text.as_bytes()).expect("a set")
    }

    #[test]
    fn sets_are_resolved() {
        for (text, max, numbers) in [
            ("2,4:7,9,12:*", 15, "2,4:7,9,12:15"),
            ("*:4,5:7", 10, "4:10"),
            ("5:*", 3, "3:5"),
            ("*", 7, "7"),
            ("*:*", 7, "7"),
            ("*,1", 0, ""),
            ("3", 0, "3"),
            ("4:2,1", 9, "1:4"),
            ("1:4294967295,7", 9, "1:4294967295"),
            ("$", 9, ""),
        ] {
            assert_eq!(set(text).resolve(max).to_string(), numbers, "{text}");
        }
        assert_eq!(set("3,*,9:7").highest_number(), 9);
        assert_eq!(set("*:5").highest_number(), 5);
        assert_eq!(set("*").highest_number(), 0);
        assert!(set("1,*:3").has_star() && !set("1:3").has_star() && !set("$").has_star());
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in [
            "",
            "0",
            "1:",
            ":1",
            "1,",
            ",1",
            "1,,2",
            "1:2:3",
            "+1",
            "-1",
            "a",
            "1 ",
            "$,1",
            "1,$",
            "**",
            "4294967296",
            "99999999999999999999",
            "1:0",
            "*1",
        ] {
            assert!(SequenceSet::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn large_sets_are_cheap() {
        let row = (1..150_000).map(|at| format!("{at},")).collect::<String>() + "*";
        assert_eq!(set(&row).resolve(9).to_string(), "1:149999");
        let gaps = |count: u32| {
            let odd = (0..count).map(|at| format!("{},", 2 * at + 1));
            odd.collect::<String>() + "1"
        };
        let most = u32::try_from(RANGES_MAX).expect("it is small");
        assert_eq!(set(&gaps(most - 1)).resolve(1).ranges(), RANGES_MAX - 1);
        assert!(SequenceSet::parse(gaps(most).as_bytes()).is_err());
        assert_eq!(set(&("9,".repeat(524_287) + "9")).resolve(1).len(), 1);
    }

    proptest! {
        #[test]
        fn sets_are_what_a_plain_model_says(
            ranges in proptest::collection::vec((0_u32..40, 0_u32..40, any::<bool>()), 1..12),
            max in 0_u32..40,
        ) {
            let name = |end: u32| if end == 0 { "*".to_owned() } else { end.to_string() };
            let mut model = BTreeSet::new();
            let mut texts = Vec::new();
            for (a, b, alone) in ranges {
                let b = if alone { a } else { b };
                texts.push(if alone { name(a) } else { format!("{}:{}", name(a), name(b)) });
                let (a, b) = (if a == 0 { max } else { a }, if b == 0 { max } else { b });
                model.extend(a.min(b)..=a.max(b));
            }
            let text = texts.join(",");
            if max == 0 && text.contains('*') {
                model.clear();
            }
            let read = set(&text);
            let uids = read.resolve(max);
            prop_assert_eq!(uids.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            for uid in 1..50 {
                prop_assert_eq!(uids.has(uid), model.contains(&uid));
            }
            prop_assert_eq!(set(&read.to_string()), read);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9:,*$]{0,24}") {
            if let Ok(read) = SequenceSet::parse(text.as_bytes()) {
                prop_assert_eq!(set(&read.to_string()), read);
            }
        }
    }
}
