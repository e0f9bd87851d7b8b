//! The shards that serve clients: each has a desk, and at it the roles that the configuration names.

use std::io;
use std::rc::Rc;
use std::sync::mpsc;

use ravenry_core::client::{Desk, DeskParts};
use ravenry_core::config::Config;
use ravenry_core::limits;
use ravenry_core::mailboxes::Namespace;
use ravenry_core::metrics::Recorder;
use ravenry_core::rt::{self, ShardHandle};

use crate::instance::{Shared, background, bound_or_why};
use crate::plan::Plan;
use crate::reload::Reloaded;
use crate::stats::Stats;

/// The roles that shards serve.
#[derive(Clone, Default)]
pub(crate) struct Roles {
    pub(crate) frontend: Option<ravenry_proxy::Parts>,
    pub(crate) backend: Option<ravenry_backend::Parts>,
}

/// Starts the shards: none, where there is nothing to serve.
pub(crate) fn start(
    config: &Config,
    plan: &Plan,
    shared: &Shared,
    reloaded: &Reloaded,
    (roles, stats): (&Roles, &Stats),
) -> Result<Vec<ShardHandle>, String> {
    if plan.shards.is_empty() {
        return Ok(Vec::new());
    }
    let desk = desk(config, shared, reloaded)?;
    let mut shards = Vec::new();
    for (number, shard) in plan.shards.iter().enumerate() {
        let (desk, roles, registry) = (desk.clone(), roles.clone(), stats.registry());
        let (bound, outcome) = mpsc::sync_channel(1);
        let started = rt::start_shard(shard.clone(), move || async move {
            let metrics = registry
                .recorder(number)
                .expect("invariant: each shard takes its recorder once");
            // Whoever waits for it is told, or has gone.
            let _ = bound.send(serve((desk, number, metrics), roles));
        });
        shards.push(started.map_err(|error| error.to_string())?);
        bound_or_why(&outcome, "the shards")?;
    }
    Ok(shards)
}

/// Binds the listeners, and begins to serve them.
fn serve((desk, number, metrics): (DeskParts, usize, Recorder), roles: Roles) -> io::Result<()> {
    let desk = Rc::new(Desk::new(desk, number, metrics));
    if let Some(parts) = roles.frontend {
        let listeners = ravenry_proxy::Listeners::bind(&parts.proxy)?;
        ravenry_proxy::serve(Rc::clone(&desk), parts, listeners);
    }
    if let Some(parts) = roles.backend {
        let listeners = ravenry_backend::Listeners::bind(&parts.backend, number)?;
        ravenry_backend::serve(desk, parts, listeners);
    }
    Ok(())
}

fn desk(config: &Config, shared: &Shared, reloaded: &Reloaded) -> Result<DeskParts, String> {
    let hashing = rt::cpus().len().div_ceil(2).min(limits::HASH_THREADS_MAX);
    let hashing = background("hash", hashing, limits::HASH_QUEUE_MAX)?;
    Ok(DeskParts {
        servername: config.servername.clone(),
        admins: config.admins.clone(),
        namespace: Namespace {
            separator: config.hierarchy_separator.byte(),
            alt: config.alt_namespace,
            // Read once: it lasts as long as the process.
            default_domain: config.default_domain.clone().map(|domain| &*domain.leak()),
        },
        groups: reloaded.groups.reader(),
        acceptor: shared.acceptor.clone(),
        allow_plaintext: config.tls.allow_plaintext,
        limits: config.limits.clone(),
        admission: shared.admission.clone(),
        authenticator: reloaded.users.authenticator(hashing),
    })
}
