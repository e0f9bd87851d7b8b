//! What the follower publishes about itself: atomics that any thread may read at any time.
//!
//! One writer (the follower; the two counters of requests that failed and were made, and where
//! somebody waited in vain, belong to [`crate::Barrier`]). The values are not a snapshot of one instant.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::confirmed::Confirmed;

/// Where the follower is with its master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowerState {
    /// A connection is being made, or the login is under way.
    Connecting,
    /// The whole list is being fetched; the old one goes on serving.
    Syncing,
    /// The list is in step, and changes are applied as they come.
    Streaming,
    /// No connection; another attempt follows.
    Away(AwayReason),
}

/// Why there is no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum AwayReason {
    /// The follower has not been started, or has ended.
    NotRunning,
    /// The master can't be reached.
    Unreachable,
    /// There is no TLS with the master as it was asked for.
    Tls,
    /// The master closed the connection or said BYE.
    Closed,
    /// The master did not answer in time.
    Silent,
    /// The master refused the login, or offers none that is known here.
    LoginRefused,
    /// The master said something that MUPDATE does not provide for.
    Protocol,
    /// The list's file can't be written (full, damaged, no rights).
    List,
}

impl AwayReason {
    const ALL: [Self; 8] = [
        Self::NotRunning,
        Self::Unreachable,
        Self::Tls,
        Self::Closed,
        Self::Silent,
        Self::LoginRefused,
        Self::Protocol,
        Self::List,
    ];

    /// In words, without a full stop.
    pub fn text(self) -> &'static str {
        match self {
            Self::NotRunning => "the follower is not running",
            Self::Unreachable => "the MUPDATE master can't be reached",
            Self::Tls => "TLS with the MUPDATE master fails",
            Self::Closed => "the MUPDATE master has closed the connection",
            Self::Silent => "the MUPDATE master does not answer",
            Self::LoginRefused => "the MUPDATE master refuses the login",
            Self::Protocol => "the MUPDATE master breaks the protocol",
            Self::List => "the mailbox list can't be written",
        }
    }
}

impl FollowerState {
    /// One word for statistics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Syncing => "syncing",
            Self::Streaming => "streaming",
            Self::Away(_) => "away",
        }
    }

    /// Why nothing can be known about the master's list now; `None` while streaming.
    pub fn trouble(self) -> Option<&'static str> {
        match self {
            Self::Connecting => Some("the MUPDATE master is being connected to"),
            Self::Syncing => Some("the mailbox list is being fetched"),
            Self::Streaming => None,
            Self::Away(reason) => Some(reason.text()),
        }
    }

    fn to_byte(self) -> u8 {
        match self {
            Self::Connecting => 0,
            Self::Syncing => 1,
            Self::Streaming => 2,
            Self::Away(reason) => 3 + reason as u8,
        }
    }

    fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Connecting,
            1 => Self::Syncing,
            2 => Self::Streaming,
            other => {
                let reason = AwayReason::ALL.get(usize::from(other) - 3);
                Self::Away(reason.copied().unwrap_or(AwayReason::NotRunning))
            }
        }
    }
}

impl fmt::Display for FollowerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(reason) => write!(f, "away: {}", reason.text()),
            other => f.write_str(other.word()),
        }
    }
}

/// What [`crate::Barrier::status`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowerStatus {
    /// Where the follower is with its master.
    pub state: FollowerState,
    /// Names in the list.
    pub names: u64,
    /// The list's sequence after the last commit.
    pub sequence: u64,
    /// Syncs that went through.
    pub resyncs: u64,
    /// Attempts to connect after the first.
    pub reconnects: u64,
    /// Changes applied, those of syncs with them.
    pub changes: u64,
    /// Changes left out because their name or location is not one this list can hold.
    pub changes_refused: u64,
    /// When the master last said something; `None` if it never has.
    pub last_contact: Option<SystemTime>,
    /// NOOPs sent.
    pub noops: u64,
    /// Barriers asked for.
    pub barriers_asked: u64,
    /// Barriers that rode on a NOOP which another had caused.
    pub barriers_shared: u64,
    /// Barriers that failed.
    pub barriers_failed: u64,
}

/// The published side of [`FollowerStatus`].
#[derive(Debug, Default)]
pub(crate) struct Published {
    state: AtomicU8,
    pub(crate) names: AtomicU64,
    pub(crate) sequence: AtomicU64,
    pub(crate) resyncs: AtomicU64,
    pub(crate) reconnects: AtomicU64,
    pub(crate) changes: AtomicU64,
    pub(crate) changes_refused: AtomicU64,
    contact_milliseconds: AtomicU64,
    pub(crate) noops: AtomicU64,
    pub(crate) barriers_asked: AtomicU64,
    pub(crate) barriers_shared: AtomicU64,
    pub(crate) barriers_failed: AtomicU64,
    pub(crate) confirmed: Confirmed,
}

impl Published {
    pub(crate) fn new(names: u64, sequence: u64) -> Self {
        let published = Self::default();
        // Not yet begun isn't ended: whoever supervises the process looks for that from the first moment.
        published.set_state(FollowerState::Connecting);
        published.names.store(names, Relaxed);
        published.sequence.store(sequence, Relaxed);
        published
    }

    pub(crate) fn state(&self) -> FollowerState {
        FollowerState::from_byte(self.state.load(Relaxed))
    }

    pub(crate) fn set_state(&self, state: FollowerState) {
        self.state.store(state.to_byte(), Relaxed);
    }

    pub(crate) fn contact(&self, at: SystemTime) {
        let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let milliseconds = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        self.contact_milliseconds.store(milliseconds, Relaxed);
    }

    pub(crate) fn read(&self) -> FollowerStatus {
        let contact = self.contact_milliseconds.load(Relaxed);
        FollowerStatus {
            state: self.state(),
            names: self.names.load(Relaxed),
            sequence: self.sequence.load(Relaxed),
            resyncs: self.resyncs.load(Relaxed),
            reconnects: self.reconnects.load(Relaxed),
            changes: self.changes.load(Relaxed),
            changes_refused: self.changes_refused.load(Relaxed),
            last_contact: (contact > 0).then(|| UNIX_EPOCH + Duration::from_millis(contact)),
            noops: self.noops.load(Relaxed),
            barriers_asked: self.barriers_asked.load(Relaxed),
            barriers_shared: self.barriers_shared.load(Relaxed),
            barriers_failed: self.barriers_failed.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AwayReason, FollowerState, Published};

    #[test]
    fn every_state_survives_being_published() {
        let away = AwayReason::ALL.map(FollowerState::Away);
        let up = [
            FollowerState::Connecting,
            FollowerState::Syncing,
            FollowerState::Streaming,
        ];
        for state in up.into_iter().chain(away) {
            let published = Published::new(1, 2);
            published.set_state(state);
            assert_eq!(published.read().state, state);
            assert_eq!(state.trouble().is_none(), state == FollowerState::Streaming);
        }
    }
}
