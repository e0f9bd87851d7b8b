//! By example: those of RFC 3501 and RFC 9051, and what is malformed.

use super::{body, bodystructure, envelope};
use crate::message::{
    Day, Part, Source, Structure, decoded, field_values, header_fields, header_length, sent_date,
    texts, transfer_encoding,
};

/// RFC 3501 section 8, with the lines of its body.
const RFC3501: &str = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n\
    From: Terry Gray <gray@cac.washington.edu>\r\n\
    Subject: IMAP4rev1 WG mtg summary and minutes\r\n\
    To: imap@cac.washington.edu\r\n\
    cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
    Message-Id: <B27397-0100000@cac.washington.edu>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\nHello\r\nWorld\r\n";

/// The tree of RFC 3501 section 6.4.5.
const TREE: &str = "Subject: outer\r\nContent-Type: multipart/mixed; boundary=\"a b\"\r\n\r\npreamble\r\n\
    --a b\r\n\r\none\r\n\
    --a b\r\nContent-Type: application/octet-stream\r\n\r\ntwo\r\n\
    --a b\r\nContent-Type: message/rfc822\r\n\r\n\
    Subject: three\r\nContent-Type: multipart/mixed; boundary=in\r\n\r\n\
    --in\r\n\r\n3.1\r\n--in\r\n\r\n3.2\r\n--in--\r\nepilogue\r\n\
    --a b\r\nContent-Type: multipart/mixed; boundary=four\r\n\r\n\
    --four\r\nContent-Type: image/gif\r\n\r\n4.1\r\n\
    --four\r\nContent-Type: message/rfc822\r\n\r\nSubject: 4.2\r\n\r\n4.2.1\r\n\
    --four--\r\n--a b--\r\n";

