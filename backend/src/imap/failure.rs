//! Why a command could not be carried out, and the one place where that becomes an answer.
//!
//! A client gets exactly one tagged reply, or `* BYE`, or (its own leg gone) nothing at all.

use std::borrow::Cow;
use std::io;

use ravenry_core::client::{HandshakeFailed, Lost, NotAdmitted};
use ravenry_core::mailboxes::NameError;
use ravenry_core::proto::imap::ParseError;
use ravenry_core::proto::imap::encode::{self, HasNul};
use ravenry_core::proto::sasl::SaslError;
use ravenry_core::rt::PoolError;

use crate::delivery::NotStored;
use crate::store::{Refused, StoreError};

/// Why a command could not be carried out.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The client's leg is gone or stalled past its deadline. There is nobody to answer.
    Client(io::Error),
    /// The client broke the protocol so that the session can't be in step again.
    Fatal(&'static str),
    /// The session is over, and the client has been told.
    Ended(End),
    /// What the client has been sent can't be ended as it has to be: a file that became shorter, say.
    Torn(String),
    /// The command is wrong (tagged BAD).
    Bad(Cow<'static, str>),
    /// The command is right, but not now (tagged BAD as well; no sign of a client gone astray).
    State(&'static str),
    /// The command is refused: tagged NO, with a response code (RFC 5530).
    No(Cow<'static, str>, Cow<'static, str>),
}

/// How a session ended, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// LOGOUT.
    Logout,
    /// The client closed, vanished or stalled.
    ClientGone,
    /// The TLS handshake failed.
    NoTls,
    /// No login in time.
    LoginTimeout,
    /// Too many logins failed.
    BadLogins,
    /// No command in time.
    Autologout,
    /// The client doesn't speak IMAP.
    BadClient,
    /// The store failed in the middle of an answer.
    StoreFailed,
    /// This process is stopping.
    Draining,
    /// It was cut off: a panic, or the grace of a stop was over.
    Aborted,
}

/// What a failure means for the session.
pub(crate) enum Answer {
    /// A tagged reply (status, code and text, without tag and CRLF); the session goes on.
    Tagged(String),
    /// `* BYE` with this code and text; the session ends.
    Bye(End, String),
    /// The session ends without a word (any more).
    Silence(End),
}

impl Failure {
    pub(crate) fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Bad(text.into())
    }

    pub(crate) fn coded(
        code: impl Into<Cow<'static, str>>,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::No(code.into(), text.into())
    }

    /// "Can't tell", or not now (RFC 5530 UNAVAILABLE).
    pub(crate) fn unavailable(text: impl Into<Cow<'static, str>>) -> Self {
        Self::coded("UNAVAILABLE", text)
    }

    /// There is no such mailbox, or it isn't this user's to know of: the same answer.
    pub(crate) fn nonexistent() -> Self {
        Self::coded("NONEXISTENT", "Mailbox does not exist")
    }

    /// A right is missing (RFC 4314, RFC 5530).
    pub(crate) fn noperm() -> Self {
        Self::coded("NOPERM", "Permission denied")
    }

    /// What to tell the client.
    pub(crate) fn answer(&self) -> Answer {
        match self {
            Self::Client(_) => Answer::Silence(End::ClientGone),
            Self::Torn(_) => Answer::Silence(End::StoreFailed),
            Self::Ended(end) => Answer::Silence(*end),
            Self::Fatal(text) => Answer::Bye(End::BadClient, (*text).to_owned()),
            Self::Bad(text) => Answer::Tagged(format!("BAD {}", plain(text))),
            Self::State(text) => Answer::Tagged(format!("BAD {text}")),
            Self::No(code, text) => Answer::Tagged(format!("NO [{code}] {}", plain(text))),
        }
    }
}

/// Text as it may stand on a line.
fn plain(text: &str) -> String {
    let mut line = Vec::new();
    encode::text(&mut line, text.as_bytes());
    String::from_utf8_lossy(&line).into_owned()
}

impl From<Lost> for Failure {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Gone(error) => Self::Client(error),
            Lost::Astray(text) => Self::Fatal(text),
        }
    }
}

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        Self::Bad(error.to_string().into())
    }
}

impl From<HasNul> for Failure {
    fn from(error: HasNul) -> Self {
        Self::bad(error.to_string())
    }
}

impl From<SaslError> for Failure {
    fn from(error: SaslError) -> Self {
        Self::bad(error.to_string())
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Self::coded("CANNOT", error.to_string())
    }
}

impl From<NotAdmitted> for Failure {
    fn from(why: NotAdmitted) -> Self {
        let (code, text) = why.imap();
        Self::coded(code, text)
    }
}

impl From<HandshakeFailed> for End {
    fn from(failed: HandshakeFailed) -> Self {
        match failed {
            HandshakeFailed::Draining => Self::Draining,
            HandshakeFailed::Failed => Self::NoTls,
        }
    }
}

/// The store can't be read: the log has why.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        tracing::error!("store: {error}");
        Self::unavailable("The mail store can't be read at the moment")
    }
}

impl From<NotStored> for Failure {
    fn from(error: NotStored) -> Self {
        match error {
            NotStored::Store(error) => {
                tracing::error!("store: {error}");
                Self::unavailable("The message can't be stored at the moment")
            }
            NotStored::Pool(error) => error.into(),
            NotStored::Nul => Self::coded(
                "CANNOT",
                "The message has a NUL in it, and not in a binary part of a literal8",
            ),
        }
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        tracing::error!("disk: {error}");
        Self::unavailable("Too much waits for the disk, try again")
    }
}

/// The store changes nothing. What failed is in the log already.
impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoMailbox => Self::nonexistent(),
            Refused::NoMessage => Self::coded("EXPUNGEISSUED", "The message isn't there any more"),
            Refused::Exists => Self::coded("ALREADYEXISTS", "Mailbox already exists"),
            Refused::ExistsAt(_) => {
                Self::coded("ALREADYEXISTS", "Mailbox already exists, at another server")
            }
            Refused::Elsewhere(server) => Self::unavailable(format!(
                "The mailbox is at {server} by the MUPDATE master; nothing has changed"
            )),
            Refused::Busy => Self::coded(
                "INUSE",
                "Another change of the name is under way, here or at another server: try again",
            ),
            Refused::MasterAway => Self::unavailable(
                "The MUPDATE master can't be reached; nothing has changed: try again later",
            ),
            Refused::MasterSilent => Self::unavailable(
                "The MUPDATE master has not answered; what is half done is undone as soon as it does",
            ),
            Refused::Master(why) => Self::unavailable(format!(
                "The MUPDATE master refuses it; nothing has changed: {why}"
            )),
            Refused::TooLong => Self::coded("LIMIT", "A name or an ACL would be too long"),
            Refused::NoPartition => Self::coded("CANNOT", "There is no such partition"),
            Refused::KeywordsFull => {
                Self::coded("LIMIT", "The mailbox has as many keywords as it may")
            }
            Refused::SubscriptionsFull => {
                Self::coded("LIMIT", "You are subscribed to as many names as one may be")
            }
            Refused::AnnotationsFull => Self::coded(
                "METADATA TOOMANY",
                "There are as many entries as there may be",
            ),
            Refused::OverQuota => Self::coded("OVERQUOTA", "Over quota"),
            Refused::UidsExhausted => Self::coded("LIMIT", "The mailbox' UIDs are used up"),
            Refused::Full => Self::unavailable(
                "The index is full: nothing may grow until it has been given more room",
            ),
            Refused::Failed(_) => {
                Self::unavailable("The change can't be stored at the moment; nothing has changed")
            }
        }
    }
}
