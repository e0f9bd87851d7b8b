//! `ravenry serve`: the mupdate core and the shards, from configuration to the last drain.
//!
//! The mupdate core comes first: it owns the only writer of the mailbox list. Shards get readers,
//! the barrier and a recorder each. SIGTERM and SIGINT drain the shards, then the core (`stop`).

use std::fs;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ravenry_core::admission::Admission;
use ravenry_core::config::{Config, MupdateClient, Proxy};
use ravenry_core::log::LogGuard;
use ravenry_core::mailboxes::{ListFile, ListReader, ListWriter, Namespace};
use ravenry_core::metrics::Registry;
use ravenry_core::rt::signals::{self, Signal};
use ravenry_core::rt::{self, Pool, ShardHandle};
use ravenry_core::tls::Connector;
use ravenry_core::{limits, log};
use ravenry_mupdate::{AwayReason, Barrier, FollowerConfig, FollowerState, follower};
use ravenry_proxy::{Listeners, Parts};

use crate::notify::Notify;
use crate::plan::Plan;
use crate::reload::{Asked, Reloaded};
use crate::stats::Stats;
use crate::{ctl, stop};

/// How long the mupdate core has to say good-bye.
const CORE_GRACE: Duration = Duration::from_secs(5);
/// How often the main thread looks whether all parts still run, and who has asked for a reload.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Threads that ask DNS for backends that the configuration doesn't name.
const RESOLVER_THREADS: usize = 4;
const RESOLVER_QUEUE_MAX: usize = 1024;
/// Reloads that may have been asked for at once.
const RELOADS_MAX: usize = 4;

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
    let (proxy, client) = roles(config)?;
    Reloaded::open(config)?;
    connectors(proxy, client)?;
    for warning in config.warnings().iter().chain(&advice) {
        crate::complain(&format!("warning: {warning}"));
    }
    let listeners = proxy.imap.iter().chain(&proxy.imaps);
    let listeners: Vec<String> = listeners.map(ToString::to_string).collect();
    let (listeners, shards) = (listeners.join(", "), plan.shards.len());
    crate::answer(&format!(
        "ok: a frontend on {listeners} with {shards} shards, the mailbox list from {}",
        client.server
    ));
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
    let (proxy, client) = roles(config)?;
    let reloaded = Reloaded::open(config)?;
    let connectors = connectors(proxy, client)?;
    let (writer, reader) = open_list(config)?;
    let admission = Admission::new(&config.limits).map_err(|error| error.to_string())?;
    let registry = Registry::new(plan.shards.len());
    let stats = Stats::new(registry, guard, admission.clone());
    let resolver = pool("resolve", RESOLVER_THREADS, RESOLVER_QUEUE_MAX)?;
    let mut follow = follower_config(config, client, resolver.clone());
    follow.tls = connectors.master;
    let list = (writer, reader.clone());
    let (core, barrier, asked) = start_core(&plan, config, follow, list, &stats)?;
    let list = (reader, barrier.clone());
    let mut parts = parts(config, proxy, &reloaded, admission, resolver, list)?;
    parts.connector = connectors.backends;
    let shards = start_shards(&plan, proxy, &parts, &stats)?;
    let handles = shards.iter().chain([&core]);
    stats.watch(handles.map(ShardHandle::stats).collect());
    tracing::info!(shards = shards.len(), "ready");
    notify.ready();
    let outcome = until_told(reloaded, asked, || {
        let died = shards.iter().chain([&core]).any(ShardHandle::is_finished);
        died || barrier.status().state == FollowerState::Away(AwayReason::NotRunning)
    });
    let (drain, open) = (config.limits.drain, || parts.admission.open());
    notify.stopping(drain + CORE_GRACE + 2 * stop::SLACK);
    tracing::info!(connections = open(), within = ?drain, "stopping");
    stop::end(shards, drain, open);
    stop::end(vec![core], CORE_GRACE, open);
    tracing::info!("stopped");
    outcome
}

/// Waits until the process is told to end, or a part of it has `died`: half a frontend is worse
/// than none, and whoever supervises this process starts a whole one. SIGHUP reloads, and so does
/// whoever has `asked`.
fn until_told(mut reloaded: Reloaded, asked: Asked, died: impl Fn() -> bool) -> Result<(), String> {
    loop {
        match signals::wait(LOOK_EVERY) {
            Some(Signal::Terminate) => return Ok(()),
            Some(Signal::Hangup) => drop(reloaded.again()),
            None if died() => {
                return Err("a shard or the follower has ended; see the log".to_owned());
            }
            None => {}
        }
        while let Ok(answer) = asked.try_recv() {
            // Whoever asked may have gone; the log has it too.
            drop(answer.send(reloaded.again()));
        }
    }
}

/// The roles that are built: a frontend, which needs a mailbox list.
fn roles(config: &Config) -> Result<(&Proxy, &MupdateClient), String> {
    let proxy = config
        .proxy
        .as_ref()
        .ok_or("no role to run: add [proxy] with imap = […]")?;
    let client = config.mupdate_client.as_ref();
    let client =
        client.ok_or("[proxy] needs [mupdate.client], where the mailbox list comes from")?;
    Ok((proxy, client))
}

fn open_list(config: &Config) -> Result<(ListWriter, ListReader), String> {
    let directory = &config.state_dir;
    fs::create_dir_all(directory)
        .map_err(|error| format!("state_dir {}: {error}", directory.display()))?;
    let size = usize::try_from(config.list_size).unwrap_or(usize::MAX);
    let (writer, reader, opened) =
        ListFile::open(directory, size).map_err(|error| error.to_string())?;
    if let Some(why) = opened.why {
        tracing::warn!("the mailbox list is fetched anew: the old file is set aside: {why}");
    }
    Ok((writer, reader))
}

