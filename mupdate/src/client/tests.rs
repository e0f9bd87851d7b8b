//! Known answers with the bytes of a Cyrus 3.6.1 master, and a property: whatever is asked in whatever pieces and whenever
//! the connection ends, each command has one outcome, and it is the one that the master gave.

use std::time::Duration;

use proptest::prelude::*;
use ravenry_core::mailboxes::{Acl, Location, Name, State};
use ravenry_core::rt::{self, Instant};

use super::conversation::{Conversation, Step};
use super::{Answer, Ask, Held, Outcome, Unanswered};
use crate::fault::Fault;
use crate::machine::tests::{BANNER, LOGGED_IN, hello};

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const NOOP_EVERY: Duration = Duration::from_secs(2);

struct World {
    talk: Conversation<usize>,
    now: Instant,
    asked: usize,
}

impl World {
    fn new() -> Self {
        let now = rt::now();
        let talk = Conversation::new(hello(), (ANSWER_WITHIN, NOOP_EVERY), now);
        Self {
            talk,
            now,
            asked: 0,
        }
    }

    fn up() -> Self {
        let mut world = Self::new();
        world.connect();
        world
    }

    fn connect(&mut self) {
        self.talk.connected(self.now);
        self.hear(BANNER).unwrap();
        self.hear(LOGGED_IN).unwrap();
        assert!(self.talk.is_up());
    }

    /// What the master says, and what is sent then.
    fn hear(&mut self, text: &str) -> Result<String, Fault> {
        self.talk.receive(text.as_bytes());
        assert_eq!(self.talk.next(self.now)?, Step::Hungry);
        let sent = std::mem::take(self.talk.output());
        Ok(String::from_utf8(sent).unwrap())
    }

    fn ask(&mut self, asks: Vec<Ask>) -> String {
        self.talk.ask(asks, self.asked, self.now);
        self.asked += 1;
        self.hear("").unwrap()
    }

    fn done(&mut self) -> Vec<(usize, Vec<Outcome>)> {
        self.talk.take_done()
    }
}

fn name(text: &str) -> Name {
    Name::from_mupdate(text.as_bytes()).unwrap()
}

fn here() -> Location {
    Location::parse(b"backend1.murder.test!default")
}

fn reserve(text: &str) -> Ask {
    let (name, location) = (name(text), here());
    Ask::Reserve { name, location }
}

fn find(text: &str) -> Ask {
    Ask::Find { name: name(text) }
}

#[test]
fn a_backend_makes_a_mailbox_as_cyrus_does() {
    let mut world = World::up();
    let sent = world.ask(vec![reserve("top1")]);
    assert_eq!(
        sent,
        "X0 RESERVE {4+}\r\ntop1 {28+}\r\nbackend1.murder.test!default\r\n"
    );
    world.hear("X0 OK \"done\"\r\n").unwrap();
    assert_eq!(world.done(), [(0, vec![Ok(Answer::Done)])]);
    let activate = Ask::Activate {
        name: name("top1"),
        location: here(),
        acl: Acl::new(b"anyone\tlrs\t"),
    };
    let sent = world.ask(vec![activate]);
    assert_eq!(
        sent,
        "X1 ACTIVATE {4+}\r\ntop1 {28+}\r\nbackend1.murder.test!default {11+}\r\nanyone\tlrs\t\r\n"
    );
    world
        .hear("X1 NO \"mailbox belongs to another server\"\r\n")
        .unwrap();
    let refused = Answer::Refused("mailbox belongs to another server".to_owned());
    assert_eq!(world.done(), [(1, vec![Ok(refused)])]);
}

#[test]
fn what_is_held_is_told() {
    let mut world = World::up();
    let server = "b1".to_owned();
    world.ask(vec![find("a"), Ask::List { server }, find("c")]);
    world
        .hear("X0 MAILBOX {1+}\r\na {6+}\r\nb1!one {7+}\r\nbob\tlr\t\r\nX0 OK \"Search completed\"\r\n")
        .unwrap();
    world
        .hear("X1 RESERVE {1+}\r\nb {3+}\r\nb1!\r\nX1 OK \"list complete\"\r\nX2 OK \"Search completed\"\r\n")
        .unwrap();
    let held = |text: &str, state, location: &str, acl: &str| Held {
        name: name(text),
        state,
        location: Location::parse(location.as_bytes()),
        acl: Acl::new(acl.as_bytes()),
    };
    let expected = vec![
        Ok(Answer::Found(vec![held(
            "a",
            State::Active,
            "b1!one",
            "bob\tlr\t",
        )])),
        Ok(Answer::Found(vec![held("b", State::Reserved, "b1!", "")])),
        Ok(Answer::Found(Vec::new())),
    ];
    assert_eq!(world.done(), [(0, expected)]);
}

