//! Transfer encodings (RFC 2045 section 6) and charsets, for SEARCH. What is malformed is passed over.

use std::borrow::Cow;

use mail_parser::decoders::charsets::map::charset_decoder;

/// The content of a part, its transfer encoding undone.
pub(super) fn decode<'a>(encoding: &[u8], body: &'a [u8]) -> Cow<'a, [u8]> {
    match encoding {
        b"BASE64" => Cow::Owned(base64(body)),
        b"QUOTED-PRINTABLE" => Cow::Owned(quoted_printable(body)),
        _ => Cow::Borrowed(body),
    }
}

/// The text of bytes in a charset. Where none is known, or it is US-ASCII or UTF-8: UTF-8 if it is that, or else Windows-1252.
pub(super) fn to_utf8<'a>(charset: Option<&[u8]>, bytes: &'a [u8]) -> Cow<'a, str> {
    let declared = charset.filter(|name| {
        let plain: [&[u8]; 4] = [b"us-ascii", b"ascii", b"utf-8", b"utf8"];
        !plain.iter().any(|plain| name.eq_ignore_ascii_case(plain))
    });
    if let Some(decoder) = declared.and_then(charset_decoder)
        && !bytes.is_empty()
    {
        return Cow::Owned(decoder(bytes));
    }
    match (std::str::from_utf8(bytes), charset_decoder(b"windows-1252")) {
        (Ok(text), _) => Cow::Borrowed(text),
        (Err(_), Some(decoder)) => Cow::Owned(decoder(bytes)),
        (Err(_), None) => String::from_utf8_lossy(bytes),
    }
}

fn base64(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() / 4 * 3);
    let (mut word, mut bits) = (0_u32, 0);
    for byte in body {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                bits = 0;
                continue;
            }
            _ => continue,
        };
        word = word << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits).to_le_bytes()[0]);
        }
    }
    bytes
}

fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body;
    while let [byte, behind @ ..] = rest {
        rest = behind;
        match (byte, behind) {
            (b'=', [high, low, behind @ ..]) if both_hex(*high, *low).is_some() => {
                bytes.extend(both_hex(*high, *low));
                rest = behind;
            }
            (b'=', _) => {
                rest = soft_break(behind).unwrap_or_else(|| {
                    bytes.push(b'=');
                    behind
                })
            }
            _ => bytes.push(*byte),
        }
    }
    bytes
}

/// What follows the line's end, if only spaces stand before that.
fn soft_break(rest: &[u8]) -> Option<&[u8]> {
    // A line of quoted-printable has 76 bytes; spaces without an end aren't looked for again and again.
    const SPACES_MAX: usize = 80;
    let spaces = rest.iter().take(SPACES_MAX);
    let spaces = spaces.take_while(|byte| b" \t\r".contains(byte)).count();
    match rest.get(spaces) {
        Some(b'\n') => Some(&rest[spaces + 1..]),
        None => Some(&[]),
        Some(_) => None,
    }
}

/// The byte of two hexadecimal digits.
pub(super) fn both_hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| {
        let digit = char::from(byte).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    Some(digit(high)? << 4 | digit(low)?)
}
