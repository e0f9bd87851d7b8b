//! One seed: which faults there are, the backend, its clients, restarts, and the end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ravenry_backend::store::{Order, Settings as StoreSettings, SpecialUse, Store};
use ravenry_backend::{Listeners, Member, Parts, committer};
use ravenry_core::admission::Admission;
use ravenry_core::auth::Users;
use ravenry_core::client::{Desk, DeskParts};
use ravenry_core::config::{self, Limits};
use ravenry_core::current;
use ravenry_core::mailboxes::{Acl, Name, Namespace};
use ravenry_core::metrics::Registry;
use ravenry_core::rt::sim::{self, Fault, Faults, Outcome, Settings, World};
use ravenry_core::rt::{self, Pool, ShardConfig, ShardHandle};

use crate::client::Shared;
use crate::model::{self, Model, NAMES};
use crate::{dice, script};

const WITHIN: Duration = Duration::from_secs(4 * 3600);
const KINDS: [&str; 11] = [
    "done: commands",
    "done: messages appended",
    "done: messages copied",
    "done: messages told to be gone",
    "done: bodies fetched",
    "done: views compared",
    "done: mailboxes renamed",
    "done: changes that came too late",
    "done: connections lost",
    "done: mailboxes synchronized",
    "done: the backend restarted",
];

pub(crate) fn seed(seed: u64, verbose: bool) -> Outcome {
    let mut rng = fastrand::Rng::with_seed(seed);
    // In a quarter of the runs nothing goes wrong that anybody may notice.
    let peace = seed % 4 == 3;
    let settings = Settings {
        seed,
        faults: faults(&mut rng, peace),
        verbose,
        within: WITHIN,
    };
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let directory = directory.unwrap();
    let path = directory.path().to_owned();
    sim::run(settings, |world| async move {
        KINDS.iter().for_each(|kind| world.add(kind, 0));
        whole(world, peace, &path).await;
    })
}

fn faults(rng: &mut fastrand::Rng, peace: bool) -> Faults {
    let mut faults = Faults::none();
    for fault in Fault::ALL {
        let most = match fault {
            // A disk that refuses a commit ends the store.
            Fault::JobRefused => continue,
            Fault::Reset | Fault::Closed | Fault::Refused | Fault::Silence => 1500,
            Fault::ShortRead | Fault::ShortWrite | Fault::FullBuffer | Fault::PipeRefused => 6000,
            _ => 1000,
        };
        if rng.bool() && !(peace && fault.is_fatal()) {
            faults = faults.with(fault, rng.u32(1..most));
        }
    }
    faults
}

/// Where clients wait until all have come.
pub(crate) struct Meeting {
    all: u64,
    here: Cell<u64>,
    times: Cell<u64>,
}

