//! The parts of a murder as `ravenry serve` puts them together, in a world: each a process with a core, shards and a
//! directory of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ravenry_backend::store::{Settings as StoreSettings, Store};
use ravenry_backend::{MemberParts, committer, member};
use ravenry_core::admission::Admission;
use ravenry_core::auth::Users;
use ravenry_core::client::{Desk, DeskParts};
use ravenry_core::config::{
    self, Conflicts, Endpoint, Guard, HostAddress, Limits, MupdateRole, MupdateServer, MupdateUser,
};
use ravenry_core::current;
use ravenry_core::mailboxes::{ListFile, ListReader, Namespace};
use ravenry_core::metrics::Registry;
use ravenry_core::proto::sasl::Secret;
use ravenry_core::rt::{self, Address, Pool, ShardConfig, ShardHandle};
use ravenry_mupdate::{
    Counters, FollowerConfig, Server, ServerParts, client, follower, listen, local, own,
};

use crate::dice;

pub(crate) const BACKENDS: [&str; 2] = ["backend1.test", "backend2.test"];
pub(crate) const MASTER: &str = "10.0.0.11:3905";
pub(crate) const BACKENDS_AT: [&str; 2] = ["10.0.0.12:143", "10.0.0.13:143"];
pub(crate) const FRONTENDS_AT: [&str; 2] = ["10.0.0.41:143", "10.0.0.42:143"];
pub(crate) const USERS: u64 = 4;
pub(crate) const ADMIN: &str = "cyrus";

const LIST_BYTES: usize = 16 << 20;
const INDEX_BYTES: u64 = 16 << 20;

/// A part that runs.
pub(crate) struct Part {
    /// The core is the last.
    pub(crate) shards: Vec<ShardHandle>,
    /// None: it serves no sessions of clients.
    pub(crate) registry: Option<Registry>,
    /// The mailbox list, where it has one.
    pub(crate) list: Option<ListReader>,
    /// The store, where it has one.
    pub(crate) store: Option<Store>,
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn pool(name: &str, threads: usize) -> Pool {
    Pool::new(name, threads, 10_000).unwrap()
}

/// Every wait of a session ends by these.
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
        // A table of these is made for each part.
        connections: 200,
        ..Limits::default()
    }
}

fn quiet() -> ShardConfig {
    ShardConfig {
        pipes_max: 0,
        ..ShardConfig::default()
    }
}

fn some() -> usize {
    usize::try_from(1 + dice::below(2)).expect("small")
}

/// The master.
pub(crate) fn master(directory: &Path) -> Part {
    let (mut writer, list, opened) = ListFile::open_durable(directory, LIST_BYTES).unwrap();
    assert!(
        opened.why.is_none(),
        "the master's list is lost: {:?}",
        opened.why
    );
    own(&mut writer, &list).unwrap();
    let (local, _barrier) = local(list.clone());
    let parts = ServerParts {
        servername: "mupdate.test".to_owned(),
        settings: MupdateServer {
            role: MupdateRole::Master,
            listen: vec![address(MASTER)],
            users: accounts(),
            conflicts: Conflicts::Strict,
            guard: Guard::default(),
            connections: 100,
            backlog: 1 << 20,
            tombstones: Duration::from_secs(3600),
        },
        limits: limits(),
        acceptor: None,
        allow_plaintext: true,
        admission: Admission::new(&limits()).unwrap(),
        list: list.clone(),
        disk: pool("commit", 1),
        counters: Arc::new(Counters::default()),
    };
    let core = rt::start_shard(quiet(), move || async move {
        let listeners = listen(&[address(MASTER)]).unwrap();
        let server = Server::master(parts, writer).unwrap();
        server.run(listeners, local).await;
    });
    Part {
        shards: vec![core.unwrap()],
        registry: None,
        list: Some(list),
        store: None,
    }
}

/// Each backend's is bound to its names, those of frontends read.
fn accounts() -> Vec<MupdateUser> {
    let account = |name: &str, server: Option<&str>| MupdateUser {
        name: name.to_owned(),
        password: secret("mupdatepw"),
        server: server.map(str::to_owned),
        write: server.is_some(),
    };
    let backends = BACKENDS.iter().map(|name| account(name, Some(name)));
    backends.chain([account("frontend", None)]).collect()
}

fn towards_master(authname: &str) -> FollowerConfig {
    let server = Endpoint::Address(address(MASTER));
    FollowerConfig::new(
        server,
        authname.into(),
        secret("mupdatepw"),
        pool("resolve", 1),
    )
}

