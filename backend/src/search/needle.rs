//! Finding strings in text, whatever the case of either.
//!
//! Both are folded ([`crate::collation`]). Text is folded piece by piece, once for all strings that are looked for, so that a large one
//! costs little room.

use memchr::memmem::Finder;

use crate::collation::{fold, folded};

/// How much text is folded at once, at least.
const PIECE_BYTES: usize = 64 << 10;

/// A string that is looked for.
#[derive(Debug)]
pub(super) struct Needle {
    /// Boxed: a key is moved about, and this is as large as six others.
    finder: Box<Finder<'static>>,
}

impl Needle {
    /// `None` if `text` is no UTF-8: no text has that in it.
    pub(super) fn new(text: &[u8]) -> Option<Self> {
        let text = folded(std::str::from_utf8(text).ok()?);
        Some(Self {
            finder: Box::new(Finder::new(&text).into_owned()),
        })
    }

    /// What is looked for, folded.
    pub(super) fn folded(&self) -> &[u8] {
        self.finder.needle()
    }

    /// Whether it is in `text`.
    pub(super) fn is_in(&self, text: &str) -> bool {
        let mut found = self.folded().is_empty();
        windows(text, self.folded().len(), |window| {
            found |= self.is_in_folded(window);
            !found
        });
        found
    }

    /// Whether it is in what has been folded.
    pub(super) fn is_in_folded(&self, folded: &[u8]) -> bool {
        self.finder.find(folded).is_some()
    }
}

/// Gives `text` folded, in windows that overlap: whatever has at most `longest` bytes is in one of them. Until `look` says
/// false.
pub(super) fn windows(text: &str, longest: usize, mut look: impl FnMut(&[u8]) -> bool) {
    // As long as what overlaps, so that no byte is looked at more than about twice.
    let piece_bytes = PIECE_BYTES.max(longest);
    let (mut window, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(rest.floor_char_boundary(piece_bytes));
        fold(piece, &mut window);
        if !look(&window) {
            return;
        }
        let over = window.len().saturating_sub(longest.saturating_sub(1));
        window.drain(..over);
        rest = more;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(needle: &str, text: &str) -> bool {
        Needle::new(needle.as_bytes()).is_some_and(|needle| needle.is_in(text))
    }

    #[test]
    fn case_does_not_matter() {
        for (needle, text) in [
            ("", ""),
            ("", "x"),
            ("smith", "John SMITH"),
            ("SMITH", "smithy"),
            ("\u{c4}RGER", "der \u{e4}rger"),
            (
                "\u{442}\u{435}\u{421}\u{422}",
                "\u{422}\u{415}\u{441}\u{442}",
            ),
            ("k", "\u{212a}elvin"),
            ("\u{212a}", "kelvin"),
            ("a", "\u{c4}"),
        ] {
            assert!(found(needle, text), "{needle:?} in {text:?}");
        }
        for (needle, text) in [
            ("a", ""),
            ("ab", "a b"),
            ("\u{e4}", "a"),
            ("smith ", "smith"),
        ] {
            assert!(!found(needle, text), "{needle:?} in {text:?}");
        }
        assert!(Needle::new(b"\xff").is_none());
    }

    #[test]
    fn pieces_hide_nothing() {
        for fill in ["x", "\u{e9}", "\u{20ac}"] {
            let long = fill.repeat(2 * PIECE_BYTES / fill.len() + 5);
            for before in PIECE_BYTES / fill.len() - 9..PIECE_BYTES / fill.len() + 3 {
                let text = format!("{}Needle\u{df}{long}", fill.repeat(before));
                assert!(found("nEEdle\u{df}X", &text) == (fill == "x"), "{before}");
                assert!(
                    found("NEEDLE\u{df}", &text) && !found("needles", &text),
                    "{before}"
                );
            }
            let long = "Ab".repeat(PIECE_BYTES);
            assert!(found(&long, &format!("{fill}{long}c")) && !found(&format!("{long}c"), &long));
        }
    }

    proptest! {
        #[test]
        fn as_plain_comparing_finds_it(needle in "[aAbB\u{c4}\u{e4}\u{416}]{0,3}", text in "[aAbB\u{c4}\u{e4}\u{416}]{0,12}") {
            let (needle_folded, text_folded) = (folded(&needle), folded(&text));
            let plain = needle_folded.is_empty() || text_folded.windows(needle_folded.len()).any(|part| part == needle_folded);
            prop_assert_eq!(found(&needle, &text), plain);
        }
    }
}
