//! What a check found, for whoever has to put it right.

use std::fmt;
use std::path::PathBuf;

use ravenry_core::mailboxes::Name;
use ravenry_core::proto::imap::MetadataEntry;

use crate::store::{Mailbox, Usage};

/// Findings that are kept; past it they are counted.
const FINDINGS_MAX: usize = 10_000;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Mailboxes that were looked at.
    pub mailboxes: u64,
    /// Messages that were looked at, those that were expunged among them.
    pub messages: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// How much more is wrong, and isn't listed.
    pub more: u64,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The mailbox' name, or a quota root's. `None`: it is in no mailbox.
    pub name: Option<Name>,
    /// The file that it is about, if it is about one.
    pub path: Option<PathBuf>,
    /// What is wrong.
    pub wrong: Wrong,
}

/// What may be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// A message's file isn't there.
    MissingFile,
    /// A message's file can't be read, and why.
    Unreadable(String),
    /// A message's file has another size.
    Size {
        /// The file's.
        file: u64,
        /// The index'.
        index: u64,
    },
    /// A message's file has other bytes.
    Content,
    /// A file that the index doesn't know.
    UnknownFile,
    /// A directory of a mailbox that the index doesn't know.
    UnknownDirectory,
    /// What is counted in the mailbox' record isn't what its messages are.
    Counts,
    /// A message, by its UID, that is ahead of its mailbox: a UID or modseq that wasn't given yet.
    Ahead(u32),
    /// A message, by its UID, has keywords that its mailbox doesn't have.
    Keywords(u32),
    /// A mailbox isn't found by its name, or one is that was deleted.
    Name,
    /// A name leads to no mailbox, or to one of another name.
    StrayName,
    /// An annotation, by its entry, is of no mailbox, or isn't found by its user.
    Annotation(String),
    /// LIST finds a mailbox for others than its ACL says.
    Access,
    /// A message, by its UID, isn't purged when its time has come, or another time.
    Due(u32),
    /// A quota root's usage isn't what its mailboxes use.
    Quota {
        /// In its record.
        index: Usage,
        /// What it is.
        counted: Usage,
    },
}

impl Report {
    /// Nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    pub(super) fn add(&mut self, mailbox: &Mailbox, path: Option<PathBuf>, wrong: Wrong) {
        self.push(Some(mailbox.name.clone()), path, wrong);
    }

    pub(super) fn add_nameless(&mut self, path: PathBuf) {
        self.push(None, Some(path), Wrong::UnknownDirectory);
    }

    /// About the name with this key.
    pub(super) fn add_key(&mut self, key: &[u8], wrong: Wrong) {
        let bytes: Vec<u8> = key
            .iter()
            .map(|byte| if *byte == 0 { b'.' } else { *byte })
            .collect();
        self.push(Name::from_mupdate(&bytes).ok(), None, wrong);
    }

    pub(super) fn add_quota(&mut self, root: Name, index: Usage, counted: Usage) {
        self.push(Some(root), None, Wrong::Quota { index, counted });
    }

    pub(super) fn add_annotation(&mut self, entry: &MetadataEntry) {
        self.push(None, None, Wrong::Annotation(entry.to_string()));
    }

    fn push(&mut self, name: Option<Name>, path: Option<PathBuf>, wrong: Wrong) {
        if self.findings.len() == FINDINGS_MAX {
            self.more += 1;
            return;
        }
        self.findings.push(Finding { name, path, wrong });
    }
}

/// A line: the mailbox, the file, what is wrong.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}: ")?,
            None => f.write_str("no mailbox: ")?,
        }
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        self.wrong.fmt(f)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingFile => f.write_str("the file is missing"),
            Self::Unreadable(error) => write!(f, "can't be read: {error}"),
            Self::Size { file, index } => {
                write!(f, "the file has {file} bytes, and had {index}")
            }
            Self::Content => f.write_str("the file has other bytes than it had"),
            Self::UnknownFile => f.write_str("the index doesn't know the file"),
            Self::UnknownDirectory => f.write_str("the index doesn't know the directory"),
            Self::Counts => f.write_str("the counts are wrong"),
            Self::Ahead(uid) => write!(f, "message {uid} is ahead of its mailbox"),
            Self::Keywords(uid) => write!(f, "message {uid} has unknown keywords"),
            Self::Name => f.write_str("the mailbox and its name don't lead to each other"),
            Self::StrayName => f.write_str("the name leads to no mailbox of this name"),
            Self::Annotation(entry) => write!(f, "{entry} annotates nothing, or nobody finds it"),
            Self::Access => f.write_str("LIST finds it for others than its ACL says"),
            Self::Due(uid) => write!(f, "message {uid} isn't purged when its time has come"),
            Self::Quota { index, counted } => write!(
                f,
                "the quota root's usage is {index}, its mailboxes use {counted}"
            ),
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes in {} messages in {} mailboxes",
            self.storage, self.messages, self.mailboxes
        )
    }
}
