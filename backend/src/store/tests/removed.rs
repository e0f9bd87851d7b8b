//! What was expunged or deleted: seen, brought back, purged.

use super::super::tables::due_key;
use super::{Order, Outcome, append, body, created, messages, name, one, open, uids};
use crate::store::{Appended, Flags, MailboxId, Rests, Settable, Store, Writer};

fn expunge(writer: &mut Writer, mailbox: MailboxId) {
    let order = Order::Expunge {
        mailbox,
        uids: None,
    };
    one(writer, order).unwrap();
}

fn delete(writer: &mut Writer, text: &str) {
    let name = name(text);
    one(writer, Order::Delete { name }).unwrap();
}

fn purge(writer: &mut Writer, before: i64) -> (usize, bool) {
    match one(writer, Order::Purge { before }) {
        Ok(Outcome::Purged { messages, more }) => (messages, more),
        other => panic!("{other:?}"),
    }
}

/// Has what is expunged be so since another time than it is, as after a step of the clock.
fn expunged_at(writer: &Writer, mailbox: MailboxId, at: i64) {
    let shared = &writer.store.shared;
    let mut transaction = super::super::transaction::Transaction::begin(shared).unwrap();
    for mut expunged in writer.store.expunged(mailbox).unwrap() {
        let (due, uid) = (shared.tables.due, expunged.message.uid);
        let key = |at| due_key(at, mailbox, uid);
        let was = due.delete(&mut transaction.writing, &key(expunged.at));
        assert!(was.unwrap());
        due.put(&mut transaction.writing, &key(at), &[]).unwrap();
        expunged.at = at;
        transaction.put_expunged(mailbox, &expunged).unwrap();
    }
    transaction.commit().unwrap();
}

#[test]
fn what_went_first_is_purged_first() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let times = [("a", 500), ("b", -7), ("c", 100)];
    let mailboxes = times.map(|(name, at)| {
        let mailbox = created(&mut writer, name);
        append(&mut writer, &store, mailbox, b"x", Flags::DELETED);
        expunge(&mut writer, mailbox);
        expunged_at(&writer, mailbox, at);
        mailbox
    });
    let left = || mailboxes.map(|mailbox| store.expunged(mailbox).unwrap().len());
    for (before, expected) in [(-7, [1, 1, 1]), (100, [1, 0, 1]), (101, [1, 0, 0])] {
        purge(&mut writer, before);
        assert_eq!(left(), expected, "{before}");
        assert_eq!(store.check(false, |_| {}).unwrap().findings, []);
    }
    assert_eq!(purge(&mut writer, 501), (1, false));
}

fn states(store: &Store, mailbox: MailboxId) -> Vec<(u32, Rests)> {
    let all = store.expunged(mailbox).unwrap();
    all.iter().map(|it| (it.message.uid, it.rest)).collect()
}

#[test]
fn a_mailbox_is_purged_with_what_was_expunged_in_it_whatever_the_clock_said() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    append(&mut writer, &store, inbox, b"x", Flags::DELETED);
    expunge(&mut writer, inbox);
    append(&mut writer, &store, inbox, b"y", 0);
    // The clock was ahead then, and was put back.
    expunged_at(&writer, inbox, i64::MAX - 1);
    delete(&mut writer, "user.alice");
    let at = store.removed().unwrap()[0].at;
    assert_eq!(purge(&mut writer, at), (0, false));
    assert_eq!(purge(&mut writer, at + 1), (2, false));
    assert!(store.expunged(inbox).unwrap().is_empty() && store.removed().unwrap().is_empty());
    assert_eq!(purge(&mut writer, i64::MAX), (0, false));
    let directory = root.path().join("spool/default/mail").join("00");
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 0);
}

#[test]
fn a_purge_ends_however_much_there_is() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let (small, large) = (
        created(&mut writer, "user.alice"),
        created(&mut writer, "user.bob"),
    );
    for _ in 0..3 {
        append(&mut writer, &store, large, b"x", Flags::DELETED);
    }
    // Two to the ninth times three.
    for _ in 0..9 {
        let copy = Order::Copy {
            from: large,
            uids: uids("1:9999"),
            to: large,
            moves: false,
            keep: Settable::ALL,
        };
        one(&mut writer, copy).unwrap();
    }
    expunge(&mut writer, large);
    append(&mut writer, &store, large, b"x", 0);
    append(&mut writer, &store, small, b"x", Flags::DELETED);
    expunge(&mut writer, small);
    delete(&mut writer, "user.bob");
    assert_eq!(purge(&mut writer, i64::MAX), (1000, true));
    let half = &store.removed().unwrap()[0].mailbox;
    let left = messages(&store, large);
    assert_eq!(
        (half.exists as usize, half.bytes),
        (left.len(), left.len() as u64)
    );
    assert_eq!(purge(&mut writer, i64::MAX), (538, false));
    assert_eq!(store.mailbox_by_id(large).unwrap(), None);
    assert_eq!(states(&store, small), []);
}

