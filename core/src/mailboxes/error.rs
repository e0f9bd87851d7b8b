//! What can go wrong with the list. "Not there" is never among it: that is an answer.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::lmdb::OwnError;

/// Why the list can't be opened, read or written.
#[derive(Debug)]
pub enum ListError {
    /// No full sync has ended yet: whether a name is there can't be told.
    Incomplete,
    /// Another process has the list under this state directory open.
    InUse {
        /// The lock that it holds.
        path: PathBuf,
    },
    /// The list has no room left in its map; the change wasn't made.
    Full {
        /// The map's size.
        map_bytes: usize,
    },
    /// The operating system refused.
    Io {
        /// What was tried, on what.
        what: String,
        /// Its answer.
        error: io::Error,
    },
    /// The tables contradict themselves, or LMDB refuses.
    Damaged(String),
}

impl ListError {
    pub(super) fn io(what: &str, path: &Path, error: io::Error) -> Self {
        Self::Io {
            what: format!("{what} {}", path.display()),
            error,
        }
    }

    pub(super) fn lmdb(error: heed::Error, map_bytes: usize) -> Self {
        match error {
            heed::Error::Mdb(heed::MdbError::MapFull) => Self::Full { map_bytes },
            heed::Error::Io(error) => Self::Io {
                what: "use the mailbox list".to_owned(),
                error,
            },
            error => Self::Damaged(error.to_string()),
        }
    }
}

impl From<OwnError> for ListError {
    fn from(error: OwnError) -> Self {
        match error {
            OwnError::InUse { path } => Self::InUse { path },
            OwnError::Io { what, error } => Self::Io { what, error },
        }
    }
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => f.write_str("the mailbox list isn't complete yet"),
            Self::InUse { path } => write!(
                f,
                "another ravenry holds {}: each needs a state_dir of its own",
                path.display()
            ),
            Self::Full { map_bytes } => {
                write!(
                    f,
                    "the mailbox list is full: its map of {map_bytes} bytes has to grow"
                )
            }
            Self::Io { what, error } => write!(f, "can't {what}: {error}"),
            Self::Damaged(why) => write!(f, "the mailbox list is damaged: {why}"),
        }
    }
}

impl std::error::Error for ListError {}
