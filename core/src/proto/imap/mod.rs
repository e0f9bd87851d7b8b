//! IMAP as far as a frontend has to understand it (RFC 3501, RFC 9051), and nothing more.
//!
//! A command is split into tag, verb and arguments ([`command()`]); the arguments are read with a
//! [`Cursor`] by whoever routes the command. What is sent on is built by [`encode`]: strings are
//! encoded anew, never pasted. Responses of backends are read where the frontend acts on them:
//! [`status`], [`list`] and [`Capabilities`].

mod append;
mod capability;
mod chars;
mod command;
mod cursor;
pub mod encode;
mod marker;
mod response;
mod verb;

pub use append::{AppendHead, is_append_options};
pub use capability::{Capabilities, Literals};
pub use command::{Authenticate, BadCommand, Command, command};
pub use cursor::{Cursor, ParseError};
pub use response::{List, Status, StatusKind, list, status};
pub use verb::Verb;

#[cfg(test)]
mod tests;
