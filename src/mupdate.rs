//! The mupdate core: the mailbox list and its one writer, which is the follower's or, in a master, the
//! master's own; the MUPDATE server; the answers to `ravenry ctl`.

use std::fs;
use std::sync::{Arc, mpsc};

use ravenry_core::config::{Config, MupdateClient, MupdateServer};
use ravenry_core::mailboxes::{ListFile, ListReader, ListWriter};
use ravenry_core::rt::{self, Pool, ShardHandle};
use ravenry_core::tls::Connector;
use ravenry_mupdate::{
    AwayReason, Barrier, Counters, Follower, FollowerConfig, FollowerState, Local, Server,
    ServerParts, follower, listen, local,
};

use crate::ctl;
use crate::plan::Plan;
use crate::reload::Asked;
use crate::serve::{Shared, bound_or_why, pool};
use crate::stats::Stats;

/// Reloads that may have been asked for at once.
const RELOADS_MAX: usize = 4;
/// Commits that may wait for the master's disk: there is one at a time.
const COMMITS_MAX: usize = 1;

/// The mupdate core, running.
pub(crate) struct Core {
    pub(crate) handle: ShardHandle,
    pub(crate) list: ListReader,
    pub(crate) barrier: Barrier,
    /// Who asks for a reload.
    pub(crate) asked: Asked,
}

impl Core {
    /// Whether what it is there for has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.barrier.status().state == FollowerState::Away(AwayReason::NotRunning)
    }
}

/// What keeps the list: one of the two.
enum Keeper {
    Follower(Box<Follower>),
    Master {
        parts: Box<ServerParts>,
        writer: ListWriter,
        disk: Pool,
        local: Local,
    },
}

/// What `ravenry check` says of it.
pub(crate) fn check(config: &Config) -> Result<Option<String>, String> {
    if let Some(client) = &config.mupdate_client {
        connector(client)?;
    }
    Ok(match (&config.mupdate_server, &config.mupdate_client) {
        (Some(server), _) => {
            let listen: Vec<String> = server.listen.iter().map(ToString::to_string).collect();
            Some(format!("the MUPDATE master on {}", listen.join(", ")))
        }
        (None, Some(client)) => Some(format!("the mailbox list from {}", client.server)),
        (None, None) => None,
    })
}

/// Starts it.
pub(crate) fn start(
    config: &Config,
    plan: &Plan,
    shared: &Shared,
    stats: &Stats,
) -> Result<Core, String> {
    let (writer, list) = open_list(config)?;
    let (keeper, barrier) = match (&config.mupdate_server, &config.mupdate_client) {
        (Some(server), _) => master(config, server, shared, stats, (writer, list.clone()))?,
        (None, Some(client)) => {
            let settings = follower_config(config, client, shared.resolver.clone())?;
            let (follower, barrier) = follower(settings, writer, list.clone());
            (Keeper::Follower(Box::new(follower)), barrier)
        }
        (None, None) => {
            return Err(
                "there is no mailbox list: add [mupdate.client] or [mupdate.server]".into(),
            );
        }
    };
    let (ask, asked) = mpsc::sync_channel(RELOADS_MAX);
    let (stats, watched, socket) = (stats.clone(), barrier.clone(), ctl::path(config));
    let addresses = config
        .mupdate_server
        .as_ref()
        .map(|server| server.listen.clone());
    let (bound, outcome) = mpsc::sync_channel(1);
    let handle = rt::start_shard(plan.core.clone(), move || async move {
        let opened = ctl::listen(socket)
            .and_then(|control| Ok((control, listen(&addresses.unwrap_or_default())?)));
        let (control, listeners) = match opened {
            Ok(opened) => opened,
            Err(error) => return drop(bound.send(Err(error))),
        };
        let _ = bound.send(Ok(()));
        let stats = move || stats.render(&watched);
        match keeper {
            Keeper::Follower(follower) => {
                rt::spawn(ctl::serve(control, ask, stats, None));
                follower.run().await;
            }
            Keeper::Master {
                parts,
                writer,
                disk,
                local,
            } => match Server::master(*parts, writer, disk) {
                Ok(server) => {
                    rt::spawn(ctl::serve(control, ask, stats, Some(server.operator())));
                    server.run(listeners, local).await;
                }
                Err(error) => tracing::error!("the MUPDATE server can't start: {error}"),
            },
        }
    });
    let handle = handle.map_err(|error| error.to_string())?;
    bound_or_why(&outcome, "the mupdate core")?;
    tracing::info!(cpu = ?plan.core.cpu, alone = plan.core_alone, "mupdate core");
    Ok(Core {
        handle,
        list,
        barrier,
        asked,
    })
}

fn master(
    config: &Config,
    server: &MupdateServer,
    shared: &Shared,
    stats: &Stats,
    (mut writer, list): (ListWriter, ListReader),
) -> Result<(Keeper, Barrier), String> {
    ravenry_mupdate::own(&mut writer, &list)?;
    let counters = Arc::new(Counters::default());
    stats.count_server(Arc::clone(&counters));
    let parts = ServerParts {
        servername: config.servername.clone(),
        settings: server.clone(),
        limits: config.limits.clone(),
        acceptor: shared.acceptor.clone(),
        allow_plaintext: config.tls.allow_plaintext,
        admission: shared.admission.clone(),
        list: list.clone(),
        counters,
    };
    let (local, barrier) = local(list);
    let keeper = Keeper::Master {
        parts: Box::new(parts),
        writer,
        disk: pool("commit", 1, COMMITS_MAX)?,
        local,
    };
    Ok((keeper, barrier))
}

fn open_list(config: &Config) -> Result<(ListWriter, ListReader), String> {
    let directory = &config.state_dir;
    fs::create_dir_all(directory)
        .map_err(|error| format!("state_dir {}: {error}", directory.display()))?;
    let size = usize::try_from(config.list_size).unwrap_or(usize::MAX);
    let opened = match config.mupdate_server {
        Some(_) => ListFile::open_durable(directory, size),
        None => ListFile::open(directory, size),
    };
    let (writer, reader, opened) = opened.map_err(|error| error.to_string())?;
    if let Some(why) = opened.why {
        tracing::warn!("the mailbox list is fetched anew: the old file is set aside: {why}");
    }
    Ok((writer, reader))
}

/// TLS towards the master, where it is on.
fn connector(client: &MupdateClient) -> Result<Option<Connector>, String> {
    Connector::open(&client.tls, None).map_err(|error| error.to_string())
}

fn follower_config(
    config: &Config,
    client: &MupdateClient,
    resolver: Pool,
) -> Result<FollowerConfig, String> {
    let (server, authname) = (client.server.clone(), client.authname.clone());
    let mut settings = FollowerConfig::new(server, authname, client.password.clone(), resolver);
    settings.connect_within = config.limits.connect;
    settings.noop_every = client.noop_interval;
    settings.tls = connector(client)?;
    Ok(settings)
}
