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
use ravenry_core::log::printable;
use ravenry_core::metrics::Recorder;
use ravenry_core::proto::imap::encode::Request;
use ravenry_core::proto::imap::{Capabilities, Literals, StatusKind, status};
use ravenry_core::proto::sasl::{Plain, Secret};
use ravenry_core::rt::{self, Instant};
use ravenry_core::tls::{Connector, Leg};
use ravenry_core::wire::imap::{Kind, ResponseEvent, ResponseLine, ResponseScanner};

use crate::failure::BackendFault;
use crate::frontend::Frontend;
use crate::imap::{Enabled, View, is_tagged};
use crate::incoming::Incoming;

/// The tag of the frontend's own commands. One command is under way on a connection at a time, so
/// it can't be taken for a client's.
pub(crate) const OWN_TAG: &[u8] = b"RVN";
/// The most that is gathered of one response for the frontend's own use.
const RESPONSE_BYTES_MAX: usize = 1024 * 1024;
/// The most that is kept of the responses to one command of our own.
pub(crate) const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
const READ_BYTES_MAX: usize = 64 * 1024;
/// A backend that sends so much is at work, whatever it is; below it, it may be dripping.
const WORK_BYTES: usize = 64 * 1024;
/// Longer lines of data are passed on in pieces.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Where a literal's marker starts in its line, and how large it is.
type LineLiteral = Option<(usize, u64)>;
/// A response's first line, and the literal behind it.
pub(crate) type FirstLine = (Vec<u8>, LineLiteral);

/// The untagged responses to a command of our own, and its tagged reply.
pub(crate) type Answer = (Vec<Vec<u8>>, Vec<u8>);

/// A backend connection, logged in as the session's user.
pub(crate) struct Upstream {
    pub(crate) server: Rc<str>,
    pub(crate) stream: Leg,
    pub(crate) input: Incoming,
    pub(crate) scanner: ResponseScanner,
    pub(crate) capabilities: Rc<Capabilities>,
    /// How it takes literals.
    pub(crate) literals: Literals,
    /// What has been enabled here.
    pub(crate) enabled: Enabled,
    /// The answer to our ID is still to come.
    owes_id: bool,
    /// Of a mailbox that is selected here: what the client has been told of it.
    pub(crate) view: Option<View>,
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
    /// Connects to `server` and logs in, all within the configured time. `client`: what the backend is told of
    /// the client, the arguments of ID.
    pub(crate) async fn open(
        fe: &Frontend,
        server: &Rc<str>,
        login: &Plain,
        client: Option<&str>,
    ) -> Result<Self, BackendFault> {
        let within = fe.desk.parts.limits.upstream_login;
        let opening = async {
            let mut up = Self::connect_and_login(fe, server, login).await?;
            up.tell(client).await?;
            Ok(up)
        };
        let opened = match rt::timeout(within, opening).await {
            Ok(opened) => opened,
            Err(_elapsed) => Err(fault(
                &fe.desk.metrics,
                server,
                format_args!("no login in {within:?}"),
            )),
        };
        if opened.is_ok() {
            fe.desk.metrics.upstream_connects.add(1);
        }
        opened
    }

    async fn connect_and_login(
        fe: &Frontend,
        server: &Rc<str>,
        login: &Plain,
    ) -> Result<Self, BackendFault> {
        let connected = fe.connect(server).await;
        let stream = connected.map_err(|why| fault(&fe.desk.metrics, server, why))?;
        fe.desk.metrics.upstream_open.add(1);
        let mut up = Self {
            server: Rc::clone(server),
            stream: Leg::plain(stream),
            input: Incoming::default(),
            scanner: ResponseScanner::new(LINE_BYTES_MAX),
            capabilities: Rc::new(Capabilities::default()),
            literals: Literals::Sync,
            enabled: Enabled::default(),
            owes_id: false,
            view: None,
            last_used: rt::now(),
            answer_within: fe.desk.parts.limits.upstream_answer,
            command_within: fe.desk.parts.limits.upstream_command,
            due: rt::now() + fe.desk.parts.limits.upstream_command,
            came: 0,
            sound: Cell::new(true),
            metrics: fe.desk.metrics.clone(),
        };
        let offered = match &fe.parts.connector {
            None => up.greeting().await?,
            Some(tls) if tls.is_implicit() => {
                up.handshake(tls).await?;
                up.greeting().await?
            }
            Some(tls) => up.starttls(tls).await?,
        };
        up.authenticate(fe, login, &offered).await?;
        Ok(up)
    }

    /// Tells the backend whose connection this is (RFC 2971). Nobody waits for the answer: it is
    /// passed over when it comes.
    async fn tell(&mut self, client: Option<&str>) -> Result<(), BackendFault> {
        if let Some(client) = client.filter(|_| self.capabilities.has("ID")) {
            self.write(&[OWN_TAG, b" ID ", client.as_bytes(), b"\r\n"].concat())
                .await?;
            self.owes_id = true;
        }
        Ok(())
    }

    /// Whether the answer to [`Self::tell`] is still to come.
    pub(crate) fn owes_id(&self) -> bool {
        self.owes_id
    }

