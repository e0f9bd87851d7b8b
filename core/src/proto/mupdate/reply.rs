//! MUPDATE responses as a server writes them (RFC 3656 section 3).
//!
//! What follows a tag, from the space on: so that many who stream under tags of their own share the
//! bytes. Strings go out as `{n+}`, which is what Cyrus sends and all that its clients have been
//! seen to take.

use super::literal;

/// MAILBOX (section 3.6): a mailbox is active.
pub fn mailbox(name: &[u8], (server, partition): (&str, &str), acl: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b" MAILBOX");
    literal(out, name);
    location(out, server, partition);
    literal(out, acl);
    out.extend_from_slice(b"\r\n");
}

/// RESERVE (section 3.7): a name is taken.
pub fn reserve(name: &[u8], (server, partition): (&str, &str), out: &mut Vec<u8>) {
    out.extend_from_slice(b" RESERVE");
    literal(out, name);
    location(out, server, partition);
    out.extend_from_slice(b"\r\n");
}

/// DEACTIVATE, to a Ravenry alone: a name is taken, and another server may activate it.
pub fn deactivate(name: &[u8], (server, partition): (&str, &str), out: &mut Vec<u8>) {
    out.extend_from_slice(b" DEACTIVATE");
    literal(out, name);
    location(out, server, partition);
    out.extend_from_slice(b"\r\n");
}

/// DELETE (section 3.5): a name is gone.
pub fn delete(name: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b" DELETE");
    literal(out, name);
    out.extend_from_slice(b"\r\n");
}

/// A word, and strings in quotes: OK, NO, BAD and BYE with their texts, and the banner's lines.
/// Quotes and backslashes are escaped; control characters, which can't stand in quotes, become `?`.
pub fn quoted(word: &str, strings: &[&str], out: &mut Vec<u8>) {
    out.push(b' ');
    out.extend_from_slice(word.as_bytes());
    for string in strings {
        out.extend_from_slice(b" \"");
        for byte in string.bytes() {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                0..0x20 | 0x7f => out.push(b'?'),
                byte => out.push(byte),
            }
        }
        out.push(b'"');
    }
    out.extend_from_slice(b"\r\n");
}

/// ` {n+}` and `server!partition`.
fn location(out: &mut Vec<u8>, server: &str, partition: &str) {
    let len = server.len() + 1 + partition.len();
    out.extend_from_slice(format!(" {{{len}+}}\r\n").as_bytes());
    out.extend_from_slice(server.as_bytes());
    out.push(b'!');
    out.extend_from_slice(partition.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::mupdate::{Response, Text, response};

    #[test]
    fn what_is_written_is_read() {
        let place = ("b.test", "default");
        let mut out = b"U1".to_vec();
        mailbox(b"user.a", place, b"a\tlrs\t", &mut out);
        assert_eq!(
            out,
            b"U1 MAILBOX {6+}\r\nuser.a {14+}\r\nb.test!default {6+}\r\na\tlrs\t\r\n"
        );
        assert!(response(&out).is_ok());
        let mut out = b"U1".to_vec();
        reserve(b"user.a", ("b.test", ""), &mut out);
        assert_eq!(out, b"U1 RESERVE {6+}\r\nuser.a {7+}\r\nb.test!\r\n");
        let mut out = b"U1".to_vec();
        delete(b"user.a", &mut out);
        assert_eq!(out, b"U1 DELETE {6+}\r\nuser.a\r\n");
    }

    #[test]
    fn a_text_stays_within_its_quotes() {
        let mut out = b"T".to_vec();
        quoted("NO", &["say \"x\" \\ \r\n* BYE"], &mut out);
        let Ok(Response::No(done)) = response(&out) else {
            panic!("a NO")
        };
        assert_eq!(done.text, Text::Borrowed(&b"say \"x\" \\ ??* BYE"[..]));
    }
}
