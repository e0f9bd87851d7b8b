//! A master in this process that follows a script for each connection: it keeps to the protocol,
//! or does what a hostile or dying one does.

#![expect(
    clippy::unwrap_used,
    reason = "tests end where something is not as it should be"
)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::config::Endpoint;
use ravenry_core::mailboxes::{ListFile, ListReader, Name};
use ravenry_core::proto::sasl::Secret;
use ravenry_core::rt::{self, Listener, Pool, ShardConfig, Stream};
use ravenry_mupdate::{Barrier, Follower, FollowerConfig, FollowerState, follower};

pub(crate) const BANNER: &str = "* AUTH \"PLAIN\" \"LOGIN\"\r\n* COMPRESS \"DEFLATE\"\r\n* PARTIAL-UPDATE\r\n\
    * OK MUPDATE \"mupdate.murder.test\" \"Cyrus IMAP\" \"3.6.1\" \"(master)\"\r\n";
pub(crate) const LOGGED_IN: &str = "A01 OK \"Authenticated\"\r\n";
pub(crate) const STREAMING: &str = "U01 OK \"streaming starts\"\r\n";
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A MAILBOX as Cyrus sends it.
pub(crate) fn mailbox(name: &str, location: &str) -> String {
    let acl = "anyone\tlrs\t";
    let (n, l, a) = (name.len(), location.len(), acl.len());
    format!("U01 MAILBOX {{{n}+}}\r\n{name} {{{l}+}}\r\n{location} {{{a}+}}\r\n{acl}\r\n")
}

/// What the master does next on a connection; it closes after the last act.
pub(crate) enum Act {
    Say(String),
    /// Waits for a line that ends so.
    Hear(&'static str),
    /// Says nothing more, and does not close.
    Stall,
    /// Waits until the test opens the gate.
    Gate,
    /// From the banner on, does what a master should.
    Serve,
}

pub(crate) fn say(text: &str) -> Act {
    Act::Say(text.to_owned())
}

/// The acts up to the end of a list with `names`.
pub(crate) fn listing(names: &[&str]) -> Vec<Act> {
    let list: String = names.iter().map(|name| mailbox(name, "b!p")).collect();
    vec![
        say(BANNER),
        Act::Hear("XVwZGF0ZXB3"),
        say(LOGGED_IN),
        Act::Hear("UPDATE"),
        say(&list),
    ]
}

/// What the master knows.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) names: RefCell<BTreeMap<String, String>>,
    changes: RefCell<Vec<String>>,
    pub(crate) noops: Cell<u64>,
    pub(crate) connections: Cell<u64>,
    pub(crate) gate: Cell<bool>,
}

impl Known {
    pub(crate) fn put(&self, name: &str, location: &str) {
        self.names.borrow_mut().insert(name.into(), location.into());
        self.changes.borrow_mut().push(mailbox(name, location));
    }

    pub(crate) fn delete(&self, name: &str) {
        self.names.borrow_mut().remove(name);
        let len = name.len();
        self.changes
            .borrow_mut()
            .push(format!("U01 DELETE {{{len}+}}\r\n{name}\r\n"));
    }
}

/// Reads lines off a connection.
struct Lines<'a> {
    stream: &'a Stream,
    buffer: Vec<u8>,
}

impl Lines<'_> {
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line = self.buffer.drain(..end + 2).collect();
                return Some(String::from_utf8(line).unwrap().trim_end().to_owned());
            }
            if self
                .stream
                .read_into(&mut self.buffer, 4096)
                .await
                .unwrap_or(0)
                == 0
            {
                return None;
            }
        }
    }
}

async fn play(stream: Stream, acts: Vec<Act>, known: &Known) {
    let mut lines = Lines {
        stream: &stream,
        buffer: Vec::new(),
    };
    for act in acts {
        match act {
            Act::Say(text) => {
                if stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
            }
            Act::Hear(end) => loop {
                match lines.next().await {
                    Some(line) if line.ends_with(end) => break,
                    Some(_) => {}
                    None => return,
                }
            },
            Act::Stall => while lines.next().await.is_some() {},
            Act::Gate => {
                while !known.gate.get() {
                    rt::sleep(Duration::from_millis(2)).await;
                }
            }
            Act::Serve => serve(&mut lines, known).await,
        }
    }
}

