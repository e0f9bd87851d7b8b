//! The file stays whole whatever happens, and loses nothing.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::mpsc;
use std::thread;

use super::*;

const OLD: &str = "# people\n\nbob:{PLAIN}b\r\n#alice:{PLAIN}was\nalice:{PLAIN}a\nalicea:{PLAIN}x";

fn user(name: &str) -> UserId {
    UserId::parse(name.as_bytes()).unwrap()
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("users");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    (directory, path)
}

#[test]
fn one_line_changes_and_all_others_stay() {
    let (_directory, path) = file(OLD);
    let mut edit = PasswdEdit::begin(&path).unwrap();
    assert!(edit.has(&user("alice")) && edit.has(&user("bob")) && !edit.has(&user("carol")));
    edit.set(&user("alice"), &Secret::from("{PLAIN}new"));
    edit.set(&user("carol"), &Secret::from("{PLAIN}c"));
    edit.write().unwrap();
    let new = OLD.replace("alice:{PLAIN}a\n", "alice:{PLAIN}new\n") + "\ncarol:{PLAIN}c\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), new);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    let mut edit = PasswdEdit::begin(&path).unwrap();
    edit.remove(&user("alice"));
    edit.remove(&user("nobody"));
    edit.write().unwrap();
    let without = new.replace("alice:{PLAIN}new\n", "");
    assert_eq!(fs::read_to_string(&path).unwrap(), without);
    assert_eq!(Passwd::load(&path).unwrap().len(), 3);
}

#[test]
fn killed_before_any_step_the_file_is_the_old_or_the_new_one() {
    let mut steps = 0;
    let new = format!("{OLD}\ncarol:{{PLAIN}}c\n");
    loop {
        let (directory, path) = file(OLD);
        let mut edit = PasswdEdit::begin(&path).unwrap();
        edit.set(&user("carol"), &Secret::from("{PLAIN}c"));
        let mut step = 0;
        // As a kill does, it leaves what is there: nothing is cleared up behind it.
        let killed = edit.replace(&mut |name| {
            step += 1;
            match step > steps {
                true => Err(io::Error::new(io::ErrorKind::Interrupted, name)),
                false => Ok(()),
            }
        });
        drop(edit);
        let text = fs::read_to_string(&path).unwrap();
        let renamed = killed
            .as_ref()
            .map_or_else(|name| name.to_string() == "sync", |()| true);
        assert_eq!(
            text,
            if renamed { new.as_str() } else { OLD },
            "before step {step}: {killed:?}"
        );
        let mut again = PasswdEdit::begin(&path).unwrap();
        again.set(&user("carol"), &Secret::from("{PLAIN}c"));
        again.write().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), new);
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
        if killed.is_ok() {
            break;
        }
        steps += 1;
    }
    assert_eq!(steps, 8, "as many steps as there are");
}

#[test]
fn a_failure_leaves_the_old_file_alone() {
    let (directory, path) = file(OLD);
    let mut edit = PasswdEdit::begin(&path).unwrap();
    edit.remove(&user("bob"));
    let full = |name: &str| match name {
        "sync file" => Err(io::Error::from(io::ErrorKind::StorageFull)),
        _ => Ok(()),
    };
    assert!(edit.replace(&mut { full }).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), OLD);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn two_at_once_lose_nothing_also_through_a_link() {
    let (directory, path) = file("");
    let link = directory.path().join("link");
    symlink("users", &link).unwrap();
    let add = |path: PathBuf, who: &'static str| {
        for number in 0..40 {
            let mut edit = PasswdEdit::begin(&path).unwrap();
            edit.set(&user(&format!("{who}{number}")), &Secret::from("{PLAIN}x"));
            edit.write().unwrap();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| add(path.clone(), "a"));
        scope.spawn(|| add(link.clone(), "b"));
    });
    assert_eq!(Passwd::load(&path).unwrap().len(), 80);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn a_second_waits_for_the_first() {
    let (_directory, path) = file("");
    let first = PasswdEdit::begin(&path).unwrap();
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let path = &path;
        scope.spawn(move || {
            let edit = PasswdEdit::begin(path).unwrap();
            tell.send(edit.has(&user("one"))).unwrap();
        });
        let mut first = first;
        first.set(&user("one"), &Secret::from("{PLAIN}x"));
        first.write().unwrap();
        assert!(told.recv().unwrap(), "it sees what the first has written");
    });
}

#[test]
fn a_file_with_a_mistake_or_none_is_refused() {
    let (_directory, path) = file("alice\n");
    let error = PasswdEdit::begin(&path).unwrap_err().to_string();
    assert!(
        error.contains("line 1") && error.contains("users"),
        "{error}"
    );
    fs::remove_file(&path).unwrap();
    assert!(
        PasswdEdit::begin(&path)
            .unwrap_err()
            .to_string()
            .contains("can't be opened")
    );
}
