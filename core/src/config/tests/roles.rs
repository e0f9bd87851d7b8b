//! Several roles in one configuration.

use super::{base, frontend, refused};
use crate::config::parse;

const MASTER: &str =
    "[mupdate.server]\nlisten = [\"127.0.0.42:3905\"]\n[mupdate.server.users]\na = \"pw\"\n";

fn all(backend: &str) -> String {
    let backend = format!("[backend]\n{backend}\npartitions = {{ default = \"spool\" }}\n{MASTER}");
    frontend("", "", "", "", &backend)
}

#[test]
fn each_role_has_listeners_of_its_own() {
    let config = parse(&all("imap = [\"127.0.0.42:2143\"]"), base()).unwrap();
    assert!(config.proxy.is_some() && config.backend.is_some());
    assert!(config.mupdate_client.is_some() && config.mupdate_server.is_some());
    for (backend, want) in [
        (
            "imap = [\"127.0.0.42:1143\"]",
            "backend.imap has 127.0.0.42:1143, which [proxy] has too",
        ),
        (
            "imap = [\"127.0.0.42:2143\"]\nlmtp = [\"127.0.0.42:2143\"]",
            "backend.lmtp has 127.0.0.42:2143, which backend.imap has too",
        ),
        (
            "imap = [\"127.0.0.42:3905\"]",
            "mupdate.server.listen has 127.0.0.42:3905, which backend.imap has too",
        ),
    ] {
        let said = refused(&all(backend));
        assert!(said.contains(want), "{said}");
    }
}
