//! A backend connection: connect, greeting, login as the user, and its responses one by one.
//!
//! Each session has at most one connection a backend. It is logged in by SASL PLAIN with the
//! proxy's own credentials and the user as authorization identity, so that the backend checks
//! every right as if the user had come directly. What the backend sends is framed by
//! `wire::imap::ResponseScanner`; [`Upstream::response`] gathers one response for the frontend's
//! own use, `imap::relay` passes responses on.

use std::fmt::Display;
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::config::host_and_port;
use ravenry_core::metrics::Recorder;
use ravenry_core::proto::imap::{Capabilities, StatusKind, status};
use ravenry_core::proto::sasl::Plain;
use ravenry_core::rt::{self, Instant};
use ravenry_core::tls::{Connector, Leg};
use ravenry_core::wire::imap::{ResponseEvent, ResponseScanner};

use crate::failure::BackendFault;
use crate::frontend::Frontend;

/// The tag of the frontend's own commands. One command is under way on a connection at a time, so
/// it can't be taken for a client's.
pub(crate) const OWN_TAG: &[u8] = b"RVN";
/// The most that is gathered of one response for the frontend's own use.
const RESPONSE_BYTES_MAX: usize = 1024 * 1024;
const READ_BYTES_MAX: usize = 64 * 1024;
/// Longer lines of data are passed on in pieces.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// A backend connection, logged in as the session's user.
pub(crate) struct Upstream {
    pub(crate) server: Rc<str>,
    pub(crate) stream: Leg,
    pub(crate) input: Vec<u8>,
    pub(crate) scanner: ResponseScanner,
    pub(crate) capabilities: Rc<Capabilities>,
    pub(crate) last_used: Instant,
    answer_within: Duration,
    metrics: Recorder,
}

impl Upstream {
    /// Connects to `server` and logs in as `user`, all within the configured time.
    pub(crate) async fn open(
        fe: &Frontend,
        server: &Rc<str>,
        user: &[u8],
    ) -> Result<Self, BackendFault> {
        let opened = rt::timeout(
            fe.parts.limits.upstream_login,
            Self::connect_and_login(fe, server, user),
        )
        .await;
        let result = opened.unwrap_or_else(|_elapsed| {
            Err(fault(
                server,
                format_args!("no login within {:?}", fe.parts.limits.upstream_login),
            ))
        });
        fe.count_connect(result.is_ok());
        result
    }

    async fn connect_and_login(
        fe: &Frontend,
        server: &Rc<str>,
        user: &[u8],
    ) -> Result<Self, BackendFault> {
        let stream = fe.connect(server).await.map_err(|why| fault(server, why))?;
        fe.metrics.upstream_open.add(1);
        let mut up = Self {
            server: Rc::clone(server),
            stream: Leg::plain(stream),
            input: Vec::new(),
            scanner: ResponseScanner::new(LINE_BYTES_MAX),
            capabilities: Rc::new(Capabilities::default()),
            last_used: rt::now(),
            answer_within: fe.parts.limits.upstream_answer,
            metrics: fe.metrics.clone(),
        };
        let offered = match &fe.parts.connector {
            None => up.greeting().await?,
            Some(tls) if tls.is_implicit() => {
                up.handshake(tls).await?;
                up.greeting().await?
            }
            Some(tls) => up.starttls(tls).await?,
        };
        up.authenticate(fe, user, &offered).await?;
        Ok(up)
    }

    /// Reads the greeting, and asks for the capabilities where it doesn't name them.
    async fn greeting(&mut self) -> Result<Capabilities, BackendFault> {
        let greeting = self.response().await?;
        match status(&greeting).map(|status| status.kind) {
            Some(StatusKind::Ok) => self.capabilities_of(&greeting).await,
            _ => Err(self.fault(format_args!("greeting: {}", printable(&greeting)))),
        }
    }

    /// The greeting and STARTTLS (RFC 3501 section 6.2.1); the capabilities are asked for anew,
    /// since what was said before the handshake may be anybody's.
    async fn starttls(&mut self, tls: &Connector) -> Result<Capabilities, BackendFault> {
        if !self.greeting().await?.has("STARTTLS") {
            return Err(self.fault("offers no STARTTLS"));
        }
        self.write(&[OWN_TAG, b" STARTTLS\r\n"].concat()).await?;
        let reply = self.own_reply().await?;
        if status(&reply).is_none_or(|status| status.kind != StatusKind::Ok) {
            return Err(self.fault(format_args!("STARTTLS: {}", printable(&reply))));
        }
        if !self.input.is_empty() {
            return Err(self.fault("went on in clear behind its OK to STARTTLS"));
        }
        self.handshake(tls).await?;
        self.capabilities_of(b"").await
    }

    async fn handshake(&mut self, tls: &Connector) -> Result<(), BackendFault> {
        let (name, _) = host_and_port(&self.server);
        let shaken = Box::pin(tls.connect(&mut self.stream, name)).await;
        shaken.map_err(|error| fault(&self.server, error))
    }

