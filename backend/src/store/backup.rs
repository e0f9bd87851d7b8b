//! A copy of the store while it is in use: the index as it was at one moment, and every file that it refers to then.
//!
//! `DIRECTORY/backend` is the index, `DIRECTORY/spool/PARTITION` a partition; [`Store::open`] opens the copy as it is, so
//! that is how it is restored. Messages' files never change, so they are linked where that is possible and copied where
//! not. No purge happens meanwhile, and nothing else removes a message's file. The index gets its name last: what was
//! interrupted isn't taken for a backup.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use heed::CompactionOption;
use ravenry_core::lmdb::Durable;

use super::spool::{Spool, sync};
use super::tables::{DATABASES_MAX, Tables, makes_sense};
use super::{Expunged, Mailbox, MailboxId, Message, Rests, Shared, Store, StoreError};

/// How far something has come that takes its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Messages that were done.
    pub done: u64,
    /// About how many there are.
    pub all: u64,
}

/// What is in a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackedUp {
    /// Mailboxes, those that were deleted and aren't purged among them.
    pub mailboxes: u64,
    /// Files that are another name of the store's own.
    pub linked: u64,
    /// Files that were copied.
    pub copied: u64,
    /// Messages' files that the store itself doesn't have.
    pub missing: Vec<PathBuf>,
}

impl Store {
    /// Makes a copy in `directory`, which is empty or isn't there. Blocks for as long as it takes: for a pool.
    ///
    /// # Errors
    /// If there is something already, the index can't be read, or the operating system refuses. What was written by then
    /// stays, and is no backup.
    pub fn backup(
        &self,
        directory: &Path,
        mut progress: impl FnMut(Progress),
    ) -> Result<BackedUp, StoreError> {
        begin_in(directory)?;
        let _no_purge = NoPurge::begin(&self.shared);
        let unfinished = directory.join(UNFINISHED);
        let index = self.copy_index(&unfinished)?;
        let roots = self.shared.spool.partitions();
        let roots = roots.map(|(name, _)| (name.to_owned(), directory.join(SPOOL).join(name)));
        let copy = Copying {
            tables: Tables::open(index.env())?,
            from: &self.shared.spool,
            to: Spool::open(roots.collect())?,
        };
        let done = copy.all(&index, &mut progress)?;
        for above in [directory.join(SPOOL), directory.to_owned()] {
            sync(&above)?;
        }
        drop(index);
        let named = directory.join(INDEX);
        fs::rename(&unfinished, &named).map_err(|error| StoreError::io("make", &named, error))?;
        sync(directory)?;
        Ok(done)
    }

    /// Opening the copy checks every page of it, too.
    fn copy_index(&self, to: &Path) -> Result<Durable, StoreError> {
        let path = to.join("data.mdb");
        fs::create_dir(to).map_err(|error| StoreError::io("create", to, error))?;
        let env = self.shared.index.env();
        let copied = env.copy_to_path(&path, CompactionOption::Disabled)?;
        let synced = copied.sync_all();
        synced.map_err(|error| StoreError::io("sync", &path, error))?;
        sync(to)?;
        let map_bytes = env.info().map_size;
        Durable::open(to, map_bytes, DATABASES_MAX, makes_sense).map_err(StoreError::Open)
    }
}

fn begin_in(directory: &Path) -> Result<(), StoreError> {
    let refused = |error| StoreError::io("begin a backup in", directory, error);
    fs::create_dir_all(directory).map_err(refused)?;
    match fs::read_dir(directory).map_err(refused)?.next() {
        None => Ok(()),
        Some(_) => Err(refused(io::Error::new(
            io::ErrorKind::DirectoryNotEmpty,
            "there is something in it",
        ))),
    }
}

/// While it is there, no file of a message goes.
struct NoPurge<'s>(&'s Shared);

impl<'s> NoPurge<'s> {
    fn begin(shared: &'s Shared) -> Self {
        shared.backups.fetch_add(1, Ordering::SeqCst);
        let begun = Self(shared);
        // One that has begun ends first, so the snapshot doesn't have what it removes.
        shared.after_this_group();
        begun
    }
}

impl Drop for NoPurge<'_> {
    fn drop(&mut self) {
        self.0.backups.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Copying<'s> {
    /// The copy's: what is copied is what it refers to.
    tables: Tables,
    from: &'s Spool,
    to: Spool,
}

impl Copying<'_> {
    fn all(
        &self,
        index: &Durable,
        progress: &mut impl FnMut(Progress),
    ) -> Result<BackedUp, StoreError> {
        let reading = index.env().read_txn()?;
        let all = self.tables.messages.len(&reading)? + self.tables.expunged.len(&reading)?;
        let mut seen = Progress { done: 0, all };
        let mut done = BackedUp::default();
        for entry in self.tables.mailboxes.iter(&reading)? {
            let (id, record) = entry?;
            let mailbox = Mailbox::decode(MailboxId::decode(id)?, record)?;
            let parent = self.to.make(&mailbox)?;
            self.to.put_label_right(&mailbox)?;
            self.records(&mailbox)?;
            let mut one = |uid: u32, done: &mut BackedUp| {
                seen.done += 1;
                if seen.done.is_multiple_of(REPORT_EVERY) {
                    progress(seen);
                }
                self.message(&mailbox, uid, done)
            };
            for entry in self.tables.messages.prefix_iter(&reading, id)? {
                let (key, record) = entry?;
                one(Message::decode(key, record)?.uid, &mut done)?;
            }
            for entry in self.tables.expunged.prefix_iter(&reading, id)? {
                let (key, record) = entry?;
                let expunged = Expunged::decode(key, record)?;
                if expunged.rest != Rests::Missing {
                    one(expunged.message.uid, &mut done)?;
                }
            }
            sync(&self.to.directory(&mailbox.partition, mailbox.id))?;
            sync(&parent)?;
            done.mailboxes += 1;
        }
        progress(seen);
        Ok(done)
    }

    fn message(&self, mailbox: &Mailbox, uid: u32, done: &mut BackedUp) -> Result<(), StoreError> {
        let from = self.from.message(&mailbox.partition, mailbox.id, uid);
        let to = self.to.message(&mailbox.partition, mailbox.id, uid);
        match fs::hard_link(&from, &to) {
            Ok(()) => done.linked += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => done.missing.push(from),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(StoreError::io("make", &to, error));
            }
            // Another file system, or as many names as a file may have.
            Err(_) => {
                copy(&from, &to)?;
                done.copied += 1;
            }
        }
        Ok(())
    }

    /// The header cache: copied, since it is written on. It may be missing, and needs no sync.
    fn records(&self, mailbox: &Mailbox) -> Result<(), StoreError> {
        let (from, to) = (self.from.structures(mailbox), self.to.structures(mailbox));
        match fs::copy(&from, &to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("copy", &from, error))
            }
            _ => Ok(()),
        }
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let copied = File::open(from).and_then(|mut from| {
        let mut file = File::create_new(to)?;
        io::copy(&mut from, &mut file)?;
        file.sync_all()
    });
    copied.map_err(|error| StoreError::io("copy", from, error))
}

const REPORT_EVERY: u64 = 1000;
/// As [`Store::open`] calls it.
const INDEX: &str = "backend";
const UNFINISHED: &str = "unfinished";
const SPOOL: &str = "spool";
