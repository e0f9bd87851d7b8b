//! Values for the wire, and values out of folded lines.

use ravenry_core::proto::imap::encode;

/// A field's value on one line: leading spaces and the line ends go, and with them NULs; all else stays.
pub(super) fn unfolded(value: &[u8]) -> Vec<u8> {
    let begins = value.iter().position(|byte| !b" \t\r\n".contains(byte));
    let value = &value[begins.unwrap_or(value.len())..];
    let mut line = Vec::with_capacity(value.len());
    let mut bytes = value.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            0 | b'\n' => {}
            b'\r' if bytes.peek() == Some(&b'\n') => {}
            _ => line.push(byte),
        }
    }
    line
}

/// Appends a string (quoted, or a literal), without its NULs.
pub(super) fn string(out: &mut Vec<u8>, value: &[u8]) {
    if encode::string(out, value).is_err() {
        let value: Vec<u8> = value.iter().copied().filter(|byte| *byte != 0).collect();
        encode::string(out, &value).expect("invariant: the NULs are gone");
    }
}

/// Appends a string, or NIL.
pub(super) fn nstring(out: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        Some(value) => string(out, value),
        None => out.extend_from_slice(b"NIL"),
    }
}
