//! An index of layout 1 is opened.

use heed::CommitOrAbort;
use heed::types::Bytes;
use ravenry_core::lmdb::Durable;
use ravenry_core::mailboxes::Acl;

use super::listing::seen_by;
use super::{Order, append, created, name, one, open, settings};
use crate::store::{Flags, Writer};

/// Makes the index what a server of before the reverse ACL left: seven tables, and layout 1.
fn make_old(root: &std::path::Path) {
    let directory = settings(root).directory.join("backend");
    let mut records: Vec<[Vec<u8>; 3]> = Vec::new();
    let read = Durable::open(&directory, 64 << 20, 12, |table, key, record| {
        records.push([table, key, record].map(<[u8]>::to_vec));
        Some(())
    });
    drop(read.unwrap());
    std::fs::remove_file(directory.join("data.mdb")).unwrap();
    let old = Durable::open(&directory, 64 << 20, 12, |_, _, _| Some(())).unwrap();
    let old_tables = [
        "names",
        "mailboxes",
        "messages",
        "expunged",
        "removed",
        "subscriptions",
        "quotas",
        "meta",
    ];
    for table in old_tables {
        let writing = old.env().write_txn().unwrap();
        let made = old
            .env()
            .create_databases_and_commit(writing, |opener, writing| {
                let made = opener.create_database::<Bytes, Bytes>(writing, Some(table))?;
                Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(made))
            });
        let made = made.unwrap().unwrap_commit();
        let mut writing = old.env().write_txn().unwrap();
        let of_it = records.iter().filter(|[it, ..]| it == table.as_bytes());
        for [_, key, record] in of_it {
            let record = match table {
                // Its number, and what there was behind it.
                "meta" => [&1_u32.to_le_bytes()[..], &record[4..16]].concat(),
                _ => record.clone(),
            };
            made.put(&mut writing, key, &record).unwrap();
        }
        writing.commit().unwrap();
    }
}

fn set_acl(writer: &mut Writer, of: &str, acl: &[u8]) {
    let (name, acl) = (name(of), Acl::new(acl));
    one(writer, Order::SetAcl { name, acl }).unwrap();
}

#[test]
fn an_index_of_layout_1_gets_what_it_has_not() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    for text in [
        "user.bob",
        "user.carol",
        "shared.a",
        "shared.b",
        "shared.gone",
    ] {
        created(&mut writer, text);
    }
    set_acl(&mut writer, "shared.a", b"anyone\tlrs\t-carol\tl\t");
    set_acl(&mut writer, "shared.b", b"bob\tr\t");
    let delete = Order::Delete {
        name: name("shared.gone"),
    };
    one(&mut writer, delete).unwrap();
    let mailbox = store.mailbox(&name("user.bob")).unwrap().unwrap().id;
    append(&mut writer, &store, mailbox, b"x", Flags::DELETED);
    let expunge = Order::Expunge {
        mailbox,
        uids: None,
    };
    one(&mut writer, expunge).unwrap();
    drop((writer, store));
    make_old(root.path());
    let expected = |user: &str| match user {
        "alice" => vec!["user.bob", "user.carol", "shared.a"],
        "bob" => vec!["INBOX", "shared.a"],
        _ => vec!["INBOX"],
    };
    // The second start finds the new layout.
    for start in 0..2 {
        let (mut writer, store, found) = open(root.path());
        assert!(!found.crashed);
        for user in ["alice", "bob", "carol"] {
            assert_eq!(seen_by(&store, user), expected(user), "{user}, {start}");
        }
        assert_eq!(store.check(true, |_| {}).unwrap().findings, []);
        if start == 1 {
            // What the names had before isn't known, so one that looks new may be none.
            let validity = |of: &str| store.mailbox(&name(of)).unwrap().unwrap().uidvalidity;
            let before = ["shared.a", "shared.b"].map(validity);
            let rename = Order::Rename {
                from: name("shared.a"),
                to: name("shared.c"),
            };
            one(&mut writer, rename).unwrap();
            assert!(validity("shared.c") > before[0].max(before[1]));
            assert_eq!(store.expunged(mailbox).unwrap().len(), 1);
            one(&mut writer, Order::Purge { before: i64::MAX }).unwrap();
            assert!(store.expunged(mailbox).unwrap().is_empty());
        }
    }
}
