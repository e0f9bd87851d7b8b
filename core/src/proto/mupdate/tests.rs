//! MUPDATE: what Cyrus sends, what it is sent, and no panic on any bytes.

use proptest::prelude::*;

use super::*;

fn text(text: &str) -> Text<'_> {
    Cow::Borrowed(text.as_bytes())
}

fn read(bytes: &str) -> Response<'_> {
    response(bytes.as_bytes()).expect("a response")
}

#[test]
fn a_banner_is_read() {
    assert_eq!(
        read("* AUTH \"PLAIN\" \"LOGIN\"\r\n"),
        Response::Auth(vec![text("PLAIN"), text("LOGIN")])
    );
    assert_eq!(
        read("* COMPRESS \"DEFLATE\"\r\n"),
        Response::Compress(vec![text("DEFLATE")])
    );
    assert_eq!(read("* PARTIAL-UPDATE\r\n"), Response::PartialUpdate);
    assert_eq!(read("* STARTTLS\r\n"), Response::StartTls);
    assert_eq!(read("* X-OTHER {1+}\r\nx\r\n"), Response::Other(b"X-OTHER"));
    let Response::Banner(banner) = read(
        "* OK MUPDATE \"mupdate.murder.test\" \"Cyrus IMAP\" \
         \"3.6.1-Debian-3.6.1-4+deb12u5\" \"(master)\"\r\n",
    ) else {
        panic!("a banner")
    };
    assert!(banner.is_master());
    assert_eq!(
        (banner.host, banner.software),
        (text("mupdate.murder.test"), text("Cyrus IMAP"))
    );
    let replica = read("* OK MUPDATE \"f\" \"Cyrus IMAP\" \"3\" \"mupdate://m.test:3905\"\r\n");
    assert!(matches!(replica, Response::Banner(banner) if !banner.is_master()));
}

#[test]
fn completions_are_read() {
    let of = |tag: &'static str, said| Completion {
        tag: tag.as_bytes(),
        text: text(said),
    };
    assert_eq!(
        read("A01 OK \"Authenticated\"\r\n"),
        Response::Ok(of("A01", "Authenticated"))
    );
    assert_eq!(
        read("q11 NO \"mailbox already exists\"\r\n"),
        Response::No(of("q11", "mailbox already exists"))
    );
    assert_eq!(
        read("q18 BAD \"Extra arguments\"\r\n"),
        Response::Bad(of("q18", "Extra arguments"))
    );
    // Cyrus leaves the quotes out.
    assert_eq!(
        read("q20 NO Unknown COMPRESS algorithm: NONE\r\n"),
        Response::No(of("q20", "Unknown COMPRESS algorithm: NONE"))
    );
    assert_eq!(
        read("q20 NO \"half\" quoted\r\n"),
        Response::No(of("q20", "\"half\" quoted"))
    );
    assert_eq!(read("q20 OK\r\n"), Response::Ok(of("q20", "")));
    assert_eq!(
        read("* BYE \"shutting down\"\r\n"),
        Response::Bye(text("shutting down"))
    );
    assert_eq!(read("* BYE no room\r\n"), Response::Bye(text("no room")));
    assert_eq!(read("* BAD \"what\"\r\n"), Response::Bad(of("*", "what")));
    assert_eq!(read("* OK \"fine\"\r\n"), Response::Ok(of("*", "fine")));
}

#[test]
fn changes_are_read() {
    let (tag, name) = (&b"U01"[..], text("shared"));
    let location = text("backend1.murder.test!default");
    let acl = text("anyone\tlrswipkxtecd\tcyrus\tlrswipkxtecda\t");
    let mailbox = Response::Mailbox {
        tag,
        name: name.clone(),
        location: location.clone(),
        acl,
    };
    let bytes = "U01 MAILBOX {6+}\r\nshared {28+}\r\nbackend1.murder.test!default {40+}\r\n\
                 anyone\tlrswipkxtecd\tcyrus\tlrswipkxtecda\t\r\n";
    assert_eq!(read(bytes), mailbox);
    let quoted = "U01 MAILBOX \"shared\" {28}\r\nbackend1.murder.test!default \
                  \"anyone\tlrswipkxtecd\tcyrus\tlrswipkxtecda\t\"\r\n";
    assert_eq!(read(quoted), mailbox);
    assert_eq!(
        read("U01 RESERVE {6+}\r\nshared {28+}\r\nbackend1.murder.test!default\r\n"),
        Response::Reserve {
            tag,
            name: name.clone(),
            location
        }
    );
    assert_eq!(
        read("U01 delete {6+}\r\nshared\r\n"),
        Response::Delete { tag, name }
    );
}

