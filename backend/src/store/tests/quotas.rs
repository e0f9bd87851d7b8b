//! Quotas: what counts for which root, and what is refused.

use super::{Order, Outcome, Refused, append, create, created, incoming, name, one, open, uids};
use crate::store::{Flags, Limits, MailboxId, Quota, Settable, Store, Usage, Writer};

fn set(writer: &mut Writer, root: &str, limits: Option<Limits>) {
    let root = name(root);
    let done = one(writer, Order::SetQuota { root, limits });
    assert_eq!(done, Ok(Outcome::Done));
}

fn used(store: &Store, root: &str) -> (u64, u64, u64) {
    let usage = store.quota(&name(root)).unwrap().unwrap().usage;
    (usage.storage, usage.messages, usage.mailboxes)
}

const FREE: Limits = Limits {
    storage: None,
    messages: None,
    mailboxes: None,
};

#[test]
fn the_nearest_root_counts() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let names = [
        "user.alice",
        "user.alice.a",
        "user.alice.a.b",
        "user.alice2",
    ];
    for text in names {
        let mailbox = created(&mut writer, text);
        append(&mut writer, &store, mailbox, b"four", Flags::DELETED);
    }
    set(&mut writer, "user", Some(FREE));
    assert_eq!(used(&store, "user"), (16, 4, 4));
    set(&mut writer, "user.alice", Some(FREE));
    assert_eq!(
        (used(&store, "user"), used(&store, "user.alice")),
        ((4, 1, 1), (12, 3, 3))
    );
    set(&mut writer, "user.alice.a.b", Some(FREE));
    set(&mut writer, "user.alice.a", Some(FREE));
    let roots = ["user", "user.alice", "user.alice.a", "user.alice.a.b"];
    for each in roots {
        assert_eq!(used(&store, each), (4, 1, 1), "{each}");
    }
    let nearest = |text: &str| store.quota_root_of(&name(text)).unwrap();
    assert_eq!(nearest("user.alice.a.x"), Some(name("user.alice.a")));
    assert_eq!(nearest("user.alice2"), Some(name("user")));
    assert_eq!(nearest("shared.x"), None);
    set(&mut writer, "user.alice.a", None);
    set(&mut writer, "user.alice.a", None);
    assert_eq!(used(&store, "user.alice"), (8, 2, 2));
    let limits = Limits {
        messages: Some(1),
        ..FREE
    };
    set(&mut writer, "user.alice", Some(limits));
    drop((writer, store));
    let (mut writer, store, _) = open(root.path());
    let usage = Usage {
        storage: 8,
        messages: 2,
        mailboxes: 2,
    };
    let mut all = Vec::new();
    store.each_quota(|quota| all.push(quota)).unwrap();
    let expected = Quota {
        root: name("user.alice"),
        limits,
        usage,
    };
    assert_eq!((all.len(), &all[1]), (3, &expected));
    set(&mut writer, "user", None);
    set(&mut writer, "user.alice", None);
    assert_eq!(store.quota(&name("user.alice")).unwrap(), None);
}

fn move_to(
    writer: &mut Writer,
    from: MailboxId,
    to: MailboxId,
    moves: bool,
) -> Result<Outcome, Refused> {
    let uids = uids("1:99");
    one(
        writer,
        Order::Copy {
            from,
            uids,
            to,
            moves,
            keep: Settable::ALL,
        },
    )
}

#[test]
fn what_grows_past_a_limit_is_refused_and_what_shrinks_never() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    let below = created(&mut writer, "user.alice.a");
    let other = created(&mut writer, "user.bob");
    let limits = Limits {
        storage: Some(8),
        messages: Some(3),
        mailboxes: Some(3),
    };
    set(&mut writer, "user.alice", Some(limits));
    let refused = Err(Refused::OverQuota);
    let many = |store: &Store, bodies: &[&[u8]]| Order::Append {
        mailbox: inbox,
        messages: bodies
            .iter()
            .map(|body| incoming(store, body, Flags::DELETED, &[]))
            .collect(),
    };
    let nine = many(&store, &[b"12345", b"6789"]);
    assert_eq!(one(&mut writer, nine), refused);
    let four = many(&store, &[b"", b"", b"", b""]);
    assert_eq!(one(&mut writer, four), refused);
    assert_eq!(used(&store, "user.alice"), (0, 0, 2));
    // Two that fit one by one, and not together.
    let both = [many(&store, &[b"12345"]), many(&store, &[b"6789"])];
    let outcomes = writer.carry_out(&both).outcomes;
    assert!(matches!(&outcomes[..], [Ok(_), Err(Refused::OverQuota)]));
    assert_eq!(move_to(&mut writer, inbox, below, false), refused);
    // Neither is one that stays within its root.
    assert!(move_to(&mut writer, inbox, below, true).is_ok());
    assert_eq!(used(&store, "user.alice"), (5, 1, 2));
    append(&mut writer, &store, other, b"four", 0);
    assert_eq!(move_to(&mut writer, other, inbox, true), refused);
    let limits = Limits {
        storage: Some(1),
        messages: Some(0),
        mailboxes: Some(1),
    };
    set(&mut writer, "user.alice", Some(limits));
    assert_eq!(one(&mut writer, create("user.alice.c")), refused);
    let rename = |from: &str, to: &str| Order::Rename {
        from: name(from),
        to: name(to),
    };
    assert_eq!(
        one(&mut writer, rename("user.bob", "user.alice.bob")),
        refused
    );
    assert!(one(&mut writer, rename("user.alice.a", "user.alice.b")).is_ok());
    assert_eq!(used(&store, "user.alice"), (5, 1, 2));
    let gone = Order::Delete {
        name: name("user.alice.b"),
    };
    assert!(one(&mut writer, gone).is_ok());
    assert_eq!(used(&store, "user.alice"), (0, 0, 1));
    let back = Order::Undelete {
        mailbox: below,
        name: name("user.alice.a"),
    };
    assert!(one(&mut writer, back).is_ok(), "the operator may");
    assert_eq!(used(&store, "user.alice"), (5, 1, 2));
    let expunge = Order::Expunge {
        mailbox: below,
        uids: None,
    };
    assert!(one(&mut writer, expunge).is_ok());
    assert_eq!(used(&store, "user.alice"), (0, 0, 2));
    assert!(one(&mut writer, rename("user.alice.a", "shared.a")).is_ok());
    assert_eq!(used(&store, "user.alice"), (0, 0, 1));
}
