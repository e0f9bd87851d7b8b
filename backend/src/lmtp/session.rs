//! One client's session, from greeting to end: wait, read a line, carry it out, answer.
//!
//! Invariant: each command has one reply; the end of a message has one for each of its recipients. A session that
//! waits holds no buffer and one timer, and what it does lives in a box of its own.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use ravenry_core::admission::Place;
use ravenry_core::client::{Client, Lost};
use ravenry_core::limits;
use ravenry_core::mailboxes::Identity;
use ravenry_core::proto::lmtp::{self, Command, Reply};
use ravenry_core::proto::sasl::Secret;
use ravenry_core::rt::{self, Address, Either, Instant, Stream};
use ravenry_core::tls::Leg;
use ravenry_core::wire::imap::{CommandFramer, LineScanner};

use super::envelope::Envelope;
use super::{auth, data, envelope};
use crate::shard::Backend;

/// One client's session.
pub(super) struct Session {
    pub(super) backend: Rc<Backend>,
    pub(super) id: String,
    pub(super) client: Client,
    pub(super) lines: LineScanner,
    /// May deliver without a login.
    pub(super) is_trusted: bool,
    /// Who is logged in: an account that may deliver.
    pub(super) user: Option<Box<Identity>>,
    pub(super) user_place: Option<Place>,
    pub(super) logins_failed: u32,
    /// What the client calls itself.
    pub(super) name: Option<String>,
    /// The message under way.
    pub(super) envelope: Option<Envelope>,
    pub(super) commands: u64,
    /// Messages that came whole.
    pub(super) messages: u64,
    bad_in_row: u32,
    /// When it says good-bye, once the shard drains.
    pub(super) leaves: Cell<Option<Instant>>,
    pub(super) started: Instant,
    end: End,
}

/// How a session ended, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// QUIT.
    Quit,
    /// The client closed, vanished or stalled.
    ClientGone,
    /// The TLS handshake failed.
    NoTls,
    /// No login in time, where one is needed.
    LoginTimeout,
    /// Too many logins failed.
    BadLogins,
    /// No command in time.
    Idle,
    /// The client doesn't speak LMTP.
    BadClient,
    /// This process is stopping.
    Draining,
    /// It was cut off: a panic, or the grace of a stop was over.
    Aborted,
}

/// Why there is no reply.
#[derive(Debug)]
pub(super) enum Over {
    /// The client's leg is gone or stalled: there is nobody to answer.
    Gone(io::Error),
    /// The session ends with this reply.
    Bye(End, Reply),
    /// It ends without a word (any more).
    Silent(End),
}

impl From<Lost> for Over {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Gone(error) => Self::Gone(error),
            Lost::Astray(text) => Self::Bye(End::BadClient, Reply::new(500, "5.5.2", text)),
        }
    }
}

/// The reply to a command; `None`: the client has had it.
pub(super) type Done = Result<Option<Reply>, Over>;

/// A reply, where there is one in any case.
pub(super) fn reply(code: u16, status: &'static str, text: &'static str) -> Done {
    Ok(Some(Reply::new(code, status, text)))
}

const STOPPING: Reply = Reply::new(421, "4.3.2", "The server is shutting down");
const TOO_MANY_BAD: Reply = Reply::new(421, "4.7.0", "Too many bad commands in a row");

/// Serves one client, whose connection has a `place`. When the shard drains, a message that is under way is stored, if
/// that takes no longer than the drain.
pub(crate) async fn serve(backend: Rc<Backend>, stream: Stream, peer: Address, _place: Place) {
    let desk = Rc::clone(&backend.desk);
    let mut session = Session::new(backend, Leg::plain(stream), peer);
    session.end = match rt::select(session.run(), desk.cut_off()).await {
        Either::Left(end) => end,
        Either::Right(()) => End::Draining,
    };
    if session.end == End::Draining && session.client.is_whole() {
        session.bye(&STOPPING).await;
    }
}

impl Session {
    fn new(backend: Rc<Backend>, stream: Leg, peer: Address) -> Self {
        let desk = &backend.desk;
        // Of the client's leg all but the framing is used, which is IMAP's.
        let framer = CommandFramer::new(desk.command_limits(false));
        let is_trusted = match &peer {
            Address::Unix(_) => true,
            Address::Tcp(peer) => {
                let trusted = &backend.parts.backend.lmtp_trusted;
                trusted.iter().any(|network| network.contains(peer.ip()))
            }
        };
        let client = Client::new(stream, peer, framer, desk.parts.limits.stall);
        desk.session_begins();
        Self {
            id: desk.session_id(),
            backend,
            client,
            lines: LineScanner::new(limits::LMTP_LINE_BYTES_MAX),
            is_trusted,
            user: None,
            user_place: None,
            logins_failed: 0,
            name: None,
            envelope: None,
            commands: 0,
            messages: 0,
            bad_in_row: 0,
            leaves: Cell::new(None),
            started: rt::now(),
            end: End::Aborted,
        }
    }

