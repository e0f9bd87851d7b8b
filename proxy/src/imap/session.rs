//! One client's session, from greeting to end: wait, frame, dispatch, answer.
//!
//! Straight-line async code on one shard. A session that waits holds no buffer and one timer; the
//! command under way lives in a box of its own, so that an idle session is small. Invariants: one
//! command at a time; exactly one tagged reply to each, or BYE; after login the client's bytes
//! reach a backend only through `forward` and `append`, framed.

use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use ravenry_core::admission::Place;
use ravenry_core::limits;
use ravenry_core::mailboxes::{Identity, Name};
use ravenry_core::proto::imap;
use ravenry_core::proto::sasl::Secret;
use ravenry_core::rt::{self, Address, Either, Instant, Stream};
use ravenry_core::tls::Leg;
use ravenry_core::wire::imap::{BadCommand, CommandEvent, CommandFramer, Literal};

use super::client::Client;
use super::{append, dispatch, relay, starttls};
use crate::capability;
use crate::failure::{Answer, End, Failure};
use crate::frontend::Frontend;
use crate::upstream::Upstream;

/// A mailbox this session made whose announcement hasn't reached the list yet.
pub(crate) struct Remembered {
    pub(crate) name: Name,
    pub(crate) server: Rc<str>,
}

/// One client's session.
pub(crate) struct Session {
    pub(crate) fe: Rc<Frontend>,
    pub(crate) id: String,
    pub(crate) client: Client,
    /// Who is logged in.
    pub(crate) user: Option<Box<Identity>>,
    pub(crate) upstreams: Vec<Upstream>,
    /// The server of the selected mailbox.
    pub(crate) selected: Option<Rc<str>>,
    pub(crate) remembered: Vec<Remembered>,
    /// Every server this session has been connected to, for the log.
    pub(crate) backends: Vec<Rc<str>>,
    pub(crate) commands: u64,
    /// Logins that failed.
    pub(crate) logins_failed: u32,
    /// The user's place for this session.
    pub(crate) user_place: Option<Place>,
    bad_in_row: u32,
    /// When it says good-bye, once the shard drains.
    leaves: Cell<Option<Instant>>,
    started: Instant,
    end: End,
}

const STOPPING: &str = "[UNAVAILABLE] The server is shutting down";

/// What came from the client.
enum Input {
    Command(Vec<u8>),
    /// An APPEND up to and with the line that announces a message.
    Append(Vec<u8>, Literal),
    Bad(Vec<u8>, BadCommand),
}

/// What woke a waiting session.
enum Woken {
    Client,
    Backend(usize),
    Draining,
}

/// Serves one client, whose connection has a `place`; with `tls`, a handshake comes before all else.
/// When the shard drains, a command that is under way is carried out, if it takes no longer than
/// the drain.
pub(crate) async fn serve(
    fe: Rc<Frontend>,
    stream: Stream,
    peer: Address,
    tls: bool,
    _place: Place,
) {
    let mut leg = Leg::plain(stream);
    if tls {
        let until = rt::now() + fe.parts.limits.login;
        if let Err(_told) = starttls::handshake(&fe, &mut leg, &peer, until).await {
            return;
        }
    }
    let mut session = Session::new(Rc::clone(&fe), leg, peer);
    let cut_off = async {
        rt::draining().await;
        rt::sleep_until(fe.departures.cut_off(fe.open())).await;
    };
    session.end = match rt::select(session.run(), cut_off).await {
        Either::Left(end) => end,
        Either::Right(()) => End::Draining,
    };
    if session.end == End::Draining && session.is_whole() {
        session.bye(End::Draining, STOPPING).await;
    }
}

impl Session {
    fn new(fe: Rc<Frontend>, stream: Leg, peer: Address) -> Self {
        let framer = CommandFramer::new(fe.command_limits(false));
        let client = Client::new(stream, peer, framer, fe.parts.limits.stall);
        fe.session_begins();
        Self {
            id: fe.session_id(),
            fe,
            client,
            user: None,
            upstreams: Vec::new(),
            selected: None,
            remembered: Vec::new(),
            backends: Vec::new(),
            commands: 0,
            logins_failed: 0,
            user_place: None,
            bad_in_row: 0,
            leaves: Cell::new(None),
            started: rt::now(),
            end: End::Aborted,
        }
    }