impl Meeting {
    pub(crate) async fn wait(&self) {
        let times = self.times.get();
        self.here.set(self.here.get() + 1);
        if self.here.get() == self.all {
            self.here.set(0);
            self.times.set(times + 1);
        }
        while self.times.get() == times {
            rt::sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn whole(world: World, peace: bool, path: &Path) {
    let shared = Rc::new(Shared {
        world,
        address: "10.0.0.23:143".parse().unwrap(),
        model: RefCell::new(Model::default()),
        store: RefCell::new(None),
        peace,
        selections: Cell::new(0),
        keys: Cell::new(0),
        name: Cell::new(NAMES[0]),
    });
    let clients = 2 + dice::below(4);
    let rounds = 2 + dice::below(3);
    let meeting = Rc::new(Meeting {
        all: clients,
        here: Cell::new(0),
        times: Cell::new(0),
    });
    let mut backend = Backend::start(path, &shared).await;
    let left = Rc::new(Cell::new(clients));
    for number in 0..clients {
        let (shared, left, meeting) = (Rc::clone(&shared), Rc::clone(&left), Rc::clone(&meeting));
        rt::spawn(async move {
            script::play(shared, number, rounds, meeting).await;
            left.set(left.get() - 1);
        });
    }
    let restart_at = rt::now() + dice::time(Duration::from_secs(120));
    let mut restarts = !peace && dice::percent(30);
    while left.get() > 0 {
        rt::sleep(Duration::from_secs(1)).await;
        if restarts && rt::now() > restart_at {
            restarts = false;
            backend.end(&shared).await;
            backend = Backend::start(path, &shared).await;
            world.add("done: the backend restarted", 1);
        }
    }
    world.note("the clients have gone");
    backend.end(&shared).await;
    let (_writer, store, found) = Store::open(&settings(path)).unwrap();
    if found.crashed || !found.missing.is_empty() {
        world.fail(format!("the store wasn't closed: {found:?}"));
    }
    let wrong = shared.model.borrow().wrong(&store);
    wrong.into_iter().for_each(|wrong| world.fail(wrong));
}

fn settings(path: &Path) -> StoreSettings {
    StoreSettings {
        directory: path.join("state"),
        partitions: partitions(path),
        index_size: 32 << 20,
    }
}

fn partitions(path: &Path) -> BTreeMap<String, PathBuf> {
    BTreeMap::from([("default".to_owned(), path.join("spool"))])
}

/// A backend that runs.
struct Backend {
    shards: Vec<ShardHandle>,
    core: ShardHandle,
    registry: Registry,
}

impl Backend {
    async fn start(path: &Path, shared: &Rc<Shared>) -> Self {
        let (writer, store, _) = Store::open(&settings(path)).unwrap();
        let (orders, committer) = committer(
            writer,
            Pool::new("commit", 1, 1).unwrap(),
            Duration::from_secs(3600),
        );
        let core = rt::start_shard(quiet(), move || committer.run()).unwrap();
        for (name, acl) in [
            ("user.u0", "u0\tlrswipkxtecda\t"),
            ("user.u1", "u1\tlrswipkxtecda\t"),
            ("shared", "anyone\tlrswipkxte\t"),
            (model::ROAMS, "anyone\tlrswipkxte\t"),
        ] {
            if model::find(&store, name).is_some() {
                continue;
            }
            let name = if name == model::ROAMS { NAMES[0] } else { name };
            let order = Order::Create {
                name: Name::parse(name.as_bytes()).unwrap(),
                partition: "default".to_owned(),
                acl: Acl::new(acl.as_bytes()),
                special_use: SpecialUse::default(),
            };
            orders
                .with(move |writer| {
                    let group = writer.carry_out(&[order]);
                    (group.changes, ())
                })
                .await
                .expect("a committer");
        }
        let parts = Parts {
            backend: Arc::new(config::Backend::new(
                vec![shared.address.clone()],
                partitions(path),
            )),
            store: store.clone(),
            member: Member::alone(orders.clone()),
            orders,
            disk: Pool::new("disk", 4, 10_000).unwrap(),
            whole: Pool::new("whole", 2, 10_000).unwrap(),
        };
        *shared.store.borrow_mut() = Some(store);
        let desk = desk(path);
        let count = usize::try_from(1 + dice::below(3)).expect("small");
        let registry = Registry::new(count);
        let shards = (0..count).map(|number| start_shard(number, (&desk, &parts), &registry));
        Self {
            shards: shards.collect(),
            core,
            registry,
        }
    }

    /// Good-bye to all, and to the store.
    async fn end(self, shared: &Rc<Shared>) {
        *shared.store.borrow_mut() = None;
        for shard in self.shards.iter().chain([&self.core]) {
            shard.drain(Duration::from_secs(30));
            let deadline = rt::now() + Duration::from_secs(120);
            while !shard.is_finished() && rt::now() < deadline {
                rt::sleep(Duration::from_millis(100)).await;
            }
            if !shard.is_finished() {
                shared.fail("a shard doesn't end".to_owned());
            }
        }
        let samples = self.registry.samples();
        let open = samples.iter().find(|sample| sample.name == "sessions_open");
        if open.is_some_and(|open| open.value > 0) {
            shared.fail("a session is left".to_owned());
        }
    }
}

fn quiet() -> ShardConfig {
    ShardConfig {
        pipes_max: 0,
        ..ShardConfig::default()
    }
}

fn start_shard(
    number: usize,
    (desk, parts): (&DeskParts, &Parts),
    registry: &Registry,
) -> ShardHandle {
    let (desk, parts, registry) = (desk.clone(), parts.clone(), registry.clone());
    rt::start_shard(quiet(), move || async move {
        let metrics = registry.recorder(number).unwrap();
        let listeners = Listeners::bind(&parts.backend, number).unwrap();
        ravenry_backend::serve(Rc::new(Desk::new(desk, number, metrics)), parts, listeners);
    })
    .unwrap()
}

fn desk(path: &Path) -> DeskParts {
    let file = path.join("users");
    std::fs::write(&file, "u0:{PLAIN}pw\nu1:{PLAIN}pw\n").unwrap();
    let auth = config::Auth {
        passwd_file: Some(file),
        ..config::Auth::default()
    };
    let limits = Limits {
        connections: 1000,
        ..Limits::default()
    };
    DeskParts {
        servername: "backend.test".into(),
        admins: Vec::new(),
        namespace: Namespace {
            separator: b'.',
            alt: false,
            default_domain: None,
        },
        groups: current::Writer::new(Arc::default()).reader(),
        acceptor: None,
        allow_plaintext: true,
        admission: Admission::new(&limits).unwrap(),
        limits,
        authenticator: Users::open(&auth)
            .unwrap()
            .authenticator(Pool::new("hash", 1, 16).unwrap()),
    }
}
