//! What is kept of a header: the same as is in the file, or nothing.

use crate::message::{
    Address, Field, HEADER_BYTES_MAX, RECORD_BYTES_MAX, Structure, Summary, Value, record,
    record_of_beginning, record_of_header,
};

const MAIL: &str = "From: =?utf-8?q?J=C3=B6rg?= <Joerg@Example.ORG>\r\n\
To: undisclosed-recipients:;\r\n\
Cc: \"a, b\" <x@y>, Plain <p@q>\r\n\
Subject: one\r\n\
Subject: Re: Gr\u{fc}\u{df}e\r\n\
Date: Sat, 1 Jan 2000 16:01:33 -0800\r\n\
Message-ID: <Big@Small>\r\n\
References: <a@b>\r\n <C@d>\r\n\
\r\nbody\r\n";

fn values(summary: &Summary<'_>, name: &str) -> Option<Vec<String>> {
    let mut values = Vec::new();
    let kept = summary.named(name.as_bytes(), |value| {
        values.push(String::from_utf8(value.bytes().to_vec()).unwrap());
        true
    });
    kept.then_some(values)
}

#[test]
fn fields_are_kept_as_they_are_looked_for() {
    for record in [
        record(MAIL.as_bytes()),
        record_of_beginning(MAIL.as_bytes()),
        record_of_header(MAIL.as_bytes()),
    ] {
        let summary = Summary::of(&record).unwrap();
        for (name, expected) in [
            ("from", vec!["JO\u{308}RG <JOERG@EXAMPLE.ORG>"]),
            ("SUBJECT", vec!["ONE", "RE: GRU\u{308}\u{df}E"]),
            ("bcc", vec![]),
            ("Message-Id", vec!["<Big@Small>"]),
            ("In-Reply-To", vec![]),
            ("References", vec!["<a@b> <C@d>"]),
        ] {
            let expected = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(values(&summary, name), Some(expected), "{name}");
        }
        assert_eq!(values(&summary, "X-Other"), None);
        let last = summary.last(Field::Subject).unwrap();
        assert_eq!(
            last.map(Value::bytes),
            Some("RE: GRU\u{308}\u{df}E".as_bytes())
        );
        assert_eq!(summary.last(Field::InReplyTo), Some(None));
        let sent = summary.sent().unwrap();
        assert_eq!((sent.day.0, sent.seconds), (10_957, 946_771_293));
    }
}

#[test]
fn addresses_are_those_of_the_envelope() {
    let record = record(MAIL.as_bytes());
    let summary = Summary::of(&record).unwrap();
    let address = |name: Option<&str>, mailbox: &str, host: Option<&str>| Address {
        name: name.map(str::to_owned),
        mailbox: mailbox.as_bytes().to_vec(),
        host: host.map(|host| host.as_bytes().to_vec()),
    };
    for (field, expected) in [
        (
            Field::From,
            address(Some("J\u{f6}rg"), "Joerg", Some("Example.ORG")),
        ),
        (Field::To, address(None, "undisclosed-recipients", None)),
        (Field::Cc, address(Some("a, b"), "x", Some("y"))),
    ] {
        assert_eq!(summary.first_address(field), Some(expected), "{field:?}");
    }
    let none = record_of_header(b"Subject: {3}\r\n\r\n");
    assert_eq!(Summary::of(&none).unwrap().first_address(Field::To), None);
}

#[test]
fn what_is_long_is_not_kept() {
    let many = "To: a@b\r\n".repeat(33);
    let long = format!("{many}Cc: {}\r\nSubject: s\r\n\r\n", "a@b, ".repeat(1000));
    let kept = record(long.as_bytes());
    let summary = Summary::of(&kept).unwrap();
    assert_eq!(values(&summary, "To"), None);
    assert_eq!(values(&summary, "Cc"), None);
    assert_eq!(summary.last(Field::Cc), None);
    assert_eq!(values(&summary, "Subject"), Some(vec!["S".to_owned()]));
    let all = record_of_header(long.as_bytes());
    let summary = Summary::of(&all).unwrap();
    assert_eq!(values(&summary, "To").unwrap().len(), 33);
    assert_eq!(values(&summary, "Cc").unwrap()[0].len(), 4999);
    // A structure that is too long goes, and then the rest.
    let parts = "--b\r\n\r\nx\r\n".repeat(1000);
    let mail =
        format!("Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n");
    let kept = record(mail.as_bytes());
    assert!(Structure::decode(&kept).is_none() && Summary::of(&kept).is_some());
    let long = format!("X-Long: x\r\nTo: {}\r\n\r\n", "aaaa@b, ".repeat(5000));
    let kept = record(long.as_bytes());
    assert!(kept.len() <= RECORD_BYTES_MAX && Summary::of(&kept).is_none());
    let far = format!("X: {}\r\nSubject: s\r\n\r\n", "x".repeat(HEADER_BYTES_MAX));
    assert!(Summary::of(&record(far.as_bytes())).is_none());
    assert!(record_of_beginning(b"Subject: cut o").is_empty());
}

#[test]
fn records_of_another_form_are_none() {
    let mut old = record(MAIL.as_bytes());
    old[0] = 1;
    assert!(Summary::of(&old).is_none() && Structure::decode(&old).is_none());
    assert!(Summary::of(b"").is_none() && Structure::decode(b"").is_none());
}
