//! The client by which a backend asks the master for changes (RFC 3656 sections 4.1, 4.3 to 4.6, 4.9).
//!
//! [`client()`] makes two ends. [`ClientTask::run`] is a task of the mupdate core that keeps one connection to the master,
//! as long as there is one to be had; [`Client::ask`] sends commands on it, those of many who ask one behind the other,
//! and returns with an answer for each. No command is ever sent twice: where a connection ends with commands unanswered,
//! nobody here can tell whether they were carried out ([`Unanswered::Unknown`]), and whoever asked has to look.
//!
//! `conversation` is the protocol (bytes and time in, commands and answers out), `task` the loop around it.

mod conversation;
mod task;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ravenry_core::mailboxes::{Acl, Location, Name, State};
use ravenry_core::rt::channel;

pub use self::task::{ClientTask, client};

/// Requests on their way to the task.
const REQUESTS_MAX: usize = 4096;

/// What is asked of the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// RESERVE: the name is to be this server's.
    Reserve {
        /// The mailbox.
        name: Name,
        /// Where it will be.
        location: Location,
    },
    /// ACTIVATE: the mailbox is there.
    Activate {
        /// The mailbox.
        name: Name,
        /// Where it is.
        location: Location,
        /// Who may do what.
        acl: Acl,
    },
    /// DEACTIVATE: it is there no longer, the name stays.
    Deactivate {
        /// The mailbox.
        name: Name,
        /// Where it was.
        location: Location,
    },
    /// DELETE: the name is free.
    Delete {
        /// The mailbox.
        name: Name,
    },
    /// FIND: what is held of one name.
    Find {
        /// The mailbox.
        name: Name,
    },
    /// LIST: what is held of a server's names.
    List {
        /// Its host name.
        server: String,
    },
    /// NOOP: whether the master can be reached.
    Noop,
}

/// What the master says to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// It isn't, and why: NO or BAD with its text, fit for a log line.
    Refused(String),
    /// What is held: of FIND at most one.
    Found(Vec<Held>),
}

/// What the master holds of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The mailbox.
    pub name: Name,
    /// Whether it is active.
    pub state: State,
    /// Where.
    pub location: Location,
    /// Who may do what; empty where it isn't active.
    pub acl: Acl,
}

/// Why there is no answer, in words for a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The command wasn't sent.
    Unreachable(String),
    /// It was sent; whether it was carried out can't be told.
    Unknown(String),
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "the MUPDATE master can't be reached: {why}"),
            Self::Unknown(why) => write!(f, "the MUPDATE master didn't answer: {why}"),
        }
    }
}

/// What comes of one command.
pub type Outcome = Result<Answer, Unanswered>;

/// Where the outcomes of one [`Client::ask`] go.
type Reply = channel::OneSender<Vec<Outcome>>;

/// For the task.
enum Request {
    Ask {
        asks: Vec<Ask>,
        reply: Reply,
    },
    Connected {
        after: u64,
        reply: channel::OneSender<u64>,
    },
}

/// A handle by which shards and the core ask. Clones lead to one connection.
#[derive(Clone)]
pub struct Client {
    requests: channel::Sender<Request>,
    connections: Arc<AtomicU64>,
}

impl Client {
    /// Sends commands, and returns their outcomes in the same order: each waits for the others' answers, none for
    /// their success. Within [`super::FollowerConfig::answer_within`] of the master's last word, there is one.
    pub async fn ask(&self, asks: Vec<Ask>) -> Vec<Outcome> {
        let count = asks.len();
        let (reply, outcomes) = channel::oneshot();
        let never = |why: &str| vec![Err(Unanswered::Unreachable(why.to_owned())); count];
        match self.requests.try_send(Request::Ask { asks, reply }) {
            Ok(()) => match outcomes.await {
                Ok(outcomes) => outcomes,
                // It ends with the process; what was sent may be done.
                Err(_ended) => vec![Err(Unanswered::Unknown("it is being stopped".into())); count],
            },
            Err(channel::SendError::Full(_)) => never("too many changes wait for it"),
            Err(channel::SendError::Closed(_)) => never("this server is being stopped"),
        }
    }

    /// How often a connection has come up.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Acquire)
    }

    /// Resolves when more connections than `after` have come up, with their number. `None`: there will be none.
    pub async fn connected(&self, after: u64) -> Option<u64> {
        let (reply, connected) = channel::oneshot();
        let request = Request::Connected { after, reply };
        self.requests.try_send(request).ok()?;
        connected.await.ok()
    }
}
