//! LIST by the reverse ACL is LIST by looking at every name.

use std::convert::Infallible;

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
use proptest::test_runner::Config;
use ravenry_core::mailboxes::{
    Acl, Groups, Identity, ListCursor, ListQuery, Listed, Name, Namespace, Part, Progress, Rights,
    UserId, Walk,
};

use super::super::transaction::Transaction;
use super::{Order, created, name, open};
use crate::store::{SpecialUse, Store, Visible, Wrong};

/// Every name, in the list's order.
struct All<'a> {
    names: Vec<(Vec<u8>, Visible)>,
    at: Option<usize>,
    next: usize,
    who: &'a Identity,
    part: Part,
}

impl Walk for All<'_> {
    type Mailbox = Visible;
    type Seen = Visible;
    type Error = Infallible;

    fn next(&mut self) -> Result<bool, Infallible> {
        self.at = Some(self.next).filter(|at| *at < self.names.len());
        self.next += 1;
        Ok(self.at.is_some())
    }

    fn seek(&mut self, key: &[u8]) -> Result<(), Infallible> {
        let before = self.names.partition_point(|(name, _)| &name[..] < key);
        self.next = self.next.max(before);
        Ok(())
    }

    fn key(&self) -> &[u8] {
        self.at.map_or(&[], |at| &self.names[at].0)
    }

    fn seen(&self) -> Result<Option<(Name, Visible)>, Infallible> {
        let found = self.at.map(|at| self.names[at].1.clone());
        let seen = found.filter(|(mailbox, rights)| {
            rights.contains(Rights::LOOKUP) && !self.part.leaves_out(&mailbox.name, self.who)
        });
        Ok(seen.map(|seen| (seen.0.name.clone(), seen)))
    }

    fn mailbox(_name: Name, seen: Visible) -> Visible {
        seen
    }
}

fn by_all_names(store: &Store, query: &ListQuery, who: &Identity) -> Vec<Listed<Visible>> {
    let mut all = Vec::new();
    let each = store.each_mailbox(|mailbox| {
        let rights = mailbox.acl.rights_on(&mailbox.name, who);
        all.push((mailbox.name.to_key(), (mailbox, rights)));
    });
    each.unwrap();
    let (mut cursor, mut lines) = (ListCursor::default(), Vec::new());
    let open = |part, from: &[u8], end: Option<&[u8]>| {
        let inside = |key: &[u8]| key >= from && end.is_none_or(|end| key < end);
        let names = all.iter().filter(|(key, _)| inside(key)).cloned().collect();
        Ok(All {
            names,
            at: None,
            next: 0,
            who,
            part,
        })
    };
    let take = |line| lines.push(line);
    let Ok(progress) = query.chunk(&mut cursor, usize::MAX, open, take);
    assert_eq!(progress, Progress::Done);
    lines
}

fn by_access(store: &Store, query: &ListQuery, who: &Identity) -> Vec<Listed<Visible>> {
    let (mut cursor, mut lines) = (ListCursor::default(), Vec::new());
    while let Progress::More = store
        .list_chunk((query, who), &mut cursor, 3, |line| lines.push(line))
        .unwrap()
    {}
    lines
}

#[derive(Clone, Debug)]
enum Step {
    Create(Name, Acl),
    Delete(Name),
    /// With the name that is given to it.
    UndeleteLast(Name),
    Rename(Name, Name),
    SetAcl(Name, Acl),
}

fn a_name() -> impl Strategy<Value = Name> {
    let names = [
        "user.alice",
        "user.alice.a",
        "user.alice.a.b",
        "user.alice-b",
        "user.bob",
        "user.bob.INBOX",
        "user.bob.x^y",
        "user",
        "a",
        "shared.a",
        "shared.b",
        "zz",
        "DELETED.user.alice",
        "a.org!user.alice",
        "a.org!user.alice.a",
        "a.org!shared",
        "b.org!user.bob",
    ];
    prop::sample::select(names.to_vec())
        .prop_map(|text| Name::from_mupdate(text.as_bytes()).unwrap())
}

fn an_acl() -> impl Strategy<Value = Acl> {
    let identifiers = [
        "alice",
        "bob",
        "alice@a.org",
        "anyone",
        "-anyone",
        "-alice",
        "group:staff",
        "group:a-group-with-a-very-long-name",
        "cyrus",
    ];
    let rights = ["lrs", "l", "r", "lrswipkxtecda"];
    let entry = (
        prop::sample::select(identifiers.to_vec()),
        prop::sample::select(rights.to_vec()),
    );
    prop::collection::vec(entry, 0..4).prop_map(|entries| {
        let entries = entries.iter();
        let text: String = entries
            .map(|(who, what)| format!("{who}\t{what}\t"))
            .collect();
        Acl::new(text.as_bytes())
    })
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (a_name(), an_acl()).prop_map(|(name, acl)| Step::Create(name, acl)),
        2 => a_name().prop_map(Step::Delete),
        1 => a_name().prop_map(Step::UndeleteLast),
        2 => (a_name(), a_name()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => (a_name(), an_acl()).prop_map(|(name, acl)| Step::SetAcl(name, acl)),
    ]
}

