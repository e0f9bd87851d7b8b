//! Which keys there are: from the TOML tables to [`Config`], section by section.

mod backend;
mod limits;
mod listening;
mod mupdate;
mod roles;
mod tls;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use toml::de::DeTable;

use crate::config::endpoint::is_host_name;
use crate::config::error::Problem;
use crate::config::reader::{Document, Table};
use crate::config::{
    Auth, Backend, Config, ConfigError, Log, LogFormat, LogLevel, MupdateRole, MupdateServer,
    Proxy, Separator, value,
};
use crate::limits as bounds;
use crate::mailboxes::UserId;

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
    let shards = t.get("shards", value::integer(0..=bounds::SHARDS_MAX));
    let admins = t.list("admins", bounds::CONFIG_ENTRIES_MAX, value::user);
    let hierarchy_separator = t.get("hierarchy_separator", value::choice(SEPARATORS));
    let alt_namespace = t.get("alt_namespace", value::boolean);
    let default_domain = default_domain(&mut t);
    let admins = admins.map(|admins| in_domains(admins, default_domain.as_deref()));
    let list_size = t.get(
        "list_size",
        value::size(bounds::LIST_BYTES_LEAST..=LIST_MOST),
    );
    let auth = t
        .table("auth")
        .map(|table| auth(context, table))
        .unwrap_or_default();
    let tls = t
        .table("tls")
        .map(|table| tls::written(context, table))
        .unwrap_or_default();
    let limits = t
        .table("limits")
        .map(|table| limits::limits(context, table))
        .unwrap_or_default();
    let log = t.table("log").map(log).unwrap_or_default();
    let (proxy, backend) = sessions(context, &mut t, default_domain.as_deref());
    let mupdate = t
        .table("mupdate")
        .map(|table| mupdate::mupdate(context, table))
        .unwrap_or_default();
    let roles = (proxy.as_ref(), backend.as_ref(), mupdate.server.as_ref());
    listening::differ(&t, roles);
    let tls = tls::settle(context, &t, tls, roles);
    can_run(&t, &auth, &mupdate);
    t.finish();
    Some(Config {
        servername: servername?,
        state_dir: state_dir?,
        shards: usize::try_from(shards.unwrap_or(0)).ok()?,
        admins: admins.unwrap_or_default(),
        hierarchy_separator: hierarchy_separator.unwrap_or(Separator::Dot),
        alt_namespace: alt_namespace.unwrap_or(false),
        default_domain,
        list_size: list_size.unwrap_or(bounds::LIST_BYTES_DEFAULT),
        auth,
        tls,
        limits,
        log,
        proxy,
        backend,
        mupdate_client: mupdate.client,
        mupdate_server: mupdate.server,
        warnings: Vec::new(),
    })
}

/// The roles that clients talk to.
fn sessions(
    context: &mut Context<'_>,
    t: &mut Table<'_>,
    domain: Option<&str>,
) -> (Option<Proxy>, Option<Backend>) {
    let proxy = t
        .table("proxy")
        .and_then(|table| roles::proxy(context, table));
    let backend = t
        .table("backend")
        .and_then(|table| backend::backend(context, table));
    let proxy = proxy.map(|proxy| Proxy {
        proxy_users: in_domains(proxy.proxy_users, domain),
        ..proxy
    });
    let backend = backend.map(|backend| Backend {
        proxy_users: in_domains(backend.proxy_users, domain),
        ..backend
    });
    (proxy, backend)
}

/// Whether there is something to run, and what it needs is there.
fn can_run(t: &Table<'_>, auth: &Auth, mupdate: &mupdate::Mupdate) {
    let has_sessions = t.has("proxy") || t.has("backend");
    if has_sessions && auth.passwd_file.is_none() && auth.saslauthd.is_none() {
        t.fail("nobody could log in: [auth] needs passwd_file or saslauthd".to_owned());
    }
    if t.has("backend") && mupdate.has_server && !mupdate.has_client {
        t.fail(
            "[backend] beside [mupdate.server] needs [mupdate.client]: where it says what it has"
                .to_owned(),
        );
    }
    if t.has("proxy") {
        let is_master = |server: &MupdateServer| server.role == MupdateRole::Master;
        if !mupdate.has_client && !mupdate.server.as_ref().is_some_and(is_master) {
            t.fail("[proxy] needs [mupdate.client]: where the mailbox list comes from".to_owned());
        }
    } else if !t.has("backend") && !mupdate.has_server {
        t.fail(
            "there is nothing to run: it wants [proxy], [backend] or [mupdate.server]".to_owned(),
        );
    }
}

/// The domain of users and mailboxes that have none in their names; `None`: no virtual domains.
fn default_domain(t: &mut Table<'_>) -> Option<String> {
    let modes = &[("off", false), ("userid", true)];
    let mode = t.get("virtual_domains", value::choice(modes));
    let domain = t.get("default_domain", host_name);
    match (mode.unwrap_or(false), domain) {
        (false, None) => None,
        (false, Some(_)) => {
            t.fail_key(
                "default_domain",
                "means nothing without virtual_domains = \"userid\"",
            );
            None
        }
        (true, domain) => Some(domain.unwrap_or_else(|| DEFAULT_DOMAIN.to_owned())),
    }
}

/// Users as logins know them: those of the default domain have none in their names.
fn in_domains(users: Vec<String>, default: Option<&str>) -> Vec<String> {
    let Some(default) = default else {
        return users;
    };
    let known = |user: String| match UserId::in_domains(user.as_bytes(), default) {
        Ok(known) => known.as_str().to_owned(),
        Err(_no_one) => user,
    };
    users.into_iter().map(known).collect()
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

fn log(mut t: Table<'_>) -> Log {
    let log = Log {
        format: t.get("format", value::choice(FORMATS)).unwrap_or_default(),
        level: t.get("level", value::choice(LEVELS)).unwrap_or_default(),
    };
    t.finish();
    log
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

/// As in Cyrus: a name that nobody's domain has.
const DEFAULT_DOMAIN: &str = "internal";

const LIST_MOST: u64 = bounds::LIST_BYTES_MOST;

const SEPARATORS: &[(&str, Separator)] = &[(".", Separator::Dot), ("/", Separator::Slash)];

const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

const LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];
