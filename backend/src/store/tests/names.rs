//! What mailboxes are for, who is subscribed to what, and names in domains.

use ravenry_core::mailboxes::UserId;

use super::{Order, Outcome, Refused, create, created, name, one, open};
use crate::store::SpecialUse;

#[test]
fn a_mailbox_is_for_what_it_was_said_to_be() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let use_of = |attribute: &str| SpecialUse::parse(attribute.as_bytes()).unwrap();
    let mut made = create("user.alice.Sent");
    if let Order::Create { special_use, .. } = &mut made {
        *special_use = use_of("\\Sent");
    }
    one(&mut writer, made).unwrap();
    let found = || store.mailbox(&name("user.alice.Sent")).unwrap().unwrap();
    assert_eq!(found().special_use, use_of("\\Sent"));
    let both = use_of("\\Trash").and(use_of("\\Junk"));
    for special_use in [both, SpecialUse::NONE] {
        let name = name("user.alice.Sent");
        let set = Order::SetSpecialUse { name, special_use };
        assert_eq!(one(&mut writer, set), Ok(Outcome::Done));
        assert_eq!(found().special_use, special_use);
    }
    let nobody = Order::SetSpecialUse {
        name: name("user.bob"),
        special_use: both,
    };
    assert_eq!(one(&mut writer, nobody), Err(Refused::NoMailbox));
}

#[test]
fn subscriptions_are_to_names_and_each_users_own() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let user = |text: &str| UserId::parse(text.as_bytes()).unwrap();
    // The longest names that there may be are more than a key can hold.
    let (long_user, long_name) = ("u".repeat(200), format!("shared.{}", "n".repeat(480)));
    let mut subscribe = |who: &str, what: &str, on| {
        let (user, name) = (user(who), name(what));
        let subscribed = one(&mut writer, Order::Subscribe { user, name, on });
        assert_eq!(subscribed, Ok(Outcome::Done));
    };
    for what in [
        "user.alice.b-c",
        "shared.x",
        "user.alice.b.d",
        "user.alice",
        &long_name,
    ] {
        subscribe("alice", what, true);
    }
    subscribe("alice", "user.alice", true);
    subscribe("alice2", "shared.y", true);
    subscribe(&long_user, &long_name, true);
    subscribe("alice", "shared.x", false);
    subscribe("alice", "shared.unknown", false);
    let names = |who: &str| store.subscriptions(&user(who)).unwrap();
    let expected = [
        &*long_name,
        "user.alice",
        "user.alice.b.d",
        "user.alice.b-c",
    ];
    assert_eq!(names("alice"), expected.map(name));
    assert_eq!(names("ALICE2"), [name("shared.y")]);
    assert_eq!(names(&long_user), [name(&long_name)]);
    assert!(names("alic").is_empty());
    let inbox = created(&mut writer, "user.alice");
    let rename = Order::Rename {
        from: name("user.alice"),
        to: name("user.carol"),
    };
    one(&mut writer, rename).unwrap();
    let delete = Order::Delete {
        name: name("user.carol"),
    };
    one(&mut writer, delete).unwrap();
    assert!(store.mailbox_by_id(inbox).unwrap().is_some());
    assert_eq!(names("alice"), expected.map(name));
}

#[test]
fn nobody_is_subscribed_to_more_than_the_store_can_bear() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let user = UserId::parse(b"alice").unwrap();
    let subscribe = |number: usize, on| Order::Subscribe {
        user: user.clone(),
        name: name(&format!("shared.{number}")),
        on,
    };
    for first in (0..10_000).step_by(1000) {
        let some: Vec<Order> = (first..first + 1000)
            .map(|number| subscribe(number, true))
            .collect();
        assert!(writer.carry_out(&some).outcomes.iter().all(Result::is_ok));
    }
    let refused = Err(Refused::SubscriptionsFull);
    assert_eq!(one(&mut writer, subscribe(10_000, true)), refused);
    assert_eq!(one(&mut writer, subscribe(7, true)), Ok(Outcome::Done));
    assert_eq!(one(&mut writer, subscribe(7, false)), Ok(Outcome::Done));
    assert_eq!(one(&mut writer, subscribe(10_000, true)), Ok(Outcome::Done));
    assert_eq!(store.subscriptions(&user).unwrap().len(), 10_000);
}

#[test]
fn a_name_may_be_in_a_domain() {
    let root = tempfile::tempdir().unwrap();
    let inbox = UserId::in_domains(b"bob@example.org", "other.example");
    let inbox = inbox.unwrap().inbox();
    let (mut writer, store, _) = open(root.path());
    let mut made = create("user.bob");
    if let Order::Create { name, .. } = &mut made {
        name.clone_from(&inbox);
    }
    one(&mut writer, made).unwrap();
    drop((writer, store));
    let (_writer, store, _) = open(root.path());
    assert_eq!(store.mailbox(&inbox).unwrap().unwrap().name, inbox);
}

#[test]
fn a_mailbox_says_its_name_to_those_who_have_the_files_alone() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.bob");
    let mailbox = store.mailbox_by_id(inbox).unwrap().unwrap();
    let label = store.path(&mailbox, 1).with_file_name("name");
    let says = || std::fs::read_to_string(&label).unwrap();
    assert_eq!(says(), "user.bob\n");
    let rename = |from: &str, to: &str| Order::Rename {
        from: name(from),
        to: name(to),
    };
    one(&mut writer, rename("user.bob", "user.carol")).unwrap();
    assert_eq!(says(), "user.carol\n");
    // What is refused with others is taken back with them.
    let orders = || Ok(vec![rename("user.carol", "x"), rename("user.nobody", "y")]);
    let refused = writer.all_or_nothing(|_| orders());
    assert_eq!(refused, Err(Refused::NoMailbox));
    assert_eq!(says(), "user.carol\n");
    // What a crash left is put right.
    std::fs::write(&label, "user.x").unwrap();
    let mark = root.path().join("state/backend/open");
    drop((writer, store));
    std::fs::write(mark, "").unwrap();
    let (_writer, _store, found) = open(root.path());
    assert!(found.crashed);
    assert_eq!(says(), "user.carol\n");
}
