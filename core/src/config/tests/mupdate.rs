//! `[mupdate.server]`: what it takes, what it refuses.

use std::time::Duration;

use super::base;
use crate::config::{Conflicts, MupdateRole, parse};

fn server(keys: &str, users: &str) -> String {
    format!(
        "servername = \"m.test\"\nstate_dir = \"s\"\n[mupdate.server]\n{keys}\n\
         [mupdate.server.users]\n{users}\n"
    )
}

fn refused(keys: &str, users: &str) -> String {
    parse(&server(keys, users), base()).unwrap_err().to_string()
}

const LISTEN: &str = "listen = [\"127.0.0.51:3905\"]";

#[test]
fn a_master_alone() {
    let users = "b1 = { password = \"pw\", server = \"B1.test\" }\nf = { password = \"pw\", write = false }\n\
                 any = \"pw\"";
    let config = parse(&server(LISTEN, users), base()).unwrap();
    let server = config.mupdate_server.unwrap();
    assert_eq!(server.role, MupdateRole::Master);
    assert_eq!(server.conflicts, Conflicts::Strict);
    assert_eq!(server.tombstones, Duration::from_secs(7 * 86_400));
    let mut users: Vec<_> = server
        .users
        .iter()
        .map(|user| (user.name.as_str(), user.server.as_deref(), user.write))
        .collect();
    users.sort_unstable();
    let wanted = [
        ("any", None, true),
        ("b1", Some("B1.test"), true),
        ("f", None, false),
    ];
    assert_eq!(users, wanted);
    assert!(config.tls.allow_plaintext, "all of it is on loopback");
}

#[test]
fn the_guard_has_a_least_and_a_share() {
    let keys = format!("{LISTEN}\nguard = {{ names = 10, percent = 2 }}");
    let guard = parse(&server(&keys, "a = \"pw\""), base())
        .unwrap()
        .mupdate_server
        .unwrap()
        .guard;
    assert_eq!(
        [0, 500, 501, 1000, u64::MAX].map(|names| guard.most(names)),
        [10, 10, 10, 20, u64::MAX / 50]
    );
}

#[test]
fn mistakes_are_told() {
    for (keys, users, wanted) in [
        ("", "a = \"pw\"", "listens nowhere"),
        (LISTEN, "", "mupdate.server.users are none"),
        (LISTEN, "a = { server = \"b\" }", "needs password"),
        (
            LISTEN,
            "a = { password = \"hunter2\", x = 1 }",
            "unknown key `x`",
        ),
        (
            LISTEN,
            "a = { password = \"hunter2\", server = \"b!\" }",
            "host name",
        ),
        (
            "listen = [\"192.0.2.1:3905\"]",
            "a = \"hunter2\"",
            "mupdate.server.listen",
        ),
    ] {
        let said = refused(keys, users);
        assert!(said.contains(wanted) && !said.contains("hunter2"), "{said}");
    }
    let replica = format!("{LISTEN}\nrole = \"replica\"");
    assert!(refused(&replica, "a = \"pw\"").contains("needs [mupdate.client]"));
    let said = refused(&format!("{LISTEN}\ntombstones = \"90000h\""), "a = \"pw\"");
    assert!(said.contains("87600h"), "{said}");
}
