//! Changing the passwd file: a line is added, replaced or taken away, and all others stay as they are, byte for byte.
//!
//! Whoever is killed, or finds the disk full, leaves the old file or the new one: the new one is written beside it, brought to
//! the disk, and takes the old one's name. Two that change it at once wait for each other: each holds a lock on the
//! file, and looks after it has the lock whether that is still the file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use super::passwd::{Passwd, PasswdError, read_bytes};
use crate::mailboxes::UserId;
use crate::proto::sasl::Secret;

/// The file, locked against others who would change it.
#[derive(Debug)]
pub struct PasswdEdit {
    path: PathBuf,
    /// Holds the lock.
    file: File,
    text: Vec<u8>,
}

impl PasswdEdit {
    /// Waits for whoever else changes it, and reads it. A file that has a mistake in it is left alone: a server
    /// wouldn't take it either.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn begin(path: &Path) -> Result<Self, PasswdError> {
        let error = |why: String| PasswdError::new(path, vec![why]);
        // The file itself is replaced, not a link to it.
        let real =
            fs::canonicalize(path).map_err(|why| error(format!("can't be opened: {why}")))?;
        let file = locked(&real).map_err(|why| error(format!("can't be locked: {why}")))?;
        let text = read_bytes(&file).map_err(error)?;
        Passwd::parse(&text).map_err(|problems| PasswdError::new(path, problems))?;
        Ok(Self {
            path: real,
            file,
            text,
        })
    }

    /// Whether there is a line of this user.
    #[must_use]
    pub fn has(&self, user: &UserId) -> bool {
        self.lines().any(|line| is_of(line, user))
    }

    /// Gives a user this entry, in the line that there is or in a new one.
    pub fn set(&mut self, user: &UserId, entry: &Secret) {
        let new = [user.as_str().as_bytes(), b":", entry.expose(), b"\n"].concat();
        let mut text = Vec::with_capacity(self.text.len() + new.len());
        let mut done = false;
        for line in self.lines() {
            if is_of(line, user) {
                text.extend_from_slice(&new);
                done = true;
            } else {
                text.extend_from_slice(line);
            }
        }
        if !done {
            if text.last().is_some_and(|last| *last != b'\n') {
                text.push(b'\n');
            }
            text.extend_from_slice(&new);
        }
        self.text = text;
    }

    /// Takes a user's line away.
    pub fn remove(&mut self, user: &UserId) {
        let kept: Vec<u8> = self
            .lines()
            .filter(|line| !is_of(line, user))
            .flatten()
            .copied()
            .collect();
        self.text = kept;
    }

    /// Makes the change: when this returns it is on the disk.
    ///
    /// # Errors
    /// If the operating system refuses: the file is as it was.
    pub fn write(self) -> Result<(), PasswdError> {
        self.replace(&mut |_step| Ok(()))
            .map_err(|why| PasswdError::new(&self.path, vec![format!("can't be replaced: {why}")]))
    }

    fn replace(&self, before: &mut dyn FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        let directory = self.path.parent().unwrap_or_else(|| Path::new("/"));
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let beside = directory.join(name);
        before("clear")?;
        match fs::remove_file(&beside) {
            // Who was killed left it; nobody else makes one while we have the lock.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        before("create")?;
        let new = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        let done = self.fill(new, before).and_then(|()| {
            before("rename")?;
            fs::rename(&beside, &self.path)
        });
        if let Err(error) = done {
            if error.kind() != io::ErrorKind::Interrupted {
                // It is of no use to anybody; a next change would remove it, too.
                let _ = fs::remove_file(&beside);
            }
            return Err(error);
        }
        before("sync")?;
        File::open(directory)?.sync_all()
    }

    fn fill(
        &self,
        mut new: File,
        before: &mut dyn FnMut(&str) -> io::Result<()>,
    ) -> io::Result<()> {
        let old = self.file.metadata()?;
        let (half, rest) = self.text.split_at(self.text.len() / 2);
        before("write")?;
        new.write_all(half)?;
        before("write on")?;
        new.write_all(rest)?;
        before("own")?;
        let is = new.metadata()?;
        if (is.uid(), is.gid()) != (old.uid(), old.gid()) {
            fchown(&new, Some(old.uid()), Some(old.gid()))?;
        }
        new.set_permissions(old.permissions())?;
        before("sync file")?;
        new.sync_all()
    }

    /// With their ends.
    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.text.split_inclusive(|byte| *byte == b'\n')
    }
}

/// Opens the file that has this name when the lock is ours: who had it before may have replaced it.
fn locked(path: &Path) -> io::Result<File> {
    loop {
        let file = File::open(path)?;
        file.lock()?;
        let (ours, there) = (file.metadata()?, fs::metadata(path)?);
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
            return Ok(file);
        }
    }
}

fn is_of(line: &[u8], user: &UserId) -> bool {
    let rest = line.strip_prefix(user.as_str().as_bytes());
    rest.is_some_and(|rest| rest.first() == Some(&b':'))
}

#[cfg(test)]
mod tests;
