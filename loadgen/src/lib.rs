//! An open-loop IMAP load generator: sessions on a shard of `rt`, each answer checked, latency
//! measured from the moment at which a command should have been sent.
//!
//! ```text
//! scenario ─► pace (when) ─► session (one command, one reply) ─► checker (pure) ─► record ─► report
//! ```
//!
//! Invariants: a command whose answer is wrong, late or missing is a failure and never a sample;
//! a command that waits for the one before it waits on the clock (no coordinated omission).

pub mod checker;
mod fault;
pub mod idle;
pub mod message;
pub mod pace;
mod record;
pub mod report;
pub mod scenario;
mod session;

pub use fault::Fault;
pub use record::Record;
pub use session::{Session, Target};
