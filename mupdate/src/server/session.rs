//! One client of a MUPDATE server, from banner to end: a command at a time, exactly one answer to each. Changes that have
//! come one behind the other are the exception: they are decided in their order, but share a commit, and so the wait for the disk.
//!
//! RFC 3656 sections 3.8 (banner) and 4. Texts are Cyrus' where it has some. `login` and `stream`
//! have the longer commands.

use std::rc::Rc;
use std::sync::Arc;

use ravenry_core::limits::{COMMAND_BYTES_MAX, LOGIN_COMMAND_BYTES_MAX, MUPDATE_IDLE_MAX};
use ravenry_core::mailboxes::{Acl, After, Held, Location, Name, State, Told};
use ravenry_core::proto::mupdate::{Request, Text, Unreadable, Verb, reply, request};
use ravenry_core::rt::{self, Address, Instant, Stream};
use ravenry_core::tls::Leg;

use super::peer::{End, Peer};
use super::{Authority, Shared};
use crate::master::{Account, Answer, Ask, same};

/// One client.
pub(crate) struct Session {
    pub(crate) shared: Rc<Shared>,
    pub(crate) peer: Peer,
    pub(crate) account: Option<Arc<Account>>,
    pub(crate) logins_failed: u32,
    bad_in_row: u32,
    /// The server whose names were listed, and how many FINDs since were answered with another.
    listed: Option<(String, u64)>,
    login_by: Instant,
}

/// Bad commands in a row before the connection ends.
const BAD_COMMANDS_MAX: u32 = ravenry_core::limits::BAD_COMMANDS_MAX;

/// Changes of one client that are under way together.
const CHANGES_TOGETHER_MAX: usize = 256;

/// Serves one client.
pub(crate) async fn serve(shared: Rc<Shared>, stream: Stream, address: Address) {
    let counters = Arc::clone(&shared.counters);
    counters.connections.add(1);
    counters.connections_open.add(1);
    let _open = Open(Arc::clone(&shared.counters));
    let stall = shared.limits.stall;
    let mut session = Session {
        login_by: rt::now() + shared.limits.login,
        peer: Peer::new(Leg::plain(stream), address, LOGIN_COMMAND_BYTES_MAX, stall),
        shared,
        account: None,
        logins_failed: 0,
        bad_in_row: 0,
        listed: None,
    };
    let end = match session.run().await {
        Err(end) => end,
        Ok(never) => match never {},
    };
    session.over(&end).await;
}

/// Counted as open until it is dropped.
struct Open(Arc<super::counters::Counters>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections_open.sub(1);
    }
}

impl Session {
    async fn run(&mut self) -> Result<std::convert::Infallible, End> {
        self.banner();
        loop {
            let (deadline, what) = match self.account {
                Some(_) => (rt::now() + MUPDATE_IDLE_MAX, "idle"),
                None => (self.login_by, "login"),
            };
            let command = self.peer.command(deadline, what).await?;
            self.shared.counters.commands.add(1);
            match request(&command) {
                Ok(request) => self.obey(request).await?,
                Err(bad) => self.bad(bad.tag, bad.why.text())?,
            }
        }
    }

    /// Says good-bye, where that still can be said.
    async fn over(&mut self, end: &End) {
        let account = self.account.as_ref().map_or("-", |account| &account.name);
        let client = &self.peer.address;
        match end {
            End::Cut => {
                self.shared.counters.streams_cut.add(1);
                tracing::warn!(%client, account, "a stream was too far behind and is closed");
            }
            End::Silent(what) => tracing::info!(%client, account, what, "a client is too slow"),
            End::Protocol(why) => {
                tracing::info!(%client, account, "a client can't be understood: {why}")
            }
            End::Refused(why) => tracing::warn!(%client, account, "a client is sent away: {why}"),
            End::Broken(error) => tracing::debug!(%client, account, "connection broke: {error}"),
            End::Logout | End::Closed | End::Stopping => tracing::debug!(%client, account, "over"),
        }
        if let Some(text) = end.bye() {
            self.peer.output().push(b'*');
            reply::quoted("BYE", &[text], self.peer.output());
        }
        if self.peer.flush().await.is_ok() {
            self.peer.linger().await;
        }
    }

