//! The conversation with the master, without a socket, a clock or a database: bytes and time in;
//! commands, batches of changes and answers to barriers out.
//!
//! One machine lives as long as the follower and sees many connections. How to drive it:
//!
//! * [`Machine::connected`] when there is a connection; [`Machine::receive`] with what was read.
//! * [`Machine::next`] until it says [`Step::Hungry`]. [`Step::Apply`]: commit
//!   [`Machine::batch`], then call [`Machine::applied`]. [`Step::EndSync`]: remove the names that
//!   this sync has not seen, then call [`Machine::synced`].
//!   [`Step::StartTls`]: do the handshake, then call [`Machine::secured`].
//! * [`Machine::tick`] after each of these, connected or not; then send [`Machine::output`] and
//!   deliver [`Machine::take_answers`], before anything else.
//! * [`Machine::quiet`] when nothing is left to read: until when to wait, or that the master has
//!   been silent for too long.
//! * [`Machine::disconnected`] when the connection is over, whoever ended it.
//!
//! What holds (RFC 3656, sections 3.8, 4.2, 4.8, 4.10, 4.11):
//! * A barrier succeeds only by a NOOP that went out after it was asked for and was answered, and
//!   after the changes before that answer were committed.
//! * [`Step::EndSync`] comes only after the `OK` to UPDATE, with every name before it committed.
//! * The outcome does not depend on how the bytes are cut or on the size of a batch.

mod phases;

#[cfg(test)]
mod adversity;
#[cfg(test)]
mod starttls;
#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use ravenry_core::proto::mupdate::{Command, Place};
use ravenry_core::rt::Instant;
use ravenry_core::wire::mupdate::Framer;

use crate::barriers::Barriers;
use crate::batch::{Batch, BatchLimits};
use crate::fault::Fault;
use crate::hello::{Hello, Peer};
use crate::status::FollowerState;

/// A name, a location and an ACL; the ACL of a mailbox that a whole site shares may be long.
pub(crate) const RESPONSE_BYTES_MAX: usize = 1024 * 1024;
/// As Cyrus's own replicas choose it.
const UPDATE_TAG: &str = "U01";

/// What the machine is to be told once.
#[derive(Debug)]
pub(crate) struct Settings {
    /// A NOOP goes out this long after the last one was answered, asked for or not.
    pub(crate) noop_every: Duration,
    /// How long the master may say nothing while it owes an answer.
    pub(crate) answer_within: Duration,
    pub(crate) batch: BatchLimits,
    pub(crate) barriers_max: usize,
}

/// What the driver is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Read more: what was received is used up but for an incomplete response.
    Hungry,
    /// Do a TLS handshake, then call [`Machine::secured`].
    StartTls,
    /// Commit the batch.
    Apply,
    /// The list has been told in full: remove what this sync has not seen.
    EndSync,
}

/// The answer to one barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The list has every change that the master made before the question; its sequence.
    UpToDate(u64),
    /// The deadline passed, or there is nothing to wait for.
    Late,
    /// The master itself can't tell: it is a replica that has lost its own.
    Refused,
    /// Too many wait already.
    Crowded,
}

/// What the machine waits for on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A connection.
    Away,
    /// What the master owes before the login is done.
    Hello,
    /// The list, and the OK that ends it.
    Listing,
    /// Changes, and answers to NOOP.
    Streaming,
}

/// What is to happen once the batch is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Nothing,
    StartTls,
    EndSync,
    AnswerBarriers,
    RefuseBarriers,
}

/// See the head of this file.
pub(crate) struct Machine<R> {
    settings: Settings,
    phase: Phase,
    hello: Hello,
    /// What the banner has told.
    peer: Peer,
    framer: Framer,
    input: Vec<u8>,
    /// Bytes of `input` that are used up.
    taken: usize,
    output: Vec<u8>,
    batch: Batch,
    due: Due,
    /// When the master last said something whole, or began to owe an answer.
    heard: Instant,
    /// The number of the NOOP in flight.
    noop: Option<u64>,
    noops: u64,
    noop_sent: Instant,
    /// The list has what the master had then.
    confirmed: Option<Instant>,
    noop_next: Instant,
    /// The list's sequence as of the last commit.
    sequence: u64,
    /// How far the list has come in which upstream's, before this connection.
    known: Place,
    /// Whose list is told on this connection; `None`: it can't be told what has changed since.
    upstream: Option<Place>,
    /// What is told are changes, not the whole list.
    delta: bool,
    /// The upstream's commit up to which all has come.
    reached: Option<u64>,
    barriers: Barriers<R>,
    /// No stream is in sight: who asks is told so at once.
    given_up: bool,
    shared: u64,
    answers: Vec<(R, Answer)>,
}

