//! The MUPDATE server: what a master or a replica says to its clients (RFC 3656).
//!
//! All of it runs on the mupdate core: a task for each connection (`session`, with `login` and
//! `stream`), one that commits ([`crate::master`]), and the `journal` that they share, from which every
//! stream is fed. Reading is done on the list itself, a bounded piece at a time; changing is the
//! master's alone.

pub(crate) mod counters;
pub(crate) mod journal;
mod local;
mod login;
mod operator;
mod peer;
mod promote;
mod session;
mod stream;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ravenry_core::admission::Admission;
use ravenry_core::config::{self, Conflicts, Endpoint, Limits, MupdateServer};
use ravenry_core::mailboxes::{ListError, ListReader, ListWriter, Made, Standing};
use ravenry_core::proto::mupdate::{Place, reply};
use ravenry_core::proto::sasl::Secret;
use ravenry_core::rt::{self, Address, Either, Listener, Pool, Stream, channel};
use ravenry_core::tls::Acceptor;

pub use self::counters::Counters;
use self::journal::Journal;
pub use self::local::{Local, local};
pub use self::operator::Operator;
use crate::barrier::Barrier;
use crate::follower::{Follower, Resign};
use crate::master::{self, Account, Committer, Master, Store};

/// How long to wait where descriptors or memory are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often it is looked for tombstones that are old enough.
const FORGET_EVERY: Duration = Duration::from_secs(10);
/// Connections accepted before other tasks have a turn.
const ACCEPTS_IN_A_ROW: usize = 32;

/// What a MUPDATE server is made from.
pub struct ServerParts {
    /// The name in the banner.
    pub servername: String,
    /// `[mupdate.server]`
    pub settings: MupdateServer,
    /// Deadlines.
    pub limits: Limits,
    /// TLS, where there is a certificate.
    pub acceptor: Option<Acceptor>,
    /// Whether logins are taken without TLS.
    pub allow_plaintext: bool,
    /// How long the answer to a failed login is held back.
    pub admission: Admission,
    /// The list: to read.
    pub list: ListReader,
    /// A thread that may wait for the disk.
    pub disk: Pool,
    /// Where it is counted.
    pub counters: Arc<Counters>,
}

/// A server; [`Server::run`] it on the mupdate core, where it has to be made.
pub struct Server {
    shared: Rc<Shared>,
    committer: Option<Committer>,
    connections_max: u64,
}

/// What the sessions share.
pub(crate) struct Shared {
    pub(crate) servername: String,
    accounts: Vec<(Arc<Account>, Secret)>,
    pub(crate) limits: Limits,
    pub(crate) acceptor: Option<Acceptor>,
    pub(crate) allow_plaintext: bool,
    pub(crate) admission: Admission,
    pub(crate) list: ListReader,
    pub(crate) guard: config::Guard,
    pub(crate) journal: Rc<Journal>,
    authority: RefCell<Authority>,
    /// How often another has begun to decide here.
    pub(crate) reigns: Cell<u64>,
    conflicts: Conflicts,
    disk: Pool,
    tombstones: Duration,
    pub(crate) counters: Arc<Counters>,
}

/// Who decides here.
#[derive(Clone)]
pub(crate) enum Authority {
    Master(Master),
    /// Another: names are changed there.
    Replica {
        /// Where.
        url: String,
        /// Whether the list has all that is there.
        barrier: Barrier,
        /// Where the follower is asked to leave the list to a master.
        resign: Resign,
    },
}

impl Authority {
    /// The last word of the banner (section 3.8).
    fn banner(&self) -> String {
        match self {
            Self::Master(_) => "(master)".to_owned(),
            Self::Replica { url, .. } => url.clone(),
        }
    }

    /// Another master has taken over, in this epoch: nothing more is changed here, whatever happens.
    async fn superseded_by(&self, epoch: u64) {
        let Self::Master(master) = self else {
            return;
        };
        tracing::error!(
            epoch,
            "another master has taken over: nothing more is changed here"
        );
        let noted = master.with(move |store| store.superseded_by(epoch)).await;
        if let Some(Err(error)) = noted {
            tracing::error!("the MUPDATE store can't be written: {error}");
        }
    }

