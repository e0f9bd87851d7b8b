//! The frontend as `ravenry serve` puts it together, in a world: a shard for the follower, shards
//! for sessions, a real mailbox list in a directory of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::admission::Admission;
use ravenry_core::auth::{Authenticator, Users};
use ravenry_core::client::{Desk, DeskParts};
use ravenry_core::config::{self, Endpoint, HostAddress, Limits};
use ravenry_core::current;
use ravenry_core::mailboxes::{ListFile, Namespace};
use ravenry_core::metrics::Registry;
use ravenry_core::proto::sasl::Secret;
use ravenry_core::rt::sim::World;
use ravenry_core::rt::{self, Address, Pool, ShardConfig, ShardHandle};
use ravenry_mupdate::{FollowerConfig, follower};
use ravenry_proxy::{Listeners, Parts};

use crate::dice;
use crate::script::password;
use crate::site::BACKENDS;

const LIST_BYTES: usize = 16 << 20;
const SHA512: &str = "{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
/// By then everything that a session may wait for is over.
const QUIET_WITHIN: Duration = Duration::from_secs(1200);
const LOOK: Duration = Duration::from_secs(5);
/// Lost servers of selected mailboxes.
const SELECTED_AGAIN: [(&str, &str); 2] = [
    (
        "done: selected again, goes on",
        "sessions_reselected_total{result=\"ok\"}",
    ),
    (
        "done: selected again in vain",
        "sessions_reselected_total{result=\"failed\"}",
    ),
];
/// What a shard has when nobody is there: the prober and an accepting task.
const TASKS_AT_REST: u64 = 2;

pub(crate) struct Frontend {
    core: ShardHandle,
    shards: Vec<ShardHandle>,
    registry: Registry,
}

pub(crate) fn limits() -> Limits {
    let seconds = Duration::from_secs;
    Limits {
        autologout: seconds(300),
        login: seconds(40),
        connect: seconds(10),
        upstream_login: seconds(20),
        upstream_answer: seconds(30),
        upstream_idle: seconds(60),
        stall: seconds(20),
        barrier: seconds(10),
        list_barrier: seconds(1),
        // A table of these is made for each seed.
        connections: 1000,
        ..Limits::default()
    }
}

impl Frontend {
    pub(crate) fn start(
        directory: &Path,
        address: &Address,
        master: &Address,
        backends: &[Address],
    ) -> Self {
        let (writer, list, _) = ListFile::open(directory, LIST_BYTES).unwrap();
        let resolver = Pool::new("resolve", 1, 16).unwrap();
        let master = Endpoint::Address(master.clone());
        let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
        let settings = FollowerConfig::new(
            master,
            "frontend".into(),
            secret("mupdatepw"),
            resolver.clone(),
        );
        let (follower, barrier) = follower(settings, writer, list.clone());
        let config = ShardConfig {
            pipes_max: 0,
            ..ShardConfig::default()
        };
        let core = rt::start_shard(config, move || follower.run()).unwrap();
        let desk = DeskParts {
            servername: "frontend.test".into(),
            admins: Vec::new(),
            namespace: Namespace {
                separator: b'.',
                alt: false,
                default_domain: None,
            },
            groups: current::Writer::new(std::sync::Arc::default()).reader(),
            acceptor: None,
            allow_plaintext: true,
            limits: limits(),
            admission: Admission::new(&limits()).unwrap(),
            authenticator: authenticator(directory),
        };
        let parts = Parts {
            proxy: config::Proxy::new(vec![address.clone()], upstream(backends)),
            connector: None,
            list,
            barrier,
            resolver,
        };
        let count = usize::try_from(1 + dice::below(3)).expect("small");
        let registry = Registry::new(count);
        let shards = (0..count).map(|number| start_shard(number, (&desk, &parts), &registry));
        Self {
            shards: shards.collect(),
            core,
            registry,
        }
    }

    fn sample(&self, name: &str) -> u64 {
        let samples = self.registry.samples();
        let found = samples.iter().find(|sample| sample.name == name);
        found.expect("a sample of that name").value
    }

