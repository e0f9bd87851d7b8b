//! Known answers with the bytes of a Cyrus 3.6.1 master, and two properties: the cut of the bytes
//! and the size of a batch make no difference; and whatever happens, each barrier has exactly one
//! answer, in time, and "up to date" is true.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use ravenry_core::mailboxes::{Change, Location};
use ravenry_core::proto::mupdate::Place;
use ravenry_core::proto::sasl::{Plain, Secret};
use ravenry_core::rt::{self, Instant};

use super::{Answer, Machine, Settings, Step};
use crate::batch::BatchLimits;
use crate::fault::Fault;
use crate::hello::Hello;
use crate::status::FollowerState;

pub(crate) const BANNER: &str = concat!(
    "* AUTH \"PLAIN\" \"LOGIN\"\r\n",
    "* COMPRESS \"DEFLATE\"\r\n",
    "* PARTIAL-UPDATE\r\n",
    "* OK MUPDATE \"mupdate.murder.test\" \"Cyrus IMAP\" \"3.6.1\" \"(master)\"\r\n",
);
pub(crate) const LOGGED_IN: &str = "A01 OK \"Authenticated\"\r\n";
pub(super) const STREAMING: &str = "U01 OK \"streaming starts\"\r\n";

/// A list in memory, with what the real one promises.
#[derive(Default)]
pub(super) struct List {
    pub(super) names: BTreeMap<String, String>,
    seen: BTreeSet<String>,
    /// The names after each commit: the sequence is the number of commits.
    pub(super) commits: Vec<BTreeMap<String, String>>,
}

impl List {
    fn apply(&mut self, changes: &[Change]) -> u64 {
        for change in changes {
            let (name, value) = describe(change);
            self.seen.insert(name.clone());
            match value {
                Some(value) => self.names.insert(name, value),
                None => self.names.remove(&name),
            };
        }
        self.commit()
    }

    fn commit(&mut self) -> u64 {
        self.commits.push(self.names.clone());
        self.sequence()
    }

    fn sequence(&self) -> u64 {
        u64::try_from(self.commits.len()).unwrap()
    }

    fn end_sync(&mut self) -> u64 {
        self.names.retain(|name, _| self.seen.contains(name));
        self.commit()
    }
}

/// A machine with its driver, in a time of its own.
pub(super) struct World {
    pub(super) machine: Machine<usize>,
    pub(super) list: List,
    pub(super) now: Instant,
    pub(super) sent: Vec<u8>,
    pub(super) handshakes: u32,
    pub(super) answers: Vec<(usize, Answer)>,
}

pub(crate) fn hello() -> Hello {
    let login = Plain {
        authzid: b"frontend".to_vec(),
        authcid: b"frontend".to_vec(),
        password: Secret::from("mupdatepw"),
    };
    Hello::new(login, false)
}

impl World {
    pub(super) fn new(count_max: usize, bytes_max: usize) -> Self {
        let now = rt::now();
        let settings = Settings {
            noop_every: Duration::from_secs(2),
            answer_within: Duration::from_secs(10),
            batch: BatchLimits {
                count_max,
                bytes_max,
            },
            barriers_max: 100,
        };
        Self {
            machine: Machine::new(settings, hello(), 0, now),
            list: List::default(),
            now,
            sent: Vec::new(),
            handshakes: 0,
            answers: Vec::new(),
        }
    }

    fn connected() -> Self {
        let mut world = Self::new(100, 1 << 20);
        world.connect();
        world
    }

    fn streaming() -> Self {
        let mut world = Self::connected();
        world.hear(BANNER).unwrap();
        world.hear(LOGGED_IN).unwrap();
        world.hear(STREAMING).unwrap();
        world
    }

    pub(super) fn connect(&mut self) {
        self.list.seen.clear();
        self.machine.connected(Place::default(), self.now);
    }

    fn hear(&mut self, text: &str) -> Result<(), Fault> {
        self.receive(text.as_bytes())
    }

