//! The conversation with the master, without a socket or a clock.
//!
//! How to drive it: [`Conversation::connected`] when there is a connection, [`Conversation::receive`] with what was read,
//! [`Conversation::next`] until it is [`Step::Hungry`]; after each of these send [`Conversation::output`] and deliver
//! [`Conversation::take_done`]. [`Conversation::quiet`]: until when to wait. [`Conversation::disconnected`] at its end.
//!
//! What holds: a command's outcome is the answer with its tag, or that there is none; a command that a connection's end
//! leaves unanswered is never sent again; of one request all commands go out before those of a later one. What is sent and
//! unanswered is bounded, so that a master that answers one command before it reads the next is never waited for by two.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::time::Duration;

use ravenry_core::mailboxes::{Acl, Location, Name, State};
use ravenry_core::proto::mupdate::{self, Command, Response};
use ravenry_core::rt::Instant;
use ravenry_core::wire::mupdate::Framer;

use super::{Answer, Ask, Held, Outcome, Unanswered};
use crate::fault::{Fault, excerpt};
use crate::hello::{Hello, Next, Peer, unexpected};
use crate::machine::RESPONSE_BYTES_MAX;

/// Commands that may be unanswered at once.
const UNANSWERED_MAX: usize = 256;
/// … and their bytes: any socket takes them.
const UNANSWERED_BYTES_MAX: usize = 32 * 1024;

/// What the driver is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Read more.
    Hungry,
    /// Do a TLS handshake, then call [`Conversation::secured`].
    StartTls,
}

/// What is asked together, and what has come of it so far.
struct Batch<R> {
    asks: VecDeque<Ask>,
    outcomes: Vec<Option<Outcome>>,
    unanswered: usize,
    reply: R,
    /// By then it is on its way.
    send_by: Instant,
}

impl<R> Batch<R> {
    fn is_begun(&self) -> bool {
        self.asks.len() < self.outcomes.len()
    }

    /// Its outcomes; `why` what has none wasn't sent.
    fn end(self, why: &str) -> (R, Vec<Outcome>) {
        let unsent = || Err(Unanswered::Unreachable(why.to_owned()));
        let outcomes = self.outcomes.into_iter();
        let outcomes = outcomes.map(|outcome| outcome.unwrap_or_else(unsent));
        (self.reply, outcomes.collect())
    }
}

/// A command that was sent.
struct Sent {
    number: u64,
    bytes: usize,
    what: What,
    found: Vec<Held>,
}

enum What {
    /// A sign of life that nobody asked for.
    Life,
    /// The `place`th of the batch with this number.
    Asked {
        batch: u64,
        place: usize,
        finds: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Away,
    Hello,
    /// The connection is for use.
    Up,
}

pub(super) struct Conversation<R> {
    hello: Hello,
    peer: Peer,
    phase: Phase,
    starttls: bool,
    framer: Framer,
    input: Vec<u8>,
    taken: usize,
    output: Vec<u8>,
    /// By their numbers, in which they are sent.
    batches: BTreeMap<u64, Batch<R>>,
    asked: u64,
    sent: VecDeque<Sent>,
    sent_bytes: usize,
    numbers: u64,
    /// When the master last said something, or began to owe an answer.
    heard: Instant,
    answer_within: Duration,
    noop_every: Duration,
    done: Vec<(R, Vec<Outcome>)>,
}

impl<R> Conversation<R> {
    pub(super) fn new(hello: Hello, waits: (Duration, Duration), now: Instant) -> Self {
        let (answer_within, noop_every) = waits;
        Self {
            hello,
            peer: Peer::default(),
            phase: Phase::Away,
            starttls: false,
            framer: Framer::new(RESPONSE_BYTES_MAX),
            input: Vec::new(),
            taken: 0,
            output: Vec::new(),
            batches: BTreeMap::new(),
            asked: 0,
            sent: VecDeque::new(),
            sent_bytes: 0,
            numbers: 0,
            heard: now,
            answer_within,
            noop_every,
            done: Vec::new(),
        }
    }

    /// A connection is there: its banner is awaited.
    pub(super) fn connected(&mut self, now: Instant) {
        self.phase = Phase::Hello;
        self.hello.begin();
        self.heard = now;
    }

    /// The handshake is done.
    pub(super) fn secured(&mut self, now: Instant) {
        self.starttls = false;
        self.hello.secured();
        self.heard = now;
    }

