//! Commands and responses: known answers, bad input, and no panic on any bytes.

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;

/// The command in `text`, whose tag and name are fine.
fn parsed(text: &str) -> Command<'_> {
    command(text.as_bytes()).expect("a command")
}

/// Tag and text of the BAD for `text`.
fn refused(text: &str) -> (Option<&str>, &'static str) {
    let bad = command(text.as_bytes()).expect_err("no command");
    (
        bad.tag.map(|tag| std::str::from_utf8(tag).unwrap()),
        bad.text,
    )
}

#[test]
fn commands_are_split() {
    let select = parsed("a24 SELECT INBOX\r\n");
    assert_eq!(
        (select.tag, select.verb, select.uid),
        (&b"a24"[..], Verb::Select, false)
    );
    assert_eq!(select.args.rest(), b" INBOX");
    assert_eq!(select.raw, b"a24 SELECT INBOX\r\n");
    let copy = parsed("a7 uid Copy 1 sharedtwo\r\n");
    assert_eq!(
        (copy.verb, copy.uid, copy.args.rest()),
        (Verb::Copy, true, &b" 1 sharedtwo"[..])
    );
    let list = parsed("a4 LIST \"\" \"INBOX.just*\"\r\n");
    assert_eq!(list.verb, Verb::List);
    assert_eq!(parsed("a44 BOGUS\r\n").verb, Verb::Unknown);
    assert_eq!(parsed("x UID NOOP\r\n").verb, Verb::Unknown);
    assert!(parsed("]x.1 NOOP\r\n").no_args().is_ok());
    assert_eq!(parsed("a NOOP now\r\n").no_args(), Err(ParseError::Extra));
}

#[test]
fn what_is_no_command_is_told() {
    for text in [
        "\r\n",
        " a NOOP\r\n",
        "* NOOP\r\n",
        "+ NOOP\r\n",
        "\"a\" NOOP\r\n",
        "\u{e4} NOOP",
    ] {
        assert_eq!(refused(text), (None, "Missing or invalid tag"), "{text:?}");
    }
    for text in [
        "a+ NOOP\r\n",
        "a\tNOOP\r\n",
        "a% NOOP\r\n",
        "a\0 NOOP\r\n",
        "\x16a\r\n",
    ] {
        assert_eq!(refused(text).0, None, "{text:?}");
    }
    for text in [
        "a\r\n",
        "a \r\n",
        "a  NOOP\r\n",
        "a \"NOOP\"\r\n",
        "a {4}\r\nNOOP\r\n",
    ] {
        assert_eq!(refused(text), (Some("a"), "Missing command"), "{text:?}");
    }
    assert_eq!(
        refused("a UID\r\n"),
        (Some("a"), "Missing command after UID")
    );
    assert_eq!(
        refused(&format!("{} NOOP\r\n", "x".repeat(129))),
        (None, "Tag too long")
    );
}

#[test]
fn debug_shows_no_arguments() {
    let shown = format!("{:?}", parsed("a LOGIN alice sesame\r\n"));
    assert!(
        shown.contains("Login") && !shown.contains("sesame"),
        "{shown}"
    );
    let shown = format!(
        "{:?}",
        parsed("a AUTHENTICATE PLAIN c2VzYW1l\r\n").authenticate()
    );
    assert!(
        shown.contains("PLAIN") && !shown.contains("c2VzYW1l"),
        "{shown}"
    );
}

