//! The master in virtual time: clients that want the same names, a stream that is checked event by
//! event, and peers that are silent, slow, malformed or half open beside them.
//!
//! `SEED=n` runs one world. What holds in each: a name goes from one server to another only by way of
//! a reservation or of nothing; every command has exactly one answer; in the end the stream has told
//! what LIST tells; nobody is kept waiting by a peer that misbehaves.

#![expect(
    clippy::unwrap_used,
    reason = "tests end where something is not as it should be"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ravenry_core::admission::Admission;
use ravenry_core::config::{Conflicts, Guard, Limits, MupdateRole, MupdateServer, MupdateUser};
use ravenry_core::mailboxes::ListFile;
use ravenry_core::proto::mupdate::{Response, response};
use ravenry_core::proto::sasl::Secret;
use ravenry_core::rt::sim::{self, Faults, Settings, World};
use ravenry_core::rt::{self, Address, Pool, Stream};
use ravenry_core::wire::mupdate::Framer;
use ravenry_mupdate::{Counters, Server, ServerParts, listen, local, own};

const SECOND: Duration = Duration::from_secs(1);
const COMMANDS: usize = 60;

fn at() -> Address {
    "10.0.0.1:3905".parse().unwrap()
}

fn user(name: &str, server: Option<&str>, write: bool) -> MupdateUser {
    MupdateUser {
        name: name.to_owned(),
        password: Secret::from("pw"),
        server: server.map(str::to_owned),
        write,
    }
}

fn parts(list: ravenry_core::mailboxes::ListReader) -> ServerParts {
    let limits = Limits {
        login: 10 * SECOND,
        stall: 20 * SECOND,
        ..Limits::default()
    };
    ServerParts {
        servername: "m.test".to_owned(),
        settings: MupdateServer {
            role: MupdateRole::Master,
            listen: vec![at()],
            users: vec![
                user("b1", Some("b1"), true),
                user("b2", Some("b2"), true),
                user("reader", None, false),
            ],
            conflicts: Conflicts::Strict,
            guard: Guard {
                names: 1 << 40,
                percent: 5,
            },
            connections: 64,
            backlog: 64 * 1024,
            tombstones: 3600 * SECOND,
        },
        admission: Admission::new(&limits).unwrap(),
        limits,
        acceptor: None,
        allow_plaintext: true,
        list,
        disk: Pool::new("commit", 1, 1).unwrap(),
        counters: Arc::new(Counters::default()),
    }
}

/// A client that sends lines and reads whole responses.
struct Client {
    stream: Stream,
    framer: Framer,
    input: Vec<u8>,
    number: usize,
}

impl Client {
    async fn login(account: &str) -> Self {
        let stream = Stream::connect(&at(), 5 * SECOND).await.unwrap();
        let mut client = Self {
            stream,
            framer: Framer::new(1 << 20),
            input: Vec::new(),
            number: 0,
        };
        while !client.next().await.unwrap().starts_with(b"* OK MUPDATE") {}
        let plain = ravenry_core::proto::sasl::encode(format!("\0{account}\0pw").as_bytes());
        let plain = String::from_utf8(plain.expose().to_vec()).unwrap();
        let said = client
            .ask(&format!("AUTHENTICATE \"PLAIN\" \"{plain}\""))
            .await;
        assert!(said.last().unwrap().contains(" OK "), "{said:?}");
        client
    }

