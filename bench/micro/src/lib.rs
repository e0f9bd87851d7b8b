//! What the measurements share: an invented site of any size, and how times are told.

use std::time::Duration;

use ravenry_core::rt;

pub mod parts;
pub mod session;
pub mod site;

/// How long something took, and what it gave.
pub fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let start = rt::now();
    let done = run();
    (rt::now() - start, done)
}

/// Microseconds at p50, p99, p99.9 and the worst.
pub fn percentiles(mut times: Vec<Duration>) -> serde_json::Value {
    times.sort_unstable();
    let at = |thousandth: usize| micros(times[(times.len() - 1) * thousandth / 1000]);
    serde_json::json!({
        "times": times.len(), "p50_us": at(500), "p99_us": at(990), "p999_us": at(999), "max_us": at(1000),
    })
}

/// Microseconds, to hundredths.
pub fn micros(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e8).round() / 100.0
}

/// The process's anonymous memory in KiB: now, and the most it had (of which the kernel keeps no RssAnon
/// but the whole, with mapped files).
pub fn rss_anon_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}
