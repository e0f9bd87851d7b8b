//! A backend on one shard, with users and mailboxes; and a client of its LMTP.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ravenry_backend::store::{MailboxId, Order, Settings, SpecialUse, Store};
use ravenry_backend::{Listeners, Member, Orders, Parts, committer};
use ravenry_core::admission::Admission;
use ravenry_core::auth::Users;
use ravenry_core::client::{Desk, DeskParts};
use ravenry_core::config::{self, Limits};
use ravenry_core::current;
use ravenry_core::lmdb::DurableError;
use ravenry_core::mailboxes::{Acl, Name, Namespace};
use ravenry_core::metrics::Registry;
use ravenry_core::rt::{self, Address, Pool, ShardConfig, Stream};

const WITHIN: Duration = Duration::from_secs(20);
const MAILBOXES: [(&str, &str, &str); 8] = [
    ("user.bob", "bob\tlrswipkxtecda\t", "default"),
    ("user.carol", "carol\tlrswipkxtecda\t", "default"),
    ("user.carol.Sent", "carol\tlrswipkxtecda\t", "default"),
    ("user.carol.Open", "anyone\tp\t", "default"),
    ("user.dave", "dave\tlrswipkxtecda\t", "archive"),
    ("shared", "anyone\tp\t", "archive"),
    ("known", "anyone\tlrs\t", "default"),
    ("closed", "bob\tlrswipkxtecda\t", "default"),
];

/// What a test looks at.
pub(crate) struct Site {
    directory: PathBuf,
    store: Store,
    orders: Orders,
    tcp: Address,
    registry: Registry,
}

/// Plays a test with a backend of its own.
pub(crate) fn play<F: Future<Output = ()>>(test: impl FnOnce(Rc<Site>) -> F) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let played = rt::block_on(ShardConfig::default(), async move {
        test(Rc::new(Site::start(&path).await)).await;
    });
    played.unwrap();
}

impl Site {
    async fn start(path: &Path) -> Self {
        let partition = |name: &str| (name.to_owned(), path.join(name));
        let partitions = BTreeMap::from([partition("default"), partition("archive")]);
        let settings = Settings {
            directory: path.join("state"),
            partitions: partitions.clone(),
            index_size: 32 << 20,
        };
        let (writer, store, _) = loop {
            match Store::open(&settings) {
                // A process that another test began has our locks for a moment.
                Err(ravenry_backend::store::StoreError::Open(DurableError::InUse { .. })) => {
                    rt::sleep(Duration::from_millis(10)).await;
                }
                opened => break opened.unwrap(),
            }
        };
        let (orders, committer) = committer(writer, pool("commit"), Duration::from_secs(3600));
        rt::spawn(committer.run());
        let (unix, tcp) = (Address::Unix(path.join("lmtp")), free_port());
        let backend = config::Backend {
            lmtp: vec![unix, tcp.clone()],
            // Only the unix socket is trusted.
            lmtp_trusted: Vec::new(),
            default_partition: "default".to_owned(),
            proxy_users: vec!["proxy".to_owned()],
            message_size: 1 << 20,
            ..config::Backend::new(Vec::new(), partitions)
        };
        let site = Self {
            directory: path.to_owned(),
            store: store.clone(),
            orders: orders.clone(),
            tcp,
            registry: Registry::new(1),
        };
        for (name, acl, partition) in MAILBOXES {
            site.order(Order::Create {
                name: Name::parse(name.as_bytes()).unwrap(),
                partition: partition.to_owned(),
                acl: Acl::new(acl.as_bytes()),
                special_use: SpecialUse::default(),
            })
            .await;
        }
        let listeners = Listeners::bind(&backend, 0).unwrap();
        let parts = Parts {
            backend: Arc::new(backend),
            store,
            member: Member::alone(orders.clone()),
            orders,
            disk: pool("disk"),
            whole: pool("whole"),
        };
        let metrics = site.registry.recorder(0).unwrap();
        let desk = Rc::new(Desk::new(desk(path), 0, metrics));
        ravenry_backend::serve(desk, parts, listeners);
        site
    }

