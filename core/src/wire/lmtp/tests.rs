//! Messages behind DATA: their end, their dots, and that no split matters.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Dots, dotted};
use crate::wire::replay::split;

/// What a message comes to that arrives in pieces, and what is behind it; `None`: it isn't over.
fn undotted(pieces: &[&[u8]]) -> (Vec<u8>, Option<Vec<u8>>) {
    let (mut dots, mut out, mut behind) = (Dots::new(), Vec::new(), None::<Vec<u8>>);
    for piece in pieces {
        if let Some(behind) = &mut behind {
            behind.extend_from_slice(piece);
            continue;
        }
        let took = dots.next(piece, &mut out);
        assert!(took.ended || took.consumed == piece.len());
        if took.ended {
            behind = Some(piece[took.consumed..].to_vec());
        }
    }
    (out, behind)
}

fn whole(bytes: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    undotted(&[bytes])
}

#[test]
fn a_message_ends_with_a_dot_between_two_crlf() {
    for (sent, message, behind) in [
        (&b".\r\n"[..], &b""[..], &b""[..]),
        (b"a\r\n.\r\nQUIT\r\n", b"a\r\n", b"QUIT\r\n"),
        (b"..\r\n.\r\n", b".\r\n", b""),
        (b".a\r\n.\r\n", b"a\r\n", b""),
        (b"a\r\n...b\r\n.\r\n.", b"a\r\n..b\r\n", b"."),
        (b".\r\r\n.\r\n", b"\r\r\n", b""),
        (b".\rx\r\n.\r\n", b"\rx\r\n", b""),
        (b".\r.\r\n.\r\n", b"\r.\r\n", b""),
        (b"\r\r\n.\r\n", b"\r\r\n", b""),
    ] {
        let found = whole(sent);
        assert_eq!(found, (message.to_vec(), Some(behind.to_vec())), "{sent:?}");
    }
}

#[test]
fn nothing_else_ends_one() {
    for sent in [
        &b"a\n.\n"[..],
        b"a\n.\r\n",
        b"a\r\n.\n",
        b"a\r.\r\n",
        b"a\r\n.\r",
        b"a\r\n.\r\r\n",
        b"a\r\n. \r\n",
        b"a\r\n..\r\n",
        b"a\n.\r\nMAIL FROM:<>\r\n",
        b"\n.\r\n",
        b"\r.\r\n",
    ] {
        assert_eq!(whole(sent).1, None, "{sent:?}");
    }
    // Bare ones stay, and begin no line.
    assert_eq!(whole(b"a\n..b\rc\r\n.\r\n").0, b"a\n..b\rc\r\n");
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => Just(b'.'),
        3 => Just(b'\r'),
        3 => Just(b'\n'),
        2 => any::<u8>(),
    ];
    vec(byte, 0..60)
}

proptest! {
    #[test]
    fn any_split_gives_the_same(bytes in bytes(), cuts in vec(any::<usize>(), 0..6)) {
        let expected = whole(&bytes);
        prop_assert_eq!(&undotted(&split(&bytes, &cuts)), &expected);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(undotted(&single), expected);
    }

    #[test]
    fn what_is_sent_is_what_comes(mut message in bytes(), behind in bytes()) {
        message.extend_from_slice(b"\r\n");
        let sent = [&dotted(&message)[..], &behind].concat();
        prop_assert_eq!(whole(&sent), (message, Some(behind)));
    }

    #[test]
    fn the_end_is_where_it_has_to_be(bytes in bytes()) {
        // The message is sent behind a CRLF: that of DATA.
        let sent = [&b"\r\n"[..], &bytes].concat();
        let end = memchr::memmem::find(&sent, b"\r\n.\r\n").map(|at| at + 5);
        let behind = end.map(|end| sent[end..].to_vec());
        prop_assert_eq!(whole(&bytes).1, behind);
    }
}
