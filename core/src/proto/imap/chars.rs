//! The character classes of RFC 3501 section 9.

/// ATOM-CHAR: no CTL, 8-bit, space or atom-specials.
pub(super) fn is_atom(byte: u8) -> bool {
    is_astring(byte) && byte != b']'
}

/// ASTRING-CHAR: ATOM-CHAR or `]`.
pub(super) fn is_astring(byte: u8) -> bool {
    is_list(byte) && byte != b'%' && byte != b'*'
}

/// list-char: ASTRING-CHAR or a wildcard.
pub(super) fn is_list(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"(){\"\\".contains(&byte)
}

/// A tag's characters: ASTRING-CHAR without `+`.
pub(super) fn is_tag(byte: u8) -> bool {
    is_astring(byte) && byte != b'+'
}
