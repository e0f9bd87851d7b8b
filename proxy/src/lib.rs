//! The frontend: clients talk to it as if it had every mailbox of the site.
//!
//! One shard owns a session from accept to close. [`serve`] is a shard's task: it accepts on the
//! shard's own listeners and spawns a session a client. A session looks names up in the mailbox
//! list, opens a connection to the backend that has the mailbox, and relays. It never writes the
//! list, and holds nothing that can't be built anew.

mod capability;
mod departures;
mod failure;
mod frontend;
mod imap;
mod incoming;
mod referral;
mod throttle;
mod upstream;

use std::io;
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::admission::Refused;
use ravenry_core::config::Proxy;
use ravenry_core::metrics::Recorder;
use ravenry_core::rt::{self, Address, Either, Listener, Stream};

use frontend::Frontend;
pub use frontend::Parts;

/// A pause after an accept that failed (descriptors used up), so that the shard doesn't spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections accepted before those who are here already have their turn.
const ACCEPTS_IN_A_ROW: u32 = 4;

/// Serves a shard's listeners until the shard drains: starts the tasks, and returns.
pub fn serve(parts: Parts, shard: usize, metrics: Recorder, listeners: Listeners) {
    let fe = Rc::new(Frontend::new(parts, shard, metrics));
    let prober = Rc::clone(&fe);
    rt::spawn(async move {
        rt::select(rt::draining(), prober.probe_backends()).await;
    });
    for listener in listeners.imap {
        rt::spawn_behind(accept(Rc::clone(&fe), listener, false));
    }
    for listener in listeners.imaps {
        rt::spawn_behind(accept(Rc::clone(&fe), listener, true));
    }
}

/// `tls`: a handshake comes before all else.
async fn accept(fe: Rc<Frontend>, listener: Listener, tls: bool) {
    let mut in_row = 0;
    loop {
        match rt::select(rt::draining(), listener.accept()).await {
            Either::Left(()) => return,
            Either::Right(Ok((stream, peer))) => {
                fe.metrics.connections.add(1);
                match fe.parts.admission.connection(&peer) {
                    Ok(place) => {
                        rt::spawn_behind(imap::serve(Rc::clone(&fe), stream, peer, tls, place));
                    }
                    Err(refused) => turn_away(&fe, &stream, &peer, tls, refused),
                }
            }
            Either::Right(Err(error)) => pause(&fe, &error).await,
        }
        in_row += 1;
        if in_row == ACCEPTS_IN_A_ROW {
            in_row = 0;
            rt::yield_now().await;
        }
    }
}

/// Past a limit: a word of why where it costs nothing. Where TLS comes first there is none: the
/// handshake would cost what the limit is to save.
fn turn_away(fe: &Frontend, stream: &Stream, peer: &Address, tls: bool, refused: Refused) {
    fe.refused(refused, "-", peer);
    if tls {
        return;
    }
    let bye: &[u8] = match refused {
        Refused::Address => b"* BYE [LIMIT] Too many connections from your address\r\n",
        Refused::Total | Refused::User => {
            b"* BYE [LIMIT] Too many connections, try again later\r\n"
        }
    };
    // A line fits into the buffer of a connection that is new; whether it arrives changes nothing.
    let _ = stream.try_write(bye);
}

async fn pause(fe: &Frontend, error: &io::Error) {
    if let Some(count) = fe.accept_failed.count() {
        tracing::warn!(count, "accept: {error}");
    }
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
