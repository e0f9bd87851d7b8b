//! Answers to LIST, as a Cyrus frontend gives them to the same list (names, order, attributes).

use super::{
    ALT_SLASH, DOMAINS, Identity, Namespace, STANDARD, active, admin, in_domains, listed, open,
    query, reserved, shown, sync, user,
};
use crate::mailboxes::{Change, ListQuery, ListReader, NameError};

/// What was in the list of the Cyrus frontend that was asked.
fn mailboxes() -> Vec<Change> {
    let own = |name: &str| active(name, "alice lrswipkxtecdan cyrus lrswipkxtecda ");
    let bobs = |name: &str| active(name, "bob lrswipkxtecdan cyrus lrswipkxtecda ");
    vec![
        own("user.alice"),
        active("user.alice.Sent", "alice lkxcan cyrus lrswipkxtecda "),
        own("user.alice.Sent.2024"),
        active(
            "user.alice-2x",
            "alice-2x lrswipkxtecdan cyrus lrswipkxtecda ",
        ),
        own("user.alice.a^b"),
        own("user.alice.Deep"),
        own("user.alice.Deep.x"),
        own("user.alice.Deep.x.y"),
        own("user.alice.inbox"),
        own("user.alice.INBOX.q"),
        bobs("user.bob"),
        bobs("user.bob.Shared"),
        active("user.bob.Shared.sub", "bob lrswipkxtecdan alice lrs "),
        active("shared", "anyone lrs "),
        active("shared.one", "anyone lrs "),
        active("shared.one.two", "anyone lrs "),
        active("sharedtwo", "anyone p "),
        active("Top", "anyone lrs alice lr "),
        active("zz", "anyone lrs "),
        active("zz.deep", "anyone lrs "),
        active("zz.deep.er", "anyone lr "),
        active("inboxes", "anyone lrs "),
        active("DELETED.user.alice.z.6B043105", "alice lrswipkxtecdan "),
        active("DELETED.shared.6B043106", "anyone lr "),
        active("INBOX.z", "anyone lr "),
        active("user", "anyone lr "),
        reserved("zz.reserved"),
    ]
}

struct World {
    _directory: tempfile::TempDir,
    reader: ListReader,
}

fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, reader, _) = open(directory.path());
    sync(&mut writer, &mailboxes());
    World {
        _directory: directory,
        reader,
    }
}

impl World {
    fn list(&self, who: &Identity, namespace: Namespace, reference: &str, pattern: &str) -> String {
        let query = query(who, namespace, reference, pattern);
        let lines = listed(&self.reader, &query, 1000);
        assert_eq!(
            lines,
            listed(&self.reader, &query, 1),
            "chunks make no difference"
        );
        shown(&lines)
    }
}

#[test]
fn a_user_in_the_standard_namespace() {
    let world = world();
    let list = |reference, pattern| world.list(&user("alice"), STANDARD, reference, pattern);
    assert_eq!(
        list("", "*"),
        "INBOX+ INBOX.Deep+ INBOX.Deep.x+ INBOX.Deep.x.y INBOX.INBOX.q INBOX.Sent+ \
         INBOX.Sent.2024 INBOX.a^b INBOX.inbox user.bob.Shared.sub Top inboxes shared+ \
         shared.one+ shared.one.two zz+ zz.deep+ zz.deep.er"
    );
    assert_eq!(list("", "%"), "INBOX+ -user+ Top inboxes shared+ zz+");
    let below = "INBOX.Deep+ -INBOX.INBOX+ INBOX.Sent+ INBOX.a^b INBOX.inbox";
    assert_eq!(list("", "INBOX.%"), below);
    assert_eq!(list("INBOX.", "%"), below);
    assert_eq!(list("INBOX", ".%"), below);
    assert_eq!(list("INBOX.", ".%"), below);
    assert_eq!(list("user.bob.Shared", "%"), "-user.bob.Shared+");
    assert_eq!(list("user.bob.", "*"), "user.bob.Shared.sub");
    assert_eq!(list("INBOX.", "INBOX"), "-INBOX.INBOX+");
    assert_eq!(list("", "inbox%"), "inboxes");
    assert_eq!(list("", "user.%"), "-user.bob+");
    assert_eq!(list("", "user.*"), "user.bob.Shared.sub");
    assert_eq!(list("", "user.alice.*"), "");
    assert_eq!(list("", "user.alice"), "");
    assert_eq!(
        list("", "%.%"),
        "INBOX.Deep+ -INBOX.INBOX+ INBOX.Sent+ INBOX.a^b INBOX.inbox -user.bob+ shared.one+ \
         zz.deep+"
    );
    assert_eq!(
        list("", "%.%.%"),
        "INBOX.Deep.x+ INBOX.INBOX.q INBOX.Sent.2024 -user.bob.Shared+ shared.one.two zz.deep.er"
    );
    assert_eq!(list("", "z*"), "zz+ zz.deep+ zz.deep.er");
    assert_eq!(list("", "zz.%"), "zz.deep+");
    assert_eq!(list("", "*.deep%"), "zz.deep+");
    assert_eq!(list("", "*.two"), "shared.one.two");
    assert_eq!(list("", "*.Shared"), "-user.bob.Shared+");
    assert_eq!(list("", "INBOX.Deep"), "INBOX.Deep+");
    assert_eq!(list("", "zz"), "zz+");
    assert_eq!(list("", "user"), "-user+");
    assert_eq!(list("", "shared."), "");
    assert_eq!(list("", ".shared"), "");
    assert_eq!(list("", "I*q"), "INBOX.INBOX.q");
    assert_eq!(list("", "DELETED*"), "");
    assert_eq!(
        list("", "*%"),
        "INBOX+ INBOX.Deep+ INBOX.Deep.x+ INBOX.Deep.x.y -INBOX.INBOX+ INBOX.INBOX.q INBOX.Sent+ \
         INBOX.Sent.2024 INBOX.a^b INBOX.inbox -user+ -user.bob+ -user.bob.Shared+ \
         user.bob.Shared.sub Top inboxes shared+ shared.one+ shared.one.two zz+ zz.deep+ \
         zz.deep.er"
    );
}