    /// What can be done here, and who this is (section 3.8).
    pub(crate) fn banner(&mut self) {
        let shared = Rc::clone(&self.shared);
        let secure = self.peer.leg.is_tls();
        let mut line = |word: &str, strings: &[&str]| {
            let out = &mut *self.peer.output();
            out.push(b'*');
            reply::quoted(word, strings, out);
        };
        if secure || shared.allow_plaintext {
            line("AUTH", &["PLAIN", "LOGIN"]);
        } else {
            line("AUTH", &[]);
        }
        if shared.acceptor.is_some() && !secure {
            line("STARTTLS", &[]);
        }
        line("PARTIAL-UPDATE", &[]);
        if let Some(place) = shared.place() {
            let [identity, epoch, sequence] = place.strings();
            line("X-DELTA", &[&identity, &epoch, &sequence]);
        }
        let version = env!("CARGO_PKG_VERSION");
        let who = shared.authority().banner();
        line(
            "OK MUPDATE",
            &[&shared.servername, "Ravenry", version, &who],
        );
    }

    async fn obey(&mut self, request: Request<'_>) -> Result<(), End> {
        let Request { tag, verb } = request;
        let account = match (&verb, &self.account) {
            (Verb::Logout, _) => {
                self.answer(tag, "OK", "bye-bye");
                return Err(End::Logout);
            }
            (Verb::Authenticate { mechanism, initial }, _) => {
                self.bad_in_row = 0;
                return self.authenticate(tag, mechanism, initial.as_deref()).await;
            }
            (Verb::StartTls, _) => return self.starttls(tag).await,
            (_, None) => return self.bad(tag, "Please login first"),
            (_, Some(account)) => Arc::clone(account),
        };
        self.bad_in_row = 0;
        match verb {
            Verb::Noop => self.noop(tag).await,
            Verb::Find { name } => self.find(tag, &name),
            Verb::List { prefix } => self.list(tag, prefix.as_deref()).await,
            Verb::Update { servers } => {
                let servers: Vec<_> = servers.iter().map(|server| text(server)).collect();
                self.update(tag, &servers).await
            }
            Verb::UpdateSince(place) => self.update_since(tag, place).await,
            Verb::Activate { .. }
            | Verb::Deactivate { .. }
            | Verb::Delete { .. }
            | Verb::Reserve { .. } => self.change(tag, &account, &verb).await,
            Verb::Authenticate { .. } | Verb::StartTls | Verb::Logout => Ok(()),
        }
    }

    /// RESERVE, ACTIVATE, DEACTIVATE, DELETE, with those that are here behind it.
    async fn change(
        &mut self,
        tag: &[u8],
        account: &Arc<Account>,
        verb: &Verb<'_>,
    ) -> Result<(), End> {
        let Authority::Master(master) = self.shared.authority() else {
            return self.bad(tag, "read-only session");
        };
        let Some(ask) = ask(verb) else {
            return self.bad(tag, Unreadable::Malformed.text());
        };
        let (mut tags, mut asks) = (vec![tag.to_vec()], vec![ask]);
        let more = self.changes_behind(&mut tags, &mut asks);
        let answers = master.ask_all(account, asks).await;
        for (tag, answer) in tags.iter().zip(answers) {
            match answer {
                Some(Answer::Done) => self.answer(tag, "OK", Answer::Done.text()),
                Some(no) => self.answer(tag, "NO", no.text()),
                None => return Err(End::Stopping),
            }
        }
        more
    }

