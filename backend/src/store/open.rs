//! Opening a store, and what has to be put in order after a crash.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use ravenry_core::lmdb::Durable;

use super::spool::{Spool, sync};
use super::tables::{DATABASES_MAX, Tables, makes_sense, message_key};
use super::{Groups, Mailbox, Shared, Store, StoreError, Writer};

/// What a store is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the index is.
    pub directory: PathBuf,
    /// Where messages are, by the partitions' names.
    pub partitions: BTreeMap<String, PathBuf>,
    /// The index' ceiling in bytes: past it nothing grows.
    pub index_size: u64,
}

/// What was found when a store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// It was not closed: its files were compared with its index.
    pub crashed: bool,
    /// Files that nothing refers to, moved to `lost+found`.
    pub lost: Vec<PathBuf>,
    /// Messages whose file isn't there.
    pub missing: Vec<PathBuf>,
}

impl Store {
    /// Opens the store, or begins one. The writer's end closes it.
    ///
    /// # Errors
    /// If another process has it, it is damaged, a partition isn't named that it needs, or the operating system
    /// refuses.
    pub fn open(settings: &Settings) -> Result<(Writer, Self, Found), StoreError> {
        let directory = settings.directory.join("backend");
        let map_bytes = settings.index_size + reserve_of(settings.index_size);
        let map_bytes = usize::try_from(map_bytes).unwrap_or(usize::MAX);
        let index = Durable::open(&directory, map_bytes, DATABASES_MAX, makes_sense);
        let index = index.map_err(StoreError::Open)?;
        let spool = Spool::open(settings.partitions.clone())?;
        let tables = Tables::open(index.env())?;
        tables.upgrade(index.env())?;
        let store = Self {
            shared: Arc::new(Shared {
                tables,
                spool,
                index_bytes_max: settings.index_size,
                backups: AtomicU32::new(0),
                groups: Groups::default(),
                index,
            }),
        };
        store.check_partitions()?;
        let mark = directory.join(OPEN);
        let mut found = Found {
            crashed: mark.exists(),
            ..Found::default()
        };
        if found.crashed {
            store.put_in_order(&mut found)?;
        }
        File::create(&mark).map_err(|error| StoreError::io("write", &mark, error))?;
        sync(&directory)?;
        store.shared.spool.clear_staging()?;
        let writer = Writer {
            store: store.clone(),
            mark,
        };
        Ok((writer, store, found))
    }

    /// Every mailbox is in a partition that is there.
    fn check_partitions(&self) -> Result<(), StoreError> {
        let reading = self.read()?;
        for entry in self.shared.tables.mailboxes.iter(&reading)? {
            let (id, record) = entry?;
            let mailbox = Mailbox::decode(super::MailboxId::decode(id)?, record)?;
            if !self.shared.spool.has(&mailbox.partition) {
                return Err(StoreError::NoPartition(mailbox.partition));
            }
        }
        Ok(())
    }

    /// Compares the files with the index.
    fn put_in_order(&self, found: &mut Found) -> Result<(), StoreError> {
        let (reading, tables) = (self.read()?, &self.shared.tables);
        self.shared
            .spool
            .each_message(|partition, mailbox, uid, path| {
                let known = match uid {
                    None => false,
                    Some(uid) => {
                        let key = message_key(mailbox, uid);
                        let kept = tables.messages.get(&reading, &key)?.is_some()
                            || tables.expunged.get(&reading, &key)?.is_some();
                        let at = tables.mailbox(&reading, mailbox)?;
                        kept && at.is_some_and(|at| at.partition == partition)
                    }
                };
                if !known {
                    found
                        .lost
                        .push(self.shared.spool.lose(partition, mailbox, path)?);
                }
                Ok(())
            })?;
        self.missing(&reading, found)
    }

    /// Looks for each message's file, and at what stands beside them.
    fn missing(&self, reading: &super::Reading<'_>, found: &mut Found) -> Result<(), StoreError> {
        let tables = &self.shared.tables;
        for entry in tables.mailboxes.iter(reading)? {
            let (id, record) = entry?;
            let mailbox = Mailbox::decode(super::MailboxId::decode(id)?, record)?;
            if let Err(error) = self.shared.spool.put_label_right(&mailbox) {
                tracing::warn!("{error}");
            }
            for entry in tables.messages.prefix_iter(reading, id)? {
                let (_, uid) = super::tables::decode_message_key(entry?.0)?;
                let path = self.path(&mailbox, uid);
                match fs::symlink_metadata(&path) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        found.missing.push(path)
                    }
                    Err(error) => return Err(StoreError::io("look at", &path, error)),
                }
            }
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Every commit was synced, so there is nothing else to be done.
        if let Err(error) = remove(&self.mark) {
            tracing::warn!("the next start will look at every file: {error}");
        }
    }
}

fn remove(mark: &Path) -> io::Result<()> {
    fs::remove_file(mark)
}

/// There while a store is open.
const OPEN: &str = "open";

/// Room beyond an index' ceiling, for a group that has begun, and for what frees room.
pub(super) fn reserve_of(index_size: u64) -> u64 {
    index_size / 8 + (64 << 20)
}
