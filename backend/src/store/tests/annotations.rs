//! Annotations: whose they are, where they go with their mailbox, and how many there may be.

use ravenry_core::mailboxes::UserId;
use ravenry_core::proto::imap::MetadataEntry;

use super::{Order, Outcome, Refused, created, name, one, open};
use crate::store::annotations::ANNOTATIONS_MAX;
use crate::store::transaction::Transaction;
use crate::store::{MailboxId, Store, Writer, Wrong};

fn entry(name: &str) -> MetadataEntry {
    MetadataEntry::parse(name.as_bytes()).unwrap()
}

fn user(name: &str) -> UserId {
    UserId::parse(name.as_bytes()).unwrap()
}

fn annotate(
    writer: &mut Writer,
    of: Option<MailboxId>,
    who: &str,
    values: &[(&str, Option<&str>)],
) -> Result<Outcome, Refused> {
    let values = values.iter();
    let values = values.map(|(name, value)| (entry(name), value.map(|it| it.as_bytes().to_vec())));
    let order = Order::Annotate {
        of,
        user: user(who),
        values: values.collect(),
    };
    one(writer, order)
}

/// What a user finds, as text.
fn seen(store: &Store, of: Option<MailboxId>, who: &str) -> String {
    let all = store.annotations(of, &user(who)).unwrap().into_iter();
    let all = all.map(|(entry, size)| {
        let value = store.annotation(of, &user(who), &entry).unwrap().unwrap();
        assert_eq!(value.len() as u64, size);
        format!("{entry}={}", String::from_utf8(value).unwrap())
    });
    all.collect::<Vec<_>>().join(" ")
}

fn is_clean(store: &Store) -> bool {
    store.check(false, |_| {}).unwrap().findings.is_empty()
}

#[test]
fn private_ones_are_each_users_and_shared_ones_are_everybodys() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let of = Some(created(&mut writer, "shared"));
    let both = [("/shared/a", Some("1")), ("/private/a", Some("2"))];
    annotate(&mut writer, of, "alice", &both).unwrap();
    annotate(&mut writer, of, "al", &[("/private/b", Some(""))]).unwrap();
    annotate(&mut writer, None, "al", &[("/private/b", Some("x"))]).unwrap();
    assert_eq!(seen(&store, of, "alice"), "/private/a=2 /shared/a=1");
    assert_eq!(seen(&store, of, "al"), "/private/b= /shared/a=1");
    assert_eq!(
        (seen(&store, None, "al"), seen(&store, None, "alice")),
        ("/private/b=x".to_owned(), String::new())
    );
    let gone = [
        ("/shared/a", None),
        ("/private/a", None),
        ("/shared/x", None),
    ];
    annotate(&mut writer, of, "alice", &gone).unwrap();
    assert_eq!(seen(&store, of, "alice"), "");
    assert_eq!(seen(&store, of, "al"), "/private/b=");
    drop((writer, store));
    let (_writer, store, _) = open(root.path());
    assert_eq!(seen(&store, of, "al"), "/private/b=");
    assert!(is_clean(&store));
}

#[test]
fn they_go_where_their_mailbox_goes() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let id = created(&mut writer, "a");
    let both = [("/shared/a", Some("1")), ("/private/a", Some("2"))];
    annotate(&mut writer, Some(id), "alice", &both).unwrap();
    let rename = Order::Rename {
        from: name("a"),
        to: name("b"),
    };
    one(&mut writer, rename).unwrap();
    let another = created(&mut writer, "a");
    assert_eq!(seen(&store, Some(another), "alice"), "");
    let delete = |writer: &mut Writer| one(writer, Order::Delete { name: name("b") }).unwrap();
    delete(&mut writer);
    let refused = annotate(&mut writer, Some(id), "alice", &both);
    assert_eq!(refused, Err(Refused::NoMailbox));
    let back = Order::Undelete {
        mailbox: id,
        name: name("b"),
    };
    one(&mut writer, back).unwrap();
    assert_eq!(seen(&store, Some(id), "alice"), "/private/a=2 /shared/a=1");
    let all = Order::MoveAll {
        from: name("b"),
        to: name("a"),
    };
    one(&mut writer, all).unwrap();
    delete(&mut writer);
    one(&mut writer, Order::Purge { before: i64::MAX }).unwrap();
    assert_eq!(seen(&store, Some(id), "alice"), "");
    assert_eq!(
        seen(&store, Some(another), "alice"),
        "/private/a=2 /shared/a=1"
    );
    assert!(is_clean(&store));
}