    /// Takes changes that are here already, up to the first command that is none. The error is of what comes behind them.
    fn changes_behind(&mut self, tags: &mut Vec<Vec<u8>>, asks: &mut Vec<Ask>) -> Result<(), End> {
        while asks.len() < CHANGES_TOGETHER_MAX {
            let Some(command) = self.peer.next()? else {
                break;
            };
            let change = request(&command).ok();
            let change =
                change.and_then(|request| Some((request.tag.to_vec(), ask(&request.verb)?)));
            let Some((tag, ask)) = change else {
                self.peer.put_back(command);
                break;
            };
            self.shared.counters.commands.add(1);
            tags.push(tag);
            asks.push(ask);
        }
        Ok(())
    }

    /// NOOP: a barrier. What was answered anywhere before it was asked is in the list here. Behind a LIST it says, too, that
    /// no Cyrus backend resyncs here: those send none.
    async fn noop(&mut self, tag: &[u8]) -> Result<(), End> {
        self.listed = None;
        match self
            .shared
            .authority()
            .barrier(self.shared.limits.barrier)
            .await
        {
            Ok(()) => self.answer(tag, "OK", "Noop done"),
            Err(why) => self.answer(tag, "NO", &why),
        }
        Ok(())
    }

    fn find(&mut self, tag: &[u8], name: &[u8]) -> Result<(), End> {
        let Ok(name) = Name::from_mupdate(name) else {
            // One that can't be kept isn't there.
            self.answer(tag, "OK", "Search completed");
            return Ok(());
        };
        let found = self.shared.list.lookup(&name);
        match found {
            Ok(Some(entry)) => {
                let held = Held {
                    state: entry.state,
                    server: &entry.location.server,
                    partition: &entry.location.partition,
                    acl: entry.acl.as_bytes(),
                };
                let told = Told {
                    name: name.as_bytes(),
                    held: Some(held),
                };
                self.found_at(&entry.location.server)?;
                tell(tag, &told, self.peer.output());
                self.answer(tag, "OK", "Search completed");
            }
            Ok(None) => self.answer(tag, "OK", "Search completed"),
            Err(error) => self.unreadable(tag, &error),
        }
        Ok(())
    }

    /// A Cyrus backend that has listed its own names deletes its copy of each that FIND then shows at
    /// another server: where that would be too many, it is told nothing more.
    fn found_at(&mut self, server: &str) -> Result<(), End> {
        let Some((listed, elsewhere)) = &mut self.listed else {
            return Ok(());
        };
        if same(listed, server) {
            return Ok(());
        }
        *elsewhere += 1;
        // Where it can't be told how many it has, the least holds.
        let names = self.shared.list.count_at(listed).unwrap_or(0);
        if *elsewhere <= self.shared.guard.most(names) {
            return Ok(());
        }
        self.shared.counters.guarded.add(1);
        tracing::error!(
            server = listed,
            elsewhere,
            "a server asks for too many mailboxes that are at others: it would delete its copies; \
             look whether the list is right, or let it resync with its own copy as the truth \
             (Cyrus: ctl_mboxlist -m -a)"
        );
        Err(End::Refused("too many mailboxes are at other servers"))
    }

    /// LIST: what the locations begin with is compared byte by byte, as in Cyrus.
    async fn list(&mut self, tag: &[u8], prefix: Option<&[u8]>) -> Result<(), End> {
        let shared = Rc::clone(&self.shared);
        let server = prefix.and_then(|prefix| prefix.strip_suffix(b"!"));
        self.listed = server.map(|server| (String::from_utf8_lossy(server).into_owned(), 0));
        let mut after = Some(After::nothing());
        while let Some(from) = after {
            let out = self.peer.output();
            let piece = shared.list.tell_names(&from, |told| {
                if told.held.is_some_and(|held| begins(&held, prefix)) {
                    tell(tag, &told, out);
                }
                out.len() < super::peer::OUTPUT_BYTES_MAX
            });
            match piece {
                Ok(piece) => after = piece.next,
                Err(error) => {
                    self.unreadable(tag, &error);
                    return Ok(());
                }
            }
            if self.peer.is_full() {
                self.peer.flush().await?;
            }
            rt::yield_now().await;
        }
        self.answer(tag, "OK", "list complete");
        Ok(())
    }

