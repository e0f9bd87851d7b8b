//! Names, users, ACLs and groups, one by one.

use super::{
    ALT_SLASH, DOMAINS, DOMAINS_ALT_SLASH, Identity, Namespace, STANDARD, admin, in_domains, name,
    user,
};
use crate::mailboxes::{Acl, Groups, Name, NameError, Prefixes, Rights, UserId};

fn internal(namespace: Namespace, who: &Identity, client: &str) -> String {
    match namespace.internal(client.as_bytes(), who) {
        Ok(name) => name.to_string(),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn what_a_client_calls_a_mailbox() {
    let standard = |client| internal(STANDARD, &user("alice"), client);
    assert_eq!(standard("INBOX"), "user.alice");
    assert_eq!(standard("inbox.Sent"), "user.alice.Sent");
    assert_eq!(standard("INBOX.INBOX"), "user.alice.INBOX");
    assert_eq!(standard("INBOX.x."), "user.alice.x");
    assert_eq!(standard("user.bob.x"), "user.bob.x");
    assert_eq!(standard("inboxes"), "inboxes");
    assert_eq!(standard("a^b"), "a^b");
    assert_eq!(standard("a*b"), "a*b");
    for bad in ["", ".", "..", ".x", "x..y", "user", "user."] {
        assert!(
            STANDARD.internal(bad.as_bytes(), &user("alice")).is_err(),
            "{bad:?}"
        );
    }
    for bad in [
        "a!b", "a%b", "a/b", "a\"b", "a\\b", "a\rb", "a\nb", "a\0b", "a\u{e9}b", "a\x7fb",
    ] {
        assert!(
            matches!(
                STANDARD.internal(bad.as_bytes(), &user("alice")),
                Err(NameError::BadByte(_))
            ),
            "{bad:?}"
        );
    }
    let alt = |client| internal(ALT_SLASH, &user("alice"), client);
    assert_eq!(alt("inbox"), "user.alice");
    assert_eq!(alt("INBOX/q"), "user.alice.INBOX.q");
    assert_eq!(alt("Sent/a.b"), "user.alice.Sent.a^b");
    assert_eq!(alt("user/bob"), "user.alice.user.bob");
    assert_eq!(alt("Other Users/x.y/z"), "user.x^y.z");
    assert_eq!(alt("Shared Folders/a/b"), "a.b");
    assert_eq!(alt("Alt Folders/inbox"), "user.alice.inbox");
    for bad in [
        "Other Users",
        "Other Users/",
        "Shared Folders",
        "Shared Folders/",
        "Alt Folders",
    ] {
        assert_eq!(alt(bad), "Reserved", "{bad:?}");
    }
    assert_eq!(alt("a^b"), "BadByte(94)");
    assert_eq!(internal(ALT_SLASH, &admin(), "user/x.y/z"), "user.x^y.z");
    assert_eq!(internal(ALT_SLASH, &admin(), "INBOX"), "user.cyrus");
}

#[test]
fn what_a_mailbox_is_called() {
    let shown = |namespace: Namespace, who: &Identity, text: &str| {
        namespace
            .external(&name(text), who)
            .map(|name| String::from_utf8(name).unwrap())
    };
    let alice = user("alice");
    assert_eq!(
        shown(STANDARD, &alice, "user.alice.a").as_deref(),
        Some("INBOX.a")
    );
    assert_eq!(
        shown(STANDARD, &alice, "user.alicea").as_deref(),
        Some("user.alicea")
    );
    assert_eq!(shown(STANDARD, &alice, "Inbox.a"), None);
    assert_eq!(shown(STANDARD, &alice, "user"), None);
    assert_eq!(
        shown(ALT_SLASH, &alice, "user.alice").as_deref(),
        Some("INBOX")
    );
    assert_eq!(
        shown(ALT_SLASH, &alice, "user.alice.a^b").as_deref(),
        Some("a.b")
    );
    assert_eq!(
        shown(ALT_SLASH, &alice, "user.alice.inbox").as_deref(),
        Some("Alt Folders/inbox")
    );
    assert_eq!(
        shown(ALT_SLASH, &alice, "inbox").as_deref(),
        Some("Shared Folders/inbox")
    );
    assert_eq!(shown(ALT_SLASH, &alice, "a/b"), None);
    assert_eq!(
        shown(ALT_SLASH, &admin(), "user.cyrus.x").as_deref(),
        Some("user/cyrus/x")
    );
    let prefixes = |personal: Option<&[u8]>, others: &[u8], shared: &[u8]| Prefixes {
        personal: personal.map(<[u8]>::to_vec),
        others: others.to_vec(),
        shared: shared.to_vec(),
    };
    assert_eq!(
        STANDARD.prefixes(&alice),
        prefixes(Some(b"INBOX."), b"user.", b"")
    );
    let alt = prefixes(Some(b""), b"Other Users/", b"Shared Folders/");
    assert_eq!(ALT_SLASH.prefixes(&alice), alt);
    assert_eq!(ALT_SLASH.prefixes(&admin()), prefixes(None, b"user/", b""));
}

#[test]
fn names_in_domains() {
    let bob = in_domains(&user("bob@example.org"));
    let own = |client| internal(DOMAINS, &bob, client);
    assert_eq!(own("INBOX.Sent"), "example.org!user.bob.Sent");
    assert_eq!(own("user.al.x"), "example.org!user.al.x");
    assert_eq!(own("shared"), "example.org!shared");
    assert_eq!(own("INBOX.x@y.org"), "example.org!user.bob.x@y.org");
    assert_eq!(own("example.net!shared"), "BadByte(33)");
    assert_eq!(
        internal(DOMAINS, &user("bob"), "example.net!shared"),
        "BadByte(33)",
        "the default domain's users don't get into others"
    );
    let alt = |client| internal(DOMAINS_ALT_SLASH, &bob, client);
    assert_eq!(alt("Se.nt"), "example.org!user.bob.Se^nt");
    assert_eq!(alt("Other Users/al"), "example.org!user.al");
    assert_eq!(alt("Shared Folders/a"), "example.org!a");
    let longest = "a".repeat(478);
    assert_eq!(own(&longest).len(), 490);
    assert_eq!(own(&format!("{longest}a")), "TooLong");

    let shown = |namespace: Namespace, who: &Identity, text: &str| {
        let external = namespace.external(&name(text), who);
        external.map_or_else(|| "-".to_owned(), |name| String::from_utf8(name).unwrap())
    };
    for (text, to_bob, to_default, to_admin, to_their_admin) in [
        (
            "example.org!user.bob",
            "INBOX",
            "-",
            "user/bob@example.org",
            "user/bob@example.org",
        ),
        (
            "example.org!a^b.c",
            "Shared Folders/a.b/c",
            "-",
            "a.b/c@example.org",
            "a.b/c@example.org",
        ),
        ("example.net!shared", "-", "-", "shared@example.net", "-"),
        ("shared", "-", "Shared Folders/shared", "shared", "-"),
        (
            "user.al.x@y",
            "-",
            "Other Users/al/x@y",
            "user/al/x@y@example.com",
            "-",
        ),
        ("example.org!user", "-", "-", "-", "-"),
        ("a!b!c", "-", "-", "-", "-"),
    ] {
        let shown = |who: &Identity| shown(DOMAINS_ALT_SLASH, who, text);
        assert_eq!(shown(&bob), to_bob);
        assert_eq!(shown(&user("bob")), to_default);
        assert_eq!(shown(&admin()), to_admin);
        assert_eq!(shown(&admin_of_domain()), to_their_admin);
    }
    assert_eq!(
        shown(STANDARD, &admin(), "example.org!a"),
        "-",
        "no domains here"
    );
    assert_eq!(shown(STANDARD, &user("bob"), "example.org!a"), "-");
}

fn admin_of_domain() -> Identity {
    let admin = in_domains(&user("cyrus@example.org"));
    Identity {
        admin: true,
        ..admin
    }
}

#[test]
fn what_an_admin_calls_a_mailbox_in_a_domain() {
    let named = |client| internal(DOMAINS_ALT_SLASH, &admin(), client);
    assert_eq!(named("user/x.y/z@example.org"), "example.org!user.x^y.z");
    assert_eq!(named("shared@example.com"), "shared");
    assert_eq!(named("user/al/x@y@example.com"), "user.al.x@y");
    assert_eq!(named("shared"), "shared");
    assert_eq!(named("inbox/a"), "user.cyrus.a");
    assert_eq!(named("user@example.org"), "Reserved");
    for bad in ["a@b/c", "a@", "a@b..c", "a@.b", "a@b!c"] {
        assert_eq!(named(bad), "BadDomain", "{bad:?}");
    }
    assert_eq!(named("@example.org"), "Empty");
    let theirs = |client| internal(DOMAINS_ALT_SLASH, &admin_of_domain(), client);
    assert_eq!(theirs("shared"), "example.org!shared");
    assert_eq!(theirs("user/bob@example.org"), "example.org!user.bob");
    assert_eq!(theirs("INBOX"), "example.org!user.cyrus");
    assert_eq!(theirs("shared@example.net"), "OtherDomain");
    assert_eq!(theirs("shared@example.com"), "OtherDomain");
    let rights = |text: &str| admin_of_domain().implicit_rights(&name(text));
    assert_eq!(rights("example.org!a"), Rights::ADMIN);
    assert_eq!(rights("a"), Rights::NONE);
}

#[test]
fn users_in_domains() {
    let user = |text: &str| DOMAINS.user(text.as_bytes());
    let bob = user("Bob@Example.org").unwrap();
    assert_eq!(
        (bob.as_str(), bob.domain()),
        ("bob@example.org", Some("example.org"))
    );
    assert_eq!(bob.inbox().as_bytes(), b"example.org!user.bob");
    assert_eq!(
        user("x.y@a.org").unwrap().inbox().as_bytes(),
        b"a.org!user.x^y"
    );
    let default = user("BOB@EXAMPLE.COM").unwrap();
    assert_eq!((default.as_str(), default.domain()), ("bob", None));
    assert_eq!(default, user("bob").unwrap());
    for bad in [
        "@a.org",
        "bob@",
        "bob@a@b",
        "bob@a..b",
        "bob@a&b",
        "-bob@a.org",
    ] {
        assert!(user(bad).is_err(), "{bad:?}");
    }
    let off = STANDARD.user(b"bob@a.org").unwrap();
    assert_eq!(
        (off.domain(), off.inbox().as_bytes()),
        (None, &b"user.bob@a^org"[..])
    );
    let owned = |text: &str| name(text).is_owned_by(&bob);
    assert!(owned("example.org!user.bob") && owned("example.org!user.bob.x"));
    assert!(
        !owned("user.bob") && !owned("example.net!user.bob") && !owned("example.org!user.bobo")
    );
    assert_eq!(name("a.org!b.c").parent(), Some(name("a.org!b")));
    assert_eq!(name("a.org!b").parent(), None);
    assert!(name("a.org!user.b").is_inbox() && !name("a.org!user.b.c").is_inbox());
    assert!(name("a.org!DELETED.user.b").is_deleted());
    let who = in_domains(&super::user("bob@example.org"));
    let named = |text: &str| DOMAINS.named_user(text.as_bytes(), &who);
    assert_eq!(named("al").unwrap().as_str(), "al@example.org");
    assert_eq!(named("al@example.com").unwrap().as_str(), "al");
    assert_eq!(named("anyone"), None);
}

#[test]
fn modified_utf7() {
    let good = |text: &str| Name::parse(text.as_bytes()).is_ok();
    for name in [
        "&-",
        "&-x",
        "&AOk-",
        "a&AOk-b&-",
        "&,,8-",
        "&2AA-",
        "&2D3eAA-",
        "&AOk-x&AOk-",
    ] {
        assert!(good(name), "{name}");
    }
    for name in [
        "&",
        "&AOk",
        "&AGE-",
        "&AOkA-",
        "&AOl-",
        "&AOk-&AOk-",
        "&AAA-",
        "&AAo-",
        "&A-",
    ] {
        assert!(!good(name), "{name}");
    }
}

#[test]
fn users() {
    let user = |text: &str| UserId::parse(text.as_bytes());
    assert_eq!(user("Alice").unwrap().as_str(), "alice");
    assert_eq!(user("x.y").unwrap().inbox().as_bytes(), b"user.x^y");
    for bad in [
        "", "a/b", "a!b", "a^b", "a%", "*", "a b", "a\tb", "Anyone", "group:x", "-a", "é",
    ] {
        assert!(user(bad).is_err(), "{bad:?}");
    }
    assert!(user(&"a".repeat(201)).is_err());
    let owned = |text: &str| name(text).is_owned_by(&user("x.y").unwrap());
    assert!(owned("user.x^y") && owned("user.x^y.a") && !owned("user.x^yz") && !owned("user.x.y"));
    assert_eq!(name("a.b.c").parent(), Some(name("a.b")));
    assert_eq!(name("a").parent(), None);
    assert!(name("user.a").is_inbox() && !name("user.a.b").is_inbox() && !name("user.").is_inbox());
}

#[test]
fn names_from_mupdate() {
    assert!(Name::from_mupdate(b"we\"ird\xff\x01").is_ok());
    assert!(Name::from_mupdate(b"").is_err());
    assert!(Name::from_mupdate(b"a\0b").is_err());
    assert!(Name::from_mupdate(&[b'a'; 490]).is_ok());
    assert!(Name::from_mupdate(&[b'a'; 491]).is_err());
    assert!(name("a.b") < name("a-b"), "children follow their parent");
}

#[test]
fn rights_as_cyrus_prints_them() {
    let shown = |text: &str| Rights::parse(text.as_bytes()).to_string();
    // As a Cyrus 3.6.1 backend answers MYRIGHTS.
    for (given, answered) in [
        ("lrc", "lrkxc"),
        ("lrd", "lrted"),
        ("lrkc", "lrkc"),
        ("lrtd", "lrtd"),
        ("lred", "lred"),
        ("lrcd", "lrkxtecd"),
        ("lrkd", "lrktecd"),
        ("lrct", "lrkxtcd"),
    ] {
        assert_eq!(shown(given), answered);
    }
    assert_eq!(shown("lrswipkxtecdan"), "lrswipkxtecdan");
    assert_eq!(shown("lc"), "lkxc");
    assert_eq!(shown("ld"), "lted");
    assert_eq!(shown("lk"), "lkc");
    assert_eq!(shown("lx"), "lxc");
    assert_eq!(shown("le"), "led");
    assert_eq!(shown("l0"), "l0");
    assert_eq!(shown("z!"), "");
    assert_eq!(Rights::OWNER.to_string(), "lkxcan");
}

#[test]
fn rights_that_may_be_given() {
    let listed = |text: &str, identifier: &str| {
        let user = STANDARD.named_user(identifier.as_bytes(), &user("alice"));
        let (always, others) = Rights::listed_for(&name(text), user.as_ref());
        others.fold(always.to_string(), |line, letter| {
            format!("{line} {letter}")
        })
    };
    assert_eq!(
        listed("user.carol.noacl", "carol"),
        "lkxcan r s w i p t e d 0 1 2 3 4 5 6 7 8 9"
    );
    assert_eq!(
        listed("user.alice", "bob"),
        "p l r s w i k x t e c d a n 0 1 2 3 4 5 6 7 8 9"
    );
    assert_eq!(
        listed("shared", "bob"),
        " l r s w i p k x t e c d a n 0 1 2 3 4 5 6 7 8 9"
    );
}

#[test]
fn what_an_acl_gives() {
    let rights = |text: &str, who: &Identity, acl: &str| {
        let acl = Acl::new(acl.replace(' ', "\t").as_bytes());
        acl.rights_on(&name(text), who).to_string()
    };
    let carol = user("carol");
    assert_eq!(rights("a", &carol, "anyone lrs -carol r "), "ls");
    assert_eq!(
        rights("a", &carol, "carol lrswi anyone lr -anyone w "),
        "lrsi"
    );
    assert_eq!(rights("a", &carol, "-anyone l carol lr "), "r");
    assert_eq!(rights("a", &carol, "carol lr carol ls "), "lrs");
    assert_eq!(rights("a", &carol, "group:staff lr -group:other l "), "lr");
    assert_eq!(rights("a", &user("dave"), "group:staff lr "), "");
    assert_eq!(rights("a", &carol, "Carol lr anonymous lr owner lr"), "");
    assert_eq!(rights("a", &carol, "carol lr bob"), "lr");
    assert_eq!(rights("a", &carol, "carol lr"), "", "no closing tab");
    assert_eq!(
        rights("user.carol.x", &carol, "carol lrs -carol lkxa "),
        "lrskxcan"
    );
    assert_eq!(rights("user.carol.x", &carol, ""), "lkxcan");
    assert_eq!(rights("a", &admin(), "anyone lrs "), "lrsa");
    assert_eq!(rights("user.cyrus", &admin(), "cyrus lrs "), "lrsa");
    assert_eq!(
        rights("a", &user("anonymous"), "anonymous l anyone r "),
        "lr"
    );
    assert!(!Rights::POST.may_know() && Rights::READ.may_know());
    let acl = Acl::new(b"a\tlr\t-b\tz!\tc\tl");
    let entries: Vec<_> = acl.entries().collect();
    assert_eq!(entries, [(&b"a"[..], &b"lr"[..]), (&b"-b"[..], &b"z!"[..])]);
}

#[test]
fn a_groups_file() {
    let groups = Groups::parse("# staff\nstaff: bob, Carol\n\nall: bob dave # all\nstaff: erin\n");
    let groups = groups.unwrap();
    assert_eq!(groups.of(&user("bob").user), ["all", "staff"]);
    assert_eq!(groups.of(&user("carol").user), ["staff"]);
    assert!(groups.of(&user("mallory").user).is_empty());
    for bad in ["staff bob", ": bob", "a b: bob", "staff: b/b"] {
        assert!(
            Groups::parse(bad)
                .unwrap_err()
                .to_string()
                .starts_with("line 1"),
            "{bad}"
        );
    }
}
