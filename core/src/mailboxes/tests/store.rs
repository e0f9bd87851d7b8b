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
