//! Which names may be made in UTF-8: Net-Unicode (RFC 5198 section 2), as RFC 6855 section 3 and RFC 9051 section 5.1 ask for.
//!
//! A name that is refused could be taken for another one that looks the same. Names that are there already, made in
//! modified UTF-7, may be anything; so this is asked when a name is made, and never when one is looked up.

use icu_normalizer::ComposingNormalizerBorrowed;

const NFC: ComposingNormalizerBorrowed<'_> = ComposingNormalizerBorrowed::new_nfc();

/// Whether a name is Net-Unicode: normalized (NFC), no control characters, no separators of lines and paragraphs, no byte
/// order mark before it.
#[must_use]
pub fn is_net_unicode(name: &str) -> bool {
    let bad = |char: char| char.is_control() || matches!(char, '\u{2028}' | '\u{2029}');
    !name.starts_with('\u{feff}') && !name.chars().any(bad) && NFC.is_normalized(name)
}

#[cfg(test)]
mod tests {
    use super::is_net_unicode;

    #[test]
    fn what_may_be_made_is_net_unicode() {
        for good in [
            "",
            "plain & simple",
            "Entw\u{fc}rfe",
            "\u{53f0}\u{5317}.\u{65e5}\u{672c}\u{8a9e}",
            "\u{1f600}",
            "\u{d558}",
        ] {
            assert!(is_net_unicode(good), "{good:?}");
        }
        for bad in [
            "Entwu\u{308}rfe",
            "\u{212b}",
            "a\u{7f}",
            "a\u{85}b",
            "a\tb",
            "a\u{2028}b",
            "a\u{2029}b",
            "\u{feff}a",
            "q\u{307}\u{323}",
            "\u{1112}\u{1161}",
        ] {
            assert!(!is_net_unicode(bad), "{bad:?}");
        }
    }
}
