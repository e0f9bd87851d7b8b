//! STATUS: what is asked of a mailbox (RFC 3501 section 6.3.10, RFC 9051; the same items in LIST,
//! RFC 5819). SIZE: RFC 8438; HIGHESTMODSEQ: RFC 7162; APPENDLIMIT: RFC 7889; MAILBOXID: RFC 8474;
//! DELETED-STORAGE: RFC 9208.

use std::borrow::Cow;

use super::cursor::{Cursor, ParseError};

macro_rules! items {
    ($($variant:ident = $name:literal,)*) => {
        /// A STATUS item.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum StatusItem {
            $(#[doc = $name] $variant,)*
        }

        impl StatusItem {
            /// Every item.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

items! {
    Messages = "MESSAGES",
    Recent = "RECENT",
    UidNext = "UIDNEXT",
    UidValidity = "UIDVALIDITY",
    Unseen = "UNSEEN",
    Deleted = "DELETED",
    Size = "SIZE",
    HighestModSeq = "HIGHESTMODSEQ",
    AppendLimit = "APPENDLIMIT",
    MailboxId = "MAILBOXID",
    DeletedStorage = "DELETED-STORAGE",
}

impl StatusItem {
    /// Reads a list of items in parentheses, one at least; each is given once.
    ///
    /// # Errors
    /// If it is none, or an item isn't known.
    pub fn read_list(cursor: &mut Cursor<'_>) -> Result<Vec<Self>, ParseError> {
        if !cursor.accept(b'(') {
            return Err(ParseError::Expected("a list of STATUS items"));
        }
        let mut items = Vec::new();
        loop {
            let name = cursor.atom()?;
            let named = |item: &&Self| item.name().as_bytes().eq_ignore_ascii_case(name);
            let item = Self::ALL.iter().find(named);
            let item = item.ok_or(ParseError::Expected("a STATUS item that is known"))?;
            if !items.contains(item) {
                items.push(*item);
            }
            if cursor.accept(b')') {
                return Ok(items);
            }
            cursor.sp()?;
        }
    }

    /// Reads all of `list`, as [`super::Returns::status`] has it.
    ///
    /// # Errors
    /// As for [`Self::read_list`].
    pub fn parse_list(list: &[u8]) -> Result<Vec<Self>, ParseError> {
        let mut cursor = Cursor::new(list);
        let items = Self::read_list(&mut cursor)?;
        cursor.end()?;
        Ok(items)
    }
}

/// A STATUS command's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusCommand<'a> {
    /// Of which mailbox.
    pub mailbox: Cow<'a, [u8]>,
    /// What is asked, in the client's order.
    pub items: Vec<StatusItem>,
}

impl<'a> StatusCommand<'a> {
    /// Reads what follows the command's name.
    ///
    /// # Errors
    /// Where it isn't what the RFCs have.
    pub fn parse(mut args: Cursor<'a>) -> Result<Self, ParseError> {
        args.sp()?;
        let mailbox = args.astring()?;
        args.sp()?;
        let items = StatusItem::read_list(&mut args)?;
        args.end()?;
        Ok(Self { mailbox, items })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<StatusCommand<'_>, ParseError> {
        StatusCommand::parse(Cursor::new(text.as_bytes()))
    }

    #[test]
    fn items_are_read() {
        let status = read(" blurdybloop (UIDNEXT messages UidNext)").unwrap();
        assert_eq!(*status.mailbox, b"blurdybloop"[..]);
        assert_eq!(status.items, [StatusItem::UidNext, StatusItem::Messages]);
        let names: Vec<&str> = StatusItem::ALL.iter().map(|item| item.name()).collect();
        let all = format!(" \"a b\" ({})", names.join(" "));
        assert_eq!(read(&all).unwrap().items, StatusItem::ALL);
        let many = "(SIZE".to_owned() + &" SIZE".repeat(200_000) + ")";
        assert_eq!(
            StatusItem::parse_list(many.as_bytes()),
            Ok(vec![StatusItem::Size])
        );
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for text in [
            "",
            " x",
            " x ",
            " x ()",
            " x MESSAGES",
            " x (MESSAGES",
            " x (MESSAGES )",
            " x (BOGUS)",
            " (MESSAGES)",
            " x (MESSAGES)(SIZE)",
            " x (MESSAGES) ",
            " x ((MESSAGES))",
            " x (MESSAGES  SIZE)",
            " x(MESSAGES)",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