/// TLS towards others, where it is on.
struct Connectors {
    backends: Option<Connector>,
    master: Option<Connector>,
}

fn connectors(proxy: &Proxy, client: &MupdateClient) -> Result<Connectors, String> {
    let opened = |tls, protocol| Connector::open(tls, protocol).map_err(|error| error.to_string());
    Ok(Connectors {
        backends: opened(&proxy.upstream.tls, Some("imap"))?,
        master: opened(&client.tls, None)?,
    })
}

fn follower_config(config: &Config, client: &MupdateClient, resolver: Pool) -> FollowerConfig {
    let (server, authname) = (client.server.clone(), client.authname.clone());
    let mut settings = FollowerConfig::new(server, authname, client.password.clone(), resolver);
    settings.connect_within = config.limits.connect;
    settings.noop_every = client.noop_interval;
    settings
}

/// Starts the mupdate core: the follower, and the answers to `ravenry ctl`.
fn start_core(
    plan: &Plan,
    config: &Config,
    settings: FollowerConfig,
    (writer, reader): (ListWriter, ListReader),
    stats: &Stats,
) -> Result<(ShardHandle, Barrier, Asked), String> {
    let (ask, reloads) = mpsc::sync_channel(RELOADS_MAX);
    let (follower, barrier) = follower(settings, writer, reader);
    let (stats, asked, socket) = (stats.clone(), barrier.clone(), ctl::path(config));
    let (bound, outcome) = mpsc::sync_channel(1);
    let core = rt::start_shard(plan.core.clone(), move || async move {
        match ctl::listen(socket) {
            Ok(listener) => {
                rt::spawn(ctl::serve(listener, ask, move || stats.render(&asked)));
                let _ = bound.send(Ok(()));
            }
            Err(error) => return drop(bound.send(Err(error))),
        }
        follower.run().await;
    });
    let core = core.map_err(|error| error.to_string())?;
    bound_or_why(&outcome, "the ctl socket")?;
    tracing::info!(cpu = ?plan.core.cpu, alone = plan.core_alone, "mupdate core");
    Ok((core, barrier, reloads))
}

fn pool(name: &str, threads: usize, queue_max: usize) -> Result<Pool, String> {
    Pool::new(name, threads, queue_max).map_err(|error| format!("can't start threads: {error}"))
}

/// A pool for cryptography: below the shards, which have sessions to serve.
fn background(name: &str, threads: usize, queue_max: usize) -> Result<Pool, String> {
    let pool = Pool::background(name, threads, queue_max);
    pool.map_err(|error| format!("can't start threads: {error}"))
}

fn parts(
    config: &Config,
    proxy: &Proxy,
    reloaded: &Reloaded,
    admission: Admission,
    resolver: Pool,
    (list, barrier): (ListReader, Barrier),
) -> Result<Parts, String> {
    let cpus = rt::cpus().len();
    let hashing = cpus.div_ceil(2).min(limits::HASH_THREADS_MAX);
    let hashing = background("hash", hashing, limits::HASH_QUEUE_MAX)?;
    let handshakes = cpus.min(limits::HANDSHAKE_THREADS_MAX);
    let handshakes = background("tls", handshakes, limits::HANDSHAKE_QUEUE_MAX)?;
    let certificates = reloaded.certificates.as_ref();
    Ok(Parts {
        servername: config.servername.clone(),
        admins: config.admins.clone(),
        namespace: Namespace {
            separator: config.hierarchy_separator.byte(),
            alt: config.alt_namespace,
        },
        groups: reloaded.groups.reader(),
        acceptor: certificates.map(|certificates| certificates.acceptor(handshakes)),
        allow_plaintext: config.tls.allow_plaintext,
        upstream: proxy.upstream.clone(),
        connector: None,
        limits: config.limits.clone(),
        admission,
        list,
        barrier,
        authenticator: reloaded.users.authenticator(hashing),
        resolver,
    })
}

fn start_shards(
    plan: &Plan,
    proxy: &Proxy,
    parts: &Parts,
    stats: &Stats,
) -> Result<Vec<ShardHandle>, String> {
    let mut shards = Vec::new();
    for (number, shard) in plan.shards.iter().enumerate() {
        let (parts, proxy, registry) = (parts.clone(), proxy.clone(), stats.registry());
        let (bound, outcome) = mpsc::sync_channel(1);
        let started = rt::start_shard(shard.clone(), move || async move {
            let metrics = registry
                .recorder(number)
                .expect("invariant: each shard takes its recorder once");
            match Listeners::bind(&proxy) {
                Ok(listeners) => {
                    let _ = bound.send(Ok(()));
                    ravenry_proxy::serve(parts, number, metrics, listeners);
                }
                Err(error) => drop(bound.send(Err(error))),
            }
        });
        shards.push(started.map_err(|error| error.to_string())?);
        bound_or_why(&outcome, "[proxy]")?;
    }
    Ok(shards)
}

/// Waits until a shard has said whether its sockets are bound.
fn bound_or_why(outcome: &mpsc::Receiver<std::io::Result<()>>, what: &str) -> Result<(), String> {
    match outcome.recv() {
        Ok(bound) => bound.map_err(|error| format!("{what}: {error}")),
        Err(_ended) => Err(format!("{what}: the shard ended before it was bound")),
    }
}