#[test]
fn a_users_own_go_with_the_user() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let own = Some(created(&mut writer, "user.alice"));
    let other = Some(created(&mut writer, "shared"));
    for of in [own, other, None] {
        let all = [("/private/a", Some("1")), ("/shared/a", Some("2"))];
        annotate(&mut writer, of, "alice", &all).unwrap();
        annotate(&mut writer, of, "alice.b", &all[..1]).unwrap();
    }
    let mut hand_over = |user: &str, to: Option<&str>| {
        let to = to.map(|to| UserId::parse(to.as_bytes()).unwrap());
        let user = UserId::parse(user.as_bytes()).unwrap();
        one(&mut writer, Order::HandOverPrivate { user, to }).unwrap();
    };
    hand_over("alice", None);
    assert_eq!(seen(&store, own, "alice"), "/private/a=1 /shared/a=2");
    for of in [other, None] {
        assert_eq!(seen(&store, of, "alice"), "/shared/a=2");
    }
    hand_over("alice.b", Some("carol"));
    for of in [own, other, None] {
        assert_eq!(seen(&store, of, "alice.b"), "/shared/a=2");
        assert_eq!(seen(&store, of, "carol"), "/private/a=1 /shared/a=2");
    }
    hand_over("carol", None);
    assert_eq!(seen(&store, other, "carol"), "/shared/a=2");
    assert!(is_clean(&store));
}

#[test]
fn there_is_an_end_to_them() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let of = Some(created(&mut writer, "a"));
    for scope in ["/shared", "/private"] {
        for number in 0..ANNOTATIONS_MAX {
            let name = format!("{scope}/{number}");
            annotate(&mut writer, of, "alice", &[(&name, Some("x"))]).unwrap();
        }
        let (more, last) = (format!("{scope}/x"), format!("{scope}/0"));
        let both = [(more.as_str(), Some("x")), (last.as_str(), Some("y"))];
        let refused = annotate(&mut writer, of, "alice", &both);
        assert_eq!(refused, Err(Refused::AnnotationsFull));
        assert!(seen(&store, of, "alice").contains(&format!("{last}=x")));
        let instead = [(more.as_str(), Some("x")), (last.as_str(), None)];
        annotate(&mut writer, of, "alice", &instead).unwrap();
        annotate(&mut writer, of, "alice", &[(&more, Some("z"))]).unwrap();
        let found = store.annotations(of, &user("alice")).unwrap();
        let of_scope = |(entry, _): &&(MetadataEntry, u64)| entry.as_str().starts_with(scope);
        assert_eq!(found.iter().filter(of_scope).count(), ANNOTATIONS_MAX);
    }
    let half = "x".repeat(65_000);
    let both = [("/private/a", Some(&*half)), ("/private/b", Some(&*half))];
    annotate(&mut writer, of, "bob", &both).unwrap();
    let refused = annotate(&mut writer, of, "bob", &[("/private/c", Some(&*half))]);
    assert_eq!(refused, Err(Refused::AnnotationsFull));
    let instead = [("/private/b", None), ("/private/c", Some(&*half))];
    annotate(&mut writer, of, "bob", &instead).unwrap();
    drop((writer, store));
    let small = crate::store::Settings {
        index_size: 4096,
        ..super::settings(root.path())
    };
    let (mut writer, store, _) = super::open_with(&small).unwrap();
    let refused = annotate(&mut writer, of, "bob", &[("/private/a", Some("y"))]);
    assert_eq!(refused, Err(Refused::Full));
    annotate(&mut writer, of, "bob", &[("/private/a", None)]).unwrap();
    assert!(!seen(&store, of, "bob").contains("/private/a"));
}

#[test]
fn what_nobody_finds_is_found_by_a_check() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let of = Some(created(&mut writer, "a"));
    let both = [("/private/a", Some("x")), ("/shared/a", Some("x"))];
    annotate(&mut writer, of, "alice", &both).unwrap();
    assert!(is_clean(&store));
    let shared = &writer.store.shared;
    let mut transaction = Transaction::begin(shared).unwrap();
    let annotators = shared.tables.annotators;
    annotators.clear(&mut transaction.writing).unwrap();
    transaction.commit().unwrap();
    let found = store.check(false, |_| {}).unwrap().findings;
    let wrong: Vec<Wrong> = found.into_iter().map(|finding| finding.wrong).collect();
    assert_eq!(wrong, [Wrong::Annotation("/private/a".to_owned())]);
}
