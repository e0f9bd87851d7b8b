//! Opening the list: whose it is, whether the file is whole, what happens if it isn't.
//!
//! `STATE_DIR/mailboxes/` holds `data.mdb` and `lock.mdb` (LMDB's), `owner.lock` (held by the one
//! process that may use the directory) and `mark`: the boot under which the file was last open,
//! and whether it was closed cleanly. A file is mapped only if every page of it was checked with
//! ordinary reads (a map of a short file kills the process), and if the machine hasn't crashed
//! since it was written (commits aren't synced). Any other file is moved aside and a
//! new list begun: it can be rebuilt from MUPDATE.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heed::{Env, WithoutTls};

use super::tables::{DATABASES_MAX, Meta, Reading, Tables};
use super::{ListError, ListReader, ListWriter};
use crate::lmdb;

mod check;

/// The mailbox list's file.
#[derive(Debug)]
pub struct ListFile;

/// What was found when the list was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Whether the list was begun anew (and so isn't complete).
    pub fresh: bool,
    /// Why an older file was given up: it is kept beside as `data.mdb.set-aside`.
    pub why: Option<String>,
}

impl ListFile {
    /// Opens the list under `state_dir`, or begins one.
    ///
    /// `map_bytes` is a ceiling for the file, not an allocation: address space is all it takes.
    pub fn open(
        state_dir: &Path,
        map_bytes: usize,
    ) -> Result<(ListWriter, ListReader, Opened), ListError> {
        let directory = state_dir.join("mailboxes");
        fs::create_dir_all(&directory)
            .map_err(|error| ListError::io("create", &directory, error))?;
        let lock = own(&directory)?;
        let found = match fs::metadata(directory.join(DATA)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(None),
            _ => open_found(&directory, map_bytes)?.map_err(Some),
        };
        let ((env, tables), opened) = match found {
            Ok(open) => (
                open,
                Opened {
                    fresh: false,
                    why: None,
                },
            ),
            Err(why) => {
                set_aside(&directory)?;
                (begin(&directory, map_bytes)?, Opened { fresh: true, why })
            }
        };
        let store = Arc::new(Store {
            env,
            tables,
            map_bytes,
            directory,
            _lock: lock,
        });
        Ok((
            ListWriter::new(Arc::clone(&store)),
            ListReader::new(store),
            opened,
        ))
    }
}

/// An open environment and its tables, and the right to use them.
pub(super) struct Store {
    pub(super) env: Env<WithoutTls>,
    pub(super) tables: Tables,
    map_bytes: usize,
    directory: PathBuf,
    /// Let go of after the environment is closed: it is the last field.
    _lock: File,
}

impl Store {
    /// A read transaction: short, never held across an await.
    pub(super) fn read(&self) -> Result<Reading<'_>, ListError> {
        self.env.read_txn().map_err(|error| self.error(error))
    }

    /// Brings what was written to the disk, and says that the next start may trust it.
    pub(super) fn close_cleanly(&self) -> Result<(), ListError> {
        self.env.force_sync().map_err(|error| self.error(error))?;
        write_mark(&self.directory, CLEAN)
    }

    pub(super) fn error(&self, error: heed::Error) -> ListError {
        ListError::lmdb(error, self.map_bytes)
    }
}

type Open = (Env<WithoutTls>, Tables);

fn own(directory: &Path) -> Result<File, ListError> {
    let path = directory.join("owner.lock");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| ListError::io("open", &path, error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(ListError::InUse { path }),
        Err(TryLockError::Error(error)) => Err(ListError::io("lock", &path, error)),
    }
}

/// Opens a file that is there; the inner error says why it can't be used and may go.
fn open_found(directory: &Path, map_bytes: usize) -> Result<Result<Open, String>, ListError> {
    let path = directory.join(DATA);
    let read_error = |error| ListError::io("read", &path, error);
    if let Err(why) = check_mark(directory)? {
        return Ok(Err(why));
    }
    let file = File::open(&path).map_err(read_error)?;
    match check::file(&file) {
        Ok(()) => {}
        Err(check::Bad::Io(error)) => return Err(read_error(error)),
        Err(check::Bad::Why(why)) => return Ok(Err(why)),
    }
    write_mark(directory, OPEN)?;
    map(directory, map_bytes).map(Ok)
}

fn begin(directory: &Path, map_bytes: usize) -> Result<Open, ListError> {
    write_mark(directory, OPEN)?;
    let (env, tables) = map(directory, map_bytes)?;
    let begun = || {
        let mut writing = env.write_txn()?;
        tables.put_meta(&mut writing, &Meta::NEW)?;
        writing.commit()
    };
    begun().map_err(|error| ListError::lmdb(error, map_bytes))?;
    Ok((env, tables))
}

fn map(directory: &Path, map_bytes: usize) -> Result<Open, ListError> {
    let map_bytes = map_bytes.next_multiple_of(PAGE_BYTES);
    let error = |error| ListError::lmdb(error, map_bytes);
    take_room_for_lock(directory)?;
    let env = lmdb::open(directory, map_bytes, DATABASES_MAX, READERS_MAX).map_err(error)?;
    let tables = Tables::open(&env).map_err(error)?;
    Ok((env, tables))
}

/// LMDB writes its lock file through a map, where a full disk is no error but a SIGBUS: the file
/// gets its blocks before. Nobody else has it open, and LMDB begins it anew.
fn take_room_for_lock(directory: &Path) -> Result<(), ListError> {
    let path = directory.join("lock.mdb");
    let room = vec![0; LOCK_BYTES];
    fs::write(&path, room).map_err(|error| ListError::io("write", &path, error))
}

fn set_aside(directory: &Path) -> Result<(), ListError> {
    let path = directory.join(DATA);
    match fs::rename(&path, directory.join("data.mdb.set-aside")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ListError::io("move aside", &path, error))
        }
        _ => Ok(()),
    }
}

/// Whether the file can be what was last written to it.
fn check_mark(directory: &Path) -> Result<Result<(), String>, ListError> {
    let path = directory.join(MARK);
    let mark = match fs::read_to_string(&path) {
        Ok(mark) => mark,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        Err(error) => return Err(ListError::io("read", &path, error)),
    };
    Ok(match mark.trim_end().split_once(' ') {
        Some((CLEAN, _)) => Ok(()),
        Some((OPEN, boot)) if !boot.is_empty() && boot == boot_id() => Ok(()),
        Some((OPEN, _)) => Err("the machine went down while it was open".to_owned()),
        _ => Err("it has no mark of how it was closed".to_owned()),
    })
}

fn write_mark(directory: &Path, mark: &str) -> Result<(), ListError> {
    let (path, new) = (directory.join(MARK), directory.join("mark.new"));
    let written = || {
        let mut file = File::create(&new)?;
        writeln!(file, "{mark} {}", boot_id())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(directory)?.sync_all()
    };
    written().map_err(|error| ListError::io("write", &path, error))
}

/// Names this run of the machine; empty where that can't be told.
fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

const DATA: &str = "data.mdb";
const MARK: &str = "mark";
const CLEAN: &str = "clean";
const OPEN: &str = "open";
/// A multiple of every page size there is.
const PAGE_BYTES: usize = 64 * 1024;
/// A reader takes 64 bytes, LMDB's head some hundred.
const LOCK_BYTES: usize = (READERS_MAX as usize + 16) * 64;
/// More than the shards and pools of a machine ever read at once.
const READERS_MAX: u32 = 1024;
