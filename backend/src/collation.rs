//! How texts are compared: i;unicode-casemap (RFC 5051), as SEARCH, SORT and THREAD have it (RFC 5255 section 4, I18NLEVEL=1).
//!
//! A text is *folded*: each character taken apart (its compatibility decomposition), and what comes of it made large. Folded
//! texts are compared by their bytes. RFC 5051 makes large first; the other way round, a ligature has the case of its letters, too.
//! Characters are folded one by one, so the folded pieces of a text make up the folded text.

use unicode_normalization::char::decompose_compatible;

/// Appends `text`, folded.
pub fn fold(text: &str, folded: &mut Vec<u8>) {
    if text.is_ascii() {
        let start = folded.len();
        folded.extend_from_slice(text.as_bytes());
        folded[start..].make_ascii_uppercase();
        return;
    }
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(byte) if byte.is_ascii() => folded.push(byte.to_ascii_uppercase()),
            _ => decompose_compatible(character, |part| {
                folded.extend_from_slice(large(part).encode_utf8(&mut [0; 4]).as_bytes());
            }),
        }
    }
}

/// `text`, folded.
#[must_use]
pub fn folded(text: &str) -> Vec<u8> {
    let mut folded = Vec::with_capacity(text.len());
    fold(text, &mut folded);
    folded
}

/// The large form of a character, if that is one character.
fn large(character: char) -> char {
    let mut large = character.to_uppercase();
    match (large.next(), large.next()) {
        (Some(large), None) => large,
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_and_composition_do_not_matter() {
        for (one, other) in [
            ("", ""),
            ("smith", "SMITH"),
            ("\u{e4}rger", "A\u{308}RGER"),
            (
                "\u{442}\u{435}\u{441}\u{442}",
                "\u{422}\u{415}\u{421}\u{422}",
            ),
            ("\u{212a}elvin", "kelvin"),
            ("\u{fb01}x", "FIX"),
            ("\u{ff52}\u{ff25}", "re"),
            ("\u{3c3}", "\u{3c2}"),
        ] {
            assert_eq!(folded(one), folded(other), "{one:?} and {other:?}");
        }
        // No character has several large ones.
        assert_ne!(folded("\u{df}"), folded("ss"));
        // `_` lies behind the letters, as RFC 5051 has it.
        assert!(folded("a_") > folded("az"));
    }

    #[test]
    fn what_is_folded_stays_as_it_is() {
        for character in '\0'..=char::MAX {
            let once = String::from_utf8(folded(character.encode_utf8(&mut [0; 4]))).unwrap();
            assert_eq!(folded(&once), once.as_bytes(), "{character:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_up_the_whole(one in any::<String>(), other in any::<String>()) {
            let mut pieces = folded(&one);
            fold(&other, &mut pieces);
            prop_assert_eq!(pieces, folded(&format!("{one}{other}")));
        }
    }
}
