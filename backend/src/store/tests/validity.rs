//! UIDVALIDITY through creations, renames and deletions.

use std::collections::BTreeMap;

use proptest::prelude::{Strategy, prop, prop_oneof, proptest};
use proptest::test_runner::Config;
use ravenry_core::mailboxes::Name;

use super::{Order, create, created, name, one, open};
use crate::store::{MailboxId, Store};

const NAMES: [&str; 3] = ["user.alice", "a", "b"];

#[derive(Clone, Debug)]
enum Step {
    Create(usize),
    Delete(usize),
    Rename(usize, usize),
    /// One of those that were deleted.
    Undelete(usize, usize),
    /// As many renames as make the names' past unknown.
    Many,
    Reopen,
}

fn a_step() -> impl Strategy<Value = Step> {
    let at = || 0..NAMES.len();
    prop_oneof![
        6 => at().prop_map(Step::Create),
        4 => at().prop_map(Step::Delete),
        8 => (at(), at()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => (0_usize..9, at()).prop_map(|(which, to)| Step::Undelete(which, to)),
        1 => prop::strategy::Just(Step::Many),
        1 => prop::strategy::Just(Step::Reopen),
    ]
}

fn rename(from: &str, to: &str) -> Order {
    Order::Rename {
        from: name(from),
        to: name(to),
    }
}

fn orders(store: &Store, step: &Step) -> Vec<Order> {
    match *step {
        Step::Create(at) => vec![create(NAMES[at])],
        Step::Delete(at) => vec![Order::Delete {
            name: name(NAMES[at]),
        }],
        Step::Rename(from, to) => vec![rename(NAMES[from], NAMES[to])],
        Step::Undelete(which, to) => {
            let removed = store.removed().unwrap();
            let order = |number: usize| Order::Undelete {
                mailbox: removed[number].mailbox.id,
                name: name(NAMES[to]),
            };
            let some = (!removed.is_empty()).then(|| order(which % removed.len()));
            some.into_iter().collect()
        }
        Step::Many => {
            let numbered = |number: usize| format!("many.{number}");
            let renames = (0..9).map(|number| rename(&numbered(number), &numbered(number + 1)));
            let delete = Order::Delete {
                name: name("many.9"),
            };
            let create = create("many.0");
            [create]
                .into_iter()
                .chain(renames)
                .chain([delete])
                .collect()
        }
        Step::Reopen => Vec::new(),
    }
}

proptest! {
    #![proptest_config(Config { cases: 12, ..Config::default() })]

    /// What a client knows of a name's UIDs is never another mailbox' by the same UIDVALIDITY, nor by a smaller one.
    #[test]
    fn a_uidvalidity_never_means_two_mailboxes(
        steps in prop::collection::vec(a_step(), 10..50),
    ) {
        let root = tempfile::tempdir().unwrap();
        let (mut writer, mut store, _) = open(root.path());
        let mut last: BTreeMap<Name, (u32, MailboxId)> = BTreeMap::new();
        let mut given: BTreeMap<u32, MailboxId> = BTreeMap::new();
        for step in steps {
            writer.carry_out(&orders(&store, &step));
            if let Step::Reopen = step {
                drop((writer, store));
                (writer, store, _) = open(root.path());
            }
            let each = store.each_mailbox(|mailbox| {
                let now = (mailbox.uidvalidity, mailbox.id);
                let owner = *given.entry(now.0).or_insert(now.1);
                assert_eq!(owner, now.1, "no two mailboxes have it");
                if let Some(was) = last.insert(mailbox.name.clone(), now) {
                    assert!(now.0 > was.0 || now == was, "{}: {was:?}, {now:?}", mailbox.name);
                }
            });
            each.unwrap();
        }
    }
}

fn validity(store: &Store, of: &str) -> u32 {
    store.mailbox(&name(of)).unwrap().unwrap().uidvalidity
}

#[test]
fn a_rename_keeps_it_where_nothing_greater_was() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    created(&mut writer, "a");
    created(&mut writer, "b");
    let (first, second) = (validity(&store, "a"), validity(&store, "b"));
    assert!(second > first);
    one(&mut writer, rename("a", "c")).unwrap();
    assert_eq!(validity(&store, "c"), first);
    one(&mut writer, rename("c", "a")).unwrap();
    assert_eq!(validity(&store, "a"), first, "it had the name itself");
    one(&mut writer, rename("b", "c")).unwrap();
    assert_eq!(validity(&store, "c"), second, "the other one's was smaller");
    one(&mut writer, rename("a", "b")).unwrap();
    let third = validity(&store, "b");
    assert!(third > second, "the name had a greater one");
    created(&mut writer, "a");
    assert!(validity(&store, "a") > third);
}
