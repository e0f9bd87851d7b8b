//! The mupdate core: the mailbox list and its one writer, which is the follower's or, in a master, the
//! master's own; the MUPDATE server; the answers to `ravenry ctl`.

use std::fs;
use std::sync::{Arc, mpsc};

use ravenry_core::config::{Config, Endpoint, MupdateClient, MupdateRole, MupdateServer};
use ravenry_core::mailboxes::{ListError, ListFile, ListReader, ListWriter, Made};
use ravenry_core::rt::channel::{Receiver, channel};
use ravenry_core::rt::{self, Listener, Pool, ShardHandle};
use ravenry_core::tls::Connector;
use ravenry_mupdate::{
    AwayReason, Barrier, Counters, Follower, FollowerConfig, FollowerState, Local, Operator,
    Server, ServerParts, follower, listen, local,
};

use crate::backend::Tasks;
use crate::ctl;
use crate::instance::{Shared, bound_or_why, pool};
use crate::plan::Plan;
use crate::reload::Asked;
use crate::stats::Stats;

/// Reloads that may have been asked for at once.
const RELOADS_MAX: usize = 4;
/// Commits of a follower that its server hasn't looked at; past it streams catch up from the list.
const FEED_MAX: usize = 1024;
/// Commits that may wait for the master's disk: there is one at a time.
const COMMITS_MAX: usize = 1;

/// The mupdate core, running.
pub(crate) struct Core {
    pub(crate) handle: ShardHandle,
    /// The mailbox list and the way to bring it up to date; a backend that is alone has none.
    pub(crate) list: Option<(ListReader, Barrier)>,
    /// Who asks for a reload.
    pub(crate) asked: Asked,
}

impl Core {
    /// Whether what it is there for has ended.
    pub(crate) fn has_ended(&self) -> bool {
        let ended = FollowerState::Away(AwayReason::NotRunning);
        let state = |(_, barrier): &(_, Barrier)| barrier.status().state;
        self.list.as_ref().map(state) == Some(ended)
    }
}

/// What keeps the list.
enum Keeper {
    /// There is none.
    Nothing,
    Follower(Box<Follower>),
    Replica {
        parts: Box<ServerParts>,
        follower: Box<Follower>,
        upstream: Endpoint,
        feed: Receiver<Made>,
    },
    Master {
        parts: Box<ServerParts>,
        writer: ListWriter,
        local: Local,
    },
}

/// What `ravenry check` says of it.
pub(crate) fn check(config: &Config) -> Result<Option<String>, String> {
    if let Some(client) = &config.mupdate_client {
        connector(client)?;
    }
    Ok(match (&config.mupdate_server, &config.mupdate_client) {
        (Some(server), client) => {
            let listen: Vec<String> = server.listen.iter().map(ToString::to_string).collect();
            let listen = listen.join(", ");
            Some(match (server.role, client) {
                (MupdateRole::Replica, Some(client)) => {
                    format!("a MUPDATE replica of {} on {listen}", client.server)
                }
                _ => format!("the MUPDATE master on {listen}"),
            })
        }
        (None, Some(client)) if config.proxy.is_some() => {
            Some(format!("the mailbox list from {}", client.server))
        }
        (None, _) => None,
    })
}

/// Starts it.
pub(crate) fn start(
    config: &Config,
    plan: &Plan,
    shared: &Shared,
    (stats, backend): (&Stats, Option<Tasks>),
) -> Result<Core, String> {
    let (keeper, list) = keeper(config, shared, stats)?;
    let (ask, asked) = mpsc::sync_channel(RELOADS_MAX);
    let (stats, watched, socket) = (
        stats.clone(),
        list.as_ref().map(|(_, barrier)| barrier.clone()),
        ctl::path(config),
    );
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
        let backend = backend.map(run_backend);
        let stats = move || stats.render(watched.as_ref());
        let control = move |mupdate| {
            let operators = ctl::Operators { mupdate, backend };
            rt::spawn(ctl::serve(control, ask, stats, operators));
        };
        if let Err(error) = keep(keeper, listeners, control).await {
            tracing::error!("the MUPDATE server can't start: {error}");
        }
    });
    let handle = handle.map_err(|error| error.to_string())?;
    bound_or_why(&outcome, "the mupdate core")?;
    tracing::info!(cpu = ?plan.core.cpu, alone = plan.core_alone, "mupdate core");
    Ok(Core {
        handle,
        list,
        asked,
    })
}