#[test]
fn what_a_connection_leaves_open_is_unknown_and_what_was_not_sent_is_not_done() {
    let mut world = World::up();
    let many = (0..300).map(|n| reserve(&format!("n{n}"))).collect();
    world.ask(many);
    assert_eq!(world.ask(vec![find("x")]), "", "behind the others");
    world.hear("X0 OK \"done\"\r\n").unwrap();
    world.talk.disconnected("gone");
    let done = world.done();
    let [(0, outcomes)] = &done[..] else {
        panic!("{} are done", done.len());
    };
    assert_eq!(outcomes[0], Ok(Answer::Done));
    let count = |wanted: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|o| wanted(o)).count();
    let unknown = count(&|outcome| matches!(outcome, Err(Unanswered::Unknown(_))));
    let unsent = count(&|outcome| matches!(outcome, Err(Unanswered::Unreachable(_))));
    assert_eq!(unknown + unsent, 299);
    assert!(unknown <= 256 && unsent > 0, "{unknown} were on their way");
    // The next connection takes the one that waits.
    world.talk.connected(world.now);
    world.hear(BANNER).unwrap();
    let sent = world.hear(LOGGED_IN).unwrap();
    assert!(sent.contains("FIND {1+}\r\nx\r\n"), "{sent}");
    world.talk.disconnected("gone");
    assert!(matches!(&world.done()[..], [(1, outcomes)]
        if matches!(outcomes[..], [Err(Unanswered::Unknown(_))])));
}

#[test]
fn who_waits_too_long_for_a_turn_is_told_so() {
    let mut world = World::new();
    world.ask(vec![find("x")]);
    let until = world.talk.expire(world.now).unwrap();
    world.now = until;
    assert_eq!(world.talk.expire(world.now), None);
    assert!(matches!(&world.done()[..], [(0, outcomes)]
        if matches!(outcomes[..], [Err(Unanswered::Unreachable(_))])));
}

#[test]
fn a_silent_master_is_found_out_and_an_idle_one_is_asked() {
    let mut world = World::up();
    let until = world.talk.quiet(world.now).unwrap();
    assert_eq!(until, world.now + NOOP_EVERY);
    world.now = until;
    assert_eq!(world.hear("").unwrap(), "X0 NOOP\r\n");
    world.now = world.talk.quiet(world.now).unwrap();
    assert!(matches!(
        world.talk.quiet(world.now),
        Err(Fault::Silent { .. })
    ));
}

#[test]
fn a_replica_takes_no_changes_and_nothing_else_than_answers_is_taken() {
    let mut world = World::new();
    world.talk.connected(world.now);
    let banner = BANNER.replace("(master)", "mupdate://m.test/");
    assert!(matches!(world.hear(&banner), Err(Fault::Replica(_))));
    for wrong in [
        "X0 OK \"done\"\r\n",
        "X7 OK \"done\"\r\n",
        "* OK \"done\"\r\n",
        "X1 MAILBOX {1+}\r\na {3+}\r\nb1! {0+}\r\n\r\n",
    ] {
        let mut world = World::up();
        if wrong.starts_with("X7") {
            world.ask(vec![find("a")]);
        }
        assert!(
            matches!(world.hear(wrong), Err(Fault::Protocol(_))),
            "{wrong}"
        );
    }
}

proptest! {
    /// A master that refuses every third command; the answers come in any pieces, and may end anywhere.
    #[test]
    fn each_command_has_its_own_outcome(
        batches in prop::collection::vec(1usize..40, 1..20),
        pieces in prop::collection::vec(1usize..60, 1..50),
        end in 0usize..400,
    ) {
        let mut world = World::up();
        let total: usize = batches.iter().sum();
        let mut number = 0;
        for count in &batches {
            let asks = (0..*count).map(|n| reserve(&format!("m{}", number + n))).collect();
            number += count;
            world.ask(asks);
        }
        let mut answers = String::new();
        for n in 0..total.min(end) {
            let word = if n % 3 == 0 { "NO" } else { "OK" };
            answers += &format!("X{n} {word} \"{n}\"\r\n");
        }
        let (mut at, mut pieces) = (0, pieces.iter().cycle());
        while at < answers.len() {
            let next = (at + pieces.next().unwrap()).min(answers.len());
            world.hear(&answers[at..next]).unwrap();
            at = next;
        }
        world.talk.disconnected("gone");
        world.talk.give_up("gone");
        let mut done = world.done();
        done.sort_by_key(|(asked, _)| *asked);
        prop_assert_eq!(done.len(), batches.len());
        let mut n = 0;
        for ((_, outcomes), count) in done.iter().zip(&batches) {
            prop_assert_eq!(outcomes.len(), *count);
            for outcome in outcomes {
                match outcome {
                    Ok(Answer::Refused(text)) => prop_assert_eq!((n % 3, text), (0, &n.to_string())),
                    Ok(answer) => prop_assert!(n % 3 > 0 && *answer == Answer::Done),
                    Err(_) => prop_assert!(n >= end),
                }
                n += 1;
            }
        }
    }
}
