//! FETCH responses that a frontend reads itself (RFC 3501 section 7.4.2), and UIDFETCH, which takes
//! their place under UIDONLY (RFC 9586 section 3.3).

use super::cursor::Cursor;

/// A FETCH response whose items are all here, literals included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch<'a> {
    /// Names and values as they came: `FLAGS` and `(\Seen)`, `INTERNALDATE` and its quoted string.
    items: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Fetch<'a> {
    /// Reads `* 12 FETCH (…)`, without the CRLF that ends it; `None` if it is something else.
    #[must_use]
    pub fn read(response: &'a [u8]) -> Option<Self> {
        let (number, uid_form, list) = start(response)?;
        let mut list = Cursor::new(list);
        let mut items = Vec::new();
        while !list.accept(b')') {
            if !items.is_empty() {
                list.sp().ok()?;
            }
            items.push(item(&mut list)?);
        }
        if uid_form {
            items.push((b"UID", number));
        }
        list.is_done().then_some(Self { items })
    }

    /// The value of an item.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let named = |(known, _): &&(&[u8], &[u8])| known.eq_ignore_ascii_case(name.as_bytes());
        self.items.iter().find(named).map(|(_, value)| *value)
    }

    /// The value of an item that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        let mut value = Cursor::new(self.get(name)?);
        value.number().ok().filter(|_| value.is_done())
    }
}

/// Whether a response's first line announces a message body in a literal: `* 12 FETCH (… BODY[] `
/// and the marker, which isn't part of `line`.
#[must_use]
pub fn is_body(line: &[u8]) -> bool {
    let name = b"BODY[] ";
    let ends = line
        .len()
        .checked_sub(name.len())
        .and_then(|at| line.get(at..));
    start(line).is_some() && ends.is_some_and(|end| end.eq_ignore_ascii_case(name))
}

/// The number, whether it is a UID, and what stands behind the parenthesis.
fn start(response: &[u8]) -> Option<(&[u8], bool, &[u8])> {
    let mut line = Cursor::new(response.strip_prefix(b"* ")?);
    let number = line.atom().ok()?;
    line.sp().ok()?;
    let word = line.atom().ok()?;
    line.sp().ok()?;
    let uid_form = word.eq_ignore_ascii_case(b"UIDFETCH");
    let known = uid_form || word.eq_ignore_ascii_case(b"FETCH");
    (known && line.accept(b'(')).then_some((number, uid_form, line.rest()))
}

fn item<'a>(list: &mut Cursor<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let name = name(list.rest())?;
    *list = Cursor::new(&list.rest()[name.len()..]);
    list.sp().ok()?;
    let before = list.rest();
    match list.peek()? {
        b'(' => drop(list.paren().ok()?),
        b'"' | b'{' => drop(list.string().ok()?),
        _ => drop(list.atom().ok()?),
    }
    Some((name, &before[..before.len() - list.rest().len()]))
}

/// An item's name, up to its space; what is in brackets may hold more of them.
fn name(text: &[u8]) -> Option<&[u8]> {
    let mut depth = 0_usize;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.checked_sub(1)?,
            b' ' if depth == 0 => return (at > 0).then_some(&text[..at]),
            b'\r' | b'\n' | b')' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read() {
        let response = b"* 3 FETCH (FLAGS (\\Seen $x) UID 17 INTERNALDATE \" 1-Jan-2024 00:00:00 +0000\" \
            RFC822.SIZE 4294967296 BODY[HEADER.FIELDS (A B)] {3}\r\na)b ENVELOPE (NIL \"x)\") X NIL)";
        let fetch = Fetch::read(response).expect("a FETCH");
        assert_eq!(fetch.get("flags"), Some(&b"(\\Seen $x)"[..]));
        assert_eq!(fetch.number("UID"), Some(17));
        assert_eq!(fetch.number("RFC822.SIZE"), Some(1 << 32));
        assert_eq!(
            fetch.get("INTERNALDATE"),
            Some(&b"\" 1-Jan-2024 00:00:00 +0000\""[..])
        );
        assert_eq!(
            fetch.get("BODY[HEADER.FIELDS (A B)]"),
            Some(&b"{3}\r\na)b"[..])
        );
        assert_eq!((fetch.get("X"), fetch.get("Y")), (Some(&b"NIL"[..]), None));
        assert_eq!(fetch.number("FLAGS"), None);
        let fetch = Fetch::read(b"* 17 UIDFETCH (FLAGS ())").expect("a UIDFETCH");
        assert_eq!(fetch.number("UID"), Some(17));
        assert!(Fetch::read(b"* 1 FETCH ()").is_some());
    }

    #[test]
    fn nothing_else_is() {
        for text in [
            "* 1 EXISTS",
            "* FETCH (UID 1)",
            "a1 FETCH (UID 1)",
            "* 1 FETCH UID 1",
            "* 1 FETCH (UID 1",
            "* 1 FETCH (UID 1) x",
            "* 1 FETCH (UID)",
            "* 1 FETCH (UID 1 )",
            "* 1 FETCH (UID {5}\r\nx)",
        ] {
            assert_eq!(Fetch::read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_body_is_seen_coming() {
        for line in [
            "* 1 FETCH (UID 7 BODY[] ",
            "* 1 fetch (body[] ",
            "* 7 UIDFETCH (FLAGS () BODY[] ",
        ] {
            assert!(is_body(line.as_bytes()), "{line}");
        }
        for line in [
            "* 1 FETCH (BODY[1] ",
            "* 1 FETCH (XBODY[]",
            "* LIST () \".\" ",
            "BODY[] ",
        ] {
            assert!(!is_body(line.as_bytes()), "{line}");
        }
    }
}
