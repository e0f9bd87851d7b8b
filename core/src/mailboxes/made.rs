//! What was changed, for those who are told at once: which name, what it is now, where it was.

use super::entry::Record;
use super::{Entry, Name};

/// Changes that were committed, in their order, since somebody last took them.
#[derive(Debug)]
pub struct Made {
    /// Each with the sequence of its commit.
    pub changes: Vec<(u64, OneMade)>,
    /// Whether these are all: past a bound the earlier ones are dropped.
    pub whole: bool,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneMade {
    /// The name.
    pub name: Name,
    /// What it is now; `None`: it is gone.
    pub now: Option<Entry>,
    /// The server where it was before.
    pub server_before: Option<String>,
}

impl Default for Made {
    fn default() -> Self {
        Self {
            changes: Vec::new(),
            whole: true,
        }
    }
}

impl Made {
    pub(super) fn extend(&mut self, sequence: u64, made: Vec<OneMade>) {
        if self.changes.len() + made.len() > CHANGES_MAX {
            self.changes.clear();
            self.whole = false;
        }
        self.changes
            .extend(made.into_iter().map(|made| (sequence, made)));
    }
}

impl OneMade {
    pub(super) fn new(key: &[u8], old: Option<&Record<'_>>, new: Option<&Record<'_>>) -> Self {
        Self {
            name: Name::from_key(key),
            now: new.map(|new| new.to_entry()),
            server_before: old.map(|old| old.server.to_owned()),
        }
    }
}

/// Ten times what one transaction makes.
const CHANGES_MAX: usize = 10_000;
