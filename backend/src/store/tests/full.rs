//! An index that has reached its size: what goes on, and what is refused.

use super::{
    Order, Outcome, Refused, append, create, created, incoming, name, one, open, open_with,
    settings, uids,
};
use crate::store::{Flags, Settings};

#[test]
fn a_full_index_lets_go_but_takes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    append(&mut writer, &store, inbox, b"x", Flags::DELETED);
    drop((writer, store));
    let small = Settings {
        index_size: 4096,
        ..settings(root.path())
    };
    let (mut writer, store, _) = open_with(&small).unwrap();
    assert_eq!(one(&mut writer, create("user.bob")), Err(Refused::Full));
    let refused = Order::Append {
        mailbox: inbox,
        messages: vec![incoming(&store, b"y", 0, &[])],
    };
    assert_eq!(one(&mut writer, refused), Err(Refused::Full));
    let gone = one(
        &mut writer,
        Order::Expunge {
            mailbox: inbox,
            uids: None,
        },
    );
    assert!(matches!(gone, Ok(Outcome::Expunged { gone, .. }) if gone == uids("1")));
}

#[test]
fn an_index_that_is_full_to_the_brim_takes_no_more_records_of_what_is_gone() {
    let root = tempfile::tempdir().unwrap();
    let (mut writer, store, _) = open(root.path());
    let inbox = created(&mut writer, "user.alice");
    for _ in 0..2 {
        append(&mut writer, &store, inbox, b"x", Flags::DELETED);
    }
    let expunge = |set: &str| Order::Expunge {
        mailbox: inbox,
        uids: Some(uids(set)),
    };
    one(&mut writer, expunge("1")).unwrap();
    // As much as all the rest might take.
    let mut large = create("shared");
    if let Order::Create { acl, .. } = &mut large {
        *acl = ravenry_core::mailboxes::Acl::new(&vec![b'x'; 40 << 20]);
    }
    one(&mut writer, large).unwrap();
    drop((writer, store));
    let small = Settings {
        index_size: 1 << 20,
        ..settings(root.path())
    };
    let (mut writer, store, _) = open_with(&small).unwrap();
    let delete = |text: &str| Order::Delete { name: name(text) };
    assert_eq!(one(&mut writer, expunge("2")), Err(Refused::Full));
    assert_eq!(one(&mut writer, delete("shared")), Err(Refused::Full));
    let purged = one(&mut writer, Order::Purge { before: i64::MAX });
    assert!(matches!(purged, Ok(Outcome::Purged { messages: 1, .. })));
    drop((writer, store));
    let (mut writer, _store, _) = open(root.path());
    one(&mut writer, expunge("2")).unwrap();
    one(&mut writer, delete("shared")).unwrap();
}
