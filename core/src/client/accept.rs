//! Taking connections: each gets its place, or a word of why it has none.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::Desk;
use crate::admission::{Place, Refused};
use crate::rt::{self, Address, Either, Listener, Stream};

/// A pause after an accept that failed (descriptors used up), so that the shard doesn't spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections accepted before those who are here already have their turn.
const ACCEPTS_IN_A_ROW: u32 = 4;

/// A listener of one shard; each shard has its own (`SO_REUSEPORT`).
pub struct Listening {
    /// The listener.
    pub listener: Listener,
    /// What whoever finds no place is told, in the listener's protocol; `None` where TLS comes before all else: the
    /// handshake would cost what the limit is to save.
    pub turned_away: Option<fn(Refused) -> &'static [u8]>,
}

/// Accepts until the shard drains; `serve` is a connection's task.
pub async fn accept<F>(
    desk: Rc<Desk>,
    listening: Listening,
    serve: impl Fn(Stream, Address, Place) -> F,
) where
    F: Future<Output = ()> + 'static,
{
    let mut in_row = 0;
    loop {
        match rt::select(rt::draining(), listening.listener.accept()).await {
            Either::Left(()) => return,
            Either::Right(Ok((stream, peer))) => {
                desk.metrics.connections.add(1);
                match desk.parts.admission.connection(&peer) {
                    Ok(place) => {
                        rt::spawn_behind(serve(stream, peer, place));
                    }
                    Err(refused) => {
                        desk.refused(refused, "-", &peer);
                        if let Some(text) = listening.turned_away {
                            // A line fits into the buffer of a connection that is new; whether it arrives
                            // changes nothing.
                            let _ = stream.try_write(text(refused));
                        }
                    }
                }
            }
            Either::Right(Err(error)) => pause(&desk, &error).await,
        }
        in_row += 1;
        if in_row == ACCEPTS_IN_A_ROW {
            in_row = 0;
            rt::yield_now().await;
        }
    }
}

async fn pause(desk: &Desk, error: &io::Error) {
    if let Some(count) = desk.accept_failed.count() {
        tracing::warn!(count, "accept: {error}");
    }
    rt::sleep(ACCEPT_PAUSE).await;
}

/// What an IMAP client is told for whom there is no place.
#[must_use]
pub fn imap_turned_away(refused: Refused) -> &'static [u8] {
    match refused {
        Refused::Address => b"* BYE [LIMIT] Too many connections from your address\r\n",
        Refused::Total | Refused::User => {
            b"* BYE [LIMIT] Too many connections, try again later\r\n"
        }
    }
}

/// Binds a shard's listeners.
///
/// # Errors
/// What the system calls say, with the address.
pub fn bind(
    addresses: &[Address],
    turned_away: Option<fn(Refused) -> &'static [u8]>,
) -> io::Result<Vec<Listening>> {
    let bind = |address: &Address| {
        let listener = Listener::bind(address)
            .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
        Ok(Listening {
            listener,
            turned_away,
        })
    };
    addresses.iter().map(bind).collect()
}
