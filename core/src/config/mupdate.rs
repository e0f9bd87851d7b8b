//! `[mupdate.client]` and `[mupdate.server]`, typed.

use std::time::Duration;

use super::{Endpoint, TlsClient};
use crate::limits;
use crate::proto::sasl::Secret;
use crate::rt::Address;

/// `[mupdate.client]`: where the mailbox list comes from.
#[derive(Debug, Clone)]
pub struct MupdateClient {
    /// The master.
    pub server: Endpoint,
    /// The account of this process there.
    pub authname: String,
    /// Its password.
    pub password: Secret,
    /// TLS to the master.
    pub tls: TlsClient,
    /// How often the master is asked for a sign of life.
    pub noop_interval: Duration,
}

/// `[mupdate.server]`: a MUPDATE server.
#[derive(Debug, Clone)]
pub struct MupdateServer {
    /// Whether names are changed here.
    pub role: MupdateRole,
    /// Its listeners.
    pub listen: Vec<Address>,
    /// Who may log in.
    pub users: Vec<MupdateUser>,
    /// What becomes of a name that two servers want.
    pub conflicts: Conflicts,
    /// What is too much at once.
    pub guard: Guard,
    /// Connections at once.
    pub connections: u64,
    /// Bytes of changes that are kept for those who are slow to take them.
    pub backlog: usize,
    /// How long it is known that a name is gone.
    pub tombstones: Duration,
}

/// What a MUPDATE server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MupdateRole {
    /// The one place where names are changed.
    Master,
    /// A copy of another, for those who only read.
    Replica,
}

/// What becomes of a name that two servers want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflicts {
    /// Whoever has it keeps it.
    Strict,
    /// Whoever activates it last has it.
    Cyrus,
}

/// An account at a MUPDATE server.
#[derive(Debug, Clone)]
pub struct MupdateUser {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: Secret,
    /// The backend whose names alone it may change; `None`: any's.
    pub server: Option<String>,
    /// Whether it may change anything.
    pub write: bool,
}

/// How many names of a server one account may take away in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// As many always.
    pub names: u64,
    /// … or as many in a hundred of what the server has.
    pub percent: u64,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            names: limits::GUARD_NAMES_DEFAULT,
            percent: limits::GUARD_PERCENT_DEFAULT,
        }
    }
}

impl Guard {
    /// The most of a server that has `names`.
    #[must_use]
    pub fn most(&self, names: u64) -> u64 {
        let share = u128::from(names) * u128::from(self.percent) / 100;
        self.names.max(u64::try_from(share).unwrap_or(u64::MAX))
    }
}