    /// SASL PLAIN (RFC 4616): the proxy's password, the user's identity.
    async fn authenticate(
        &mut self,
        fe: &Frontend,
        user: &[u8],
        offered: &Capabilities,
    ) -> Result<(), BackendFault> {
        let plain = Plain {
            authzid: user.to_vec(),
            authcid: fe.parts.upstream.authname.clone().into_bytes(),
            password: fe.parts.upstream.password.clone(),
        };
        let response = plain.encode().map_err(|error| self.fault(error))?;
        if offered.has("SASL-IR") {
            let command = [OWN_TAG, b" AUTHENTICATE PLAIN ", response.expose(), b"\r\n"].concat();
            self.write(&command).await?;
        } else {
            self.write(&[OWN_TAG, b" AUTHENTICATE PLAIN\r\n"].concat())
                .await?;
            let asked = self.response().await?;
            if !asked.starts_with(b"+") {
                return Err(self.fault(format_args!("AUTHENTICATE: {}", printable(&asked))));
            }
            self.write(&[response.expose(), b"\r\n"].concat()).await?;
        }
        let done = self.own_reply().await?;
        if status(&done).is_none_or(|status| status.kind != StatusKind::Ok) {
            let (proxy, said) = (&fe.parts.upstream.authname, printable(&done));
            return Err(self.fault(format_args!("refuses {proxy} as the user's proxy: {said}")));
        }
        let announced = self.capabilities_of(&done).await?;
        self.capabilities = fe.capabilities.learn(&self.server, announced);
        Ok(())
    }

    /// The capabilities that a status response announces, or else what CAPABILITY answers.
    async fn capabilities_of(&mut self, response: &[u8]) -> Result<Capabilities, BackendFault> {
        if let Some(announced) = Capabilities::from_line(response.trim_ascii_end()) {
            return Ok(announced);
        }
        self.write(&[OWN_TAG, b" CAPABILITY\r\n"].concat()).await?;
        let mut capabilities = None;
        loop {
            let response = self.response().await?;
            if response.starts_with(b"* ") {
                capabilities =
                    capabilities.or_else(|| Capabilities::from_line(response.trim_ascii_end()));
            } else {
                return capabilities.ok_or_else(|| {
                    self.fault(format_args!("CAPABILITY: {}", printable(&response)))
                });
            }
        }
    }

    /// Whether a connection with nothing selected still stands, as far as can be told without
    /// asking: what it says unasked is good-bye.
    pub(crate) fn stands(&self) -> bool {
        self.stream.is_quiet() && self.input.is_empty()
    }

    /// Reads what has come; waits for it if need be, for at most the answer's deadline.
    pub(crate) async fn read(&mut self) -> Result<(), BackendFault> {
        let read = rt::timeout(
            self.answer_within,
            self.stream.read_into(&mut self.input, READ_BYTES_MAX),
        );
        match read.await {
            Ok(Ok(0)) => Err(self.fault("closed the connection")),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.fault(error)),
            Err(_elapsed) => Err(self.fault(format_args!("silent for {:?}", self.answer_within))),
        }
    }

    /// Sends `bytes`, with the answer's deadline.
    pub(crate) async fn write(&self, bytes: &[u8]) -> Result<(), BackendFault> {
        match rt::timeout(self.answer_within, self.stream.write_all(bytes)).await {
            Ok(done) => done.map_err(|error| self.fault(error)),
            Err(_elapsed) => {
                Err(self.fault(format_args!("took nothing for {:?}", self.answer_within)))
            }
        }
    }

    /// Gathers the next response, literals and all.
    pub(crate) async fn response(&mut self) -> Result<Vec<u8>, BackendFault> {
        let mut len = 0;
        loop {
            if len > RESPONSE_BYTES_MAX {
                return Err(self.fault("a response over the limit"));
            }
            match self.scanner.next(&self.input[len..]) {
                ResponseEvent::Line(line) => {
                    len += line.len;
                    let Some(literal) = line.literal else { break };
                    let size = usize::try_from(literal.size).unwrap_or(usize::MAX);
                    if size > RESPONSE_BYTES_MAX {
                        return Err(self.fault("a literal over the limit"));
                    }
                    while self.input.len() < len + size {
                        self.read().await?;
                    }
                    len += size;
                    self.scanner.literal_done();
                }
                ResponseEvent::Partial { len: part, .. } => len += part,
                ResponseEvent::NeedMore => self.read().await?,
                ResponseEvent::Bad(why) => {
                    return Err(self.fault(format_args!("malformed response: {why}")));
                }
            }
        }
        let rest = self.input.split_off(len);
        Ok(std::mem::replace(&mut self.input, rest))
    }

    /// Reads up to the tagged reply to the frontend's own command; what is untagged is dropped.
    pub(crate) async fn own_reply(&mut self) -> Result<Vec<u8>, BackendFault> {
        loop {
            let response = self.response().await?;
            if response
                .strip_prefix(OWN_TAG)
                .is_some_and(|rest| rest.first() == Some(&b' '))
            {
                return Ok(response);
            }
            if response.starts_with(b"+") || is_bye(&response) {
                return Err(self.fault(format_args!("said {}", printable(&response))));
            }
        }
    }

    /// Waits until there is something to read.
    pub(crate) async fn readable(&self) {
        // An error shows itself when the leg is read.
        let _ = self.stream.readable().await;
    }

    pub(crate) fn fault(&self, why: impl Display) -> BackendFault {
        fault(&self.server, why)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stream.close();
        self.metrics.upstream_open.sub(1);
    }
}

fn fault(server: &str, why: impl Display) -> BackendFault {
    BackendFault {
        server: server.to_owned(),
        why: why.to_string(),
    }
}

/// Whether a response is the server's good-bye.
pub(crate) fn is_bye(response: &[u8]) -> bool {
    response.starts_with(b"*") && status(response).is_some_and(|s| s.kind == StatusKind::Bye)
}

/// A peer's line for the log: without its end, cut, and with nothing that could forge a line.
pub(crate) fn printable(line: &[u8]) -> String {
    let cut = &line[..line.len().min(200)];
    cut.trim_ascii_end().escape_ascii().to_string()
}
