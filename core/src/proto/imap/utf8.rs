//! UTF-8 in a command's quoted strings (RFC 6855 section 3, RFC 9051 section 4.3).

use super::marker;

/// Whether a gathered command is UTF-8 outside of its literals: with UTF-8 enabled, one that isn't is to be answered BAD.
#[must_use]
pub fn lines_are_utf8(mut raw: &[u8]) -> bool {
    while !raw.is_ascii() {
        let end = memchr::memchr(b'\n', raw).map_or(raw.len(), |at| at + 1);
        let (line, rest) = raw.split_at(end);
        if std::str::from_utf8(line).is_err() {
            return false;
        }
        let literal = marker::read(line.strip_suffix(b"\r\n").unwrap_or(line));
        let size = literal.map_or(0, |literal| {
            usize::try_from(literal.size).unwrap_or(usize::MAX)
        });
        raw = rest.get(size..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::lines_are_utf8;

    #[test]
    fn literals_may_be_anything() {
        for good in [
            &b""[..],
            b"a SELECT INBOX\r\n",
            b"a SELECT \"\xc3\xbc\"\r\n",
            b"a SELECT {2}\r\n\xff\xff\r\n",
            b"a X ~{2+}\r\n\xff\xff \"\xc3\xbc\" {1}\r\n\xc3\r\n",
            b"a X {9}\r\n\xff",
            b"a X {99999999999999999999999}\r\n\xff",
        ] {
            assert!(lines_are_utf8(good), "{}", good.escape_ascii());
        }
        for bad in [
            &b"a SELECT \"\xc3\"\r\n"[..],
            b"\xff",
            b"a SELECT {2}\r\n\xff\xff\xff\r\n",
            b"a SELECT {1}\r\n\xc3\xbc\r\n",
            b"a SELECT {0}\r\n\xff\r\n",
            b"a SELECT \"\xed\xa0\x80\"\r\n",
            b"a SELECT {2\r\n\xff\xff\r\n",
        ] {
            assert!(!lines_are_utf8(bad), "{}", bad.escape_ascii());
        }
    }
}