#[test]
fn strings_come_in_three_forms() {
    let read = |text: &str| {
        let mut cursor = Cursor::new(text.as_bytes());
        let value = cursor.astring().map(Cow::into_owned)?;
        Ok((
            String::from_utf8(value).unwrap(),
            String::from_utf8_lossy(cursor.rest()).into_owned(),
        ))
    };
    let done = |value: &str, rest: &str| Ok((value.to_owned(), rest.to_owned()));
    assert_eq!(read("INBOX (x)"), done("INBOX", " (x)"));
    assert_eq!(read("a]b&-!^ x"), done("a]b&-!^", " x"));
    assert_eq!(read("\"\" x"), done("", " x"));
    assert_eq!(read("\"a b\\\"c\\\\d\" x"), done("a b\"c\\d", " x"));
    assert_eq!(read("\"\\\\\""), done("\\", ""));
    assert_eq!(read("{5}\r\na\r\nb\" x"), done("a\r\nb\"", " x"));
    assert_eq!(read("{0+}\r\n x"), done("", " x"));
    assert_eq!(read("\"\u{e4}\""), done("\u{e4}", ""));
    for text in ["", " x", "(x)", "%", "*", "\\x", "\u{e4}", "}{"] {
        assert_eq!(read(text).is_err(), text != "}{", "{text:?}");
    }
    for (text, error) in [
        ("\"abc", ParseError::OpenQuote),
        ("\"abc\\", ParseError::OpenQuote),
        ("\"abc\\\"", ParseError::OpenQuote),
        (
            "\"a\\bc\"",
            ParseError::Expected("\\\" or \\\\ in a quoted string"),
        ),
        ("\"a\0c\"", ParseError::Nul),
        ("\"a\nc\"", ParseError::LineEnd),
        ("\"a\\\"\rc\"", ParseError::LineEnd),
        ("{3}\r\na\0c", ParseError::Nul),
        ("{4}\r\nabc", ParseError::ShortLiteral),
        (
            "{99999999999999999999}\r\n",
            ParseError::Expected("a literal"),
        ),
        ("{18446744073709551615}\r\n", ParseError::ShortLiteral),
        ("{-1}", ParseError::Expected("a literal")),
        ("{5}", ParseError::Expected("a literal")),
    ] {
        assert_eq!(read(text), Err(error), "{text:?}");
    }
}

#[test]
fn other_arguments_are_read() {
    let mut cursor = Cursor::new(b"1:*,7,$ 18446744073709551615 NIL \"x\" INB%*x end");
    assert_eq!(cursor.sequence_set(), Ok(&b"1:*,7,$"[..]));
    assert_eq!(cursor.sp(), Ok(()));
    assert_eq!(cursor.number(), Ok(u64::MAX));
    assert_eq!(cursor.sp(), Ok(()));
    assert_eq!(cursor.nstring(), Ok(None));
    assert_eq!(cursor.sp(), Ok(()));
    assert_eq!(cursor.nstring(), Ok(Some(Cow::Borrowed(&b"x"[..]))));
    assert_eq!(cursor.sp(), Ok(()));
    assert_eq!(cursor.list_mailbox(), Ok(Cow::Borrowed(&b"INB%*x"[..])));
    assert_eq!(cursor.sp(), Ok(()));
    assert_eq!(cursor.end(), Err(ParseError::Extra));
    assert_eq!(cursor.atom(), Ok(&b"end"[..]));
    assert_eq!(cursor.end(), Ok(()));
    assert_eq!(
        Cursor::new(b"18446744073709551616").number(),
        Err(ParseError::Number)
    );
}

#[test]
fn parenthesized_lists_are_kept_as_they_came() {
    let read = |text: &str| {
        let mut cursor = Cursor::new(text.as_bytes());
        let list = cursor
            .paren()
            .map(|list| String::from_utf8_lossy(list).into_owned());
        (list, cursor.rest().len())
    };
    for list in [
        "()",
        "(MESSAGES UIDNEXT)",
        "((a) (b (c)))",
        "(\")\" x)",
        "({1}\r\n) x)",
        "(a{b)",
    ] {
        assert_eq!(
            read(&format!("{list} rest")),
            (Ok(list.to_owned()), 5),
            "{list}"
        );
    }
    assert_eq!(read("((a)").0, Err(ParseError::Parenthesis));
    assert_eq!(read("(\"a)").0, Err(ParseError::OpenQuote));
    assert_eq!(read("({9}\r\nx)").0, Err(ParseError::ShortLiteral));
    assert_eq!(
        read("a").0,
        Err(ParseError::Expected("a parenthesized list"))
    );
    let deep = "(".repeat(200_000) + &")".repeat(200_000);
    assert_eq!(read(&deep), (Ok(deep.clone()), 0));
}

#[test]
fn errors_are_fit_for_a_bad() {
    assert_eq!(
        Cursor::new(b"").sp().unwrap_err().to_string(),
        "Expected a space"
    );
    assert_eq!(
        Cursor::new(b"x").end().unwrap_err().to_string(),
        "Extra arguments"
    );
}

