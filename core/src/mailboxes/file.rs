//! Opening the list: whose it is, whether the file is whole, what happens if it isn't.
//!
//! `STATE_DIR/mailboxes/` holds `data.mdb` and `lock.mdb` (LMDB's), `owner.lock` (held by the one
//! process that may use the directory) and `mark`: the boot under which the file was last open,
//! and whether it was closed cleanly. A file is mapped only if every page of it was checked with
//! ordinary reads (a map of a short file kills the process), and if the machine hasn't crashed
//! since it was written (commits aren't synced). Any other file is moved aside and a
//! new list begun: it can be rebuilt from MUPDATE. A durable list is the truth: its commits are synced,
//! so it may be mapped after any crash, and one that fails the check is left where it is, and nothing
//! starts.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heed::{Env, WithoutTls};

use super::reader::damaged;
use super::tables::{DATABASES_MAX, Meta, NOT_KEPT, Reading, Tables};
use super::{ListError, ListReader, ListWriter};
use crate::lmdb::check::Bad;
use crate::{lmdb, rt};

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
        open(state_dir, map_bytes, Kept::Copy)
    }

    /// The same for a list that others follow: every commit is on the disk when it returns, what has
    /// changed can be told, and a file that is damaged stays where it is.
    pub fn open_durable(
        state_dir: &Path,
        map_bytes: usize,
    ) -> Result<(ListWriter, ListReader, Opened), ListError> {
        open(state_dir, map_bytes, Kept::Durably)
    }
}

/// What a list is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// Of the master's, and can be fetched anew.
    Copy,
    /// What others follow, or the master's own.
    Durably,
}

fn open(
    state_dir: &Path,
    map_bytes: usize,
    kept: Kept,
) -> Result<(ListWriter, ListReader, Opened), ListError> {
    let directory = state_dir.join("mailboxes");
    fs::create_dir_all(&directory).map_err(|error| ListError::io("create", &directory, error))?;
    let lock = lmdb::own(&directory)?;
    let found = match fs::metadata(directory.join(DATA)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(None),
        _ => open_found(&directory, map_bytes, kept)?.map_err(Some),
    };
    let ((env, tables), opened) = match found {
        Ok(open) => (
            open,
            Opened {
                fresh: false,
                why: None,
            },
        ),
        Err(Some(why)) if kept == Kept::Durably && !was_just_begun(&directory) => {
            return Err(ListError::Damaged(format!(
                "{why}. {} is left as it is: move it away, start again, and bring the names back \
                 with `ravenry ctl mupdate restore FILE`",
                directory.display()
            )));
        }
        Err(why) => {
            set_aside(&directory)?;
            let begun = begin(&directory, map_bytes, kept)?;
            (begun, Opened { fresh: true, why })
        }
    };
    let store = Arc::new(Store {
        env,
        tables,
        map_bytes,
        directory,
        kept,
        _lock: lock,
    });
    store.keep_changes()?;
    Ok((
        ListWriter::new(Arc::clone(&store)),
        ListReader::new(store),
        opened,
    ))
}

/// An open environment and its tables, and the right to use them.
pub(super) struct Store {
    pub(super) env: Env<WithoutTls>,
    pub(super) tables: Tables,
    map_bytes: usize,
    directory: PathBuf,
    kept: Kept,
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
        if self.kept == Kept::Durably {
            return Ok(());
        }
        self.env.force_sync().map_err(|error| self.error(error))?;
        write_mark(&self.directory, CLEAN)
    }

    /// `changes` is kept from now on, or not any more.
    fn keep_changes(&self) -> Result<(), ListError> {
        let error = |error| self.error(error);
        let mut writing = self.env.write_txn().map_err(error)?;
        let Some(mut meta) = self.tables.meta(&writing).map_err(error)? else {
            return Err(damaged("the record of its layout"));
        };
        let from = match (self.kept, meta.indexed_from == NOT_KEPT) {
            (Kept::Durably, true) => meta.sequence,
            (Kept::Copy, false) => NOT_KEPT,
            (Kept::Durably, false) | (Kept::Copy, true) => return Ok(()),
        };
        (meta.indexed_from, meta.removed_from) = (from, from);
        let cleared = self.tables.changes.clear(&mut writing);
        cleared
            .and_then(|()| self.tables.put_meta(&mut writing, &meta))
            .and_then(|()| writing.commit())
            .map_err(error)
    }

    pub(super) fn error(&self, error: heed::Error) -> ListError {
        ListError::lmdb(error, self.map_bytes)
    }
}

type Open = (Env<WithoutTls>, Tables);

/// Opens a file that is there; the inner error says why it can't be used and may go.
fn open_found(
    directory: &Path,
    map_bytes: usize,
    kept: Kept,
) -> Result<Result<Open, String>, ListError> {
    let path = directory.join(DATA);
    let read_error = |error| ListError::io("read", &path, error);
    if let Err(why) = check_mark(directory)? {
        return Ok(Err(why));
    }
    let file = File::open(&path).map_err(read_error)?;
    match check::file(&file) {
        Ok(()) => {}
        Err(Bad::Io(error)) => return Err(read_error(error)),
        Err(Bad::Why(why)) => return Ok(Err(why)),
    }
    if kept == Kept::Copy {
        write_mark(directory, OPEN)?;
        return map(directory, map_bytes, kept).map(Ok);
    }
    let (env, tables) = map(directory, map_bytes, kept)?;
    // It may have been a copy, whose last commits weren't synced.
    env.force_sync()
        .map_err(|error| ListError::lmdb(error, map_bytes))?;
    write_mark(directory, DURABLE)?;
    Ok(Ok((env, tables)))
}

fn begin(directory: &Path, map_bytes: usize, kept: Kept) -> Result<Open, ListError> {
    write_mark(directory, if kept == Kept::Copy { OPEN } else { BEGUN })?;
    let (env, tables) = map(directory, map_bytes, kept)?;
    let identity = rt::random::u64().max(1);
    let begun = || {
        let mut writing = env.write_txn()?;
        tables.put_meta(&mut writing, &Meta::new(identity))?;
        writing.commit()
    };
    begun().map_err(|error| ListError::lmdb(error, map_bytes))?;
    if kept == Kept::Durably {
        lmdb::sync_names_of(directory)?;
        write_mark(directory, DURABLE)?;
    }
    Ok((env, tables))
}

/// Whether a crash came before the list was first open: nothing has ever been in it.
fn was_just_begun(directory: &Path) -> bool {
    fs::read_to_string(directory.join(MARK)).is_ok_and(|mark| mark.starts_with(BEGUN))
}

fn map(directory: &Path, map_bytes: usize, kept: Kept) -> Result<Open, ListError> {
    let map_bytes = map_bytes.next_multiple_of(PAGE_BYTES);
    let error = |error| ListError::lmdb(error, map_bytes);
    lmdb::take_room_for_lock(directory)?;
    let env =
        lmdb::open(directory, map_bytes, DATABASES_MAX, kept == Kept::Durably).map_err(error)?;
    let tables = Tables::open(&env).map_err(error)?;
    Ok((env, tables))
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
        Some((CLEAN | DURABLE, _)) => Ok(()),
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
/// Commits are synced: whatever happens, the file is what the last one left.
const DURABLE: &str = "durable";
/// About to become durable.
const BEGUN: &str = "begun";
/// A multiple of every page size there is.
const PAGE_BYTES: usize = 64 * 1024;
