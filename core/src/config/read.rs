//! Which keys there are: from the TOML tables to [`Config`], section by section.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

use super::endpoint::is_host_name;
use super::error::Problem;
use super::reader::{Document, Table};
use super::{
    AdminActions, Auth, Config, ConfigError, Limits, Log, LogFormat, LogLevel, MupdateClient,
    Proxy, Separator, Upstream, value,
};
use crate::limits;
use crate::proto::sasl::Secret;
use crate::rt::Address;

/// What the sections share: where relative paths begin, and what is to be told.
struct Context<'c> {
    base: &'c Path,
    /// The configuration file, where there is one.
    file: Option<&'c Path>,
    warnings: Vec<String>,
}

pub(super) fn config(text: &str, base: &Path, file: Option<&Path>) -> Result<Config, ConfigError> {
    // A byte order mark is what some editors put there; offsets are counted after it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let root = DeTable::parse(text).map_err(|error| {
        // Not `error` itself: it holds the text, passwords and all.
        ConfigError::new(vec![Problem::grammar(text, error.span(), error.message())])
    })?;
    let doc = Document::new(text);
    let mut context = Context {
        base,
        file,
        warnings: Vec::new(),
    };
    let config = root_table(&mut context, doc.root(root.get_ref()));
    doc.into_result()?;
    let mut config = config.expect("invariant: a value that is missing is a problem noted");
    config.warnings = context.warnings;
    Ok(config)
}

fn root_table(context: &mut Context<'_>, mut t: Table<'_>) -> Option<Config> {
    let servername = t.require("servername", host_name);
    let state_dir = t
        .require("state_dir", value::path)
        .map(|path| context.base.join(path));
    let shards = t.get("shards", value::integer(0..=limits::SHARDS_MAX));
    let admins = t.list("admins", limits::CONFIG_ENTRIES_MAX, value::name);
    let hierarchy_separator = t.get("hierarchy_separator", value::choice(SEPARATORS));
    let alt_namespace = t.get("alt_namespace", value::boolean);
    if t.get(
        "virtual_domains",
        value::choice(&[("off", false), ("userid", true)]),
    ) == Some(true)
    {
        t.unbuilt_value("virtual_domains", "\"userid\"");
    }
    let list_size = t.get(
        "list_size",
        value::size(limits::LIST_BYTES_LEAST..=LIST_MOST),
    );
    let auth = t
        .table("auth")
        .map(|table| auth(context, table))
        .unwrap_or_default();
    t.unbuilt_table("tls", TLS);
    let limits = t
        .table("limits")
        .map(|table| limits_table(context, table))
        .unwrap_or_default();
    let log = t.table("log").map(log).unwrap_or_default();
    let proxy = t.table("proxy").and_then(|table| proxy(context, table));
    let mupdate = t
        .table("mupdate")
        .map(|table| mupdate(context, table))
        .unwrap_or_default();
    t.unbuilt_table("backend", BACKEND);
    if t.has("proxy") {
        if auth.passwd_file.is_none() && auth.saslauthd.is_none() {
            t.fail("nobody could log in: [auth] needs passwd_file or saslauthd".to_owned());
        }
        if !mupdate.has_client {
            t.fail("[proxy] needs [mupdate.client]: where the mailbox list comes from".to_owned());
        }
    } else if !t.has("backend") && !mupdate.has_server {
        t.fail("there is nothing to run: a frontend needs a table [proxy]".to_owned());
    }
    t.finish();
    Some(Config {
        servername: servername?,
        state_dir: state_dir?,
        shards: usize::try_from(shards.unwrap_or(0)).ok()?,
        admins: admins.unwrap_or_default(),
        hierarchy_separator: hierarchy_separator.unwrap_or(Separator::Dot),
        alt_namespace: alt_namespace.unwrap_or(false),
        list_size: list_size.unwrap_or(limits::LIST_BYTES_DEFAULT),
        auth,
        limits,
        log,
        proxy,
        mupdate_client: mupdate.client,
        warnings: Vec::new(),
    })
}

fn auth(context: &mut Context<'_>, mut t: Table<'_>) -> Auth {
    let mut file = |key| t.get(key, value::path).map(|path| context.base.join(path));
    let auth = Auth {
        passwd_file: file("passwd_file"),
        saslauthd: file("saslauthd"),
        groups_file: file("groups_file"),
    };
    t.finish();
    if let Some(path) = &auth.passwd_file {
        context.warn_if_open(path, "passwords");
    }
    auth
}

