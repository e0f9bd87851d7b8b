//! How each connection to a master begins: its banner, STARTTLS where that is wanted, and the login (RFC 3656 sections 3.8,
//! 4.2, 4.10). Without a socket: responses in, commands and what to do next out.
//!
//! The login is sent only when TLS is there, where it is wanted, and what was said before the handshake counts for nothing.

use std::borrow::Cow;

use ravenry_core::proto::mupdate::{Command, Completion, Place, Response};
use ravenry_core::proto::sasl::Plain;

use crate::fault::{Fault, excerpt};

/// Lines of a banner, the last one with them: Cyrus sends four at most.
const BANNER_LINES_MAX: u32 = 32;
/// Tags as Cyrus's own replicas choose them, so that a log on the master reads the same.
const STARTTLS_TAG: &str = "S01";
const LOGIN_TAG: &str = "A01";

/// See the head of this file. One lives as long as its owner, and sees many connections.
pub(crate) struct Hello {
    login: Plain,
    /// STARTTLS comes before the login.
    pub(crate) starttls: bool,
    /// It has been done on this connection.
    secured: bool,
    awaits: Awaits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaits {
    /// The rest of the banner.
    Banner {
        lines: u32,
        plain: bool,
        starttls: bool,
        delta: Option<Place>,
    },
    /// The answer to STARTTLS.
    StartTls,
    /// The answer to AUTHENTICATE.
    Login,
}

/// What comes of a response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// There is more to come.
    More,
    /// The TLS handshake, and then [`Hello::secured`].
    Handshake,
    /// The login is done.
    In,
}

/// What a banner says of its server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Peer {
    /// It can tell what has changed: which list it has, and where it is.
    pub(crate) delta: Option<Place>,
    /// Where changes are made, if not there.
    pub(crate) elsewhere: Option<String>,
}

impl Hello {
    pub(crate) fn new(login: Plain, starttls: bool) -> Self {
        Self {
            login,
            starttls,
            secured: false,
            awaits: Awaits::BANNER,
        }
    }

    /// A new connection: its banner is awaited.
    pub(crate) fn begin(&mut self) {
        self.secured = false;
        self.awaits = Awaits::BANNER;
    }

    /// The handshake is done: the banner comes again (section 4.10).
    pub(crate) fn secured(&mut self) {
        self.secured = true;
        self.awaits = Awaits::BANNER;
    }

    /// Takes a response; commands go to `out`, and what the banner tells to `peer`.
    pub(crate) fn take(
        &mut self,
        response: &Response<'_>,
        peer: &mut Peer,
        out: &mut Vec<u8>,
    ) -> Result<Next, Fault> {
        match self.awaits {
            Awaits::Banner { .. } => self.banner(response, peer, out),
            Awaits::StartTls => self.starttls(response),
            Awaits::Login => self.login(response),
        }
    }

    fn banner(
        &mut self,
        response: &Response<'_>,
        peer: &mut Peer,
        out: &mut Vec<u8>,
    ) -> Result<Next, Fault> {
        let awaited = self.awaited();
        let Awaits::Banner {
            lines,
            plain,
            starttls,
            delta,
        } = &mut self.awaits
        else {
            return Ok(Next::More);
        };
        *lines += 1;
        if *lines > BANNER_LINES_MAX {
            return Err(Fault::Protocol("the banner does not end".into()));
        }
        match response {
            Response::Auth(mechanisms) => {
                let is_plain = |name: &Cow<'_, [u8]>| name.eq_ignore_ascii_case(b"PLAIN");
                *plain = mechanisms.iter().any(is_plain);
            }
            Response::StartTls => *starttls = true,
            Response::Delta(place) => *delta = Some(*place),
            Response::Compress(_) | Response::PartialUpdate | Response::Other(_) => {}
            Response::Banner(_) if self.starttls && !self.secured => {
                if !*starttls {
                    return Err(Fault::Tls("the master does not offer STARTTLS".into()));
                }
                Command::StartTls.encode(STARTTLS_TAG, out);
                self.awaits = Awaits::StartTls;
            }
            Response::Banner(_) if !*plain => return Err(Fault::NoPlain),
            Response::Banner(banner) => {
                *peer = Peer {
                    delta: *delta,
                    elsewhere: (!banner.is_master()).then(|| excerpt(&banner.master)),
                };
                let initial = self.login.encode().map_err(Fault::Credentials)?;
                let login = Command::Authenticate {
                    mechanism: "PLAIN",
                    initial: &initial,
                };
                login.encode(LOGIN_TAG, out);
                self.awaits = Awaits::Login;
            }
            other => return Err(unexpected(other, awaited)),
        }
        Ok(Next::More)
    }

    fn starttls(&self, response: &Response<'_>) -> Result<Next, Fault> {
        match response {
            Response::Ok(done) if is(done, STARTTLS_TAG) => Ok(Next::Handshake),
            Response::No(done) | Response::Bad(done) if is(done, STARTTLS_TAG) => Err(Fault::Tls(
                format!("the master refuses STARTTLS: {}", excerpt(&done.text)),
            )),
            other => Err(unexpected(other, self.awaited())),
        }
    }

    fn login(&self, response: &Response<'_>) -> Result<Next, Fault> {
        match response {
            Response::Ok(done) if is(done, LOGIN_TAG) => Ok(Next::In),
            Response::No(done) | Response::Bad(done) if is(done, LOGIN_TAG) => {
                Err(Fault::LoginRefused(excerpt(&done.text)))
            }
            other => Err(unexpected(other, self.awaited())),
        }
    }

    /// What the master owes.
    pub(crate) fn awaited(&self) -> &'static str {
        match self.awaits {
            Awaits::Banner { .. } => "the banner",
            Awaits::StartTls => "the answer to STARTTLS",
            Awaits::Login => "the answer to AUTHENTICATE",
        }
    }
}

impl Awaits {
    const BANNER: Self = Self::Banner {
        lines: 0,
        plain: false,
        starttls: false,
        delta: None,
    };
}

/// Whether a command of this tag is done.
pub(crate) fn is(done: &Completion<'_>, tag: &str) -> bool {
    done.tag == tag.as_bytes()
}

/// The master said something else than it owes.
pub(crate) fn unexpected(response: &Response<'_>, awaited: &str) -> Fault {
    let (what, tag) = match response {
        Response::Auth(_) => ("AUTH", None),
        Response::StartTls => ("STARTTLS", None),
        Response::Compress(_) => ("COMPRESS", None),
        Response::PartialUpdate => ("PARTIAL-UPDATE", None),
        Response::Banner(_) => ("a banner", None),
        Response::Bye(_) => ("BYE", None),
        Response::Other(name) => ("an untagged response", Some(*name)),
        Response::Ok(done) => ("OK", Some(done.tag)),
        Response::No(done) => ("NO", Some(done.tag)),
        Response::Bad(done) => ("BAD", Some(done.tag)),
        Response::Mailbox { tag, .. } => ("MAILBOX", Some(*tag)),
        Response::Reserve { tag, .. } => ("RESERVE", Some(*tag)),
        Response::Delete { tag, .. } => ("DELETE", Some(*tag)),
        Response::Delta(_) => ("X-DELTA", None),
        Response::Deactivate { tag, .. } => ("DEACTIVATE", Some(*tag)),
        Response::Since { tag } => ("X-SINCE", Some(*tag)),
        Response::Sequence { tag, .. } => ("X-SEQUENCE", Some(*tag)),
    };
    let tag = tag.map_or_else(String::new, |tag| format!(" ({})", excerpt(tag)));
    Fault::Protocol(format!("{what}{tag} came instead of {awaited}"))
}
