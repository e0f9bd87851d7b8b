//! GETMETADATA and SETMETADATA (RFC 5464): annotations of a mailbox, or of the server, which has the name "".

use std::borrow::Cow;
use std::fmt;

use super::cursor::{Cursor, ParseError};

/// The longest name of an entry.
const ENTRY_BYTES_MAX: usize = 255;
/// Entries that one command may name.
const ENTRIES_MAX: usize = 1000;

/// The name of an entry (RFC 5464 section 3.2), in lower case, since case means nothing: `/private/comment`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetadataEntry(Box<str>);

impl MetadataEntry {
    /// Reads a name; what lies below it may be all that it is for (`/shared`).
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !b"*%".contains(byte);
        if name.len() > ENTRY_BYTES_MAX || !name.iter().all(plain) {
            return None;
        }
        let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        let mut components = name.strip_prefix('/')?.split('/');
        let scope = components.next()?;
        let whole = components.all(|component| !component.is_empty());
        (whole && ["private", "shared"].contains(&scope)).then(|| Self(name.into()))
    }

    /// Whether it may have a value: below its scope, or below a vendor's name (RFC 5464 section 3.2).
    #[must_use]
    pub fn may_have_value(&self) -> bool {
        let mut components = self.0.split('/').skip(2);
        match components.next() {
            None => false,
            Some("vendor") => components.count() >= 2,
            Some(_) => true,
        }
    }

    /// Each user has one of their own.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.0.starts_with("/private")
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is this one, or one below it as far down as `depth` goes.
    #[must_use]
    pub fn is_within(&self, above: &Self, depth: Depth) -> bool {
        let Some(rest) = self.0.strip_prefix(&*above.0) else {
            return false;
        };
        rest.is_empty()
            || match (rest.strip_prefix('/'), depth) {
                (None, _) | (_, Depth::Zero) => false,
                (Some(below), Depth::One) => !below.contains('/'),
                (Some(_), Depth::Infinity) => true,
            }
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let name = cursor.astring()?;
        Self::parse(&name).ok_or(ParseError::Expected("the name of an entry"))
    }
}

impl fmt::Display for MetadataEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far below an entry GETMETADATA goes (RFC 5464 section 4.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// The entry alone.
    #[default]
    Zero,
    /// And those right below it.
    One,
    /// And all below it.
    Infinity,
}

/// A GETMETADATA's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetMetadata<'a> {
    /// Of which mailbox; empty: of the server.
    pub mailbox: Cow<'a, [u8]>,
    /// Values that are longer aren't wanted (RFC 5464 section 4.2.1).
    pub size_max: Option<u64>,
    /// How far below the entries.
    pub depth: Depth,
    /// Which entries, in the client's order, each once.
    pub entries: Vec<MetadataEntry>,
}

impl<'a> GetMetadata<'a> {
    /// Reads what follows the command's name. The options stand before the mailbox, as the RFC's syntax has it, or behind
    /// it, as its examples have it.
    ///
    /// # Errors
    /// Where it isn't what the RFC has.
    pub fn parse(mut args: Cursor<'a>) -> Result<Self, ParseError> {
        args.sp()?;
        let mut options = None;
        if args.peek() == Some(b'(') {
            options = Some(args.paren()?);
            args.sp()?;
        }
        let mailbox = args.astring()?;
        args.sp()?;
        Self::behind(mailbox, options, args)
    }

    /// Reads what LIST's return option METADATA has behind its name (RFC 9590).
    ///
    /// # Errors
    /// Where it isn't what the RFC has.
    pub fn in_list(text: &'a [u8]) -> Result<Self, ParseError> {
        Self::behind(Cow::default(), None, Cursor::new(text))
    }

    /// Reads what stands behind the mailbox: options, if there have been none before it, and entries.
    fn behind(
        mailbox: Cow<'a, [u8]>,
        mut options: Option<&'a [u8]>,
        mut args: Cursor<'a>,
    ) -> Result<Self, ParseError> {
        let mut ahead = args;
        if options.is_none()
            && let Ok(list) = ahead.paren()
            && ahead.accept(b' ')
        {
            (options, args) = (Some(list), ahead);
        }
        let (size_max, depth) = options.map_or(Ok((None, Depth::Zero)), read_options)?;
        let entries = read_entries(&mut args)?;
        args.end()?;
        Ok(Self {
            mailbox,
            size_max,
            depth,
            entries,
        })
    }
}