    async fn run(&mut self) -> End {
        if !self.fe.list_is_complete() {
            let text = "[UNAVAILABLE] The mailbox list isn't complete yet, try again";
            return self.bye(End::NoList, text).await;
        }
        let name = &self.fe.parts.servername;
        let greeting = format!(
            "* OK [CAPABILITY {}] {name} Ravenry server ready",
            self.before_login()
        );
        self.client.push_line(&greeting);
        loop {
            let outcome = match self.next_input().await {
                Ok(Input::Command(bytes)) => {
                    // It may hold a password: wiped when it has been carried out.
                    let bytes = Secret::new(bytes);
                    Box::pin(self.command(bytes.expose())).await
                }
                Ok(Input::Append(head, literal)) => {
                    Box::pin(append::run(self, &head, literal)).await
                }
                Ok(Input::Bad(bytes, bad)) => self.bad_input(&bytes, bad).await,
                Err(failure) => self.conclude(b"*", failure).await,
            };
            if let Err(end) = outcome {
                return end;
            }
        }
    }

    /// Waits for the next command, and meanwhile passes on what the selected mailbox's backend
    /// says.
    async fn next_input(&mut self) -> Result<Input, Failure> {
        let deadline = self.input_deadline();
        if self.leaves.get().is_some_and(|at| at <= rt::now()) {
            return Err(Failure::Ended(End::Draining));
        }
        loop {
            if self.commands == 0 && is_foreign(self.client.pending()) {
                return Err(Failure::Fatal("This is an IMAP server"));
            }
            match self.client.next_event() {
                CommandEvent::Complete { len } => return Ok(Input::Command(self.client.take(len))),
                CommandEvent::Stream { len, literal, .. } => {
                    return Ok(Input::Append(self.client.take(len), literal));
                }
                CommandEvent::Bad(bad) => {
                    return Ok(Input::Bad(self.client.take(bad.consume), bad));
                }
                CommandEvent::Discard { consume, skip } => {
                    self.client.take(consume);
                    self.discard(skip).await?;
                }
                CommandEvent::Continue => self.client.push_line("+ go ahead"),
                CommandEvent::NeedMore => self.wait(deadline).await?,
            }
        }
    }

    /// A line from the client that is no command: a SASL response, DONE.
    pub(crate) async fn line(&mut self) -> Result<Vec<u8>, Failure> {
        let deadline = self.input_deadline();
        let mut why: Option<String> = None;
        loop {
            if self.client.is_between_lines()
                && let Some(why) = why.take()
            {
                return Err(Failure::bad(why));
            }
            match self.client.next_line() {
                CommandEvent::Complete { len } => {
                    let mut line = self.client.take(len);
                    line.truncate(len - 2);
                    return Ok(line);
                }
                CommandEvent::Discard { consume, skip } => {
                    self.client.take(consume);
                    self.discard(skip).await?;
                }
                CommandEvent::Bad(bad) => {
                    self.client.take(bad.consume);
                    why.get_or_insert_with(|| bad.why.to_string());
                }
                _ => self.wait(deadline).await?,
            }
        }
    }

    /// Whether a password may be sent on this connection.
    pub(crate) fn takes_logins(&self) -> bool {
        self.fe.parts.allow_plaintext || self.client.stream.is_tls()
    }

    /// The capabilities before login.
    pub(crate) fn before_login(&self) -> String {
        let starttls = self.fe.parts.acceptor.is_some() && !self.client.stream.is_tls();
        capability::before_login(starttls, self.takes_logins())
    }

    /// Drops what nobody asked for. Before login that has no more time than the login itself.
    pub(crate) async fn discard(&mut self, bytes: u64) -> Result<(), Failure> {
        if self.user.is_some() {
            return self.client.discard(bytes).await;
        }
        let deadline = self.input_deadline();
        match rt::timeout_at(deadline, self.client.discard(bytes)).await {
            Ok(done) => done,
            Err(_elapsed) => Err(Failure::Ended(self.timed_out().await)),
        }
    }

    /// When a client that sends nothing is given up.
    pub(crate) fn input_deadline(&self) -> Instant {
        let limits = &self.fe.parts.limits;
        match self.user {
            Some(_) => rt::now() + limits.autologout,
            None => self.started + limits.login,
        }
    }

