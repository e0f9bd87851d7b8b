//! The table of docs/protocols/mupdate-server.md, a line for each of its cells.

use ravenry_core::config::Conflicts::{Cyrus, Strict};

use super::*;

const OWN: &str = "b1.test!p";
const OTHER: &str = "b2.test!p";

/// An account bound to the server of the commands, or to none.
fn account(server: Option<&str>) -> Account {
    Account {
        name: "x".to_owned(),
        server: server.map(str::to_owned),
        write: true,
    }
}

fn name() -> Name {
    Name::from_mupdate(b"user.alice").unwrap()
}

fn held(state: State) -> Option<Entry> {
    Some(Entry {
        id: 1,
        state,
        location: Location::parse(OWN.as_bytes()),
        acl: Acl::new(b"alice\tlrs\t"),
        sequence: 1,
    })
}

fn ask(verb: &str, location: &str) -> Ask {
    let (name, location) = (name(), Location::parse(location.as_bytes()));
    match verb {
        "RESERVE" => Ask::Reserve { name, location },
        "ACTIVATE" => Ask::Activate {
            name,
            location,
            acl: Acl::new(b"alice\tl\t"),
        },
        "DEACTIVATE" => Ask::Deactivate { name, location },
        _ => Ask::Delete { name },
    }
}

/// What becomes of a name: `+` and the first letter of its new state, or the answer.
fn outcome(held: Option<&Entry>, account: &Account, ask: &Ask, conflicts: Conflicts) -> String {
    let verdict = decide(held, account, ask, conflicts);
    assert_eq!(verdict.answer == Answer::Done, verdict.change.is_some());
    let at = |kind: &str, location: &Location| format!("{kind} {}", location.server);
    match verdict.change {
        Some(Change::Active { location, .. }) => at("active", &location),
        Some(Change::Reserved { location, .. }) => at("reserved", &location),
        Some(Change::Moving { location, .. }) => at("moving", &location),
        Some(Change::Deleted { .. }) => "absent".to_owned(),
        None => format!("{:?}", verdict.answer),
    }
}

/// For one state: RESERVE, ACTIVATE, DEACTIVATE and DELETE by its own server, then by another.
fn row(state: Option<State>, conflicts: Conflicts) -> Vec<String> {
    let held = state.and_then(held);
    let mut row = Vec::new();
    for (location, bound) in [(OWN, "b1.test"), (OTHER, "b2.test")] {
        for verb in ["RESERVE", "ACTIVATE", "DEACTIVATE", "DELETE"] {
            let bound = account(Some(bound));
            row.push(outcome(
                held.as_ref(),
                &bound,
                &ask(verb, location),
                conflicts,
            ));
        }
    }
    row
}

#[test]
fn absent() {
    let own = ["reserved b1.test", "active b1.test", "NotThere", "NotThere"];
    let other = ["reserved b2.test", "active b2.test", "NotThere", "NotThere"];
    for conflicts in [Strict, Cyrus] {
        assert_eq!(row(None, conflicts), [own, other].concat());
    }
}

#[test]
fn reserved() {
    let own = ["reserved b1.test", "active b1.test", "NotActive", "absent"];
    let other = ["Exists", "NotYours", "NotActive", "NotYours"];
    assert_eq!(row(Some(State::Reserved), Strict), [own, other].concat());
    let other = ["Exists", "active b2.test", "NotActive", "NotYours"];
    assert_eq!(row(Some(State::Reserved), Cyrus), [own, other].concat());
}

#[test]
fn moving() {
    let own = ["reserved b1.test", "active b1.test", "NotActive", "absent"];
    let other = ["Exists", "active b2.test", "NotActive", "NotYours"];
    for conflicts in [Strict, Cyrus] {
        assert_eq!(row(Some(State::Moving), conflicts), [own, other].concat());
    }
}

#[test]
fn active() {
    let own = [
        "reserved b1.test",
        "active b1.test",
        "moving b1.test",
        "absent",
    ];
    let other = ["Exists", "NotYours", "NotYours", "NotYours"];
    assert_eq!(row(Some(State::Active), Strict), [own, other].concat());
    let other = ["Exists", "active b2.test", "moving b2.test", "NotYours"];
    assert_eq!(row(Some(State::Active), Cyrus), [own, other].concat());
}

#[test]
fn an_account_that_is_bound_speaks_for_its_server_alone() {
    let bound = account(Some("b2.test"));
    for state in [
        None,
        Some(State::Active),
        Some(State::Reserved),
        Some(State::Moving),
    ] {
        let held = state.and_then(held);
        for verb in ["RESERVE", "ACTIVATE", "DEACTIVATE"] {
            for conflicts in [Strict, Cyrus] {
                let said = outcome(held.as_ref(), &bound, &ask(verb, OWN), conflicts);
                assert_eq!(said, "Foreign", "{verb}");
            }
        }
    }
}

#[test]
fn an_account_that_is_not_bound_deletes_anything() {
    for state in [State::Active, State::Reserved, State::Moving] {
        let free = account(None);
        let said = outcome(held(state).as_ref(), &free, &ask("DELETE", ""), Strict);
        assert_eq!(said, "absent");
    }
}

#[test]
fn who_may_not_write_changes_nothing() {
    let reader = Account {
        write: false,
        ..account(None)
    };
    for held in [None, held(State::Active)] {
        for verb in ["RESERVE", "ACTIVATE", "DEACTIVATE", "DELETE"] {
            let said = outcome(held.as_ref(), &reader, &ask(verb, OWN), Cyrus);
            assert_eq!(said, "MayNotWrite");
        }
    }
}

#[test]
fn servers_are_compared_and_partitions_are_not() {
    let free = account(None);
    let said = |location, conflicts| {
        let held = held(State::Active);
        outcome(held.as_ref(), &free, &ask("RESERVE", location), conflicts)
    };
    assert_eq!(said("B1.Test!", Strict), "reserved B1.Test");
    assert_eq!(said("b1.test.evil!p", Strict), "Exists");
    // Cyrus compares the whole.
    assert_eq!(said("b1.test!", Cyrus), "Exists");
    assert_eq!(said(OWN, Cyrus), "reserved b1.test");
}

#[test]
fn whose_the_name_is_is_told() {
    let held = held(State::Active);
    let told = |verb, conflicts| {
        decide(held.as_ref(), &account(None), &ask(verb, OTHER), conflicts).against
    };
    assert_eq!(told("ACTIVATE", Strict).as_deref(), Some("b1.test"));
    assert_eq!(told("ACTIVATE", Cyrus).as_deref(), Some("b1.test"));
    assert_eq!(told("RESERVE", Strict).as_deref(), Some("b1.test"));
    let own = decide(held.as_ref(), &account(None), &ask("ACTIVATE", OWN), Strict);
    assert_eq!(own.against, None);
}
