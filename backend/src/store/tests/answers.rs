//! What orders do, one by one.

use super::{
    Order, Outcome, Refused, append, body, create, created, incoming, messages, name, one, open,
    open_with, settings, uids,
};
use crate::store::{
    Appended, FlagChange, Flags, MailboxId, Mode, Settable, SpecialUse, Store, StoreError,
};

#[test]
fn a_message_is_a_file_that_anybody_can_read() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    let text = b"Subject: x\r\n\r\nbody\r\n";
    let appended = one(
        &mut writer,
        Order::Append {
            mailbox: inbox,
            messages: vec![
                incoming(&store, text, Flags::SEEN, &["Work"]),
                incoming(&store, b"", 0, &[]),
            ],
        },
    );
    let mailbox = store.mailbox(&name("user.alice")).unwrap().unwrap();
    let expected = Appended {
        uidvalidity: mailbox.uidvalidity,
        uids: uids("1:2"),
    };
    assert_eq!(appended, Ok(Outcome::Appended(expected)));
    assert_eq!(
        (
            mailbox.exists,
            mailbox.unseen,
            mailbox.bytes,
            mailbox.uidnext
        ),
        (2, 1, 20, 3)
    );
    let path = store.path(&mailbox, 1);
    assert_eq!(std::fs::read(&path).unwrap(), text);
    assert_eq!(
        std::fs::read(path.with_file_name("name")).unwrap(),
        b"user.alice\n"
    );
    let message = store.message(inbox, 1).unwrap().unwrap();
    assert_eq!((message.size, message.header_size), (20, 14));
    assert_eq!(
        message.flags,
        Flags {
            system: Flags::SEEN,
            keywords: 1
        }
    );
    assert_eq!(
        std::fs::read_dir(root.path().join("spool/default/staging"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn what_is_refused_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    let many: Vec<String> = (0..=Flags::KEYWORDS_MAX)
        .map(|number| format!("k{number}"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let before = store.mailbox_by_id(inbox).unwrap();
    for (order, refused) in [
        (create("user.alice"), Refused::Exists),
        (
            Order::Rename {
                from: name("user.bob"),
                to: name("user.carol"),
            },
            Refused::NoMailbox,
        ),
        (
            Order::Rename {
                from: name("user.alice"),
                to: name("user.alice"),
            },
            Refused::Exists,
        ),
        (
            Order::Delete {
                name: name("user.bob"),
            },
            Refused::NoMailbox,
        ),
        (
            Order::Undelete {
                mailbox: inbox,
                name: name("user.dora"),
            },
            Refused::NoMailbox,
        ),
        (
            Order::Append {
                mailbox: inbox,
                messages: vec![
                    incoming(&store, b"a", 0, &[]),
                    incoming(&store, b"b", 0, &many),
                ],
            },
            Refused::KeywordsFull,
        ),
        (
            Order::Create {
                name: name("user.eve"),
                partition: "nowhere".to_owned(),
                acl: ravenry_core::mailboxes::Acl::default(),
                special_use: SpecialUse::NONE,
            },
            Refused::NoPartition,
        ),
    ] {
        let said = format!("{order:?}");
        assert_eq!(one(&mut writer, order), Err(refused), "{said}");
    }
    assert_eq!(store.mailbox_by_id(inbox).unwrap(), before);
    assert!(messages(&store, inbox).is_empty());
    assert!(matches!(
        store.stage("nowhere"),
        Err(StoreError::NoPartition(_))
    ));
}

#[test]
fn flags_change_where_nobody_was_quicker() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    let three = (0..3).map(|_| incoming(&store, b"x", 0, &[])).collect();
    one(
        &mut writer,
        Order::Append {
            mailbox: inbox,
            messages: three,
        },
    )
    .unwrap();
    let mut flag = |set: &str, mode, system, keywords: &[&str], unchanged_since| {
        let change = FlagChange {
            mode,
            system,
            keywords: keywords.iter().map(|word| (*word).to_owned()).collect(),
            unchanged_since,
        };
        let order = Order::Flags {
            mailbox: inbox,
            uids: uids(set),
            change,
        };
        match one(&mut writer, order) {
            Ok(Outcome::Flagged {
                changed, modified, ..
            }) => (changed.to_string(), modified.to_string()),
            other => panic!("{other:?}"),
        }
    };
    let said = |changed: &str, modified: &str| (changed.to_owned(), modified.to_owned());
    assert_eq!(
        flag("1:2,9", Mode::Add, Flags::SEEN, &["A", "B"], None),
        said("1:2", "")
    );
    assert_eq!(
        flag("1:2", Mode::Add, Flags::SEEN, &["a"], None),
        said("", ""),
        "nothing new"
    );
    assert_eq!(
        flag("1:3", Mode::Add, Flags::DELETED, &[], Some(2)),
        said("3", "1:2")
    );
    let all = Mode::Replace {
        system: u8::MAX,
        keywords: true,
    };
    assert_eq!(flag("2", all, 0, &["B"], None), said("2", ""));
    assert_eq!(
        flag("1:3", Mode::Remove, 0, &["b", "unknown"], None),
        said("1:2", "")
    );
    let mailbox = store.mailbox_by_id(inbox).unwrap().unwrap();
    assert_eq!(
        (mailbox.unseen, mailbox.deleted, mailbox.highestmodseq),
        (2, 1, 6)
    );
    assert_eq!(mailbox.keywords, ["A", "B"]);
    let keywords: Vec<u128> = messages(&store, inbox)
        .iter()
        .map(|it| it.flags.keywords)
        .collect();
    assert_eq!(keywords, [1, 0, 0]);
}

#[test]
fn copies_have_all_but_the_uid() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let (from, to) = (
        created(&mut writer, "user.alice"),
        created(&mut writer, "user.alice.a"),
    );
    let two = vec![
        incoming(&store, b"one", Flags::SEEN, &["A", "B"]),
        incoming(&store, b"two", 0, &["B"]),
    ];
    one(
        &mut writer,
        Order::Append {
            mailbox: from,
            messages: two,
        },
    )
    .unwrap();
    one(
        &mut writer,
        Order::Append {
            mailbox: to,
            messages: vec![incoming(&store, b"0", 0, &["X", "b"])],
        },
    )
    .unwrap();
    let copied = one(
        &mut writer,
        Order::Copy {
            from,
            uids: uids("2,1,7"),
            to,
            moves: true,
            keep: Settable::ALL,
        },
    );
    let Ok(Outcome::Copied {
        from: taken,
        to: given,
    }) = copied
    else {
        panic!("{copied:?}");
    };
    assert_eq!(
        (taken.to_string(), given.uids.to_string()),
        ("1:2".to_owned(), "2:3".to_owned())
    );
    assert!(messages(&store, from).is_empty());
    assert_eq!(
        store.mailbox_by_id(to).unwrap().unwrap().keywords,
        ["X", "b", "A"]
    );
    let flags: Vec<_> = messages(&store, to)
        .iter()
        .map(|it| (it.flags.system, it.flags.keywords))
        .collect();
    assert_eq!(flags, [(0, 3), (Flags::SEEN, 6), (0, 2)]);
    assert_eq!(
        (body(&store, to, 2), body(&store, to, 3)),
        (b"one".to_vec(), b"two".to_vec())
    );
}

#[test]
fn replacing_is_one_change() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let (drafts, sent) = (
        created(&mut writer, "user.alice"),
        created(&mut writer, "user.alice.a"),
    );
    append(&mut writer, &store, drafts, b"old", 0);
    let replace = |from, uid, to| Order::Replace {
        from,
        uid,
        to,
        message: incoming(&store, b"new", Flags::SEEN, &["A"]),
    };
    let gone = MailboxId::parse("0000000000000999").unwrap();
    for (order, why) in [
        (replace(drafts, 2, sent), Refused::NoMessage),
        (replace(gone, 1, sent), Refused::NoMessage),
        (replace(drafts, 1, gone), Refused::NoMailbox),
    ] {
        let group = writer.carry_out(&[order]);
        assert_eq!(group.outcomes, [Err(why)]);
        assert_eq!(group.changes, []);
    }
    for (uid, to, new) in [(1, drafts, 2), (2, sent, 1)] {
        let group = writer.carry_out(&[replace(drafts, uid, to)]);
        assert!(matches!(group.outcomes[..], [Ok(Outcome::Appended(_))]));
        assert_eq!(body(&store, to, new), b"new");
        let gone = group.changes.iter().find(|it| it.mailbox == drafts);
        assert_eq!(
            gone.map(|it| it.expunged.clone()),
            Some(uids(&uid.to_string()))
        );
    }
    assert!(messages(&store, drafts).is_empty());
    assert_eq!(messages(&store, sent).len(), 1);
    assert_eq!(store.expunged(drafts).unwrap().len(), 2);
    assert_eq!(store.check(true, |_| {}).unwrap().findings, []);
}

#[test]
fn copies_keep_the_flags_that_may_be_set() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let (from, to) = (created(&mut writer, "a"), created(&mut writer, "b"));
    let flags = Flags::SEEN | Flags::DELETED | 1;
    let messages_in = vec![incoming(&store, b"x", flags, &["K"])];
    let append = Order::Append {
        mailbox: from,
        messages: messages_in,
    };
    one(&mut writer, append).unwrap();
    let keeps = [
        (Flags::SEEN, false, (Flags::SEEN, 0)),
        (Flags::DELETED | 1, true, (Flags::DELETED | 1, 1)),
        (0, false, (0, 0)),
    ];
    for (number, (system, keywords, expected)) in keeps.into_iter().enumerate() {
        let copy = Order::Copy {
            from,
            uids: uids("1"),
            to,
            moves: number == 2,
            keep: Settable { system, keywords },
        };
        one(&mut writer, copy).unwrap();
        let copy = &messages(&store, to)[number];
        assert_eq!((copy.flags.system, copy.flags.keywords), expected);
        let known: &[&str] = if number == 0 { &[] } else { &["K"] };
        assert_eq!(store.mailbox_by_id(to).unwrap().unwrap().keywords, known);
    }
    assert!(messages(&store, from).is_empty());
    assert_eq!(store.check(false, |_| {}).unwrap().findings, []);
}

