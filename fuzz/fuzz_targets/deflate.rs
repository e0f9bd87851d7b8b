//! A compressed connection on any bytes: no panic, bounded pieces, the same text in any split; what we compress is
//! read back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ravenry_core::deflate::{Deflated, Garbled};

fn text_of<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, Result<(), Garbled>) {
    let mut deflated = Deflated::default();
    let mut text = Vec::new();
    for piece in pieces {
        deflated.incoming.extend_from_slice(piece);
        loop {
            if let Err(why) = deflated.advance() {
                return (text, Err(why));
            }
            match deflated.read(usize::MAX, |here| text.extend_from_slice(here)) {
                0 => break,
                // A bomb doesn't have to go off to its end.
                count => assert!(count <= 16 * 1024),
            }
            if text.len() > 1 << 22 {
                return (Vec::new(), Ok(()));
            }
        }
    }
    (text, Ok(()))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&size, bytes)) = bytes.split_first() else {
        return;
    };
    let size = usize::from(size) + 1;
    assert_eq!(text_of(bytes.chunks(size)), text_of([bytes].into_iter()));
    let mut sender = Deflated::default();
    let mut wire = Vec::new();
    for (number, chunk) in bytes.chunks(size).enumerate() {
        wire.extend(sender.write(chunk).expect("all has been sent"));
        sender.sent();
        if number % 2 == 1 {
            sender.rest();
        }
    }
    assert_eq!(text_of(wire.chunks(size)), (bytes.to_vec(), Ok(())));
});
