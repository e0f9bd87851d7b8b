//! What is wrong is found and put right, and what is right is left alone.

use std::fs;
use std::path::PathBuf;

use super::super::transaction::Transaction;
use super::{Order, Outcome, append, body, created, incoming, messages, name, one, open, uids};
use crate::store::{
    Flags, Limits, Mailbox, MailboxId, Reconstructed, Refused, Rests, Store, Suspects, Writer,
    Wrong,
};

fn found(store: &Store, deep: bool) -> Vec<(String, Option<String>, Wrong)> {
    let report = store.check(deep, |_| {}).unwrap();
    assert_eq!(report.more, 0);
    let file = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let all = report.findings.into_iter();
    all.map(|it| {
        assert!(!it.to_string().is_empty());
        let name = it.name.map_or_else(String::new, |name| name.to_string());
        (name, it.path.map(file), it.wrong)
    })
    .collect()
}

fn of(store: &Store, id: MailboxId) -> Mailbox {
    store.mailbox_by_id(id).unwrap().unwrap()
}

/// Changes records behind the writer's back.
fn damage(writer: &Writer, change: impl FnOnce(&mut Transaction<'_>)) {
    let mut transaction = Transaction::begin(&writer.store.shared).unwrap();
    change(&mut transaction);
    transaction.commit().unwrap();
}

fn reconstruct(writer: &mut Writer, mailbox: MailboxId) -> Reconstructed {
    let of = of(&writer.store, mailbox);
    let mut all = Reconstructed::default();
    for suspects in writer.store.suspects(&of).unwrap() {
        match one(writer, Order::Reconstruct { mailbox, suspects }) {
            Ok(Outcome::Reconstructed(done)) => all.and(done),
            other => panic!("{other:?}"),
        }
        let wrong = found(&writer.store, false).into_iter();
        assert_eq!(wrong.filter(|it| it.2 == Wrong::Counts).count(), 0);
    }
    all
}

#[test]
fn a_store_that_is_right_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    let gone = created(&mut writer, "user.alice.gone");
    for mailbox in [inbox, gone] {
        append(&mut writer, &store, mailbox, b"x", Flags::DELETED);
    }
    let quota = Order::SetQuota {
        root: name("user.alice"),
        limits: Some(Limits::default()),
    };
    let expunge = Order::Expunge {
        mailbox: inbox,
        uids: None,
    };
    let delete = Order::Delete {
        name: name("user.alice.gone"),
    };
    for order in [quota, expunge, delete] {
        one(&mut writer, order).unwrap();
    }
    append(&mut writer, &store, inbox, b"y", 0);
    assert_eq!(found(&store, true), []);
    let report = store.check(true, |_| {}).unwrap();
    assert_eq!((report.mailboxes, report.messages), (2, 3));
    assert!(report.is_clean());
    let before = of(&store, inbox);
    let groups = store.suspects(&before).unwrap();
    assert_eq!(groups.len(), 1);
    let orders = groups.into_iter().map(|suspects| Order::Reconstruct {
        mailbox: inbox,
        suspects,
    });
    let group = writer.carry_out(&orders.collect::<Vec<_>>());
    let done = Outcome::Reconstructed(Reconstructed::default());
    assert_eq!(group.outcomes, [Ok(done)]);
    assert!(group.changes.is_empty());
    assert_eq!(of(&store, inbox), before);
}

/// A mailbox of four messages with all that may be wrong with files.
fn spoiled(
    writer: &mut Writer,
    store: &Store,
    inbox: MailboxId,
) -> impl Fn(&str) -> PathBuf + use<> {
    for text in ["one", "two", "three", "four"] {
        append(writer, store, inbox, text.as_bytes(), 0);
    }
    let first = store.path(&of(store, inbox), 1);
    let path = move |file: &str| first.with_file_name(file);
    fs::remove_file(path("1.eml")).unwrap();
    fs::write(path("2.eml"), "A: b\r\n\r\nlonger").unwrap();
    fs::write(path("3.eml"), "THREE").unwrap();
    fs::write(path("6.eml"), "nul\0").unwrap();
    for file in ["5.eml", "9.eml", "07.eml", "mine.eml", "note"] {
        fs::write(path(file), file).unwrap();
    }
    fs::create_dir(path("10.eml")).unwrap();
    path
}

