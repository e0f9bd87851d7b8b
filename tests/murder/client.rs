//! A client's connection: commands out in any pieces, responses in up to the one reply that each command has.

use std::rc::Rc;
use std::time::Duration;

use ravenry_core::rt::Stream;

use crate::dice;
use crate::leg::{Gone, Leg, literal};
use crate::parts;
use crate::site::Site;

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

    /// The word of its response code.
    pub(crate) fn code(&self) -> &str {
        let code = self.text.strip_prefix('[');
        let code = code.and_then(|text| text.split([']', ' ']).next());
        code.unwrap_or_default()
    }

    /// Whether it says that something can't be had, or told, now.
    pub(crate) fn is_undecided(&self) -> bool {
        self.status == "NO" && ["UNAVAILABLE", "INUSE", "LIMIT"].contains(&self.code())
    }
}

pub(crate) struct Client {
    pub(crate) site: Rc<Site>,
    pub(crate) number: u64,
    leg: Leg,
    tags: u64,
    /// The mailbox in the book that it has selected.
    pub(crate) selected: Option<usize>,
}

/// Every wait of the parts is over long before.
const PATIENCE: Duration = Duration::from_secs(400);

impl Client {
    /// Connects and logs in.
    pub(crate) async fn login(
        site: &Rc<Site>,
        number: u64,
        (at, user): (&str, &str),
    ) -> Result<Self, Gone> {
        let connected = Stream::connect(&parts::address(at), Duration::from_secs(60)).await;
        let mut leg = Leg::new(connected.map_err(|_| Gone::Broken)?, PATIENCE);
        if dice::percent(20) {
            let most = usize::try_from(1 + dice::below(40)).expect("small");
            leg.pace = (most, Duration::from_millis(dice::below(20)));
        }
        let mut client = Self {
            site: Rc::clone(site),
            number,
            leg,
            tags: 0,
            selected: None,
        };
        let greeting = client.leg.line().await?;
        if !greeting.starts_with(b"* OK") {
            return Err(Gone::Closed);
        }
        let login = client.command(&format!("LOGIN {user} pw")).await?;
        if !login.is_ok() {
            if site.peace {
                site.fail(format!("client {number}: LOGIN: {}", login.text));
            }
            return Err(Gone::Closed);
        }
        Ok(client)
    }

    /// The network has done something to its connection.
    pub(crate) fn is_harmed(&self) -> bool {
        self.site.world.harm(&self.leg.stream).is_some()
    }

    /// Sends a command, and takes what comes up to its reply.
    pub(crate) async fn command(&mut self, text: &str) -> Result<Reply, Gone> {
        self.with_literal(text, None).await
    }

    /// The same with a literal behind the text.
    pub(crate) async fn with_literal(
        &mut self,
        text: &str,
        bytes: Option<&[u8]>,
    ) -> Result<Reply, Gone> {
        self.tags += 1;
        let tag = format!("c{}t{}", self.number, self.tags);
        let note = format!("client {}: {tag} {text}", self.number);
        self.site.world.note(&note);
        let mut reply = Reply {
            status: String::new(),
            text: String::new(),
            untagged: Vec::new(),
        };
        let mut out = format!("{tag} {text}").into_bytes();
        if let Some(bytes) = bytes {
            let waits = dice::percent(50);
            let plus = if waits { "" } else { "+" };
            out.extend_from_slice(format!(" {{{}{plus}}}\r\n", bytes.len()).as_bytes());
            if waits {
                self.leg.send(&std::mem::take(&mut out)).await?;
                if !self.responses(&tag, &mut reply).await? {
                    return Ok(reply);
                }
            }
            out.extend_from_slice(bytes);
        }
        out.extend_from_slice(b"\r\n");
        self.leg.send(&out).await?;
        if self.responses(&tag, &mut reply).await? {
            self.site
                .fail(format!("client {}: asked to go on", self.number));
            return Err(Gone::Broken);
        }
        Ok(reply)
    }

    /// Takes responses up to a continuation request (true) or the tagged reply (false).
    async fn responses(&mut self, tag: &str, reply: &mut Reply) -> Result<bool, Gone> {
        loop {
            let mut line = self.leg.line().await?;
            if line.starts_with(b"+ ") {
                return Ok(true);
            }
            if let Some(rest) = line.strip_prefix(b"* ") {
                if rest.starts_with(b"BYE") {
                    return Err(Gone::Closed);
                }
                let mut end = 0;
                while let Some((size, _)) = literal(&line[end..]) {
                    line.extend(self.leg.exact(size).await?);
                    end = line.len();
                    line.extend(self.leg.line().await?);
                }
                reply.untagged.push(line);
                continue;
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            self.site
                .world
                .note(&format!("client {}: {line}", self.number));
            let Some(rest) = line
                .strip_prefix(tag)
                .and_then(|rest| rest.strip_prefix(' '))
            else {
                let number = self.number;
                self.site
                    .fail(format!("client {number} waits for {tag} and has {line}"));
                return Err(Gone::Broken);
            };
            let (status, text) = rest.split_once(' ').unwrap_or((rest, ""));
            (reply.status, reply.text) = (status.to_owned(), text.to_owned());
            if status != "OK" && status != "NO" {
                self.site.fail(format!("client {}: {line}", self.number));
            }
            return Ok(false);
        }
    }
}

/// The UID of a FETCH response, and the literal in it.
pub(crate) fn fetched(line: &[u8]) -> Option<(u32, &[u8])> {
    let head = line.split(|byte| *byte == b'\r').next()?;
    let text = std::str::from_utf8(head).ok()?;
    let after = |what: &str| text.find(what).map(|at| &text[at + what.len()..]);
    let digits = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit());
        text[..end.unwrap_or(text.len())].parse::<u32>().ok()
    };
    let size = usize::try_from(digits(after("{")?)?).ok()?;
    let begins = head.len() + 2;
    let body = line.get(begins..begins + size)?;
    let uid = match after("UID ") {
        Some(text) => digits(text),
        None => {
            let tail = std::str::from_utf8(&line[begins + size..]).ok()?;
            digits(&tail[tail.find("UID ")? + 4..])
        }
    };
    Some((uid?, body))
}