fn limits_table(context: &mut Context<'_>, mut t: Table<'_>) -> Limits {
    let mut limits = Limits::default();
    let mut duration = |key, into: &mut Duration| {
        *into = t.get(key, value::duration).unwrap_or(*into);
    };
    duration("autologout", &mut limits.autologout);
    duration("login", &mut limits.login);
    duration("connect", &mut limits.connect);
    duration("upstream_login", &mut limits.upstream_login);
    duration("upstream_answer", &mut limits.upstream_answer);
    duration("upstream_idle", &mut limits.upstream_idle);
    duration("stall", &mut limits.stall);
    duration("barrier", &mut limits.barrier);
    let mut size = |key, into: &mut usize| {
        let range = limits::LINE_BYTES_LEAST..=limits::COMMAND_BYTES_MOST;
        let given = t
            .get(key, value::size(range))
            .and_then(|n| usize::try_from(n).ok());
        *into = given.unwrap_or(*into);
    };
    size("line_size", &mut limits.line_size);
    size("command_size", &mut limits.command_size);
    if limits.command_size < limits.line_size {
        t.fail("limits.command_size must not be less than limits.line_size".to_owned());
    }
    t.finish();
    if limits.autologout < limits::AUTOLOGOUT_DEFAULT {
        context.warnings.push(
            "limits.autologout is less than the 30 minutes that RFC 9051 section 5.4 asks for: \
             clients in IDLE will be cut off"
                .to_owned(),
        );
    }
    limits
}

fn log(mut t: Table<'_>) -> Log {
    if t.get("format", value::choice(&[("text", false), ("json", true)])) == Some(true) {
        t.unbuilt_value("format", "\"json\"");
    }
    let level = t.get("level", value::choice(LEVELS)).unwrap_or_default();
    t.finish();
    Log {
        format: LogFormat::Text,
        level,
    }
}

fn proxy(context: &mut Context<'_>, mut t: Table<'_>) -> Option<Proxy> {
    let imap = t.list("imap", limits::LISTENERS_MAX, value::address);
    t.unbuilt(&["imaps", "pop3", "pop3s", "lmtp", "sieve"]);
    if let Some(listeners) = &imap {
        check_listeners(context, &t, "imap", listeners);
    }
    if !["imap", "imaps", "pop3", "pop3s", "lmtp", "sieve"]
        .iter()
        .any(|key| t.has(key))
    {
        t.fail("[proxy] listens nowhere: it needs imap = [\"ADDRESS:PORT\"]".to_owned());
    }
    if t.get("referrals", value::boolean) == Some(true) {
        t.unbuilt_value("referrals", "true");
    }
    let actions = &[
        ("refer", "refer"),
        ("own", "\"own\""),
        ("proxy", "\"proxy\""),
    ];
    match t.get("admin_actions", value::choice(actions)) {
        None | Some("refer") => {}
        Some(other) => t.unbuilt_value("admin_actions", other),
    }
    let upstream = t.table("upstream");
    if !t.has("upstream") {
        t.fail("[proxy] needs [proxy.upstream]: how it logs in at backends".to_owned());
    }
    let upstream = upstream.and_then(|table| upstream_table(context, table));
    t.finish();
    Some(Proxy {
        imap: imap?,
        admin_actions: AdminActions::Refer,
        upstream: upstream?,
    })
}

/// No address twice, and a word about those that the world can reach.
fn check_listeners(context: &mut Context<'_>, t: &Table<'_>, key: &'static str, all: &[Address]) {
    if all.is_empty() {
        t.fail_key(key, "is an empty list: it wants [\"ADDRESS:PORT\"]");
    }
    for (i, address) in all.iter().enumerate() {
        if all[..i].contains(address) {
            t.fail_key(key, &format!("has {address} twice"));
        }
        let Address::Tcp(socket) = address else {
            continue;
        };
        if !socket.ip().to_canonical().is_loopback() {
            context.warnings.push(format!(
                "proxy.{key} = {address} can be reached from other hosts and TLS is not built \
                 yet: passwords and mail cross the network in clear. Listen on loopback, or only \
                 where the network is trusted"
            ));
        }
    }
}