    /// The list can't be read, or isn't whole yet: "not there" would be a guess.
    pub(crate) fn unreadable(&mut self, tag: &[u8], error: &ravenry_core::mailboxes::ListError) {
        tracing::error!("mailbox list: {error}");
        self.answer(tag, "NO", "the mailbox list can't be read now");
    }

    /// Adds an answer to the output.
    pub(crate) fn answer(&mut self, tag: &[u8], word: &str, text: &str) {
        let out = self.peer.output();
        out.extend_from_slice(tag);
        reply::quoted(word, &[text], out);
    }

    /// A command that isn't understood, or not allowed now.
    pub(crate) fn bad(&mut self, tag: &[u8], text: &str) -> Result<(), End> {
        self.shared.counters.commands_bad.add(1);
        self.answer(if tag.is_empty() { b"*" } else { tag }, "BAD", text);
        self.bad_in_row += 1;
        if self.bad_in_row >= BAD_COMMANDS_MAX {
            return Err(End::Refused("too many bad commands"));
        }
        Ok(())
    }

    /// Logged in: larger commands are taken.
    pub(crate) fn logged_in(&mut self, account: Arc<Account>) {
        self.account = Some(account);
        self.peer.set_bytes_max(COMMAND_BYTES_MAX);
    }

    /// When a login has to be done.
    pub(crate) fn login_by(&self) -> Instant {
        self.login_by
    }
}

/// MAILBOX, RESERVE or DELETE with `tag`.
pub(crate) fn tell(tag: &[u8], told: &Told<'_>, out: &mut Vec<u8>) {
    tell_to(tag, told, false, out);
}

/// The same, to a Ravenry, or to others, for whom a name that moves is reserved.
pub(crate) fn tell_to(tag: &[u8], told: &Told<'_>, ravenry: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(tag);
    let Some(held) = told.held else {
        return reply::delete(told.name, out);
    };
    let place = (held.server, held.partition);
    match held.state {
        State::Active => reply::mailbox(told.name, place, held.acl, out),
        State::Moving if ravenry => reply::deactivate(told.name, place, out),
        State::Reserved | State::Moving => reply::reserve(told.name, place, out),
    }
}

/// Whether `server!partition` begins so.
fn begins(held: &Held<'_>, prefix: Option<&[u8]>) -> bool {
    let Some(prefix) = prefix else {
        return true;
    };
    let location = held
        .server
        .bytes()
        .chain([b'!'])
        .chain(held.partition.bytes());
    prefix.len() <= held.server.len() + 1 + held.partition.len()
        && location.zip(prefix).all(|(one, other)| one == *other)
}

/// A command that changes something; `None`: its name or location is none that can be kept.
fn ask(verb: &Verb<'_>) -> Option<Ask> {
    Some(match verb {
        Verb::Reserve { name, location } => Ask::Reserve {
            name: Name::from_mupdate(name).ok()?,
            location: place(location)?,
        },
        Verb::Activate {
            name,
            location,
            acl,
        } => Ask::Activate {
            name: Name::from_mupdate(name).ok()?,
            location: place(location)?,
            acl: Acl::new(acl),
        },
        Verb::Deactivate { name, location } => Ask::Deactivate {
            name: Name::from_mupdate(name).ok()?,
            location: place(location)?,
        },
        Verb::Delete { name } => Ask::Delete {
            name: Name::from_mupdate(name).ok()?,
        },
        _ => return None,
    })
}

/// `server!partition`, one `!` in it, printable ASCII.
fn place(location: &[u8]) -> Option<Location> {
    let printable = location.iter().all(|byte| (0x21..0x7f).contains(byte));
    let marks = location.iter().filter(|byte| **byte == b'!').count();
    let place = Location::parse(location);
    let fits = location.len() <= LOCATION_BYTES_MAX;
    (printable && marks <= 1 && fits && !place.server.is_empty()).then_some(place)
}

fn text(bytes: &Text<'_>) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A host name and a partition's.
const LOCATION_BYTES_MAX: usize = 1024;