    /// Waits until client bytes have come.
    async fn wait(&mut self, deadline: Instant) -> Result<(), Failure> {
        if let Some(index) = self.selected_index() {
            // What came with an answer and isn't part of it.
            relay::unsolicited_here(&mut self.client, &mut self.upstreams[index]).await?;
        }
        self.client.flush().await?;
        self.client.release();
        self.upstreams.iter_mut().for_each(Upstream::release);
        loop {
            self.drop_idle_upstreams();
            let until = self
                .next_idle_upstream()
                .map_or(deadline, |at| at.min(deadline));
            match rt::timeout_at(until, self.readable()).await {
                Ok(Woken::Client) => {
                    if self.client.read_now().await? {
                        return Ok(());
                    }
                }
                Ok(Woken::Backend(index)) => {
                    self.unsolicited(index).await?;
                    self.client.flush().await?;
                }
                Ok(Woken::Draining) => return Err(Failure::Ended(End::Draining)),
                Err(_elapsed) if rt::now() < deadline => {}
                Err(_elapsed) => return Err(Failure::Ended(self.timed_out().await)),
            }
        }
    }

    /// Passes on what the selected mailbox's backend says unasked. Between two whole responses it
    /// has as long as a stalled transfer has.
    async fn unsolicited(&mut self, index: usize) -> Result<(), Failure> {
        let (client, up) = (&mut self.client, &mut self.upstreams[index]);
        let within = self.fe.parts.limits.stall;
        match rt::timeout(within, relay::unsolicited(client, up)).await {
            Ok(passed) => passed,
            Err(_elapsed) => {
                let fault = self.upstreams[index].fault("never ends what it says unasked");
                Err(Failure::Torn(fault))
            }
        }
    }

    async fn readable(&self) -> Woken {
        let client = async {
            match rt::select(self.departure(), self.client.readable()).await {
                Either::Left(()) => Woken::Draining,
                Either::Right(_) => Woken::Client,
            }
        };
        let Some(index) = self.selected_index() else {
            return client.await;
        };
        match rt::select(client, self.upstreams[index].readable()).await {
            Either::Left(woken) => woken,
            Either::Right(_) => Woken::Backend(index),
        }
    }

    /// Resolves when the shard drains and this session's turn has come to say good-bye.
    async fn departure(&self) {
        rt::draining().await;
        let at = self.leaves.get().unwrap_or_else(|| {
            let at = self.fe.departures.next(self.fe.open());
            self.leaves.set(Some(at));
            at
        });
        // In a box: all sessions that wait would be larger for it.
        Box::pin(rt::sleep_until(at)).await;
    }

    pub(crate) async fn timed_out(&mut self) -> End {
        if self.user.is_some() {
            self.bye(End::Autologout, "Autologout; idle for too long")
                .await
        } else {
            self.bye(End::LoginTimeout, "No login in time").await
        }
    }

    /// Carries one whole command out.
    async fn command(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.commands += 1;
        let command = match imap::command(bytes) {
            Ok(command) => command,
            Err(bad) => {
                return self
                    .conclude(bad.tag.unwrap_or(b"*"), Failure::bad(bad.text))
                    .await;
            }
        };
        match dispatch::run(self, &command).await {
            Ok(()) => self.command_done().await,
            Err(failure) => self.conclude(command.tag, failure).await,
        }
    }

    /// A command has got its reply.
    pub(crate) async fn command_done(&mut self) -> Result<(), End> {
        self.bad_in_row = 0;
        self.client
            .flush_if_large()
            .await
            .map_err(|_gone| End::ClientGone)
    }

    /// Answers bytes that were no command.
    async fn bad_input(&mut self, bytes: &[u8], bad: BadCommand) -> Result<(), End> {
        self.commands += 1;
        let text = bad.why.to_string();
        if bad.fatal {
            return Err(self.bye(End::BadClient, &text).await);
        }
        if let Err(failure) = self.discard(bad.skip).await {
            return self.conclude(b"*", failure).await;
        }
        let tag = |range: Range<usize>| bytes.get(range);
        self.conclude(bad.tag.and_then(tag).unwrap_or(b"*"), Failure::bad(text))
            .await
    }

