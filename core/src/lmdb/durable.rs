//! An environment whose every commit is on the disk when it returns, in a directory of its own.
//!
//! The directory holds `data.mdb` and `lock.mdb` (LMDB's), `owner.lock` (held by the process that has it
//! open) and `begun`, which is there until the environment was first whole: a crash before that leaves nothing
//! that anybody could miss, and it is begun again. Later a file that fails the check is left as it is.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::{error, fmt, io};

use heed::{Env, WithoutTls};

use super::check::{self, Bad};
use super::{OwnError, open, own, sync_names_of, take_room_for_lock};

/// An open environment, and the right to use its directory.
pub struct Durable {
    env: Env<WithoutTls>,
    /// Let go of after the environment is closed: it is the last field.
    _lock: File,
}

/// Why an environment can't be opened.
#[derive(Debug)]
pub enum DurableError {
    /// Another process has it open.
    InUse {
        /// The lock that it holds.
        path: PathBuf,
    },
    /// The operating system refused.
    Io {
        /// What was tried, on what.
        what: String,
        /// Its answer.
        error: io::Error,
    },
    /// The file isn't what was written to it.
    Damaged {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl Durable {
    /// Opens the environment in `directory`, or begins one. `map_bytes` is a ceiling, not an allocation; `entry` takes
    /// each record of a file that was there (table, key, value), and answers `None` if it makes no sense.
    ///
    /// # Errors
    /// If another process has it, the file is damaged, or the operating system refuses.
    pub fn open(
        directory: &Path,
        map_bytes: usize,
        databases_max: u32,
        entry: impl FnMut(&[u8], &[u8], &[u8]) -> Option<()>,
    ) -> Result<Self, DurableError> {
        fs::create_dir_all(directory).map_err(|error| OwnError::io("create", directory, error))?;
        let lock = own(directory)?;
        let (path, begun) = (directory.join(DATA), directory.join(BEGUN));
        let is_new = begun.exists() || !path.exists();
        if is_new {
            File::create(&begun)
                .and_then(|file| file.sync_all())
                .map_err(|error| OwnError::io("write", &begun, error))?;
            sync_names_of(directory)?;
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(OwnError::io("remove", &path, error).into());
                }
                _ => {}
            }
        } else {
            checked(&path, entry)?;
        }
        take_room_for_lock(directory)?;
        let map_bytes = map_bytes.next_multiple_of(PAGE_BYTES);
        let env = open(directory, map_bytes, databases_max, true).map_err(|error| match error {
            heed::Error::Io(error) => OwnError::io("open", &path, error).into(),
            error => DurableError::Damaged {
                path: path.clone(),
                why: error.to_string(),
            },
        })?;
        if is_new {
            // LMDB doesn't sync the two pages that it begins a file with.
            env.force_sync().map_err(|error| {
                OwnError::io("sync", &path, io::Error::other(error.to_string()))
            })?;
            sync_names_of(directory)?;
            fs::remove_file(&begun).map_err(|error| OwnError::io("remove", &begun, error))?;
            sync_names_of(directory)?;
        }
        Ok(Self { env, _lock: lock })
    }

    /// The environment.
    #[must_use]
    pub fn env(&self) -> &Env<WithoutTls> {
        &self.env
    }
}

impl fmt::Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Durable").field(&self.env.path()).finish()
    }
}

fn checked(
    path: &Path,
    entry: impl FnMut(&[u8], &[u8], &[u8]) -> Option<()>,
) -> Result<(), DurableError> {
    let read_error = |error| OwnError::io("read", path, error);
    let file = File::open(path).map_err(read_error)?;
    match check::tables(&file, b"", entry) {
        Ok(()) => Ok(()),
        Err(Bad::Io(error)) => Err(read_error(error).into()),
        Err(Bad::Why(why)) => Err(DurableError::Damaged {
            path: path.to_owned(),
            why,
        }),
    }
}

impl From<OwnError> for DurableError {
    fn from(error: OwnError) -> Self {
        match error {
            OwnError::InUse { path } => Self::InUse { path },
            OwnError::Io { what, error } => Self::Io { what, error },
        }
    }
}

impl fmt::Display for DurableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { path } => {
                write!(f, "another ravenry holds {}", path.display())
            }
            Self::Io { what, error } => write!(f, "can't {what}: {error}"),
            Self::Damaged { path, why } => write!(
                f,
                "{} is damaged: {why}. It is left as it is",
                path.display()
            ),
        }
    }
}

impl error::Error for DurableError {}

const DATA: &str = "data.mdb";
const BEGUN: &str = "begun";
/// A multiple of every page size there is.
const PAGE_BYTES: usize = 64 * 1024;