#[test]
fn a_copy_may_be_in_the_same_mailbox_or_on_another_disk() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let to = created(&mut writer, "user.alice");
    let three = ["0", "two", "one"].map(|text| incoming(&store, text.as_bytes(), 0, &[]));
    one(
        &mut writer,
        Order::Append {
            mailbox: to,
            messages: three.into(),
        },
    )
    .unwrap();
    let same = one(
        &mut writer,
        Order::Copy {
            from: to,
            uids: uids("2"),
            to,
            moves: true,
            keep: Settable::ALL,
        },
    );
    assert!(matches!(same, Ok(Outcome::Copied { .. })), "{same:?}");
    let there: Vec<u32> = messages(&store, to).iter().map(|it| it.uid).collect();
    assert_eq!(there, [1, 3, 4]);
    let far = Order::Create {
        name: name("user.alice.far"),
        partition: "archive".to_owned(),
        acl: ravenry_core::mailboxes::Acl::default(),
        special_use: SpecialUse::NONE,
    };
    let Ok(Outcome::Created { mailbox: far, .. }) = one(&mut writer, far) else {
        panic!("not made");
    };
    one(
        &mut writer,
        Order::Copy {
            from: to,
            uids: uids("1:9"),
            to: far,
            moves: false,
            keep: Settable::ALL,
        },
    )
    .unwrap();
    assert_eq!(body(&store, far, 3), b"two");
}