#[test]
fn authenticate_takes_an_initial_response() {
    let read = |text| {
        parsed(text)
            .authenticate()
            .map(|auth| (auth.mechanism, auth.initial))
    };
    assert_eq!(read("a AUTHENTICATE PLAIN\r\n"), Ok((&b"PLAIN"[..], None)));
    let initial = &b"AGFsaWNlAGFsaWNlcHc="[..];
    assert_eq!(
        read("a AUTHENTICATE PLAIN AGFsaWNlAGFsaWNlcHc=\r\n"),
        Ok((&b"PLAIN"[..], Some(initial)))
    );
    assert_eq!(
        read("a AUTHENTICATE EXTERNAL =\r\n"),
        Ok((&b"EXTERNAL"[..], Some(&b""[..])))
    );
    assert_eq!(read("a AUTHENTICATE PLAIN x y\r\n"), Err(ParseError::Extra));
    assert!(read("a AUTHENTICATE\r\n").is_err());
    assert!(read("a AUTHENTICATE PLAIN \r\n").is_err());
}

#[test]
fn an_appends_head_is_read() {
    let read = |text: &'static str| {
        AppendHead::parse(&parsed(text)).map(|head| {
            (
                String::from_utf8(head.mailbox.into_owned()).unwrap(),
                head.options,
                head.has_literal,
            )
        })
    };
    let is = |mailbox: &str, options: &'static str, literal| {
        Ok((mailbox.to_owned(), options.as_bytes(), literal))
    };
    assert_eq!(
        read("a2 APPEND INBOX (\\Seen) {117+}\r\n"),
        is("INBOX", "(\\Seen) ", true)
    );
    assert_eq!(read("a3 APPEND INBOX {117}\r\n"), is("INBOX", "", true));
    assert_eq!(read("a3 APPEND INBOX ~{117}\r\n"), is("INBOX", "", true));
    assert_eq!(
        read("a6 Append {9+}\r\nshared wo () \"23-Nov-2026 12:26:54 +0000\" {120+}\r\n"),
        is("shared wo", "() \"23-Nov-2026 12:26:54 +0000\" ", true)
    );
    assert_eq!(
        read("a APPEND \"x {3}\" CATENATE (URL \"/y\")\r\n"),
        is("x {3}", "CATENATE (URL \"/y\")", false)
    );
    assert_eq!(
        read("a APPEND x CATENATE (TEXT {3+}\r\n"),
        is("x", "CATENATE (TEXT ", true)
    );
    for text in [
        "a APPEND\r\n",
        "a APPEND x\r\n",
        "a APPEND x \r\n",
        "a APPEND {5+}\r\nINBOX\r\n",
    ] {
        assert!(read(text).is_err(), "{text:?}");
    }
    assert_eq!(
        read("a APPEND x {3}\r\nabc {2}\r\n"),
        Err(ParseError::LineEnd)
    );
}

#[test]
fn status_responses_are_read() {
    let read = |text: &'static str| {
        status(text.as_bytes()).map(|status| {
            let lossy = |bytes| std::str::from_utf8(bytes).unwrap();
            (
                status.tag.map(lossy),
                status.kind,
                status.code.map(lossy),
                lossy(status.text),
            )
        })
    };
    assert_eq!(
        read("a2 OK [APPENDUID 1795436780 3] Completed"),
        Some((
            Some("a2"),
            StatusKind::Ok,
            Some("APPENDUID 1795436780 3"),
            "Completed"
        ))
    );
    assert_eq!(
        read("* OK [PERMANENTFLAGS (\\Answered \\*)] Ok"),
        Some((
            None,
            StatusKind::Ok,
            Some("PERMANENTFLAGS (\\Answered \\*)"),
            "Ok"
        ))
    );
    assert_eq!(
        read("* BYE LOGOUT received"),
        Some((None, StatusKind::Bye, None, "LOGOUT received"))
    );
    assert_eq!(
        read("a43 NO Mailbox does not exist"),
        Some((Some("a43"), StatusKind::No, None, "Mailbox does not exist"))
    );
    assert_eq!(
        read("* preauth"),
        Some((None, StatusKind::Preauth, None, ""))
    );
    assert_eq!(
        read("a bad [x"),
        Some((Some("a"), StatusKind::Bad, None, "[x"))
    );
    assert_eq!(
        read("a OK [CLOSED]"),
        Some((Some("a"), StatusKind::Ok, Some("CLOSED"), ""))
    );
    for text in [
        "",
        "* ",
        "* 1 EXISTS",
        "+ OK",
        "a OKAY",
        "(a OK x",
        "* LIST",
    ] {
        assert_eq!(read(text), None, "{text:?}");
    }
}

