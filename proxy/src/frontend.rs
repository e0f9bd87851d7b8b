//! What the sessions of one shard share: settings, the list, the barrier, the authenticator, the
//! capability cache, counters. Owned by the shard, so no locks.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ravenry_core::admission::{Admission, Refused};
use ravenry_core::auth::Authenticator;
use ravenry_core::config;
use ravenry_core::current::Reader;
use ravenry_core::limits::{DISCARD_BYTES_MAX, LOGIN_COMMAND_BYTES_MAX};
use ravenry_core::mailboxes::{Groups, ListReader, Namespace, UserId};
use ravenry_core::metrics::Recorder;
use ravenry_core::rt::channel::Receiver;
use ravenry_core::rt::{self, Address, Pool, Stream};
use ravenry_core::tls::{Acceptor, Connector};
use ravenry_core::wire::imap::CommandLimits;
use ravenry_mupdate::Barrier;

use crate::capability::CapabilityCache;
use crate::departures::Departures;
use crate::throttle::Throttle;
use crate::upstream::Upstream;

/// What a frontend's shards are made from; each gets a clone.
#[derive(Clone)]
pub struct Parts {
    /// The name in greetings.
    pub servername: String,
    /// Users whose identity the proxy account never takes.
    pub admins: Vec<String>,
    /// How clients see mailbox names.
    pub namespace: Namespace,
    /// The groups of ACLs, as they are when a user logs in.
    pub groups: Reader<Arc<Groups>>,
    /// TLS for clients, where there is a certificate.
    pub acceptor: Option<Acceptor>,
    /// Whether logins are taken without TLS.
    pub allow_plaintext: bool,
    /// How to log in at backends.
    pub upstream: config::Upstream,
    /// TLS to backends, unless it is off.
    pub connector: Option<Connector>,
    /// Deadlines and sizes.
    pub limits: config::Limits,
    /// Who may have one more connection.
    pub admission: Admission,
    /// The mailbox list: to read, never to write.
    pub list: ListReader,
    /// "Am I up to date?"
    pub barrier: Barrier,
    /// Who may log in.
    pub authenticator: Authenticator,
    /// Where DNS is asked.
    pub resolver: Pool,
}

/// What the sessions of a shard share.
pub(crate) struct Frontend {
    pub(crate) parts: Parts,
    pub(crate) metrics: Recorder,
    pub(crate) capabilities: CapabilityCache,
    pub(crate) departures: Departures,
    /// Accepts that failed.
    pub(crate) accept_failed: Throttle,
    refused_total: Throttle,
    refused_address: Throttle,
    refused_user: Throttle,
    servers: RefCell<BTreeSet<Rc<str>>>,
    shard: usize,
    sessions: Cell<u64>,
    sessions_open: Cell<u32>,
}

impl Frontend {
    pub(crate) fn new(parts: Parts, shard: usize, metrics: Recorder) -> Self {
        Self {
            departures: Departures::new(parts.limits.drain),
            parts,
            metrics,
            capabilities: CapabilityCache::default(),
            accept_failed: Throttle::default(),
            refused_total: Throttle::default(),
            refused_address: Throttle::default(),
            refused_user: Throttle::default(),
            servers: RefCell::default(),
            shard,
            sessions: Cell::new(0),
            sessions_open: Cell::new(0),
        }
    }

    /// Whether there is a whole list to answer from.
    pub(crate) fn list_is_complete(&self) -> bool {
        self.parts.list.is_complete().unwrap_or_else(|error| {
            tracing::error!("mailbox list: {error}");
            false
        })
    }

    /// A session's id: unique in this process, and known at a glance in the log.
    pub(crate) fn session_id(&self) -> String {
        let number = self.sessions.get() + 1;
        self.sessions.set(number);
        format!("{}-{}-{number}", rt::process_id(), self.shard)
    }

    /// How much of a command is gathered: less for a stranger.
    pub(crate) fn command_limits(&self, logged_in: bool) -> CommandLimits {
        let limits = &self.parts.limits;
        let most = if logged_in {
            usize::MAX
        } else {
            LOGIN_COMMAND_BYTES_MAX
        };
        CommandLimits {
            line_bytes_max: limits.line_size.min(most),
            command_bytes_max: limits.command_size.min(most),
            discard_bytes_max: DISCARD_BYTES_MAX,
        }
    }

    pub(crate) fn is_admin(&self, user: &UserId) -> bool {
        self.parts.admins.iter().any(|admin| admin == user.as_str())
    }

