//! LMTP on any bytes: no panic, a message is the same however it is split, and a path is read as it was written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ravenry_core::proto::lmtp::{Command, command};
use ravenry_core::wire::lmtp::{Dots, dotted};
use ravenry_core::wire::replay;

fn undotted(pieces: &[&[u8]]) -> (Vec<u8>, Option<usize>) {
    let (mut dots, mut out, mut before) = (Dots::new(), Vec::new(), 0);
    for piece in pieces {
        let took = dots.next(piece, &mut out);
        before += took.consumed;
        if took.ended {
            return (out, Some(before));
        }
        assert_eq!(took.consumed, piece.len());
    }
    (out, None)
}

fuzz_target!(|input: ([u8; 3], &[u8])| {
    let (cuts, bytes) = input;
    let whole = undotted(&[bytes]);
    let pieces = replay::split(bytes, &cuts.map(usize::from));
    assert_eq!(undotted(&pieces), whole);
    let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(undotted(&pieces), whole);
    let sent = [b"\r\n", bytes].concat();
    let end = memchr::memmem::find(&sent, b"\r\n.\r\n").map(|at| at + 3);
    assert_eq!(whole.1, end);
    if bytes.ends_with(b"\r\n") {
        let sent = dotted(bytes);
        assert_eq!(undotted(&[&sent]), (bytes.to_vec(), Some(sent.len())));
    }
    if let Ok(Command::Rcpt(path)) = command(bytes) {
        let line = format!("RCPT TO:{path}");
        assert_eq!(command(line.as_bytes()), Ok(Command::Rcpt(path)));
    }
});