#[test]
fn files_that_are_wrong_are_found() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    let path = spoiled(&mut writer, &store, inbox);
    let directory = path("x").parent().unwrap().to_owned();
    fs::create_dir(directory.with_file_name("ffffffffffffff00")).unwrap();
    let mut wrong = found(&store, true);
    wrong.sort_by(|one, other| one.1.cmp(&other.1));
    let is = |file: &str, wrong| ("user.alice".to_owned(), Some(file.to_owned()), wrong);
    let size = Wrong::Size { file: 14, index: 3 };
    let nobody = Some("ffffffffffffff00".to_owned());
    let expected = [
        is("07.eml", Wrong::UnknownFile),
        is("1.eml", Wrong::MissingFile),
        is("10.eml", Wrong::UnknownFile),
        is("2.eml", size),
        is("3.eml", Wrong::Content),
        is("5.eml", Wrong::UnknownFile),
        is("6.eml", Wrong::UnknownFile),
        is("9.eml", Wrong::UnknownFile),
        (String::new(), nobody, Wrong::UnknownDirectory),
        is("mine.eml", Wrong::UnknownFile),
        is("note", Wrong::UnknownFile),
    ];
    assert_eq!(wrong, expected);
    let shallow = found(&store, false);
    assert!(!shallow.iter().any(|it| it.2 == Wrong::Content));
}

#[test]
fn files_that_are_wrong_are_put_right() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    let path = spoiled(&mut writer, &store, inbox);
    let done = reconstruct(&mut writer, inbox);
    // 5 keeps its name; 6 can't be a message, and 10 is none.
    assert_eq!(
        (done.missing, done.replaced, done.adopted),
        (uids("1"), uids("2"), uids("5,7:9,11"))
    );
    let mut left: Vec<_> = done.left.iter().map(|(path, _)| path.clone()).collect();
    left.sort();
    assert_eq!(left, [path("10.eml"), path("6.eml"), path("note")]);
    assert!(left.iter().all(|path| path.exists()));
    let there: Vec<_> = messages(&store, inbox)
        .iter()
        .map(|it| {
            (
                it.uid,
                String::from_utf8(body(&store, inbox, it.uid)).unwrap(),
            )
        })
        .collect();
    let expected = [
        (3, "THREE"),
        (4, "four"),
        (5, "5.eml"),
        (7, "07.eml"),
        (8, "A: b\r\n\r\nlonger"),
        (9, "9.eml"),
        (11, "mine.eml"),
    ];
    let expected = expected.map(|(uid, text)| (uid, text.to_owned()));
    assert_eq!(there, expected);
    let longer = store.message(inbox, 8).unwrap().unwrap();
    assert_eq!((longer.size, longer.header_size), (14, 8));
    assert_eq!(of(&store, inbox).exists, 7);
    let states = store.expunged(inbox).unwrap();
    let states: Vec<_> = states.iter().map(|it| (it.message.uid, it.rest)).collect();
    assert_eq!(states, [(1, Rests::Missing), (2, Rests::Missing)]);
    assert_eq!(found(&store, false).len(), 3);
    let again = reconstruct(&mut writer, inbox);
    assert!(
        again.adopted.is_empty() && again.missing.is_empty(),
        "{again:?}"
    );
    one(&mut writer, Order::Purge { before: i64::MAX }).unwrap();
    assert_eq!(messages(&store, inbox).len(), 7);
}