#[test]
fn inbox_in_any_case() {
    let world = world();
    let list = |pattern| world.list(&user("alice"), STANDARD, "", pattern);
    assert_eq!(list("InBoX"), "INBOX+");
    assert_eq!(list("inbox.S%"), "INBOX.Sent+");
}

#[test]
fn an_admin() {
    let world = world();
    let list = |pattern| world.list(&admin(), STANDARD, "", pattern);
    assert_eq!(
        list("*"),
        "user.alice+ user.alice.Deep+ user.alice.Deep.x+ user.alice.Deep.x.y user.alice.INBOX.q \
         user.alice.Sent+ user.alice.Sent.2024 user.alice.a^b user.alice.inbox user.alice-2x \
         user.bob+ user.bob.Shared+ user.bob.Shared.sub DELETED.shared.6B043106 \
         DELETED.user.alice.z.6B043105 Top inboxes shared+ shared.one+ shared.one.two sharedtwo \
         zz+ zz.deep+ zz.deep.er"
    );
    assert_eq!(
        list("%"),
        "-user+ -DELETED+ Top inboxes shared+ sharedtwo zz+"
    );
    assert_eq!(list("user.%"), "user.alice+ user.alice-2x user.bob+");
    assert_eq!(list("INBOX*"), "");
    assert_eq!(
        world.list(&admin(), ALT_SLASH, "", "user/alice/%"),
        "user/alice/Deep+ -user/alice/INBOX+ user/alice/Sent+ user/alice/a.b user/alice/inbox"
    );
}

#[test]
fn an_admin_asks_for_the_level_above_users() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, reader, _) = open(directory.path());
    sync(&mut writer, &[active("example.org!user.bob", "bob lrs ")]);
    let of_domain = Identity {
        admin: true,
        ..user("cyrus@example.org")
    };
    for who in [admin(), of_domain] {
        let query = query(&in_domains(&who), DOMAINS, "", "user");
        assert_eq!(shown(&listed(&reader, &query, 9)), "-user+", "{who:?}");
    }
}

fn mailboxes_for_alt_namespace() -> Vec<Change> {
    let own = |name: &str| active(name, "alice lrswipkxtecdan ");
    vec![
        own("user.alice"),
        own("user.alice.Sent"),
        own("user.alice.Sent.2024"),
        own("user.alice.a^b"),
        own("user.alice.Deep.x.y"),
        own("user.alice.INBOX.q"),
        own("user.alice.inbox"),
        own("user.alice.Other Users.foo"),
        own("user.alice.Shared Folders"),
        active("user.bob", "bob lrswipkxtecdan "),
        active("user.bob.Shared.sub", "bob lrs alice lrs "),
        active("user.bob.a^b", "alice lr "),
        active("user.x^y", "x.y lr alice lr "),
        active("user.x^y.k", "x.y lr alice lr "),
        active("shared", "anyone lrs "),
        active("shared.one.two", "anyone lrs "),
        active("INBOX", "anyone lr "),
        active("INBOX.z", "anyone lr "),
        active("a^b", "anyone lr "),
        active("a/b", "anyone lr "),
        active("zz", "anyone lr "),
        active("user.zed.kid", "zed lr "),
    ]
}

