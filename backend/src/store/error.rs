//! What can go wrong with the store. "Not there" is never among it: that is an answer.

use std::path::Path;
use std::{error, fmt, io};

use ravenry_core::lmdb::DurableError;

/// Why the store can't be opened, read or written.
#[derive(Debug)]
pub enum StoreError {
    /// The index can't be opened.
    Open(DurableError),
    /// The index has come to its ceiling; nothing was changed.
    Full,
    /// The operating system refused.
    Io {
        /// What was tried, on what.
        what: String,
        /// Its answer.
        error: io::Error,
    },
    /// LMDB refuses.
    Index(heed::Error),
    /// The index contradicts itself: what is wrong.
    Damaged(&'static str),
    /// The configuration names no such partition.
    NoPartition(String),
}

impl StoreError {
    pub(super) fn io(what: &str, path: &Path, error: io::Error) -> Self {
        let what = format!("{what} {}", path.display());
        Self::Io { what, error }
    }
}

impl From<heed::Error> for StoreError {
    fn from(error: heed::Error) -> Self {
        match error {
            heed::Error::Mdb(heed::MdbError::MapFull) => Self::Full,
            heed::Error::Io(error) => Self::Io {
                what: "use the index".to_owned(),
                error,
            },
            error => Self::Index(error),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Full => f.write_str("the index is full: index_size has to grow"),
            Self::Io { what, error } => write!(f, "can't {what}: {error}"),
            Self::Index(error) => write!(f, "the index: {error}"),
            Self::Damaged(what) => write!(f, "the index is damaged: {what}"),
            Self::NoPartition(name) => {
                write!(
                    f,
                    "there is no partition {name}: it has to be in [backend] partitions"
                )
            }
        }
    }
}

impl error::Error for StoreError {}