    /// The one copy of a server's name on this shard.
    pub(crate) fn server(&self, name: &str) -> Rc<str> {
        let mut servers = self.servers.borrow_mut();
        if let Some(known) = servers.get(name) {
            return Rc::clone(known);
        }
        let new: Rc<str> = name.into();
        servers.insert(Rc::clone(&new));
        new
    }

    /// Connects to a backend's IMAP port.
    pub(crate) async fn connect(&self, server: &str) -> io::Result<Stream> {
        let backend = self.parts.upstream.imap(server);
        backend
            .connect(&self.parts.resolver, self.parts.limits.connect)
            .await
    }

    /// Counts a session that begins.
    pub(crate) fn session_begins(&self) {
        self.metrics.sessions.add(1);
        self.metrics.sessions_open.add(1);
        self.sessions_open.set(self.sessions_open.get() + 1);
    }

    /// Counts a session that has ended.
    pub(crate) fn session_over(&self, bytes_in: u64, bytes_out: u64) {
        self.metrics.sessions_open.sub(1);
        self.sessions_open.set(self.sessions_open.get() - 1);
        self.metrics.client_bytes_in.add(bytes_in);
        self.metrics.client_bytes_out.add(bytes_out);
    }

    /// Sessions that are open on this shard.
    pub(crate) fn open(&self) -> u32 {
        self.sessions_open.get()
    }

    /// Counts a refusal, and logs it now and then; `who` is the address, or the user.
    pub(crate) fn refused(&self, refused: Refused, who: &str, peer: &Address) {
        let (counter, throttle) = match refused {
            Refused::Total => (&self.metrics.refused_total, &self.refused_total),
            Refused::Address => (&self.metrics.refused_address, &self.refused_address),
            Refused::User => (&self.metrics.logins_limited, &self.refused_user),
        };
        counter.add(1);
        if let Some(count) = throttle.count() {
            let limit = refused.name();
            tracing::warn!(limit, client = %peer, user = who, count, "too many connections");
        }
    }

    /// The backends of the list.
    pub(crate) fn servers(&self) -> Vec<Rc<str>> {
        match self.parts.list.servers() {
            Ok(servers) => servers.iter().map(|(name, _)| self.server(name)).collect(),
            Err(error) => {
                tracing::error!("mailbox list: {error}");
                Vec::new()
            }
        }
    }

    /// Asks every backend of the list what it can do, as the proxy itself: at once where it is new,
    /// every ten seconds where it couldn't be asked.
    pub(crate) async fn probe_backends(self: Rc<Self>) {
        let mut again = rt::now();
        let mut changes = self.parts.barrier.watch();
        loop {
            let servers = self.servers();
            self.capabilities.keep_only(&servers);
            let all = rt::now() >= again;
            if all {
                again = rt::now() + PROBE_EVERY + rt::random::jitter(PROBE_EVERY);
            }
            let unknown = servers.iter().filter(|server| {
                !self.capabilities.knows(server) && (all || !self.capabilities.was_asked(server))
            });
            self.probe(unknown.map(Rc::clone).collect()).await;
            rt::sleep(LIST_LOOK).await;
            if servers.iter().all(|server| self.capabilities.knows(server)) {
                changed(&mut changes).await;
            } else {
                let _ = rt::timeout_at(again, changed(&mut changes)).await;
            }
        }
    }

    /// Asks servers, all at once; waits for the last.
    async fn probe(self: &Rc<Self>, servers: Vec<Rc<str>>) {
        let (done, mut all_done) = rt::channel::channel::<()>(1);
        for server in servers {
            let (fe, done) = (Rc::clone(self), done.clone());
            rt::spawn(async move {
                let itself = fe.parts.upstream.authname.clone();
                if let Err(fault) = Upstream::open(&fe, &server, itself.as_bytes()).await {
                    tracing::warn!("can't ask backend {fault}");
                }
                fe.capabilities.asked(&server);
                drop(done);
            });
        }
        drop(done);
        // Ends when the last probe has dropped its sender.
        while all_done.recv().await.is_some() {}
    }
}

/// Waits until the list has changed.
async fn changed(changes: &mut Receiver<()>) {
    if changes.recv().await.is_none() {
        // Nobody tells: look now and then.
        rt::sleep(PROBE_EVERY).await;
    }
}

/// How often backends that nobody could ask are asked again.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// Changes of the list that come within this time are one look for new backends.
const LIST_LOOK: Duration = Duration::from_millis(500);
