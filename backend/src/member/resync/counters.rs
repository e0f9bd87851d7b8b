//! What comparisons have done, for `ravenry ctl stats`: atomics that any thread may read. One writer, the task.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use ravenry_core::metrics::{Kind, Sample};

use super::Done;

/// The numbers. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters(Arc<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    compared: AtomicU64,
    failed: AtomicU64,
    pushed: AtomicU64,
    removed: AtomicU64,
    quarantined: AtomicU64,
    waiting: AtomicU64,
}

impl Counters {
    pub(super) fn compared(&self) {
        self.0.compared.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.0.failed.fetch_add(1, Relaxed);
    }

    pub(super) fn done(&self, done: &Done) {
        for (number, more) in [
            (&self.0.pushed, done.pushed),
            (&self.0.removed, done.removed),
            (&self.0.quarantined, done.quarantined),
        ] {
            number.fetch_add(more as u64, Relaxed);
        }
    }

    pub(super) fn waiting(&self, deletions: usize) {
        self.0.waiting.store(deletions as u64, Relaxed);
    }

    /// As they are shown.
    pub(super) fn samples(&self) -> Vec<Sample> {
        let sample = |name, help, kind, value: &AtomicU64| Sample {
            name,
            help,
            kind,
            value: value.load(Relaxed),
        };
        let counter = |name, help, value| sample(name, help, Kind::Counter, value);
        vec![
            counter(
                "mupdate_resync_comparisons_total",
                "Comparisons with what the MUPDATE master has that came to their end.",
                &self.0.compared,
            ),
            counter(
                "mupdate_resync_failed_total",
                "Comparisons that didn't.",
                &self.0.failed,
            ),
            counter(
                "mupdate_resync_pushed_total",
                "Mailboxes that comparisons made known to the master, or mended there.",
                &self.0.pushed,
            ),
            counter(
                "mupdate_resync_removed_total",
                "Names that comparisons took out of MUPDATE.",
                &self.0.removed,
            ),
            counter(
                "mupdate_resync_quarantined_total",
                "Mailboxes that comparisons put into quarantine, since they live elsewhere.",
                &self.0.quarantined,
            ),
            sample(
                "mupdate_resync_waiting",
                "Deletions that wait for `ravenry ctl backend resync apply`.",
                Kind::Gauge,
                &self.0.waiting,
            ),
        ]
    }
}