    /// Passes when the list here has all that the master had when this was called.
    pub(crate) async fn barrier(&self, within: Duration) -> Result<(), String> {
        match self {
            Self::Master(_) => Ok(()),
            Self::Replica { barrier, .. } => match barrier.wait(within).await {
                Ok(_sequence) => Ok(()),
                Err(why) => Err(why.to_string()),
            },
        }
    }
}

impl Shared {
    /// Who decides here now.
    pub(crate) fn authority(&self) -> Authority {
        self.authority.borrow().clone()
    }

    /// Where the list is, for those who ask what has changed; `None`: it can't be told.
    pub(crate) fn place(&self) -> Option<Place> {
        let about = self.list.about().ok()?;
        about.changes_from?;
        Some(Place {
            identity: about.identity,
            epoch: about.standing.epoch,
            sequence: about.sequence,
        })
    }

    /// The account of this name, if this is its password.
    pub(crate) fn account(&self, name: &[u8], password: &Secret) -> Option<&Arc<Account>> {
        let known = self
            .accounts
            .iter()
            .find(|(account, _)| account.name.as_bytes() == name);
        // Who isn't there takes as long as who is.
        let (account, theirs) = known.or_else(|| self.accounts.first())?;
        (*theirs == *password && known.is_some()).then_some(account)
    }
}

/// Makes a list the master's own, if it is a new one; a copy of another's is none.
///
/// # Errors
/// What the operator has to do.
pub fn own(writer: &mut ListWriter, list: &ListReader) -> Result<(), String> {
    let said = |error: ListError| error.to_string();
    let about = list.about().map_err(said)?;
    if about.standing.master_in != 0 {
        if !about.standing.is_master() {
            tracing::error!(
                epoch = about.standing.superseded_by.max(about.standing.epoch),
                "another master has taken over: nothing is changed here"
            );
        }
        return Ok(());
    }
    if about.sequence != 0 || about.complete {
        return Err(
            "[mupdate.server] role = \"master\": the list in state_dir is a copy of another \
             server's. Start it with role = \"replica\" and have it take over, or give the master a \
             state_dir of its own"
                .to_owned(),
        );
    }
    let first = Standing {
        epoch: 1,
        master_in: 1,
        superseded_by: 0,
    };
    writer.set_standing(first).map_err(said)
}

impl Server {
    /// The master, with its list.
    ///
    /// # Errors
    /// If the list can't be read.
    pub fn master(parts: ServerParts, writer: ListWriter) -> Result<Self, ListError> {
        let journal = Rc::new(Journal::new(parts.settings.backlog, parts.list.sequence()?));
        let (list, settings) = (parts.list.clone(), &parts.settings);
        let store = Store::new(writer, list, settings.conflicts, settings.guard);
        let counters = Arc::clone(&parts.counters);
        let disk = parts.disk.clone();
        let (master, committer) = master::master(store, disk, Rc::clone(&journal), counters);
        Ok(Self {
            connections_max: parts.settings.connections,
            shared: Rc::new(Shared::new(parts, journal, Authority::Master(master))),
            committer: Some(committer),
        })
    }

    /// A replica of `upstream`, whose list `follower` keeps; `feed` is where it tells what it commits.
    ///
    /// # Errors
    /// If the list can't be read.
    pub fn replica(
        parts: ServerParts,
        upstream: &Endpoint,
        follower: &mut Follower,
        feed: channel::Receiver<Made>,
    ) -> Result<Self, ListError> {
        let (backlog, sequence) = (parts.settings.backlog, parts.list.sequence()?);
        let authority = Authority::Replica {
            url: format!("mupdate://{upstream}"),
            barrier: follower.barrier(),
            resign: follower.resign(),
        };
        let journal = Rc::new(Journal::fed(backlog, sequence, feed));
        Ok(Self {
            connections_max: parts.settings.connections,
            shared: Rc::new(Shared::new(parts, journal, authority)),
            committer: None,
        })
    }

    /// The operator's end.
    #[must_use]
    pub fn operator(&self) -> Operator {
        Operator(Rc::clone(&self.shared))
    }

    /// Serves until the shard drains; `local` tells the shards of this process. Returns at once where
    /// nothing more can be changed: the process is of no use any more.
    pub async fn run(self, listeners: Vec<Listener>, local: Local) {
        self.open(listeners);
        if let Some(committer) = self.committer {
            self.shared.rule(committer, local).await;
        }
    }

