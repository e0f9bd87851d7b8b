//! What every role of Ravenry stands on.
//!
//! Layers, one way only: [`rt`], [`wire`], [`proto`] know nothing of each other; the rest of
//! core stands on them; the roles (`ravenry-mupdate`, `ravenry-proxy`, `ravenry-backend`) stand on core.
//! `wire` and `proto` are pure: bytes in, values out, no socket and no clock.

pub mod admission;
pub mod auth;
pub mod client;
pub mod config;
pub mod current;
pub mod deflate;
pub mod faultpoint;
pub mod group;
pub mod limits;
pub mod lmdb;
pub mod log;
pub mod mailboxes;
pub mod metrics;
pub mod proto;
pub mod rt;
pub mod tls;
pub mod wire;
