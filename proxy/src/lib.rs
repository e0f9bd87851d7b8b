//! The frontend: clients talk to it as if it had every mailbox of the site.
//!
//! One shard owns a session from accept to close. [`serve`] is a shard's task: it accepts on the
//! shard's own listeners and spawns a session a client. A session looks names up in the mailbox
//! list, opens a connection to the backend that has the mailbox, and relays. It never writes the
//! list, and holds nothing that can't be built anew.

mod capability;
mod failure;
mod frontend;
mod imap;
mod incoming;
mod probe;
mod referral;
mod upstream;

use std::io;
use std::rc::Rc;

use ravenry_core::client::{self, Desk, Listening};
use ravenry_core::config::Proxy;
use ravenry_core::rt;

use frontend::Frontend;
pub use frontend::Parts;

/// Serves a shard's listeners until the shard drains: starts the tasks, and returns.
pub fn serve(desk: Rc<Desk>, parts: Parts, listeners: Listeners) {
    let fe = Rc::new(Frontend::new(Rc::clone(&desk), parts));
    let prober = Rc::clone(&fe);
    rt::spawn(async move {
        rt::select(rt::draining(), prober.probe_backends()).await;
    });
    for (listeners, tls) in [(listeners.imap, false), (listeners.imaps, true)] {
        for listening in listeners {
            let fe = Rc::clone(&fe);
            rt::spawn_behind(client::accept(
                Rc::clone(&desk),
                listening,
                move |stream, peer, place| imap::serve(Rc::clone(&fe), stream, peer, tls, place),
            ));
        }
    }
}

/// The listeners of one shard; each shard has its own (`SO_REUSEPORT`).
pub struct Listeners {
    imap: Vec<Listening>,
    imaps: Vec<Listening>,
}

impl Listeners {
    /// Binds them.
    ///
    /// # Errors
    /// What the system calls say, with the address.
    pub fn bind(proxy: &Proxy) -> io::Result<Self> {
        Ok(Self {
            imap: client::bind(&proxy.imap, Some(client::imap_turned_away))?,
            imaps: client::bind(&proxy.imaps, None)?,
        })
    }
}
