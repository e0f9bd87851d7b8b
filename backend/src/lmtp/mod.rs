//! LMTP (RFC 2033) over the store: how mail comes. docs/protocols/lmtp.md says what is answered when.
//!
//! `session` waits, reads lines and answers; `envelope` decides who gets a message, before it comes; `data` takes it, and
//! `delivery` has it stored. Once the message has come there is one reply for each recipient that was taken, in their
//! order, and a good one says that the message is on the disk.

mod auth;
mod data;
mod delivery;
mod envelope;
mod input;
mod recipient;
mod session;
mod trace;

use ravenry_core::admission::Refused;

pub(crate) use session::serve;

/// What a client is told for whom there is no place.
pub(crate) fn turned_away(refused: Refused) -> &'static [u8] {
    match refused {
        Refused::Address => b"421 4.7.0 Too many connections from your address\r\n",
        Refused::Total | Refused::User => b"421 4.3.2 Too many connections, try again later\r\n",
    }
}
