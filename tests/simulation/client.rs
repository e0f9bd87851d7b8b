//! A client: what it has sent and waits for, and the reading of responses. What it sends is chosen in
//! `script`, what it gets is judged in `check`.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::rt::{self, Instant};

use crate::leg::{Gone, Leg, literal};
use crate::site::{Held, Message, Site};
use crate::view::View;

/// The longest a command may take: every deadline on its way, one after the other.
pub(crate) const REPLY_WITHIN: Duration = Duration::from_secs(150);

/// The longest where nothing is slow and nothing has gone wrong: below every deadline, so that no
/// deadline covers up for a wake-up that is lost.
pub(crate) const PROMPT_WITHIN: Duration = Duration::from_secs(8);

/// What a command is to do, as far as its reply is judged by it.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// OK, unless something is wrong.
    Plain,
    Login,
    /// Bodies of these messages.
    Fetch {
        mailbox: String,
        uids: Vec<u32>,
    },
    Append {
        mailbox: String,
        messages: Vec<Message>,
    },
    /// A mailbox that is there.
    Known(String),
    /// A mailbox that is not there.
    Gone(String),
    Create(String),
    Delete(String),
    /// LIST, in which these are to be.
    List(Vec<String>),
    /// Messages that go somewhere: `mover` judges its reply.
    Order,
    /// Whatever it answers is fine: IDLE at a backend that has none.
    Perhaps,
    /// No command at all.
    Nonsense,
    Logout,
}

pub(crate) struct Sent {
    pub(crate) tag: String,
    pub(crate) what: What,
    pub(crate) at: Instant,
    /// Nothing else waited for its reply.
    pub(crate) alone: bool,
    pub(crate) bodies: Vec<u32>,
    pub(crate) listed: Vec<String>,
}

/// One response with its literals; `text` is all of its lines without them.
pub(crate) struct Response {
    pub(crate) text: String,
    pub(crate) literals: Vec<Vec<u8>>,
}

/// How a conversation ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over;

pub(crate) struct Client {
    pub(crate) site: Rc<Site>,
    pub(crate) leg: Leg,
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) pending: VecDeque<Sent>,
    tags: u32,
    pub(crate) bye: Option<String>,
    pub(crate) logged_in: bool,
    /// Mailboxes of its own making that are there.
    pub(crate) made: Vec<String>,
    /// The mailbox it has asked to be selected, by its internal name.
    pub(crate) selected: Option<String>,
    /// By EXAMINE.
    pub(crate) examined: bool,
    /// What it knows of the selected mailbox, where it keeps account of that.
    pub(crate) view: Option<View>,
    /// The untagged responses to the last command, and its reply.
    pub(crate) told: Vec<String>,
    pub(crate) reply: Option<String>,
    /// The messages that a command names, by their UIDs, as they were before it.
    pub(crate) named: BTreeMap<u32, Held>,
    /// When the session was last heard of.
    pub(crate) heard: Instant,
}

impl Client {
    pub(crate) fn new(site: Rc<Site>, leg: Leg, name: String, user: String) -> Self {
        Self {
            site,
            leg,
            name,
            user,
            pending: VecDeque::new(),
            tags: 0,
            bye: None,
            logged_in: false,
            made: Vec::new(),
            selected: None,
            examined: false,
            view: None,
            told: Vec::new(),
            reply: None,
            named: BTreeMap::new(),
            heard: rt::now(),
        }
    }

    pub(crate) fn note(&self, text: &str) {
        self.site.world.note(&format!("{} {text}", self.name));
    }

    pub(crate) fn fail(&self, why: &str) {
        self.site.world.fail(format!("{}: {why}", self.name));
    }

    pub(crate) fn tag(&mut self) -> String {
        self.tags += 1;
        format!("A{}", self.tags)
    }

    /// Whether the last command has got this.
    pub(crate) fn replied(&self, status: &str) -> bool {
        let reply = self
            .reply
            .as_ref()
            .and_then(|reply| reply.split(' ').nth(1));
        reply == Some(status)
    }

    /// Sends a command, or the first part of one, under a new tag.
    pub(crate) async fn command(&mut self, what: What, rest: &[u8]) -> Result<(), Over> {
        let tag = self.tag();
        let line = rest.split(|byte| *byte == b'\r').next().unwrap_or_default();
        self.note(&format!("C: {tag} {}", line.escape_ascii()));
        let bytes = [tag.as_bytes(), b" ", rest].concat();
        (self.told, self.reply) = (Vec::new(), None);
        self.pending.push_back(Sent {
            tag,
            what,
            at: rt::now(),
            alone: self.pending.is_empty(),
            bodies: Vec::new(),
            listed: Vec::new(),
        });
        self.send(&bytes).await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Over> {
        match self.leg.send(bytes).await {
            Ok(()) => Ok(()),
            Err(gone) => Err(self.ended(gone).await),
        }
    }

    /// The next response; None when the connection is over, which has been judged then.
    pub(crate) async fn response(&mut self) -> Result<Response, Over> {
        loop {
            if let Some((response, len)) = parse(&self.leg.input) {
                self.leg.input.drain(..len);
                self.heard = rt::now();
                return Ok(response);
            }
            let since = self
                .pending
                .front()
                .map_or(self.heard, |sent| sent.at.max(self.heard));
            let filled = rt::timeout_at(since + REPLY_WITHIN, self.leg.fill()).await;
            if let Err(gone) = filled.unwrap_or(Err(Gone::Late)) {
                return Err(self.ended(gone).await);
            }
            self.heard = rt::now();
        }
    }

    /// Reads until no command waits for its reply.
    pub(crate) async fn settle(&mut self) -> Result<(), Over> {
        while !self.pending.is_empty() {
            if self.judge_next().await? {
                self.fail("was asked to go on, unasked");
                return Err(Over);
            }
        }
        Ok(())
    }

    /// Waits to be asked for more by the last command. False: it has had its reply instead.
    pub(crate) async fn go_ahead(&mut self) -> Result<bool, Over> {
        loop {
            if self.pending.is_empty() {
                return Ok(false);
            }
            if self.judge_next().await? {
                if self.pending.len() > 1 {
                    self.fail("was asked to go on before its turn");
                    return Err(Over);
                }
                return Ok(true);
            }
        }
    }
}

/// The first response in a buffer that is whole, and its length.
pub(crate) fn parse(input: &[u8]) -> Option<(Response, usize)> {
    let (mut at, mut text, mut literals) = (0, String::new(), Vec::new());
    loop {
        let rest = &input[at..];
        let end = rest.windows(2).position(|two| two == b"\r\n")? + 2;
        let line = &rest[..end];
        at += end;
        text.push_str(&String::from_utf8_lossy(line));
        let Some((size, _)) = literal(line) else {
            return Some((Response { text, literals }, at));
        };
        literals.push(input.get(at..at + size)?.to_vec());
        at += size;
    }
}