    /// Serves what `follower` keeps, until the shard drains; a replica that takes over goes on when
    /// this has returned.
    pub async fn run_beside(self, listeners: Vec<Listener>, follower: Follower) {
        let news = follower.barrier().watch();
        rt::spawn(pump(Rc::clone(&self.shared), news));
        self.open(listeners);
        follower.run().await;
    }

    fn open(&self, listeners: Vec<Listener>) {
        for listener in listeners {
            let shared = Rc::clone(&self.shared);
            rt::spawn(accept(shared, listener, self.connections_max));
        }
    }
}

/// Wakes the streams when the follower has committed something.
async fn pump(shared: Rc<Shared>, mut news: channel::Receiver<()>) {
    while let Either::Right(Some(())) = rt::select(rt::draining(), news.recv()).await {
        shared.journal.take_in();
    }
}

/// Drops tombstones that are old enough.
async fn forget(shared: Rc<Shared>) {
    let (Authority::Master(master), kept) = (shared.authority(), shared.tombstones) else {
        return;
    };
    loop {
        let pause = rt::select(rt::draining(), rt::sleep(FORGET_EVERY));
        if let Either::Left(()) = pause.await {
            return;
        }
        let now = rt::wall_clock().duration_since(rt::SystemTime::UNIX_EPOCH);
        let before = now.unwrap_or_default().saturating_sub(kept).as_secs();
        let forgotten = master.with(move |store| store.writer().forget_removed(before));
        if let Some(Err(error)) = forgotten.await {
            tracing::error!("the MUPDATE store can't be written: {error}");
        }
    }
}

impl Shared {
    /// The master's part, until the shard drains or nothing more can be changed.
    async fn rule(self: &Rc<Self>, committer: Committer, local: Local) {
        let ended = local.ended();
        rt::spawn(local.run(Rc::clone(&self.journal)));
        rt::spawn(forget(Rc::clone(self)));
        committer.run().await;
        ended.say();
    }

    fn new(parts: ServerParts, journal: Rc<Journal>, authority: Authority) -> Self {
        let users = parts.settings.users.into_iter();
        let accounts = users.map(|user| {
            let account = Account {
                name: user.name,
                server: user.server,
                write: user.write,
            };
            (Arc::new(account), user.password)
        });
        Self {
            servername: parts.servername,
            accounts: accounts.collect(),
            guard: parts.settings.guard,
            limits: parts.limits,
            acceptor: parts.acceptor,
            allow_plaintext: parts.allow_plaintext,
            admission: parts.admission,
            list: parts.list,
            journal,
            authority: RefCell::new(authority),
            reigns: Cell::new(0),
            conflicts: parts.settings.conflicts,
            disk: parts.disk,
            tombstones: parts.settings.tombstones,
            counters: parts.counters,
        }
    }
}

async fn accept(shared: Rc<Shared>, listener: Listener, connections_max: u64) {
    let mut in_row = 0;
    loop {
        match rt::select(rt::draining(), listener.accept()).await {
            Either::Left(()) => return,
            Either::Right(Ok((stream, address))) => {
                welcome(&shared, stream, address, connections_max);
            }
            Either::Right(Err(error)) => {
                tracing::warn!("MUPDATE: accept: {error}");
                rt::sleep(ACCEPT_PAUSE).await;
            }
        }
        in_row += 1;
        if in_row == ACCEPTS_IN_A_ROW {
            in_row = 0;
            rt::yield_now().await;
        }
    }
}

fn welcome(shared: &Rc<Shared>, stream: Stream, address: Address, connections_max: u64) {
    if shared.counters.connections_open.value() < connections_max {
        return rt::spawn(session::serve(Rc::clone(shared), stream, address));
    }
    shared.counters.connections_refused.add(1);
    tracing::warn!(client = %address, connections_max, "too many MUPDATE connections");
    let mut bye = b"*".to_vec();
    reply::quoted("BYE", &["too many connections"], &mut bye);
    // A line fits into the buffer of a connection that is new; whether it arrives changes nothing.
    let _ = stream.try_write(&bye);
}

/// Listens on these addresses.
///
/// # Errors
/// What the system calls say, with the address.
pub fn listen(addresses: &[Address]) -> io::Result<Vec<Listener>> {
    addresses.iter().map(Listener::bind).collect()
}
