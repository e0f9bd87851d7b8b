//! IMAP's parsers on any bytes: no panic; what is read is encoded and read back the same; what is
//! passed on verbatim is one command.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ravenry_core::proto::imap::{
    AppendHead, Capabilities, Cursor, Literals, command, encode, list, status,
};
use ravenry_core::wire::imap::CommandLimits;
use ravenry_core::wire::replay::{self, Seen, Verdict};

const LIMITS: CommandLimits = CommandLimits {
    line_bytes_max: 1 << 20,
    command_bytes_max: 1 << 20,
    discard_bytes_max: 0,
};

fuzz_target!(|bytes: &[u8]| {
    let _ = (status(bytes), list(bytes), Capabilities::from_line(bytes));
    if let Ok(command) = command(bytes) {
        let _ = (
            command.authenticate(),
            command.no_args(),
            AppendHead::parse(&command),
        );
        strings(command.args);
        verbatim(command.args.rest());
    }
    let mut cursor = Cursor::new(bytes);
    let _ = (
        cursor.paren(),
        cursor.sequence_set(),
        cursor.number(),
        cursor.nstring(),
    );
    strings(Cursor::new(bytes));
});

/// Every string in the arguments survives being sent on, as one command with these strings.
fn strings(mut args: Cursor<'_>) {
    let mut values = Vec::new();
    while args.sp().is_ok() {
        let Ok(value) = args.astring() else { break };
        values.push(value);
    }
    for literals in [Literals::Plus, Literals::Minus, Literals::Sync] {
        let mut request = encode::Request::new(literals);
        request.raw("t NOOP");
        for value in &values {
            request
                .raw(" ")
                .astring(value)
                .expect("no string that is read holds a NUL");
        }
        let sent = one_command(request.end());
        let mut again = command(&sent).expect("it is a command").args;
        for value in &values {
            again.sp().expect("a space before each");
            assert_eq!(
                again.astring().expect("what is encoded can be read"),
                *value
            );
        }
        assert!(again.is_done());
    }
}

/// Arguments passed on never make a second command.
fn verbatim(args: &[u8]) {
    let args = args.strip_prefix(b" ").unwrap_or(args);
    for literals in [Literals::Plus, Literals::Sync] {
        one_command(
            encode::Request::new(literals)
                .raw("t NOOP ")
                .verbatim(args)
                .end(),
        );
    }
}

/// What is sent is one command, and each pause in it is where the other side asks for more.
fn one_command(request: &encode::Request) -> Vec<u8> {
    let chunks: Vec<&[u8]> = request.chunks().collect();
    let sent = chunks.concat();
    let mut expected = vec![Seen::Continue; chunks.len() - 1];
    expected.push(Seen::Complete(sent.clone()));
    assert_eq!(replay::commands(&chunks, LIMITS, Verdict::Resume), expected);
    sent
}
