//! One server: the roles of a configuration, from its parts to the last drain. A process may run several.
//!
//! The mupdate core comes first (`mupdate`): it owns the only writer of the mailbox list. The shards of a
//! frontend (`frontend`) get readers, the barrier and a recorder each, those of a backend (`backend`) its store.
//! At the end the shards drain, then the core (`stop`).

use std::sync::{Arc, mpsc};
use std::time::Duration;

use ravenry_core::admission::Admission;
use ravenry_core::config::Config;
use ravenry_core::limits;
use ravenry_core::log::LogGuard;
use ravenry_core::metrics::Registry;
use ravenry_core::rt::{self, Pool, ShardHandle};
use ravenry_core::tls::Acceptor;

use crate::mupdate::Core;
use crate::plan::Plan;
use crate::reload::Reloaded;
use crate::shards::Roles;
use crate::stats::Stats;
use crate::{backend, frontend, mupdate, shards, stop};

/// How long the mupdate core has to say good-bye.
const CORE_GRACE: Duration = Duration::from_secs(5);
/// Threads that ask DNS for backends that the configuration doesn't name.
const RESOLVER_THREADS: usize = 4;
const RESOLVER_QUEUE_MAX: usize = 1024;

/// What the roles share.
pub(crate) struct Shared {
    /// Where DNS is asked.
    pub(crate) resolver: Pool,
    /// TLS for clients.
    pub(crate) acceptor: Option<Acceptor>,
    /// Who may have one more connection, and how long a failed login waits.
    pub(crate) admission: Admission,
}

/// A server that runs.
pub(crate) struct Instance {
    /// What the log calls it; nothing, where it is the only one.
    label: Option<&'static str>,
    reloaded: Reloaded,
    shards: Vec<ShardHandle>,
    core: Core,
    admission: Admission,
    drain: Duration,
}

impl Instance {
    /// Starts it: its listeners are bound when this returns. Its threads have this label.
    pub(crate) fn start(
        config: &Config,
        label: Option<&'static str>,
        log: Arc<LogGuard>,
    ) -> Result<Self, String> {
        rt::set_label(label);
        let started = Self::start_labelled(config, log);
        rt::set_label(None);
        started.map_err(|why| match label {
            Some(label) => format!("{label}: {why}"),
            None => why,
        })
    }

    fn start_labelled(config: &Config, log: Arc<LogGuard>) -> Result<Self, String> {
        let plan = Plan::new(config);
        for warning in config.warnings().iter().chain(&plan.check_host()?) {
            tracing::warn!("{warning}");
        }
        let reloaded = Reloaded::open(config)?;
        let admission = Admission::new(&config.limits).map_err(|error| error.to_string())?;
        let stats = Stats::new(Registry::new(plan.shards.len()), log, admission.clone());
        let shared = Shared {
            resolver: pool("resolve", RESOLVER_THREADS, RESOLVER_QUEUE_MAX)?,
            acceptor: acceptor(&reloaded)?,
            admission: admission.clone(),
        };
        let (backend, tasks) = backend::open(config, &shared)?.unzip();
        if let Some(parts) = &backend {
            stats.show_store(parts.store.clone());
            stats.show_member(parts.member.clone());
        }
        let core = mupdate::start(config, &plan, &shared, (&stats, tasks))?;
        let frontend = frontend::parts(config, &shared, &core)?;
        let roles = Roles { frontend, backend };
        let shards = shards::start(config, &plan, &shared, &reloaded, (&roles, &stats))?;
        let handles = shards.iter().chain([&core.handle]);
        stats.watch(handles.map(ShardHandle::stats).collect());
        tracing::info!(shards = shards.len(), "ready");
        Ok(Self {
            label: rt::label(),
            reloaded,
            shards,
            core,
            admission,
            drain: config.limits.drain,
        })
    }

    /// Whether a part of it has ended by itself.
    pub(crate) fn has_died(&self) -> bool {
        let mut handles = self.shards.iter().chain([&self.core.handle]);
        handles.any(ShardHandle::is_finished) || self.core.has_ended()
    }

    /// What the log calls it.
    pub(crate) fn label(&self) -> Option<&'static str> {
        self.label
    }

    /// Reads certificates, users and groups again.
    pub(crate) fn reload(&mut self) {
        self.labelled(|instance| drop(instance.reloaded.again()));
    }

    /// Reads them for each who has asked for it meanwhile.
    pub(crate) fn reload_for_who_asked(&mut self) {
        while let Ok(answer) = self.core.asked.try_recv() {
            let outcome = self.labelled(|instance| instance.reloaded.again());
            // Whoever asked may have gone; the log has it too.
            drop(answer.send(outcome));
        }
    }

    /// What the main thread does for it is in the log as its own.
    fn labelled<T>(&mut self, done: impl FnOnce(&mut Self) -> T) -> T {
        rt::set_label(self.label);
        let result = done(self);
        rt::set_label(None);
        result
    }

    /// How long its end may take.
    pub(crate) fn ends_within(&self) -> Duration {
        self.drain + CORE_GRACE + 2 * stop::SLACK
    }

    /// Ends it: clients are sent away, then the core goes.
    pub(crate) fn end(self) {
        rt::set_label(self.label);
        let open = || self.admission.open();
        tracing::info!(connections = open(), within = ?self.drain, "stopping");
        stop::end(self.shards, self.drain, open);
        stop::end(vec![self.core.handle], CORE_GRACE, open);
        tracing::info!("stopped");
        rt::set_label(None);
    }
}

pub(crate) fn pool(name: &str, threads: usize, queue_max: usize) -> Result<Pool, String> {
    Pool::new(name, threads, queue_max).map_err(|error| format!("can't start threads: {error}"))
}

/// TLS for clients, where there is a certificate; its handshakes are done on threads of their own.
fn acceptor(reloaded: &Reloaded) -> Result<Option<Acceptor>, String> {
    let Some(certificates) = &reloaded.certificates else {
        return Ok(None);
    };
    let handshakes = rt::cpus().len().min(limits::HANDSHAKE_THREADS_MAX);
    let handshakes = background("tls", handshakes, limits::HANDSHAKE_QUEUE_MAX)?;
    Ok(Some(certificates.acceptor(handshakes)))
}

/// A pool for cryptography: below the shards, which have sessions to serve.
pub(crate) fn background(name: &str, threads: usize, queue_max: usize) -> Result<Pool, String> {
    let pool = Pool::background(name, threads, queue_max);
    pool.map_err(|error| format!("can't start threads: {error}"))
}

/// Waits until a shard has said whether its sockets are bound.
pub(crate) fn bound_or_why(
    outcome: &mpsc::Receiver<std::io::Result<()>>,
    what: &str,
) -> Result<(), String> {
    match outcome.recv() {
        Ok(bound) => bound.map_err(|error| format!("{what}: {error}")),
        Err(_ended) => Err(format!("{what}: the shard ended before it was bound")),
    }
}
