//! Plans by example, and over random murders: carried out, each leaves nothing to be done; what waits takes nothing.

use proptest::prelude::*;
use ravenry_core::mailboxes::{Acl, Location};

use super::*;

const OWN: &str = "backend1.murder.test";
const OTHER: &str = "backend2.murder.test";

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

fn facts(partition: &str, acl: &str) -> Facts {
    Facts {
        partition: partition.to_owned(),
        acl: Acl::new(acl.as_bytes()),
    }
}

fn held(text: &str, state: State, (server, partition): (&str, &str), acl: &str) -> Held {
    Held {
        name: name(text),
        state,
        location: Location {
            server: server.to_owned(),
            partition: partition.to_owned(),
        },
        acl: Acl::new(acl.as_bytes()),
    }
}

fn by_name(all: Vec<Held>) -> ByName<Held> {
    let all = all.into_iter().map(|held| (held.name.clone(), held));
    all.collect()
}

/// Mailboxes that are the same in both places.
fn agreed(count: usize) -> (ByName<Facts>, ByName<Held>) {
    let names = (0..count).map(|n| format!("same.m{n}"));
    let mut both = (ByName::new(), Vec::new());
    for text in names {
        both.0.insert(name(&text), facts("default", "a\tl\t"));
        both.1
            .push(held(&text, State::Active, (OWN, "default"), "a\tl\t"));
    }
    (both.0, by_name(both.1))
}

fn shown(plan: &Plan) -> Vec<String> {
    let line = |it: &Planned| format!("{:?} {}: {}", it.action, it.name, it.why);
    plan.all.iter().map(line).collect()
}

#[test]
fn the_four_differences_of_the_concept_and_what_is_left_alone() {
    let (mut here, mut at_master) = agreed(3);
    for text in [
        "acl",
        "elsewhere",
        "new",
        "part",
        "reserved",
        "soon",
        "busy",
    ] {
        here.insert(name(text), facts("default", "a\tl\t"));
    }
    let (home, none, there) = ((OWN, "default"), (OWN, ""), (OTHER, "fast"));
    let (active, reserved) = (State::Active, State::Reserved);
    at_master.extend(by_name(vec![
        held("acl", active, home, "a\tlr\t"),
        held("elsewhere", active, there, ""),
        held("ghost", active, home, ""),
        held("half", reserved, none, ""),
        held("part", active, (OWN, "fast"), "a\tl\t"),
        held("reserved", reserved, home, ""),
        held("soon", reserved, there, ""),
        held("foreign", active, there, ""),
    ]));
    let listed = |held: &&Held| held.location.server == OWN;
    let listed = by_name(at_master.values().filter(listed).cloned().collect());
    let unlisted = unlisted(&here, &listed);
    let unlisted: Vec<_> = unlisted.iter().map(ToString::to_string).collect();
    assert_eq!(unlisted, ["busy", "elsewhere", "new", "soon"]);
    let mut plan = Plan::new(&here, &at_master, OWN);
    plan.leave(|of| *of == name("busy"));
    assert_eq!(
        shown(&plan),
        [
            "Activate acl: the master has another ACL",
            "Away elsewhere: it lives on backend2.murder.test",
            "Remove ghost: it isn't here",
            "Remove half: it was reserved for this server and never made",
            "Push new: the master doesn't know it",
            "Activate part: the master has it on the partition \"fast\"",
            "Activate reserved: the master has it reserved only",
        ]
    );
    assert_eq!((plan.here, plan.held, plan.left), (10, 8, 2));
    let deletions: Vec<_> = plan.deletions().map(|it| it.name.to_string()).collect();
    assert_eq!(deletions, ["elsewhere", "ghost"]);
    assert_eq!(plan.waits(), None);
}

/// As many ghosts at the master, and as many mailboxes that are here and elsewhere.
fn differing(same: usize, ghosts: usize, away: usize) -> Plan {
    let (mut here, mut at_master) = agreed(same);
    for n in 0..ghosts {
        let text = format!("ghost.m{n}");
        let ghost = held(&text, State::Active, (OWN, "default"), "");
        at_master.insert(name(&text), ghost);
    }
    for n in 0..away {
        let text = format!("away.m{n}");
        here.insert(name(&text), facts("default", ""));
        let away = held(&text, State::Active, (OTHER, "default"), "");
        at_master.insert(name(&text), away);
    }
    Plan::new(&here, &at_master, OWN)
}

#[test]
fn more_deletions_than_the_limit_wait() {
    for (same, ghosts, away, waits) in [
        (0, 0, 0, None),
        (100, 20, 0, None),
        (100, 10, 10, None),
        (100, 11, 10, Some(Waits::TooMany(21, 121))),
        (100, 0, 21, Some(Waits::TooMany(21, 121))),
        (1000, 52, 0, None),
        (1000, 53, 0, Some(Waits::TooMany(53, 1053))),
        // Little, but all.
        (0, 0, 1, None),
        (0, 0, 2, Some(Waits::AllHere)),
        (1, 0, 2, None),
        (0, 1, 0, None),
        (0, 2, 0, Some(Waits::AllHeld)),
        (0, 1, 2, Some(Waits::AllHere)),
    ] {
        let plan = differing(same, ghosts, away);
        assert_eq!(plan.waits(), waits, "{same} {ghosts} {away}");
    }
}

