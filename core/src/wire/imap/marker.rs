//! The literal marker at a line's end: `{n}`, `{n+}`, `~{n}`, `~{n+}`.
//!
//! RFC 3501 section 4.3, RFC 7888 (non-synchronizing), RFC 3516 section 4.4 (literal8). Anything
//! else that ends in a brace (`{-1}`, `{}`, `{12`) is text.

/// A literal that a line's end announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Literal {
    /// How many bytes follow the line.
    pub size: u64,
    /// `{n+}`: the sender doesn't wait for a continuation request.
    pub non_sync: bool,
    /// `~{n}`: a literal8, which may hold NULs.
    pub binary: bool,
}

/// Longest marker that is looked for where only a line's end is kept: `~{` 20 digits `+}` and some
/// leading zeros.
pub(super) const MARKER_BYTES_MAX: usize = 32;

/// What a line's end says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// Plain text.
    None,
    /// A literal; its marker starts at `start`.
    Literal { start: usize, literal: Literal },
    /// A number that 64 bits can't hold.
    TooLarge { non_sync: bool },
}

/// Reads the marker at the end of `text` (a line without its CRLF).
pub(super) fn read(text: &[u8]) -> Marker {
    let Some(body) = text.strip_suffix(b"}") else {
        return Marker::None;
    };
    let (body, non_sync) = match body.strip_suffix(b"+") {
        Some(body) => (body, true),
        None => (body, false),
    };
    let digits = body
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (before, number) = body.split_at(body.len() - digits);
    let (false, Some(before)) = (number.is_empty(), before.strip_suffix(b"{")) else {
        return Marker::None;
    };
    let binary = before.ends_with(b"~");
    match decimal(number) {
        Some(size) => Marker::Literal {
            start: before.len() - usize::from(binary),
            literal: Literal {
                size,
                non_sync,
                binary,
            },
        },
        None => Marker::TooLarge { non_sync },
    }
}

/// The value of ASCII digits, if 64 bits can hold it.
fn decimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(start: usize, size: u64, non_sync: bool, binary: bool) -> Marker {
        Marker::Literal {
            start,
            literal: Literal {
                size,
                non_sync,
                binary,
            },
        }
    }

    #[test]
    fn markers_are_read() {
        assert_eq!(read(b"a FOO {12}"), literal(6, 12, false, false));
        assert_eq!(read(b"a FOO {12+}"), literal(6, 12, true, false));
        assert_eq!(read(b"a FOO ~{12}"), literal(6, 12, false, true));
        assert_eq!(read(b"a FOO (~{0+}"), literal(7, 0, true, true));
        assert_eq!(read(b"{007}"), literal(0, 7, false, false));
        assert_eq!(
            read(b"{18446744073709551615}"),
            literal(0, u64::MAX, false, false)
        );
    }

    #[test]
    fn what_no_64_bits_hold_is_too_large() {
        assert_eq!(
            read(b"{18446744073709551616}"),
            Marker::TooLarge { non_sync: false }
        );
        assert_eq!(
            read(b"a {99999999999999999999+}"),
            Marker::TooLarge { non_sync: true }
        );
    }

    #[test]
    fn all_else_is_text() {
        for text in [
            "", "}", "{}", "{+}", "{-1}", "{12", "12}", "{1 2}", "{12 }", "{12+ }", "{12++}",
        ] {
            assert_eq!(read(text.as_bytes()), Marker::None, "{text}");
        }
        for text in [
            "{0x1}", "{12-}", "{ 12}", "{12}x", "+}", "{a}", "~{}", "{1,2}",
        ] {
            assert_eq!(read(text.as_bytes()), Marker::None, "{text}");
        }
    }
}