    /// What is there of sessions, beyond what is there without any.
    fn busy(&self) -> Vec<String> {
        let mut busy = Vec::new();
        for name in ["sessions_open", "upstream_open"] {
            busy.push((name, self.sample(name)));
        }
        for shard in &self.shards {
            let tasks = shard.stats().tasks.value();
            busy.push(("tasks too many", tasks.saturating_sub(TASKS_AT_REST)));
            busy.push(("tasks too few", TASKS_AT_REST.saturating_sub(tasks)));
            busy.push(("pipes in use", shard.stats().pipes_in_use.value()));
        }
        let busy = busy.into_iter().filter(|(_, count)| *count > 0);
        busy.map(|(what, count)| format!("{count} {what}"))
            .collect()
    }

    /// The clients have gone: all that was there for them must go as well; then the shards end.
    pub(crate) async fn end(self, world: World) {
        let deadline = rt::now() + QUIET_WITHIN;
        while !self.busy().is_empty() && rt::now() < deadline {
            rt::sleep(LOOK).await;
        }
        for left in self.busy() {
            world.fail(format!("when all clients had gone: {left}"));
        }
        let (spliced, copied) = self.shards.iter().fold((0, 0), |(spliced, copied), shard| {
            let stats = shard.stats();
            (
                spliced + stats.bytes_spliced.value(),
                copied + stats.bytes_copied.value(),
            )
        });
        world.add("done: bytes spliced", spliced);
        world.add("done: bytes copied by relays", copied);
        world.add(
            "done: commands forwarded",
            self.sample("commands_forwarded_total"),
        );
        for (name, sample) in SELECTED_AGAIN {
            world.add(name, self.sample(sample));
        }
        let misses: u64 = self
            .shards
            .iter()
            .map(|shard| shard.stats().pipes_missed.value())
            .sum();
        world.add("done: relays without a pipe", misses);
        for shard in self.shards.iter().chain([&self.core]) {
            shard.drain(Duration::from_secs(10));
            let deadline = rt::now() + Duration::from_secs(60);
            while !shard.is_finished() && rt::now() < deadline {
                rt::sleep(Duration::from_millis(100)).await;
            }
            if !shard.is_finished() {
                world.fail("a shard doesn't end".to_owned());
            }
        }
    }
}

fn start_shard(
    number: usize,
    (desk, parts): (&DeskParts, &Parts),
    registry: &Registry,
) -> ShardHandle {
    let (desk, parts, registry) = (desk.clone(), parts.clone(), registry.clone());
    let config = ShardConfig {
        pipes_max: usize::try_from(dice::below(4)).expect("small"),
        pipe_size: 64 << (10 + dice::below(3)),
        ..ShardConfig::default()
    };
    rt::start_shard(config, move || async move {
        let metrics = registry.recorder(number).unwrap();
        let listeners = Listeners::bind(&parts.proxy).unwrap();
        let desk = Rc::new(Desk::new(desk, number, metrics));
        ravenry_proxy::serve(desk, parts, listeners);
    })
    .unwrap()
}

fn upstream(backends: &[Address]) -> config::Upstream {
    let hosts = BACKENDS.iter().zip(backends).map(|(name, address)| {
        let address: HostAddress = address.to_string().parse().unwrap();
        ((*name).to_owned(), address)
    });
    config::Upstream {
        hosts: hosts.collect::<BTreeMap<_, _>>(),
        pipes: 8,
        ..config::Upstream::new("mailproxy".into(), Secret::new(b"proxypw".to_vec()))
    }
}

fn authenticator(directory: &Path) -> Authenticator {
    let file = directory.join("users");
    let others = (2..crate::site::USERS).map(|number| format!("u{number}"));
    let lines = others.map(|user| format!("{user}:{{PLAIN}}{}\n", password(&user)));
    std::fs::write(
        &file,
        format!("u0:{SHA512}\nu1:{SHA512}\n{}", lines.collect::<String>()),
    )
    .unwrap();
    let auth = config::Auth {
        passwd_file: Some(file),
        ..config::Auth::default()
    };
    let users = Users::open(&auth).unwrap();
    users.authenticator(Pool::new("hash", 2, 16).unwrap())
}
