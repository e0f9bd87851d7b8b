//! Who may do what to a name: the state that it is in and a command in, the answer, the change and
//! what is to be told out. Pure: no store, no socket, no clock.
//!
//! docs/protocols/mupdate-server.md has the table; a test has a line for each of its cells. What is
//! compared are servers, never partitions: a Cyrus backend leaves the partition out when it renames.
//! A reservation never lapses, neither by time nor with its connection: a name that can't be reached
//! is better than one in two places. RFC 3656 sections 4.1, 4.3, 4.4, 4.9.

use ravenry_core::config::Conflicts;
use ravenry_core::mailboxes::{Acl, Change, Entry, Location, Name, State};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    /// The backend whose names alone it may change; `None`: any's.
    pub(crate) server: Option<String>,
    pub(crate) write: bool,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Reserve {
        name: Name,
        location: Location,
    },
    Activate {
        name: Name,
        location: Location,
        acl: Acl,
    },
    Deactivate {
        name: Name,
        location: Location,
    },
    Delete {
        name: Name,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) answer: Answer,
    /// What is to be changed, if that is allowed.
    pub(crate) change: Option<Change>,
    /// The server that has the name, where another wanted it or took it.
    pub(crate) against: Option<String>,
}

/// The answer to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// OK
    Done,
    /// RESERVE: the name is another server's.
    Exists,
    /// ACTIVATE, DEACTIVATE, DELETE: the name is another server's.
    NotYours,
    /// DEACTIVATE: it is there, but not active.
    NotActive,
    /// DEACTIVATE, DELETE: there is no such name.
    NotThere,
    /// The account is bound to a server, and the location names another.
    Foreign,
    /// The account may not write.
    MayNotWrite,
    /// Too many names were taken away.
    Guarded,
    /// A newer master has taken over.
    Superseded,
    /// The store couldn't be written.
    NotStored,
    /// Too many wait already.
    Crowded,
}

impl Answer {
    /// The text of the OK or NO.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Exists => "mailbox already exists",
            Self::NotYours => "mailbox belongs to another server",
            Self::NotActive => "mailbox not currently active",
            Self::NotThere => "mailbox doesn't exist",
            Self::Foreign => "this account is bound to another server",
            Self::MayNotWrite => "this account may not change anything",
            Self::Guarded => "too many mailboxes taken away: the operator has to allow it",
            Self::Superseded => "another master has taken over",
            Self::NotStored => "the change could not be stored",
            Self::Crowded => "too many changes are waiting",
        }
    }
}

impl Ask {
    pub(crate) fn name(&self) -> &Name {
        match self {
            Self::Reserve { name, .. }
            | Self::Activate { name, .. }
            | Self::Deactivate { name, .. }
            | Self::Delete { name } => name,
        }
    }

    /// The word of the command, for the log.
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Self::Reserve { .. } => "RESERVE",
            Self::Activate { .. } => "ACTIVATE",
            Self::Deactivate { .. } => "DEACTIVATE",
            Self::Delete { .. } => "DELETE",
        }
    }

    /// The server for which it is asked, where the command says so.
    fn server(&self) -> Option<&str> {
        match self {
            Self::Reserve { location, .. }
            | Self::Activate { location, .. }
            | Self::Deactivate { location, .. } => Some(&location.server),
            Self::Delete { .. } => None,
        }
    }
}

/// Decides what `account` asks of a name that is as `held` says.
pub(crate) fn decide(
    held: Option<&Entry>,
    account: &Account,
    ask: &Ask,
    conflicts: Conflicts,
) -> Verdict {
    if !account.write {
        return no(Answer::MayNotWrite);
    }
    if let (Some(bound), Some(server)) = (&account.server, ask.server())
        && !same(bound, server)
    {
        return no(Answer::Foreign);
    }
    let Some(held) = held else {
        return match ask {
            Ask::Reserve { .. } | Ask::Activate { .. } => done(ask, None),
            Ask::Deactivate { .. } | Ask::Delete { .. } => no(Answer::NotThere),
        };
    };
    let owner = held.location.server.as_str();
    // DELETE says nothing of a server: the account's own stands for it.
    let asked_for = ask.server().or(account.server.as_deref());
    let is_owner = asked_for.is_none_or(|server| same(server, owner));
    match (ask, conflicts) {
        (Ask::Reserve { location, .. }, Conflicts::Cyrus) if *location != held.location => {
            against(Answer::Exists, owner)
        }
        (Ask::Reserve { .. }, Conflicts::Strict) if !is_owner => against(Answer::Exists, owner),
        (Ask::Activate { .. }, Conflicts::Strict) if !is_owner && held.state != State::Moving => {
            against(Answer::NotYours, owner)
        }
        (Ask::Activate { .. }, _) if !is_owner && held.state == State::Active => {
            done(ask, Some(owner))
        }
        (Ask::Deactivate { .. }, _) if held.state != State::Active => no(Answer::NotActive),
        (Ask::Deactivate { .. }, Conflicts::Strict) | (Ask::Delete { .. }, _) if !is_owner => {
            against(Answer::NotYours, owner)
        }
        _ => done(ask, None),
    }
}

/// Host names don't differ by case (RFC 1035 section 2.3.3).
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

fn done(ask: &Ask, against: Option<&str>) -> Verdict {
    let change = match ask.clone() {
        Ask::Reserve { name, location } => Change::Reserved { name, location },
        Ask::Activate {
            name,
            location,
            acl,
        } => Change::Active {
            name,
            location,
            acl,
        },
        Ask::Deactivate { name, location } => Change::Moving { name, location },
        Ask::Delete { name } => Change::Deleted { name },
    };
    Verdict {
        answer: Answer::Done,
        change: Some(change),
        against: against.map(str::to_owned),
    }
}

fn no(answer: Answer) -> Verdict {
    Verdict {
        answer,
        change: None,
        against: None,
    }
}

fn against(answer: Answer, owner: &str) -> Verdict {
    Verdict {
        against: Some(owner.to_owned()),
        ..no(answer)
    }
}

#[cfg(test)]
mod tests;
