//! What an operator writes is read as it is meant, and an answer's lines stay lines.

use ravenry_core::mailboxes::{Acl, Name, UserId};

use super::answer::Answer;
use super::lists::owner;
use super::{acl, parsed};

#[test]
fn names_are_internal_ones_and_may_be_written_as_people_do() {
    for (text, wanted) in [
        ("user.alice.Sent", "user.alice.Sent"),
        ("user.alice.Entwürfe", "user.alice.Entw&APw-rfe"),
        ("user.alice.Entw&APw-rfe", "user.alice.Entw&APw-rfe"),
        ("example.org!user.bob", "example.org!user.bob"),
    ] {
        assert_eq!(parsed(text).unwrap().as_bytes(), wanted.as_bytes());
    }
    for wrong in [
        "",
        "a..b",
        ".a",
        "a.",
        "x!y!z",
        "!user.a",
        "a b!user.c",
        "a&b",
        "é!user.a",
    ] {
        let why = parsed(wrong).unwrap_err();
        assert!(why.contains("no mailbox name"), "{wrong}: {why}");
    }
}

#[test]
fn an_inbox_says_whose_it_is() {
    for name in ["alice", "bob.smith", "carol@example.org"] {
        let user = UserId::in_domains(name.as_bytes(), "").unwrap();
        assert_eq!(
            owner(&user.inbox()).map(|user| user.to_string()).as_deref(),
            Some(name)
        );
    }
    for other in ["user.alice.Sent", "shared", "user.Alice", "user"] {
        assert_eq!(
            owner(&Name::parse(other.as_bytes()).unwrap()),
            None,
            "{other}"
        );
    }
}

#[test]
fn acls_as_cyradm_has_them() {
    let mut now = Acl::default();
    for (identifier, rights, wanted) in [
        ("anyone", "lrs", "anyone lrs"),
        ("bob", "write", "anyone lrs, bob lrswipkxtecd"),
        ("bob", "-write", "anyone lrs"),
        ("anyone", "+p", "anyone lrsp"),
        ("-bob", "read", "anyone lrsp, -bob lrs"),
        ("anyone", "none", "-bob lrs"),
    ] {
        now = acl::with(&now, identifier, rights).unwrap();
        assert_eq!(acl::shown(&now), wanted);
    }
    assert!(
        acl::with(&now, "bob", "lrz")
            .unwrap_err()
            .contains("no rights")
    );
    assert_eq!(acl::split(" anyone  lrs "), Ok(("anyone", "lrs")));
    assert!(acl::split("anyone").is_err());
}

#[test]
fn a_line_stays_one_whatever_is_in_a_name() {
    let mut answer = Answer::table(&["name", "n:n"]);
    answer.row(&["a\nb\t!c", "1"]);
    answer.error("x\r\n");
    assert_eq!(answer.bytes(), b"#name\tn:n\n-a?b?!c\t1\n!x??\n");
}