    async fn order(&self, order: Order) {
        let done = self.orders.with(move |writer| {
            let group = writer.carry_out(&[order]);
            (group.changes, group.outcomes)
        });
        for outcome in done.await.unwrap() {
            outcome.unwrap();
        }
    }

    pub(crate) async fn delete(&self, name: &str) {
        let name = Name::parse(name.as_bytes()).unwrap();
        self.order(Order::Delete { name }).await;
    }

    /// What is in a mailbox.
    pub(crate) fn messages(&self, name: &str) -> Vec<String> {
        let name = Name::parse(name.as_bytes()).unwrap();
        let mailbox = self.store.mailbox(&name).unwrap().unwrap();
        let mut uids = Vec::new();
        let id: MailboxId = mailbox.id;
        self.store
            .each_message(id, (1, u32::MAX), |message| {
                uids.push(message.uid);
                true
            })
            .unwrap();
        let read = |uid| std::fs::read_to_string(self.store.path(&mailbox, uid)).unwrap();
        uids.into_iter().map(read).collect()
    }

    /// Files of messages that nobody has.
    pub(crate) fn staged(&self) -> usize {
        let count = |partition| {
            let staging = self.directory.join(partition).join("staging");
            std::fs::read_dir(staging).unwrap().count()
        };
        count("default") + count("archive")
    }

    /// Until every session is over.
    pub(crate) async fn settles(&self) {
        let deadline = rt::now() + WITHIN;
        while self.sessions_open() > 0 {
            assert!(rt::now() < deadline, "a session is left");
            rt::sleep(Duration::from_millis(10)).await;
        }
    }

    fn sessions_open(&self) -> u64 {
        let samples = self.registry.samples();
        let open = samples.iter().find(|sample| sample.name == "sessions_open");
        open.unwrap().value
    }
}

fn pool(name: &'static str) -> Pool {
    Pool::new(name, 1, 64).unwrap()
}

fn free_port() -> Address {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().into()
}

fn desk(path: &Path) -> DeskParts {
    let file = path.join("users");
    std::fs::write(&file, "bob:{PLAIN}pw\nproxy:{PLAIN}pw\n").unwrap();
    let users = Users::open(&config::Auth {
        passwd_file: Some(file),
        ..config::Auth::default()
    });
    let limits = Limits {
        login_delay: Duration::from_millis(100),
        login_delay_max: Duration::from_millis(100),
        ..Limits::default()
    };
    DeskParts {
        servername: "here.example".into(),
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
        authenticator: users.unwrap().authenticator(pool("hash")),
    }
}

/// A client of LMTP.
pub(crate) struct Client {
    stream: Stream,
    buffer: Vec<u8>,
}

impl Client {
    /// By the unix socket.
    pub(crate) async fn connect(site: &Site) -> Self {
        Self::at(&Address::Unix(site.directory.join("lmtp"))).await
    }

    /// From where nobody is trusted.
    pub(crate) async fn stranger(site: &Site) -> Self {
        Self::at(&site.tcp).await
    }

    async fn at(address: &Address) -> Self {
        Self {
            stream: Stream::connect(address, WITHIN).await.unwrap(),
            buffer: Vec::new(),
        }
    }

    pub(crate) async fn send(&self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn say(&self, text: &str) {
        self.send(text.as_bytes()).await;
    }

    /// The next reply begins so; lines that aren't the last of theirs are passed over.
    pub(crate) async fn expect(&mut self, begins: &str) {
        loop {
            let line = self.line().await.expect("a reply");
            if line.as_bytes().get(3) != Some(&b'-') {
                assert!(line.starts_with(begins), "{line}, not {begins}");
                return;
            }
        }
    }

    pub(crate) async fn ask(&mut self, text: &str, begins: &str) {
        self.say(text).await;
        self.expect(begins).await;
    }

    pub(crate) async fn expect_end(&mut self) {
        assert_eq!(self.line().await, None);
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(
                    String::from_utf8(line)
                        .unwrap()
                        .trim_end_matches("\r\n")
                        .to_owned(),
                );
            }
            let read = self.stream.read_into(&mut self.buffer, 1 << 14);
            let count = rt::timeout(WITHIN, read).await.expect("within the time");
            if count.unwrap() == 0 {
                return None;
            }
        }
    }
}
