//! Protocols: parsed commands and responses. No I/O, no clock.
//!
//! What is parsed here was framed by [`crate::wire`]: it is whole, and its lines hold no NUL, bare
//! CR or bare LF (the parsers don't rely on it: any bytes give an answer).

pub mod imap;
pub mod lmtp;
pub mod mupdate;
pub mod sasl;
