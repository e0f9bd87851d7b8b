//! Modified UTF-7 (RFC 3501 section 5.1.3), in which names are stored, and UTF-8, in which clients
//! that have enabled it give and get them (RFC 6855 section 3, RFC 9051 section 5.1).

use super::NameError;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// A name in UTF-8 as modified UTF-7.
///
/// # Errors
/// If it isn't UTF-8.
pub fn utf7_of(name: &[u8]) -> Result<Vec<u8>, NameError> {
    let name = std::str::from_utf8(name).map_err(|_| NameError::BadUtf8)?;
    let mut out = Vec::with_capacity(name.len());
    let mut run: Vec<u16> = Vec::new();
    for char in name.chars() {
        if !char.is_ascii() {
            run.extend_from_slice(char.encode_utf16(&mut [0; 2]));
            continue;
        }
        end_run(&mut out, &mut run);
        match char {
            '&' => out.extend_from_slice(b"&-"),
            // What can't be in a name is refused as it stands.
            _ => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    end_run(&mut out, &mut run);
    Ok(out)
}

/// A LIST pattern in UTF-8 as one for names in modified UTF-7, and whether it matches the same
/// names: characters beyond ASCII beside a wildcard can't be told in base64, so there `%` stands for them,
/// and the pattern matches more.
///
/// # Errors
/// If it isn't UTF-8.
pub(super) fn utf7_pattern(pattern: &[u8]) -> Result<(Vec<u8>, bool), NameError> {
    let text = std::str::from_utf8(pattern).map_err(|_| NameError::BadUtf8)?;
    let (mut out, mut exact) = (Vec::with_capacity(text.len()), true);
    let is_wild = |char: Option<char>| matches!(char, Some('*' | '%'));
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let ascii = first.is_ascii();
        let len = rest
            .find(|char: char| char.is_ascii() != ascii)
            .unwrap_or(rest.len());
        let before = text[..text.len() - rest.len()].chars().next_back();
        let (run, behind) = rest.split_at(len);
        if !ascii && (is_wild(before) || is_wild(behind.chars().next())) {
            out.push(b'%');
            exact = false;
        } else {
            out.extend(utf7_of(run.as_bytes())?);
        }
        rest = behind;
    }
    Ok((out, exact))
}

/// Writes characters beyond ASCII: their UTF-16 in base64, six bits a letter.
fn end_run(out: &mut Vec<u8>, run: &mut Vec<u16>) {
    if run.is_empty() {
        return;
    }
    out.push(b'&');
    let (mut bits, mut held) = (0_u32, 0_u32);
    for unit in run.drain(..) {
        bits = bits << 16 | u32::from(unit);
        held += 16;
        while held >= 6 {
            held -= 6;
            out.push(letter(bits >> held));
        }
        bits &= (1 << held) - 1;
    }
    if held > 0 {
        out.push(letter(bits << (6 - held)));
    }
    out.push(b'-');
}

fn letter(bits: u32) -> u8 {
    ALPHABET[(bits & 0x3f) as usize]
}

/// A name in modified UTF-7 as UTF-8. One that has no such form (half a surrogate pair, which Cyrus
/// lets pass) is shown as it is.
pub fn utf8_of(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(start) = memchr::memchr(b'&', rest) {
        out.extend_from_slice(&rest[..start]);
        let run = &rest[start + 1..];
        let Some(end) = memchr::memchr(b'-', run) else {
            return name.to_vec();
        };
        if end == 0 {
            out.push(b'&');
        } else {
            match read_run(&run[..end]) {
                Some(text) => out.extend_from_slice(text.as_bytes()),
                None => return name.to_vec(),
            }
        }
        rest = &run[end + 1..];
    }
    out.extend_from_slice(rest);
    out
}

fn read_run(run: &[u8]) -> Option<String> {
    let mut units = Vec::with_capacity(run.len());
    let whole = each_unit(run, |unit| units.push(unit));
    String::from_utf16(&units).ok().filter(|_| whole)
}

fn value_of(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b',' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// RFC 3501 section 5.1.3: `&` begins a run of base64 (with ',' for '/') that ends with '-',
/// holds whole UTF-16 units without ASCII, leaves no bits over and isn't followed by another run.
/// Surrogates need not be in pairs: Cyrus makes such names.
pub(super) fn is_utf7(name: &[u8]) -> bool {
    let mut rest = name;
    while let Some(start) = memchr::memchr(b'&', rest) {
        let run = &rest[start + 1..];
        let Some(end) = memchr::memchr(b'-', run) else {
            return false;
        };
        if end > 0 && !each_unit(&run[..end], drop) {
            return false;
        }
        rest = &run[end + 1..];
        // A run that goes on right after another should have been one run.
        if end > 0 && rest.first() == Some(&b'&') && rest.get(1) != Some(&b'-') {
            return false;
        }
    }
    true
}

/// Gives the UTF-16 units of a run; whether it is well formed.
fn each_unit(run: &[u8], mut each: impl FnMut(u16)) -> bool {
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in run {
        let Some(value) = value_of(*byte) else {
            return false;
        };
        bits = (bits << 6 | value) & 0x3f_ffff;
        held += 6;
        if held >= 16 {
            held -= 16;
            match u16::try_from(bits >> held & 0xffff) {
                Ok(unit) if unit >= 0x80 => each(unit),
                _ => return false,
            }
        }
    }
    held < 6 && bits & ((1 << held) - 1) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAIRS: [(&str, &str); 6] = [
        ("INBOX.Entw&APw-rfe", "INBOX.Entwürfe"),
        ("a&-b", "a&b"),
        ("&U,BTFw-.&ZeVnLIqe-", "台北.日本語"),
        ("&2D3eAA-", "😀"),
        ("&AOkA6A-*%", "éè*%"),
        ("plain", "plain"),
    ];

    #[test]
    fn names_go_both_ways() {
        for (utf7, utf8) in PAIRS {
            assert_eq!(
                utf7_of(utf8.as_bytes()),
                Ok(utf7.as_bytes().to_vec()),
                "{utf8}"
            );
            assert_eq!(String::from_utf8(utf8_of(utf7.as_bytes())).unwrap(), utf8);
            assert!(is_utf7(utf7.as_bytes()));
        }
        assert_eq!(utf7_of(b"a\xff"), Err(NameError::BadUtf8));
        for bad in ["&", "a&b", "&AO-", "&ABC-", "&2AA-"] {
            assert_eq!(utf8_of(bad.as_bytes()), bad.as_bytes(), "stays as it is");
        }
    }

    #[test]
    fn patterns_match_what_they_should_or_more() {
        for (utf8, utf7, exact) in [
            ("a*", "a*", true),
            ("é", "&AOk-", true),
            ("xé.%", "x&AOk-.%", true),
            ("é*", "%*", false),
            ("a.%éè.b", "a.%%.b", false),
            ("a&*", "a&-*", true),
        ] {
            let found = utf7_pattern(utf8.as_bytes()).unwrap();
            assert_eq!(found, (utf7.as_bytes().to_vec(), exact), "{utf8}");
        }
        assert!(utf7_pattern(b"\xff*").is_err());
    }

    proptest! {
        #[test]
        fn any_name_comes_back(name in "[ -~äöü€台😀]{0,40}") {
            let utf7 = utf7_of(name.as_bytes()).unwrap();
            prop_assert!(is_utf7(&utf7) && utf7.is_ascii());
            prop_assert_eq!(utf8_of(&utf7), name.as_bytes());
        }

        #[test]
        fn no_bytes_make_it_panic(name in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = utf8_of(&name);
            let _ = utf7_of(&name);
        }
    }
}
