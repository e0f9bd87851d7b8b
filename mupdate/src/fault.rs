//! Why a connection to the master ended: whose fault, how it is told, what to do about it.

use std::fmt;
use std::io;

use ravenry_core::mailboxes::ListError;
use ravenry_core::proto::sasl::SaslError;

use crate::status::AwayReason;

/// Bytes of the master's text that go into a log line.
const EXCERPT_BYTES_MAX: usize = 200;

/// The end of a connection, or of the attempt to make one.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Its name can't be resolved, or nobody listens there.
    Connect(io::Error),
    /// The handshake fails, the certificate isn't good, or the master has no TLS.
    Tls(String),
    Closed,
    Broken(io::Error),
    Bye(String),
    /// It owed an answer and said nothing for as long as is allowed.
    Silent {
        awaited: &'static str,
    },
    LoginRefused(String),
    /// Ours: the account's name or password are none that SASL PLAIN can carry.
    Credentials(SaslError),
    /// AUTHENTICATE PLAIN is not among what the banner offers.
    NoPlain,
    /// It is a replica, and changes are wanted; where they are made.
    Replica(String),
    Protocol(String),
    /// Ours: the list's file.
    List(ListError),
}

impl Fault {
    pub(crate) fn reason(&self) -> AwayReason {
        match self {
            Self::Connect(_) => AwayReason::Unreachable,
            Self::Tls(_) => AwayReason::Tls,
            Self::Closed | Self::Broken(_) | Self::Bye(_) => AwayReason::Closed,
            Self::Silent { .. } => AwayReason::Silent,
            Self::LoginRefused(_) | Self::Credentials(_) | Self::NoPlain => {
                AwayReason::LoginRefused
            }
            Self::Protocol(_) | Self::Replica(_) => AwayReason::Protocol,
            Self::List(_) => AwayReason::List,
        }
    }

    /// Whether it lasts until somebody does something about it: no reason to try often.
    pub(crate) fn lasts(&self) -> bool {
        matches!(
            self.reason(),
            AwayReason::Tls | AwayReason::LoginRefused | AwayReason::List
        ) || matches!(self, Self::Replica(_))
    }

    /// What the operator can do, where something can be done.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::Connect(_) => "check [mupdate.client] server, and that the master listens there",
            Self::Tls(_) => {
                "check [mupdate.client] tls and tls_ca, and the master's certificate: its name \
                 has to be the one in server (Cyrus: tls_server_cert, tls_server_key)"
            }
            Self::LoginRefused(_) => {
                "check [mupdate.client] authname and password, and that the master knows the \
                 account (Cyrus: in its SASL database, and among its admins)"
            }
            Self::Credentials(_) => {
                "[mupdate.client] authname and password: not empty, 1024 bytes at most, no NUL"
            }
            Self::NoPlain => {
                "let the master offer AUTH PLAIN (Cyrus: allowplaintext: yes, sasl_mech_list: PLAIN)"
            }
            Self::Replica(_) => "let [mupdate.client] server name the master",
            Self::List(_) => "check state_dir: room on the disk, rights, size of the map",
            Self::Closed
            | Self::Broken(_)
            | Self::Bye(_)
            | Self::Silent { .. }
            | Self::Protocol(_) => "another attempt follows",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "can't connect: {error}"),
            Self::Tls(why) => f.write_str(why),
            Self::Closed => f.write_str("the master closed the connection"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::Bye(text) => write!(f, "the master said BYE: {text}"),
            Self::Silent { awaited } => write!(f, "the master is silent; awaited: {awaited}"),
            Self::LoginRefused(text) => write!(f, "the master refuses the login: {text}"),
            Self::Credentials(error) => write!(f, "the login can't be sent: {error}"),
            Self::NoPlain => f.write_str("the master does not offer AUTHENTICATE PLAIN"),
            Self::Replica(master) => write!(f, "changes are made at {master}, not there"),
            Self::Protocol(what) => write!(f, "the master breaks the protocol: {what}"),
            Self::List(error) => write!(f, "the mailbox list can't be written: {error}"),
        }
    }
}

/// What the peer said, fit for a log line: bounded, and nothing but printable ASCII.
pub(crate) fn excerpt(text: &[u8]) -> String {
    let (text, more) = match text.get(..EXCERPT_BYTES_MAX) {
        Some(start) if start.len() < text.len() => (start, "…"),
        _ => (text, ""),
    };
    format!("{}{more}", text.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn what_a_peer_says_cannot_forge_a_log_line() {
        assert_eq!(
            excerpt(b"no\r\nERROR all is lost\x1b[2J"),
            r"no\r\nERROR all is lost\x1b[2J"
        );
        assert_eq!(excerpt(&[b'x'; 200]).len(), 200);
        assert!(excerpt(&[b'x'; 201]).ends_with('…'));
    }
}
