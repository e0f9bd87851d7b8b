//! Any bytes are a message: the answers are lawful, records are read back, ranges agree. And hostile ones are done in time.

use std::fmt::Write as _;

use proptest::prelude::*;
use ravenry_core::rt;

use super::lawful;
use crate::message::{
    Field, HEADER_BYTES_MAX, PARTS_MAX, Part, RECORD_BYTES_MAX, Structure, Summary, header_fields,
    header_length, record, sent_date, texts,
};

/// Everything that is said of a message is in order.
fn check(message: &[u8]) {
    let structure = Structure::of(message);
    check_structure(message, &structure, false);
    let rev2 = Structure::with_global(message);
    match structure.names_global() {
        true => check_structure(message, &rev2, true),
        false => assert_eq!(rev2, structure),
    }
    let record = record(message);
    assert!(record.len() <= RECORD_BYTES_MAX);
    if let Some(decoded) = Structure::decode(&record) {
        assert_eq!(decoded, structure);
        assert_eq!(Structure::decode(&record[..record.len() - 1]), None);
    }
    let _ = sent_date(message);
    assert!(header_fields(message, &["To"], true).ends_with(b"\r\n"));
    texts(message, |_, _| true);
}

fn check_structure(message: &[u8], structure: &Structure, rev2: bool) {
    lawful::envelope(&lawful::read(structure.envelope()));
    lawful::body(&lawful::read(structure.bodystructure()), true, rev2);
    lawful::body(&lawful::read(&structure.body()), false, rev2);
    let of = |path: &[u32], what| structure.locate(path, what);
    let (whole, header, text) = (
        of(&[], Part::Whole),
        of(&[], Part::Header),
        of(&[], Part::Text),
    );
    let (whole, header, text) = (whole.unwrap(), header.unwrap(), text.unwrap());
    assert_eq!(whole, 0..message.len() as u64);
    assert_eq!(
        (header.start, header.end, text.end),
        (0, text.start, whole.end)
    );
    assert_eq!(header.end, header_length(message) as u64);
    let (mut path, mut last) = (vec![1], text.start);
    while let Some(part) = of(&path, Part::Whole) {
        let mime = of(&path, Part::Mime).unwrap();
        assert!(mime.end <= part.start && part.start >= last && part.end <= whole.end);
        if let (Some(inner), Some(text)) = (of(&path, Part::Header), of(&path, Part::Text)) {
            assert_eq!(
                (inner.start, inner.end, text.end),
                (part.start, text.start, part.end)
            );
        }
        last = part.start;
        path.push(1);
    }
}

/// Lines of which mail is made, and others.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "",
        "",
        "--a",
        "--b",
        "--a--",
        "--b--",
        "--a  ",
        "--",
        "x",
        " folded",
        "From: A <a@b>, G: c@d;",
        "To: \"q\\\" <(x(y)z)@[1>, @r:s@t",
        "Sender: (",
        "Cc: <@a,@b:c@d>;;::,<<>>",
        "Subject: =?utf-8?q?=C3?=",
        "Content-Type: multipart/mixed; boundary=a",
        "Content-Type: multipart/digest; boundary=\"b\"",
        "Content-Type: multipart/mixed; boundary*0=a",
        "Content-Type: message/rfc822",
        "Content-Type: message/global",
        "Content-Type: text/html; charset=gbk",
        "Content-Type: \u{e4}/;;=\"",
        "Content-Type:",
        "Content-Disposition: attachment; a*0*=x; a*1=y; b=\u{e4}",
        "Content-Language: de, en",
        "Content-Transfer-Encoding: base64",
        "Date: 1 Jan 2026",
        "Bcc: \0\r\u{1}\"",
    ]);
    let line = prop_oneof![
        8 => known.prop_map(|line| line.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..30),
    ];
    let end = prop::sample::select(vec!["\r\n", "\r\n", "\n", "\r", ""]);
    (line, end).prop_map(|(mut line, end)| {
        line.extend_from_slice(end.as_bytes());
        line
    })
}

proptest! {
    #[test]
    fn any_mail_is_shown_lawfully(lines in prop::collection::vec(line(), 0..60)) {
        check(&lines.concat());
    }

    #[test]
    fn any_bytes_are_shown_lawfully(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes);
    }

    #[test]
    fn any_record_is_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        bytes.insert(0, 2);
        if let Some(summary) = Summary::of(&bytes) {
            let _ = (summary.sent(), summary.last(Field::References), summary.first_address(Field::Cc));
        }
        if let Some(structure) = Structure::decode(&bytes) {
            let _ = (structure.body(), structure.locate(&[1, 1], Part::Header));
        }
    }
}

/// A message/rfc822 or a multipart in the one before, `depth` deep.
fn nested(depth: usize, multipart: bool) -> String {
    (0..depth).fold(String::new(), |mut mail, level| {
        let _ = match multipart {
            true => write!(
                mail,
                "Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"
            ),
            false => write!(mail, "Content-Type: message/rfc822\r\n\r\n"),
        };
        mail
    })
}

#[test]
fn hostile_mail_is_done_in_time() {
    let many = |unit: &str| unit.repeat((2 << 20) / unit.len());
    let parts = format!(
        "Content-Type: multipart/digest; boundary=b\r\n\r\n{}",
        many("--b\r\n\r\n")
    );
    let html = |unit| format!("Content-Type: text/html\r\n\r\n{}", many(unit));
    let mail = [
        many("To: a,"),
        format!("To: {}", many("[")),
        format!("To: {}", many("(")),
        format!("To: {}", many("<@")),
        format!("To: {}", many("\"")),
        format!("Subject: {}", many("=?x?q?")),
        many("a:\r\n"),
        many("\r"),
        many("\0"),
        format!("Content-Type: text/plain{}", many(";a=")),
        format!("Content-Type: a/b{}", many(";a*1=b")),
        format!(
            "Content-Type: multipart/mixed; boundary={}\r\n\r\n",
            "x".repeat(2000)
        ),
        parts,
        nested(500, true),
        nested(500, false),
        nested(99, true) + &many("--\n"),
        html("<"),
        html("<a "),
        html("&"),
        html("<!--"),
        html("<script>"),
        html("&#x;"),
        format!(
            "Content-Transfer-Encoding: quoted-printable\r\n\r\n{}",
            many("= ")
        ),
    ];
    for mail in mail {
        let begun = rt::now();
        check(mail.as_bytes());
        let spent = rt::now() - begun;
        let beginning: String = mail.chars().take(60).collect();
        assert!(spent.as_secs() < 10, "{beginning:?}: {spent:?}");
    }
}

#[test]
fn what_is_past_the_limits_is_one_part() {
    let count = |mail: &str| {
        let shown = Structure::of(mail.as_bytes()).body();
        String::from_utf8(shown)
            .unwrap()
            .matches("\"7BIT\"")
            .count()
    };
    let parts = "--b\r\n\r\nx\r\n".repeat(PARTS_MAX + 100);
    let mail = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n");
    assert_eq!(count(&mail), PARTS_MAX - 1);
    assert_eq!(Structure::decode(&record(mail.as_bytes())), None);
    assert_eq!(count(&nested(500, false)), 100);
    assert_eq!(count(&nested(500, true)), 1);
    let long = format!(
        "X: {}\r\nSubject: unread\r\n\r\n",
        "x".repeat(HEADER_BYTES_MAX)
    );
    assert!(
        Structure::of(long.as_bytes())
            .envelope()
            .starts_with(b"(NIL NIL")
    );
}

#[test]
fn a_usual_record_is_small() {
    let mail = b"From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--\r\n";
    assert!(record(mail).len() < 600);
}