    /// What the driver does with bytes that arrived, and then with the silence after them.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.machine.receive(bytes);
        self.work()
    }

    pub(super) fn work(&mut self) -> Result<(), Fault> {
        loop {
            let step = self.machine.next(self.now)?;
            self.turn();
            match step {
                Step::StartTls => {
                    self.handshakes += 1;
                    self.machine.secured(self.now);
                }
                Step::Apply => self.apply(),
                Step::EndSync => {
                    let sequence = self.list.end_sync();
                    self.machine.synced(sequence, self.now);
                }
                Step::Hungry if self.machine.should_apply() => self.apply(),
                Step::Hungry => return Ok(()),
            }
        }
    }

    fn apply(&mut self) {
        let sequence = self.list.apply(self.machine.batch().changes());
        self.machine.applied(sequence, self.now);
    }

    fn turn(&mut self) {
        self.machine.tick(self.now);
        self.sent.append(self.machine.output());
        for answer in self.machine.take_answers() {
            if let (_, Answer::UpToDate(sequence)) = answer {
                assert!(sequence <= self.list.sequence(), "not committed");
            }
            self.answers.push(answer);
        }
    }

    pub(super) fn ask(&mut self, number: usize, within: Duration) {
        self.machine.ask(number, self.now + within);
        self.turn();
    }

    fn take_sent(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.sent)).unwrap()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_conversation_with_a_cyrus_master() {
    let mut world = World::connected();
    assert_eq!(world.machine.state(), Some(FollowerState::Connecting));
    world.hear(BANNER).unwrap();
    assert_eq!(
        world.take_sent(),
        "A01 AUTHENTICATE \"PLAIN\" {36+}\r\nZnJvbnRlbmQAZnJvbnRlbmQAbXVwZGF0ZXB3\r\n"
    );
    world.hear(LOGGED_IN).unwrap();
    assert_eq!(world.take_sent(), "U01 UPDATE\r\n");
    assert_eq!(world.machine.state(), Some(FollowerState::Syncing));
    world.list.names.insert("gone".into(), "old".into());
    let shared = "U01 MAILBOX {6+}\r\nshared {28+}\r\nbackend1.murder.test!default {40+}\r\n\
                  anyone\tlrswipkxtecd\tcyrus\tlrswipkxtecda\t\r\n";
    world.hear(shared).unwrap();
    world
        .hear(
            "U01 MAILBOX {10+}\r\nuser.alice {28+}\r\nbackend1.murder.test!default {41+}\r\n\
                alice\tlrswipkxtecdan\tcyrus\tlrswipkxtecda\t\r\n",
        )
        .unwrap();
    assert!(
        world.list.names.contains_key("gone"),
        "nothing goes before the end of the sync"
    );
    world.hear(STREAMING).unwrap();
    assert_eq!(world.machine.state(), Some(FollowerState::Streaming));
    assert_eq!(
        world.list.names.keys().collect::<Vec<_>>(),
        ["shared", "user.alice"]
    );
    assert_eq!(world.take_sent(), "N1 NOOP\r\n");
    world.hear("N1 OK \"Noop done\"\r\n").unwrap();
    assert_eq!(world.take_sent(), "");

    world.now += 2 * SECOND;
    world.work().unwrap();
    assert_eq!(world.take_sent(), "N2 NOOP\r\n");
    let deleted = "U01 DELETE {6+}\r\nshared\r\n\
                   U01 MAILBOX {23+}\r\nDELETED.shared.6B0430FF {21+}\r\nbackend1.murder.test! \
                   {31+}\r\nanyone\tlrs\tcyrus\tlrswipkxtecda\t\r\n";
    world.hear(deleted).unwrap();
    world
        .hear("U01 RESERVE {3+}\r\nt.x {28+}\r\nbackend1.murder.test!default\r\n")
        .unwrap();
    world.hear("N2 OK \"Noop done\"\r\n").unwrap();
    assert_eq!(
        world.list.names.keys().collect::<Vec<_>>(),
        ["DELETED.shared.6B0430FF", "t.x", "user.alice"]
    );
}

#[test]
fn a_barrier_is_answered_by_a_noop_that_was_sent_after_it() {
    let mut world = World::streaming();
    world.take_sent(); // N1 is in flight.
    world.ask(1, SECOND);
    world.ask(2, SECOND);
    assert_eq!(world.take_sent(), "");
    world.hear("N1 OK \"Noop done\"\r\n").unwrap();
    assert_eq!(world.take_sent(), "N2 NOOP\r\n");
    assert!(world.answers.is_empty());
    world.ask(3, SECOND);
    let change = "U01 MAILBOX \"a\" \"b!p\" \"anyone\tlrs\t\"\r\n";
    world.hear(&format!("{change}N2 OK \"\"\r\n")).unwrap();
    let sequence = world.list.sequence();
    assert!(world.list.names.contains_key("a"));
    let up_to_date = Answer::UpToDate(sequence);
    assert_eq!(world.answers, [(1, up_to_date), (2, up_to_date)]);
    assert_eq!(world.take_sent(), "N3 NOOP\r\n");
    world.hear("N3 OK \"\"\r\n").unwrap();
    assert_eq!(world.answers.last(), Some(&(3, up_to_date)));
    assert_eq!(world.machine.counts(), (3, 1));
}

