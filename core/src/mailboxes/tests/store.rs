//! The file: what it keeps, what it refuses, what a sync removes.

use super::{active, name, open, reserved, sync, user};
use crate::mailboxes::{Change, ListError, ListFile, State};

#[test]
fn a_list_is_not_to_be_trusted_before_its_first_sync() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, reader, opened) = open(directory.path());
    assert!(opened.fresh && opened.why.is_none());
    assert!(matches!(
        reader.lookup(&name("shared")),
        Err(ListError::Incomplete)
    ));
    let mut token = writer.begin_sync().unwrap();
    writer
        .apply(&[active("shared", "anyone lr ")], Some(&mut token))
        .unwrap();
    assert!(reader.lookup(&name("shared")).unwrap().is_some());
    assert!(matches!(
        reader.lookup(&name("other")),
        Err(ListError::Incomplete)
    ));
    writer.end_sync(token).unwrap();
    assert!(reader.lookup(&name("other")).unwrap().is_none());
    drop((writer, reader));
    let (_writer, reader, opened) = open(directory.path());
    assert!(!opened.fresh);
    assert!(reader.is_complete().unwrap());
}

#[test]
fn a_sync_removes_what_it_did_not_see() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, reader, _) = open(directory.path());
    let first = [
        active("a", "anyone l "),
        active("b", "anyone l "),
        reserved("c"),
    ];
    let sequence = sync(&mut writer, &first);
    assert_eq!(
        sync(&mut writer, &first),
        sequence,
        "nothing changed, nothing written"
    );
    let mut token = writer.begin_sync().unwrap();
    writer.apply(&first[..1], Some(&mut token)).unwrap();
    drop(token);
    assert_eq!(
        reader.count().unwrap(),
        3,
        "a sync that ended early removes nothing"
    );
    let mut token = writer.begin_sync().unwrap();
    writer.apply(&first[..1], Some(&mut token)).unwrap();
    writer.apply(&[active("d", "anyone l ")], None).unwrap();
    assert_eq!(writer.end_sync(token).unwrap().names, 2);
    assert!(reader.lookup(&name("b")).unwrap().is_none());
    assert!(
        reader.lookup(&name("d")).unwrap().is_some(),
        "new since the sync began"
    );
    assert_eq!(
        reader.servers().unwrap(),
        [("backend1.murder.test".to_owned(), 2)]
    );
    writer
        .apply(&[Change::Deleted { name: name("d") }, reserved("a")], None)
        .unwrap();
    assert_eq!(
        reader.lookup(&name("a")).unwrap().unwrap().state,
        State::Reserved
    );
    assert_eq!(
        reader.servers().unwrap(),
        [("backend2.murder.test".to_owned(), 1)]
    );
    assert!(
        !reader
            .has_children(&user("alice"), super::STANDARD, &name("a"))
            .unwrap()
    );
}

#[test]
fn one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let _first = open(directory.path());
    assert!(matches!(
        ListFile::open(directory.path(), 1 << 20),
        Err(ListError::InUse { .. })
    ));
}

#[test]
fn the_lock_lasts_as_long_as_the_last_reader() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, reader, _) = open(directory.path());
    drop(writer);
    assert!(matches!(
        ListFile::open(directory.path(), 1 << 20),
        Err(ListError::InUse { .. })
    ));
    drop(reader);
    assert!(!open(directory.path()).2.fresh);
}

#[test]
fn threads_read_while_another_writes() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, reader, _) = open(directory.path());
    let all: Vec<_> = (0..50)
        .map(|n| active(&format!("shared.{n}"), "anyone lr "))
        .collect();
    sync(&mut writer, &all);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let reader = reader.clone();
            scope.spawn(move || {
                let query = super::query(&user("alice"), super::STANDARD, "", "*");
                for _ in 0..200 {
                    // Names come and go in pairs, in one commit: each answer has whole pairs.
                    let lines = super::listed(&reader, &query, 1000);
                    assert_eq!(lines.len() % 2, 0);
                    assert!(reader.lookup(&name("shared.7")).unwrap().is_some());
                }
            });
        }
        for turn in 0..200 {
            let pair = [format!("pair.{turn}"), format!("pair.{turn}.b")];
            let come = pair.each_ref().map(|text| active(text, "anyone l "));
            writer.apply(&come, None).unwrap();
            if turn % 2 == 0 {
                let go = pair.map(|text| Change::Deleted { name: name(&text) });
                writer.apply(&go, None).unwrap();
            }
        }
    });
}

#[test]
fn the_longest_names_and_identifiers() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, reader, _) = open(directory.path());
    let long = "x".repeat(490);
    let parent = "y".repeat(244);
    let child = format!("{parent}.{}", "z".repeat(245));
    let group = "group:a-name-much-longer-than-a-key-has-room-for";
    sync(
        &mut writer,
        &[
            active(&long, &format!("{group} lr ")),
            active(&parent, "twenty-bytes-of-user lr "),
            active(&child, "twenty-bytes-of-user lr "),
        ],
    );
    let mut member = user("twenty-bytes-of-user");
    member.groups.push(group[6..].to_owned());
    let list = |pattern: &str| {
        let query = super::query(&member, super::STANDARD, "", pattern);
        super::listed(&reader, &query, 1).len()
    };
    assert_eq!(list("*"), 3);
    assert_eq!(list(&long), 1);
    assert_eq!(list(&format!("{long}*")), 1);
    assert_eq!(list(&"x".repeat(1024)), 0);
    assert!(
        reader
            .has_children(&member, super::STANDARD, &name(&parent))
            .unwrap()
    );
    assert!(
        !reader
            .has_children(&member, super::STANDARD, &name(&long))
            .unwrap()
    );
}
