//! The frontend as it is put together for a run, and what is made once for all runs: the mailbox list.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::admission::Admission;
use ravenry_core::auth::Users;
use ravenry_core::client::{Desk, DeskParts};
use ravenry_core::config::{self, Endpoint, Limits};
use ravenry_core::current;
use ravenry_core::mailboxes::{Acl, Change, ListFile, ListReader, Location, Name, Namespace};
use ravenry_core::metrics::Registry;
use ravenry_core::proto::sasl::Secret;
use ravenry_core::rt::sim::World;
use ravenry_core::rt::{self, Pool, ShardConfig, ShardHandle};
use ravenry_mupdate::{Barrier, FollowerConfig, follower};
use ravenry_proxy::{Listeners, Parts};

pub(crate) const FRONTEND: &str = "10.0.0.42:143";
pub(crate) const BACKENDS: [&str; 2] = ["10.0.0.12:143", "10.0.0.13:143"];
const NAMES: [(&str, usize); 4] = [("user.u0", 0), ("user.u0.work", 1), ("shared.a", 0), ("shared.b", 1)];
const QUIET_WITHIN: Duration = Duration::from_secs(7200);

/// What all runs share.
pub(crate) struct Site {
    list: ListReader,
    /// Of a follower that has ended: "can't tell".
    barrier: Barrier,
    users: Users,
    _directory: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (mut writer, list, _) = ListFile::open(directory.path(), 16 << 20).unwrap();
        let mut sync = writer.begin_sync().unwrap();
        let changes = NAMES.map(|(name, server)| Change::Active {
            name: Name::parse(name.as_bytes()).unwrap(),
            location: Location {
                server: format!("backend{server}.test"),
                partition: "default".into(),
            },
            acl: Acl::new(b"anyone\tlrswipkxtecda\t"),
        });
        writer.apply(&changes, Some(&mut sync)).unwrap();
        writer.end_sync(sync).unwrap();
        let master = Endpoint::Address("10.0.0.11:3905".parse().unwrap());
        let resolver = Pool::new("resolve", 1, 16).unwrap();
        let settings = FollowerConfig::new(master, "f".into(), Secret::new(Vec::new()), resolver);
        let (_ended, barrier) = follower(settings, writer, list.clone());
        let file = directory.path().join("users");
        std::fs::write(&file, "u0:{PLAIN}pw\n").unwrap();
        let auth = config::Auth {
            passwd_file: Some(file),
            ..config::Auth::default()
        };
        Self {
            list,
            barrier,
            users: Users::open(&auth).unwrap(),
            _directory: directory,
        }
    }

    /// Starts a frontend in the world that the calling thread is.
    pub(crate) fn start(&self) -> Frontend {
        let hosts = BACKENDS.iter().enumerate();
        let hosts = hosts.map(|(n, address)| (format!("backend{n}.test"), address.parse().unwrap()));
        let upstream = config::Upstream {
            hosts: hosts.collect::<BTreeMap<_, _>>(),
            pipes: 2,
            ..config::Upstream::new("proxy".into(), Secret::new(b"proxypw".to_vec()))
        };
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
            limits: Limits::default(),
            admission: Admission::new(&Limits::default()).unwrap(),
            authenticator: self.users.authenticator(Pool::new("hash", 1, 16).unwrap()),
        };
        let parts = Parts {
            proxy: config::Proxy::new(vec![FRONTEND.parse().unwrap()], upstream),
            connector: None,
            list: self.list.clone(),
            barrier: self.barrier.clone(),
            resolver: Pool::new("resolve", 1, 16).unwrap(),
        };
        let registry = Registry::new(1);
        let metrics = registry.clone();
        let config = ShardConfig {
            pipes_max: 2,
            ..ShardConfig::default()
        };
        let shard = rt::start_shard(config, move || async move {
            let listeners = Listeners::bind(&parts.proxy).unwrap();
            let desk = Desk::new(desk, 0, metrics.recorder(0).unwrap());
            ravenry_proxy::serve(Rc::new(desk), parts, listeners);
        });
        Frontend {
            shard: shard.unwrap(),
            registry,
        }
    }
}

/// A frontend that runs.
pub(crate) struct Frontend {
    shard: ShardHandle,
    registry: Registry,
}

impl Frontend {
    /// All that was there for the client goes by itself; then the shard ends.
    pub(crate) async fn end(self, world: World) {
        let deadline = rt::now() + QUIET_WITHIN;
        while self.open() > 0 && rt::now() < deadline {
            rt::sleep(Duration::from_secs(5)).await;
        }
        if self.open() > 0 {
            world.fail("the client has gone, and something of its session is left".into());
        }
        if self.shard.stats().pipes_in_use.value() > 0 {
            world.fail("a pipe is still in use".into());
        }
        self.shard.drain(Duration::from_secs(10));
        let deadline = rt::now() + Duration::from_secs(60);
        while !self.shard.is_finished() && rt::now() < deadline {
            rt::sleep(Duration::from_millis(100)).await;
        }
        if !self.shard.is_finished() {
            world.fail("the shard doesn't end".into());
        }
    }

    /// Sessions and backend connections that are open.
    fn open(&self) -> u64 {
        let counted = ["sessions_open", "upstream_open"];
        let samples = self.registry.samples();
        let open = samples.iter().filter(|sample| counted.contains(&sample.name));
        open.map(|sample| sample.value).sum()
    }
}