#[test]
fn a_barrier_survives_a_reconnection_that_comes_in_time() {
    let mut world = World::streaming();
    world.hear("N1 OK \"\"\r\n").unwrap();
    world.ask(1, 5 * SECOND);
    world.ask(2, SECOND);
    world.machine.disconnected();
    world.now += 2 * SECOND;
    world.turn();
    assert_eq!(world.answers, [(2, Answer::Late)]);
    world.connect();
    for text in [BANNER, LOGGED_IN, STREAMING] {
        assert_eq!(world.answers.len(), 1);
        world.hear(text).unwrap();
    }
    assert_eq!(world.answers.len(), 1, "the end of the sync is no answer");
    world.hear("N3 OK \"\"\r\n").unwrap();
    assert_eq!(world.answers[1].0, 1);
    assert!(matches!(world.answers[1].1, Answer::UpToDate(_)));
}

#[test]
fn a_silent_master_is_found_out_in_every_phase() {
    for heard in 0..4 {
        let mut world = World::connected();
        for text in [BANNER, LOGGED_IN, STREAMING].iter().take(heard) {
            world.hear(text).unwrap();
        }
        let until = world.machine.quiet(world.now).unwrap().unwrap();
        assert_eq!(until, world.now + 10 * SECOND);
        world.now = until;
        assert!(
            matches!(world.machine.quiet(world.now), Err(Fault::Silent { .. })),
            "{heard}"
        );
    }
}

#[test]
fn an_idle_stream_waits_for_the_next_noop() {
    let mut world = World::streaming();
    world.hear("N1 OK \"\"\r\n").unwrap();
    assert_eq!(
        world.machine.quiet(world.now).unwrap(),
        Some(world.now + 2 * SECOND)
    );
    world.ask(1, SECOND);
    assert_eq!(
        world.machine.quiet(world.now).unwrap(),
        Some(world.now + SECOND)
    );
}

#[test]
fn faults_are_told_apart() {
    let refused = |text: &str| {
        let mut world = World::connected();
        world.hear(BANNER).unwrap();
        world.hear(text).unwrap_err()
    };
    assert!(matches!(
        refused("A01 NO \"undefined error!\"\r\n"),
        Fault::LoginRefused(_)
    ));
    assert!(matches!(
        refused("A01 BAD \"no\"\r\n"),
        Fault::LoginRefused(_)
    ));
    assert!(matches!(
        refused("A02 OK \"Authenticated\"\r\n"),
        Fault::Protocol(_)
    ));
    assert!(matches!(
        refused("* BYE \"Server Unable\"\r\n"),
        Fault::Bye(_)
    ));
    assert!(matches!(
        refused("U01 DELETE \"a\"\r\n"),
        Fault::Protocol(_)
    ));

    let greeted = |text: &str| World::connected().hear(text).unwrap_err();
    let bye = "* BYE \"no longer ready for connections\"\r\n";
    assert!(matches!(greeted(bye), Fault::Bye(_)));
    let external =
        "* AUTH \"EXTERNAL\"\r\n* OK MUPDATE \"h\" \"Cyrus IMAP\" \"3\" \"(master)\"\r\n";
    assert!(matches!(greeted(external), Fault::NoPlain));
    assert!(matches!(
        greeted("HTTP/1.1 400 Bad Request\r\n"),
        Fault::Protocol(_)
    ));
    assert!(matches!(
        greeted(&"* PARTIAL-UPDATE\r\n".repeat(100)),
        Fault::Protocol(_)
    ));

    let streamed = |text: &str| World::streaming().hear(text).unwrap_err();
    assert!(matches!(streamed("N7 OK \"\"\r\n"), Fault::Protocol(_)));
    assert!(matches!(
        streamed("U02 DELETE \"a\"\r\n"),
        Fault::Protocol(_)
    ));
    assert!(matches!(
        streamed("N1 BAD \"not legal\"\r\n"),
        Fault::Protocol(_)
    ));
}

#[test]
fn an_odd_name_is_left_out_and_the_others_are_served() {
    let mut world = World::streaming();
    let odd = format!(
        "U01 MAILBOX {{491+}}\r\n{:0>491} \"b!p\" \"\"\r\nU01 DELETE \"\"\r\n",
        ""
    );
    world.hear(&odd).unwrap();
    world
        .hear("U01 MAILBOX \"good\" \"b!p\" \"\"\r\nN1 OK \"\"\r\n")
        .unwrap();
    assert_eq!(world.list.names.keys().collect::<Vec<_>>(), ["good"]);
    assert_eq!(world.machine.batch().refused(), 2);
}