#[test]
fn list_responses_are_read() {
    let lsub = list(b"* LSUB (\\Noselect) \".\" sharedtwo").unwrap();
    assert!(lsub.has("\\noselect") && !lsub.has("\\HasChildren"));
    assert_eq!((lsub.name, lsub.delimiter), (&b"LSUB"[..], Some(b'.')));
    assert_eq!(*lsub.mailbox, b"sharedtwo"[..]);
    let full =
        list(b"* LIST (\\Subscribed \\HasNoChildren) NIL {7}\r\na \"b\\c\" (X (y))").unwrap();
    let attributes: Vec<&[u8]> = full.attributes().collect();
    assert_eq!(attributes, [&b"\\Subscribed"[..], b"\\HasNoChildren"]);
    assert_eq!((full.delimiter, full.extended), (None, &b" (X (y))"[..]));
    assert_eq!(*full.mailbox, b"a \"b\\c\""[..]);
    let empty = list(b"* LIST (\\Noselect) \".\" \"\"").unwrap();
    assert_eq!(*empty.mailbox, b""[..]);
    let backslash = list(b"* LIST () \"\\\\\" x").unwrap();
    assert_eq!(backslash.delimiter, Some(b'\\'));
    for text in [
        "* LIST",
        "* LIST () \".\"",
        "* LIST () \"..\" x",
        "* STATUS () \".\" x",
        "LIST () \".\" x",
        "* LIST \".\" x",
        "* LIST () . x",
    ] {
        assert!(list(text.as_bytes()).is_err(), "{text:?}");
    }
}

#[test]
fn capabilities_are_gathered() {
    let banner = b"* OK [CAPABILITY IMAP4rev1 LITERAL+ ID ENABLE \
        MUPDATE=mupdate://mupdate.murder.test:3905/ AUTH=PLAIN SASL-IR] backend1 ready";
    let banner = Capabilities::from_line(banner).unwrap();
    assert!(banner.has("imap4REV1") && banner.has("auth=plain") && !banner.has("IDLE"));
    assert!(banner.has_prefix("MUPDATE=") && !banner.has_prefix("COMPRESS="));
    assert_eq!(banner.literals(), Literals::Plus);
    let other = Capabilities::from_line(b"* CAPABILITY IMAP4rev1 IDLE LITERAL- ID").unwrap();
    assert_eq!(other.literals(), Literals::Minus);
    let both = banner.intersection(&other);
    assert_eq!(both.iter().collect::<Vec<_>>(), ["ID", "IMAP4REV1"]);
    assert_eq!(both.literals(), Literals::Sync);
    assert_eq!(Capabilities::from_line(b"* OK [ALERT] x"), None);
    assert_eq!(Capabilities::from_line(b"* SEARCH 1"), None);
    let odd = Capabilities::parse(b"  A\x7f \xff\xfe B  ");
    assert_eq!(odd.iter().collect::<Vec<_>>(), ["B"]);
    let many = (0..2000).map(|n| format!("X{n} ")).collect::<String>();
    assert_eq!(Capabilities::parse(many.as_bytes()).iter().count(), 512);
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn no_tokens_make_a_parser_panic(
        text in "(\\* |a |LIST |OK |UID |APPEND |\\[|\\]|\\(|\\)|\"|\\\\|\\{[0-9]{1,2}\\+?\\}\r\n|\\{|NIL|x| ){0,30}",
    ) {
        read_all(text.as_bytes());
    }
}

/// Reads `bytes` with everything there is.
fn read_all(bytes: &[u8]) {
    if let Ok(command) = command(bytes) {
        assert!(!command.tag.is_empty() && command.raw == bytes);
        let _ = (
            command.authenticate(),
            command.no_args(),
            AppendHead::parse(&command),
        );
    }
    let _ = (status(bytes), list(bytes), Capabilities::from_line(bytes));
    let readers: [fn(&mut Cursor<'_>) -> bool; 8] = [
        |cursor| cursor.astring().is_ok(),
        |cursor| cursor.list_mailbox().is_ok(),
        |cursor| cursor.nstring().is_ok(),
        |cursor| cursor.paren().is_ok(),
        |cursor| cursor.number().is_ok(),
        |cursor| cursor.sequence_set().is_ok(),
        |cursor| cursor.atom().is_ok(),
        |cursor| cursor.tag().is_ok(),
    ];
    for read in readers {
        let mut cursor = Cursor::new(bytes);
        let taken = read(&mut cursor);
        assert!(bytes.ends_with(cursor.rest()));
        assert_eq!(taken, cursor.rest().len() < bytes.len() && taken);
    }
}
