//! A model of a master, a connection that breaks, time that passes, and shards that ask at any
//! moment: each barrier has exactly one answer, no later than its deadline, and "up to date"
//! means that the list has every change that the master had made when it was asked.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use ravenry_core::rt::Instant;

use super::Answer;
use super::tests::{BANNER, LOGGED_IN, STREAMING, World};

/// Names to the location that the master has for them.
type Names = BTreeMap<String, String>;

/// A master with one connection: what it knows, and what is on the way to the follower.
struct Master {
    /// The list after each change.
    history: Vec<Names>,
    /// The changes, one fewer than states.
    changes: Vec<String>,
    /// Changes told on this connection; `None` before UPDATE.
    told: Option<usize>,
    commands: Vec<u8>,
    wire: Vec<u8>,
}

impl Master {
    fn new() -> Self {
        Self {
            history: vec![Names::new()],
            changes: Vec::new(),
            told: None,
            commands: Vec::new(),
            wire: Vec::new(),
        }
    }

    fn connected(&mut self) {
        self.told = None;
        self.commands.clear();
        self.wire = BANNER.as_bytes().to_vec();
    }

    /// Somebody makes, moves or deletes a mailbox.
    fn change(&mut self, name: u8) {
        let version = self.history.len();
        let mut names = self.history[version - 1].clone();
        let name = format!("user.n{name}");
        if version.is_multiple_of(3) && names.remove(&name).is_some() {
            self.changes.push(format!("U01 DELETE \"{name}\"\r\n"));
        } else {
            let location = format!("b{version}!default");
            self.changes
                .push(format!("U01 MAILBOX \"{name}\" \"{location}\" \"\"\r\n"));
            names.insert(name, location);
        }
        self.history.push(names);
    }

    fn flush(&mut self) {
        if let Some(told) = &mut self.told {
            self.wire.extend(self.changes[*told..].concat().bytes());
            *told = self.changes.len();
        }
    }

    /// Answers the commands that have come.
    fn answer(&mut self) {
        let commands = String::from_utf8(std::mem::take(&mut self.commands)).unwrap();
        for line in commands.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                [_, "AUTHENTICATE", ..] => self.wire.extend(LOGGED_IN.bytes()),
                [_, "UPDATE"] => {
                    let names = self.history.last().unwrap();
                    for (name, location) in names {
                        let line = format!("U01 MAILBOX \"{name}\" \"{location}\" \"\"\r\n");
                        self.wire.extend(line.bytes());
                    }
                    self.told = Some(self.changes.len());
                    self.wire.extend(STREAMING.bytes());
                }
                [tag, "NOOP"] => {
                    self.flush();
                    self.wire
                        .extend(format!("{tag} OK \"Noop done\"\r\n").bytes());
                }
                _ => {} // The credentials.
            }
        }
    }
}

struct Asked {
    version: usize,
    deadline: Instant,
    answered: bool,
}

struct Play {
    world: World,
    master: Master,
    up: bool,
    asked: Vec<Asked>,
}

#[derive(Debug, Clone)]
enum Event {
    Change(u8),
    Ask(u64),
    Flush,
    Answer,
    Deliver(usize),
    /// Both, and all of it: what a network in good health does.
    Exchange,
    Pass(u64),
    Break,
    Connect,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..4u8).prop_map(Event::Change),
        6 => (1..9000u64).prop_map(Event::Ask),
        1 => Just(Event::Flush),
        6 => Just(Event::Answer),
        6 => (1..400usize).prop_map(Event::Deliver),
        6 => Just(Event::Exchange),
        3 => (1..4000u64).prop_map(Event::Pass),
        1 => Just(Event::Break),
        3 => Just(Event::Connect),
    ]
}

impl Play {
    fn new(count_max: usize) -> Self {
        let world = World::new(count_max, 1 << 20);
        Self {
            world,
            master: Master::new(),
            up: false,
            asked: Vec::new(),
        }
    }