    /// The next whole response; `None`: the connection is over.
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(len) = self.framer.next(&self.input).unwrap() {
                let rest = self.input.split_off(len);
                return Some(std::mem::replace(&mut self.input, rest));
            }
            let read = self.stream.read_into(&mut self.input, 4096);
            let read = rt::timeout(300 * SECOND, read)
                .await
                .expect("an answer in time");
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Sends a command; what is said up to its answer, which comes last.
    async fn ask(&mut self, command: &str) -> Vec<String> {
        self.number += 1;
        let tag = format!("T{}", self.number);
        let line = format!("{tag} {command}\r\n");
        self.stream.write_all(line.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        loop {
            let response = String::from_utf8(self.next().await.expect("an answer")).unwrap();
            let of = |word: &str| response.starts_with(&format!("{tag} {word} "));
            let done = of("OK") || of("NO") || of("BAD");
            said.push(response);
            if done {
                return said;
            }
        }
    }
}

/// What a stream or a list has told.
#[derive(Default)]
struct Told {
    names: BTreeMap<String, (bool, String)>,
}

impl Told {
    /// Takes a response in; a name may not go from one server to another while it is active.
    fn take(&mut self, bytes: &[u8]) {
        let text = |text: &[u8]| String::from_utf8(text.to_vec()).unwrap();
        match response(bytes).unwrap() {
            Response::Mailbox { name, location, .. } => {
                let new = (true, text(&location));
                if let Some((true, old)) = self.names.insert(text(&name), new.clone()) {
                    assert_eq!(old, new.1, "active at two servers: {}", text(&name));
                }
            }
            Response::Reserve { name, location, .. } => {
                self.names.insert(text(&name), (false, text(&location)));
            }
            Response::Delete { name, .. } => drop(self.names.remove(&text(&name))),
            other => panic!("{other:?}"),
        }
    }
}

async fn backend(account: &'static str, done: rt::channel::Sender<()>) {
    let mut client = Client::login(account).await;
    for _ in 0..COMMANDS {
        let name = rt::random::u64() % 4;
        let command = match rt::random::u64() % 7 {
            0 | 1 => format!("RESERVE \"n{name}\" \"{account}!p\""),
            2 | 3 => format!("ACTIVATE \"n{name}\" \"{account}!p\" \"x\tlrs\t\""),
            4 => format!("DEACTIVATE \"n{name}\" \"{account}!p\""),
            5 => format!("DELETE \"n{name}\""),
            _ => format!("FIND \"n{name}\""),
        };
        let said = client.ask(&command).await;
        assert!(
            !said.last().unwrap().contains(" BAD "),
            "{command}: {said:?}"
        );
    }
    drop(done);
}

/// Follows the stream to the end, and compares it with LIST.
async fn watcher(told: Rc<RefCell<Told>>) -> Client {
    let mut client = Client::login("reader").await;
    for response in client.ask("UPDATE").await {
        if !response.contains(" OK ") {
            told.borrow_mut().take(response.as_bytes());
        }
    }
    client
}

async fn peers_that_misbehave() {
    // Silent, from the first byte on; it is sent away when its time to log in is over.
    let silent = Stream::connect(&at(), 5 * SECOND).await.unwrap();
    // Malformed, each ended with a word.
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\na\r\nb\r\nc\r\nd\r\ne\r\nf\r\ng\r\nh\r\ni\r\nj\r\n",
        b"a AUTHENTICATE \"PLAIN\" {999999999+}\r\n",
        b"a FIND \"x\"\n",
    ] {
        let stream = Stream::connect(&at(), 5 * SECOND).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut heard = Vec::new();
        let all = async { while stream.read_into(&mut heard, 4096).await.unwrap_or(0) > 0 {} };
        rt::timeout(60 * SECOND, all).await.expect("it is ended");
        assert!(
            String::from_utf8_lossy(&heard).contains("* BYE"),
            "{heard:?}"
        );
    }
    let mut heard = Vec::new();
    let all = async { while silent.read_into(&mut heard, 4096).await.unwrap_or(0) > 0 {} };
    rt::timeout(60 * SECOND, all).await.expect("it is ended");
    assert!(
        String::from_utf8_lossy(&heard).contains("* BYE"),
        "{heard:?}"
    );
}

/// A stream that is never read: the server has to live with it, and end it.
async fn deaf() -> Stream {
    let mut client = Client::login("reader").await;
    client.ask("NOOP").await;
    client.stream.write_all(b"U UPDATE\r\n").await.unwrap();
    client.stream
}

async fn world(_world: World) {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, list, _) = ListFile::open_durable(directory.path(), 64 << 20).unwrap();
    own(&mut writer, &list).unwrap();
    let (ours, _barrier) = local(list.clone());
    let server = Server::master(parts(list), writer).unwrap();
    rt::spawn(server.run(listen(&[at()]).unwrap(), ours));

    let told = Rc::new(RefCell::new(Told::default()));
    let mut stream = watcher(Rc::clone(&told)).await;
    let _deaf = deaf().await;
    rt::spawn(peers_that_misbehave());
    let (done, mut all_done) = rt::channel::channel::<()>(1);
    for account in ["b1", "b2", "b1", "b2"] {
        rt::spawn(backend(account, done.clone()));
    }
    drop(done);
    while all_done.recv().await.is_some() {}
    for response in stream.ask("NOOP").await {
        if !response.contains(" OK ") {
            told.borrow_mut().take(response.as_bytes());
        }
    }
    let mut listed = Told::default();
    let mut other = Client::login("reader").await;
    for response in other.ask("LIST").await {
        if !response.contains(" OK ") {
            listed.take(response.as_bytes());
        }
    }
    assert_eq!(told.borrow().names, listed.names);
    let refused = other.ask("RESERVE \"n0\" \"b1!p\"").await;
    assert!(refused[0].contains(" NO "), "{refused:?}");
    // What is silent has been ended by now.
    rt::sleep(120 * SECOND).await;
}

#[test]
fn many_want_the_same_names() {
    let seeds = match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..30).collect(),
    };
    for seed in seeds {
        let settings = Settings {
            seed,
            faults: Faults::none(),
            verbose: false,
            within: 3600 * SECOND,
        };
        let outcome = sim::run(settings, world);
        assert!(
            outcome.failures.is_empty(),
            "SEED={seed}: {:?}",
            outcome.failures
        );
    }
}