#[test]
fn what_is_no_response_is_refused() {
    for bytes in [
        "",
        "\r\n",
        "*\r\n",
        "* \r\n",
        "U01\r\n",
        "U01 \r\n",
        "U01 HELLO\r\n",
        "* AUTH PLAIN\r\n",
        "U01 DELETE\r\n",
        "U01 DELETE shared\r\n",
        "U01 DELETE \"a\" \"b\"\r\n",
        "U01 MAILBOX \"a\" \"b\"\r\n",
        "U01 DELETE {9+}\r\nshared\r\n",
        "U01 DELETE {3+}\r\na\0b\r\n",
        "* OK MUPDATE \"host\"\r\n",
        "* STARTTLS now\r\n",
        "* OK [CAPABILITY X\r\ny",
    ] {
        let refused = response(bytes.as_bytes()).is_err();
        assert_eq!(refused, !bytes.starts_with("* OK ["), "{bytes:?}");
    }
}

fn sent(tag: &str, command: Command<'_>) -> String {
    let mut out = Vec::new();
    command.encode(tag, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn commands_are_written_as_cyrus_writes_them() {
    let initial = Secret::from("ZnJvbnRlbmQAZnJvbnRlbmQAbXVwZGF0ZXB3");
    assert_eq!(
        sent(
            "A01",
            Command::Authenticate {
                mechanism: "PLAIN",
                initial: &initial
            }
        ),
        "A01 AUTHENTICATE \"PLAIN\" {36+}\r\nZnJvbnRlbmQAZnJvbnRlbmQAbXVwZGF0ZXB3\r\n"
    );
    assert_eq!(sent("U01", Command::Update), "U01 UPDATE\r\n");
    assert_eq!(sent("N0", Command::Noop), "N0 NOOP\r\n");
    assert_eq!(sent("Q01", Command::Logout), "Q01 LOGOUT\r\n");
    assert_eq!(sent("S", Command::StartTls), "S STARTTLS\r\n");
    assert_eq!(
        sent("q", Command::Find { name: b"shared" }),
        "q FIND {6+}\r\nshared\r\n"
    );
    assert_eq!(
        sent(
            "X0",
            Command::List {
                prefix: Some(b"backend1.murder.test!")
            }
        ),
        "X0 LIST {21+}\r\nbackend1.murder.test!\r\n"
    );
    assert_eq!(sent("X0", Command::List { prefix: None }), "X0 LIST\r\n");
    let (name, location) = (&b"traced"[..], &b"backend1.murder.test!default"[..]);
    assert_eq!(
        sent("X0", Command::Reserve { name, location }),
        "X0 RESERVE {6+}\r\ntraced {28+}\r\nbackend1.murder.test!default\r\n"
    );
    assert_eq!(
        sent(
            "X1",
            Command::Activate {
                name,
                location,
                acl: b"anyone\tlrs\t"
            }
        ),
        "X1 ACTIVATE {6+}\r\ntraced {28+}\r\nbackend1.murder.test!default {11+}\r\nanyone\tlrs\t\r\n"
    );
    assert_eq!(
        sent(
            "X2",
            Command::Deactivate {
                name,
                location: b"b!"
            }
        ),
        "X2 DEACTIVATE {6+}\r\ntraced {2+}\r\nb!\r\n"
    );
    assert_eq!(
        sent("X3", Command::Delete { name }),
        "X3 DELETE {6+}\r\ntraced\r\n"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        tokens in "(\\* |U |OK |MUPDATE |MAILBOX |BYE |\"|\\\\|\\{[0-9]\\+?\\}\r\n|x| ){0,20}",
    ) {
        let _ = (response(&bytes), response(tokens.as_bytes()));
    }

    /// Whatever the name is, it is one command and the same name.
    #[test]
    fn what_is_written_is_read_back(
        name in proptest::collection::vec(1_u8.., 0..60),
        location in "[a-z!\"\r\n{}+ ]{0,30}",
    ) {
        let mut out = Vec::new();
        Command::Reserve { name: &name, location: location.as_bytes() }.encode("t", &mut out);
        prop_assert!(out.ends_with(b"\r\n"));
        let expected = Response::Reserve {
            tag: b"t",
            name: Cow::Borrowed(&name),
            location: text(&location),
        };
        prop_assert_eq!(response(&out), Ok(expected));
    }
}
