//! The clock: the only place that reads the time.

pub use std::time::{Instant, SystemTime};

/// The time on a clock that never goes back.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the function that everybody else calls"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// The time of day, for logs and protocol dates.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the function that everybody else calls"
)]
pub fn wall_clock() -> SystemTime {
    SystemTime::now()
}
