//! Keys by example, and orders.

use proptest::prelude::*;
use ravenry_core::proto::imap::DateTime;

use super::*;
use crate::message::record_of_header;
use crate::store::{Flags, Place};

fn message(uid: u32) -> Message {
    Message {
        uid,
        modseq: u64::from(uid) + 100,
        date: DateTime {
            seconds: 1000,
            zone: 0,
        },
        saved: 0,
        size: 77,
        header_size: 0,
        flags: Flags::default(),
        digest: [0; 32],
        structure: Place::default(),
    }
}

fn one(key: SortKey, header: &str) -> Option<Key> {
    let record = record_of_header(header.as_bytes());
    let criteria = [SortCriterion {
        reverse: false,
        key,
    }];
    let keys = keys(&criteria, &message(1), Summary::of(&record));
    assert!(need_header(&criteria) || keys == super::keys(&criteria, &message(1), None));
    keys.map(|mut keys| keys.remove(0))
}

#[test]
fn keys_are_those_of_the_header() {
    let header = "From: =?utf-8?q?J=C3=B6rg?= <Zoe@x.org>\r\nTo: friends: a@b;\r\nCc: c@d\r\n\
        Subject: Re: [l] Gr\u{fc}\u{df}e\r\nDate: 1 Jan 1970 01:00:01 +0100\r\n\r\n";
    let text = |text: &str| Some(Key::Text(text.as_bytes().into()));
    for (key, expected) in [
        (SortKey::Arrival, Some(Key::Number(1000))),
        (SortKey::Size, Some(Key::Number(77))),
        (SortKey::Date, Some(Key::Number(1))),
        (SortKey::From, text("ZOE")),
        (SortKey::To, text("FRIENDS")),
        (SortKey::Cc, text("C")),
        (SortKey::Subject, text("GRU\u{308}\u{df}E")),
        (SortKey::DisplayFrom, text("JO\u{308}RG")),
        (SortKey::DisplayTo, text("FRIENDS")),
    ] {
        assert_eq!(one(key, header), expected, "{key:?}");
    }
    for (key, expected) in [
        (SortKey::Date, Some(Key::Number(1000))),
        (SortKey::From, text("")),
        (SortKey::DisplayTo, text("")),
        (SortKey::Subject, text("")),
    ] {
        assert_eq!(one(key, "Date: soon\r\n\r\n"), expected, "{key:?}");
    }
    assert_eq!(one(SortKey::DisplayFrom, "From: a@b\r\n\r\n"), text("A@B"));
    let criteria = [SortCriterion {
        reverse: true,
        key: SortKey::Date,
    }];
    assert_eq!(keys(&criteria, &message(1), None), None);
}

proptest! {
    #[test]
    fn the_first_key_that_differs_decides(
        rows in prop::collection::vec((0_i64..3, 0_u8..3), 0..20),
        reverse in any::<(bool, bool)>(),
    ) {
        let by = |key, reverse| SortCriterion { reverse, key };
        let criteria = vec![by(SortKey::Size, reverse.0), by(SortKey::Subject, reverse.1)];
        let mut sorter = Sorter::new(criteria);
        let mut plain = Vec::new();
        for (uid, (number, text)) in (1..).zip(rows) {
            let keys = vec![Key::Number(number), Key::Text(vec![b'a'; text.into()].into())];
            sorter.push(uid, u64::from(uid), keys).unwrap();
            let text = i64::from(text);
            plain.push((
                if reverse.0 { -number } else { number },
                if reverse.1 { -text } else { text },
                uid,
            ));
        }
        plain.sort_unstable();
        let plain: Vec<_> = plain.into_iter().map(|(_, _, uid)| (uid, u64::from(uid))).collect();
        prop_assert_eq!(sorter.sorted(), plain);
    }
}

#[test]
fn what_takes_too_much_room_is_refused() {
    let mut sorter = Sorter::new(Vec::new());
    let large = || vec![Key::Text(vec![0; ROOM_BYTES_MAX / 2].into())];
    assert_eq!(sorter.push(1, 1, large()), Ok(()));
    assert_eq!(sorter.push(2, 1, large()), Err(TooLarge));
}
