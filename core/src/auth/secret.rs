//! A password in memory: never printed, wiped when it goes.

use std::fmt;
use std::hint::black_box;

/// A password or another secret. It has no `Display`, its `Debug` shows nothing (not even the
/// length), and its bytes are overwritten when it is dropped.
#[derive(Clone, Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for a hash or for the wire. Never for a log line.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the compiler from leaving out stores that nobody reads.
        black_box(&mut self.0);
    }
}
