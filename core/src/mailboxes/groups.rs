//! The groups file: who is in which group of `group:NAME` identifiers.
//!
//! One group a line, `name: user, user …`; `#` begins a comment; a group may have several lines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fmt, fs, io};

use super::UserId;

/// Every user's groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups(BTreeMap<String, BTreeSet<String>>);

/// Why a groups file can't be used.
#[derive(Debug)]
pub enum GroupsError {
    /// It can't be read.
    Io(io::Error),
    /// The line (from 1) that makes no sense, and why.
    Line(usize, &'static str),
}

impl Groups {
    /// Reads a groups file.
    pub fn load(path: &Path) -> Result<Self, GroupsError> {
        Self::parse(&fs::read_to_string(path).map_err(GroupsError::Io)?)
    }

    /// Reads the text of a groups file.
    pub fn parse(text: &str) -> Result<Self, GroupsError> {
        let mut groups_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let bad = |why| GroupsError::Line(index + 1, why);
            let (group, users) = line.split_once(':').ok_or_else(|| bad("no ':' in it"))?;
            let group = group.trim();
            if group.is_empty() || group.contains(|c: char| c.is_whitespace() || c.is_control()) {
                return Err(bad("the group's name is empty or has a blank in it"));
            }
            for user in users
                .split([',', ' ', '\t'])
                .filter(|user| !user.is_empty())
            {
                let user = UserId::parse(user.as_bytes());
                let user = user.map_err(|_| bad("not a user's name"))?.to_string();
                groups_of.entry(user).or_default().insert(group.to_owned());
            }
        }
        Ok(Self(groups_of))
    }

    /// The groups a user is in, in order.
    pub fn of(&self, user: &UserId) -> Vec<String> {
        self.0
            .get(user.as_str())
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }
}

impl fmt::Display for GroupsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Line(line, why) => write!(f, "line {line}: {why}"),
        }
    }
}

impl std::error::Error for GroupsError {}
