//! A client's connection: commands out in any pieces, responses in, each applied to the view.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use ravenry_backend::store::Store;
use ravenry_core::rt::sim::World;
use ravenry_core::rt::{Address, Stream};

use crate::dice;
use crate::leg::{Gone, Leg, literal};
use crate::model::{Model, NAMES, ROAMS};
use crate::view::{Cache, View};

/// What the clients of a run share.
pub(crate) struct Shared {
    pub(crate) world: World,
    pub(crate) address: Address,
    pub(crate) model: RefCell<Model>,
    /// The store as it is open now; `None` while it isn't.
    pub(crate) store: RefCell<Option<Store>>,
    /// Nothing goes wrong: every connection holds.
    pub(crate) peace: bool,
    pub(crate) selections: Cell<u64>,
    pub(crate) keys: Cell<u64>,
    /// Which of [`NAMES`] was the last that [`ROAMS`] is known to have got.
    pub(crate) name: Cell<&'static str>,
}

impl Shared {
    pub(crate) fn key(&self) -> u64 {
        let key = self.keys.get() + 1 + dice::below(50);
        self.keys.set(key);
        key
    }

    /// How clients call a mailbox; one that gets other names has this one, or had it.
    pub(crate) fn name_of(&self, mailbox: &str) -> String {
        if mailbox.starts_with("user.") {
            return "INBOX".to_owned();
        }
        let name = match mailbox {
            ROAMS if dice::percent(15) => dice::one_of(&NAMES),
            ROAMS => self.name.get(),
            other => other,
        };
        name.to_owned()
    }

    pub(crate) fn fail(&self, what: String) {
        self.world.fail(what);
    }
}

/// A piece of a command.
pub(crate) enum Piece {
    Text(String),
    Literal(Vec<u8>),
    /// A literal that is begun, and then the connection is dropped.
    Half(Vec<u8>),
}

/// What a command came to.
pub(crate) struct Reply {
    pub(crate) status: String,
    /// The tagged line behind the status.
    pub(crate) text: String,
    pub(crate) untagged: Vec<Vec<u8>>,
}

impl Reply {
    pub(crate) fn is_ok(&self) -> bool {
        self.status == "OK"
    }

    /// The words of its response code.
    pub(crate) fn code(&self) -> Vec<&str> {
        let code = self
            .text
            .strip_prefix('[')
            .and_then(|text| text.split(']').next());
        code.unwrap_or_default().split(' ').collect()
    }
}

pub(crate) struct Client {
    pub(crate) shared: Rc<Shared>,
    pub(crate) number: u64,
    leg: Leg,
    tags: u64,
    pub(crate) view: Option<View>,
    /// It comes back with what it has: QRESYNC.
    pub(crate) resyncs: bool,
    /// What it has, by mailbox.
    pub(crate) caches: BTreeMap<String, Cache>,
}

const PATIENCE: Duration = Duration::from_secs(600);

impl Client {
    /// Connects and logs in.
    pub(crate) async fn login(
        shared: &Rc<Shared>,
        number: u64,
        caches: BTreeMap<String, Cache>,
    ) -> Result<Self, Gone> {
        let connected = Stream::connect(&shared.address, Duration::from_secs(60)).await;
        let mut leg = Leg::new(connected.map_err(|_| Gone::Broken)?, PATIENCE);
        if dice::percent(30) {
            let most = usize::try_from(1 + dice::below(40)).expect("small");
            leg.pace = (most, Duration::from_millis(dice::below(20)));
        }
        let mut client = Self {
            shared: Rc::clone(shared),
            number,
            leg,
            tags: 0,
            view: None,
            resyncs: number % 2 == 1,
            caches,
        };
        let greeting = client.leg.line().await?;
        if !greeting.starts_with(b"* OK") {
            return Err(Gone::Closed);
        }
        let user = format!("u{}", number % 2);
        let login = client
            .command(&[Piece::Text(format!("LOGIN {user} pw"))], true)
            .await?;
        if !login.is_ok() {
            return Err(Gone::Closed);
        }
        if client.resyncs {
            let enable = [Piece::Text("ENABLE QRESYNC".to_owned())];
            client.command(&enable, true).await?;
        }
        Ok(client)
    }

