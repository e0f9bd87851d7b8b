//! Why a command could not be carried out: who failed, whether the client can still be answered,
//! and the one place where that becomes an answer.
//!
//! Handlers return [`Failure`]; `imap::session` calls [`Failure::answer`] once a command. A client
//! thus gets exactly one tagged reply, or `* BYE`, or (its own leg gone, or cut inside a response)
//! nothing at all.

use std::borrow::Cow;
use std::fmt;
use std::io;

use ravenry_core::client::Lost;
use ravenry_core::proto::imap::ParseError;
use ravenry_core::proto::imap::encode::{self, HasNul};

/// Why a command could not be carried out.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The client's leg is gone or stalled past its deadline. There is nobody to answer.
    Client(io::Error),
    /// The client broke the protocol so that the session can't be in step again.
    Fatal(&'static str),
    /// The session is over, and the client has been told.
    Ended(End),
    /// A backend could not be reached, or was lost between two of its responses.
    Backend(BackendFault),
    /// The selected mailbox can't be gone on with, and why.
    Lost(String),
    /// A backend was lost inside a response whose beginning the client has already had.
    Torn(BackendFault),
    /// The mailbox is at another server than the list said: the command begins anew, once.
    Moved,
    /// The command is wrong (tagged BAD).
    Bad(Cow<'static, str>),
    /// The command is right, but not now (tagged BAD as well; no sign of a client gone astray).
    State(&'static str),
    /// The command is refused: tagged NO, with a response code (RFC 5530, RFC 2193).
    No(Cow<'static, str>, Cow<'static, str>),
}

const MOVES: &str = "The mailbox moves to another server, try again";

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
    /// The server of the selected mailbox was lost.
    BackendLost,
    /// There is no complete mailbox list yet.
    NoList,
    /// This process is stopping.
    Draining,
    /// It was cut off: a panic, or the grace of a stop was over.
    Aborted,
}

/// A backend that failed, and how.
#[derive(Debug)]
pub(crate) struct BackendFault {
    /// The server's name as the mailbox list has it.
    pub(crate) server: String,
    /// For the log. The client is told the server's name and no more.
    pub(crate) why: String,
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

    /// "Can't tell": what would decide the question is out of reach (RFC 5530 UNAVAILABLE).
    pub(crate) fn unavailable(text: impl Into<Cow<'static, str>>) -> Self {
        Self::coded("UNAVAILABLE", text)
    }

    /// What to tell the client. `selected` is the server of the selected mailbox: when that is the
    /// one that failed, the client's view of the mailbox is lost and the session ends with BYE.
    pub(crate) fn answer(&self, selected: Option<&str>) -> Answer {
        match self {
            Self::Client(_) => Answer::Silence(End::ClientGone),
            Self::Torn(_) => Answer::Silence(End::BackendLost),
            Self::Ended(end) => Answer::Silence(*end),
            Self::Lost(why) => {
                Answer::Bye(End::BackendLost, format!("[UNAVAILABLE] {}", plain(why)))
            }
            Self::Fatal(text) => Answer::Bye(End::BadClient, (*text).to_owned()),
            Self::Backend(fault) => {
                let server = plain(&fault.server);
                if selected == Some(fault.server.as_str()) {
                    let lost = "[UNAVAILABLE] Lost the connection to the selected mailbox's server";
                    return Answer::Bye(End::BackendLost, format!("{lost} {server}"));
                }
                Answer::Tagged(format!(
                    "NO [UNAVAILABLE] Server {server} is unavailable to complete the operation"
                ))
            }
            Self::Moved => Answer::Tagged(format!("NO [INUSE] {MOVES}")),
            Self::Bad(text) => Answer::Tagged(format!("BAD {}", plain(text))),
            Self::State(text) => Answer::Tagged(format!("BAD {text}")),
            Self::No(code, text) => Answer::Tagged(format!("NO [{code}] {}", plain(text))),
        }
    }

    /// The same where the command can't begin anew once more.
    pub(crate) fn final_word(self) -> Self {
        match self {
            Self::Moved => Self::coded("INUSE", MOVES),
            other => other,
        }
    }

    /// The backend to blame, if one is.
    pub(crate) fn fault(&self) -> Option<&BackendFault> {
        match self {
            Self::Backend(fault) | Self::Torn(fault) => Some(fault),
            _ => None,
        }
    }
}

/// Text as it may stand on a line: names of servers come from the master, names of mailboxes from
/// clients.
fn plain(text: &str) -> String {
    let mut line = Vec::new();
    encode::text(&mut line, text.as_bytes());
    String::from_utf8_lossy(&line).into_owned()
}

impl fmt::Display for BackendFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.server, self.why)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn backend() -> BackendFault {
        BackendFault {
            server: "b1.example".to_owned(),
            why: "secret reason".to_owned(),
        }
    }

    fn tagged(failure: &Failure, selected: Option<&str>) -> String {
        match failure.answer(selected) {
            Answer::Tagged(text) => text,
            Answer::Bye(end, text) => format!("BYE {end:?} {text}"),
            Answer::Silence(end) => format!("silence {end:?}"),
        }
    }

    #[test]
    fn a_lost_backend_ends_the_session_only_where_its_mailbox_is_selected() {
        let lost = Failure::Backend(backend());
        assert!(tagged(&lost, None).starts_with("NO [UNAVAILABLE] "));
        assert!(tagged(&lost, Some("b2.example")).starts_with("NO [UNAVAILABLE] "));
        assert!(tagged(&lost, Some("b1.example")).starts_with("BYE BackendLost [UNAVAILABLE] "));
    }

    #[test]
    fn a_client_that_has_had_a_half_is_told_nothing_more() {
        assert_eq!(
            tagged(&Failure::Torn(backend()), None),
            "silence BackendLost"
        );
        let gone = Failure::Client(io::ErrorKind::TimedOut.into());
        assert_eq!(tagged(&gone, Some("b1.example")), "silence ClientGone");
    }

    #[test]
    fn what_a_backend_failed_of_is_for_the_log() {
        for selected in [None, Some("b1.example")] {
            let text = tagged(&Failure::Backend(backend()), selected);
            assert!(
                text.contains("b1.example") && !text.contains("secret"),
                "{text}"
            );
        }
    }

    #[test]
    fn no_name_adds_a_line() {
        let mut fault = backend();
        fault.server = "b9\r\n* OK injected".to_owned();
        let text = tagged(&Failure::Backend(fault), Some("b9\r\n* OK injected"));
        assert!(!text.contains(['\r', '\n']), "{text}");
        let text = tagged(&Failure::coded("CANNOT", "at b9\r\n* OK injected"), None);
        assert!(!text.contains(['\r', '\n']), "{text}");
    }

    #[test]
    fn refusals_carry_their_code() {
        assert_eq!(tagged(&Failure::coded("INUSE", "x"), None), "NO [INUSE] x");
        assert_eq!(
            tagged(&Failure::unavailable("x"), None),
            "NO [UNAVAILABLE] x"
        );
        assert_eq!(tagged(&Failure::bad("x"), None), "BAD x");
        assert_eq!(tagged(&Failure::State("x"), None), "BAD x");
        assert_eq!(
            tagged(&Failure::coded("REFERRAL u", "x"), None),
            "NO [REFERRAL u] x"
        );
    }
}
