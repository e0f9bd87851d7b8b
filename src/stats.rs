//! What `ravenry ctl stats` prints: the shards' counters, the runtime's, the follower's, the log's.

use std::sync::{Arc, OnceLock};

use ravenry_backend::Member;
use ravenry_backend::store::Store;
use ravenry_core::admission::Admission;
use ravenry_core::log::LogGuard;
use ravenry_core::metrics::{self, Kind, Registry, Sample};
use ravenry_core::rt::{self, ShardStats};
use ravenry_mupdate::{Barrier, Counters, FollowerState, FollowerStatus};

/// Where the numbers come from. Clones are the same.
#[derive(Clone)]
pub(crate) struct Stats {
    registry: Registry,
    shards: Arc<OnceLock<Vec<&'static ShardStats>>>,
    log: Arc<LogGuard>,
    admission: Admission,
    server: Arc<OnceLock<Arc<Counters>>>,
    store: Arc<OnceLock<Store>>,
    member: Arc<OnceLock<Member>>,
}

impl Stats {
    pub(crate) fn new(registry: Registry, log: Arc<LogGuard>, admission: Admission) -> Self {
        Self {
            registry,
            shards: Arc::default(),
            log,
            admission,
            server: Arc::default(),
            store: Arc::default(),
            member: Arc::default(),
        }
    }

    pub(crate) fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// The shards whose runtime counters are to be shown, once they run.
    pub(crate) fn watch(&self, shards: Vec<&'static ShardStats>) {
        // Called once, by `serve`.
        let _ = self.shards.set(shards);
    }

    /// The MUPDATE server's numbers are to be shown, too.
    pub(crate) fn count_server(&self, counters: Arc<Counters>) {
        // Called once, by `mupdate`.
        let _ = self.server.set(counters);
    }

    /// The backend's index is to be shown, too.
    pub(crate) fn show_store(&self, store: Store) {
        // Called once, by `serve`.
        let _ = self.store.set(store);
    }

    /// What the backend has compared with the MUPDATE master is to be shown, too.
    pub(crate) fn show_member(&self, member: Member) {
        // Called once, by `serve`.
        let _ = self.member.set(member);
    }

    /// All of it as text.
    pub(crate) fn render(&self, barrier: Option<&Barrier>) -> String {
        let shards = self.shards.get().map_or(&[][..], Vec::as_slice);
        let mut others = metrics::runtime(shards);
        others.extend(barrier.into_iter().flat_map(|b| follower(&b.status())));
        others.extend(
            self.server
                .get()
                .into_iter()
                .flat_map(|server| server.samples()),
        );
        others.extend(self.store.get().into_iter().flat_map(index));
        others.extend(self.member.get().into_iter().flat_map(Member::samples));
        others.push(Sample {
            name: "connections_open",
            help: "Client connections open now, those in a TLS handshake too.",
            kind: Kind::Gauge,
            value: self.admission.open(),
        });
        others.push(Sample {
            name: "log_lines_dropped_total",
            help: "Lines of the log that were dropped because nobody took them.",
            kind: Kind::Counter,
            value: self.log.dropped(),
        });
        self.registry.render(&others)
    }
}

/// How full the backend's index is; nothing where that can't be read, which the log says.
fn index(store: &Store) -> Vec<Sample> {
    let Ok((used, ceiling)) = store.index_use() else {
        return Vec::new();
    };
    let gauge = |name, help, value| Sample {
        name,
        help,
        kind: Kind::Gauge,
        value,
    };
    vec![
        gauge("index_bytes", "Bytes of the backend's index in use.", used),
        gauge(
            "index_bytes_max",
            "Its ceiling: past it no mail is taken.",
            ceiling,
        ),
    ]
}

fn follower(status: &FollowerStatus) -> Vec<Sample> {
    let sample = |name, help, kind, value| Sample {
        name,
        help,
        kind,
        value,
    };
    let gauge = |name, help, value| sample(name, help, Kind::Gauge, value);
    let counter = |name, help, value| sample(name, help, Kind::Counter, value);
    let streaming = u64::from(status.state == FollowerState::Streaming);
    let silent = status.last_contact.map_or(u64::MAX, |at| {
        rt::wall_clock()
            .duration_since(at)
            .map_or(0, |age| age.as_secs())
    });
    vec![
        gauge(
            "mupdate_streaming",
            "1 while the list follows the master's stream.",
            streaming,
        ),
        gauge(
            "mupdate_silent_seconds",
            "Since the master last said something.",
            silent,
        ),
        gauge("mailboxes", "Names in the mailbox list.", status.names),
        gauge(
            "mailboxes_sequence",
            "Commits of the mailbox list.",
            status.sequence,
        ),
        counter(
            "mupdate_resyncs_total",
            "Full lists fetched.",
            status.resyncs,
        ),
        counter(
            "mupdate_reconnects_total",
            "Attempts to connect after the first.",
            status.reconnects,
        ),
        counter("mupdate_changes_total", "Changes applied.", status.changes),
        counter(
            "mupdate_changes_refused_total",
            "Changes that this list can't hold.",
            status.changes_refused,
        ),
        counter(
            "mupdate_noops_total",
            "NOOPs sent to the master.",
            status.noops,
        ),
        counter(
            "mupdate_barriers_total",
            "Barriers asked for.",
            status.barriers_asked,
        ),
        counter(
            "mupdate_barriers_shared_total",
            "Barriers that rode on another's NOOP.",
            status.barriers_shared,
        ),
        counter(
            "mupdate_barriers_failed_total",
            "Barriers that failed.",
            status.barriers_failed,
        ),
    ]
}
