//! `ravenry serve`: the mupdate core and the shards, from configuration to the last drain.
//!
//! The mupdate core comes first: it owns the only writer of the mailbox list. Shards get readers,
//! the barrier and a recorder each. SIGTERM and SIGINT drain the shards, then the core.

use std::fs;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ravenry_core::auth::Authenticator;
use ravenry_core::config::{Config, MupdateClient, Proxy};
use ravenry_core::mailboxes::{Groups, ListFile, ListReader, ListWriter, Namespace};
use ravenry_core::metrics::Registry;
use ravenry_core::rt::signals::{self, Signal};
use ravenry_core::rt::{self, Pool, ShardHandle};
use ravenry_core::tls::{Certificates, Connector};
use ravenry_core::{limits, log};
use ravenry_mupdate::{AwayReason, Barrier, FollowerConfig, FollowerState, follower};
use ravenry_proxy::{Listeners, Parts};

use crate::ctl;
use crate::plan::Plan;
use crate::stats::Stats;

/// How long sessions have to say good-bye when the process is told to end.
const DRAIN_GRACE: Duration = Duration::from_secs(10);
/// How often the main thread looks whether all parts still run.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Threads that ask DNS for backends that the configuration doesn't name.
const RESOLVER_THREADS: usize = 4;
const RESOLVER_QUEUE_MAX: usize = 1024;

/// Looks at the configuration and the host.
pub(crate) fn check(config: &Config) -> Result<(), String> {
    let plan = Plan::new(config);
    let advice = plan.check_host()?;
    let (proxy, client) = roles(config)?;
    Authenticator::open(&config.auth, pool("hash", 1, 1)?).map_err(|error| error.to_string())?;
    groups(config)?;
    certificates(config)?;
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

/// Runs until told to end.
pub(crate) fn serve(config: &Config) -> Result<(), String> {
    signals::block();
    let guard =
        log::init(config.log.format, config.log.level).map_err(|error| error.to_string())?;
    let guard = Arc::new(guard);
    let plan = Plan::new(config);
    for warning in config.warnings().iter().chain(&plan.check_host()?) {
        tracing::warn!("{warning}");
    }
    let (proxy, client) = roles(config)?;
    let certificates = certificates(config)?;
    let connectors = connectors(proxy, client)?;
    let (writer, reader) = open_list(config)?;
    let stats = Stats::new(Registry::new(plan.shards.len()), Arc::clone(&guard));
    let resolver = pool("resolve", RESOLVER_THREADS, RESOLVER_QUEUE_MAX)?;
    let list = (writer, reader.clone());
    let mut follow = follower_config(config, client, resolver.clone());
    follow.tls = connectors.master;
    let (core, barrier) = start_core(&plan, config, follow, list, &stats)?;
    let mut parts = parts(config, proxy, reader, barrier.clone(), resolver)?;
    parts.acceptor = certificates.as_ref().map(Certificates::acceptor);
    parts.connector = connectors.backends;
    let shards = start_shards(&plan, proxy, &parts, &stats)?;
    stats.watch(
        shards
            .iter()
            .chain([&core])
            .map(ShardHandle::stats)
            .collect(),
    );
    tracing::info!(shards = shards.len(), "ready");
    let outcome = until_told(certificates, || {
        let died = shards.iter().chain([&core]).any(ShardHandle::is_finished);
        died || barrier.status().state == FollowerState::Away(AwayReason::NotRunning)
    });
    tracing::info!("stopping");
    end(shards);
    end(vec![core]);
    outcome
}

/// Waits until the process is told to end, or a part of it has `died`: half a frontend is worse
/// than none, and whoever supervises this process starts a whole one. SIGHUP reloads.
fn until_told(
    mut certificates: Option<Certificates>,
    died: impl Fn() -> bool,
) -> Result<(), String> {
    loop {
        match signals::wait(LOOK_EVERY) {
            Some(Signal::Terminate) => return Ok(()),
            Some(Signal::Hangup) => reload(certificates.as_mut()),
            None if died() => {
                return Err("a shard or the follower has ended; see the log".to_owned());
            }
            None => {}
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

fn certificates(config: &Config) -> Result<Option<Certificates>, String> {
    Certificates::open(&config.tls.certificates).map_err(|error| error.to_string())
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

/// SIGHUP: the certificates are read again; the sessions that are open keep theirs.
fn reload(certificates: Option<&mut Certificates>) {
    match certificates.map(Certificates::reload) {
        Some(Ok(())) => tracing::info!("SIGHUP: the certificates have been read again"),
        Some(Err(error)) => tracing::error!("SIGHUP: the old certificates stay: {error}"),
        None => tracing::warn!("SIGHUP: there are no certificates to read again"),
    }
}

fn groups(config: &Config) -> Result<Arc<Groups>, String> {
    let groups = config
        .auth
        .groups_file
        .as_deref()
        .map(Groups::load)
        .transpose();
    groups
        .map(|groups| Arc::new(groups.unwrap_or_default()))
        .map_err(|error| error.to_string())
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
) -> Result<(ShardHandle, Barrier), String> {
    let (follower, barrier) = follower(settings, writer, reader);
    let (stats, asked, socket) = (stats.clone(), barrier.clone(), ctl::path(config));
    let (bound, outcome) = mpsc::sync_channel(1);
    let core = rt::start_shard(plan.core.clone(), move || async move {
        match ctl::listen(socket) {
            Ok(listener) => {
                rt::spawn(ctl::serve(listener, move || stats.render(&asked)));
                let _ = bound.send(Ok(()));
            }
            Err(error) => return drop(bound.send(Err(error))),
        }
        follower.run().await;
    });
    let core = core.map_err(|error| error.to_string())?;
    bound_or_why(&outcome, "the ctl socket")?;
    tracing::info!(cpu = ?plan.core.cpu, alone = plan.core_alone, "mupdate core");
    Ok((core, barrier))
}

fn pool(name: &str, threads: usize, queue_max: usize) -> Result<Pool, String> {
    Pool::new(name, threads, queue_max).map_err(|error| format!("can't start threads: {error}"))
}

fn parts(
    config: &Config,
    proxy: &Proxy,
    list: ListReader,
    barrier: Barrier,
    resolver: Pool,
) -> Result<Parts, String> {
    let hashing = rt::cpus().len().div_ceil(2).min(limits::HASH_THREADS_MAX);
    let hashing = pool("hash", hashing, limits::HASH_QUEUE_MAX)?;
    let authenticator = Authenticator::open(&config.auth, hashing);
    Ok(Parts {
        servername: config.servername.clone(),
        admins: config.admins.clone(),
        namespace: Namespace {
            separator: config.hierarchy_separator.byte(),
            alt: config.alt_namespace,
        },
        groups: groups(config)?,
        acceptor: None,
        allow_plaintext: config.tls.allow_plaintext,
        upstream: proxy.upstream.clone(),
        connector: None,
        limits: config.limits.clone(),
        list,
        barrier,
        authenticator: authenticator.map_err(|error| error.to_string())?,
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

/// Drains shards, and waits for their end.
fn end(shards: Vec<ShardHandle>) {
    shards.iter().for_each(|shard| shard.drain(DRAIN_GRACE));
    for shard in shards {
        if let Err(error) = shard.join() {
            tracing::error!("{error}");
        }
    }
}
