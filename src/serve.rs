//! `ravenry serve`: the mupdate core and the shards, from configuration to the last drain.
//!
//! The mupdate core comes first (`mupdate`): it owns the only writer of the mailbox list. The shards of a
//! frontend (`frontend`) get readers, the barrier and a recorder each, those of a backend (`backend`) its store. SIGTERM and SIGINT drain the shards, then the core (`stop`).

use std::sync::{Arc, mpsc};
use std::time::Duration;

use ravenry_core::admission::Admission;
use ravenry_core::config::Config;
use ravenry_core::log::LogGuard;
use ravenry_core::metrics::Registry;
use ravenry_core::rt::signals::{self, Signal};
use ravenry_core::rt::{self, Pool, ShardHandle};
use ravenry_core::tls::Acceptor;
use ravenry_core::{limits, log};

use crate::notify::Notify;
use crate::plan::Plan;
use crate::reload::{Asked, Reloaded};
use crate::shards::Roles;
use crate::stats::Stats;
use crate::{backend, frontend, mupdate, shards, stop};

/// How long the mupdate core has to say good-bye.
const CORE_GRACE: Duration = Duration::from_secs(5);
/// How often the main thread looks whether all parts still run, and who has asked for a reload.
const LOOK_EVERY: Duration = Duration::from_millis(500);
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

/// `serve` failed.
pub(crate) enum Failed {
    /// Nobody has been told why yet.
    Unsaid(String),
    /// The log has it.
    Said,
}

/// Looks at the configuration and the host.
pub(crate) fn check(config: &Config) -> Result<(), String> {
    let plan = Plan::new(config);
    let advice = plan.check_host()?;
    Reloaded::open(config)?;
    let shards = plan.shards.len();
    let roles = [
        mupdate::check(config)?,
        frontend::check(config, shards)?,
        backend::check(config, shards),
    ];
    for warning in config.warnings().iter().chain(&advice) {
        crate::complain(&format!("warning: {warning}"));
    }
    let roles: Vec<String> = roles.into_iter().flatten().collect();
    crate::answer(&format!("ok: {}", roles.join("; ")));
    Ok(())
}

/// Runs until told to end. An error is in the log, if there was one by then.
pub(crate) fn serve(config: &Config) -> Result<(), Failed> {
    signals::block();
    let guard = log::init(config.log.format, config.log.level);
    let guard = guard.map_err(|error| Failed::Unsaid(error.to_string()))?;
    // It stays until the last line is in it.
    let guard = Arc::new(guard);
    run(config, Arc::clone(&guard)).map_err(|why| {
        tracing::error!("{why}");
        Failed::Said
    })
}

fn run(config: &Config, guard: Arc<LogGuard>) -> Result<(), String> {
    let notify = Notify::from_environment();
    let plan = Plan::new(config);
    for warning in config.warnings().iter().chain(&plan.check_host()?) {
        tracing::warn!("{warning}");
    }
    let reloaded = Reloaded::open(config)?;
    let admission = Admission::new(&config.limits).map_err(|error| error.to_string())?;
    let stats = Stats::new(Registry::new(plan.shards.len()), guard, admission.clone());
    let shared = Shared {
        resolver: pool("resolve", RESOLVER_THREADS, RESOLVER_QUEUE_MAX)?,
        acceptor: acceptor(&reloaded)?,
        admission,
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
    drop(roles);
    let handles = shards.iter().chain([&core.handle]);
    stats.watch(handles.map(ShardHandle::stats).collect());
    tracing::info!(shards = shards.len(), "ready");
    notify.ready();
    let outcome = until_told(reloaded, &core.asked, || {
        let mut handles = shards.iter().chain([&core.handle]);
        handles.any(ShardHandle::is_finished) || core.has_ended()
    });
    let (drain, open) = (config.limits.drain, || shared.admission.open());
    notify.stopping(drain + CORE_GRACE + 2 * stop::SLACK);
    tracing::info!(connections = open(), within = ?drain, "stopping");
    stop::end(shards, drain, open);
    stop::end(vec![core.handle], CORE_GRACE, open);
    tracing::info!("stopped");
    outcome
}

/// Waits until the process is told to end, or a part of it has `died`: half a frontend is worse
/// than none, and whoever supervises this process starts a whole one. SIGHUP reloads, and so does
/// whoever has `asked`.
fn until_told(
    mut reloaded: Reloaded,
    asked: &Asked,
    died: impl Fn() -> bool,
) -> Result<(), String> {
    loop {
        match signals::wait(LOOK_EVERY) {
            Some(Signal::Terminate) => return Ok(()),
            Some(Signal::Hangup) => drop(reloaded.again()),
            None if died() => {
                return Err("a shard or the mupdate core has ended; see the log".to_owned());
            }
            None => {}
        }
        while let Ok(answer) = asked.try_recv() {
            // Whoever asked may have gone; the log has it too.
            drop(answer.send(reloaded.again()));
        }
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
