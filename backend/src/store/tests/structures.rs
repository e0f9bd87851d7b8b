//! The header cache's records: they go where their message goes.

use super::{
    Order, Outcome, create, created, incoming, messages, name, one, open, structure, uids,
};
use crate::store::{Flags, MailboxId, Settable, Store, Writer};

fn append(writer: &mut Writer, store: &Store, mailbox: MailboxId, structure: &[u8]) {
    let mut message = incoming(store, b"x", Flags::DELETED, &[]);
    message.message.structure = structure.to_vec();
    let messages = vec![message];
    one(writer, Order::Append { mailbox, messages }).unwrap();
}

fn all(store: &Store, mailbox: MailboxId) -> Vec<(u32, Vec<u8>)> {
    let Some(of) = store.mailbox_by_id(mailbox).unwrap() else {
        return Vec::new();
    };
    let messages = messages(store, mailbox);
    let mut records = store.structures(&of, &messages);
    let each = messages.iter().filter_map(|message| {
        let record = records.get(message)?;
        Some((message.uid, record.to_vec()))
    });
    each.collect()
}

#[test]
fn records_are_kept_copied_and_moved_and_survive_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let (from, to) = (
        created(&mut writer, "user.alice"),
        created(&mut writer, "user.alice.a"),
    );
    let mut far = create("user.alice.far");
    if let Order::Create { partition, .. } = &mut far {
        "archive".clone_into(partition);
    }
    let Ok(Outcome::Created { mailbox: far, .. }) = one(&mut writer, far) else {
        panic!("not made");
    };
    let long = vec![b'l'; 64 * 1024];
    let too_long = [&long[..], b"l"].concat();
    for record in [&b"one"[..], b"", &long, &too_long, b"five"] {
        append(&mut writer, &store, from, record);
    }
    let there = |uid: u32, record: &[u8]| (uid, record.to_vec());
    let expected = [there(1, b"one"), there(3, &long), there(5, b"five")];
    assert_eq!(all(&store, from), expected);
    for (target, moves) in [(from, false), (far, false), (to, true)] {
        let copy = Order::Copy {
            from,
            uids: uids("1:2,5"),
            to: target,
            moves,
            keep: Settable::ALL,
        };
        one(&mut writer, copy).unwrap();
    }
    drop((writer, store));
    let (_writer, store, _) = open(root.path());
    let copied = [there(1, b"one"), there(3, b"five")];
    assert_eq!(all(&store, to), copied);
    assert_eq!(all(&store, far), copied);
    assert_eq!(structure(&store, from, 6), Some(b"one".to_vec()));
    assert_eq!(structure(&store, from, 7), None);
    assert_eq!(structure(&store, from, 9), None);
}

#[test]
fn a_record_stays_until_its_message_is_purged() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    for record in [&b"one"[..], b"two"] {
        append(&mut writer, &store, inbox, record);
    }
    let expunge = Order::Expunge {
        mailbox: inbox,
        uids: Some(uids("1")),
    };
    one(&mut writer, expunge).unwrap();
    assert_eq!(structure(&store, inbox, 1), Some(b"one".to_vec()));
    one(&mut writer, Order::Purge { before: i64::MAX }).unwrap();
    assert_eq!(structure(&store, inbox, 1), None);
    assert_eq!(structure(&store, inbox, 2), Some(b"two".to_vec()));
    let name = name("user.alice");
    one(&mut writer, Order::Delete { name }).unwrap();
    assert_eq!(structure(&store, inbox, 2), Some(b"two".to_vec()));
    one(&mut writer, Order::Purge { before: i64::MAX }).unwrap();
    assert!(all(&store, inbox).is_empty());
}

#[test]
fn what_is_not_whole_is_no_record() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    for record in [&b"one"[..], b"two", b"three"] {
        append(&mut writer, &store, inbox, record);
    }
    let mailbox = store.mailbox_by_id(inbox).unwrap().unwrap();
    let path = store.path(&mailbox, 1).with_file_name("structures.0");
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 3 * 8 + 11);
    for cut in 0..=bytes.len() {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let whole = [11, 22, 35].iter().filter(|end| **end <= cut).count();
        assert_eq!(all(&store, inbox).len(), whole, "{cut}");
        let zeros = [&bytes[..cut], &vec![0; bytes.len() - cut]].concat();
        std::fs::write(&path, zeros).unwrap();
        assert_eq!(all(&store, inbox).len(), whole, "{cut}");
    }
    // A file that is shorter than it was is written on from its end.
    std::fs::write(&path, &bytes[..15]).unwrap();
    append(&mut writer, &store, inbox, b"four");
    let there = |uid: u32, record: &[u8]| (uid, record.to_vec());
    let expected = [there(1, b"one"), there(4, b"four")];
    assert_eq!(all(&store, inbox), expected);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(structure(&store, inbox, 1), None);
    // Whoever reads makes them anew, and has them kept.
    let records = Order::Structures {
        mailbox: inbox,
        records: vec![there(1, b"new"), there(7, b"nobody's"), there(2, b"")],
    };
    let group = writer.carry_out(&[records]);
    assert_eq!(group.outcomes, [Ok(Outcome::Done)]);
    assert!(group.changes.is_empty());
    assert_eq!(all(&store, inbox), [there(1, b"new")]);
    // One that can't be written doesn't keep a message away.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    append(&mut writer, &store, inbox, b"five");
    assert_eq!(store.mailbox_by_id(inbox).unwrap().unwrap().exists, 5);
    assert!(all(&store, inbox).is_empty());
}

#[test]
fn a_file_of_records_that_are_mostly_purged_is_written_anew() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    append(&mut writer, &store, inbox, b"first");
    let long = vec![b'l'; 60_000];
    let twenty = (0..20).map(|_| {
        let mut message = incoming(&store, b"x", Flags::DELETED, &[]);
        message.message.structure.clone_from(&long);
        message
    });
    let messages = twenty.collect();
    let mailbox = inbox;
    one(&mut writer, Order::Append { mailbox, messages }).unwrap();
    append(&mut writer, &store, inbox, b"last");
    let expunge = |set: &str| Order::Expunge {
        mailbox,
        uids: Some(uids(set)),
    };
    let size = |number: u32| {
        let mailbox = store.mailbox_by_id(inbox).unwrap().unwrap();
        let path = store
            .path(&mailbox, 1)
            .with_file_name(format!("structures.{number}"));
        std::fs::metadata(path).map(|it| it.len()).ok()
    };
    let purge = || Order::Purge { before: i64::MAX };
    for set in ["2:15", "16:20"] {
        assert!(size(0).unwrap() > 1_200_000 && size(1).is_none());
        one(&mut writer, expunge(set)).unwrap();
        one(&mut writer, purge()).unwrap();
    }
    assert_eq!((size(0), size(1)), (None, Some(60_000 + 5 + 4 + 3 * 8)));
    append(&mut writer, &store, inbox, b"new");
    one(&mut writer, expunge("22")).unwrap();
    drop((writer, store));
    let (_writer, store, _) = open(root.path());
    let there = |uid: u32, record: &[u8]| (uid, record.to_vec());
    let expected = [there(1, b"first"), there(21, &long), there(23, b"new")];
    assert_eq!(all(&store, inbox), expected);
    assert_eq!(structure(&store, inbox, 22), Some(b"last".to_vec()));
}
