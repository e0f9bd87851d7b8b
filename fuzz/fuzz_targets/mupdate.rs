//! A MUPDATE peer's bytes: no panic, any split gives the same commands and responses, and their strings
//! are sent on as they are.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ravenry_core::proto::mupdate::{Command, Response, Verb, request, response};
use ravenry_core::wire::replay::{self, Seen};

const BYTES_MAX: usize = 300;

fuzz_target!(|input: ([u8; 3], &[u8])| {
    let (cuts, bytes) = input;
    let whole = replay::mupdate(&[bytes], BYTES_MAX);
    let pieces = replay::split(bytes, &cuts.map(usize::from));
    assert_eq!(replay::mupdate(&pieces, BYTES_MAX), whole);
    let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(replay::mupdate(&pieces, BYTES_MAX), whole);
    let _ = (response(bytes), request(bytes));

    for seen in whole {
        let Seen::Complete(bytes) = seen else {
            continue;
        };
        assert!(bytes.len() <= BYTES_MAX);
        if let Ok(asked) = request(&bytes)
            && let Verb::Activate {
                name,
                location,
                acl,
            } = &asked.verb
        {
            let mut out = Vec::new();
            let command = Command::Activate {
                name,
                location,
                acl,
            };
            let tag = std::str::from_utf8(asked.tag).expect("a tag is ASCII");
            command.encode(tag, &mut out);
            assert!(request(&out).is_ok_and(|again| again == asked));
        }
        if let Ok(Response::Reserve {
            tag,
            name,
            location,
        }) = response(&bytes)
        {
            let mut out = Vec::new();
            let tag = std::str::from_utf8(tag).expect("a tag is ASCII");
            Command::Reserve {
                name: &name,
                location: &location,
            }
            .encode(tag, &mut out);
            let again = Response::Reserve {
                tag: tag.as_bytes(),
                name: name.clone(),
                location: location.clone(),
            };
            assert_eq!(response(&out), Ok(again));
            assert_eq!(
                replay::mupdate(&[&out], 2 * BYTES_MAX),
                [Seen::Complete(out.clone())]
            );
        }
    }
});