    /// Whether it is for use.
    pub(super) fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// The connection is over: what was sent has no answer. What wasn't waits for the next one, up to its time.
    pub(super) fn disconnected(&mut self, why: &str) {
        self.phase = Phase::Away;
        self.starttls = false;
        self.framer = Framer::new(RESPONSE_BYTES_MAX);
        self.input = Vec::new();
        self.taken = 0;
        self.output.clear();
        self.sent_bytes = 0;
        for sent in mem::take(&mut self.sent) {
            if let What::Asked { batch, place, .. } = sent.what {
                self.conclude(batch, place, Err(Unanswered::Unknown(why.to_owned())));
            }
        }
        // The rest of one that was begun isn't sent: the next connection is another matter.
        self.refuse(why, Batch::is_begun);
    }

    /// No connection is in sight: nothing waits for one.
    pub(super) fn give_up(&mut self, why: &str) {
        self.refuse(why, |_| true);
    }

    /// Commands that were not sent, of batches like this, will not be.
    fn refuse(&mut self, why: &str, which: impl Fn(&Batch<R>) -> bool) {
        for (_, batch) in self.batches.extract_if(.., |_, batch| which(batch)) {
            self.done.push(batch.end(why));
        }
    }

    /// Somebody asks.
    pub(super) fn ask(&mut self, asks: Vec<Ask>, reply: R, now: Instant) {
        if asks.is_empty() {
            self.done.push((reply, Vec::new()));
            return;
        }
        let batch = Batch {
            outcomes: vec![None; asks.len()],
            unanswered: asks.len(),
            asks: asks.into(),
            reply,
            send_by: now + self.answer_within,
        };
        self.batches.insert(self.asked, batch);
        self.asked += 1;
    }

    /// Whether something waits to be sent.
    pub(super) fn has_asks(&self) -> bool {
        self.batches.values().any(|batch| !batch.asks.is_empty())
    }

    /// Takes what was read from the master.
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.input.drain(..self.taken);
        self.taken = 0;
        self.input.extend_from_slice(bytes);
    }

    /// Works through what was received, and has what is asked sent.
    pub(super) fn next(&mut self, now: Instant) -> Result<Step, Fault> {
        while !self.starttls {
            let framed = self.framer.next(&self.input[self.taken..]);
            let Some(len) = framed.map_err(|error| Fault::Protocol(error.to_string()))? else {
                self.send(now);
                return Ok(Step::Hungry);
            };
            let input = mem::take(&mut self.input);
            let response = mupdate::response(&input[self.taken..self.taken + len]);
            let acted = match &response {
                Ok(response) => self.act(response),
                Err(error) => Err(Fault::Protocol(error.to_string())),
            };
            self.input = input;
            self.taken += len;
            self.heard = now;
            acted?;
        }
        if self.taken < self.input.len() {
            let what = "the master went on in clear behind its OK to STARTTLS";
            return Err(Fault::Tls(what.into()));
        }
        Ok(Step::StartTls)
    }

    fn act(&mut self, response: &Response<'_>) -> Result<(), Fault> {
        if let Response::Bye(text) = response {
            return Err(Fault::Bye(excerpt(text)));
        }
        if self.phase == Phase::Up {
            return self.answered(response);
        }
        let next = self
            .hello
            .take(response, &mut self.peer, &mut self.output)?;
        if let Some(master) = self.peer.elsewhere.take() {
            return Err(Fault::Replica(master));
        }
        match next {
            Next::More => {}
            Next::Handshake => self.starttls = true,
            Next::In => self.phase = Phase::Up,
        }
        Ok(())
    }

    /// A response to one of the commands: the first, since a server answers in order.
    fn answered(&mut self, response: &Response<'_>) -> Result<(), Fault> {
        let Some(first) = self.sent.front_mut() else {
            return Err(unexpected(response, "nothing"));
        };
        let tag = format!("X{}", first.number);
        let outcome = match response {
            Response::Ok(done) if done.tag == tag.as_bytes() => {
                let found = mem::take(&mut first.found);
                match first.what {
                    What::Asked { finds: true, .. } => Answer::Found(found),
                    _ => Answer::Done,
                }
            }
            Response::No(done) | Response::Bad(done) if done.tag == tag.as_bytes() => {
                Answer::Refused(excerpt(&done.text))
            }
            other => {
                let held = held(other, tag.as_bytes()).ok_or_else(|| unexpected(other, &tag))?;
                // A name that can't be one of ours is none that was asked for.
                first.found.extend(held);
                return Ok(());
            }
        };
        let sent = self.sent.pop_front();
        if let Some(Sent { bytes, what, .. }) = sent {
            self.sent_bytes -= bytes;
            if let What::Asked { batch, place, .. } = what {
                self.conclude(batch, place, Ok(outcome));
            }
        }
        Ok(())
    }

    fn conclude(&mut self, number: u64, place: usize, outcome: Outcome) {
        let Some(batch) = self.batches.get_mut(&number) else {
            return;
        };
        batch.outcomes[place] = Some(outcome);
        batch.unanswered -= 1;
        if batch.unanswered == 0
            && let Some(batch) = self.batches.remove(&number)
        {
            self.done.push(batch.end("invariant: all are answered"));
        }
    }

