//! Where a demo keeps everything: a directory of its own that goes with it, or one that stays.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;

/// Says that mail has been put into a directory completely. It is what tells a demo's directory from others.
const FURNISHED: &str = "furnished";
const LOCK: &str = "lock";

/// The directory.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    stays: bool,
    /// Held while a demo runs there.
    lock: Option<File>,
}

impl Home {
    /// The one that was named, made where it isn't there; or a new one.
    pub(super) fn open(named: Option<&Path>) -> Result<Self, String> {
        let Some(named) = named else {
            return Self::new(&std::env::temp_dir());
        };
        let failed = |error: io::Error| format!("{}: {error}", named.display());
        let made = DirBuilder::new().recursive(true).mode(0o700).create(named);
        made.map_err(failed)?;
        let path = named.canonicalize().map_err(failed)?;
        let mut home = Self {
            path,
            stays: true,
            lock: None,
        };
        let is_empty = fs::read_dir(&home.path).map_err(failed)?.next().is_none();
        if !is_empty && !home.is_furnished() {
            return Err(format!(
                "{} isn't empty, and isn't what a demo has left: name another directory, or remove it",
                home.path.display()
            ));
        }
        home.lock()?;
        Ok(home)
    }

    /// Two demos in one directory would write over each other's files.
    fn lock(&mut self) -> Result<(), String> {
        let path = self.path.join(LOCK);
        let opened = OpenOptions::new().create(true).append(true).open(&path);
        let file = opened.map_err(|error| format!("{}: {error}", path.display()))?;
        file.try_lock()
            .map_err(|why| format!("{}: another demo runs there: {why}", self.path.display()))?;
        self.lock = Some(file);
        Ok(())
    }

    fn new(parent: &Path) -> Result<Self, String> {
        let mut number = process::id();
        loop {
            let path = parent.join(format!("ravenry-demo-{number}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    return Ok(Self {
                        path,
                        stays: false,
                        lock: None,
                    });
                }
                // What another process of this number has left.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(format!("{}: {error}", path.display())),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn stays(&self) -> bool {
        self.stays
    }

    pub(super) fn is_furnished(&self) -> bool {
        self.path.join(FURNISHED).exists()
    }

    /// Mail is in it.
    pub(super) fn furnished(&self) -> Result<(), String> {
        self.write(FURNISHED, b"ravenry demo\n")
    }

    /// Writes a file in it that its owner alone can read.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), String> {
        let path = self.path.join(name);
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&path).map_err(failed)?;
        io::Write::write_all(&mut file, content).map_err(failed)
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The log of all its servers.
    pub(super) fn log(&self) -> Result<File, String> {
        let path = self.log_path();
        let opened = OpenOptions::new().create(true).append(true).open(&path);
        opened.map_err(|error| format!("{}: {error}", path.display()))
    }

    /// At the end, with nothing running: one that doesn't stay is removed, but where something failed: its log is of use.
    pub(super) fn leave(self, outcome: Result<bool, String>) -> Result<bool, String> {
        match outcome {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(why) => {
                let log = self.log_path();
                return Err(format!("{why}\n  the log is {}", log.display()));
            }
        }
        if self.stays {
            return outcome;
        }
        let removed = fs::remove_dir_all(&self.path);
        removed.map_err(|error| format!("{}: {error}", self.path.display()))?;
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_was_named_stays_and_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        let home = Home::open(Some(&path)).unwrap();
        home.write("x/y", b"z").unwrap();
        let why = Home::open(Some(&path)).unwrap_err();
        assert!(why.contains("isn't empty"), "{why}");
        home.furnished().unwrap();
        let why = Home::open(Some(&path)).unwrap_err();
        assert!(why.contains("another demo runs there"), "{why}");
        assert_eq!(home.leave(Ok(true)), Ok(true));
        assert!(Home::open(Some(&path)).unwrap().is_furnished());
    }

    #[test]
    fn one_of_its_own_goes_and_stays_where_something_failed() {
        let home = Home::open(None).unwrap();
        let path = home.path().to_owned();
        home.write("x/y", b"z").unwrap();
        let why = home.leave(Err("no".to_owned())).unwrap_err();
        assert!(why.contains("no\n  the log is "), "{why}");
        assert!(path.exists());
        fs::remove_dir_all(&path).unwrap();
        for passed in [true, false] {
            let home = Home::open(None).unwrap();
            let path = home.path().to_owned();
            assert_eq!(home.leave(Ok(passed)), Ok(passed));
            assert_eq!(path.exists(), !passed);
        }
        fs::remove_dir_all(&path).unwrap();
    }
}
