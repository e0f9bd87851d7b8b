//! What is encoded is read back as it was, and never makes a second line.

use proptest::prelude::*;

use super::*;
use crate::proto::imap::{Cursor, command};

fn encoded(value: &[u8]) -> Result<String, HasNul> {
    let mut out = Vec::new();
    astring(&mut out, value)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn the_shortest_form_is_taken() {
    for (value, wire) in [
        ("INBOX", "INBOX"),
        ("user.alice]", "user.alice]"),
        ("", "\"\""),
        ("nil", "\"nil\""),
        ("a b", "\"a b\""),
        ("a\"b\\c", "\"a\\\"b\\\\c\""),
        ("50%", "\"50%\""),
        ("{5}", "\"{5}\""),
        ("a\tb\x7f", "\"a\tb\x7f\""),
        ("a\r\nb NOOP", "{9}\r\na\r\nb NOOP"),
        ("\u{e4}", "{2}\r\n\u{e4}"),
    ] {
        assert_eq!(encoded(value.as_bytes()), Ok(wire.to_owned()));
    }
    assert_eq!(encoded(b"a\0b"), Err(HasNul));
    assert!(encoded(&[b'x'; 1025]).unwrap().starts_with("{1025}\r\n"));
    let mut out = Vec::new();
    string(&mut out, b"x").unwrap();
    assert_eq!(out, b"\"x\"");
}

#[test]
fn utf8_is_quoted_for_who_takes_it() {
    let encoded = |value: &[u8]| {
        let mut out = Vec::new();
        utf8_astring(&mut out, value).map(|()| out)
    };
    for (value, wire) in [
        (&b"INBOX"[..], &b"INBOX"[..]),
        (b"nil", b"\"nil\""),
        ("Entw\u{fc}rfe".as_bytes(), "\"Entw\u{fc}rfe\"".as_bytes()),
        ("\u{e4}\"\\".as_bytes(), "\"\u{e4}\\\"\\\\\"".as_bytes()),
        (b"\xe4", b"{1}\r\n\xe4"),
        ("\u{e4}\n".as_bytes(), b"{3}\r\n\xc3\xa4\n"),
    ] {
        assert_eq!(encoded(value), Ok(wire.to_vec()));
    }
    assert_eq!(encoded("\u{e4}\0".as_bytes()), Err(HasNul));
    let long = "\u{e4}".repeat(600);
    assert!(encoded(long.as_bytes()).unwrap().starts_with(b"{1200}\r\n"));
}

#[test]
fn text_stays_text() {
    let shown = |bytes: &[u8]| {
        let mut out = b"a NO ".to_vec();
        text(&mut out, bytes);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        shown(b"[ALERT] a\r\nb OK {5}\xff"),
        "a NO ?ALERT] a??b OK ?5}?"
    );
    assert_eq!(shown(b""), "a NO ?");
    assert_eq!(shown(b"no [x] such thing"), "a NO no [x] such thing");
}

/// The chunks of `a STATUS name ()`.
fn status(literals: Literals, name: &[u8]) -> Vec<String> {
    let mut request = Request::new(literals);
    request
        .raw("a STATUS ")
        .astring(name)
        .unwrap()
        .raw(" ()")
        .end();
    request.shown()
}

#[test]
fn literals_wait_where_the_backend_wants_it() {
    let name = "\u{e4}".repeat(10);
    let unasked = format!("a STATUS {{20+}}\r\n{name} ()\r\n");
    assert_eq!(status(Literals::Plus, name.as_bytes()), [&*unasked]);
    assert_eq!(status(Literals::Minus, name.as_bytes()), [unasked]);
    let asked = ["a STATUS {20}\r\n".to_owned(), format!("{name} ()\r\n")];
    assert_eq!(status(Literals::Sync, name.as_bytes()), asked);
    assert_eq!(status(Literals::Minus, &[0xe4; 4096]).len(), 1);
    assert_eq!(status(Literals::Minus, &[0xe4; 4097]).len(), 2);
    assert_eq!(status(Literals::Sync, b"INBOX"), ["a STATUS INBOX ()\r\n"]);
}

impl Request {
    fn shown(&self) -> Vec<String> {
        self.chunks()
            .map(|chunk| String::from_utf8_lossy(chunk).into_owned())
            .collect()
    }
}

#[test]
fn verbatim_arguments_keep_their_bytes() {
    let args = b" CHARSET UTF-8 TEXT {3}\r\na\r\n SUBJECT {2+}\r\n\n\n X ~{1}\r\n\0";
    let mut request = Request::new(Literals::Plus);
    request.raw("a SEARCH").verbatim(args).end();
    let all = "a SEARCH CHARSET UTF-8 TEXT {3+}\r\na\r\n SUBJECT {2+}\r\n\n\n X ~{1+}\r\n\0\r\n";
    assert_eq!(request.shown(), [all]);
    assert_eq!(request.whole(), Some(all.as_bytes()));
    let mut request = Request::new(Literals::Sync);
    request.raw("a SEARCH").verbatim(args).end();
    let chunks = [
        "a SEARCH CHARSET UTF-8 TEXT {3}\r\n",
        "a\r\n SUBJECT {2}\r\n",
        "\n\n X ~{1}\r\n",
        "\0\r\n",
    ];
    assert_eq!(request.shown(), chunks);
    assert_eq!(request.whole(), None);
}

#[test]
fn verbatim_adds_no_command() {
    for (args, sent) in [
        (" x\r\nb DELETE y", "a NOOP x\r\n"),
        (" x\nb DELETE y", "a NOOP x\r\n"),
        (" {1}\r\nx\r\nb DELETE y", "a NOOP {1+}\r\nx\r\n"),
        (" \0{9}\r\nb DELETE y", "a NOOP \r\n"),
        // A literal that isn't there would swallow the next command.
        (" {9}\r\nx", "a NOOP {1+}\r\nx\r\n"),
        (" {99999999999999999999}\r\nx", "a NOOP {1+}\r\nx\r\n"),
        (" x {9}", "a NOOP x {9\r\n"),
        (
            " x{9}{99999999999999999999}",
            "a NOOP x{9}{99999999999999999999\r\n",
        ),
    ] {
        let mut request = Request::new(Literals::Plus);
        request.raw("a NOOP").verbatim(args.as_bytes()).end();
        assert_eq!(request.shown(), [sent], "{args:?}");
    }
}

#[test]
#[should_panic(expected = "raw() is for plain text")]
fn raw_adds_no_command() {
    Request::new(Literals::Plus).raw("a NOOP\r\nb NOOP");
}

#[test]
fn a_streamed_literal_is_announced() {
    let mut request = Request::new(Literals::Plus);
    request
        .raw("a APPEND ")
        .astring(b"x")
        .unwrap()
        .raw(" (\\Seen) ");
    assert!(!request.stream(1 << 33, false));
    assert_eq!(request.shown(), ["a APPEND x (\\Seen) {8589934592+}\r\n"]);
    let mut request = Request::new(Literals::Minus);
    request.raw("a APPEND x ");
    assert!(request.stream(5000, true));
    assert_eq!(request.shown(), ["a APPEND x ~{5000}\r\n"]);
    let mut request = Request::new(Literals::Sync);
    request.raw("a APPEND ").astring(&[0xe4]).unwrap().raw(" ");
    assert!(request.stream(5, false));
    assert_eq!(request.shown(), ["a APPEND {1}\r\n", "\u{fffd} {5}\r\n"]);
}

proptest! {
    #[test]
    fn what_is_encoded_is_read_back(value in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut out = Vec::new();
        let sent = astring(&mut out, &value);
        prop_assert_eq!(sent.is_err(), value.contains(&0));
        if sent.is_ok() {
            out.extend_from_slice(b" rest");
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(&*cursor.astring().unwrap(), &value[..]);
            prop_assert_eq!(cursor.rest(), b" rest");
        } else {
            prop_assert!(out.is_empty());
        }
        out.clear();
        string8(&mut out, &value);
        let mut cursor = Cursor::new(&out);
        prop_assert_eq!(cursor.nstring8().unwrap().unwrap().into_owned(), value);
        prop_assert!(cursor.is_done());
    }

    /// Whatever the names are, a backend reads one command with these names.
    #[test]
    fn a_request_is_one_command(
        names in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(1_u8.., 0..30),
                "[a-z\"\\\\{}\r\n +0-9]{0,20}".prop_map(String::into_bytes),
            ],
            0..5,
        ),
        plus in any::<bool>(),
    ) {
        let mut request = Request::new(if plus { Literals::Plus } else { Literals::Sync });
        request.raw("t SETACL");
        for name in &names {
            request.raw(" ").astring(name).unwrap();
        }
        request.end();
        let sent = request.chunks().collect::<Vec<_>>().concat();
        let mut args = command(&sent).unwrap().args;
        for name in &names {
            args.sp().unwrap();
            prop_assert_eq!(&args.astring().unwrap().into_owned(), name);
        }
        prop_assert!(args.is_done() && sent.ends_with(b"\r\n"));
        // Passed on verbatim it is the same command.
        let mut again = Request::new(Literals::Plus);
        again.raw("t SETACL").verbatim(&sent[b"t SETACL".len()..sent.len() - 2]).end();
        let mut args = command(again.whole().unwrap()).unwrap().args;
        for name in &names {
            args.sp().unwrap();
            prop_assert_eq!(&args.astring().unwrap().into_owned(), name);
        }
        prop_assert!(args.is_done());
    }
}