#[test]
fn what_was_removed_can_be_brought_back_until_it_is_purged() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    append(&mut writer, &store, inbox, b"x", Flags::DELETED);
    let first = store.mailbox_by_id(inbox).unwrap().unwrap();
    one(
        &mut writer,
        Order::Delete {
            name: name("user.alice"),
        },
    )
    .unwrap();
    assert_eq!(store.mailbox(&name("user.alice")).unwrap(), None);
    let refused = Order::Append {
        mailbox: inbox,
        messages: vec![incoming(&store, b"y", 0, &[])],
    };
    assert_eq!(one(&mut writer, refused), Err(Refused::NoMailbox));
    let anew = created(&mut writer, "user.alice");
    let again = store.mailbox_by_id(anew).unwrap().unwrap();
    assert!(again.uidvalidity > first.uidvalidity);
    one(
        &mut writer,
        Order::Undelete {
            mailbox: inbox,
            name: name("user.alice.back"),
        },
    )
    .unwrap();
    assert_eq!(body(&store, inbox, 1), b"x");
    let gone = one(
        &mut writer,
        Order::Expunge {
            mailbox: inbox,
            uids: None,
        },
    );
    assert!(matches!(gone, Ok(Outcome::Expunged { gone, .. }) if gone == uids("1")));
    assert_eq!(body(&store, inbox, 1), b"x", "the file stays");
    one(
        &mut writer,
        Order::Delete {
            name: name("user.alice.back"),
        },
    )
    .unwrap();
    assert_eq!(
        one(&mut writer, Order::Purge { before: 0 }),
        Ok(Outcome::Purged {
            messages: 0,
            more: false
        })
    );
    let path = store.path(&first, 1);
    assert_eq!(
        one(&mut writer, Order::Purge { before: i64::MAX }),
        Ok(Outcome::Purged {
            messages: 1,
            more: false
        })
    );
    assert!(!path.parent().unwrap().exists());
    assert_eq!(store.mailbox_by_id(inbox).unwrap(), None);
}