fn read_options(list: &[u8]) -> Result<(Option<u64>, Depth), ParseError> {
    let mut rest = Cursor::new(list);
    let (mut size_max, mut depth) = (None, Depth::Zero);
    rest.accept(b'(');
    loop {
        let option = rest.atom()?;
        rest.sp()?;
        if option.eq_ignore_ascii_case(b"MAXSIZE") {
            size_max = Some(rest.number()?);
        } else if option.eq_ignore_ascii_case(b"DEPTH") {
            depth = match rest.atom()?.to_ascii_lowercase().as_slice() {
                b"0" => Depth::Zero,
                b"1" => Depth::One,
                b"infinity" => Depth::Infinity,
                _ => return Err(ParseError::Expected("DEPTH 0, 1 or infinity")),
            };
        } else {
            return Err(ParseError::Expected("MAXSIZE or DEPTH"));
        }
        if rest.accept(b')') {
            return Ok((size_max, depth));
        }
        rest.sp()?;
    }
}

fn read_entries(args: &mut Cursor<'_>) -> Result<Vec<MetadataEntry>, ParseError> {
    if !args.accept(b'(') {
        return Ok(vec![MetadataEntry::read(args)?]);
    }
    let mut entries = Vec::new();
    loop {
        let entry = MetadataEntry::read(args)?;
        if !entries.contains(&entry) {
            entries.push(entry);
        }
        if args.accept(b')') {
            return Ok(entries);
        }
        if entries.len() == ENTRIES_MAX {
            return Err(ParseError::Expected("1000 entries at most"));
        }
        args.sp()?;
    }
}

/// A SETMETADATA's arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetMetadata<'a> {
    /// Of which mailbox; empty: of the server.
    pub mailbox: Cow<'a, [u8]>,
    /// Each entry with its new value; `None`: it goes.
    pub values: Vec<(MetadataEntry, Option<Cow<'a, [u8]>>)>,
}

impl<'a> SetMetadata<'a> {
    /// Reads what follows the command's name.
    ///
    /// # Errors
    /// Where it isn't what the RFC has.
    pub fn parse(mut args: Cursor<'a>) -> Result<Self, ParseError> {
        args.sp()?;
        let mailbox = args.astring()?;
        args.sp()?;
        if !args.accept(b'(') {
            return Err(ParseError::Expected("a list of entries and values"));
        }
        let mut values = Vec::new();
        loop {
            let entry = MetadataEntry::read(&mut args)?;
            if !entry.may_have_value() {
                return Err(ParseError::Expected("an entry that may have a value"));
            }
            args.sp()?;
            values.push((entry, value(&mut args)?));
            if args.accept(b')') {
                break;
            }
            if values.len() == ENTRIES_MAX {
                return Err(ParseError::Expected("1000 entries at most"));
            }
            args.sp()?;
        }
        args.end()?;
        Ok(Self { mailbox, values })
    }
}

