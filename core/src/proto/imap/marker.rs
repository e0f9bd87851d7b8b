//! Literal markers within a gathered command: `{n}`, `{n+}`, `~{n}`, `~{n+}` at a line's end.

/// A marker at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    /// Where it starts in the line.
    pub(super) start: usize,
    /// How many bytes it announces; the largest number for what 64 bits can't hold.
    pub(super) size: u64,
    /// A literal8.
    pub(super) binary: bool,
}

/// The marker at the end of `text`, a line without its CRLF.
pub(super) fn read(text: &[u8]) -> Option<Marker> {
    let body = text.strip_suffix(b"}")?;
    let body = body.strip_suffix(b"+").unwrap_or(body);
    let digits = body
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (before, number) = body.split_at(body.len() - digits);
    let before = before.strip_suffix(b"{").filter(|_| !number.is_empty())?;
    let size = std::str::from_utf8(number)
        .ok()?
        .parse()
        .unwrap_or(u64::MAX);
    let binary = before.ends_with(b"~");
    Some(Marker {
        start: before.len() - usize::from(binary),
        size,
        binary,
    })
}