    async fn run(&mut self) -> End {
        let name = &self.backend.desk.parts.servername;
        self.client.push_line(&format!("220 {name} LMTP Ravenry"));
        loop {
            let done = match self.next_line().await {
                Ok(Ok(line)) => {
                    // It may hold a password: wiped when it has been carried out.
                    let line = Secret::new(line);
                    Box::pin(self.command(line.expose())).await
                }
                Ok(Err(why)) => Ok(Some(Reply {
                    code: 500,
                    status: "5.5.2",
                    text: why.into(),
                })),
                Err(over) => Err(over),
            };
            if let Err(over) = self.answer(done).await {
                return self.over(over).await;
            }
        }
    }

    async fn command(&mut self, line: &[u8]) -> Done {
        self.commands += 1;
        match lmtp::command(line) {
            Ok(Command::Lhlo(name)) => {
                self.hello(name);
                Ok(None)
            }
            Ok(Command::Mail(mail)) => Ok(Some(envelope::mail(self, mail))),
            Ok(Command::Rcpt(path)) => Ok(Some(envelope::rcpt(self, &path))),
            Ok(Command::Data) => data::data(self).await,
            Ok(Command::Bdat { size, last }) => data::bdat(self, size, last).await,
            Ok(Command::Rset) => {
                self.envelope = None;
                reply(250, "2.0.0", "Ok")
            }
            Ok(Command::Noop) => reply(250, "2.0.0", "Ok"),
            // Whom there is is told to those alone who deliver.
            Ok(Command::Vrfy) => reply(252, "2.1.5", "Try RCPT"),
            Ok(Command::Quit) => {
                let bye = Reply::new(221, "2.0.0", "Bye");
                Err(Over::Bye(End::Quit, bye))
            }
            Ok(Command::StartTls) => auth::starttls(self).await,
            Ok(Command::Auth { mechanism, initial }) => auth::auth(self, mechanism, initial).await,
            Err(refused) => Ok(Some(refused)),
        }
    }

    /// LHLO begins anew (RFC 5321 section 4.1.4).
    fn hello(&mut self, name: &str) {
        self.envelope = None;
        self.name = Some(name.to_owned());
        let desk = &self.backend.desk;
        let mut lines = vec![desk.parts.servername.clone()];
        lines.extend(["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING"].map(Into::into));
        lines.push(format!("SIZE {}", self.backend.parts.backend.message_size));
        if desk.parts.acceptor.is_some() && !self.client.stream.is_tls() {
            lines.push("STARTTLS".to_owned());
        }
        if self.user.is_none() && desk.takes_logins(&self.client.stream) {
            lines.push("AUTH PLAIN LOGIN".to_owned());
        }
        let last = lines.len() - 1;
        for (at, line) in lines.iter().enumerate() {
            let mark = if at == last { ' ' } else { '-' };
            self.client.push_line(&format!("250{mark}{line}"));
        }
    }

    /// Whether mail is taken from this client.
    pub(super) fn may_deliver(&self) -> bool {
        self.is_trusted || self.user.is_some()
    }

    /// The one place where a reply is sent.
    async fn answer(&mut self, done: Done) -> Result<(), Over> {
        let Some(reply) = done? else {
            self.bad_in_row = 0;
            return Ok(self.client.flush_if_large().await?);
        };
        self.client.push_line(&reply.to_string());
        // The client's fault, as against what becomes of a message.
        if matches!(reply.code, 500..=504 | 555) {
            self.backend.desk.metrics.commands_bad.add(1);
            self.bad_in_row += 1;
        } else {
            self.bad_in_row = 0;
        }
        if self.bad_in_row >= limits::BAD_COMMANDS_MAX {
            return Err(Over::Bye(End::BadClient, TOO_MANY_BAD));
        }
        Ok(self.client.flush_if_large().await?)
    }

    async fn over(&mut self, over: Over) -> End {
        match over {
            Over::Silent(end) => end,
            Over::Bye(end, reply) => {
                self.bye(&reply).await;
                end
            }
            Over::Gone(error) => {
                tracing::debug!(session = %self.id, "client: {error}");
                if error.kind() == io::ErrorKind::TimedOut && self.client.is_whole() {
                    let text = "The transfer stood still for too long";
                    self.bye(&Reply::new(421, "4.4.2", text)).await;
                }
                End::ClientGone
            }
        }
    }

    /// The last reply.
    async fn bye(&mut self, reply: &Reply) {
        self.client.push_line(&reply.to_string());
        // Whether it arrives changes nothing any more.
        if self.client.flush().await.is_ok() {
            self.client.linger().await;
        }
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
            messages = self.messages,
            bytes_in = self.client.bytes_in,
            bytes_out = self.client.bytes_out,
            seconds = format_args!("{seconds:.3}"),
            end = ?self.end,
            "LMTP session"
        );
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.report();
        let desk = &self.backend.desk;
        desk.session_over(self.client.bytes_in, self.client.bytes_out);
    }
}
