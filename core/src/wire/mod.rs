//! Framing: where messages begin and end. No I/O, no clock, no copying.
//!
//! Every scanner here looks at a buffer that the caller owns and lets grow at its end. It remembers
//! how far it has looked, so no byte is searched twice however small the pieces are in which the
//! bytes arrive, and any split of the input gives the same result. What the bytes mean is
//! [`crate::proto`]'s business.

pub mod imap;
pub mod lmtp;
pub mod mupdate;
#[cfg(any(test, fuzzing))]
pub mod replay;
