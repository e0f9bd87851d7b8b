//! The backend: it stores mail and serves it.
//!
//! One shard owns a session from accept to close. [`serve`] is a shard's task: it accepts on the shard's own listeners
//! and starts a session a client. Sessions read the [`store`] themselves and have it changed by the one
//! [`Committer`], which tells every shard what changed.

pub mod collation;
mod committer;
mod delivery;
mod imap;
mod import;
mod lmtp;
mod member;
pub mod message;
pub mod objectid;
mod operator;
mod renaming;
mod room;
pub mod search;
mod shard;
pub mod sorting;
pub mod store;
pub mod threading;

use std::io;
use std::rc::Rc;

use ravenry_core::client::{self, Desk, Listening};
use ravenry_core::config;
use ravenry_core::rt::{self, Address};

pub use committer::{Committer, Orders, committer};
pub use import::Import;
pub use member::{Member, MemberParts, MemberTask, member};
pub use operator::{ANSWER_ENDS, Operator};
use shard::Backend;
pub use shard::Parts;

/// Serves a shard's listeners until the shard drains: starts the tasks, and returns.
pub fn serve(desk: Rc<Desk>, parts: Parts, listeners: Listeners) {
    let backend = Rc::new(Backend::new(Rc::clone(&desk), parts));
    rt::spawn(Rc::clone(&backend).listen());
    for (listeners, tls) in [(listeners.imap, false), (listeners.imaps, true)] {
        for listening in listeners {
            let backend = Rc::clone(&backend);
            rt::spawn_behind(client::accept(
                Rc::clone(&desk),
                listening,
                move |stream, peer, place| {
                    imap::serve(Rc::clone(&backend), stream, peer, tls, place)
                },
            ));
        }
    }
    for listening in listeners.lmtp {
        let backend = Rc::clone(&backend);
        rt::spawn_behind(client::accept(
            Rc::clone(&desk),
            listening,
            move |stream, peer, place| lmtp::serve(Rc::clone(&backend), stream, peer, place),
        ));
    }
}

/// The listeners of one shard; each shard has its own (`SO_REUSEPORT`).
pub struct Listeners {
    imap: Vec<Listening>,
    imaps: Vec<Listening>,
    lmtp: Vec<Listening>,
}

impl Listeners {
    /// Binds those of the shard `number`. A unix socket is one listener, and the first shard has it.
    ///
    /// # Errors
    /// What the system calls say, with the address.
    pub fn bind(backend: &config::Backend, number: usize) -> io::Result<Self> {
        let here = |address: &&Address| number == 0 || matches!(address, Address::Tcp(_));
        let here = |all: &[Address]| all.iter().filter(here).cloned().collect::<Vec<_>>();
        Ok(Self {
            imap: client::bind(&here(&backend.imap), Some(client::imap_turned_away))?,
            imaps: client::bind(&here(&backend.imaps), None)?,
            lmtp: client::bind(&here(&backend.lmtp), Some(lmtp::turned_away))?,
        })
    }
}