/// A frontend.
pub(crate) fn frontend(directory: &Path, number: usize) -> Part {
    let (writer, list, _) = ListFile::open(directory, LIST_BYTES).unwrap();
    let (follower, barrier) = follower(towards_master("frontend"), writer, list.clone());
    let core = rt::start_shard(quiet(), move || follower.run()).unwrap();
    let desk = desk(directory, &format!("frontend{number}.test"));
    let here = address(FRONTENDS_AT[number]);
    let parts = ravenry_proxy::Parts {
        proxy: config::Proxy::new(vec![here], upstream()),
        connector: None,
        list: list.clone(),
        barrier,
        resolver: pool("resolve", 1),
    };
    let count = some();
    let registry = Registry::new(count);
    let shard = |number: usize| {
        let (desk, parts, registry) = (desk.clone(), parts.clone(), registry.clone());
        let config = ShardConfig {
            pipes_max: usize::try_from(dice::below(4)).expect("small"),
            ..ShardConfig::default()
        };
        rt::start_shard(config, move || async move {
            let metrics = registry.recorder(number).unwrap();
            let listeners = ravenry_proxy::Listeners::bind(&parts.proxy).unwrap();
            ravenry_proxy::serve(Rc::new(Desk::new(desk, number, metrics)), parts, listeners);
        })
        .unwrap()
    };
    Part {
        shards: (0..count).map(shard).chain([core]).collect(),
        registry: Some(registry),
        list: Some(list),
        store: None,
    }
}

fn upstream() -> config::Upstream {
    let hosts = BACKENDS.iter().zip(BACKENDS_AT).map(|(name, address)| {
        let address: HostAddress = address.parse().unwrap();
        ((*name).to_owned(), address)
    });
    config::Upstream {
        hosts: hosts.collect::<BTreeMap<_, _>>(),
        pipes: 8,
        ..config::Upstream::new("mailproxy".into(), secret("proxypw"))
    }
}

pub(crate) fn store_settings(directory: &Path) -> StoreSettings {
    StoreSettings {
        directory: directory.join("state"),
        partitions: partitions(directory),
        index_size: INDEX_BYTES,
    }
}

fn partitions(directory: &Path) -> BTreeMap<String, PathBuf> {
    BTreeMap::from([("default".to_owned(), directory.join("spool"))])
}

/// A backend, and member.
pub(crate) fn backend(directory: &Path, number: usize) -> Part {
    let (writer, store, found) = Store::open(&store_settings(directory)).unwrap();
    assert!(found.missing.is_empty(), "files are lost: {found:?}");
    let (orders, committer) = committer(writer, pool("commit", 1), Duration::from_secs(3600));
    let master = towards_master(BACKENDS[number]);
    let disk = pool("disk", 4);
    let (member, member_task) = member(MemberParts {
        servername: BACKENDS[number].to_owned(),
        master: MASTER.to_owned(),
        store: store.clone(),
        orders: orders.clone(),
        disk: disk.clone(),
        state_dir: directory.to_owned(),
        compare_every: Duration::from_secs(300),
    });
    let core = rt::start_shard(quiet(), move || async move {
        let (client, task) = client(master);
        rt::spawn(committer.run());
        rt::spawn(task.run());
        rt::spawn(member_task.run(client));
    });
    let parts = ravenry_backend::Parts {
        backend: Arc::new(config::Backend {
            proxy_users: vec!["mailproxy".to_owned()],
            ..config::Backend::new(vec![address(BACKENDS_AT[number])], partitions(directory))
        }),
        store: store.clone(),
        orders,
        member,
        disk,
        whole: pool("whole", 2),
    };
    let desk = desk(directory, BACKENDS[number]);
    let count = some();
    let registry = Registry::new(count);
    let shard = |number: usize| {
        let (desk, parts, registry) = (desk.clone(), parts.clone(), registry.clone());
        rt::start_shard(quiet(), move || async move {
            let metrics = registry.recorder(number).unwrap();
            let listeners = ravenry_backend::Listeners::bind(&parts.backend, number).unwrap();
            ravenry_backend::serve(Rc::new(Desk::new(desk, number, metrics)), parts, listeners);
        })
        .unwrap()
    };
    Part {
        shards: (0..count).map(shard).chain([core.unwrap()]).collect(),
        registry: Some(registry),
        list: None,
        store: Some(store),
    }
}

fn desk(directory: &Path, servername: &str) -> DeskParts {
    let file = directory.join("users");
    let users = (0..USERS).map(|number| format!("u{number}:{{PLAIN}}pw\n"));
    let all = format!(
        "{ADMIN}:{{PLAIN}}pw\nmailproxy:{{PLAIN}}proxypw\n{}",
        users.collect::<String>()
    );
    std::fs::write(&file, all).unwrap();
    let auth = config::Auth {
        passwd_file: Some(file),
        ..config::Auth::default()
    };
    let users = Users::open(&auth).unwrap();
    DeskParts {
        servername: servername.into(),
        admins: vec![ADMIN.to_owned()],
        namespace: Namespace {
            separator: b'.',
            alt: false,
            default_domain: None,
        },
        groups: current::Writer::new(Arc::default()).reader(),
        acceptor: None,
        allow_plaintext: true,
        admission: Admission::new(&limits()).unwrap(),
        limits: limits(),
        authenticator: users.authenticator(pool("hash", 1)),
    }
}
