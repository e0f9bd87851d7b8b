//! What a socket of a world is: a listener with its queue, or one end of a connection.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use super::{super::Address, faults::Fault};

pub(super) struct Socket {
    pub(super) local: Option<Address>,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    /// Made, and nothing yet.
    Fresh,
    Listener {
        /// Connections that wait to be accepted.
        queue: VecDeque<i32>,
    },
    End(Box<End>),
}

/// One end of a connection.
#[derive(Default)]
pub(super) struct End {
    /// The other end; nobody while connecting.
    pub(super) other: Option<i32>,
    pub(super) remote: Option<Address>,
    /// What the next call reports.
    pub(super) error: Option<i32>,
    /// Bytes that have arrived and not been read.
    pub(super) arrived: VecDeque<u8>,
    /// Nothing more will arrive.
    pub(super) ended: bool,
    /// Bytes that were written and that the other end has not read.
    pub(super) unread: usize,
    /// The most of those.
    pub(super) window: usize,
    /// Nothing more will be written.
    pub(super) shut: bool,
    /// The other end is dead: what is written comes back as a reset.
    pub(super) broken: bool,
    /// What is written vanishes on the way.
    pub(super) mute: bool,
    /// What is sent now arrives no earlier.
    pub(super) last_arrival: Duration,
    /// The fault that strikes once so many bytes have been written here.
    pub(super) fate: Option<(u64, Fault)>,
    pub(super) written: u64,
    /// What the network has done to this connection.
    pub(super) harm: BTreeSet<Fault>,
}

impl Socket {
    pub(super) fn fresh() -> Self {
        Self {
            local: None,
            kind: Kind::Fresh,
        }
    }

    pub(super) fn end(&mut self) -> Option<&mut End> {
        match &mut self.kind {
            Kind::End(end) => Some(end),
            Kind::Fresh | Kind::Listener { .. } => None,
        }
    }

    pub(super) fn is_readable(&self) -> bool {
        match &self.kind {
            Kind::Fresh => false,
            Kind::Listener { queue } => !queue.is_empty(),
            Kind::End(end) => !end.arrived.is_empty() || end.ended || end.error.is_some(),
        }
    }

    pub(super) fn is_hung_up(&self) -> bool {
        match &self.kind {
            Kind::Fresh | Kind::Listener { .. } => false,
            Kind::End(end) => end.error.is_some() || (end.ended && end.shut),
        }
    }

    pub(super) fn is_writable(&self) -> bool {
        match &self.kind {
            Kind::Fresh | Kind::Listener { .. } => false,
            Kind::End(end) => {
                end.error.is_some() || (end.other.is_some() && end.unread < end.window)
            }
        }
    }
}
