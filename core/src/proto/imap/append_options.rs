//! What a client says of a message that it appends: flags and a date (RFC 3501 section 6.3.11;
//! RFC 3502 for each of several).

use super::cursor::{Cursor, ParseError};
use super::date::DateTime;
use super::flags::FlagList;

/// Flags and date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppendOptions {
    /// Its flags.
    pub flags: FlagList,
    /// INTERNALDATE; without one it is the present time.
    pub date: Option<DateTime>,
}

impl AppendOptions {
    /// Reads the flags and the date that come next, each with the space behind it; what follows is left.
    ///
    /// # Errors
    /// If a list or a date is malformed.
    pub fn read(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let mut options = Self::default();
        if cursor.peek() == Some(b'(') {
            options.flags = FlagList::read(cursor)?;
            cursor.sp()?;
        }
        if cursor.peek() == Some(b'"') {
            options.date = Some(DateTime::read(cursor)?);
            cursor.sp()?;
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::super::flags::SEEN;
    use super::*;

    /// What all of `text` says.
    fn whole(text: &str) -> Option<AppendOptions> {
        let mut cursor = Cursor::new(text.as_bytes());
        let read = AppendOptions::read(&mut cursor).ok();
        read.filter(|_| cursor.is_done())
    }

    #[test]
    fn options_are_read() {
        let read = |text: &str| whole(text).unwrap();
        assert_eq!(read(""), AppendOptions::default());
        assert_eq!(read("() "), AppendOptions::default());
        let both = read("(\\Seen $A) \"17-Jul-1996 02:44:25 -0700\" ");
        assert_eq!(
            (both.flags.system, both.flags.keywords),
            (SEEN, vec!["$A".to_owned()])
        );
        let date = DateTime {
            seconds: 837_596_665,
            zone: -420,
        };
        assert_eq!(both.date, Some(date));
        assert_eq!(read("\"17-Jul-1996 02:44:25 -0700\" ").date, Some(date));
        let mut cursor = Cursor::new(b"(\\Seen) UTF8 (");
        assert_eq!(AppendOptions::read(&mut cursor).unwrap().flags.system, SEEN);
        assert_eq!(cursor.rest(), b"UTF8 (");
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for text in [
            "(\\Seen)",
            " ",
            "(\\Recent) ",
            "\"17-Jul-1996\" ",
            "\"17-Jul-1996 02:44:25 -0700\"",
            "UTF8 (",
            "\"17-Jul-1996 02:44:25 -0700\" (\\Seen) ",
            "(\\Seen) x",
            "\"",
            "(",
            "() () ",
        ] {
            assert!(whole(text).is_none(), "{text}");
        }
    }
}
