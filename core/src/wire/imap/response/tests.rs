//! Responses: what backends send, what they shouldn't, and that the split doesn't matter.

use proptest::prelude::*;

use super::*;
use crate::wire::replay::{self, Seen};

/// What comes out, whatever the pieces: text of lines, literals' sizes.
fn play(input: &[u8]) -> Vec<Seen> {
    let whole = replay::responses(&[input], 0);
    for cut in 0..=input.len() {
        let (left, right) = input.split_at(cut);
        assert_eq!(replay::responses(&[left, right], 0), whole, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(replay::responses(&bytes, 0), whole, "byte by byte");
    whole
}

/// The lines and literals in short: `line`, `<size>`, `!error`.
fn brief(input: impl AsRef<[u8]>) -> Vec<String> {
    let short = |seen| match seen {
        Seen::Response(bytes, _) => String::from_utf8_lossy(&bytes).trim_end().to_owned(),
        Seen::Literal(size) => format!("<{size}>"),
        Seen::Closed(why) => format!("!{why}"),
        other => format!("{other:?}"),
    };
    play(input.as_ref()).into_iter().map(short).collect()
}

/// The kind of the response that `line` starts, with the words that its ranges name.
fn kind(line: &str) -> Option<(Kind, String)> {
    let mut scanner = ResponseScanner::new(0);
    match scanner.next(format!("{line}\r\n").as_bytes()) {
        ResponseEvent::Line(ResponseLine {
            start: Some(kind), ..
        }) => {
            let word = match &kind {
                Kind::Untagged { name, .. } => line[name.clone()].to_owned(),
                Kind::Tagged { tag, .. } => line[tag.clone()].to_owned(),
                Kind::Continuation | Kind::Empty => String::new(),
            };
            Some((kind, word))
        }
        _ => None,
    }
}

#[test]
fn a_fetch_is_walked_over() {
    let body = "From: a@x.test\r\n\r\nbody one\r\n";
    let input = format!(
        "* 1 FETCH (BODY[] {{{}}}\r\n{body})\r\na26 OK Completed (0.000 sec)\r\n",
        28
    );
    assert_eq!(body.len(), 28);
    let expected = [
        "* 1 FETCH (BODY[] {28}",
        "<28>",
        ")",
        "a26 OK Completed (0.000 sec)",
    ];
    assert_eq!(brief(input), expected);
}

#[test]
fn literals_may_follow_each_other() {
    let input = "* LIST () \".\" {5}\r\nIN\r\nX (~{1}\r\n\0 {0}\r\n)\r\n* 2 EXISTS\r\n";
    let expected = [
        "* LIST () \".\" {5}",
        "<5>",
        " (~{1}",
        "<1>",
        " {0}",
        "<0>",
        ")",
        "* 2 EXISTS",
    ];
    assert_eq!(brief(input), expected);
}

#[test]
fn a_status_responses_text_announces_nothing() {
    for line in [
        "* OK see {5}",
        "a1 NO no such thing {5}",
        "* BYE {5}",
        "* OK [ALERT] text {5}",
        "+ go ahead {5}",
        "a1 BAD {5}",
        "* OK [BADURL \"x]\"] {5}",
    ] {
        let next = "* 1 EXISTS";
        assert_eq!(brief(format!("{line}\r\n{next}\r\n")), [line, next]);
    }
}

#[test]
fn an_open_code_announces_a_literal() {
    let seen = brief("a OK [BADURL {5}\r\n]xyz] {4}\r\nabcd] [{3}\r\n* 1 EXISTS\r\n");
    assert_eq!(
        seen,
        [
            "a OK [BADURL {5}",
            "<5>",
            " {4}",
            "<4>",
            "] [{3}",
            "* 1 EXISTS"
        ]
    );
    let seen = brief("a OK [BADURL {5}\r\nabcde] text {4}\r\n* 1 EXISTS\r\n");
    assert_eq!(
        seen,
        ["a OK [BADURL {5}", "<5>", "] text {4}", "* 1 EXISTS"]
    );
}

#[test]
fn kinds_are_told() {
    let data = |name| Some(Kind::Untagged { status: None, name });
    let untagged = |status| {
        Some(Kind::Untagged {
            status: Some(status),
            name: 2..4,
        })
    };
    let find = |line| kind(line).map(|(kind, _)| kind);
    assert_eq!(find("* LIST () \".\" INBOX"), data(2..6));
    assert_eq!(
        kind("* 12 FETCH (FLAGS ())").map(|(_, word)| word),
        Some("FETCH".into())
    );
    assert_eq!(find("* 12 EXISTS"), data(5..11));
    assert_eq!(find("* OK [CLOSED] Ok"), untagged(Status::Ok));
    assert_eq!(find("* no"), untagged(Status::No));
    assert_eq!(
        find("* PREAUTH hi"),
        Some(Kind::Untagged {
            status: Some(Status::Preauth),
            name: 2..9
        })
    );
    assert_eq!(find("+ idling"), Some(Kind::Continuation));
    assert_eq!(find("+"), Some(Kind::Continuation));
    assert_eq!(find("+ "), Some(Kind::Continuation));
    assert_eq!(find(""), Some(Kind::Empty));
    assert_eq!(
        find("a1 OK Completed"),
        Some(Kind::Tagged {
            tag: 0..2,
            status: Status::Ok
        })
    );
    assert_eq!(
        find("a1 BAD"),
        Some(Kind::Tagged {
            tag: 0..2,
            status: Status::Bad
        })
    );
    assert_eq!(
        find("OK]1 NO x"),
        Some(Kind::Tagged {
            tag: 0..4,
            status: Status::No
        })
    );
}

#[test]
fn what_is_no_response_ends_it() {
    for line in [
        "*",
        "* ",
        "*OK hi",
        "+OK POP3 ready",
        "220 smtp",
        "a1",
        "a1 ",
        "a1 BYE x",
        "a1 DUMP (NIL",
        " OK x",
        "HTTP/1.1 400 Bad",
        "a* OK x",
        "+x OK y",
    ] {
        assert_eq!(
            brief(format!("{line}\r\n")),
            ["!not an IMAP response"],
            "{line:?}"
        );
    }
    assert_eq!(brief("* OK a\0b\r\n"), ["!NUL in a line"]);
    assert_eq!(brief("* OK ab\n"), ["!Line ends in LF without CR"]);
    assert_eq!(brief("* OK a\rb\r\n"), ["!CR without LF in a line"]);
    assert_eq!(
        brief("* 1 FETCH (BODY[] {99999999999999999999}\r\n"),
        ["!Literal too large"]
    );
}

#[test]
fn after_an_error_there_is_nothing_but_the_error() {
    let mut scanner = ResponseScanner::new(0);
    let bad = ResponseEvent::Bad(BadResponse::NotAResponse);
    assert_eq!(scanner.next(b"hello\r\n"), bad);
    assert_eq!(scanner.next(b"* OK fine\r\n"), bad);
}

#[test]
fn a_size_of_64_bits_is_taken() {
    let mut scanner = ResponseScanner::new(0);
    let event = scanner.next(b"* 1 FETCH (BODY[] {18446744073709551615}\r\n");
    let ResponseEvent::Line(line) = event else {
        panic!("a line")
    };
    assert_eq!(line.literal.map(|literal| literal.size), Some(u64::MAX));
    assert!(!scanner.is_between_responses());
}

#[test]
fn long_data_comes_in_pieces() {
    let line = format!("* SEARCH {}", "12345 ".repeat(1000));
    let input = format!("{line}{{4}}\r\nabcd {}\r\n* 1 EXISTS\r\n", "y".repeat(600));
    let seen = play(input.as_bytes());
    let mut joined: Vec<u8> = Vec::new();
    let (mut longest, mut starts, mut literals) = (0, 0, 0);
    for piece in &seen {
        match piece {
            Seen::Response(bytes, said) => {
                longest = longest.max(bytes.len());
                starts += usize::from(said.contains("Untagged"));
                joined.extend(bytes);
            }
            Seen::Literal(4) => literals += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((starts, literals), (2, 1));
    assert!(longest <= ResponseScanner::LINE_BYTES_MIN + 2);
    assert_eq!(joined, input.replace("\r\nabcd ", "\r\n ").as_bytes());
}

#[test]
fn no_other_long_line_is_taken() {
    let long = "x".repeat(300);
    for line in [
        format!("a1 OK {long}"),
        format!("* OK {long}"),
        format!("+ {long}"),
    ] {
        assert_eq!(brief(line).pop().as_deref(), Some("!Line too long"));
    }
    assert_eq!(brief(long), ["!not an IMAP response"]);
}

#[test]
fn a_long_code_comes_whole() {
    let set = "1000000:1000001,".repeat(40);
    for start in ["t OK", "* OK"] {
        let line = format!("{start} [COPYUID 1 {set}7 {set}7] Done");
        assert_eq!(brief(format!("{line}\r\nt NO\r\n")), [&line[..], "t NO"]);
    }
    // Behind it the limit is what it was.
    let long = format!(
        "t OK [COPYUID 1 {set}7 9] x\r\nt OK {}\r\n",
        "x".repeat(400)
    );
    assert_eq!(brief(long).len(), 2);
    let endless = format!("t OK [X {}", "1".repeat(CODE_BYTES_MAX + 9));
    let seen = replay::responses(&[endless.as_bytes()], 0);
    assert!(matches!(&seen[..], [Seen::Closed(_)]), "{seen:?}");
}

#[test]
fn no_byte_is_searched_twice() {
    let mut scanner = ResponseScanner::new(usize::MAX);
    let line = [b"* SEARCH ".to_vec(), vec![b'1'; 1 << 20]].concat();
    for end in 0..=line.len() {
        assert_eq!(scanner.next(&line[..end]), ResponseEvent::NeedMore);
    }
    let whole = [line, b"\r\n".to_vec()].concat();
    assert!(matches!(scanner.next(&whole), ResponseEvent::Line(_)));
}

/// Bytes that are often almost a response.
fn any_input() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        6 => "(\\* [0-9] FETCH \\(|\\* LIST |a OK \\[?|\\* NO |\\+ |\\* OK \\[X )"
            .prop_map(String::into_bytes),
        4 => "~?\\{[0-9]{1,2}\\+?\\}\r\n".prop_map(String::into_bytes),
        6 => Just(b"\r\n".to_vec()),
        2 => "[ ()\\]\"x]{0,200}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(token, 0..30).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        input in any_input(),
        cuts in proptest::collection::vec(any::<usize>(), 0..12),
    ) {
        let whole = replay::responses(&[&input], 0);
        prop_assert_eq!(&replay::responses(&replay::split(&input, &cuts), 0), &whole);
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        prop_assert_eq!(replay::responses(&bytes, 0), whole);
    }

    #[test]
    fn literals_are_walked_over_whatever_they_hold(
        list in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
    ) {
        let mut input = Vec::new();
        for (index, body) in list.iter().enumerate() {
            input.extend(format!("* {index} FETCH (BODY[] {{{}}}\r\n", body.len()).bytes());
            input.extend(body);
            input.extend(b")\r\n");
        }
        input.extend(b"a OK done\r\n");
        let seen = replay::responses(&[&input], 0);
        prop_assert_eq!(seen.len(), list.len() * 3 + 1);
        let last = matches!(seen.last(), Some(Seen::Response(bytes, _)) if bytes == b"a OK done\r\n");
        prop_assert!(last);
    }
}