fn order(store: &Store, step: Step) -> Option<Order> {
    Some(match step {
        Step::Create(name, acl) => Order::Create {
            name,
            partition: "default".to_owned(),
            acl,
            special_use: SpecialUse::NONE,
        },
        Step::Delete(name) => Order::Delete { name },
        Step::UndeleteLast(name) => Order::Undelete {
            mailbox: store.removed().unwrap().last()?.mailbox.id,
            name,
        },
        Step::Rename(from, to) => Order::Rename { from, to },
        Step::SetAcl(name, acl) => Order::SetAcl { name, acl },
    })
}

fn identity(user: UserId, admin: bool) -> Identity {
    let groups = Groups::parse("staff: bob\na-group-with-a-very-long-name: alice, bob").unwrap();
    Identity::new(user, admin, &groups)
}

fn a_view() -> impl Strategy<Value = (Identity, Namespace)> {
    let plain = prop_oneof![
        Just(("alice", false)),
        Just(("bob", false)),
        Just(("carol", false)),
        Just(("cyrus", true)),
    ];
    let domains = prop_oneof![
        Just(("alice@a.org", false)),
        Just(("bob@b.org", false)),
        Just(("bob", false)),
        Just(("cyrus@a.org", true)),
    ];
    let who = prop_oneof![
        plain.prop_map(|who| (who, None)),
        domains.prop_map(|who| (who, Some("example.com"))),
    ];
    (who, any::<bool>(), prop::sample::select(b"./".to_vec())).prop_map(
        |(((user, admin), default_domain), alt, separator)| {
            let namespace = Namespace {
                separator,
                alt,
                default_domain,
            };
            let user = namespace.user(user.as_bytes()).unwrap();
            (identity(user, admin), namespace)
        },
    )
}

const PATTERNS: [&str; 9] = [
    "*",
    "%",
    "INBOX/%",
    "user/%",
    "user/bob/*",
    "Other Users/%",
    "Shared Folders/*",
    "*a",
    "shared/a",
];

proptest! {
    #![proptest_config(Config { cases: 16, ..Config::default() })]

    #[test]
    fn the_reverse_acl_shows_what_all_names_show(
        steps in prop::collection::vec(a_step(), 1..40),
        views in prop::collection::vec(a_view(), 4),
    ) {
        let root = tempfile::tempdir().unwrap();
        let (mut writer, store, _) = open(root.path());
        for piece in steps.chunks(5) {
            let orders = piece.iter().filter_map(|step| order(&store, step.clone()));
            let orders: Vec<Order> = orders.collect();
            writer.carry_out(&orders);
        }
        for (who, namespace) in views {
            let delimiter = char::from(namespace.delimiter()).to_string();
            for pattern in PATTERNS {
                let pattern = pattern.replace('/', &delimiter);
                let query = ListQuery::new(who.clone(), namespace, b"", &[pattern.as_bytes()]);
                let query = query.unwrap();
                let (one, other) = (by_access(&store, &query, &who), by_all_names(&store, &query, &who));
                assert_eq!(one, other, "{who:?} {namespace:?} {pattern}");
            }
        }
        assert_eq!(store.check(false, |_| {}).unwrap().findings, []);
    }
}

pub(super) fn seen_by(store: &Store, user: &str) -> Vec<String> {
    let who = identity(UserId::parse(user.as_bytes()).unwrap(), false);
    let namespace = Namespace {
        separator: b'.',
        alt: false,
        default_domain: None,
    };
    let query = ListQuery::new(who.clone(), namespace, b"", &[b"*"]).unwrap();
    let lines = by_access(store, &query, &who).into_iter();
    lines
        .map(|line| String::from_utf8(line.name).unwrap())
        .collect()
}

#[test]
fn a_reverse_acl_that_is_wrong_is_found() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    created(&mut writer, "shared.a");
    created(&mut writer, "shared.b");
    let access = store.shared.tables.access;
    let mut transaction = Transaction::begin(&store.shared).unwrap();
    let (lost, stray) = (b"alice\0shared\0a".as_slice(), b"bob\0shared\0b".as_slice());
    assert!(access.delete(&mut transaction.writing, lost).unwrap());
    access.put(&mut transaction.writing, stray, b"").unwrap();
    transaction.commit().unwrap();
    let findings = store.check(false, |_| {}).unwrap().findings;
    let wrong: Vec<_> = findings
        .into_iter()
        .map(|it| (it.name.unwrap(), it.wrong))
        .collect();
    let expected = ["shared.a", "shared.b"].map(|text| (name(text), Wrong::Access));
    assert_eq!(wrong, expected);
}
