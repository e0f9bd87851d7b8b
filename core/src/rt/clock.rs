//! The clock: the only place that reads the time.
//!
//! On a thread that is a simulated world the time is the world's.

use std::cell::Cell;
pub use std::time::{Instant, SystemTime};

thread_local! {
    static VIRTUAL: Cell<Option<(Instant, SystemTime)>> = const { Cell::new(None) };
}

/// The time on a clock that never goes back.
#[must_use]
pub fn now() -> Instant {
    VIRTUAL.get().map_or_else(host_instant, |time| time.0)
}

/// The time of day, for logs and protocol dates.
#[must_use]
pub fn wall_clock() -> SystemTime {
    VIRTUAL.get().map_or_else(host_wall_clock, |time| time.1)
}

/// Sets this thread's clock; None for the host's.
pub(super) fn set(time: Option<(Instant, SystemTime)>) {
    VIRTUAL.set(time);
}

#[expect(clippy::disallowed_methods, reason = "what now() stands on")]
pub(super) fn host_instant() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "what wall_clock() stands on")]
fn host_wall_clock() -> SystemTime {
    SystemTime::now()
}
