//! Transfer encodings (RFC 2045 section 6) and charsets, for SEARCH, BINARY and PREVIEW. What is malformed is passed over.

use std::borrow::Cow;

use mail_parser::decoders::charsets::map::charset_decoder;

/// The content of a part, its transfer encoding undone.
pub(super) fn decode<'a>(encoding: &[u8], body: &'a [u8]) -> Cow<'a, [u8]> {
    match Decoder::of(encoding) {
        None | Some(Decoder::Identity) => Cow::Borrowed(body),
        Some(mut decoder) => {
            let mut bytes = Vec::with_capacity(body.len());
            decoder.push(body, &mut bytes);
            decoder.finish(&mut bytes);
            Cow::Owned(bytes)
        }
    }
}

/// Undoes a transfer encoding, piece by piece: the same however the bytes are cut.
#[derive(Clone, Debug)]
pub enum Decoder {
    /// 7bit, 8bit, binary.
    Identity,
    /// base64
    Base64 {
        /// The bits that are no whole byte yet.
        word: u32,
        /// How many.
        bits: u32,
    },
    /// quoted-printable
    QuotedPrintable {
        /// The end of what came, whose meaning hangs on what follows.
        held: Vec<u8>,
    },
}

impl Decoder {
    /// The decoder of an encoding, whose name is in capitals. `None`: nobody knows it.
    #[must_use]
    pub fn of(encoding: &[u8]) -> Option<Self> {
        Some(match encoding {
            b"" | b"7BIT" | b"8BIT" | b"BINARY" => Self::Identity,
            b"BASE64" => Self::Base64 { word: 0, bits: 0 },
            b"QUOTED-PRINTABLE" => Self::QuotedPrintable { held: Vec::new() },
            _ => return None,
        })
    }

    /// Decodes some more.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Identity => out.extend_from_slice(bytes),
            Self::Base64 { word, bits } => base64(bytes, (word, bits), out),
            Self::QuotedPrintable { held } => {
                held.extend_from_slice(bytes);
                let read = quoted_printable(held, false, out);
                held.drain(..read);
            }
        }
    }

    /// There is no more.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if let Self::QuotedPrintable { held } = self {
            quoted_printable(&std::mem::take(held), true, out);
        }
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

fn base64(bytes: &[u8], (word, bits): (&mut u32, &mut u32), out: &mut Vec<u8>) {
    for byte in bytes {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                *bits = 0;
                continue;
            }
            _ => continue,
        };
        *word = *word << 6 | u32::from(value);
        *bits += 6;
        if *bits >= 8 {
            *bits -= 8;
            out.push((*word >> *bits).to_le_bytes()[0]);
        }
    }
}

/// A line of quoted-printable has 76 bytes; spaces without an end aren't looked for again and again.
const SPACES_MAX: usize = 80;

/// Decodes; gives how much has been read: what hangs on bytes that are still to come isn't, unless these are the `last`.
fn quoted_printable(bytes: &[u8], last: bool, out: &mut Vec<u8>) -> usize {
    let mut rest = bytes;
    while let [byte, behind @ ..] = rest {
        let hangs = matches!(byte, b'=' | b' ' | b'\t');
        if hangs && !last && behind.len() <= SPACES_MAX {
            break;
        }
        rest = match (byte, behind) {
            (b'=', [high, low, behind @ ..]) if both_hex(*high, *low).is_some() => {
                out.extend(both_hex(*high, *low));
                behind
            }
            (b'=', _) => soft_break(behind).unwrap_or_else(|| {
                out.push(b'=');
                behind
            }),
            (b' ' | b'\t', _) => spaces(rest, out),
            _ => {
                out.push(*byte);
                behind
            }
        };
    }
    bytes.len() - rest.len()
}

/// What follows the line's end, if only spaces stand before that.
fn soft_break(rest: &[u8]) -> Option<&[u8]> {
    let spaces = rest.iter().take(SPACES_MAX);
    let spaces = spaces.take_while(|byte| b" \t\r".contains(byte)).count();
    match rest.get(spaces) {
        Some(b'\n') => Some(&rest[spaces + 1..]),
        None => Some(&[]),
        Some(_) => None,
    }
}

/// Spaces, and what is behind them: at a line's end they are none of the text's (RFC 2045 section 6.7, rule 3).
fn spaces<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let spaces = rest.iter().take(SPACES_MAX);
    let spaces = spaces.take_while(|byte| b" \t".contains(byte)).count();
    let (spaces, behind) = rest.split_at(spaces);
    let ends = behind.is_empty() || behind.starts_with(b"\n") || behind.starts_with(b"\r\n");
    if !ends {
        out.extend_from_slice(spaces);
    }
    behind
}

/// The byte of two hexadecimal digits.
pub(super) fn both_hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| {
        let digit = char::from(byte).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(encoding: &str, pieces: &[&[u8]]) -> Vec<u8> {
        let mut decoder = Decoder::of(encoding.as_bytes()).expect("it is known");
        let mut out = Vec::new();
        for piece in pieces {
            decoder.push(piece, &mut out);
        }
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn encodings_are_undone() {
        for (encoding, body, text) in [
            ("", "a=20\r\n", "a=20\r\n"),
            ("8BIT", "\u{e9} ", "\u{e9} "),
            ("BASE64", "AA\r\nEC /w==", "\0\u{1}\u{2}\u{ff}"),
            ("BASE64", "YQ==YWI=", "aab"),
            ("QUOTED-PRINTABLE", "a=3Db=0A=e9", "a=b\n\u{e9}"),
            ("QUOTED-PRINTABLE", "soft=  \t\r\nbreak=\n!", "softbreak!"),
            (
                "QUOTED-PRINTABLE",
                "end \t \r\n  in the\tmiddle  ",
                "end\r\n  in the\tmiddle",
            ),
            ("QUOTED-PRINTABLE", "wrong =X =4 =", "wrong =X =4 "),
        ] {
            let expected: Vec<u8> = match encoding {
                "8BIT" => text.into(),
                _ => text
                    .chars()
                    .map(|char| u8::try_from(u32::from(char)).unwrap())
                    .collect(),
            };
            assert_eq!(decoded(encoding, &[body.as_bytes()]), expected, "{body:?}");
        }
        assert!(Decoder::of(b"X-UUENCODE").is_none());
        // Spaces beyond any line are text.
        let long = [vec![b' '; 500], b"\r\n".to_vec()].concat();
        assert!(decoded("QUOTED-PRINTABLE", &[&long]).len() > 300);
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same(
            text in "(=|=41|=\r\n|= {0,90}\n|[ \t]{1,90}|\r\n|[A-Za-z0-9+/]{1,9}|.){0,40}",
            cuts in prop::collection::vec(1_usize..60, 0..30),
            encoding in prop::sample::select(vec!["8BIT", "BASE64", "QUOTED-PRINTABLE"]),
        ) {
            let (mut pieces, mut rest) = (Vec::new(), text.as_bytes());
            for cut in cuts {
                let (piece, behind) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            pieces.push(rest);
            prop_assert_eq!(decoded(encoding, &pieces), decoded(encoding, &[text.as_bytes()]));
        }
    }
}
