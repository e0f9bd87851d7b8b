//! What the configuration takes and refuses, and what its messages say.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;

mod mupdate;
mod roles;
mod tls;

/// The least that is a frontend, as pairs of a place and a text, so that a test can add lines.
fn frontend(root: &str, auth: &str, proxy: &str, upstream: &str, rest: &str) -> String {
    format!(
        "servername = \"frontend2.murder.test\"\nstate_dir = \"state\"\n{root}\n\
         [auth]\npasswd_file = \"users\"\n{auth}\n\
         [proxy]\nimap = [\"127.0.0.42:1143\"]\n{proxy}\n\
         [proxy.upstream]\nauthname = \"mailproxy\"\npassword = \"proxypw\"\n{upstream}\n\
         [mupdate.client]\nserver = \"127.0.0.11:3905\"\nauthname = \"frontend2\"\n\
         password = \"mupdatepw\"\n{rest}\n"
    )
}

fn base() -> &'static Path {
    Path::new("/etc/ravenry")
}

fn refused(text: &str) -> String {
    match parse(text, base()) {
        Ok(config) => panic!("taken: {config:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_least_is_enough() {
    let config = parse(&frontend("", "", "", "", ""), base()).unwrap();
    assert_eq!(config.servername, "frontend2.murder.test");
    assert_eq!(config.state_dir, Path::new("/etc/ravenry/state"));
    assert_eq!(
        config.auth.passwd_file.as_deref(),
        Some(Path::new("/etc/ravenry/users"))
    );
    assert_eq!(config.shards, 0);
    assert_eq!(config.hierarchy_separator.byte(), b'.');
    assert_eq!(config.list_size, 8 << 30);
    assert_eq!(config.limits, Limits::default());
    assert_eq!(
        config.log,
        Log {
            format: LogFormat::Text,
            level: LogLevel::Info
        }
    );
    let proxy = config.proxy.as_ref().unwrap();
    assert_eq!(proxy.admin_actions, AdminActions::Refer);
    assert_eq!(proxy.upstream.password.expose(), b"proxypw");
    assert_eq!(proxy.upstream.imap_port, 143);
    let client = config.mupdate_client.as_ref().unwrap();
    assert_eq!(client.noop_interval, Duration::from_secs(2));
    assert_eq!(client.server.to_string(), "127.0.0.11:3905");
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
}

#[test]
fn the_guide_s_example_is_taken() {
    let guide = include_str!("../../../docs/guide/configuration.md");
    let start = guide.find("```toml\n").unwrap() + "```toml\n".len();
    let example = &guide[start..start + guide[start..].find("```").unwrap()];
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("mupdate.password"), "mupdatepw\n").unwrap();
    let config = parse(example, directory.path()).unwrap();
    let upstream = &config.proxy.as_ref().unwrap().upstream;
    assert_eq!(
        upstream.imap("Backend1.Example.org").to_string(),
        "192.0.2.12:143"
    );
    assert_eq!(
        upstream.imap("backend3.example.org").to_string(),
        "backend3.example.org:143"
    );
    assert_eq!(
        config.mupdate_client.unwrap().password.expose(),
        b"mupdatepw"
    );
}

#[test]
fn the_guide_s_backend_is_taken() {
    let guide = include_str!("../../../docs/guide/configuration.md");
    let examples: Vec<_> = guide.split("```toml\n").skip(1).collect();
    let (example, _) = examples[1].split_once("```").unwrap();
    let backend = parse(example, base()).unwrap().backend.unwrap();
    assert_eq!(backend.lmtp[0].to_string(), "127.0.0.1:2003");
    let trusted: Vec<_> = backend
        .lmtp_trusted
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(trusted, ["127.0.0.0/8", "::1/128"]);
    assert_eq!(backend.message_size, 50 << 20);
    let default = Backend::new(Vec::new(), backend.partitions);
    assert_eq!(default.lmtp_trusted, Network::loopback());
}

/// Every key of the guide is known, and every key that is known is in the guide.
#[test]
fn the_guide_names_every_key() {
    let guide = include_str!("../../../docs/guide/configuration.md");
    let source = concat!(
        include_str!("read/mod.rs"),
        include_str!("read/backend.rs"),
        include_str!("read/limits.rs"),
        include_str!("read/roles.rs"),
        include_str!("read/tls.rs")
    );
    let mut keys = 0;
    let quoted: Vec<_> = source.split('"').collect();
    for pair in quoted.chunks(2).filter(|pair| pair.len() == 2) {
        // A key stands first in a call: `t.get("shards", …`.
        let call = pair[0]
            .trim_end()
            .strip_suffix('(')
            .is_some_and(|b| b.ends_with(char::is_alphabetic) && !b.ends_with("Some"));
        let name = pair[1].bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if call && name {
            assert!(
                guide.contains(&format!("`{}`", pair[1]))
                    || guide.contains(&format!("`[{}", pair[1]))
                    || guide.contains(&format!(".{}]`", pair[1])),
                "{} is not in the guide",
                pair[1]
            );
            keys += 1;
        }
    }
    assert!(keys > 55, "only {keys} keys found in the source");
}

#[test]
fn every_key_has_its_effect() {
    let text = frontend(
        "shards = 3\nadmins = [\"Cyrus\", \"a@EXAMPLE.com\", \"a@example.org\"]\nhierarchy_separator = \"/\"\nalt_namespace = true\n\
         virtual_domains = \"userid\"\ndefault_domain = \"Example.com\"\nlist_size = \"64 MiB\"",
        "saslauthd = \"/run/saslauthd/mux\"\ngroups_file = \"groups\"",
        "referrals = false\nadmin_actions = \"refer\"",
        "ports = { imap = 1143, pop3 = 1110, lmtp = 2003, sieve = 4190 }\npipes = 7\n\
         hosts = { \"Backend1.murder.test\" = \"127.0.0.12\", \"b2\" = \"[::1]:99\" }",
        "noop_interval = 0.5\n[limits]\nautologout = \"1h\"\nlogin = 30\nbarrier = \"500ms\"\n\
         line_size = \"16 KiB\"\n[log]\nformat = \"text\"\nlevel = \"debug\"",
    );
    let config = parse(&text, base()).unwrap();
    assert_eq!(
        (config.shards, config.alt_namespace, config.list_size),
        (3, true, 64 << 20)
    );
    assert_eq!(config.admins, ["cyrus", "a", "a@example.org"]);
    assert_eq!(config.default_domain.as_deref(), Some("example.com"));
    assert_eq!(config.hierarchy_separator.byte(), b'/');
    assert_eq!(
        config.auth.saslauthd.as_deref(),
        Some(Path::new("/run/saslauthd/mux"))
    );
    assert_eq!(config.limits.login, Duration::from_secs(30));
    assert_eq!(config.limits.barrier, Duration::from_millis(500));
    assert_eq!(config.limits.line_size, 16 * 1024);
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(
        config.mupdate_client.unwrap().noop_interval,
        Duration::from_millis(500)
    );
    let upstream = config.proxy.unwrap().upstream;
    assert_eq!(upstream.pipes, 7);
    assert_eq!(
        upstream.imap("backend1.murder.test").to_string(),
        "127.0.0.12:1143"
    );
    assert_eq!(
        upstream.imap("backend1.murder.test:5143").to_string(),
        "127.0.0.12:5143"
    );
    assert_eq!(upstream.imap("B2").to_string(), "[::1]:99");
    assert_eq!(upstream.imap("b3").to_string(), "b3:1143");
}

#[test]
fn unknown_keys_have_line_and_column() {
    let text = "servername = \"a\"\nstate_dir = \"s\"\n[auth]\n  pasword_file = \"hunter2\"\n";
    let error = parse(text, base()).unwrap_err();
    let unknown = error
        .problems()
        .iter()
        .find(|p| p.text.contains("unknown"))
        .unwrap();
    assert_eq!((unknown.line, unknown.column), (Some(4), Some(3)));
    let said = error.to_string();
    assert!(
        said.contains("unknown key `auth.pasword_file`; known here: passwd_file"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");

    for (text, key) in [
        (frontend("sevrername = 1", "", "", "", ""), "sevrername"),
        (frontend("", "", "imapp = []", "", ""), "proxy.imapp"),
        (
            frontend("", "", "", "ports = { nntp = 1 }", ""),
            "proxy.upstream.ports.nntp",
        ),
        (
            frontend("", "", "", "", "[mupdate.replica]"),
            "mupdate.replica",
        ),
        (frontend("", "", "", "", "[tls]\ncert = 1"), "tls.cert"),
        (frontend("", "", "", "", "[frontend]"), "frontend"),
    ] {
        let said = refused(&text);
        assert!(said.contains(&format!("unknown key `{key}`")), "{said}");
        assert!(said.starts_with("line "), "{said}");
    }
}

#[test]
fn what_is_not_built_says_so_in_one_message() {
    let text = frontend(
        "",
        "",
        "pop3 = [\"127.0.0.1:1110\"]\nlmtp = [\"127.0.0.1:2003\"]",
        "",
        "",
    );
    let error = parse(&text, base()).unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
    assert_eq!(
        error.problems()[0].text,
        "not built yet: proxy.pop3, proxy.lmtp"
    );
    assert_eq!(error.problems()[0].line, Some(9));
}

#[test]
fn a_backend_with_a_master_is_a_member() {
    let head = "servername = \"b\"\nstate_dir = \"s\"\nauth = { passwd_file = \"users\" }\n";
    let client =
        "[mupdate.client]\nserver = \"127.0.0.1:3905\"\nauthname = \"b\"\npassword = \"pw\"\n";
    let server = "[mupdate.server]\nlisten = [\"127.0.0.1:3905\"]\nusers = { b = \"pw\" }\n";
    let member = parse(&format!("{head}{}{client}", backend("")), base()).unwrap();
    assert!(member.backend.is_some() && member.mupdate_client.is_some());
    let beside = parse(&format!("{head}{}{client}{server}", backend("")), base());
    assert!(beside.is_ok(), "{beside:?}");
    let nowhere = refused(&format!("{head}{}{server}", backend("")));
    assert!(nowhere.contains("needs [mupdate.client]"), "{nowhere}");
}

fn backend(more: &str) -> String {
    format!(
        "[backend]\nimap = [\"127.0.0.1:1143\"]\npartitions = {{ default = \"spool\" }}\n{more}"
    )
}

#[test]
fn a_backend_serves_alone() {
    let alone = |table: &str| {
        let head = "servername = \"b\"\nstate_dir = \"s\"\nauth = { passwd_file = \"users\" }\n";
        parse(&format!("{head}{table}"), base())
    };
    let config = alone(&backend("message_size = \"1 MiB\"\nkeep_removed = \"1h\"")).unwrap();
    let backend_table = config.backend.unwrap();
    assert_eq!(backend_table.default_partition, "default");
    assert_eq!(backend_table.message_size, 1 << 20);
    assert!(!backend_table.proxy_admins && backend_table.autocreate_inbox);
    assert_eq!(
        backend_table.compare_every,
        Duration::from_secs(6 * 60 * 60)
    );
    let several = "[backend]\nimap = [\"127.0.0.1:1143\"]\npartitions = { a = \"x\", b = \"y\" }\n";
    for (table, want) in [
        ("[backend]\nimap = []".to_owned(), "empty list"),
        ("[backend]".to_owned(), "listens nowhere"),
        (
            "[backend]\nimap = [\"127.0.0.1:1143\"]".to_owned(),
            "stores nothing",
        ),
        (
            "[backend]\nimap = [\"127.0.0.1:1143\"]\npartitions = {}".to_owned(),
            "stores nothing",
        ),
        (several.to_owned(), "needs default_partition"),
        (
            format!("{several}default_partition = \"c\""),
            "none of backend.partitions",
        ),
        (
            backend("compare_every = \"500ms\""),
            "compare_every wants a duration of 1s or more, or 0",
        ),
        (
            backend("imaps = [\"127.0.0.1:1993\"]"),
            "backend.imaps needs [tls]",
        ),
    ] {
        let said = alone(&table).unwrap_err().to_string();
        assert!(said.contains(want), "{said}");
    }
}

#[test]
fn bad_values_are_named_and_shown() {
    for (text, want) in [
        (
            frontend("shards = -1", "", "", "", ""),
            "shards wants a number from 0 to 512",
        ),
        (
            frontend("shards = \"2\"", "", "", "", ""),
            "shards wants a whole number, not a string",
        ),
        (
            frontend("admins = \"cyrus\"", "", "", "", ""),
            "admins wants an array",
        ),
        (
            frontend("admins = [\"a/b\"]", "", "", "", ""),
            "admins is no user name",
        ),
        (
            frontend("default_domain = \"a.org\"", "", "", "", ""),
            "default_domain means nothing without virtual_domains",
        ),
        (
            frontend("hierarchy_separator = \"!\"", "", "", "", ""),
            "wants \".\" or \"/\", not \"!\"",
        ),
        (
            frontend("", "", "", "pipes = 1e3", ""),
            "pipes wants a whole number",
        ),
        (
            frontend("", "", "", "ports = { imap = 0 }", ""),
            "ports.imap wants a number from 1",
        ),
        (
            frontend("", "", "", "hosts = { b1 = \"b1.local\" }", ""),
            "wants an IP address",
        ),
        (
            frontend("", "", "", "hosts = { \"b 1\" = \"::1\" }", ""),
            "is no host name",
        ),
        (
            frontend("", "", "", "password_file = \"p\"", ""),
            "one of them is enough",
        ),
        (
            frontend("", "", "", "", "noop_interval = \"2 parsecs\""),
            "wants a duration",
        ),
        (
            frontend("", "", "", "", "[limits]\nline_size = \"1 KiB\""),
            "wants a size from 8 KiB",
        ),
        (
            frontend("", "", "", "", "[limits]\nline_size = \"1 MiB\""),
            "must not be less than",
        ),
        (
            frontend("", "", "", "", "[log]\nlevel = \"loud\""),
            "wants \"error\" or \"warn\"",
        ),
        (
            frontend("list_size = \"8 GB\"", "", "", "", ""),
            "list_size wants a size such as",
        ),
    ] {
        let said = refused(&text);
        assert!(said.contains(want), "{said}\n  wanted: {want}");
        assert!(said.starts_with("line "), "{said}");
    }
}

#[test]
fn listeners_are_addresses() {
    let listen = |list: &str| {
        let text = frontend("", "", "", "", "").replace("[\"127.0.0.42:1143\"]", list);
        parse(&text, base())
    };
    for good in [
        "[\"127.0.0.1:143\"]",
        "[\"[::1]:143\", \"/run/ravenry/imap\"]",
    ] {
        let config = listen(good).unwrap();
        assert!(config.warnings().is_empty(), "{good}");
    }
    for bad in [
        "[]",
        "\"127.0.0.1:143\"",
        "[\"localhost:143\"]",
        "[\"127.0.0.1\"]",
        "[\"127.0.0.1:0\"]",
        "[\"127.0.0.1:65536\"]",
        "[\"::1:143\"]",
        "[\"run/imap\"]",
        "[\"127.0.0.1:143\", \"127.0.0.1:143\"]",
        "[1143]",
    ] {
        assert!(listen(bad).is_err(), "{bad}");
    }
    for open in [
        "0.0.0.0:143",
        "[::]:143",
        "192.0.2.1:143",
        "[::ffff:192.0.2.1]:143",
    ] {
        let said = listen(&format!("[\"{open}\"]")).unwrap_err();
        assert!(said.to_string().contains("nobody could log in"), "{said}");
        let text = frontend("", "", "", "", "[tls]\nallow_plaintext = true");
        let text = text.replace("127.0.0.42:1143", open);
        let config = parse(&text, base()).unwrap();
        assert!(
            config.warnings()[0].contains("in clear"),
            "{open}: {:?}",
            config.warnings()
        );
    }
}

#[test]
fn what_is_missing_is_named() {
    for (text, want) in [
        ("", "servername is missing"),
        ("", "state_dir is missing"),
        ("servername = \"a\"\nstate_dir = \"s\"", "nothing to run"),
        ("[proxy]", "[proxy] listens nowhere"),
        ("[proxy]", "[proxy] needs [proxy.upstream]"),
        ("[proxy]", "[proxy] needs [mupdate.client]"),
        ("[proxy]", "nobody could log in"),
        ("[proxy.upstream]", "proxy.upstream.authname is missing"),
        (
            "[proxy.upstream]",
            "proxy.upstream needs password or password_file",
        ),
        ("[mupdate.client]", "mupdate.client.server is missing"),
    ] {
        assert!(refused(text).contains(want), "{text}: {}", refused(text));
    }
}

#[test]
fn no_message_shows_a_password() {
    let whole = frontend("", "", "", "", "");
    for (from, to) in [
        ("password = \"proxypw\"", "password = \"hunter2"),
        (
            "password = \"proxypw\"",
            "password = \"\"\"hunter2\nhunter2",
        ),
        ("password = \"proxypw\"", "password = hunter2"),
        ("password = \"proxypw\"", "password = \"hunter2\" x"),
        ("password = \"proxypw\"", "pasword = \"hunter2\""),
        ("password = \"proxypw\"", "password = [\"hunter2\"]"),
        ("password = \"proxypw\"", "password = \"hunter2\\u0000\""),
        ("password = \"proxypw\"", "password = { a = \"hunter2\" }"),
        (
            "[proxy.upstream]",
            "[hunter]\npassword = \"hunter2\"\n[proxy.upstream]",
        ),
        (
            "[mupdate.client]",
            "[mupdate.server]\nusers = { a = \"hunter2\", b = }\n[mupdate.client]",
        ),
        (
            "[mupdate.client]",
            "[mupdate.server]\nusers = { a = \"hunter2\" }\n[mupdate.client]",
        ),
    ] {
        let text = whole.replace(from, to);
        assert_ne!(text, whole);
        let error = parse(&text, base()).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    let config = parse(&whole, base()).unwrap();
    let debug = format!("{config:?}");
    assert!(
        !debug.contains("proxypw") && !debug.contains("mupdatepw"),
        "{debug}"
    );
}

#[test]
fn grammar_errors_have_a_place() {
    let error = parse("a = 1\nb = = 2\n", base()).unwrap_err();
    assert_eq!(
        (error.problems()[0].line, error.problems()[0].column),
        (Some(2), Some(5))
    );
    let deep = "a = ".to_owned() + &"[".repeat(100_000);
    assert!(parse(&deep, base()).is_err(), "no overflow of the stack");
    assert!(parse("servername = \"a\"\nservername = \"b\"", base()).is_err());
}

#[test]
fn the_excerpt_points_at_the_mistake() {
    let said = refused(&frontend("\"shärds\" = 4", "", "", "", ""));
    assert!(
        said.contains("\n  3 | \"shärds\"\n    | ^^^^^^^^"),
        "{said}"
    );
}

#[test]
fn files_are_read_and_their_modes_seen() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ravenry.toml");
    let text = frontend("", "", "", "", "");
    let text = text.replace(
        "password = \"mupdatepw\"",
        "password_file = \"mupdate.password\"",
    );
    fs::write(&path, &text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let said = load(&path).unwrap_err().to_string();
    assert!(
        said.contains("ravenry.toml: line ") && said.contains("can't be opened"),
        "{said}"
    );

    let password = directory.path().join("mupdate.password");
    for (content, want) in [
        ("", "is empty"),
        ("\n", "is empty"),
        ("a\nb\n", "line break"),
        (&"x".repeat(5000), "longer than"),
    ] {
        fs::write(&password, content).unwrap();
        let said = load(&path).unwrap_err().to_string();
        assert!(said.contains(want), "{said}");
    }
    fs::write(&password, "mupdate pw \r\n").unwrap();
    fs::set_permissions(&password, Permissions::from_mode(0o644)).unwrap();
    let config = load(&path).unwrap();
    assert_eq!(
        config.mupdate_client.as_ref().unwrap().password.expose(),
        b"mupdate pw "
    );
    let warnings = config.warnings().join("\n");
    assert!(
        warnings.contains("ravenry.toml has a password"),
        "{warnings}"
    );
    assert!(
        warnings.contains("mupdate.password has a password"),
        "{warnings}"
    );
    assert_eq!(config.warnings().len(), 2);
    for file in [&path, &password] {
        fs::set_permissions(file, Permissions::from_mode(0o640)).unwrap();
    }
    assert!(load(&path).unwrap().warnings().is_empty());

    fs::write(&path, b"a = 1\n# \xff\n").unwrap();
    assert!(
        load(&path)
            .unwrap_err()
            .to_string()
            .contains("line 2: not UTF-8")
    );
    let missing = directory.path().join("missing.toml");
    assert!(
        load(&missing)
            .unwrap_err()
            .to_string()
            .contains("missing.toml: can't be opened")
    );
}
