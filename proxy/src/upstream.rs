//! A backend connection: connect, greeting, login as the user, and its responses one by one.
//!
//! Each session has at most one connection a backend. It is logged in by SASL PLAIN with the
//! proxy's own credentials and the user as authorization identity, so that the backend checks
//! every right as if the user had come directly. What the backend sends is framed by
//! `wire::imap::ResponseScanner`; [`Upstream::response`] gathers one response for the frontend's
//! own use, `imap::relay` passes responses on.

use std::cell::Cell;
use std::fmt::Display;
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::config::host_and_port;
use ravenry_core::metrics::Recorder;
use ravenry_core::proto::imap::{Capabilities, Literals, StatusKind, status};
use ravenry_core::proto::sasl::{Plain, Secret};
use ravenry_core::rt::{self, Instant};
use ravenry_core::tls::{Connector, Leg};
use ravenry_core::wire::imap::{ResponseEvent, ResponseScanner};

use crate::failure::BackendFault;
use crate::frontend::Frontend;
use crate::imap::is_tagged;
use crate::incoming::Incoming;

/// The tag of the frontend's own commands. One command is under way on a connection at a time, so
/// it can't be taken for a client's.
const OWN_TAG: &[u8] = b"RVN";
/// The most that is gathered of one response for the frontend's own use.
const RESPONSE_BYTES_MAX: usize = 1024 * 1024;
const READ_BYTES_MAX: usize = 64 * 1024;
/// A backend that sends so much is at work, whatever it is; below it, it may be dripping.
const WORK_BYTES: usize = 64 * 1024;
/// Longer lines of data are passed on in pieces.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// A backend connection, logged in as the session's user.
pub(crate) struct Upstream {
    pub(crate) server: Rc<str>,
    pub(crate) stream: Leg,
    pub(crate) input: Incoming,
    pub(crate) scanner: ResponseScanner,
    pub(crate) capabilities: Rc<Capabilities>,
    /// How it takes literals.
    pub(crate) literals: Literals,
    pub(crate) last_used: Instant,
    answer_within: Duration,
    command_within: Duration,
    /// By when the command has to end, or [`WORK_BYTES`] have to come.
    due: Instant,
    /// What has come since `due` was set.
    came: usize,
    /// Nothing has failed here: false, and the connection isn't closed as if all were well.
    sound: Cell<bool>,
    metrics: Recorder,
}

impl Upstream {
    /// Connects to `server` and logs in as `user`, all within the configured time.
    pub(crate) async fn open(
        fe: &Frontend,
        server: &Rc<str>,
        user: &[u8],
    ) -> Result<Self, BackendFault> {
        let within = fe.parts.limits.upstream_login;
        let opened = match rt::timeout(within, Self::connect_and_login(fe, server, user)).await {
            Ok(opened) => opened,
            Err(_elapsed) => Err(fault(
                &fe.metrics,
                server,
                format_args!("no login in {within:?}"),
            )),
        };
        if opened.is_ok() {
            fe.metrics.upstream_connects.add(1);
        }
        opened
    }

    async fn connect_and_login(
        fe: &Frontend,
        server: &Rc<str>,
        user: &[u8],
    ) -> Result<Self, BackendFault> {
        let connected = fe.connect(server).await;
        let stream = connected.map_err(|why| fault(&fe.metrics, server, why))?;
        fe.metrics.upstream_open.add(1);
        let mut up = Self {
            server: Rc::clone(server),
            stream: Leg::plain(stream),
            input: Incoming::default(),
            scanner: ResponseScanner::new(LINE_BYTES_MAX),
            capabilities: Rc::new(Capabilities::default()),
            literals: Literals::Sync,
            last_used: rt::now(),
            answer_within: fe.parts.limits.upstream_answer,
            command_within: fe.parts.limits.upstream_command,
            due: rt::now() + fe.parts.limits.upstream_command,
            came: 0,
            sound: Cell::new(true),
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
        let reply = self.own_command(b"STARTTLS").await?;
        if status(&reply).is_none_or(|status| status.kind != StatusKind::Ok) {
            return Err(self.fault(format_args!("STARTTLS: {}", printable(&reply))));
        }
        if !self.input.here().is_empty() {
            return Err(self.fault("went on in clear behind its OK to STARTTLS"));
        }
        self.handshake(tls).await?;
        self.capabilities_of(b"").await
    }

    async fn handshake(&mut self, tls: &Connector) -> Result<(), BackendFault> {
        let (name, _) = host_and_port(&self.server);
        let shaken = Box::pin(tls.connect(&mut self.stream, name)).await;
        shaken.map_err(|error| self.fault(error))
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
            let parts = [OWN_TAG, b" AUTHENTICATE PLAIN ", response.expose(), b"\r\n"];
            self.write(Secret::new(parts.concat()).expose()).await?;
        } else {
            self.write(&[OWN_TAG, b" AUTHENTICATE PLAIN\r\n"].concat())
                .await?;
            let asked = self.response().await?;
            if !asked.starts_with(b"+") {
                return Err(self.fault(format_args!("AUTHENTICATE: {}", printable(&asked))));
            }
            let line = Secret::new([response.expose(), b"\r\n"].concat());
            self.write(line.expose()).await?;
        }
        let done = self.own_reply().await?;
        if status(&done).is_none_or(|status| status.kind != StatusKind::Ok) {
            let (proxy, said) = (&fe.parts.upstream.authname, printable(&done));
            return Err(self.fault(format_args!("refuses {proxy} as the user's proxy: {said}")));
        }
        let announced = self.capabilities_of(&done).await?;
        self.capabilities = fe.capabilities.learn(&self.server, announced);
        self.literals = self.capabilities.literals();
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
        #[cfg(bug_7)] // A connection that the backend has closed is used again.
        return true;
        #[cfg(not(bug_7))]
        (self.stream.is_quiet() && self.input.here().is_empty())
    }

