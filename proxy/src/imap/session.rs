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
use ravenry_core::client::Client;
use ravenry_core::client::Input;
use ravenry_core::limits;
use ravenry_core::mailboxes::{Identity, Name};
use ravenry_core::proto::imap::{self, Verb};
use ravenry_core::proto::sasl::{Plain, Secret};
use ravenry_core::rt::{self, Address, Either, Instant, Stream};
use ravenry_core::tls::Leg;
use ravenry_core::wire::imap::{BadCommand, CommandFramer};

use super::enable::Enabled;
use super::{append, dispatch};
use crate::capability;
use crate::failure::{Answer, End, Failure};
use crate::frontend::Frontend;
use crate::upstream::Upstream;

/// A mailbox this session made whose announcement hasn't reached the list yet.
pub(crate) struct Remembered {
    pub(crate) name: Name,
    pub(crate) server: Rc<str>,
}

/// The selected mailbox.
pub(crate) struct Selected {
    pub(crate) server: Rc<str>,
    pub(crate) name: Name,
    /// SELECT or EXAMINE.
    pub(crate) verb: Verb,
}

/// One client's session.
pub(crate) struct Session {
    pub(crate) fe: Rc<Frontend>,
    pub(crate) id: String,
    pub(crate) client: Client,
    /// Who is logged in.
    pub(crate) user: Option<Box<Identity>>,
    /// An admin's own name and password, for backends (`admin_actions = "own"`).
    pub(crate) own_login: Option<Box<Plain>>,
    /// The client has shown that it knows referrals (RFC 2193 section 3).
    pub(crate) knows_referrals: bool,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) selected: Option<Selected>,
    /// The tag of an IDLE that is under way.
    pub(crate) idling: Option<Vec<u8>>,
    /// A search's result has been saved (RFC 5182): it lives in the backend's connection.
    pub(crate) saved_search: bool,
    pub(crate) remembered: Vec<Remembered>,
    /// What the client has turned on.
    pub(crate) enabled: Enabled,
    /// Every server this session has been connected to, for the log.
    pub(crate) backends: Vec<Rc<str>>,
    pub(crate) commands: u64,
    /// Logins that failed.
    pub(crate) logins_failed: u32,
    /// The user's place for this session.
    pub(crate) user_place: Option<Place>,
    bad_in_row: u32,
    /// When it says good-bye, once the shard drains.
    pub(super) leaves: Cell<Option<Instant>>,
    pub(super) started: Instant,
    end: End,
}

const STOPPING: &str = "[UNAVAILABLE] The server is shutting down";

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
        let until = rt::now() + fe.desk.parts.limits.login;
        if fe.desk.handshake(&mut leg, &peer, until).await.is_err() {
            return;
        }
    }
    let mut session = Session::new(Rc::clone(&fe), leg, peer);
    let desk = Rc::clone(&fe.desk);
    session.end = match rt::select(session.run(), desk.cut_off()).await {
        Either::Left(end) => end,
        Either::Right(()) => End::Draining,
    };
    if session.end == End::Draining && session.is_whole() {
        session.bye(End::Draining, STOPPING).await;
    }
}

impl Session {
    fn new(fe: Rc<Frontend>, stream: Leg, peer: Address) -> Self {
        let framer = CommandFramer::new(fe.desk.command_limits(false));
        let client = Client::new(stream, peer, framer, fe.desk.parts.limits.stall);
        fe.desk.session_begins();
        Self {
            id: fe.desk.session_id(),
            fe,
            client,
            user: None,
            own_login: None,
            knows_referrals: false,
            upstreams: Vec::new(),
            selected: None,
            idling: None,
            saved_search: false,
            remembered: Vec::new(),
            enabled: Enabled::default(),
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
        let name = &self.fe.desk.parts.servername;
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

    /// Whether a password may be sent on this connection.
    pub(crate) fn takes_logins(&self) -> bool {
        self.fe.desk.takes_logins(&self.client.stream)
    }

    /// The capabilities before login.
    pub(crate) fn before_login(&self) -> String {
        let starttls = self.fe.desk.parts.acceptor.is_some() && !self.client.stream.is_tls();
        let referrals = self.fe.parts.proxy.login_referrals;
        capability::before_login(starttls, self.takes_logins(), referrals)
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
            if self.client.stream.is_garbled() && self.is_whole() {
                let text = "What came can't be decompressed";
                return Err(self.bye(End::BadClient, text).await);
            }
            if error.kind() == io::ErrorKind::TimedOut && self.is_whole() {
                return Err(self
                    .bye(End::ClientGone, "The transfer stood still for too long")
                    .await);
            }
        }
        match failure.answer(self.selected_server().map(|server| &**server)) {
            Answer::Tagged(reply) => {
                #[cfg(bug_4)] // A reply twice, where a backend has failed.
                if failure.fault().is_some() {
                    self.client.push_tagged(tag, &reply);
                }
                self.client.push_tagged(tag, &reply);
            }
            // Not into the middle of what was cut off.
            Answer::Bye(end, _) if !self.client.is_whole() => return Err(end),
            Answer::Bye(end, text) => return Err(self.bye(end, &text).await),
            Answer::Silence(end) => return Err(end),
        }
        if let Some(fault) = failure.fault() {
            self.upstreams.retain(|up| *up.server != *fault.server);
        }
        match failure {
            Failure::Bad(_) => {
                self.fe.desk.metrics.commands_bad.add(1);
                self.bad_in_row += 1;
            }
            Failure::State(_) => self.fe.desk.metrics.commands_bad.add(1),
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
        self.fe.desk.count_compression(&self.client.stream);
        self.fe
            .desk
            .session_over(self.client.bytes_in, self.client.bytes_out);
    }
}
