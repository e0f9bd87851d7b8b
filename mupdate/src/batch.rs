//! Changes that go into the list in one transaction: bounded in count and in bytes, because a
//! transaction holds its pages in memory and the core that commits it does nothing else meanwhile.

use ravenry_core::mailboxes::{Acl, Change, Location, Name};
use ravenry_core::proto::mupdate::Response;

use crate::fault::excerpt;

/// How much goes into one transaction. At least one change always fits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchLimits {
    pub(crate) count_max: usize,
    pub(crate) bytes_max: usize,
}

/// Changes received and not yet committed, in the master's order.
#[derive(Debug)]
pub(crate) struct Batch {
    changes: Vec<Change>,
    bytes: usize,
    limits: BatchLimits,
    refused: u64,
}

impl Batch {
    pub(crate) fn new(limits: BatchLimits) -> Self {
        Self {
            changes: Vec::new(),
            bytes: 0,
            limits,
            refused: 0,
        }
    }

    pub(crate) fn changes(&self) -> &[Change] {
        &self.changes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.changes.len() >= self.limits.count_max || self.bytes >= self.limits.bytes_max
    }

    pub(crate) fn clear(&mut self) {
        self.changes.clear();
        self.bytes = 0;
    }

    /// Changes left out so far, over all connections.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Takes a MAILBOX, RESERVE or DELETE with `tag`; false if `response` is none.
    ///
    /// A name that the list can't hold (8-bit bytes, say) is left out and logged: one odd name
    /// must not keep all others from being served.
    pub(crate) fn push(&mut self, response: &Response<'_>, tag: &[u8]) -> bool {
        let (Response::Mailbox {
            tag: theirs, name, ..
        }
        | Response::Reserve {
            tag: theirs, name, ..
        }
        | Response::Deactivate {
            tag: theirs, name, ..
        }
        | Response::Delete { tag: theirs, name }) = response
        else {
            return false;
        };
        if *theirs != tag {
            return false;
        }
        match Name::from_mupdate(name) {
            Ok(name) => self.keep(name, response),
            Err(why) => {
                self.refused += 1;
                if self.refused.is_power_of_two() {
                    let (name, count) = (excerpt(name), self.refused);
                    tracing::warn!(name, %why, count, "the master has names that are left out here");
                }
            }
        }
        true
    }

    fn keep(&mut self, name: Name, response: &Response<'_>) {
        self.bytes += name.as_bytes().len();
        self.changes.push(match response {
            Response::Mailbox { location, acl, .. } => {
                self.bytes += location.len() + acl.len();
                Change::Active {
                    name,
                    location: Location::parse(location),
                    acl: Acl::new(acl),
                }
            }
            Response::Reserve { location, .. } => {
                self.bytes += location.len();
                Change::Reserved {
                    name,
                    location: Location::parse(location),
                }
            }
            Response::Deactivate { location, .. } => {
                self.bytes += location.len();
                Change::Moving {
                    name,
                    location: Location::parse(location),
                }
            }
            _ => Change::Deleted { name },
        });
    }
}