    fn act(&mut self, event: &Event) -> Result<(), TestCaseError> {
        match *event {
            Event::Change(name) => self.master.change(name),
            Event::Ask(milliseconds) => {
                let within = Duration::from_millis(milliseconds);
                let version = self.master.history.len() - 1;
                let deadline = self.world.now + within;
                self.asked.push(Asked {
                    version,
                    deadline,
                    answered: false,
                });
                self.world.ask(self.asked.len() - 1, within);
            }
            Event::Flush => self.master.flush(),
            Event::Answer => self.master.answer(),
            Event::Deliver(len) => self.deliver(len),
            Event::Exchange => {
                self.master.answer();
                self.deliver(usize::MAX);
            }
            Event::Pass(milliseconds) => self.pass(Duration::from_millis(milliseconds))?,
            Event::Break => self.down(),
            Event::Connect => self.connect(),
        }
        self.settle()
    }

    fn connect(&mut self) {
        if !self.up {
            self.up = true;
            self.master.connected();
            self.world.connect();
        }
    }

    /// Connects, and lets both sides speak so many times: after four, the stream has begun.
    fn heal(&mut self, exchanges: usize) -> Result<(), TestCaseError> {
        self.connect();
        (0..exchanges).try_for_each(|_| self.act(&Event::Exchange))
    }

    fn down(&mut self) {
        self.up = false;
        self.world.machine.disconnected();
    }

    fn deliver(&mut self, len: usize) {
        if self.up {
            let bytes: Vec<u8> = self
                .master
                .wire
                .drain(..len.min(self.master.wire.len()))
                .collect();
            self.world
                .receive(&bytes)
                .expect("the model keeps to the protocol");
        }
    }

    /// Time passes as it does for the driver: it wakes when the machine wants to be woken.
    fn pass(&mut self, duration: Duration) -> Result<(), TestCaseError> {
        let end = self.world.now + duration;
        while self.world.now < end {
            match self.world.machine.quiet(self.world.now) {
                Ok(until) => self.world.now = until.unwrap_or(end).min(end),
                Err(_silent) => self.down(),
            }
            self.world.work().expect("nothing new was received");
            self.settle()?;
        }
        Ok(())
    }

    /// What the list showed after a commit: each name's location.
    fn list_at(&self, sequence: u64) -> Names {
        let names = &self.world.list.commits[usize::try_from(sequence).unwrap() - 1];
        let location = |value: &String| value.split(' ').next().unwrap().to_owned();
        names
            .iter()
            .map(|(name, value)| (name.clone(), location(value)))
            .collect()
    }

    /// Hands commands over, and checks the answers that have come.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        let sent = std::mem::take(&mut self.world.sent);
        if self.up {
            self.master.commands.extend(sent);
        }
        for (number, answer) in std::mem::take(&mut self.world.answers) {
            let asked = &mut self.asked[number];
            prop_assert!(!asked.answered, "a second answer to {number}");
            asked.answered = true;
            let Asked {
                version, deadline, ..
            } = *asked;
            match answer {
                Answer::UpToDate(sequence) => {
                    prop_assert!(self.world.now < deadline);
                    let list = self.list_at(sequence);
                    let states = &self.master.history[version..];
                    prop_assert!(states.contains(&list), "{list:?} is none of {states:?}");
                }
                Answer::Late => prop_assert_eq!(self.world.now, deadline),
                Answer::Refused | Answer::Crowded => {
                    prop_assert!(false, "nobody is turned away here");
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn every_barrier_has_one_true_answer_in_time(
        events in prop::collection::vec(event(), 1..80),
        count_max in 1..4usize,
        healthy in 0..5usize,
    ) {
        let mut play = Play::new(count_max);
        play.heal(healthy)?;
        for event in &events {
            play.act(event)?;
        }
        // The network heals, and the list is the master's.
        play.down();
        play.heal(5)?;
        let names: Vec<_> = play.world.list.names.keys().collect();
        let theirs: Vec<_> = play.master.history.last().unwrap().keys().collect();
        prop_assert_eq!(names, theirs);
        play.pass(Duration::from_secs(10))?;
        prop_assert!(play.asked.iter().all(|asked| asked.answered));
    }
}
