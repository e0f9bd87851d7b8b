//! What a MUPDATE server counts: written on the mupdate core, read by any thread.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ravenry_core::metrics::{Kind, Sample};

/// One number.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub(crate) fn sub(&self, less: u64) {
        self.0.fetch_sub(less, Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Counters {
    pub(crate) connections: Count,
    pub(crate) connections_open: Count,
    pub(crate) connections_refused: Count,
    pub(crate) logins: Count,
    pub(crate) logins_failed: Count,
    pub(crate) commands: Count,
    pub(crate) commands_bad: Count,
    pub(crate) commits: Count,
    pub(crate) changes: Count,
    pub(crate) conflicts: Count,
    pub(crate) guarded: Count,
    pub(crate) store_failed: Count,
    pub(crate) streams: Count,
    pub(crate) streams_open: Count,
    pub(crate) streams_caught_up: Count,
    pub(crate) streams_cut: Count,
    pub(crate) lists_sent: Count,
    pub(crate) deltas_sent: Count,
}

type Of = fn(&Counters) -> &Count;

const NAMES: &[(&str, &str, Kind, Of)] = &[
    (
        "mupdate_server_connections_total",
        "Connections.",
        Kind::Counter,
        |c| &c.connections,
    ),
    (
        "mupdate_server_connections_open",
        "Connections open now.",
        Kind::Gauge,
        |c| &c.connections_open,
    ),
    (
        "mupdate_server_connections_refused_total",
        "Connections refused: as many are open as may be.",
        Kind::Counter,
        |c| &c.connections_refused,
    ),
    (
        "mupdate_server_logins_total",
        "Logins.",
        Kind::Counter,
        |c| &c.logins,
    ),
    (
        "mupdate_server_logins_failed_total",
        "Logins that failed.",
        Kind::Counter,
        |c| &c.logins_failed,
    ),
    (
        "mupdate_server_commands_total",
        "Commands.",
        Kind::Counter,
        |c| &c.commands,
    ),
    (
        "mupdate_server_commands_bad_total",
        "Commands answered with BAD.",
        Kind::Counter,
        |c| &c.commands_bad,
    ),
    (
        "mupdate_server_commits_total",
        "Commits.",
        Kind::Counter,
        |c| &c.commits,
    ),
    (
        "mupdate_server_changes_total",
        "Names changed.",
        Kind::Counter,
        |c| &c.changes,
    ),
    (
        "mupdate_server_conflicts_total",
        "Commands for a name of another server.",
        Kind::Counter,
        |c| &c.conflicts,
    ),
    (
        "mupdate_server_guarded_total",
        "Commands refused because too many names were taken away.",
        Kind::Counter,
        |c| &c.guarded,
    ),
    (
        "mupdate_server_store_failed_total",
        "Commits that failed.",
        Kind::Counter,
        |c| &c.store_failed,
    ),
    (
        "mupdate_server_streams_total",
        "UPDATEs.",
        Kind::Counter,
        |c| &c.streams,
    ),
    (
        "mupdate_server_streams_open",
        "Streams open now.",
        Kind::Gauge,
        |c| &c.streams_open,
    ),
    (
        "mupdate_server_streams_caught_up_total",
        "Times a stream was behind what is kept in memory and caught up from the list.",
        Kind::Counter,
        |c| &c.streams_caught_up,
    ),
    (
        "mupdate_server_streams_cut_total",
        "Streams closed because nobody took them.",
        Kind::Counter,
        |c| &c.streams_cut,
    ),
    (
        "mupdate_server_deltas_total",
        "Times that what had changed was sent instead of the whole list.",
        Kind::Counter,
        |c| &c.deltas_sent,
    ),
    (
        "mupdate_server_lists_total",
        "Whole lists sent.",
        Kind::Counter,
        |c| &c.lists_sent,
    ),
];

impl Counters {
    /// As `ravenry ctl stats` shows them.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let sample = |&(name, help, kind, of): &(&'static str, &'static str, Kind, Of)| Sample {
            name,
            help,
            kind,
            value: of(self).value(),
        };
        NAMES.iter().map(sample).collect()
    }
}