    /// What it has of the selected mailbox is as it is now; up to `modseq` it has all, if that is known.
    pub(crate) fn keep(&mut self, modseq: Option<u64>) {
        if let Some(view) = &self.view
            && let Some(cache) = self.caches.get_mut(&view.mailbox)
        {
            cache.messages = view.messages();
            cache.modseq = modseq.unwrap_or(0).max(cache.modseq);
        }
    }

    /// Sends a command, and takes what comes up to its reply; `expunges`: whether EXPUNGE may be among it.
    pub(crate) async fn command(
        &mut self,
        pieces: &[Piece],
        expunges: bool,
    ) -> Result<Reply, Gone> {
        self.tags += 1;
        let tag = format!("c{}t{}", self.number, self.tags);
        let mut reply = Reply {
            status: String::new(),
            text: String::new(),
            untagged: Vec::new(),
        };
        let mut out = format!("{tag} ").into_bytes();
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Literal(bytes) if dice::percent(50) => {
                    out.extend_from_slice(format!("{{{}+}}\r\n", bytes.len()).as_bytes());
                    out.extend_from_slice(bytes);
                }
                Piece::Literal(bytes) => {
                    out.extend_from_slice(format!("{{{}}}\r\n", bytes.len()).as_bytes());
                    self.leg.send(&std::mem::take(&mut out)).await?;
                    if !self.responses(&tag, expunges, &mut reply).await? {
                        return Ok(reply);
                    }
                    out.extend_from_slice(bytes);
                }
                Piece::Half(bytes) => {
                    out.extend_from_slice(format!("{{{}+}}\r\n", bytes.len()).as_bytes());
                    out.extend_from_slice(&bytes[..bytes.len() / 2]);
                    self.leg.send(&out).await?;
                    return Err(Gone::Closed);
                }
            }
        }
        out.extend_from_slice(b"\r\n");
        self.leg.send(&out).await?;
        while self.responses(&tag, expunges, &mut reply).await? {}
        Ok(reply)
    }

    /// IDLE for a while.
    pub(crate) async fn idle(&mut self, time: Duration) -> Result<Reply, Gone> {
        self.tags += 1;
        let tag = format!("c{}t{}", self.number, self.tags);
        let mut reply = Reply {
            status: String::new(),
            text: String::new(),
            untagged: Vec::new(),
        };
        self.leg.send(format!("{tag} IDLE\r\n").as_bytes()).await?;
        if self.responses(&tag, true, &mut reply).await? {
            ravenry_core::rt::sleep(time).await;
            self.leg.send(b"DONE\r\n").await?;
            while self.responses(&tag, true, &mut reply).await? {}
        }
        Ok(reply)
    }

    /// Takes responses up to a continuation request (true) or the tagged reply (false).
    async fn responses(
        &mut self,
        tag: &str,
        expunges: bool,
        reply: &mut Reply,
    ) -> Result<bool, Gone> {
        loop {
            let mut line = self.leg.line().await?;
            if line.starts_with(b"+ ") {
                return Ok(true);
            }
            if let Some(rest) = line.strip_prefix(b"* ") {
                if rest.starts_with(b"BYE") {
                    return Err(Gone::Closed);
                }
                while let Some((size, _)) = literal(&line) {
                    line.extend(self.leg.exact(size).await?);
                    line.extend(self.leg.line().await?);
                }
                let wrong = self
                    .view
                    .as_mut()
                    .and_then(|view| view.told(&line, expunges));
                if let Some(wrong) = wrong {
                    let number = self.number;
                    self.shared
                        .fail(format!("client {number} is told: {wrong}"));
                }
                reply.untagged.push(line);
                continue;
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let Some(rest) = line.strip_prefix(tag) else {
                self.shared.fail(format!(
                    "client {} waits for {tag} and has {line}",
                    self.number
                ));
                return Err(Gone::Broken);
            };
            let (status, text) = rest.trim_start().split_once(' ').unwrap_or((rest, ""));
            (reply.status, reply.text) = (status.to_owned(), text.to_owned());
            if status != "OK" && status != "NO" {
                self.shared.fail(format!("client {}: {line}", self.number));
            }
            return Ok(false);
        }
    }
}