#[test]
fn messages_come_back_as_new_ones() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    for text in ["one", "two", "three"] {
        let system = Flags::DELETED | Flags::SEEN;
        append(&mut writer, &store, inbox, text.as_bytes(), system);
    }
    expunge(&mut writer, inbox);
    let mailbox = store.mailbox_by_id(inbox).unwrap().unwrap();
    std::fs::remove_file(store.path(&mailbox, 2)).unwrap();
    let unexpunge = || Order::Unexpunge {
        mailbox: inbox,
        uids: uids("2:9"),
    };
    let group = writer.carry_out(&[unexpunge()]);
    let to = Appended {
        uidvalidity: mailbox.uidvalidity,
        uids: uids("4"),
    };
    let from = uids("3");
    assert_eq!(group.outcomes, [Ok(Outcome::Copied { from, to })]);
    assert_eq!(group.changes[0].appended, uids("4"));
    let there = messages(&store, inbox);
    assert_eq!((there.len(), there[0].flags.system), (1, Flags::SEEN));
    assert_eq!(body(&store, inbox, 4), b"three");
    let now = store.mailbox_by_id(inbox).unwrap().unwrap();
    assert_eq!((now.exists, now.deleted, now.bytes), (1, 0, 5));
    assert_eq!(now.highestmodseq, mailbox.highestmodseq + 1);
    assert_eq!(
        states(&store, inbox),
        [(1, Rests::File), (2, Rests::File), (3, Rests::Returned)]
    );
    let again = one(&mut writer, unexpunge());
    assert!(matches!(again, Ok(Outcome::Copied { from, .. }) if from.is_empty()));
    assert_eq!(purge(&mut writer, i64::MAX), (3, false));
    assert_eq!(body(&store, inbox, 4), b"three");
    delete(&mut writer, "user.alice");
    let removed = store.removed().unwrap();
    assert_eq!(removed[0].mailbox, now);
    let refused = one(&mut writer, unexpunge());
    assert_eq!(refused, Err(super::Refused::NoMailbox));
}

#[test]
fn quarantine_outlasts_purges_and_gives_all_back() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    append(&mut writer, &store, inbox, b"kept", Flags::SEEN);
    let quarantine = || Order::Quarantine {
        name: name("user.alice"),
        why: "it lives on backend2".to_owned(),
    };
    let group = writer.carry_out(&[quarantine()]);
    assert_eq!(group.outcomes, [Ok(Outcome::Done)]);
    // Sessions that have it open are told.
    assert!(group.changes[0].deleted);
    assert_eq!(
        one(&mut writer, quarantine()),
        Err(super::Refused::NoMailbox)
    );
    assert_eq!(store.mailbox(&name("user.alice")).unwrap(), None);
    let removed = store.removed().unwrap();
    let kept = removed[0].quarantined.clone().unwrap();
    assert_eq!(kept.until - removed[0].at, 30 * 24 * 60 * 60);
    assert_eq!(kept.why, "it lives on backend2");
    assert_eq!(purge(&mut writer, i64::MAX), (0, false));
    assert_eq!(store.check(true, |_| {}).unwrap().findings, []);
    let undelete = |text: &str| Order::Undelete {
        mailbox: inbox,
        name: name(text),
    };
    one(&mut writer, undelete("user.alice.back")).unwrap();
    assert_eq!(body(&store, inbox, 1), b"kept");
    assert_eq!(messages(&store, inbox)[0].flags.system, Flags::SEEN);
    assert_eq!(store.removed().unwrap(), []);
}

#[test]
fn quarantine_ends_with_its_time_or_when_it_is_released() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let release = |mailbox| Order::Release { mailbox };
    for (text, ends) in [("a", true), ("b", false), ("c", false)] {
        let mailbox = created(&mut writer, text);
        append(&mut writer, &store, mailbox, b"x", 0);
        let (name, why) = (name(text), String::new());
        let refused = one(&mut writer, release(mailbox));
        assert_eq!(refused, Err(super::Refused::NoMailbox), "it has its name");
        one(&mut writer, Order::Quarantine { name, why }).unwrap();
        if ends {
            quarantined_until(&writer, mailbox, store.removed().unwrap()[0].at);
        }
        if text == "b" {
            one(&mut writer, release(mailbox)).unwrap();
            let again = one(&mut writer, release(mailbox));
            assert_eq!(again, Err(super::Refused::NoMailbox), "it is out");
        }
    }
    let left = || {
        let removed = store.removed().unwrap();
        let names = removed.iter().map(|it| it.mailbox.name.clone());
        names.collect::<Vec<_>>()
    };
    assert_eq!(purge(&mut writer, 0), (1, false));
    assert_eq!(left(), [name("b"), name("c")]);
    assert_eq!(purge(&mut writer, i64::MAX), (1, false));
    assert_eq!(left(), [name("c")]);
}

/// Has a quarantine end at a time.
fn quarantined_until(writer: &Writer, mailbox: MailboxId, until: i64) {
    let shared = &writer.store.shared;
    let mut transaction = super::super::transaction::Transaction::begin(shared).unwrap();
    let removed = shared.tables.removed;
    let mut record = removed.get(&transaction.writing, &mailbox.key());
    let mut record = record.as_mut().unwrap().unwrap().to_vec();
    record[8..16].copy_from_slice(&until.to_le_bytes());
    removed
        .put(&mut transaction.writing, &mailbox.key(), &record)
        .unwrap();
    transaction.commit().unwrap();
}
