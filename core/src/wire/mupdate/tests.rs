//! MUPDATE responses: known bytes, hostile bytes, any split.

use proptest::prelude::*;

use super::Framer;
use crate::wire::replay::{self, Seen};

const BYTES_MAX: usize = 300;

fn play(input: &[u8]) -> Vec<Seen> {
    let whole = replay::mupdate(&[input], BYTES_MAX);
    for cut in 0..=input.len() {
        let (left, right) = input.split_at(cut);
        assert_eq!(
            replay::mupdate(&[left, right], BYTES_MAX),
            whole,
            "cut at {cut}"
        );
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(replay::mupdate(&bytes, BYTES_MAX), whole, "byte by byte");
    whole
}

fn complete(text: &str) -> Seen {
    Seen::Complete(text.as_bytes().to_vec())
}

#[test]
fn a_masters_stream_is_taken_apart() {
    let banner = "* AUTH \"PLAIN\" \"LOGIN\"\r\n";
    let mailbox = "U01 MAILBOX {6+}\r\nshared {28+}\r\nbackend1.murder.test!default {11+}\r\n\
                   anyone\tlrs\t\r\n";
    let delete = "U01 DELETE {6}\r\ntraced\r\n";
    let noop = "N1 OK \"Noop done\"\r\n";
    let seen = play([banner, mailbox, delete, noop].concat().as_bytes());
    assert_eq!(seen, [banner, mailbox, delete, noop].map(complete));
}

#[test]
fn what_is_over_the_limit_or_bad_ends_it() {
    let closed = |why: &str| Seen::Closed(why.to_owned());
    assert_eq!(
        play(b"U01 MAILBOX {999+}\r\n"),
        [closed("command or response too large")]
    );
    assert_eq!(
        play(b"U01 X {18446744073709551615}\r\n"),
        [closed("command or response too large")]
    );
    assert_eq!(
        play(b"U01 X {18446744073709551616}\r\n"),
        [closed("Literal too large")]
    );
    assert_eq!(
        play(&[b'x'; 400]),
        [closed("command or response too large")]
    );
    let part = " {90+}\r\n".to_owned() + &"x".repeat(90);
    assert_eq!(
        play(format!("U X{}", part.repeat(4)).as_bytes()),
        [closed("command or response too large")]
    );
    assert_eq!(
        play(b"U01 OK \"a\"\n"),
        [closed("Line ends in LF without CR")]
    );
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        tokens in proptest::collection::vec("(U1 OK \"x\"|U1 MAILBOX|\\{[0-9]{1,2}\\+?\\}\r\n|\r\n|[a-z ]{0,40})", 0..20),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        let input = tokens.concat().into_bytes();
        let whole = replay::mupdate(&[&input], BYTES_MAX);
        prop_assert_eq!(replay::mupdate(&replay::split(&input, &cuts), BYTES_MAX), whole);
    }
}

#[test]
fn who_waits_to_send_a_literal_is_asked_on_however_the_bytes_are_cut() {
    let bytes = b"a FIND {3}\r\nabc\r\nb X {1+}\r\nx {2}\r\nyz\r\n";
    for step in 1..bytes.len() {
        let (mut framer, mut asked, mut whole, mut from) = (Framer::new(300), 0, 0, 0);
        let ends = (step..bytes.len()).step_by(step).chain([bytes.len()]);
        for end in ends {
            while let Some(len) = framer.next(&bytes[from..end]).unwrap() {
                from += len;
                whole += 1;
            }
            asked += framer.take_announced();
        }
        assert_eq!(
            (asked, whole, from),
            (2, 2, bytes.len()),
            "pieces of {step}"
        );
    }
}