#[test]
fn however_much_is_wrong_the_writer_is_free_in_between() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    append(&mut writer, &store, inbox, b"one", 0);
    let path = store.path(&of(&store, inbox), 1);
    for number in 0..150 {
        let file = path.with_file_name(format!("mine{number}.eml"));
        fs::write(file, format!("{number}")).unwrap();
    }
    let large = fs::File::create(path.with_file_name("large.eml")).unwrap();
    large.set_len(17 << 20).unwrap();
    fs::remove_file(&path).unwrap();
    // The record, the message, the large one, 64, 64, and the rest.
    let groups = store.suspects(&of(&store, inbox)).unwrap();
    assert_eq!(groups.len(), 6);
    for (number, suspects) in groups.into_iter().enumerate() {
        let mailbox = inbox;
        one(&mut writer, Order::Reconstruct { mailbox, suspects }).unwrap();
        append(&mut writer, &store, inbox, b"meanwhile", 0);
        let wrong = found(&store, false);
        assert!(
            wrong
                .iter()
                .all(|it| matches!(it.2, Wrong::UnknownFile | Wrong::MissingFile))
        );
        assert_eq!(wrong.len(), [152, 151, 151, 87, 23, 1][number]);
    }
    // The large one is all NULs.
    assert_eq!(messages(&store, inbox).len(), 150 + 6);
    let done = reconstruct(&mut writer, inbox);
    assert!(done.adopted.is_empty() && done.left.len() == 1, "{done:?}");
}

#[test]
fn records_that_are_wrong_are_found_and_put_right() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    let other = created(&mut writer, "user.bob");
    let quota = || Order::SetQuota {
        root: name("user.alice"),
        limits: Some(Limits::default()),
    };
    one(&mut writer, quota()).unwrap();
    let messages = vec![
        incoming(&store, b"x", 0, &["A"]),
        incoming(&store, b"y", 0, &[]),
    ];
    let mailbox = inbox;
    one(&mut writer, Order::Append { mailbox, messages }).unwrap();
    let right = of(&store, inbox);
    damage(&writer, |transaction| {
        let mut mailbox = right.clone();
        (mailbox.exists, mailbox.bytes, mailbox.uidnext) = (7, 0, 2);
        transaction.keep(mailbox).unwrap();
        let mut message = store.message(inbox, 1).unwrap().unwrap();
        message.flags.keywords |= 8;
        transaction.put_message(inbox, &message).unwrap();
        let names = transaction.shared.tables.names;
        let (bob, carol) = (name("user.bob").to_key(), name("user.carol").to_key());
        names
            .put(&mut transaction.writing, &carol, &other.key())
            .unwrap();
        names.delete(&mut transaction.writing, &bob).unwrap();
    });
    let wrong: Vec<_> = found(&store, false)
        .into_iter()
        .map(|it| (it.0, it.2))
        .collect();
    let is = |name: &str, wrong| (name.to_owned(), wrong);
    let expected = [
        is("user.alice", Wrong::Keywords(1)),
        is("user.alice", Wrong::Ahead(2)),
        is("user.alice", Wrong::Counts),
        is("user.bob", Wrong::Name),
        is("user.carol", Wrong::StrayName),
    ];
    assert_eq!(wrong, expected);
    let done = reconstruct(&mut writer, inbox);
    let expected = Reconstructed {
        recounted: true,
        ..Reconstructed::default()
    };
    assert_eq!((done, of(&store, inbox)), (expected, right));
    assert_eq!(store.message(inbox, 1).unwrap().unwrap().flags.keywords, 1);
    damage(&writer, |transaction| {
        let less = crate::store::Usage {
            storage: 1,
            ..Default::default()
        };
        transaction.uncount(Some(name("user.alice")), less).unwrap();
    });
    let wrong = found(&store, false);
    assert!(matches!(&wrong[..1], [(name, None, Wrong::Name)] if name == "user.bob"));
    assert!(wrong.iter().any(|it| matches!(it.2, Wrong::Quota { .. })));
    one(&mut writer, quota()).unwrap();
    assert_eq!(found(&store, false).len(), 2);
    let nobody = Order::Reconstruct {
        mailbox: MailboxId(99),
        suspects: Suspects::default(),
    };
    assert_eq!(one(&mut writer, nobody), Err(Refused::NoMailbox));
}
