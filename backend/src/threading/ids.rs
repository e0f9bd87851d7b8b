//! Message IDs in the fields that have them (RFC 5322 section 3.6.4, RFC 5256 section 3).

use crate::message::{Field, Summary, Value};

/// Of a longer References the end counts: the messages that are nearest.
const REFERENCES_BYTES_MAX: usize = 8 << 10;

/// A message's own ID. `None`: the field isn't kept; `Some(None)`: there is none that is valid.
pub(super) fn own(kept: Summary<'_>) -> Option<Option<Box<[u8]>>> {
    let field = kept.last(Field::MessageId)?;
    Some(field.and_then(|field| ids(Value::bytes(field)).next()))
}

/// What a message refers to: the IDs in References, or else the first in In-Reply-To. `None`: that isn't kept.
pub(super) fn references(kept: Summary<'_>) -> Option<Vec<Box<[u8]>>> {
    let field = kept.last(Field::References)?.map_or(&[][..], Value::bytes);
    let from = field.len().saturating_sub(REFERENCES_BYTES_MAX);
    let found: Vec<_> = ids(&field[from..]).collect();
    if !found.is_empty() {
        return Some(found);
    }
    let field = kept.last(Field::InReplyTo)?.map_or(&[][..], Value::bytes);
    Some(ids(field).take(1).collect())
}

/// The valid IDs in a field, without spaces and unneeded quotes: the same ID is always the same bytes.
fn ids(field: &[u8]) -> impl Iterator<Item = Box<[u8]>> {
    let mut rest = field;
    std::iter::from_fn(move || {
        while let Some(begin) = memchr::memchr(b'<', rest) {
            let (id, behind) = one(&rest[begin + 1..]);
            rest = behind;
            if let Some(id) = id {
                return Some(id);
            }
        }
        None
    })
}

/// What stands between `<` and `>`, and what is behind. No ID is, if a `<` comes before a `>`, or no `@` is inside; and nothing is found
/// behind a quote that isn't closed.
fn one(field: &[u8]) -> (Option<Box<[u8]>>, &[u8]) {
    let end = memchr::memchr(b'>', field).unwrap_or(field.len());
    let (inside, behind) = field.split_at(end);
    if !behind.is_empty() && !inside.iter().any(|byte| b"\"< \t".contains(byte)) {
        let at = memchr::memrchr(b'@', inside).unwrap_or(0);
        let valid = at > 0 && at + 1 < inside.len();
        return (valid.then(|| inside.into()), &behind[1..]);
    }
    with_quotes(field)
}

/// The same, where there may be quotes and spaces.
fn with_quotes(field: &[u8]) -> (Option<Box<[u8]>>, &[u8]) {
    let (mut id, mut at, mut quoted) = (Vec::new(), None, false);
    let mut bytes = field.iter().enumerate();
    while let Some((place, byte)) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => id.extend(bytes.next().map(|(_, byte)| *byte)),
            b'>' if !quoted => {
                let valid = at.is_some_and(|at| at > 0 && at + 1 < id.len());
                return (valid.then(|| id.into()), &field[place + 1..]);
            }
            b'<' if !quoted => return (None, &field[place..]),
            b' ' | b'\t' if !quoted => {}
            _ => {
                if *byte == b'@' && !quoted {
                    at = Some(id.len());
                }
                id.push(*byte);
            }
        }
    }
    (None, &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::record_of_header;

    fn found(field: &str) -> Vec<String> {
        let ids = ids(field.as_bytes());
        ids.map(|id| String::from_utf8(id.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn ids_are_found_in_whatever_is_around_them() {
        for (field, expected) in [
            ("", vec![]),
            ("<a@b>", vec!["a@b"]),
            ("<A@b><a@B> (c) <x@y>", vec!["A@b", "a@B", "x@y"]),
            // RFC 5256 has these two as the same.
            (
                "<01KF8JCEOCBS0045PS@xxx.yyy.com>",
                vec!["01KF8JCEOCBS0045PS@xxx.yyy.com"],
            ),
            (
                "<\"01KF8JCEOCBS0045PS\"@xxx.yyy.com>",
                vec!["01KF8JCEOCBS0045PS@xxx.yyy.com"],
            ),
            ("<\"a\\\"> b\"@c>", vec!["a\"> b@c"]),
            ("Your message of <Monday> <a@b>", vec!["a@b"]),
            ("<a <b@c>", vec!["b@c"]),
            ("<@b> <a@> <> <ab> <a@b", vec![]),
            ("< a@\tb >", vec!["a@b"]),
            ("<x@y> <a\"@b> <c@d>", vec!["x@y"]),
        ] {
            assert_eq!(found(field), expected, "{field}");
        }
        let many = "<a@b".repeat(100_000);
        assert!(found(&many).is_empty() && found(&"<\"".repeat(100_000)).is_empty());
    }

    #[test]
    fn plain_ids_are_read_as_any_others() {
        for field in [
            "a@b> c", "a@> c", "@b>", ">", "a@b@>", "a@@b>", "\\@b>", "ab>c@d>", "",
        ] {
            assert_eq!(
                one(field.as_bytes()),
                with_quotes(field.as_bytes()),
                "{field}"
            );
        }
    }

    #[test]
    fn references_come_before_in_reply_to() {
        let of = |header: &str| {
            let record = record_of_header(header.as_bytes());
            let found = references(Summary::of(&record).unwrap()).unwrap();
            found
                .iter()
                .map(|id| String::from_utf8(id.to_vec()).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            of("References: <a@b>\r\n <c@d>\r\nIn-Reply-To: <e@f>\r\n\r\n"),
            ["a@b", "c@d"]
        );
        assert_eq!(
            of("References: none\r\nIn-Reply-To: x <e@f> <g@h>\r\n\r\n"),
            ["e@f"]
        );
        assert!(of("Subject: x\r\n\r\n").is_empty());
        let long: String = (0..10_000).map(|at| format!("<{at}@b> ")).collect();
        let found = of(&format!("References: {long}\r\n\r\n"));
        assert!(found.len() > 800 && found.len() < 920);
        assert_eq!(found.last().unwrap(), "9999@b");
    }
}
