//! Whether the writer is at work: for what looks at the index and the files and has to know that both are at rest.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Shared;

/// How many groups there were since the store was opened.
#[derive(Default)]
pub(super) struct Groups {
    begun: AtomicU64,
    /// With all that comes after the commit.
    ended: AtomicU64,
}

/// A group that is under way.
pub(super) struct UnderWay<'g>(&'g Groups);

impl Groups {
    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        UnderWay(self)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl Shared {
    /// Waits for the group that is under way; the next one sees whatever was set before. For a pool.
    pub(super) fn after_this_group(&self) {
        let begun = self.groups.begun.load(Ordering::SeqCst);
        while self.groups.ended.load(Ordering::SeqCst) < begun {
            #[expect(clippy::disallowed_methods, reason = "no shard waits here")]
            std::thread::sleep(A_LITTLE);
        }
    }
}

/// Less than most commits take.
const A_LITTLE: Duration = Duration::from_micros(200);
