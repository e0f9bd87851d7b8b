//! The backend role: its store, who writes it, and what its shards are made from.

use std::sync::Arc;

use ravenry_backend::store::{Settings, Store};
use ravenry_backend::{
    Committer, Member, MemberParts, MemberTask, Operator, Parts, committer, member,
};
use ravenry_core::config::{Backend, Config};
use ravenry_mupdate::FollowerConfig;

use crate::instance::{Shared, pool};
use crate::mupdate;

/// Threads that read and write messages: as many as a disk can use at once.
const DISK_THREADS: usize = 16;
const DISK_QUEUE_MAX: usize = 4096;
/// Threads that may each hold a message of `message_size` in memory.
const WHOLE_THREADS: usize = 2;
const WHOLE_QUEUE_MAX: usize = 256;
/// Commits that may wait for the disk: there is one at a time.
const COMMITS_MAX: usize = 1;

/// What `ravenry check` says of it; `None`: there is no backend.
pub(crate) fn check(config: &Config, shards: usize) -> Option<String> {
    let backend = config.backend.as_ref()?;
    let listeners = backend.imap.iter().chain(&backend.imaps);
    let listeners = listeners.chain(&backend.lmtp);
    let listeners: Vec<String> = listeners.map(ToString::to_string).collect();
    let (listeners, partitions) = (listeners.join(", "), backend.partitions.len());
    let member = config.mupdate_client.as_ref().map(|client| {
        let master = &client.server;
        format!(", a member of the murder of {master}")
    });
    Some(format!(
        "a backend on {listeners} with {shards} shards and {partitions} partitions{}",
        member.unwrap_or_default()
    ))
}

/// What runs on the mupdate core for a backend.
pub(crate) struct Tasks {
    pub(crate) operator: Operator,
    pub(crate) committer: Committer,
    /// With what it wants to know of the master; `None`: the backend is alone.
    pub(crate) member: Option<(MemberTask, FollowerConfig)>,
}

/// Opens the store. The tasks have to run, on the core, before a shard asks for a change.
pub(crate) fn open(config: &Config, shared: &Shared) -> Result<Option<(Parts, Tasks)>, String> {
    let Some(backend) = &config.backend else {
        return Ok(None);
    };
    let (writer, store, found) =
        Store::open(&settings(config, backend)).map_err(|error| error.to_string())?;
    if found.crashed {
        tracing::warn!(
            lost = found.lost.len(),
            missing = found.missing.len(),
            "the store wasn't closed: its files have been compared with its index"
        );
    }
    for path in &found.lost {
        tracing::warn!("nothing refers to a file: it is now {}", path.display());
    }
    for path in &found.missing {
        tracing::error!("a message's file isn't there: {}", path.display());
    }
    let (orders, committer) = committer(
        writer,
        pool("commit", 1, COMMITS_MAX)?,
        backend.keep_removed,
    );
    let disk = pool("disk", DISK_THREADS, DISK_QUEUE_MAX)?;
    let (member, task) = match &config.mupdate_client {
        None => (Member::alone(orders.clone()), None),
        Some(client) => {
            let settings = mupdate::follower_config(config, client, shared.resolver.clone())?;
            let (member, task) = member(MemberParts {
                servername: config.servername.clone(),
                master: client.server.to_string(),
                store: store.clone(),
                orders: orders.clone(),
                disk: disk.clone(),
                state_dir: config.state_dir.clone(),
                compare_every: backend.compare_every,
            });
            (member, Some((task, settings)))
        }
    };
    let parts = Parts {
        backend: Arc::new(backend.clone()),
        store,
        orders,
        member,
        disk,
        whole: pool("whole", WHOLE_THREADS, WHOLE_QUEUE_MAX)?,
    };
    let tasks = Tasks {
        operator: Operator::new(parts.clone(), config.default_domain.clone()),
        committer,
        member: task,
    };
    Ok(Some((parts, tasks)))
}

/// Where its store is.
pub(crate) fn settings(config: &Config, backend: &Backend) -> Settings {
    Settings {
        directory: config.state_dir.clone(),
        partitions: backend.partitions.clone(),
        index_size: backend.index_size,
    }
}