#[test]
fn another_server_name_takes_nothing_away() {
    // All is at the master, by the name that this server had.
    for count in [2, 20, 2000] {
        let (here, at_master) = agreed(count);
        let plan = Plan::new(&here, &at_master, "renamed.murder.test");
        assert_eq!(plan.count(Action::Away), count);
        assert!(plan.waits().is_some(), "{count}");
        assert_eq!(plan.deletions().count(), plan.all.len());
    }
}

#[test]
fn an_empty_directory_takes_nothing_out_of_mupdate() {
    for count in [2, 20, 2000] {
        let (_, at_master) = agreed(count);
        let plan = Plan::new(&ByName::new(), &at_master, OWN);
        assert_eq!(plan.count(Action::Remove), count);
        assert!(plan.waits().is_some(), "{count}");
    }
    // Names that were only reserved are nobody's loss.
    let half = (0..30).map(|n| held(&format!("h{n}"), State::Reserved, (OWN, ""), ""));
    let half = by_name(half.collect());
    let plan = Plan::new(&ByName::new(), &half, OWN);
    assert_eq!((plan.count(Action::Remove), plan.waits()), (30, None));
}

/// What is here and at the master once a plan, or a part of it, has been carried out.
fn carried_out(
    plan: &Plan,
    (mut here, mut at_master): (ByName<Facts>, ByName<Held>),
    wanted: impl Fn(&Planned) -> bool,
) -> (ByName<Facts>, ByName<Held>) {
    for planned in plan.all.iter().filter(|planned| wanted(planned)) {
        match planned.action {
            Action::Nothing => panic!("nothing is planned for {}", planned.name),
            Action::Push | Action::Activate => {
                let Facts { partition, acl } = here[&planned.name].clone();
                let (name, server) = (planned.name.clone(), OWN.to_owned());
                let now = Held {
                    name: name.clone(),
                    state: State::Active,
                    location: Location { server, partition },
                    acl,
                };
                at_master.insert(name, now);
            }
            Action::Remove => drop(at_master.remove(&planned.name)),
            Action::Away => drop(here.remove(&planned.name)),
        }
    }
    (here, at_master)
}

fn a_murder() -> impl Strategy<Value = (ByName<Facts>, ByName<Held>)> {
    let partition = || prop_oneof![Just("default"), Just("fast")];
    let acl = || prop_oneof![Just("a\tl\t"), Just("a\tlr\t"), Just("")];
    let state = prop_oneof![
        3 => Just(State::Active),
        1 => Just(State::Reserved),
        1 => Just(State::Moving)
    ];
    let server = prop_oneof![Just(OWN), Just("BACKEND1.murder.test"), Just(OTHER)];
    let there = (state, server, partition(), acl());
    let one = (
        proptest::option::of((partition(), acl())),
        proptest::option::of(there),
    );
    proptest::collection::vec(one, 0..80).prop_map(|all| {
        let (mut here, mut at_master) = (ByName::new(), Vec::new());
        for (n, (local, there)) in all.into_iter().enumerate() {
            let text = format!("m{n}");
            if let Some((partition, acl)) = local {
                here.insert(name(&text), facts(partition, acl));
            }
            if let Some((state, server, partition, acl)) = there {
                at_master.push(held(&text, state, (server, partition), acl));
            }
        }
        (here, by_name(at_master))
    })
}

proptest! {
    #[test]
    fn what_was_carried_out_leaves_nothing_to_be_done(murder in a_murder()) {
        let plan = Plan::new(&murder.0, &murder.1, OWN);
        let left = plan.left;
        let (here, at_master) = carried_out(&plan, murder, |_| true);
        let again = Plan::new(&here, &at_master, OWN);
        prop_assert_eq!(&again.all, &[]);
        prop_assert_eq!(again.left, left);
    }

    #[test]
    fn while_deletions_wait_nothing_goes_and_they_are_found_again(murder in a_murder()) {
        let plan = Plan::new(&murder.0, &murder.1, OWN);
        let (here, at_master) = carried_out(&plan, murder.clone(), |it| !it.deletes);
        prop_assert_eq!(&here, &murder.0);
        let active = |all: &ByName<Held>| {
            let active = all.values().filter(|held| held.state != State::Reserved);
            active.map(|held| held.name.clone()).collect::<Vec<_>>()
        };
        for name in active(&murder.1) {
            prop_assert!(at_master.contains_key(&name));
        }
        let again = Plan::new(&here, &at_master, OWN);
        let deletions = |plan: &Plan| plan.deletions().cloned().collect::<Vec<_>>();
        prop_assert_eq!(&again.all, &deletions(&plan));
        // A plan that was cut short anywhere and is made again comes to the same end.
        let (here, at_master) = carried_out(&again, (here, at_master), |_| true);
        prop_assert_eq!(&Plan::new(&here, &at_master, OWN).all, &[]);
    }

    #[test]
    fn busy_names_are_left_alone(murder in a_murder(), odd in any::<bool>()) {
        let busy = |name: &Name| (name.as_bytes().last().unwrap() % 2 == 1) == odd;
        let mut plan = Plan::new(&murder.0, &murder.1, OWN);
        plan.leave(busy);
        prop_assert!(!plan.all.iter().any(|planned| busy(&planned.name)));
        let all = Plan::new(&murder.0, &murder.1, OWN);
        prop_assert_eq!(plan.all.len() + plan.left, all.all.len() + all.left);
    }
}