impl<R> Machine<R> {
    pub(crate) fn new(settings: Settings, hello: Hello, sequence: u64, now: Instant) -> Self {
        Self {
            phase: Phase::Away,
            hello,
            peer: Peer::default(),
            framer: Framer::new(RESPONSE_BYTES_MAX),
            input: Vec::new(),
            taken: 0,
            output: Vec::new(),
            batch: Batch::new(settings.batch),
            due: Due::Nothing,
            heard: now,
            noop: None,
            noops: 0,
            noop_sent: now,
            confirmed: None,
            noop_next: now,
            sequence,
            known: Place::default(),
            upstream: None,
            delta: false,
            reached: None,
            barriers: Barriers::new(settings.barriers_max),
            given_up: false,
            shared: 0,
            answers: Vec::new(),
            settings,
        }
    }

    /// A connection is there: its banner is awaited. `known` is how far the list has come, in which
    /// upstream's.
    pub(crate) fn connected(&mut self, known: Place, now: Instant) {
        self.disconnected();
        self.known = known;
        self.given_up = false;
        self.hello.begin();
        self.await_banner(now);
    }

    /// The handshake is done: the banner comes again (section 4.10).
    pub(crate) fn secured(&mut self, now: Instant) {
        debug_assert!(self.due == Due::StartTls);
        self.due = Due::Nothing;
        self.hello.secured();
        self.await_banner(now);
    }

    fn await_banner(&mut self, now: Instant) {
        self.phase = Phase::Hello;
        self.heard = now;
    }

    /// The connection is over. What was received and not committed is forgotten (the next sync
    /// tells it again); who waits for the NOOP in flight waits for the next connection's first.
    pub(crate) fn disconnected(&mut self) {
        self.phase = Phase::Away;
        self.framer = Framer::new(RESPONSE_BYTES_MAX);
        self.input = Vec::new();
        self.taken = 0;
        self.output.clear();
        self.batch.clear();
        self.due = Due::Nothing;
        self.noop = None;
        self.upstream = None;
        self.delta = false;
        self.reached = None;
        self.barriers.broken();
    }

    /// No stream is in sight: those who wait have waited long enough, and until the next connection
    /// nobody waits.
    pub(crate) fn give_up(&mut self) {
        debug_assert!(self.phase == Phase::Away);
        self.given_up = true;
        let waiting = self.barriers.take_all();
        self.answers
            .extend(waiting.into_iter().map(|reply| (reply, Answer::Late)));
    }