async fn serve(lines: &mut Lines<'_>, known: &Known) {
    let stream = lines.stream;
    let mut told = 0;
    let mut answer = BANNER.to_owned();
    loop {
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        let Some(line) = lines.next().await else {
            return;
        };
        answer = match line.split(' ').collect::<Vec<_>>()[..] {
            [_, "AUTHENTICATE", ..] => String::new(),
            [_, "UPDATE"] => {
                told = known.changes.borrow().len();
                let names = known.names.borrow();
                let list = names.iter().map(|(name, location)| mailbox(name, location));
                list.chain([STREAMING.to_owned()]).collect()
            }
            [tag, "NOOP"] => {
                known.noops.set(known.noops.get() + 1);
                let changes = known.changes.borrow();
                let new = changes[told..].concat();
                told = changes.len();
                format!("{new}{tag} OK \"Noop done\"\r\n")
            }
            _ => LOGGED_IN.to_owned(),
        };
    }
}

/// A master that plays one script after the other, and serves when there are no more.
pub(crate) fn start_master(address: &str, scripts: Vec<Vec<Act>>) -> (Endpoint, Rc<Known>) {
    let listener = Listener::bind(&format!("{address}:0").parse().unwrap()).unwrap();
    let address = listener.local_address().unwrap();
    let known = Rc::new(Known::default());
    let theirs = Rc::clone(&known);
    rt::spawn(async move {
        let mut scripts = scripts.into_iter();
        loop {
            let (stream, _peer) = listener.accept().await.unwrap();
            theirs.connections.set(theirs.connections.get() + 1);
            let acts = scripts.next().unwrap_or_else(|| vec![Act::Serve]);
            play(stream, acts, &theirs).await;
        }
    });
    (Endpoint::Address(address), known)
}

/// A follower in a hurry, on a machine that may be busy.
pub(crate) fn config(master: Endpoint) -> FollowerConfig {
    let password = Secret::from("mupdatepw");
    let resolver = Pool::new("resolver", 1, 1).unwrap();
    let mut config = FollowerConfig::new(master, "frontend".into(), password, resolver);
    config.noop_every = Duration::from_millis(100);
    config.answer_within = SECOND;
    config.backoff_min = Duration::from_millis(10);
    config.backoff_max = Duration::from_millis(50);
    config
}

/// A list in a directory of its own, its follower, and what a shard holds.
pub(crate) struct Site {
    _directory: tempfile::TempDir,
    pub(crate) reader: ListReader,
    pub(crate) barrier: Barrier,
}

pub(crate) fn site(config: FollowerConfig, map_bytes: usize) -> (Site, Follower) {
    let directory = tempfile::tempdir().unwrap();
    let (writer, reader, _) = ListFile::open(directory.path(), map_bytes).unwrap();
    let (follower, barrier) = follower(config, writer, reader.clone());
    (
        Site {
            _directory: directory,
            reader,
            barrier,
        },
        follower,
    )
}

/// A site whose follower runs.
pub(crate) fn follow(config: FollowerConfig) -> Site {
    let (site, follower) = site(config, 64 << 20);
    rt::spawn(follower.run());
    site
}

impl Site {
    pub(crate) fn has(&self, name: &str) -> bool {
        let name = Name::from_mupdate(name.as_bytes()).unwrap();
        matches!(self.reader.lookup(&name), Ok(Some(_)))
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.reader.is_complete().unwrap()
    }

    pub(crate) async fn until(&self, what: &str, test: impl Fn(&Self) -> bool) {
        let deadline = rt::now() + 10 * SECOND;
        while !test(self) {
            assert!(rt::now() < deadline, "{what}: {:?}", self.barrier.status());
            rt::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) async fn until_streaming(&self) {
        self.until("streaming", |site| {
            site.barrier.status().state == FollowerState::Streaming
        })
        .await;
    }
}

/// Runs a test on a shard of its own.
pub(crate) fn on_a_shard<F: Future<Output = ()>>(test: F) {
    let config = ShardConfig {
        name: "test".into(),
        ..ShardConfig::default()
    };
    rt::block_on(config, async {
        rt::timeout(30 * SECOND, test)
            .await
            .expect("the test does not hang");
    })
    .unwrap();
}
