//! What goes wrong in a session under load, and who is to blame.

use std::{error, fmt, io};

use ravenry_core::rt::Elapsed;

use crate::checker::Wrong;

/// Why a session has failed.
#[derive(Debug)]
pub enum Fault {
    /// There is no connection.
    Connect(io::Error),
    /// The connection has failed.
    Broken(io::Error),
    /// The server has closed in the middle of an exchange.
    Closed,
    /// No answer in time.
    Late,
    /// The answer isn't the one that is due.
    Wrong(Wrong),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "can't connect: {error}"),
            Self::Broken(error) => write!(f, "the connection failed: {error}"),
            Self::Closed => f.write_str("the server closed before it had answered"),
            Self::Late => f.write_str("no answer in time"),
            Self::Wrong(wrong) => write!(f, "wrong answer: {wrong}"),
        }
    }
}

impl error::Error for Fault {}

impl From<Wrong> for Fault {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Elapsed> for Fault {
    fn from(_: Elapsed) -> Self {
        Self::Late
    }
}
