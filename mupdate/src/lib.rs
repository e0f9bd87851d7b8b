//! MUPDATE (RFC 3656): the follower that keeps the mailbox list in step with a master, and the server
//! that is one.
//!
//! [`follower()`] makes two ends. [`Follower::run`] is a task of the mupdate core and, by type, the
//! only writer of the list: it fetches the whole list, then applies each change of the master's
//! stream, and comes back by itself when the connection breaks. [`Barrier`] is what shards hold:
//! [`Barrier::wait`] returns when the list has every change that the master had made at the time
//! of the call, or fails because that cannot be known.
//!
//! [`Server`] is the other side: sessions of clients, streams to followers, and behind them the master,
//! which decides by rules and commits in groups.
//!
//! The follower's protocol is pure (`machine`, `barriers`, `batch`, `backoff`): bytes and time in; commands,
//! changes and answers out. `follower` is the loop around it, on `rt`.

mod backoff;
mod barrier;
mod barriers;
mod batch;
mod client;
mod config;
mod confirmed;
mod fault;
mod follower;
mod hello;
mod machine;
mod master;
mod server;
mod status;
mod way;

pub use barrier::{Barrier, BarrierError};
pub use client::{Answer, Ask, Client, ClientTask, Held, Outcome, Unanswered, client};
pub use config::FollowerConfig;
pub use follower::{Follower, follower};
pub use server::{Counters, Local, Operator, Server, ServerParts, listen, local, own};
pub use status::{AwayReason, FollowerState, FollowerStatus};
