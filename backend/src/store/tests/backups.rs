//! A copy of a store that is in use is a store.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    Order, Outcome, append, body, created, messages, name, one, open, open_with, settings,
    structure, uids,
};
use crate::store::{
    BackedUp, Flags, MailboxId, Progress, Settable, Settings, Store, StoreError, Writer,
};

fn settings_of(backup: &Path) -> Settings {
    let partition = |name: &str| (name.to_owned(), backup.join("spool").join(name));
    Settings {
        directory: backup.to_owned(),
        partitions: BTreeMap::from([partition("default"), partition("archive")]),
        ..settings(backup)
    }
}

#[test]
fn a_backup_is_a_store_as_it_was_at_one_moment() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    let gone = created(&mut writer, "user.alice.gone");
    append(&mut writer, &store, gone, b"gone", 0);
    for (text, flags) in [("one", 0), ("two", Flags::DELETED), ("three", 0)] {
        append(&mut writer, &store, inbox, text.as_bytes(), flags);
    }
    for order in [
        Order::Expunge {
            mailbox: inbox,
            uids: None,
        },
        Order::Delete {
            name: name("user.alice.gone"),
        },
        Order::Structures {
            mailbox: inbox,
            records: vec![(1, b"record".to_vec())],
        },
    ] {
        one(&mut writer, order).unwrap();
    }
    let mailbox = store.mailbox_by_id(inbox).unwrap().unwrap();
    std::fs::remove_file(store.path(&mailbox, 3)).unwrap();
    let target = root.path().join("backups/today");
    let mut last = Progress::default();
    let done = store.backup(&target, |progress| last = progress).unwrap();
    let expected = BackedUp {
        mailboxes: 2,
        linked: 3,
        copied: 0,
        missing: vec![store.path(&mailbox, 3)],
    };
    assert_eq!((done, last), (expected, Progress { done: 4, all: 4 }));
    // What happens now isn't in it, and doesn't touch it.
    append(&mut writer, &store, inbox, b"later", 0);
    one(&mut writer, Order::Purge { before: i64::MAX }).unwrap();
    let (mut restored, copy, found) = open_with(&settings_of(&target)).unwrap();
    assert!(!found.crashed);
    assert_eq!(copy.mailbox_by_id(inbox).unwrap(), Some(mailbox.clone()));
    assert_eq!(messages(&copy, inbox).len(), 2);
    assert_eq!(body(&copy, inbox, 1), b"one");
    assert_eq!(body(&copy, inbox, 2), b"two");
    assert_eq!(structure(&copy, inbox, 1), Some(b"record".to_vec()));
    let back = Order::Undelete {
        mailbox: gone,
        name: name("user.alice.back"),
    };
    assert_eq!(one(&mut restored, back), Ok(Outcome::Done));
    assert_eq!(body(&copy, gone, 1), b"gone");
    // It writes on without the other's noticing.
    append(&mut restored, &copy, inbox, b"other", 0);
    assert_eq!(
        (body(&copy, inbox, 4), body(&store, inbox, 4)),
        (b"other".to_vec(), b"later".to_vec())
    );
    let records = |store: &Store| {
        let path = store.path(&mailbox, 1).with_file_name("structures.0");
        std::fs::metadata(path).unwrap().ino()
    };
    assert_ne!(records(&copy), records(&store));
}

#[test]
fn nothing_is_written_over_and_what_was_not_finished_is_none() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    append(&mut writer, &store, inbox, b"one", 0);
    let target = root.path().join("backup");
    std::fs::create_dir_all(target.join("something")).unwrap();
    let refused = store.backup(&target, |_| {});
    assert!(matches!(refused, Err(StoreError::Io { .. })), "{refused:?}");
    std::fs::remove_dir(target.join("something")).unwrap();
    store.backup(&target, |_| {}).unwrap();
    let again = store.backup(&target, |_| {});
    assert!(matches!(again, Err(StoreError::Io { .. })), "{again:?}");
}

#[test]
fn no_purge_while_a_backup_runs() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    for _ in 0..2 {
        append(&mut writer, &store, inbox, b"x", Flags::DELETED);
    }
    let expunge = Order::Expunge {
        mailbox: inbox,
        uids: None,
    };
    one(&mut writer, expunge).unwrap();
    let purge = |writer: &mut _| match one(writer, Order::Purge { before: i64::MAX }) {
        Ok(Outcome::Purged { messages, more }) => (messages, more),
        other => panic!("{other:?}"),
    };
    let mut meanwhile = None;
    let done = store.backup(&root.path().join("backup"), |_| {
        meanwhile = Some(purge(&mut writer));
    });
    assert_eq!(done.unwrap().linked, 2);
    assert_eq!(meanwhile, Some((0, false)));
    assert_eq!(purge(&mut writer), (2, false));
    // Neither does one that failed keep anything back.
    append(&mut writer, &store, inbox, b"x", Flags::DELETED);
    store
        .backup(&root.path().join("backup"), |_| {})
        .unwrap_err();
    let expunge = Order::Expunge {
        mailbox: inbox,
        uids: None,
    };
    one(&mut writer, expunge).unwrap();
    assert_eq!(purge(&mut writer), (1, false));
}

/// Appends, copies, expunges and purges, until it is told to end.
fn busy(writer: &mut Writer, store: &Store, inbox: MailboxId, end: &AtomicBool) {
    for round in (0_u32..).take_while(|_| !end.load(Ordering::Relaxed)) {
        let flags = if round % 2 == 0 { Flags::DELETED } else { 0 };
        append(writer, store, inbox, &round.to_le_bytes(), flags);
        let orders = [
            Order::Copy {
                from: inbox,
                uids: uids("1:9999"),
                to: inbox,
                moves: round % 3 == 0,
                keep: Settable::ALL,
            },
            Order::Expunge {
                mailbox: inbox,
                uids: None,
            },
            Order::Purge { before: i64::MAX },
        ];
        // So that it doesn't double each time.
        let some = if round % 8 == 7 {
            &orders[..]
        } else {
            &orders[1..]
        };
        let group = writer.carry_out(some);
        assert!(group.outcomes.iter().all(Result::is_ok), "{group:?}");
    }
}

/// Tells [`busy`] to end when it is dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_store_is_looked_at_and_backed_up_while_it_changes() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    let (end, mut backups) = (AtomicBool::new(false), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| busy(&mut writer, &store, inbox, &end));
        // A failure here ends the other thread, too.
        let _ends = Ends(&end);
        for number in 0..8 {
            assert_eq!(store.check(true, |_| {}).unwrap().findings, []);
            let target = root.path().join(format!("backup{number}"));
            assert_eq!(
                store.backup(&target, |_| {}).unwrap().missing,
                [""; 0].map(PathBuf::from)
            );
            backups.push(target);
        }
    });
    for target in backups {
        let (_restored, copy, _) = open_with(&settings_of(&target)).unwrap();
        assert_eq!(copy.check(true, |_| {}).unwrap().findings, []);
    }
    assert_eq!(store.check(true, |_| {}).unwrap().findings, []);
}