    /// Takes what was read from the master.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.input.drain(..self.taken);
        self.taken = 0;
        self.input.extend_from_slice(bytes);
    }

    /// Works through what was received, up to the next thing for the driver to do.
    pub(crate) fn next(&mut self, now: Instant) -> Result<Step, Fault> {
        loop {
            match self.due {
                Due::Nothing if self.batch.is_full() => return Ok(Step::Apply),
                Due::Nothing => {
                    if !self.take_response(now)? {
                        return Ok(Step::Hungry);
                    }
                }
                Due::StartTls if self.taken < self.input.len() => {
                    let what = "the master went on in clear behind its OK to STARTTLS";
                    return Err(Fault::Tls(what.into()));
                }
                Due::StartTls => return Ok(Step::StartTls),
                Due::EndSync | Due::AnswerBarriers if !self.batch.is_empty() => {
                    return Ok(Step::Apply);
                }
                Due::EndSync => return Ok(Step::EndSync),
                Due::RefuseBarriers => self.barriers_done(Answer::Refused, now),
                Due::AnswerBarriers => {
                    // Only now: a NOOP sent before would take those along who wait for this one.
                    self.barriers_done(Answer::UpToDate(self.sequence), now);
                }
            }
        }
    }

    /// The NOOP in flight is answered.
    fn barriers_done(&mut self, answer: Answer, now: Instant) {
        self.due = Due::Nothing;
        self.noop = None;
        if matches!(answer, Answer::UpToDate(_)) {
            self.confirmed = Some(self.noop_sent);
        }
        self.noop_next = now + self.settings.noop_every;
        self.answers
            .extend(self.barriers.answered().map(|reply| (reply, answer)));
    }

    /// The changes to commit now.
    pub(crate) fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Whether what was told is what has changed, and not the whole list: nothing else goes.
    pub(crate) fn is_delta(&self) -> bool {
        self.delta
    }

    /// Where the list is in the upstream's once the batch is committed, if all of a commit has come.
    pub(crate) fn reached(&self) -> Option<Place> {
        let sequence = self.reached?;
        let upstream = self.upstream?;
        Some(Place {
            sequence,
            ..upstream
        })
    }

    /// Whether changes should be committed although more may come: in the stream they should not
    /// wait; during a sync nobody can tell them from old ones before its end.
    pub(crate) fn should_apply(&self) -> bool {
        let anything = !self.batch.is_empty() || self.reached.is_some();
        self.phase == Phase::Streaming && anything
    }

    /// The batch is committed. The time it took is not counted against the master.
    pub(crate) fn applied(&mut self, sequence: u64, now: Instant) {
        self.sequence = sequence;
        self.batch.clear();
        // What a whole list has reached is known at its end.
        if self.phase == Phase::Streaming || self.delta {
            self.reached = None;
        }
        self.heard = now;
    }

    /// What was not in the list is removed: the stream has begun.
    pub(crate) fn synced(&mut self, sequence: u64, now: Instant) {
        debug_assert!(self.due == Due::EndSync && self.batch.is_empty());
        self.sequence = sequence;
        self.due = Due::Nothing;
        self.reached = None;
        self.phase = Phase::Streaming;
        self.heard = now;
        self.noop_next = now;
    }

    /// Somebody asks whether the list is up to date.
    pub(crate) fn ask(&mut self, reply: R, deadline: Instant) {
        if self.given_up {
            self.answers.push((reply, Answer::Late));
        } else if let Err(reply) = self.barriers.ask(reply, deadline) {
            self.answers.push((reply, Answer::Crowded));
        }
    }

    /// Answers those whose time is over, and sends the NOOP that is due.
    pub(crate) fn tick(&mut self, now: Instant) {
        let late = self.barriers.expired(now);
        self.answers
            .extend(late.into_iter().map(|reply| (reply, Answer::Late)));
        let due = self.barriers.wanted() || now >= self.noop_next;
        if self.phase == Phase::Streaming && self.noop.is_none() && due {
            self.noops += 1;
            self.noop = Some(self.noops);
            self.noop_sent = now;
            self.heard = now;
            Command::Noop.encode(noop_tag(self.noops), &mut self.output);
            let riders = self.barriers.sent();
            self.shared += u64::try_from(riders.saturating_sub(1)).unwrap_or(0);
        }
    }

    /// Nothing is left to read: until when to wait, `None` for as long as it takes, or that the
    /// master has been silent for too long.
    pub(crate) fn quiet(&self, now: Instant) -> Result<Option<Instant>, Fault> {
        let master = match self.phase {
            Phase::Away => None,
            Phase::Streaming if self.noop.is_none() => Some(self.noop_next),
            _ => {
                let silent_at = self.heard + self.settings.answer_within;
                if now >= silent_at {
                    return Err(Fault::Silent {
                        awaited: self.awaited(),
                    });
                }
                Some(silent_at)
            }
        };
        Ok(master
            .into_iter()
            .chain(self.barriers.next_deadline())
            .min())
    }

    /// When the first of those who wait has waited long enough.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.barriers.next_deadline()
    }

    /// Bytes to send; the driver empties it.
    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// As of when the list is up to date, where that has become known since this was last called.
    pub(crate) fn take_confirmed(&mut self) -> Option<Instant> {
        self.confirmed.take()
    }

    /// Answers to deliver.
    pub(crate) fn take_answers(&mut self) -> Vec<(R, Answer)> {
        std::mem::take(&mut self.answers)
    }

    /// The state to publish.
    pub(crate) fn state(&self) -> Option<FollowerState> {
        match self.phase {
            Phase::Away => None,
            Phase::Hello => Some(FollowerState::Connecting),
            Phase::Listing => Some(FollowerState::Syncing),
            Phase::Streaming => Some(FollowerState::Streaming),
        }
    }

    /// NOOPs sent so far, and the barriers that rode on another's.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.noops, self.shared)
    }

    fn awaited(&self) -> &'static str {
        match self.phase {
            Phase::Away => "a connection",
            Phase::Hello => self.hello.awaited(),
            Phase::Listing => "the mailbox list",
            Phase::Streaming => "the answer to NOOP",
        }
    }
}

fn noop_tag(number: u64) -> String {
    format!("N{number}")
}