    /// Whether a response belongs to that answer.
    pub(crate) fn is_about_id(&mut self, response: &[u8]) -> bool {
        if !self.owes_id {
            return false;
        }
        if is_tagged(response, OWN_TAG) {
            self.owes_id = false;
            return true;
        }
        let word = response.get(..b"* ID ".len());
        word.is_some_and(|word| word.eq_ignore_ascii_case(b"* ID "))
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

    /// SASL PLAIN (RFC 4616).
    async fn authenticate(
        &mut self,
        fe: &Frontend,
        login: &Plain,
        offered: &Capabilities,
    ) -> Result<(), BackendFault> {
        let response = login.encode().map_err(|error| self.fault(error))?;
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
            let (who, said) = (printable(&login.authcid), printable(&done));
            return Err(self.fault(format_args!("refuses {who}, for the user: {said}")));
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
        (self.owes_id || (self.stream.is_quiet() && self.input.here().is_empty()))
    }

    /// Reads what has come; waits for it if need be, for at most the answer's deadline.
    pub(crate) async fn read(&mut self) -> Result<(), BackendFault> {
        let until = self.patience();
        if self.read_until(until).await? {
            return Ok(());
        }
        Err(self.late())
    }

    /// The same within an answer, which the backend may send in pieces.
    async fn read_on(&mut self) -> Result<(), BackendFault> {
        self.stream.acknowledge();
        self.read().await
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
        loop {
            let response = self.gather(0).await?;
            if !self.is_about_id(&response) {
                return Ok(response);
            }
        }
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
            let (end, literal) = self.line_from(len).await?;
            len = end;
            let Some((_, size)) = literal else { break };
            len = self.literal(len, size).await?;
        }
        Ok(self.input.take(len))
    }

    /// Takes a response's first line; where a literal follows, with where its marker starts and how
    /// large it is: it is next to be read.
    pub(crate) async fn first_line(&mut self) -> Result<FirstLine, BackendFault> {
        let (end, literal) = self.line_from(0).await?;
        Ok((self.input.take(end), literal))
    }

    /// Waits for the end of the line that goes on at `start`: where it is, and the literal behind it.
    async fn line_from(&mut self, start: usize) -> Result<(usize, LineLiteral), BackendFault> {
        let mut end = start;
        loop {
            if end > RESPONSE_BYTES_MAX {
                return Err(self.fault("a response over the limit"));
            }
            match self.scanner.next(&self.input.here()[end..]) {
                ResponseEvent::Line(line) => {
                    self.note(end, &line);
                    let literal = line
                        .literal
                        .map(|literal| (end + line.marker, literal.size));
                    return Ok((end + line.len, literal));
                }
                ResponseEvent::Partial { len, start } => {
                    self.note_long(end, len, start.as_ref());
                    end += len;
                }
                ResponseEvent::NeedMore => self.read_on().await?,
                ResponseEvent::Bad(why) => {
                    return Err(self.fault(format_args!("malformed response: {why}")));
                }
            }
        }
    }

    /// Notes in the view what a line says that begins at `start` of what is here.
    pub(crate) fn note(&mut self, start: usize, line: &ResponseLine) {
        if let (Some(view), Some(kind)) = (&mut self.view, &line.start) {
            view.note(&self.input.here()[start..start + line.len], kind);
        }
    }

    /// The same for the first piece of a line that comes in several.
    pub(crate) fn note_long(&mut self, start: usize, len: usize, kind: Option<&Kind>) {
        if let (Some(view), Some(kind)) = (&mut self.view, kind) {
            view.note_long(&self.input.here()[start..start + len], kind);
        }
    }

    /// Waits until a literal that begins at `start` has been read; gives where it ends.
    async fn literal(&mut self, start: usize, size: u64) -> Result<usize, BackendFault> {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > RESPONSE_BYTES_MAX {
            return Err(self.fault("a literal over the limit"));
        }
        while self.input.here().len() < start + size {
            self.read_on().await?;
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

    /// Carries out a command of the frontend's own, given without its tag and with its end, and gives
    /// the untagged responses and the tagged reply. What is kept of an answer has a limit.
    pub(crate) async fn ask(&mut self, request: &Request) -> Result<Answer, BackendFault> {
        let mut chunks = request.chunks();
        let first = chunks.next().unwrap_or_default();
        self.write(&[OWN_TAG, b" ", first].concat()).await?;
        let (mut lines, mut kept) = (Vec::new(), 0);
        loop {
            let response = self.response().await?;
            // A server that floods us has its turn, and others have theirs.
            rt::yield_now().await;
            if is_tagged(&response, OWN_TAG) {
                self.last_used = rt::now();
                return Ok((lines, response));
            }
            if response.starts_with(b"+")
                && let Some(chunk) = chunks.next()
            {
                self.write(chunk).await?;
                continue;
            }
            if !response.starts_with(b"* ") || is_bye(&response) {
                return Err(self.fault(format_args!("said {}", printable(&response))));
            }
            kept += response.len() + size_of::<Vec<u8>>();
            if kept > ANSWER_BYTES_MAX {
                return Err(self.fault(format_args!(
                    "an answer of more than {ANSWER_BYTES_MAX} bytes"
                )));
            }
            lines.push(response);
        }
    }

    /// Reads up to the tagged reply to the frontend's own command; what is untagged is dropped.
    pub(crate) async fn own_reply(&mut self) -> Result<Vec<u8>, BackendFault> {
        match self.own_reply_or_continuation().await? {
            Some(reply) => Ok(reply),
            None => Err(self.fault("asked for what nobody wants to send")),
        }
    }

    /// The same for a command that may be asked for its next literal: `None` if it is.
    pub(crate) async fn own_reply_or_continuation(
        &mut self,
    ) -> Result<Option<Vec<u8>>, BackendFault> {
        loop {
            let response = self.response().await?;
            // A server that floods us has its turn, and others have theirs.
            rt::yield_now().await;
            if is_tagged(&response, OWN_TAG) {
                return Ok(Some(response));
            }
            if response.starts_with(b"+") {
                return Ok(None);
            }
            if is_bye(&response) {
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
