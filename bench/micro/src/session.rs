//! A whole session on one shard: a client, the frontend as shipped, a backend of a few lines. One thread, so
//! that what happens after what is the same each time.

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use ravenry_core::admission::Admission;
use ravenry_core::auth::Users;
use ravenry_core::client::{Desk, DeskParts};
use ravenry_core::config::{self, Limits};
use ravenry_core::current;
use ravenry_core::mailboxes::Namespace;
use ravenry_core::metrics::Registry;
use ravenry_core::proto::sasl::Secret;
use ravenry_core::rt::{self, Address, Listener, Pool, ShardConfig, Stream};
use ravenry_mupdate::{FollowerConfig, follower};
use ravenry_proxy::{Listeners, Parts};

use crate::parts::list;
use crate::site::Site;

/// Where everything is at home: the site's first user is at the first backend.
const SITE: Site = Site { names: 1000 };
const BACKEND: &str = "backend1.murder.test";
const ABLE: &str = "[CAPABILITY IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN]";
const READ_BYTES_MAX: usize = 16 << 10;

/// A client logs in, selects its INBOX and says NOOP so many times, one after the other; each goes to the
/// backend and back.
pub fn noops(times: u64) {
    let directory = tempfile::tempdir().expect("a directory");
    let done = rt::block_on(ShardConfig::default(), async {
        let listener = Listener::bind(&"127.0.0.1:0".parse().expect("an address"))?;
        let backend = listener.local_address()?;
        rt::spawn(backends(listener));
        let front = Address::Unix(directory.path().join("imap"));
        start(directory.path(), &front, &backend);
        let mut client =
            Lines::new(Stream::connect(&front, std::time::Duration::from_secs(5)).await?);
        client.next().await?;
        client.ask("a LOGIN u0000000 pw\r\n").await?;
        client.ask("a SELECT INBOX\r\n").await?;
        for _ in 0..times {
            client.ask("a NOOP\r\n").await?;
        }
        io::Result::Ok(())
    });
    done.expect("a ring").expect("a conversation");
}

/// The frontend, on the calling shard.
fn start(directory: &Path, front: &Address, backend: &Address) {
    let users = directory.join("users");
    std::fs::write(&users, "u0000000:{PLAIN}pw\n").expect("written");
    let users = Users::open(&config::Auth {
        passwd_file: Some(users),
        ..config::Auth::default()
    });
    let pool = |name| Pool::new(name, 1, 16).expect("a thread");
    let (writer, reader) = list(directory, SITE);
    let secret = || Secret::new(b"pw".to_vec());
    let master = "127.0.0.1:1".parse().expect("an endpoint");
    // It is never run: the list is whole, and nothing that isn't in it is asked for.
    let settings = FollowerConfig::new(master, "frontend".into(), secret(), pool("resolve"));
    let (_follower, barrier) = follower(settings, writer, reader.clone());
    let limits = Limits::default();
    let hosts = [(
        BACKEND.to_owned(),
        backend.to_string().parse().expect("an address"),
    )];
    let upstream = config::Upstream {
        hosts: hosts.into_iter().collect(),
        pipes: 8,
        ..config::Upstream::new("mailproxy".into(), secret())
    };
    let desk = DeskParts {
        servername: "frontend.test".into(),
        admins: Vec::new(),
        namespace: Namespace {
            separator: b'.',
            alt: false,
            default_domain: None,
        },
        groups: current::Writer::new(Arc::default()).reader(),
        acceptor: None,
        allow_plaintext: true,
        admission: Admission::new(&limits).expect("counts"),
        limits,
        authenticator: users.expect("users").authenticator(pool("hash")),
    };
    let parts = Parts {
        proxy: config::Proxy::new(vec![front.clone()], upstream),
        connector: None,
        list: reader,
        barrier,
        resolver: pool("resolve"),
    };
    let listeners = Listeners::bind(&parts.proxy).expect("a socket");
    let metrics = Registry::new(1).recorder(0).expect("the first");
    let desk = Rc::new(Desk::new(desk, 0, metrics));
    ravenry_proxy::serve(desk, parts, listeners);
}

async fn backends(listener: Listener) {
    while let Ok((stream, _)) = listener.accept().await {
        rt::spawn(async move {
            // It ends when the frontend closes.
            let _ = backend(Lines::new(stream)).await;
        });
    }
}

async fn backend(mut frontend: Lines) -> io::Result<()> {
    let greeting = format!("* OK {ABLE} ready\r\n");
    frontend.stream.write_all(greeting.as_bytes()).await?;
    loop {
        frontend.next().await?;
        let line = frontend.line.trim_end();
        let (tag, command) = line.split_once(' ').ok_or(io::ErrorKind::InvalidData)?;
        let said = match command {
            _ if command.starts_with("AUTHENTICATE ") => format!("{tag} OK {ABLE} Completed\r\n"),
            "SELECT INBOX" => {
                format!("* 172 EXISTS\r\n* 0 RECENT\r\n{tag} OK [READ-WRITE] Completed\r\n")
            }
            _ => format!("{tag} OK Completed\r\n"),
        };
        frontend.stream.write_all(said.as_bytes()).await?;
    }
}

/// A connection read line by line.
struct Lines {
    stream: Stream,
    buffer: Vec<u8>,
    line: String,
}

impl Lines {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            line: String::new(),
        }
    }

    async fn next(&mut self) -> io::Result<()> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                self.line = String::from_utf8_lossy(&self.buffer[..=end]).into_owned();
                self.buffer.drain(..=end);
                return Ok(());
            }
            if self
                .stream
                .read_into(&mut self.buffer, READ_BYTES_MAX)
                .await?
                == 0
            {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Says a command of tag `a`, and reads up to its OK.
    async fn ask(&mut self, command: &str) -> io::Result<()> {
        self.stream.write_all(command.as_bytes()).await?;
        loop {
            self.next().await?;
            match self.line.strip_prefix("a ") {
                Some(reply) if reply.starts_with("OK ") => return Ok(()),
                Some(reply) => return Err(io::Error::other(reply.to_owned())),
                None => {}
            }
        }
    }
}
