//! The frontend role: what its shards are made from, and their start.

use std::sync::mpsc;

use ravenry_core::config::{Config, Proxy};
use ravenry_core::limits;
use ravenry_core::mailboxes::Namespace;
use ravenry_core::rt::{self, ShardHandle};
use ravenry_core::tls::Connector;
use ravenry_proxy::{Listeners, Parts};

use crate::mupdate::Core;
use crate::plan::Plan;
use crate::reload::Reloaded;
use crate::serve::{Shared, background, bound_or_why};
use crate::stats::Stats;

/// What `ravenry check` says of it; `None`: there is no frontend.
pub(crate) fn check(config: &Config, plan: &Plan) -> Result<Option<String>, String> {
    let Some(proxy) = &config.proxy else {
        return Ok(None);
    };
    connector(proxy)?;
    let listeners = proxy.imap.iter().chain(&proxy.imaps);
    let listeners: Vec<String> = listeners.map(ToString::to_string).collect();
    let (listeners, shards) = (listeners.join(", "), plan.shards.len());
    Ok(Some(format!(
        "a frontend on {listeners} with {shards} shards"
    )))
}

/// Starts its shards: none, where there is no frontend.
pub(crate) fn start(
    config: &Config,
    plan: &Plan,
    shared: &Shared,
    core: &Core,
    reloaded: &Reloaded,
    stats: &Stats,
) -> Result<Vec<ShardHandle>, String> {
    let Some(proxy) = &config.proxy else {
        return Ok(Vec::new());
    };
    let parts = parts(config, proxy, shared, core, reloaded)?;
    start_shards(plan, proxy, &parts, stats)
}

fn connector(proxy: &Proxy) -> Result<Option<Connector>, String> {
    Connector::open(&proxy.upstream.tls, Some("imap")).map_err(|error| error.to_string())
}

fn parts(
    config: &Config,
    proxy: &Proxy,
    shared: &Shared,
    core: &Core,
    reloaded: &Reloaded,
) -> Result<Parts, String> {
    let hashing = rt::cpus().len().div_ceil(2).min(limits::HASH_THREADS_MAX);
    let hashing = background("hash", hashing, limits::HASH_QUEUE_MAX)?;
    Ok(Parts {
        servername: config.servername.clone(),
        admins: config.admins.clone(),
        namespace: Namespace {
            separator: config.hierarchy_separator.byte(),
            alt: config.alt_namespace,
        },
        groups: reloaded.groups.reader(),
        acceptor: shared.acceptor.clone(),
        allow_plaintext: config.tls.allow_plaintext,
        upstream: proxy.upstream.clone(),
        connector: connector(proxy)?,
        limits: config.limits.clone(),
        admission: shared.admission.clone(),
        list: core.list.clone(),
        barrier: core.barrier.clone(),
        authenticator: reloaded.users.authenticator(hashing),
        resolver: shared.resolver.clone(),
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