    /// Has commands sent, as many as may be unanswered; one for a sign of life where there has been none for long.
    fn send(&mut self, now: Instant) {
        if self.phase != Phase::Up {
            return;
        }
        while self.sent.len() < UNANSWERED_MAX && self.sent_bytes < UNANSWERED_BYTES_MAX {
            let mut batches = self.batches.iter_mut();
            let Some((number, batch)) = batches.find(|(_, batch)| !batch.asks.is_empty()) else {
                break;
            };
            let place = batch.outcomes.len() - batch.asks.len();
            if let Some(ask) = batch.asks.pop_front() {
                let what = What::Asked {
                    batch: *number,
                    place,
                    finds: matches!(ask, Ask::Find { .. } | Ask::List { .. }),
                };
                self.send_one(&ask, what, now);
            }
        }
        if self.sent.is_empty() && now >= self.heard + self.noop_every {
            self.send_one(&Ask::Noop, What::Life, now);
        }
    }

    fn send_one(&mut self, ask: &Ask, what: What, now: Instant) {
        if self.sent.is_empty() {
            self.heard = now;
        }
        let before = self.output.len();
        let number = self.numbers;
        self.numbers += 1;
        encode(ask, number, &mut self.output);
        let bytes = self.output.len() - before;
        self.sent_bytes += bytes;
        self.sent.push_back(Sent {
            number,
            bytes,
            what,
            found: Vec::new(),
        });
    }

    /// Nothing is left to read: until when to wait, or that the master has been silent for too long.
    pub(super) fn quiet(&self, now: Instant) -> Result<Instant, Fault> {
        if self.phase == Phase::Up && self.sent.is_empty() {
            return Ok(self.heard + self.noop_every);
        }
        let silent_at = self.heard + self.answer_within;
        if now >= silent_at {
            return Err(Fault::Silent {
                awaited: match self.phase {
                    Phase::Up => "the answer to a command",
                    Phase::Hello | Phase::Away => self.hello.awaited(),
                },
            });
        }
        Ok(silent_at)
    }

    /// Answers those who have waited too long for their turn; when the next one has. What is begun is answered by its
    /// connection.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Instant> {
        self.refuse("it takes no more commands", |batch| {
            !batch.is_begun() && batch.send_by <= now
        });
        let mut unsent = self.batches.values().filter(|batch| !batch.is_begun());
        unsent.next().map(|batch| batch.send_by)
    }

    /// Bytes to send; the driver empties it.
    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Outcomes to deliver.
    pub(super) fn take_done(&mut self) -> Vec<(R, Vec<Outcome>)> {
        mem::take(&mut self.done)
    }
}

/// What FIND or LIST with this tag tells: the inner `None` is a name that there can't be here.
fn held(response: &Response<'_>, tag: &[u8]) -> Option<Option<Held>> {
    let (theirs, name, state, location, acl) = match response {
        Response::Mailbox {
            tag,
            name,
            location,
            acl,
        } => (tag, name, State::Active, location, Acl::new(acl)),
        Response::Reserve {
            tag,
            name,
            location,
        } => (tag, name, State::Reserved, location, Acl::default()),
        Response::Deactivate {
            tag,
            name,
            location,
        } => (tag, name, State::Moving, location, Acl::default()),
        _ => return None,
    };
    (*theirs == tag).then(|| {
        let name = Name::from_mupdate(name).ok()?;
        Some(Held {
            name,
            state,
            location: Location::parse(location),
            acl,
        })
    })
}

fn encode(ask: &Ask, number: u64, out: &mut Vec<u8>) {
    let at = |location: &Location| format!("{}!{}", location.server, location.partition);
    let tag = format_args!("X{number}");
    match ask {
        Ask::Reserve { name, location } => Command::Reserve {
            name: name.as_bytes(),
            location: at(location).as_bytes(),
        }
        .encode(tag, out),
        Ask::Activate {
            name,
            location,
            acl,
        } => Command::Activate {
            name: name.as_bytes(),
            location: at(location).as_bytes(),
            acl: acl.as_bytes(),
        }
        .encode(tag, out),
        Ask::Deactivate { name, location } => Command::Deactivate {
            name: name.as_bytes(),
            location: at(location).as_bytes(),
        }
        .encode(tag, out),
        Ask::Delete { name } => Command::Delete {
            name: name.as_bytes(),
        }
        .encode(tag, out),
        Ask::Find { name } => Command::Find {
            name: name.as_bytes(),
        }
        .encode(tag, out),
        Ask::List { server } => Command::List {
            prefix: Some(format!("{server}!").as_bytes()),
        }
        .encode(tag, out),
        Ask::Noop => Command::Noop.encode(tag, out),
    }
}
