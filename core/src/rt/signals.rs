//! Signals, taken by waiting for them on the main thread: no handler ever runs.

use std::time::Duration;

use super::sys;

const HANDLED: [libc::c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// What the process was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGINT or SIGTERM: end.
    Terminate,
    /// SIGHUP: read the configuration again, reopen files.
    Hangup,
}

/// Keeps signals for [`wait`]. To be called first of all, before any thread is started: threads
/// inherit it. SIGPIPE and SIGXFSZ are ignored: a peer that has gone, and a file that may not grow
/// (`ulimit -f`), are errors of the call that writes.
pub fn block() {
    sys::ignore_signal(libc::SIGPIPE);
    sys::ignore_signal(libc::SIGXFSZ);
    sys::block_signals(&HANDLED);
}

/// Waits for a signal, for `within` at most. Blocks the thread: for the main thread, which is no
/// shard.
#[must_use]
pub fn wait(within: Duration) -> Option<Signal> {
    match sys::wait_signal(&HANDLED, within) {
        Ok(libc::SIGHUP) => Some(Signal::Hangup),
        Ok(_) => Some(Signal::Terminate),
        // The time is over, or a debugger came in between.
        Err(_) => None,
    }
}
