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
use ravenry_core::rt::{self, Address, Pool, ShardConfig, ShardHandle, ShardStats};
use ravenry_core::{limits, log};
use ravenry_mupdate::{Barrier, FollowerConfig, follower};
use ravenry_proxy::Parts;

use crate::ctl;
use crate::stats;

/// How long sessions have to say good-bye when the process is told to end.
const DRAIN_GRACE: Duration = Duration::from_secs(10);
/// Descriptors a shard needs at the least: pipes, ring, listeners, a few sessions.
const DESCRIPTORS_A_SHARD: u64 = 1024;
const RESOLVER_THREADS: usize = 4;
const RESOLVER_QUEUE_MAX: usize = 1024;

/// Looks at the configuration and the host.
pub(crate) fn check(config: &Config) -> Result<(), String> {
    let plan = Plan::new(config);
    let report = plan.check_host()?;
    let (proxy, _) = roles(config)?;
    Authenticator::open(&config.auth, hash_pool()?).map_err(|error| error.to_string())?;
    groups(config)?;
    for warning in config.warnings().iter().chain(&report.advice) {
        crate::complain(&format!("warning: {warning}"));
    }
    let listeners: Vec<String> = proxy.imap.iter().map(Address::to_string).collect();
    crate::answer(&format!(
        "ok: a frontend on {} with {} shards, the list from {}",
        listeners.join(", "),
        plan.shards.len(),
        config
            .mupdate_client
            .as_ref()
            .map_or(String::new(), |client| client.server.to_string()),
    ));
    Ok(())
}

/// Runs until told to end.
pub(crate) fn serve(config: Config) -> Result<(), String> {
    let guard =
        log::init(config.log.format, config.log.level).map_err(|error| error.to_string())?;
    let plan = Plan::new(&config);
    for warning in config.warnings().iter().chain(&plan.check_host()?.advice) {
        tracing::warn!("{warning}");
    }
    signals::block();
    let (proxy, client) = roles(&config)?;
    let (writer, reader) = open_list(&config)?;
    let registry = Registry::new(plan.shards.len());
    let shard_stats = Arc::new(std::sync::OnceLock::new());
    let core = start_core(
        &plan,
        &config,
        client,
        writer,
        &reader,
        &registry,
        &shard_stats,
    )?;
    let parts = parts(&config, proxy, reader, core.barrier.clone())?;
    let shards = start_shards(&plan, proxy, &parts, &registry)?;
    let _ = shard_stats.set(shards.iter().map(ShardHandle::stats).collect());
    tracing::info!(
        shards = shards.len(),
        mupdate_core_alone = plan.core_alone,
        "ready"
    );
    while signals::wait() == Signal::Hangup {
        tracing::info!("SIGHUP: nothing is reloaded in this version");
    }
    tracing::info!("stopping");
    end(shards);
    end(vec![core.handle]);
    drop(guard);
    Ok(())
}
