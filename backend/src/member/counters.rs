//! What the member counts, for `ravenry ctl stats`: atomics that any thread may read. One writer, the mupdate core.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use ravenry_core::metrics::{Kind, Sample};

/// The numbers. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters(Arc<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    changes: AtomicU64,
    refused: AtomicU64,
    away: AtomicU64,
    unsettled: AtomicU64,
}

impl Counters {
    /// A change has come to its end.
    pub(super) fn change(&self, refused: bool) {
        self.0.changes.fetch_add(1, Relaxed);
        self.0.refused.fetch_add(refused.into(), Relaxed);
    }

    /// Whether the master answers.
    pub(super) fn away(&self, away: bool) {
        self.0.away.store(away.into(), Relaxed);
    }

    /// So many names wait to be settled.
    pub(super) fn unsettled(&self, names: usize) {
        self.0.unsettled.store(names as u64, Relaxed);
    }

    /// As they are shown.
    pub(super) fn samples(&self) -> Vec<Sample> {
        let sample = |name, help, kind, value: &AtomicU64| Sample {
            name,
            help,
            kind,
            value: value.load(Relaxed),
        };
        vec![
            sample(
                "mupdate_member_changes_total",
                "Changes of names and ACLs that came to their end, carried out or not.",
                Kind::Counter,
                &self.0.changes,
            ),
            sample(
                "mupdate_member_changes_refused_total",
                "Those that were not carried out.",
                Kind::Counter,
                &self.0.refused,
            ),
            sample(
                "mupdate_member_away",
                "1 while the MUPDATE master doesn't answer: no name and no ACL can change.",
                Kind::Gauge,
                &self.0.away,
            ),
            sample(
                "mupdate_member_unsettled",
                "Names that wait to be settled with the MUPDATE master.",
                Kind::Gauge,
                &self.0.unsettled,
            ),
        ]
    }
}
