//! One client's session, from greeting to end: wait, frame, dispatch, answer.
//!
//! Straight-line async code on one shard. A session that waits holds no buffer and one timer; the command under way lives
//! in a box of its own, so that an idle session is small. Invariants: one command at a time; exactly one
//! tagged reply to each, or BYE.

use std::borrow::Cow;
use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::admission::Place;
use ravenry_core::client::{Client, Input};
use ravenry_core::limits;
use ravenry_core::mailboxes::Identity;
use ravenry_core::proto::imap;
use ravenry_core::proto::sasl::Secret;
use ravenry_core::rt::{self, Address, Either, Instant, Stream};
use ravenry_core::tls::Leg;
use ravenry_core::wire::imap::{BadCommand, CommandFramer, Literal};

use super::failure::{Answer, End, Failure};
use super::select::Selected;
use super::{append, dispatch};
use crate::shard::Backend;

/// What a handler ends with.
pub(crate) enum Done {
    /// The tagged reply without its tag and CRLF, `OK …`.
    Tagged(Cow<'static, str>),
    /// The client has had it already.
    Answered,
}

/// What comes of a command.
pub(crate) type Reply = Result<Done, Failure>;

/// The usual reply.
pub(crate) const COMPLETED: Reply = Ok(Done::Tagged(Cow::Borrowed("OK Completed")));

/// Another one.
pub(crate) fn ok(text: impl Into<Cow<'static, str>>) -> Reply {
    Ok(Done::Tagged(text.into()))
}

/// One client's session.
pub(crate) struct Session {
    pub(crate) backend: Rc<Backend>,
    pub(crate) id: String,
    pub(crate) client: Client,
    /// Who is logged in.
    pub(crate) user: Option<Box<Identity>>,
    pub(crate) selected: Option<Box<Selected>>,
    /// The client hears of modseqs (RFC 7162 section 3.1).
    pub(super) condstore: bool,
    /// It is told VANISHED for EXPUNGE (RFC 7162 section 3.2).
    pub(super) qresync: bool,
    /// It has enabled UTF8=ACCEPT (RFC 6855).
    pub(super) utf8: bool,
    /// It has enabled IMAP4rev2 (RFC 9051).
    pub(super) rev2: bool,
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

/// How long a good-bye may take while the shard drains.
const LAST_WORD: Duration = Duration::from_millis(1500);
const STOPPING: &str = "[UNAVAILABLE] The server is shutting down";

/// Serves one client, whose connection has a `place`; with `tls`, a handshake comes before all else. When the shard
/// drains, a command that is under way is carried out, if it takes no longer than the drain.
pub(crate) async fn serve(
    backend: Rc<Backend>,
    stream: Stream,
    peer: Address,
    tls: bool,
    _place: Place,
) {
    let mut leg = Leg::plain(stream);
    let desk = Rc::clone(&backend.desk);
    if tls {
        let until = rt::now() + desk.parts.limits.login;
        if desk.handshake(&mut leg, &peer, until).await.is_err() {
            return;
        }
    }
    let mut session = Session::new(backend, leg, peer);
    session.end = match rt::select(session.run(), desk.cut_off()).await {
        Either::Left(end) => end,
        Either::Right(()) => End::Draining,
    };
    if session.end == End::Draining && session.client.is_whole() {
        // Whoever doesn't take it is not waited for: the shard ends.
        let bye = session.bye(End::Draining, STOPPING);
        let _ = rt::timeout(LAST_WORD, bye).await;
    }
}

impl Session {
    fn new(backend: Rc<Backend>, stream: Leg, peer: Address) -> Self {
        let desk = &backend.desk;
        let framer = CommandFramer::new(desk.command_limits(false));
        let client = Client::new(stream, peer, framer, desk.parts.limits.stall);
        desk.session_begins();
        Self {
            id: desk.session_id(),
            backend,
            client,
            user: None,
            selected: None,
            condstore: false,
            qresync: false,
            utf8: false,
            rev2: false,
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
        let name = &self.backend.desk.parts.servername;
        let capabilities = dispatch::capabilities(self);
        let greeting = format!("* OK [CAPABILITY {capabilities}] {name} Ravenry server ready");
        self.client.push_line(&greeting);
        loop {
            let outcome = match self.next_input().await {
                Ok(Input::Command(bytes)) => {
                    // It may hold a password: wiped when it has been carried out.
                    let bytes = Secret::new(bytes);
                    Box::pin(self.command(bytes.expose())).await
                }
                Ok(Input::Append(head, literal)) => Box::pin(self.streamed(&head, literal)).await,
                Ok(Input::Bad(bytes, bad)) => Box::pin(self.bad_input(&bytes, bad)).await,
                Err(failure) => Box::pin(self.conclude(b"*", failure)).await,
            };
            if let Err(end) = outcome {
                return end;
            }
        }
    }

    /// Carries one whole command out.
    async fn command(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.commands += 1;
        let command = match imap::command(bytes) {
            Ok(command) => command,
            Err(bad) => {
                let tag = bad.tag.unwrap_or(b"*");
                return self.conclude(tag, Failure::bad(bad.text)).await;
            }
        };
        if self.takes_utf8() && !imap::lines_are_utf8(bytes) {
            let bad = Failure::bad("A quoted string is not well-formed UTF-8");
            return self.conclude(command.tag, bad).await;
        }
        match dispatch::run(self, &command).await {
            Ok(done) => self.done(command.tag, done).await,
            Err(failure) => self.conclude(command.tag, failure).await,
        }
    }

    /// An APPEND, up to and with the line that announces a message.
    async fn streamed(&mut self, head: &[u8], literal: Literal) -> Result<(), End> {
        self.commands += 1;
        let tag = imap::command(head).map_or(&b"*"[..], |command| command.tag);
        match append::run(self, head, literal).await {
            Ok(done) => self.done(tag, done).await,
            Err(failure) => self.conclude(tag, failure).await,
        }
    }

    /// A command is done.
    async fn done(&mut self, tag: &[u8], done: Done) -> Result<(), End> {
        self.bad_in_row = 0;
        if let Done::Tagged(reply) = done {
            self.client.push_tagged(tag, &reply);
        }
        let flushed = self.client.flush_if_large().await;
        flushed.map_err(|_gone| End::ClientGone)
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
        let tag = bad.tag.and_then(tag).unwrap_or(b"*");
        self.conclude(tag, Failure::bad(text)).await
    }

    /// The one place where a failure becomes an answer.
    pub(crate) async fn conclude(&mut self, tag: &[u8], failure: Failure) -> Result<(), End> {
        match &failure {
            Failure::Torn(why) => {
                tracing::error!(session = %self.id, "an answer can't be ended: {why}")
            }
            Failure::Client(error) => {
                tracing::debug!(session = %self.id, "client: {error}");
                if error.kind() == io::ErrorKind::TimedOut && self.client.is_whole() {
                    let text = "The transfer stood still for too long";
                    return Err(self.bye(End::ClientGone, text).await);
                }
                if self.client.stream.is_garbled() && self.client.is_whole() {
                    let text = "What came can't be decompressed";
                    return Err(self.bye(End::BadClient, text).await);
                }
            }
            _ => {}
        }
        match failure.answer() {
            Answer::Tagged(reply) => self.client.push_tagged(tag, &reply),
            // Not into the middle of what was cut off.
            Answer::Bye(end, _) if !self.client.is_whole() => return Err(end),
            Answer::Bye(end, text) => return Err(self.bye(end, &text).await),
            Answer::Silence(end) => return Err(end),
        }
        let metrics = &self.backend.desk.metrics;
        match failure {
            Failure::Bad(_) => {
                metrics.commands_bad.add(1);
                self.bad_in_row += 1;
            }
            Failure::State(_) => metrics.commands_bad.add(1),
            _ => self.bad_in_row = 0,
        }
        if self.bad_in_row >= limits::BAD_COMMANDS_MAX {
            let text = "Too many bad commands in a row";
            return Err(self.bye(End::BadClient, text).await);
        }
        let flushed = self.client.flush_if_large().await;
        flushed.map_err(|_gone| End::ClientGone)
    }

    /// Says good-bye, and why.
    pub(crate) async fn bye(&mut self, end: End, text: &str) -> End {
        self.client.push_line(&format!("* BYE {text}"));
        // In memory of its own: a session in which nothing has happened yet doesn't keep room for it.
        let leave = Box::pin(async {
            // Whether it arrives changes nothing any more.
            if self.client.flush().await.is_ok() {
                self.client.linger().await;
            }
        });
        leave.await;
        end
    }

    /// Who is logged in.
    pub(crate) fn who(&self) -> Result<&Identity, Failure> {
        let user = self.user.as_deref();
        user.ok_or(Failure::State("Please log in first"))
    }

    /// The session's one line in the log.
    fn report(&self) {
        let seconds = rt::now().duration_since(self.started).as_secs_f64();
        tracing::info!(
            session = %self.id,
            client = %self.client.peer,
            tls = self.client.stream.version(),
            user = self.user.as_ref().map_or("-", |user| user.user.as_str()),
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
        let desk = &self.backend.desk;
        desk.count_compression(&self.client.stream);
        desk.session_over(self.client.bytes_in, self.client.bytes_out);
    }
}