    /// The one place where a failure becomes an answer.
    pub(crate) async fn conclude(&mut self, tag: &[u8], failure: Failure) -> Result<(), End> {
        if let Some(fault) = failure.fault() {
            tracing::warn!(session = %self.id, "backend {fault}");
        }
        if let Failure::Client(error) = &failure {
            tracing::debug!(session = %self.id, "client: {error}");
            if error.kind() == io::ErrorKind::TimedOut && self.is_whole() {
                return Err(self
                    .bye(End::ClientGone, "The transfer stood still for too long")
                    .await);
            }
        }
        match failure.answer(self.selected.as_deref()) {
            Answer::Tagged(reply) => {
                #[cfg(bug_4)] // A reply twice, where a backend has failed.
                if failure.fault().is_some() {
                    self.client.push_tagged(tag, &reply);
                }
                self.client.push_tagged(tag, &reply);
            }
            Answer::Bye(end, text) => return Err(self.bye(end, &text).await),
            Answer::Silence(end) => return Err(end),
        }
        if let Some(fault) = failure.fault() {
            self.upstreams.retain(|up| *up.server != *fault.server);
        }
        match failure {
            Failure::Bad(_) => {
                self.fe.metrics.commands_bad.add(1);
                self.bad_in_row += 1;
            }
            Failure::State(_) => self.fe.metrics.commands_bad.add(1),
            _ => self.bad_in_row = 0,
        }
        if self.bad_in_row >= limits::BAD_COMMANDS_MAX {
            return Err(self
                .bye(End::BadClient, "Too many bad commands in a row")
                .await);
        }
        self.client
            .flush_if_large()
            .await
            .map_err(|_gone| End::ClientGone)
    }

    /// Says good-bye, and why.
    pub(crate) async fn bye(&mut self, end: End, text: &str) -> End {
        self.client.push_line(&format!("* BYE {text}"));
        // Whether it arrives changes nothing any more.
        if self.client.flush().await.is_ok() {
            self.client.linger().await;
        }
        end
    }

    /// LOGOUT's farewell.
    pub(crate) async fn farewell(&mut self, tag: &[u8]) -> Failure {
        self.client.push_line("* BYE LOGOUT received");
        self.client.push_tagged(tag, "OK Completed");
        if self.client.flush().await.is_ok() {
            self.client.stream.close();
        }
        Failure::Ended(End::Logout)
    }

    /// Whether the client has had whole responses only, so that one more line can follow.
    fn is_whole(&self) -> bool {
        self.client.is_whole()
            && self
                .upstreams
                .iter()
                .all(|up| up.scanner.is_between_responses())
    }

    /// The session's one line in the log.
    fn report(&self) {
        let seconds = rt::now().duration_since(self.started).as_secs_f64();
        tracing::info!(
            session = %self.id,
            client = %self.client.peer,
            tls = self.client.stream.version(),
            user = self.user.as_ref().map_or("-", |user| user.user.as_str()),
            backends = %self.backends.join(","),
            commands = self.commands,
            bytes_in = self.client.bytes_in,
            bytes_out = self.client.bytes_out,
            bytes_spliced = self.client.bytes_spliced,
            seconds = format_args!("{seconds:.3}"),
            end = ?self.end,
            "session"
        );
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.report();
        self.fe
            .session_over(self.client.bytes_in, self.client.bytes_out);
    }
}

/// Whether a client's first bytes belong to another protocol: TLS, or HTTP from a browser that was
/// sent here to make this server carry out its lines (the cross-protocol attack).
fn is_foreign(bytes: &[u8]) -> bool {
    const METHODS: [&[u8]; 7] = [
        b"GET /",
        b"POST /",
        b"HEAD /",
        b"PUT /",
        b"DELETE /",
        b"OPTIONS ",
        b"CONNECT ",
    ];
    let binary = |byte: &u8| !byte.is_ascii_graphic() && !byte.is_ascii_whitespace();
    bytes.first().is_some_and(binary) || METHODS.iter().any(|method| bytes.starts_with(method))
}

#[cfg(test)]
mod tests {
    use super::is_foreign;

    #[test]
    fn strangers_are_known_by_their_first_bytes() {
        for bytes in [
            &b"\x16\x03\x01\x02\0"[..],
            b"\0",
            b"\x80\x2e",
            b"GET / HTTP/1.1\r\n",
            b"POST /x",
        ] {
            assert!(is_foreign(bytes), "{bytes:?}");
        }
        for bytes in [
            &b""[..],
            b"a1 CAPABILITY\r\n",
            b"\r\n",
            b"GET SELECT x\r\n",
            b"GETX",
            b"* BAD",
        ] {
            assert!(!is_foreign(bytes), "{bytes:?}");
        }
    }
}
