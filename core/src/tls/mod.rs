//! TLS on connections of `rt`: what rustls does, and what is left to do around it.
//!
//! A [`Leg`] is a connection with or without TLS, compressed or not; the roles read, write and relay legs
//! and don't care which. Without TLS every call goes straight to `rt`. [`Certificates`] reads the files of
//! `[tls]` and hands out [`Acceptor`]s, one a shard, which do a server's handshake;
//! [`Connector`] does a client's. Where the bytes go: `session` is the pure part (records in,
//! plaintext and records out), `channel` moves them, `leg` compresses above it, `relay` passes literals on.
//!
//! Invariants: a leg that has begun a handshake never falls back to plaintext; no record is sent
//! twice or out of order, whichever future is dropped; a leg that waits holds what rustls keeps
//! of a session and no buffer; keys are in no error and in no log line.

mod certificates;
mod channel;
mod connector;
mod leg;
mod pem;
mod relay;
mod session;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

pub use self::certificates::{Acceptor, Certificates};
pub use self::connector::Connector;
pub use self::leg::Leg;
pub use self::pem::TlsError;
pub use self::relay::{discard_exact, discard_rest, relay_exact, send_file};
use crate::rt;

/// The cryptography, chosen once: ring's.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The time by which certificates are valid: rt's.
#[derive(Debug)]
struct Clock;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let now = rt::wall_clock().duration_since(rt::SystemTime::UNIX_EPOCH);
        now.ok().map(UnixTime::since_unix_epoch)
    }
}
