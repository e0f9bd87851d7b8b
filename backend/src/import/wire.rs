//! A message's file in wire format: each LF has a CR before it (RFC 5322 section 2.3), and nothing else changes.

use std::io::{self, Read};

const PIECE_BYTES: usize = 64 * 1024;

/// Gives the bytes of a message, in pieces.
pub(super) fn each_piece(
    mut file: impl Read,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut raw = vec![0; PIECE_BYTES];
    let mut wire = Vec::with_capacity(2 * PIECE_BYTES);
    let mut last = 0;
    loop {
        let read = match file.read(&mut raw) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let Some(piece) = raw.get(..read).filter(|piece| !piece.is_empty()) else {
            return Ok(());
        };
        wire.clear();
        let mut from = 0;
        for at in memchr::memchr_iter(b'\n', piece) {
            let before = if at > 0 { piece[at - 1] } else { last };
            wire.extend_from_slice(&piece[from..at]);
            if before != b'\r' {
                wire.push(b'\r');
            }
            from = at;
        }
        wire.extend_from_slice(&piece[from..]);
        last = piece[piece.len() - 1];
        take(&wire)?;
    }
}