#[test]
fn too_many_barriers_are_refused_at_once() {
    let mut world = World::new(1, 1);
    for number in 0..101 {
        world.ask(number, SECOND);
    }
    assert_eq!(world.answers, [(100, Answer::Crowded)]);
}

/// One response as a master may say it: names from a small set, so that they meet again.
fn response() -> impl Strategy<Value = Vec<u8>> {
    let string = |text: String, way: u8| match way {
        0 => format!("\"{text}\""),
        1 => format!("{{{}+}}\r\n{text}", text.len()),
        _ => format!("{{{}}}\r\n{text}", text.len()),
    };
    (0..3u8, 0..3u8, 0..6u8, 0..3u8).prop_map(move |(kind, way, name, place)| {
        let name = string(format!("user.n{name}"), way);
        let place = string(format!("backend{place}!default"), way);
        let acl = string("anyone\tlrs\t".into(), way);
        let line = match kind {
            0 => format!("U01 MAILBOX {name} {place} {acl}\r\n"),
            1 => format!("U01 RESERVE {name} {place}\r\n"),
            _ => format!("U01 DELETE {name}\r\n"),
        };
        line.into_bytes()
    })
}

proptest! {
    #[test]
    fn neither_cut_nor_batch_makes_a_difference(
        listed in prop::collection::vec(response(), 0..20),
        streamed in prop::collection::vec(response(), 0..20),
        cuts in prop::collection::vec(1..40usize, 1..20),
        count_max in 1..8usize,
        bytes_max in 1..500usize,
    ) {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(BANNER.as_bytes());
        bytes.extend_from_slice(LOGGED_IN.as_bytes());
        bytes.extend(listed.concat());
        bytes.extend_from_slice(STREAMING.as_bytes());
        let (head, tail) = (bytes, streamed.concat());

        let mut whole = World::new(1000, 1 << 20);
        let mut cut = World::new(count_max, bytes_max);
        for world in [&mut whole, &mut cut] {
            world.list.names.insert("user.n0".into(), "old".into());
            world.list.names.insert("user.old".into(), "old".into());
            world.connect();
        }
        whole.receive(&head).unwrap();
        whole.receive(&tail).unwrap();
        let all = [head, tail].concat();
        let mut rest = all.as_slice();
        for len in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*len).min(rest.len()));
            cut.receive(piece).unwrap();
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(!cut.list.names.contains_key("user.old"));
        prop_assert_eq!(&whole.list.names, &cut.list.names);
        prop_assert_eq!(whole.sent, cut.sent);
    }
}

proptest! {
    /// Bytes that are changed on the way end the connection or mean something else; they never
    /// panic, and never end a sync that the master did not end.
    #[test]
    fn damaged_bytes_are_survived(
        listed in prop::collection::vec(response(), 0..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in 1..200usize,
        whole in any::<bool>(),
    ) {
        let mut bytes = [BANNER.as_bytes(), LOGGED_IN.as_bytes(), &listed.concat()].concat();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if whole {
            bytes.extend_from_slice(STREAMING.as_bytes());
        }
        let mut world = World::connected();
        world.list.names.insert("user.old".into(), "old".into());
        let heard = bytes.chunks(cut).try_for_each(|piece| world.receive(piece));
        if heard.is_err() || !whole {
            prop_assert!(world.machine.state() != Some(FollowerState::Streaming));
            prop_assert!(world.list.names.contains_key("user.old"));
        }
    }
}

#[test]
fn a_replica_that_has_lost_its_own_master_says_no_and_the_stream_goes_on() {
    let mut world = World::connected();
    world.hear(BANNER).unwrap();
    world.hear(LOGGED_IN).unwrap();
    world.hear(STREAMING).unwrap();
    world.hear("N1 OK \"Noop done\"\r\n").unwrap();
    world.ask(1, SECOND);
    world.hear("N2 NO \"no master\"\r\n").unwrap();
    assert_eq!(world.answers, [(1, Answer::Refused)]);
    world.ask(2, SECOND);
    world.hear("N3 OK \"Noop done\"\r\n").unwrap();
    assert!(matches!(world.answers[1], (2, Answer::UpToDate(_))));
}

/// A change's name and what the list has for it then: `server!partition` comes first.
fn describe(change: &Change) -> (String, Option<String>) {
    let place = |location: &Location| format!("{}!{}", location.server, location.partition);
    match change {
        Change::Active {
            name,
            location,
            acl,
        } => (
            name.to_string(),
            Some(format!("{} {acl:?}", place(location))),
        ),
        Change::Reserved { name, location } | Change::Moving { name, location } => (
            name.to_string(),
            Some(format!("{} reserved", place(location))),
        ),
        Change::Deleted { name } => (name.to_string(), None),
    }
}