fn upstream_table(context: &mut Context<'_>, mut t: Table<'_>) -> Option<Upstream> {
    let authname = t.require("authname", value::name);
    let password = password(context, &mut t);
    let imap_port = t.table("ports").and_then(|mut ports| {
        // The peers' other ports are known, and harmless before those proxies are built.
        for other in ["pop3", "lmtp", "sieve"] {
            ports.get(other, value::port);
        }
        let imap = ports.get("imap", value::port);
        ports.finish();
        imap
    });
    let hosts = t.map("hosts", limits::CONFIG_ENTRIES_MAX, |name, address| {
        if !is_host_name(name) {
            return Err("is no host name".to_owned());
        }
        let address = value::from_str(&value::string(address)?)?;
        Ok((name.to_ascii_lowercase(), address))
    });
    let pipes = t.get("pipes", value::integer(0..=limits::PIPES_MOST));
    t.finish();
    Some(Upstream {
        authname: authname?,
        password: password?,
        imap_port: imap_port.unwrap_or(143),
        hosts: hosts
            .unwrap_or_default()
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
        pipes: usize::try_from(pipes.unwrap_or(limits::PIPES_DEFAULT)).ok()?,
    })
}

#[derive(Default)]
struct Mupdate {
    has_client: bool,
    has_server: bool,
    client: Option<MupdateClient>,
}

fn mupdate(context: &mut Context<'_>, mut t: Table<'_>) -> Mupdate {
    let client = t.table("client").and_then(|mut t| {
        let server = t.require("server", value::endpoint);
        let authname = t.require("authname", value::name);
        let password = password(context, &mut t);
        let noop_interval = t.get("noop_interval", value::duration);
        t.finish();
        Some(MupdateClient {
            server: server?,
            authname: authname?,
            password: password?,
            noop_interval: noop_interval.unwrap_or(limits::NOOP_INTERVAL_DEFAULT),
        })
    });
    t.unbuilt_table("server", &["role", "listen", "users"]);
    let found = Mupdate {
        has_client: t.has("client"),
        has_server: t.has("server"),
        client,
    };
    t.finish();
    found
}

/// `password`, or `password_file` with nothing but the password in it.
fn password(context: &mut Context<'_>, t: &mut Table<'_>) -> Option<Secret> {
    let inline = t.get("password", value::secret);
    let path = t
        .get("password_file", value::path)
        .map(|path| context.base.join(path));
    match (t.has("password"), t.has("password_file")) {
        (false, false) => {
            t.fail(format!("{} needs password or password_file", t.path()));
            None
        }
        (true, true) => {
            t.fail_key(
                "password_file",
                "and password are both given: one of them is enough",
            );
            None
        }
        (true, false) => {
            if let Some(file) = context.file {
                context.warn_if_open(file, "a password");
            }
            inline
        }
        (false, true) => match read_password(&path?) {
            Ok((path, secret)) => {
                context.warn_if_open(&path, "a password");
                Some(secret)
            }
            Err(why) => {
                t.fail_key("password_file", &why);
                None
            }
        },
    }
}

fn read_password(path: &Path) -> Result<(PathBuf, Secret), String> {
    let shown = path.display();
    let most = limits::PASSWORD_FILE_BYTES_MAX;
    let file = std::fs::File::open(path).map_err(|e| format!("{shown} can't be opened: {e}"))?;
    let mut bytes = Vec::new();
    let read = file.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|e| format!("{shown} can't be read: {e}"))?;
    // One line end, as editors and `echo` leave it; anything else is the password's.
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let secret = value::check_secret(text).map_err(|why| format!("{shown} {why}"))?;
    Ok((path.to_path_buf(), secret))
}

impl Context<'_> {
    /// A warning if everybody on this host can read the file. One that isn't there is the
    /// mistake of whoever opens it.
    fn warn_if_open(&mut self, path: &Path, what: &str) {
        let Ok(metadata) = std::fs::metadata(path) else {
            return;
        };
        if metadata.permissions().mode() & 0o004 != 0 {
            let path = path.display();
            let warning =
                format!("{path} has {what} in it and everybody can read it: chmod o-rwx {path}");
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }
}

fn host_name(value: &toml::de::DeValue<'_>) -> Result<String, String> {
    let name = value::string(value)?;
    if is_host_name(&name) {
        return Ok(name.to_ascii_lowercase());
    }
    Err(format!(
        "wants a host name such as \"imap.example.org\", not {name:?}"
    ))
}

const LIST_MOST: u64 = limits::LIST_BYTES_MOST;

const SEPARATORS: &[(&str, Separator)] = &[(".", Separator::Dot), ("/", Separator::Slash)];

const LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

const TLS: &[&str] = &["certificate", "key", "allow_plaintext"];

const BACKEND: &[&str] = &[
    "imap",
    "imaps",
    "pop3",
    "pop3s",
    "lmtp",
    "sieve",
    "partitions",
    "index_size",
    "proxy_users",
    "proxy_admins",
];
