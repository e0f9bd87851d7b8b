//! A backend's bytes: no panic, any split gives the same lines, and none is lost or changed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ravenry_core::wire::replay::{self, Seen};

fuzz_target!(|input: ([u8; 3], &[u8])| {
    let (cuts, bytes) = input;
    let whole = replay::responses(&[bytes], 0);
    let pieces = replay::split(bytes, &cuts.map(usize::from));
    assert_eq!(replay::responses(&pieces, 0), whole);
    let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(replay::responses(&pieces, 0), whole);

    let mut rest = bytes;
    for seen in whole {
        match seen {
            Seen::Response(line, _) => {
                rest = rest
                    .strip_prefix(&line[..])
                    .expect("lines come as they are");
            }
            Seen::Literal(size) => rest = &rest[usize::try_from(size).expect("it was there")..],
            _ => {}
        }
    }
});
