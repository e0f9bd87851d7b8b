//! Damaged and truncated files: found before they are mapped, moved aside, never a crash.

use std::fs;
use std::path::Path;

use super::{
    Change, STANDARD, active, admin, listed, name, open, query, reserved, shown, sync, user,
};
use crate::mailboxes::ListFile;

/// A list of every kind of page: branches, leaves, large records, free pages.
fn mailboxes() -> Vec<Change> {
    let many = (0..200).fold(String::new(), |acl, n| format!("{acl}someone{n} lrs "));
    let name = |n: u32| format!("user.u{:03}.folder-{n}", n / 10);
    let mut changes: Vec<_> = (0..3000)
        .map(|n| active(&name(n), &format!("u{} lrs alice lr ", n / 10)))
        .collect();
    changes.extend((0..20).map(|n| active(&format!("large.{n}"), &many)));
    changes.push(reserved("held"));
    changes
}

fn make(directory: &Path) {
    let (mut writer, _reader, _) = open(directory);
    sync(&mut writer, &mailboxes());
    let gone: Vec<_> = (0..500)
        .map(|n| Change::Deleted {
            name: name(&format!("user.u{:03}.folder-{n}", n / 10)),
        })
        .collect();
    writer.apply(&gone, None).unwrap();
    writer.apply(&mailboxes()[..100], None).unwrap();
}

/// Opens what is there and uses all of it. Whatever comes, the process lives; what the check lets
/// through gives whole answers after a sync. Answers why a file was moved aside.
fn use_it(directory: &Path) -> Option<String> {
    let (mut writer, reader, opened) = open(directory);
    assert_eq!(opened.fresh, opened.why.is_some());
    if opened.fresh {
        sync(&mut writer, &[active("shared", "anyone lr ")]);
        return opened.why;
    }
    for who in [admin(), user("alice"), user("someone7")] {
        listed(&reader, &query(&who, STANDARD, "", "*"), 100);
    }
    let all = mailboxes();
    sync(&mut writer, &all);
    assert_eq!(reader.count().unwrap(), all.len() as u64);
    let lines = listed(
        &reader,
        &query(&user("someone7"), STANDARD, "", "large.*"),
        100,
    );
    assert_eq!(
        lines.len(),
        20,
        "a full sync mends what the check can't see"
    );
    opened.why
}

#[test]
fn a_whole_file_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path());
    assert_eq!(use_it(directory.path()), None);
    assert_eq!(use_it(directory.path()), None);
}

#[test]
fn cut_anywhere() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path());
    let data = directory.path().join("mailboxes/data.mdb");
    let whole = fs::read(&data).unwrap();
    let mark = fs::read(directory.path().join("mailboxes/mark")).unwrap();
    let step = whole.len() / 40 + 1;
    for length in (0..whole.len())
        .step_by(step)
        .chain([1, 100, 4096, 8191, 8192])
    {
        fs::write(&data, &whole[..length]).unwrap();
        fs::write(directory.path().join("mailboxes/mark"), &mark).unwrap();
        assert!(
            use_it(directory.path()).is_some(),
            "cut at {length} of {}",
            whole.len()
        );
        let aside = fs::metadata(directory.path().join("mailboxes/data.mdb.set-aside")).unwrap();
        assert_eq!(aside.len(), length as u64, "what was there is kept");
    }
}

#[test]
fn damaged_anywhere() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path());
    let data = directory.path().join("mailboxes/data.mdb");
    let whole = fs::read(&data).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let mut found = 0;
    for turn in 0..120 {
        let mut damaged = whole.clone();
        let page = random.usize(..whole.len() / 4096) * 4096;
        // Headers, offsets and nodes; single bits, bytes, and runs.
        let at = page
            + if turn % 2 == 0 {
                random.usize(..64)
            } else {
                random.usize(..4096)
            };
        let end = (at + [1, 1, 8, 200][turn % 4]).min(whole.len());
        damaged[at..end]
            .iter_mut()
            .for_each(|byte| *byte ^= random.u8(1..));
        fs::write(&data, &damaged).unwrap();
        let mark = format!("clean {turn}\n");
        fs::write(directory.path().join("mailboxes/mark"), mark).unwrap();
        found += u32::from(use_it(directory.path()).is_some());
    }
    assert!(found > 30, "only {found} of 120 were found");
}

#[test]
fn a_file_of_an_earlier_boot_that_was_not_closed() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path());
    let mark = directory.path().join("mailboxes/mark");
    for text in [
        "open 00000000-0000-0000-0000-000000000000\n",
        "open \n",
        "",
        "\u{0}\u{1}",
    ] {
        fs::write(&mark, text).unwrap();
        assert!(use_it(directory.path()).is_some(), "{text:?}");
    }
    fs::remove_file(&mark).unwrap();
    assert!(use_it(directory.path()).is_some());
    assert_eq!(use_it(directory.path()), None);
}

#[test]
fn a_process_that_was_killed_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    make(directory.path());
    let mark = directory.path().join("mailboxes/mark");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    fs::write(&mark, format!("open {boot}")).unwrap();
    assert_eq!(use_it(directory.path()), None);
}

#[test]
fn a_full_map_is_an_error_and_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, reader, _) = ListFile::open(directory.path(), 256 << 10).unwrap();
    sync(&mut writer, &mailboxes()[..100]);
    let error = writer.apply(&mailboxes(), None).unwrap_err();
    assert!(error.to_string().contains("full"), "{error}");
    assert!(
        reader
            .lookup(&name("user.u000.folder-0"))
            .unwrap()
            .is_some()
    );
    writer
        .apply(
            &[Change::Deleted {
                name: name("user.u000.folder-0"),
            }],
            None,
        )
        .unwrap();
    drop((writer, reader));
    assert_eq!(use_it(directory.path()), None);
    let lines = {
        let (_writer, reader, _) = open(directory.path());
        listed(&reader, &query(&admin(), STANDARD, "", "held"), 10)
    };
    assert_eq!(shown(&lines), "");
}

#[test]
fn a_directory_that_can_not_be_made() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = ListFile::open(&file, 1 << 20).unwrap_err().to_string();
    assert!(
        error.contains("create") && error.contains("mailboxes"),
        "{error}"
    );
}