    /// Reads what has come; waits for it if need be, for at most the answer's deadline.
    pub(crate) async fn read(&mut self) -> Result<(), BackendFault> {
        let until = self.patience();
        if self.read_until(until).await? {
            return Ok(());
        }
        Err(self.late())
    }

    /// How long to wait for the next bytes: the silence that is allowed, or less where the command
    /// has taken too long.
    pub(crate) fn patience(&self) -> Instant {
        let within = self.answer_within;
        #[cfg(bug_2)] // A deadline isn't armed.
        let within = within * 10_000;
        (rt::now() + within).min(self.due)
    }

    /// Reads what has come; waits for it if need be. False: nothing came up to `until`.
    pub(crate) async fn read_until(&mut self, until: Instant) -> Result<bool, BackendFault> {
        let read = rt::timeout_at(
            until,
            self.stream.read_into(self.input.fill(), READ_BYTES_MAX),
        );
        match read.await {
            Ok(Ok(0)) => Err(self.fault("closed the connection")),
            Ok(Ok(count)) => {
                self.came += count;
                if self.came >= WORK_BYTES {
                    self.works();
                }
                Ok(true)
            }
            Ok(Err(error)) => Err(self.fault(error)),
            Err(_elapsed) => Ok(false),
        }
    }

    /// A command begins, or it has come a good piece further: the time that it may take begins anew.
    pub(crate) fn works(&mut self) {
        self.due = rt::now() + self.command_within;
        self.came = 0;
    }

    /// The fault of a backend that [`Self::patience`] is over with.
    pub(crate) fn late(&self) -> BackendFault {
        if rt::now() < self.due {
            return self.fault(format_args!("silent for {:?}", self.answer_within));
        }
        self.fault(format_args!(
            "didn't end a command within {:?}",
            self.command_within
        ))
    }

    /// Sends `bytes`, with the answer's deadline.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), BackendFault> {
        self.works();
        match rt::timeout(self.answer_within, self.stream.write_all(bytes)).await {
            Ok(done) => done.map_err(|error| self.fault(error)),
            Err(_elapsed) => {
                Err(self.fault(format_args!("took nothing for {:?}", self.answer_within)))
            }
        }
    }

    /// Gathers the next response, literals and all.
    pub(crate) async fn response(&mut self) -> Result<Vec<u8>, BackendFault> {
        self.gather(0).await
    }

    /// Gathers the rest of a response whose line with the marker of a literal of `size` bytes has
    /// been taken.
    pub(crate) async fn rest_of_response(&mut self, size: u64) -> Result<Vec<u8>, BackendFault> {
        let len = self.literal(0, size).await?;
        self.gather(len).await
    }

    /// Takes the first `len` bytes and what follows up to the end of a response.
    async fn gather(&mut self, mut len: usize) -> Result<Vec<u8>, BackendFault> {
        loop {
            if len > RESPONSE_BYTES_MAX {
                return Err(self.fault("a response over the limit"));
            }
            match self.scanner.next(&self.input.here()[len..]) {
                ResponseEvent::Line(line) => {
                    len += line.len;
                    let Some(literal) = line.literal else { break };
                    len = self.literal(len, literal.size).await?;
                }
                ResponseEvent::Partial { len: part, .. } => len += part,
                ResponseEvent::NeedMore => self.read().await?,
                ResponseEvent::Bad(why) => {
                    return Err(self.fault(format_args!("malformed response: {why}")));
                }
            }
        }
        Ok(self.input.take(len))
    }

    /// Waits until a literal that begins at `start` has been read; gives where it ends.
    async fn literal(&mut self, start: usize, size: u64) -> Result<usize, BackendFault> {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > RESPONSE_BYTES_MAX {
            return Err(self.fault("a literal over the limit"));
        }
        while self.input.here().len() < start + size {
            self.read().await?;
        }
        self.scanner.literal_done();
        Ok(start + size)
    }

    /// Sends a command of the frontend's own, and gives its tagged reply.
    pub(crate) async fn own_command(&mut self, command: &[u8]) -> Result<Vec<u8>, BackendFault> {
        self.write(&[OWN_TAG, b" ", command, b"\r\n"].concat())
            .await?;
        self.own_reply().await
    }

    /// Reads up to the tagged reply to the frontend's own command; what is untagged is dropped.
    async fn own_reply(&mut self) -> Result<Vec<u8>, BackendFault> {
        loop {
            let response = self.response().await?;
            // A server that floods us has its turn, and others have theirs.
            rt::yield_now().await;
            if is_tagged(&response, OWN_TAG) {
                return Ok(response);
            }
            if response.starts_with(b"+") || is_bye(&response) {
                return Err(self.fault(format_args!("said {}", printable(&response))));
            }
        }
    }

    /// Gives back the buffer of a leg that waits.
    pub(crate) fn release(&mut self) {
        if self.input.here().is_empty() {
            self.input = Incoming::default();
        }
    }

    /// Waits until there is something to read.
    pub(crate) async fn readable(&self) {
        // An error shows itself when the leg is read.
        let _ = self.stream.readable().await;
    }

    pub(crate) fn fault(&self, why: impl Display) -> BackendFault {
        self.sound.set(false);
        fault(&self.metrics, &self.server, why)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // TLS' good-bye says that all is well: what a fault cut off just ends.
        if self.sound.get() {
            self.stream.close();
        }
        self.metrics.upstream_open.sub(1);
    }
}

/// A fault, counted.
fn fault(metrics: &Recorder, server: &str, why: impl Display) -> BackendFault {
    metrics.upstream_failures.add(1);
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