#[test]
fn a_disk_that_fails_costs_nobody_else_anything() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let (well, ill) = (
        created(&mut writer, "user.alice"),
        created(&mut writer, "user.bob"),
    );
    let mailbox = store.mailbox_by_id(ill).unwrap().unwrap();
    // Its directory is none: no name can be made there.
    let directory = store.path(&mailbox, 1).parent().unwrap().to_owned();
    std::fs::remove_dir_all(&directory).unwrap();
    std::fs::write(&directory, "").unwrap();
    let orders: Vec<Order> = [well, ill, well]
        .into_iter()
        .map(|mailbox| Order::Append {
            mailbox,
            messages: vec![incoming(&store, b"x", 0, &[])],
        })
        .collect();
    let group = writer.carry_out(&orders);
    assert!(
        matches!(&group.outcomes[..], [Ok(_), Err(Refused::Failed(_)), Ok(_)]),
        "{group:?}"
    );
    assert_eq!(messages(&store, well).len(), 2);
    assert_eq!(store.mailbox_by_id(ill).unwrap().unwrap(), mailbox);
}

#[test]
fn a_stray_file_is_in_nobodys_way_and_found_after_a_crash() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    let mailbox = store.mailbox_by_id(inbox).unwrap().unwrap();
    std::fs::write(store.path(&mailbox, 1), "stray").unwrap();
    let messages = vec![incoming(&store, b"x", 0, &[])];
    one(
        &mut writer,
        Order::Append {
            mailbox: inbox,
            messages,
        },
    )
    .unwrap();
    assert_eq!(body(&store, inbox, 1), b"x");
    std::fs::write(store.path(&mailbox, 9), "another").unwrap();
    drop((writer, store));
    std::fs::write(root.path().join("state/backend/open"), "").unwrap();
    let (_writer, store, found) = open(root.path());
    let mut lost: Vec<String> = found
        .lost
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    lost.sort();
    assert_eq!(lost, ["another", "stray"]);
    assert!(found.missing.is_empty());
    assert_eq!(body(&store, inbox, 1), b"x");
    std::fs::remove_file(store.path(&mailbox, 1)).unwrap();
    drop((_writer, store));
    std::fs::write(root.path().join("state/backend/open"), "").unwrap();
    assert_eq!(open(root.path()).2.missing.len(), 1);
}

#[test]
fn a_second_process_is_kept_out_and_partitions_are_needed() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    created(&mut writer, "user.alice");
    assert!(matches!(
        Store::open(&settings(root.path())),
        Err(StoreError::Open(_))
    ));
    drop((writer, store));
    let mut without = settings(root.path());
    without.partitions.remove("default");
    assert!(matches!(open_with(&without), Err(StoreError::NoPartition(name)) if name == "default"));
}