/// Runs what a backend needs on the core; gives who answers its operator.
fn run_backend(tasks: Tasks) -> ravenry_backend::Operator {
    rt::spawn(tasks.committer.run());
    rt::spawn(tasks.operator.watch_index());
    if let Some((member, settings)) = tasks.member {
        let (client, connection) = ravenry_mupdate::client(settings);
        rt::spawn(connection.run());
        rt::spawn(member.run(client));
    }
    tasks.operator
}

/// What keeps the list, by the roles that there are.
fn keeper(
    config: &Config,
    shared: &Shared,
    stats: &Stats,
) -> Result<(Keeper, Option<(ListReader, Barrier)>), String> {
    // A backend asks the master itself.
    if config.mupdate_server.is_none()
        && (config.proxy.is_none() || config.mupdate_client.is_none())
    {
        return Ok((Keeper::Nothing, None));
    }
    let (mut writer, list) = open_list(config)?;
    let with_list = |(keeper, barrier)| Ok((keeper, Some((list.clone(), barrier))));
    let parts = |server: &MupdateServer| {
        let counters = Arc::new(Counters::default());
        stats.count_server(Arc::clone(&counters));
        Ok::<_, String>(Box::new(ServerParts {
            servername: config.servername.clone(),
            settings: server.clone(),
            limits: config.limits.clone(),
            acceptor: shared.acceptor.clone(),
            allow_plaintext: config.tls.allow_plaintext,
            admission: shared.admission.clone(),
            list: list.clone(),
            disk: pool("commit", 1, COMMITS_MAX)?,
            counters,
        }))
    };
    match (&config.mupdate_server, &config.mupdate_client) {
        (Some(server), Some(client)) if server.role == MupdateRole::Replica => {
            let (tell, feed) = channel(FEED_MAX);
            let mut settings = follower_config(config, client, shared.resolver.clone())?;
            settings.tell = Some(tell);
            let (follower, barrier) = follower(settings, writer, list.clone());
            let keeper = Keeper::Replica {
                parts: parts(server)?,
                follower: Box::new(follower),
                upstream: client.server.clone(),
                feed,
            };
            with_list((keeper, barrier))
        }
        (Some(server), _) => {
            ravenry_mupdate::own(&mut writer, &list)?;
            let (local, barrier) = local(list.clone());
            let keeper = Keeper::Master {
                parts: parts(server)?,
                writer,
                local,
            };
            with_list((keeper, barrier))
        }
        (None, Some(client)) => {
            let settings = follower_config(config, client, shared.resolver.clone())?;
            let (follower, barrier) = follower(settings, writer, list.clone());
            with_list((Keeper::Follower(Box::new(follower)), barrier))
        }
        (None, None) => Ok((Keeper::Nothing, None)),
    }
}

/// Keeps the list until the core drains; `control` opens the operator's socket.
async fn keep(
    keeper: Keeper,
    listeners: Vec<Listener>,
    control: impl FnOnce(Option<Operator>),
) -> Result<(), ListError> {
    match keeper {
        Keeper::Nothing => {
            control(None);
            rt::draining().await;
        }
        Keeper::Follower(follower) => {
            control(None);
            follower.run().await;
        }
        Keeper::Replica {
            parts,
            mut follower,
            upstream,
            feed,
        } => {
            let server = Server::replica(*parts, &upstream, &mut follower, feed)?;
            control(Some(server.operator()));
            server.run_beside(listeners, *follower).await;
        }
        Keeper::Master {
            parts,
            writer,
            local,
        } => {
            let server = Server::master(*parts, writer)?;
            control(Some(server.operator()));
            server.run(listeners, local).await;
        }
    }
    Ok(())
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

/// How the master is reached.
pub(crate) fn follower_config(
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
