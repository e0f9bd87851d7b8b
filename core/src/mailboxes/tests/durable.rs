//! A list that others follow: what survives, what isn't thrown away, what is told of changes.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;

use super::{active, name, once_free, reserved};
use crate::mailboxes::{
    After, Change, ListError, ListFile, ListReader, ListWriter, Standing, Told,
};
use crate::proto::mupdate::Place;

const MAP_BYTES: usize = 64 << 20;

fn open(directory: &std::path::Path) -> (ListWriter, ListReader) {
    let (writer, reader, _) = once_free(|| ListFile::open_durable(directory, MAP_BYTES));
    (writer, reader)
}

fn commit(writer: &mut ListWriter, changes: &[Change]) -> u64 {
    let mut edit = writer.edit().unwrap();
    for change in changes {
        edit.apply(change).unwrap();
    }
    edit.commit().unwrap()
}

fn gone(text: &str) -> Change {
    Change::Deleted { name: name(text) }
}

/// What is told, as text: `name state server`, or `name -`.
fn line(told: &Told<'_>) -> (String, Option<String>) {
    let held = told
        .held
        .map(|held| format!("{:?} {}", held.state, held.server));
    (String::from_utf8_lossy(told.name).into_owned(), held)
}

fn changes_since(reader: &ListReader, sequence: u64) -> (Vec<(String, Option<String>)>, u64) {
    let mut lines = Vec::new();
    let mut after = After::sequence(sequence);
    loop {
        let piece = reader.tell_changes(&after, |told| {
            lines.push(line(&told));
            false
        });
        let piece = piece.unwrap();
        match piece.next {
            Some(next) => after = next,
            None => return (lines, piece.sequence),
        }
    }
}

fn all(reader: &ListReader) -> BTreeMap<String, Option<String>> {
    let mut names = BTreeMap::new();
    let mut after = Some(After::nothing());
    while let Some(from) = after {
        let piece = reader.tell_names(&from, |told| {
            let (name, held) = line(&told);
            names.insert(name, held);
            names.len() % 2 == 0
        });
        after = piece.unwrap().next;
    }
    names
}

#[test]
fn it_is_opened_again_after_a_crash_of_the_machine_and_left_alone_if_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, reader) = open(directory.path());
    commit(&mut writer, &[active("a", "anyone l "), reserved("b")]);
    let identity = reader.about().unwrap().identity;
    drop((writer, reader));
    let mark = fs::read_to_string(directory.path().join("mailboxes/mark")).unwrap();
    assert!(mark.starts_with("durable "), "whatever the boot: {mark}");
    fs::write(
        directory.path().join("mailboxes/mark"),
        "durable another-boot\n",
    )
    .unwrap();
    let (writer, reader) = open(directory.path());
    assert_eq!(reader.count().unwrap(), 2);
    assert_eq!(reader.about().unwrap().identity, identity);
    drop((writer, reader));

    let data = directory.path().join("mailboxes/data.mdb");
    let mut bytes = fs::read(&data).unwrap();
    bytes[16..24].fill(0xff);
    let middle = bytes.len() / 2;
    bytes.truncate(middle);
    fs::write(&data, &bytes).unwrap();
    let error = ListFile::open_durable(directory.path(), MAP_BYTES).unwrap_err();
    assert!(matches!(error, ListError::Damaged(_)));
    assert!(error.to_string().contains("restore"), "{error}");
    assert_eq!(fs::read(&data).unwrap(), bytes, "it is as it was");
}

