//! Whose list this is: a master's own, or a copy, and of what.
//!
//! A *master* is the one place where a site's names are changed. When another takes over it does
//! so in a new *epoch*; whoever was master in an older one and learns of it changes nothing more.

/// The part that a list has among others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The newest epoch whose changes are in it; 0: of a master that has none (Cyrus').
    pub epoch: u64,
    /// The epoch in which this list is the master's; 0: in none.
    pub master_in: u64,
    /// The newer epoch of which a master has learned; 0: of none.
    pub superseded_by: u64,
}

impl Standing {
    /// Whether names may be changed here.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.master_in != 0 && self.master_in >= self.epoch && self.superseded_by <= self.master_in
    }
}

/// How far a copy has come: what it asks its upstream from the next time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    /// The upstream's list; 0: not known, or it has no identity (Cyrus').
    pub identity: u64,
    /// The commit of it up to which all is here.
    pub sequence: u64,
}
