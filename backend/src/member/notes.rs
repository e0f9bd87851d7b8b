//! Names that a RENAME is about to have in two places, noted on the disk for the next start.
//!
//! For a moment a RENAME has names active at the master that aren't here: first the new ones, then the old ones. A process
//! that dies then leaves as many as the tree has mailboxes, and a comparison takes only few out of the list by itself
//! (docs/protocols/resync.md), for it can't tell a renamed tree from a lost one. So they are written down before the master
//! is asked, and the next start has them settled, however many they are. A note says what to look at, not what to do: one
//! that is out of date does no harm.
//!
//! A note is a file in `state_dir/renaming`, a name a line. Without its last line it isn't whole, and nothing was asked for.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use ravenry_core::mailboxes::Name;

use super::coordinator::Coordinator;
use crate::store::Refused;

const DIRECTORY: &str = "renaming";
const LAST_LINE: &[u8] = b"# end";

/// The notes of this process, and of those before it.
pub(super) struct Notes {
    directory: PathBuf,
    next: Cell<u64>,
    /// Of operations that have ended, while names wait to be settled.
    left: RefCell<Vec<PathBuf>>,
}

impl Notes {
    pub(super) fn new(state_dir: &Path) -> Self {
        Self {
            directory: state_dir.join(DIRECTORY),
            next: Cell::new(0),
            left: RefCell::default(),
        }
    }
}

impl Coordinator {
    /// Has names settled that operations of a process before this one were about.
    pub(super) async fn take_up_notes(&self) {
        let directory = self.notes.directory.clone();
        let found = self.look(move |_| read_all(&directory).map_err(failed));
        let found = match found.await {
            Ok(found) => found,
            Err(why) => {
                tracing::error!(
                    "{} can't be read, so nobody knows what RENAMEs were under way: {why:?}",
                    self.notes.directory.display()
                );
                return;
            }
        };
        let Some(last) = found.last().map(|note| note.number) else {
            return;
        };
        self.notes.next.set(last + 1);
        let (mut paths, mut names) = (Vec::new(), Vec::new());
        for note in found {
            paths.push(note.path);
            names.extend(note.names);
        }
        self.notes.left.borrow_mut().append(&mut paths);
        if names.is_empty() {
            self.drop_notes().await;
        } else {
            self.later(names);
        }
    }

    /// Notes names. They are on the disk when it returns.
    pub(super) async fn note(&self, names: Vec<Name>) -> Result<PathBuf, Refused> {
        let number = self.notes.next.replace(self.notes.next.get() + 1);
        let path = self.notes.directory.join(number.to_string());
        let note = path.clone();
        let written = self.look(move |_| write(&note, &names).map_err(failed));
        written.await.map(|()| path)
    }

    /// An operation has ended: its note goes, or stays as long as names wait.
    pub(super) async fn ended(&self, note: PathBuf) {
        self.notes.left.borrow_mut().push(note);
        if self.pending.is_empty() {
            self.drop_notes().await;
        }
    }

    /// All is settled: nothing needs the notes of what has ended.
    pub(super) async fn drop_notes(&self) {
        let left = std::mem::take(&mut *self.notes.left.borrow_mut());
        if left.is_empty() {
            return;
        }
        let gone = self.look(move |_| {
            for path in &left {
                fs::remove_file(path).map_err(failed)?;
            }
            Ok(())
        });
        if let Err(why) = gone.await {
            tracing::warn!("a note of a RENAME that has ended can't be taken away: {why:?}");
        }
    }
}

fn failed(error: io::Error) -> Refused {
    Refused::Failed(format!("the note of a RENAME: {error}"))
}

/// A note that was found.
struct Found {
    number: u64,
    path: PathBuf,
    /// None, where it isn't whole.
    names: Vec<Name>,
}

/// All that there are, by their numbers. Blocks.
fn read_all(directory: &Path) -> io::Result<Vec<Found>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok());
        let Some(number) = number else {
            continue;
        };
        let names = read(&fs::read(&path)?);
        found.push(Found {
            number,
            path,
            names,
        });
    }
    found.sort_by_key(|note| note.number);
    Ok(found)
}

fn read(text: &[u8]) -> Vec<Name> {
    let Some(whole) = text.strip_suffix(LAST_LINE) else {
        return Vec::new();
    };
    let lines = whole.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| Name::from_mupdate(line).ok())
        .collect()
}

/// Blocks until it is on the disk.
fn write(path: &Path, names: &[Name]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(path);
    if !directory.is_dir() {
        fs::create_dir_all(directory)?;
        sync_directory(directory.parent().unwrap_or(directory))?;
    }
    let mut text = Vec::new();
    for name in names {
        text.extend_from_slice(name.as_bytes());
        text.push(b'\n');
    }
    text.extend_from_slice(LAST_LINE);
    let mut file = File::create(path)?;
    file.write_all(&text)?;
    file.sync_all()?;
    sync_directory(directory)
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<Name> {
        let names = ["user.alice.old", "user.alice.old.&AOQ-", "user.alice.new"];
        names
            .map(|name| Name::parse(name.as_bytes()).unwrap())
            .into()
    }

    #[test]
    fn what_was_noted_is_found_again() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join(DIRECTORY);
        assert!(read_all(&directory).unwrap().is_empty());
        write(&directory.join("10"), &names()).unwrap();
        write(&directory.join("9"), &names()[..1]).unwrap();
        fs::write(directory.join("notes of mine"), "x\n# end").unwrap();
        let found = read_all(&directory).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|note| (note.number, note.names.len()))
            .collect();
        assert_eq!(found, [(9, 1), (10, 3)]);
        assert_eq!(read_all(&directory).unwrap()[1].names, names());
    }

    #[test]
    fn a_note_that_is_not_whole_says_nothing() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("1");
        write(&path, &names()).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_empty(), "{length}");
        }
        assert_eq!(read(&whole), names());
    }
}