/// A value: a string, NIL, or an atom, which is none by the RFC, and what a Cyrus frontend makes of a short string.
fn value<'a>(args: &mut Cursor<'a>) -> Result<Option<Cow<'a, [u8]>>, ParseError> {
    let mut ahead = *args;
    let string = ahead.nstring8();
    if string.is_err() && args.peek().is_some_and(|byte| !b"\"{~".contains(&byte)) {
        return Ok(Some(Cow::Borrowed(args.atom()?)));
    }
    *args = ahead;
    string
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> MetadataEntry {
        MetadataEntry::parse(name.as_bytes()).unwrap()
    }

    fn get(text: &str) -> Result<GetMetadata<'_>, ParseError> {
        GetMetadata::parse(Cursor::new(text.as_bytes()))
    }

    fn set(text: &str) -> Result<SetMetadata<'_>, ParseError> {
        SetMetadata::parse(Cursor::new(text.as_bytes()))
    }

    #[test]
    fn names_are_told_from_what_is_none() {
        for good in [
            "/shared/comment",
            "/PRIVATE/Vendor/x/y",
            "/shared",
            "/private/a b",
        ] {
            assert_eq!(entry(good).as_str(), good.to_lowercase());
        }
        let long = format!("/shared/{}", "x".repeat(248));
        for bad in [
            "",
            "/",
            "shared/x",
            "/other/x",
            "/shared/",
            "/shared//x",
            "/shared/*",
            "/shared/%x",
            "/shared/\u{e9}",
            "/shared/\r",
            "/shared/\0",
            "/sharedx",
            long.as_str(),
        ] {
            assert_eq!(MetadataEntry::parse(bad.as_bytes()), None, "{bad}");
        }
        assert!(entry(&long[..255]).may_have_value());
        assert!(!entry("/shared").may_have_value() && !entry("/shared/vendor/x").may_have_value());
        assert!(entry("/shared/vendor/x/y").may_have_value());
        assert!(entry("/private/x").is_private() && !entry("/shared/private").is_private());
    }

    #[test]
    fn depth_is_what_the_rfc_says() {
        let (a, b, c) = (
            entry("/shared/a"),
            entry("/shared/a/b"),
            entry("/shared/a/b/c"),
        );
        let within = |depth| [&a, &b, &c, &entry("/shared/ab")].map(|it| it.is_within(&a, depth));
        assert_eq!(within(Depth::Zero), [true, false, false, false]);
        assert_eq!(within(Depth::One), [true, true, false, false]);
        assert_eq!(within(Depth::Infinity), [true, true, true, false]);
        assert!(c.is_within(&entry("/shared"), Depth::Infinity) && !a.is_within(&b, Depth::One));
    }

    #[test]
    fn the_rfcs_examples_are_read() {
        let read = get(" \"\" /shared/comment").unwrap();
        assert!(read.mailbox.is_empty() && read.size_max.is_none());
        assert_eq!(read.entries, [entry("/shared/comment")]);
        let both = [entry("/shared/comment"), entry("/private/comment")];
        let list = "(/shared/comment /private/comment \"/SHARED/comment\")";
        for text in [
            format!(" \"INBOX\" (MAXSIZE 1024) {list}"),
            format!(" (maxsize 1024) INBOX {list}"),
        ] {
            let read = get(&text).unwrap();
            assert_eq!((&*read.mailbox, read.size_max), (&b"INBOX"[..], Some(1024)));
            assert_eq!((read.depth, &read.entries[..]), (Depth::Zero, &both[..]));
        }
        let read = get(" \"INBOX\" (DEPTH 1) (/private/filters/values)").unwrap();
        assert_eq!((read.depth, read.entries.len()), (Depth::One, 1));
        let read = get(" (DEPTH infinity MAXSIZE 7) {5}\r\nINBOX /private").unwrap();
        assert_eq!((read.depth, read.size_max), (Depth::Infinity, Some(7)));

        let read = GetMetadata::in_list(b"(DEPTH 1) (/shared/comment \"/private/x\")").unwrap();
        assert_eq!((read.depth, read.entries.len()), (Depth::One, 2));
        let read = GetMetadata::in_list(b"(/shared/comment)").unwrap();
        assert_eq!((read.depth, read.entries.len()), (Depth::Zero, 1));
        assert!(GetMetadata::in_list(b"(DEPTH 1)").is_err());

        let read = set(" INBOX (/private/comment {33}\r\nMy new comment across\r\ntwo lines.)");
        let value = &read.unwrap().values[0].1;
        let lines = &b"My new comment across\r\ntwo lines."[..];
        assert_eq!(value.as_deref(), Some(lines));
        let read = set(" INBOX (/private/comment NIL /shared/comment \"This one is for you!\")");
        let values = read.unwrap().values;
        assert_eq!(values[0], (entry("/private/comment"), None));
        assert_eq!(values[1].1.as_deref(), Some(&b"This one is for you!"[..]));
        let read = set(" \"\" (/shared/comment ~{3}\r\na\0b /shared/x \"\")").unwrap();
        assert_eq!(read.values[0].1.as_deref(), Some(&b"a\0b"[..]));
        assert_eq!(read.values[1].1.as_deref(), Some(&b""[..]));
        let read = set(" \"INBOX\" (/private/comment hello /shared/x nilly)").unwrap();
        assert_eq!(read.values[0].1.as_deref(), Some(&b"hello"[..]));
        assert_eq!(read.values[1].1.as_deref(), Some(&b"nilly"[..]));
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for text in [
            "",
            " x",
            " x ",
            " x ()",
            " x /nonsense/comment",
            " x (/shared/a",
            " x (/shared/a )",
            " x /shared/a /shared/b",
            " (MAXSIZE) x /shared/a",
            " (DEPTH 2) x /shared/a",
            " (DEPTH 1 ) x /shared/a",
            " () x /shared/a",
            " x () /shared/a",
            " (X 1) x /shared/a",
            " (MAXSIZE 1) x (DEPTH 1) /shared/a",
            " x (MAXSIZE 1)",
        ] {
            assert!(get(text).is_err(), "{text}");
        }
        for text in [
            "",
            " x",
            " x ()",
            " x (/shared/a)",
            " x (/shared/a x",
            " x (/shared/a x y)",
            " x (/shared/a ~x)",
            " x (/shared \"x\")",
            " x (/shared/vendor/a \"x\")",
            " x (/shared/a \"x\"",
            " x (/shared/a \"x\" )",
            " x /shared/a \"x\"",
            " x (/shared/a {3}\r\na\0b)",
            " x (/shared/a ~{9}\r\na)",
            " x (/shared/a ~\"x\")",
            " x (/shared/a NIL) y",
        ] {
            assert!(set(text).is_err(), "{text}");
        }
        let named = (0..1001)
            .map(|n| format!("/shared/{n}"))
            .collect::<Vec<_>>();
        assert!(get(&format!(" x ({})", named[..1000].join(" "))).is_ok());
        assert!(get(&format!(" x ({})", named.join(" "))).is_err());
        let valued = named.join(" NIL ");
        assert!(set(&format!(" x ({valued} NIL)")).is_err());
    }
}