#[test]
fn a_copy_that_becomes_durable_tells_changes_from_then_on() {
    let directory = tempfile::tempdir().unwrap();
    let (mut copy, reader, _) = ListFile::open(directory.path(), MAP_BYTES).unwrap();
    let sequence = copy.apply(&[active("a", "anyone l ")], None).unwrap();
    assert_eq!(reader.about().unwrap().changes_from, None);
    drop((copy, reader));
    let (mut writer, reader) = open(directory.path());
    assert_eq!(reader.about().unwrap().changes_from, Some(sequence));
    commit(&mut writer, &[gone("a"), active("b", "")]);
    let (lines, _) = changes_since(&reader, sequence);
    assert_eq!(lines.len(), 2, "{lines:?}");
    drop((writer, reader));
    let (_copy, reader, opened) = ListFile::open(directory.path(), MAP_BYTES).unwrap();
    assert!(!opened.fresh);
    assert_eq!(reader.about().unwrap().changes_from, None);
}

#[test]
fn tombstones_go_and_what_can_be_told_goes_with_them() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, reader) = open(directory.path());
    commit(&mut writer, &[active("a", ""), active("b", "")]);
    let before = commit(&mut writer, &[gone("a")]);
    assert!(
        !writer.forget_removed(1).unwrap(),
        "it is younger than that"
    );
    assert_eq!(
        changes_since(&reader, before - 1).0,
        [("a".to_owned(), None)]
    );
    writer.forget_removed(u64::MAX).unwrap();
    assert_eq!(reader.about().unwrap().changes_from, Some(before));
    assert!(changes_since(&reader, before - 1).0.is_empty());
    drop((writer, reader));
    let (_writer, reader) = open(directory.path());
    assert_eq!(reader.count().unwrap(), 1, "the tables agree");
}

#[test]
fn an_edit_that_is_dropped_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, reader) = open(directory.path());
    let mut edit = writer.edit().unwrap();
    edit.apply(&active("a", "")).unwrap();
    assert!(edit.lookup(&name("a")).unwrap().is_some());
    drop(edit);
    assert_eq!(reader.count().unwrap(), 0);
    assert!(writer.take_made().changes.is_empty());
}

#[test]
fn standing_and_place_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, reader) = open(directory.path());
    let place = Place {
        identity: 7,
        epoch: 3,
        sequence: 42,
    };
    writer.apply_up_to(&[active("a", "")], place).unwrap();
    drop((writer, reader));
    let (mut writer, reader) = open(directory.path());
    let about = reader.about().unwrap();
    assert_eq!((about.upstream.identity, about.upstream.sequence), (7, 42));
    assert_eq!(about.standing.epoch, 3);
    assert!(!about.standing.is_master());
    let own = Standing {
        epoch: 4,
        master_in: 4,
        superseded_by: 0,
    };
    writer.set_standing(own).unwrap();
    assert!(reader.about().unwrap().standing.is_master());
    writer
        .set_standing(Standing {
            superseded_by: 5,
            ..own
        })
        .unwrap();
    assert!(!reader.about().unwrap().standing.is_master());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Whoever has the list as of any commit and is told what changed since has the list.
    #[test]
    fn changes_lead_from_any_commit_to_now(
        commits in prop::collection::vec(
            prop::collection::vec((0..6_u8, any::<bool>()), 1..4), 1..12),
        reopen_at in 0..12_usize,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let (mut writer, mut reader) = open(directory.path());
        let mut states = vec![(0, BTreeMap::new())];
        for (number, changes) in commits.iter().enumerate() {
            if number == reopen_at {
                drop((writer, reader));
                (writer, reader) = open(directory.path());
            }
            let changes: Vec<_> = changes.iter().map(|(n, is_there)| {
                let text = format!("user.n{n}");
                if *is_there { active(&text, &format!("a{number} l ")) } else { gone(&text) }
            }).collect();
            let sequence = commit(&mut writer, &changes);
            states.push((sequence, all(&reader)));
        }
        let now = all(&reader);
        for (sequence, mut state) in states {
            for (name, held) in changes_since(&reader, sequence).0 {
                match held {
                    Some(_) => state.insert(name, held),
                    None => state.remove(&name),
                };
            }
            prop_assert_eq!(&state, &now, "from {}", sequence);
        }
    }
}
