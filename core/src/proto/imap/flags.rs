//! Flags as clients name them (RFC 3501 section 2.3.2; section 9, `flag`), and which bit is which.
//!
//! System flags are known in any case; what begins with a backslash and isn't one of them is
//! refused, \Recent among it: no client sets that. Keywords keep the case they came in, and are
//! the same in any case.

use std::collections::BTreeSet;
use std::fmt;

use super::cursor::{Cursor, ParseError};

/// The flags of RFC 3501 that are kept, by their bits.
pub const SYSTEM_FLAGS: [&str; 5] = ["\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"];

/// The bit of \Answered.
pub const ANSWERED: u8 = 1 << 0;
/// The bit of \Flagged.
pub const FLAGGED: u8 = 1 << 1;
/// The bit of \Deleted.
pub const DELETED: u8 = 1 << 2;
/// The bit of \Seen.
pub const SEEN: u8 = 1 << 3;
/// The bit of \Draft.
pub const DRAFT: u8 = 1 << 4;

/// More keywords in one list aren't taken, nor longer ones: a mailbox has to keep them.
const KEYWORDS_MAX: usize = 256;
const KEYWORD_BYTES_MAX: usize = 255;

/// Flags that a client gives to messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagList {
    /// A bit for each of [`SYSTEM_FLAGS`].
    pub system: u8,
    /// Keywords, none twice in any case, as the first was written.
    pub keywords: Vec<String>,
}

impl FlagList {
    /// Reads a list in parentheses, which may be empty.
    ///
    /// # Errors
    /// If it is none, or has a flag that can't be set.
    pub fn read(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        if !cursor.accept(b'(') {
            return Err(ParseError::Expected("a parenthesized list"));
        }
        if cursor.accept(b')') {
            return Ok(Self::default());
        }
        let list = Self::read_bare(cursor)?;
        if cursor.accept(b')') {
            Ok(list)
        } else {
            Err(ParseError::Parenthesis)
        }
    }

    /// Reads flags with a space between them, one at least.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn read_bare(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let (mut list, mut seen) = (Self::default(), BTreeSet::new());
        loop {
            list.take(cursor, &mut seen)?;
            if list.keywords.len() > KEYWORDS_MAX {
                return Err(ParseError::Expected("at most 256 keywords"));
            }
            if !cursor.accept(b' ') {
                return Ok(list);
            }
        }
    }

    fn take(
        &mut self,
        cursor: &mut Cursor<'_>,
        seen: &mut BTreeSet<String>,
    ) -> Result<(), ParseError> {
        if cursor.accept(b'\\') {
            self.system |= system_flag(cursor.atom()?)?;
            return Ok(());
        }
        let keyword = keyword(cursor)?;
        if seen.insert(keyword.to_ascii_lowercase()) {
            self.keywords.push(keyword);
        }
        Ok(())
    }
}

/// As it is written in a command or an answer.
impl fmt::Display for FlagList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system = SYSTEM_FLAGS.iter().enumerate();
        let system = system.filter(|(bit, _)| self.system & (1 << bit) != 0);
        let keywords = self.keywords.iter().map(String::as_str);
        f.write_str("(")?;
        for (at, flag) in system.map(|(_, flag)| *flag).chain(keywords).enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{flag}")?;
        }
        f.write_str(")")
    }
}

/// A keyword (RFC 3501 section 9, `flag-keyword`).
pub(super) fn keyword(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    let word = cursor
        .atom()
        .map_err(|_| ParseError::Expected("a flag"))
        .and_then(|word| std::str::from_utf8(word).map_err(|_| ParseError::Expected("a flag")))?;
    if word.len() > KEYWORD_BYTES_MAX {
        return Err(ParseError::Expected("a keyword of at most 255 bytes"));
    }
    Ok(word.to_owned())
}

/// The bit of a system flag, from its name without the backslash.
fn system_flag(name: &[u8]) -> Result<u8, ParseError> {
    if name.eq_ignore_ascii_case(b"Recent") {
        return Err(ParseError::Expected("a flag that clients may set"));
    }
    let named = |flag: &str| flag.as_bytes()[1..].eq_ignore_ascii_case(name);
    let bit = SYSTEM_FLAGS.iter().position(|flag| named(flag));
    bit.map(|bit| 1 << bit)
        .ok_or(ParseError::Expected("a system flag that is known"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<FlagList, ParseError> {
        let mut cursor = Cursor::new(text.as_bytes());
        let list = FlagList::read(&mut cursor)?;
        cursor.end()?;
        Ok(list)
    }

    #[test]
    fn flags_are_known_in_any_case() {
        let list = read("(\\SEEN $Forwarded \\deleted junk JUNK \\seen)").unwrap();
        assert_eq!(list.system, SEEN | DELETED);
        assert_eq!(list.keywords, ["$Forwarded", "junk"]);
        assert_eq!(list.to_string(), "(\\Deleted \\Seen $Forwarded junk)");
        assert_eq!(read("()").unwrap(), FlagList::default());
        let bits = [ANSWERED, FLAGGED, DELETED, SEEN, DRAFT];
        for (flag, bit) in SYSTEM_FLAGS.iter().zip(bits) {
            assert_eq!(read(&format!("({flag})")).unwrap().system, bit, "{flag}");
        }
    }

    #[test]
    fn what_cannot_be_set_is_refused() {
        for text in [
            "",
            "(",
            "( )",
            "(\\Recent)",
            "(\\RECENT \\Seen)",
            "(\\*)",
            "(\\)",
            "(\\Unknown)",
            "(\\Seen ",
            "(\\Seen )",
            "( \\Seen)",
            "(a  b)",
            "(a (b))",
            "(\"a\")",
            "({1}\r\na)",
            "(a]b)",
            "(\u{e4})",
            "\\Seen",
            "(a%)",
            "(\\\\Seen)",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
        let long = "k".repeat(KEYWORD_BYTES_MAX);
        assert!(read(&format!("({long})")).is_ok() && read(&format!("({long}k)")).is_err());
        let many = |count: usize| (0..count).map(|at| format!("k{at} ")).collect::<String>();
        assert!(read(&format!("({}\\Seen)", many(KEYWORDS_MAX))).is_ok());
        assert!(read(&format!("({}\\Seen)", many(KEYWORDS_MAX + 1))).is_err());
        assert!(read(&format!("({}k)", "k ".repeat(500_000))).is_ok());
    }

    proptest! {
        #[test]
        fn lists_are_what_a_plain_model_says(
            words in proptest::collection::vec(("[a-cA-C]{1,2}", any::<bool>(), 0_usize..5), 0..12),
        ) {
            let (mut model, mut texts) = (FlagList::default(), Vec::new());
            for (word, is_system, bit) in &words {
                if *is_system {
                    model.system |= 1 << bit;
                    texts.push(SYSTEM_FLAGS[*bit].to_owned());
                } else {
                    if !model.keywords.iter().any(|known| known.eq_ignore_ascii_case(word)) {
                        model.keywords.push(word.clone());
                    }
                    texts.push(word.clone());
                }
            }
            let list = read(&format!("({})", texts.join(" ")));
            prop_assert_eq!(list.as_ref(), Ok(&model));
            prop_assert_eq!(read(&model.to_string()), Ok(model));
        }
    }
}