#[test]
fn alt_namespace_with_slashes() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, reader, _) = open(directory.path());
    sync(&mut writer, &mailboxes_for_alt_namespace());
    let world = World {
        _directory: directory,
        reader,
    };
    let list = |reference, pattern| world.list(&user("alice"), ALT_SLASH, reference, pattern);
    assert_eq!(
        list("", "*"),
        "INBOX+ INBOX/q Deep/x/y Sent+ Sent/2024 a.b Alt Folders/Other Users/foo \
         Alt Folders/Shared Folders Alt Folders/inbox Other Users/bob/Shared/sub \
         Other Users/bob/a.b Other Users/x.y+ Other Users/x.y/k Shared Folders/INBOX+ \
         Shared Folders/INBOX/z Shared Folders/a.b Shared Folders/shared+ \
         Shared Folders/shared/one/two Shared Folders/zz"
    );
    assert_eq!(
        list("", "%"),
        "INBOX+ -Deep+ Sent+ a.b -Alt Folders+ -Other Users+ -Shared Folders+"
    );
    assert_eq!(list("", "INBOX*"), "INBOX+ INBOX/q");
    assert_eq!(list("", "INBOX%"), "INBOX+");
    assert_eq!(list("", "Sent/%"), "Sent/2024");
    assert_eq!(
        list("", "Other Users/%"),
        "-Other Users/bob+ Other Users/x.y+"
    );
    assert_eq!(
        list("Other Users/", "%"),
        "-Other Users/bob+ Other Users/x.y+"
    );
    assert_eq!(list("", "Other%"), "-Other Users+");
    assert_eq!(list("", "S%"), "Sent+ -Shared Folders+");
    assert_eq!(list("", "user/%"), "");
    assert_eq!(
        list("", "*.b"),
        "a.b Other Users/bob/a.b Shared Folders/a.b"
    );
    assert_eq!(
        list("", "%/%"),
        "INBOX/q -Deep/x+ Sent/2024 -Alt Folders/Other Users+ Alt Folders/Shared Folders \
         Alt Folders/inbox -Other Users/bob+ Other Users/x.y+ Shared Folders/INBOX+ \
         Shared Folders/a.b Shared Folders/shared+ Shared Folders/zz"
    );
    let zed = |pattern| world.list(&user("zed"), ALT_SLASH, "", pattern);
    assert_eq!(zed("k*"), "kid");
    assert_eq!(world.list(&user("zed"), STANDARD, "", "I%"), "-INBOX+");
    assert_eq!(world.list(&user("zed"), STANDARD, "", "I*"), "INBOX.kid");
}

#[test]
fn patterns_in_utf8() {
    let directory = tempfile::tempdir().unwrap();
    let (mut writer, reader, _) = open(directory.path());
    let names = [
        "user.alice",
        "user.alice.&AOkA6A-",
        "user.alice.&AOk-a",
        "user.alice.&AOk-a.&ZeVnLIqe-",
        "user.alice.a&-b",
    ];
    let changes = names.map(|name| active(name, "alice lrswipkxtecdan "));
    sync(&mut writer, &changes);
    let list = |reference: &str, pattern: &str| {
        let (who, patterns) = (user("alice"), [pattern.as_bytes()]);
        let query = ListQuery::in_utf8(who, STANDARD, reference.as_bytes(), &patterns).unwrap();
        let lines = listed(&reader, &query, 1000);
        assert!(lines.iter().all(|line| query.matches(&line.name)));
        shown(&lines)
    };
    assert_eq!(list("", "inbox.\u{e9}\u{e8}"), "INBOX.&AOkA6A-");
    assert_eq!(list("", "inbox.\u{e9}%"), "INBOX.&AOk-a+ INBOX.&AOkA6A-");
    assert_eq!(
        list("INBOX.\u{e9}", "*"),
        "INBOX.&AOk-a+ INBOX.&AOk-a.&ZeVnLIqe- INBOX.&AOkA6A-"
    );
    assert_eq!(list("", "*\u{8a9e}"), "INBOX.&AOk-a.&ZeVnLIqe-");
    assert_eq!(list("INBOX.", ".%\u{e8}"), "INBOX.&AOkA6A-");
    assert_eq!(list("INBOX.", "%&%"), "INBOX.a&-b");
    assert_eq!(list("", "%"), "INBOX+");
    let bad = ListQuery::in_utf8(user("alice"), STANDARD, b"", &[b"\xff"]);
    assert_eq!(bad.err(), Some(NameError::BadUtf8));
}
