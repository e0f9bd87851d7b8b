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
mod referral;
mod upstream;

use std::io;
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::config::Proxy;
use ravenry_core::metrics::Recorder;
use ravenry_core::rt::{self, Address, Either, Listener};

use frontend::Frontend;
pub use frontend::Parts;

/// A pause after an accept that failed (descriptors used up), so that the shard doesn't spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves a shard's listeners until the shard drains: starts the tasks, and returns.
pub fn serve(parts: Parts, shard: usize, metrics: Recorder, listeners: Listeners) {
    let fe = Rc::new(Frontend::new(parts, shard, metrics));
    let prober = Rc::clone(&fe);
    rt::spawn(async move {
        rt::select(rt::draining(), prober.probe_backends()).await;
    });
    for listener in listeners.imap {
        rt::spawn(accept(Rc::clone(&fe), listener, false));
    }
    for listener in listeners.imaps {
        rt::spawn(accept(Rc::clone(&fe), listener, true));
    }
}

/// `tls`: a handshake comes before all else.
async fn accept(fe: Rc<Frontend>, listener: Listener, tls: bool) {
    loop {
        match rt::select(rt::draining(), listener.accept()).await {
            Either::Left(()) => return,
            Either::Right(Ok((stream, peer))) => {
                rt::spawn(imap::serve(Rc::clone(&fe), stream, peer, tls))
            }
            Either::Right(Err(error)) => pause(&error).await,
        }
    }
}

async fn pause(error: &io::Error) {
    tracing::warn!("accept: {error}");
    rt::sleep(ACCEPT_PAUSE).await;
}

/// The listeners of one shard; each shard has its own (`SO_REUSEPORT`).
pub struct Listeners {
    imap: Vec<Listener>,
    imaps: Vec<Listener>,
}

impl Listeners {
    /// Binds them.
    ///
    /// # Errors
    /// What the system calls say, with the address.
    pub fn bind(proxy: &Proxy) -> io::Result<Self> {
        Ok(Self {
            imap: bind(&proxy.imap)?,
            imaps: bind(&proxy.imaps)?,
        })
    }
}

fn bind(addresses: &[Address]) -> io::Result<Vec<Listener>> {
    let named = |address: &Address, error: io::Error| {
        io::Error::new(error.kind(), format!("{address}: {error}"))
    };
    let bind = |address| Listener::bind(address).map_err(|error| named(address, error));
    addresses.iter().map(bind).collect()
}
