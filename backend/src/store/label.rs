//! `ID/name`: what a mailbox is called, for those who have the files alone.
//!
//! It is written before the group that names the mailbox commits, and is on the disk by then. A group that fails has what
//! stood there put back; what a crash left that the index doesn't say is put right at the next start.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use super::spool::{Spool, sync};
use super::{Mailbox, StoreError};

/// The file's name.
pub(super) const LABEL: &str = "name";

impl Spool {
    fn label(&self, mailbox: &Mailbox) -> PathBuf {
        self.directory(&mailbox.partition, mailbox.id).join(LABEL)
    }

    /// Writes it, unless it is there and right.
    pub(super) fn put_label_right(&self, mailbox: &Mailbox) -> Result<(), StoreError> {
        let (path, line) = (self.label(mailbox), line(mailbox));
        if fs::read(&path).is_ok_and(|there| there == line) {
            return Ok(());
        }
        let written = fs::write(&path, line).and_then(|()| sync_file(&path));
        written.map_err(|error| StoreError::io("write", &path, error))
    }
}

fn line(mailbox: &Mailbox) -> Vec<u8> {
    [mailbox.name.as_bytes(), b"\n"].concat()
}

fn sync_file(path: &PathBuf) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Those that a group writes, and what stood there.
#[derive(Default)]
pub(super) struct Labels {
    before: BTreeMap<PathBuf, Option<Vec<u8>>>,
}

impl Labels {
    pub(super) fn write(&mut self, spool: &Spool, mailbox: &Mailbox) -> Result<(), StoreError> {
        let path = spool.label(mailbox);
        let before = || fs::read(&path).ok();
        self.before.entry(path.clone()).or_insert_with(before);
        let written = fs::write(&path, line(mailbox));
        written.map_err(|error| StoreError::io("write", &path, error))
    }

    /// Brings them to the disk, when all are written: the first takes most of the others along.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        for (path, before) in &self.before {
            sync_file(path).map_err(|error| StoreError::io("sync", path, error))?;
            if let (None, Some(directory)) = (before, path.parent()) {
                sync(directory)?;
            }
        }
        Ok(())
    }

    /// The group is committed: they stay.
    pub(super) fn keep(mut self) {
        self.before.clear();
    }
}

impl Drop for Labels {
    fn drop(&mut self) {
        for (path, before) in &self.before {
            let put_back = match before {
                Some(line) => fs::write(path, line),
                None => fs::remove_file(path),
            };
            if let Err(error) = put_back {
                tracing::error!("can't put {} back: {error}", path.display());
            }
        }
    }
}