#[test]
fn the_example_of_rfc_3501() {
    assert_eq!(
        envelope(RFC3501),
        "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg summary and minutes\" \
         ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
         ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
         ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
         ((NIL NIL \"imap\" \"cac.washington.edu\")) \
         ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) \
         NIL NIL \"<B27397-0100000@cac.washington.edu>\")"
    );
    let plain = "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 14 2";
    assert_eq!(body(RFC3501), format!("{plain})"));
    assert_eq!(bodystructure(RFC3501), format!("{plain} NIL NIL NIL NIL)"));
}

#[test]
fn every_part_of_a_tree_is_found() {
    let structure = Structure::of(TREE.as_bytes());
    let found = |path: &[u32], what| {
        let range = structure.locate(path, what)?;
        TREE.get(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap())
    };
    for (path, text) in [
        (&[1][..], Some("one")),
        (&[2], Some("two")),
        (&[3, 1], Some("3.1")),
        (&[3, 2], Some("3.2")),
        (&[4, 1], Some("4.1")),
        (&[4, 2], Some("Subject: 4.2\r\n\r\n4.2.1")),
        (&[4, 2, 1], Some("4.2.1")),
        (&[4, 2, 1, 1], None),
        (&[0], None),
        (&[5], None),
        (&[1, 1], None),
        (&[4, 3], None),
        (&[u32::MAX], None),
    ] {
        assert_eq!(found(path, Part::Whole), text, "{path:?}");
    }
    assert_eq!(found(&[4, 2], Part::Header), Some("Subject: 4.2\r\n\r\n"));
    assert_eq!(found(&[4, 2], Part::Text), Some("4.2.1"));
    assert_eq!(
        found(&[4, 1], Part::Mime),
        Some("Content-Type: image/gif\r\n\r\n")
    );
    assert_eq!(found(&[2], Part::Header), None);
    assert_eq!(found(&[], Part::Whole), Some(TREE));
    assert_eq!(found(&[], Part::Mime), None);
    let text = found(&[3], Part::Text).unwrap();
    assert!(text.starts_with("--in\r\n") && text.ends_with("--in--\r\nepilogue"));
    let single = Structure::of(RFC3501.as_bytes());
    assert_eq!(
        single.locate(&[1], Part::Whole),
        single.locate(&[], Part::Text)
    );
    assert_eq!(single.locate(&[2], Part::Whole), None);
}

#[test]
fn extension_data_is_for_bodystructure_alone() {
    let mail = "Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\
        Content-Type: text/html; name*0=\"a b\"; name*1=c; charset=utf-8\r\nContent-ID: <i>\r\n\
        Content-Language: de, en\r\nContent-MD5: m\r\nContent-Location: l\r\n\
        Content-Disposition: attachment; filename*0*=utf-8''%e4; filename*1=\" b\"\r\n\
        Content-Transfer-Encoding: Base64\r\n\r\nPGI+\r\n--x--\r\n";
    let html =
        "(\"TEXT\" \"HTML\" (\"CHARSET\" \"utf-8\" \"NAME\" \"a bc\") \"<i>\" NIL \"BASE64\" 4 0";
    assert_eq!(body(mail), format!("({html}) \"ALTERNATIVE\")"));
    assert_eq!(
        bodystructure(mail),
        format!(
            "({html} \"m\" (\"ATTACHMENT\" (\"FILENAME*\" \"utf-8''%e4%20b\")) (\"DE\" \"EN\") \"l\") \
             \"ALTERNATIVE\" (\"BOUNDARY\" \"x\") NIL NIL NIL)"
        )
    );
}

#[test]
fn a_digest_holds_messages() {
    let mail = "Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: s\r\n\r\nx\r\n--d\r\n\
        Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n\r\ny\r\n--m--\r\n--d--\r\n";
    let text =
        |size| format!("(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" {size} 0)");
    assert_eq!(
        body(mail),
        format!(
            "((\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 15 (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) {} 2)\
             ({} \"MIXED\") \"DIGEST\")",
            text(1),
            text(1)
        )
    );
}

#[test]
fn what_is_malformed_is_shown_all_the_same() {
    let text = |size, lines| {
        format!("(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" {size} {lines})")
    };
    for (mail, shown) in [
        ("", text(0, 0)),
        ("no header at all", text(0, 0)),
        ("\r\nx\r\ny", text(4, 1)),
        ("Content-Type: multipart/mixed\r\n\r\nx\r\n", text(3, 1)),
        (
            "Content-Type: multipart/mixed; boundary=b\r\n\r\nx\r\n--c\r\n",
            format!("({} \"MIXED\")", text(0, 0)),
        ),
        (
            "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\nx\r\n----\r\n",
            format!("({} \"MIXED\")", text(1, 0)),
        ),
        ("Content-Type: ???\r\n\r\nx\r\n", text(3, 1)),
        (
            "Content-Type: message/global\r\n\r\nx\r\n",
            "(\"MESSAGE\" \"GLOBAL\" NIL NIL NIL \"7BIT\" 3)".to_owned(),
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\ny\n",
            format!("({} \"MIXED\")", text(4, 2)),
        ),
        // What stands behind the last dashes, or behind a space, doesn't count; other letters make it text.
        (
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b x\r\n\r\n1\r\n--bc\r\n--b--c\r\n--b\r\n\r\n2",
            format!("({} \"MIXED\")", text(7, 1)),
        ),
        // The inner one of two with the same boundary has the delimiter.
        (
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
             --b\r\n\r\n1\r\n--b--\r\n--b\r\n\r\n22\r\n--b--\r\n",
            format!("(({} \"MIXED\"){} \"MIXED\")", text(1, 0), text(2, 0)),
        ),
        // An outer one ends what isn't closed.
        (
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n\
             --c\r\n\r\n1\r\n--b\r\n\r\n22\r\n--c\r\n",
            format!("(({} \"MIXED\"){} \"MIXED\")", text(1, 0), text(9, 2)),
        ),
        // A message that a delimiter cuts off in its header ends before the delimiter's line end.
        (
            "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nno colon\r\n--b--\r\n",
            format!(
                "((\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 8 \
                 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) {} 0) \"DIGEST\")",
                text(0, 0)
            ),
        ),
        (
            "Content-Type: a/b; =x; y=\"z\r\n\r\n",
            "(\"A\" \"B\" (\"\" \"x\") NIL NIL \"7BIT\" 0)".to_owned(),
        ),
        (
            "Content-Type: a/b; n*0=x; n*2=y; m*00=z\r\n\r\n",
            "(\"A\" \"B\" (\"M*00\" \"z\" \"N\" \"x\" \"N*2\" \"y\") NIL NIL \"7BIT\" 0)"
                .to_owned(),
        ),
        (
            "Content-Type: message/rfc822",
            format!(
                "(\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 0 \
                 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) {} 0)",
                text(0, 0)
            ),
        ),
    ] {
        assert_eq!(body(mail), shown, "{mail:?}");
    }
}

#[test]
fn message_global_is_a_message_to_imap4rev2() {
    let inner = "Subject: a\r\n\r\nb\r\n";
    let mail = format!("Content-Type: message/global\r\n\r\n{inner}");
    let (rev1, rev2) = (
        Structure::of(mail.as_bytes()),
        Structure::with_global(mail.as_bytes()),
    );
    assert!(rev1.names_global() && rev2.names_global());
    assert_eq!(
        String::from_utf8(rev2.body()).unwrap(),
        "(\"MESSAGE\" \"GLOBAL\" NIL NIL NIL \"7BIT\" 17 (NIL \"a\" NIL NIL NIL NIL NIL NIL NIL NIL) \
         (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 3 1) 3)"
    );
    let text = (mail.len() - 3) as u64..mail.len() as u64;
    assert_eq!(rev2.locate(&[1], Part::Text), Some(text));
    assert_eq!(rev1.locate(&[1], Part::Text), None);
    assert!(!Structure::of(inner.as_bytes()).names_global());
}

#[test]
fn addresses_of_all_kinds() {
    for (value, shown) in [
        ("a@b (A \\) B)", "((\"A ) B\" NIL \"a\" \"b\"))"),
        (
            "\"Q \\\"x\\\"\" <\"a b\"@c>",
            "((\"Q \\\"x\\\"\" NIL \"a b\" \"c\"))",
        ),
        (
            "a (c) @ (d) .b..c. (e), \"unclosed <a@b>",
            "((\"e\" NIL \"a\" \"b.c\"))",
        ),
        (
            "a@b> , a@b c@d",
            "((NIL NIL \"a\" \"b\")(NIL NIL \"a\" \"bc@d\"))",
        ),
        ("N <@r1,@r2:a@b>", "((\"N\" \"@r1,@r2\" \"a\" \"b\"))"),
        (
            "G: a@b, c@d;, e@f",
            "((NIL NIL \"G\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")(NIL NIL NIL NIL)(NIL NIL \"e\" \"f\"))",
        ),
        (
            "undisclosed:;",
            "((NIL NIL \"undisclosed\" NIL)(NIL NIL NIL NIL))",
        ),
        ("root", "((NIL NIL \"root\" \"unspecified-domain\"))"),
        ("a@[1.2.3.4]", "((NIL NIL \"a\" \"[1.2.3.4]\"))"),
        (" ,, ", "NIL"),
        (
            "=?utf-8?q?=C3=A4?= <a@b>",
            "((\"=?utf-8?q?=C3=A4?=\" NIL \"a\" \"b\"))",
        ),
    ] {
        let whole = envelope(&format!("To: {value}\r\n\r\n"));
        assert_eq!(
            whole,
            format!("(NIL NIL NIL NIL NIL {shown} NIL NIL NIL NIL)"),
            "{value}"
        );
    }
    assert!(envelope("Subject: \u{e4}\0b\r\n\r\n").starts_with("(NIL {3}\r\n\u{e4}b NIL"));
    assert!(envelope("Subject:\r\n\r\n").starts_with("(NIL \"\" NIL"));
    assert!(envelope("Subject: a\r\n b\r\n\r\n").starts_with("(NIL \"a b\" NIL"));
}

#[test]
fn headers_are_cut_to_what_was_asked_for() {
    let header = b"A: 1\r\nB: 2\r\n 3\r\nnone\r\na : 4\r\n\r\nA: body\r\n";
    let some = |names: &[&str], not| String::from_utf8(header_fields(header, names, not)).unwrap();
    assert_eq!(some(&["A"], false), "A: 1\r\na : 4\r\n\r\n");
    assert_eq!(some(&["a"], true), "B: 2\r\n 3\r\nnone\r\n\r\n");
    assert_eq!(some(&["C"], false), "\r\n");
    assert_eq!(header_fields(b"A: 1", &["A"], false), b"A: 1\r\n\r\n");
    assert_eq!(header_length(header), header.len() - b"A: body\r\n".len());
    assert_eq!(field_values(header, "b").collect::<Vec<_>>(), [b"2 3"]);
}

#[test]
fn the_date_is_as_it_is_written() {
    for (value, day) in [
        ("Wed, 17 Jul 1996 23:59:25 -0700 (PDT)", Some((1996, 7, 17))),
        ("1 jan 26", Some((2026, 1, 1))),
        ("(c) Mon (x), 2 Feb 70 00:00", Some((1970, 2, 2))),
        ("32 Jan 2026", None),
        ("yesterday", None),
        ("", None),
    ] {
        let day = day.map(|(year, month, day)| Day { year, month, day });
        assert_eq!(
            sent_date(format!("Date: {value}\r\n\r\n").as_bytes()),
            day,
            "{value}"
        );
    }
}

#[test]
fn search_sees_what_a_reader_sees() {
    let header = b"Subject: =?utf-8?q?gr=C3=BC?= =?iso-8859-1?b?3w==?=\r\n e\r\n\r\n";
    assert!(decoded(header, "subject").any(|value| value.contains("gr\u{fc}\u{df}")));
    let mail = "Subject: top\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n\u{1b}$B%O%m!<\u{1b}(B\r\n\
        --b\r\nContent-Type: text/html; charset=iso-8859-1\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\n<b>f=FCr</b> a=\r\nll &auml;==zz\r\n\
        --b\r\nContent-Type: image/gif\r\n\r\nhidden\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        d29y\r\nZHM=\r\n--b--\r\n";
    let mut seen = Vec::new();
    texts(mail.as_bytes(), |source, text| {
        seen.push((source, text.to_owned()));
        true
    });
    let has = |from, word: &str| {
        seen.iter()
            .any(|(source, text)| *source == from && text.contains(word))
    };
    assert!(has(Source::Header, "Subject: top") && has(Source::Body, "Subject: inner"));
    assert!(!has(Source::Header, "inner"));
    for word in [
        "\u{30cf}\u{30ed}\u{30fc}",
        "f\u{fc}r</b> all &auml;==zz",
        "\u{e4}",
        "words",
    ] {
        assert!(has(Source::Body, word), "{word}: {seen:?}");
    }
    assert!(!has(Source::Body, "hidden"));
    let mut count = 0;
    texts(mail.as_bytes(), |_, _| {
        count += 1;
        false
    });
    assert_eq!(count, 1);
}

#[test]
fn what_has_parts_is_in_no_encoding() {
    for (kind, encoding) in [
        ("text/plain", &b"BASE64"[..]),
        ("message/delivery-status", b"BASE64"),
        ("message/rfc822", b""),
        ("multipart/mixed; boundary=b", b""),
    ] {
        let header = format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n");
        assert_eq!(transfer_encoding(header.as_bytes()), encoding, "{kind}");
    }
}
