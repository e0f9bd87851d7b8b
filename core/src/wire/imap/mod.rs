//! The bounds of IMAP messages: lines and literals (RFC 3501 section 2.2, RFC 7888, RFC 3516).
//!
//! * [`CommandFramer`] reads a client: it gathers one whole command with its literals, hands the
//!   messages of an APPEND over for streaming, and stays in step whatever bad input comes.
//! * [`ResponseScanner`] reads a backend: it walks over responses line by line, so that they can be
//!   relayed without being held.
//! * [`LineScanner`] is what both stand on.

mod command;
mod line;
mod marker;
mod response;

pub use command::{BadCommand, CommandError, CommandEvent, CommandFramer, CommandLimits};
pub use line::{BadLine, Discard, Line, LineError, LineScanner, Scanned};
pub use marker::Literal;
pub use response::{BadResponse, Kind, ResponseEvent, ResponseLine, ResponseScanner, Status};
