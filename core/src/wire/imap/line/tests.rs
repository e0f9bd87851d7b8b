//! Lines: what is found, and that no byte is looked at twice.

use super::*;

fn bad(why: LineError, consume: usize) -> Scanned {
    Scanned::Bad(BadLine { why, consume })
}

#[test]
fn a_line_is_found_with_its_literal() {
    let mut scanner = LineScanner::new(100);
    let literal = Literal {
        size: 5,
        non_sync: true,
        binary: false,
    };
    let found = Line {
        len: 14,
        text: 12,
        marker: 8,
        literal: Some(literal),
    };
    assert_eq!(scanner.next(b"a1 FIND {5+}\r\nhello"), Scanned::Line(found));
    let found = Line {
        len: 2,
        text: 0,
        marker: 0,
        literal: None,
    };
    assert_eq!(scanner.next(b"\r\n"), Scanned::Line(found));
}

#[test]
fn plain_lines_announce_nothing() {
    let mut scanner = LineScanner::new(100);
    for text in ["YWJj{5}", "{99999999999999999999+}"] {
        let found = Line {
            len: text.len() + 2,
            text: text.len(),
            marker: text.len(),
            literal: None,
        };
        let buf = format!("{text}\r\n");
        assert_eq!(scanner.next_plain(buf.as_bytes()), Scanned::Line(found));
    }
}

#[test]
fn bad_lines_are_told_once_and_then_dropped() {
    let mut scanner = LineScanner::new(10);
    assert_eq!(scanner.next(b"a\nb\r\n"), bad(LineError::BareLf, 2));
    assert_eq!(scanner.next(b"ab\0cd\r\n"), bad(LineError::Nul, 3));
    let rest = Discard {
        consume: 4,
        ended: true,
        literal: None,
    };
    assert_eq!(scanner.next(b"cd\r\nx"), Scanned::Discard(rest));
    assert_eq!(scanner.next(b"a\r\r\n"), bad(LineError::BareCr, 2));
    let rest = Discard {
        consume: 2,
        ended: true,
        literal: None,
    };
    assert_eq!(scanner.next(b"\r\nx"), Scanned::Discard(rest));
    let plain = Line {
        len: 3,
        text: 1,
        marker: 1,
        literal: None,
    };
    assert_eq!(scanner.next(b"x\r\n"), Scanned::Line(plain));
}

#[test]
fn the_limit_counts_the_text() {
    let mut scanner = LineScanner::new(4);
    assert!(matches!(
        scanner.next(b"abcd\r\n"),
        Scanned::Line(Line { text: 4, .. })
    ));
    assert_eq!(scanner.next(b"abcd"), Scanned::NeedMore);
    assert_eq!(scanner.next(b"abcd\r"), Scanned::NeedMore);
    assert!(matches!(
        scanner.next(b"abcd\r\n"),
        Scanned::Line(Line { text: 4, .. })
    ));
    assert!(matches!(
        scanner.next(b"abcde"),
        Scanned::Bad(BadLine {
            why: LineError::TooLong,
            ..
        })
    ));
}

#[test]
fn a_long_lines_literal_is_seen_where_it_ends() {
    let mut scanner = LineScanner::new(40);
    let line = [&[b'x'; 100][..], b"{7+}\r\n"].concat();
    let Scanned::Bad(first) = scanner.next(&line[..41]) else {
        panic!("too long")
    };
    assert_eq!(
        first,
        BadLine {
            why: LineError::TooLong,
            consume: 9
        }
    );
    let literal = Some(Literal {
        size: 7,
        non_sync: true,
        binary: false,
    });
    let rest = Discard {
        consume: line.len() - 9,
        ended: true,
        literal,
    };
    assert_eq!(scanner.next(&line[9..]), Scanned::Discard(rest));
}

#[test]
fn no_byte_is_searched_twice() {
    let line = vec![b'x'; 1 << 20];
    let mut scanner = LineScanner::new(usize::MAX);
    for end in 0..=line.len() {
        assert_eq!(scanner.next(&line[..end]), Scanned::NeedMore);
        assert_eq!(scanner.search.searched, end);
    }
}

#[test]
fn a_discarded_line_is_never_held() {
    let line = vec![b'x'; 1 << 20];
    let mut scanner = LineScanner::new(100);
    let Scanned::Bad(first) = scanner.next(&line[..101]) else {
        panic!("too long")
    };
    let (mut from, mut dropped) = (first.consume, 0);
    for end in 101..=line.len() {
        if let Scanned::Discard(piece) = scanner.next(&line[from..end]) {
            from += piece.consume;
            dropped += 1;
        }
        assert_eq!(scanner.kept, end - from);
        assert!(end - from <= MARKER_BYTES_MAX);
    }
    assert!(dropped > 0);
}
