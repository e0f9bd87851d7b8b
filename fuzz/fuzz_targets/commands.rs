//! A client's bytes: no panic, and any split gives the same commands.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ravenry_core::wire::imap::CommandLimits;
use ravenry_core::wire::replay::{self, Seen, Verdict};

/// Small, so that the limits are met.
const LIMITS: CommandLimits = CommandLimits {
    line_bytes_max: 80,
    command_bytes_max: 200,
    discard_bytes_max: 400,
};

fuzz_target!(|input: (bool, [u8; 3], &[u8])| {
    let (refuse, cuts, bytes) = input;
    let verdict = if refuse {
        Verdict::Refuse
    } else {
        Verdict::Resume
    };
    let whole = replay::commands(&[bytes], LIMITS, verdict);
    let pieces = replay::split(bytes, &cuts.map(usize::from));
    assert_eq!(replay::commands(&pieces, LIMITS, verdict), whole);
    let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(replay::commands(&pieces, LIMITS, verdict), whole);
    for seen in whole {
        if let Seen::Complete(command) | Seen::Stream(command, _) = seen {
            assert!(command.len() <= LIMITS.command_bytes_max);
            assert!(command.ends_with(b"\r\n"));
        }
    }
});
