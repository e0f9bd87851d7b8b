//! The configuration file: TOML in, typed and validated values out.
//!
//! [`load`] reads a file, [`parse`] a text; both give every mistake at once, each with its line
//! and column and what to write instead. Unknown keys are mistakes; keys whose part isn't built
//! yet are known and say so. Nothing here opens a socket or asks DNS. The guide to every key is
//! docs/guide/configuration.md, whose example is parsed by a test below.

mod backend;
mod endpoint;
mod error;
mod mupdate;
mod network;
mod read;
mod reader;
mod value;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::backend::Backend;
pub use self::endpoint::{Endpoint, HostAddress, host_and_port};
pub use self::error::{ConfigError, Problem};
pub use self::mupdate::{Conflicts, Guard, MupdateClient, MupdateRole, MupdateServer, MupdateUser};
pub use self::network::Network;
use crate::limits;
use crate::proto::sasl::Secret;
use crate::rt::Address;

/// Reads a configuration file. Relative paths in it are relative to its directory.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = read_file(path).map_err(|why| ConfigError::unreadable(path, &why))?;
    let base = path.parent().unwrap_or_else(|| Path::new(""));
    read::config(&text, base, Some(path)).map_err(|error| error.in_file(path))
}

/// Parses a configuration. Relative paths in it are relative to `base`.
pub fn parse(text: &str, base: &Path) -> Result<Config, ConfigError> {
    read::config(text, base, None)
}

/// What a process of Ravenry is to be. A role runs if its table is there.
#[derive(Debug, Clone)]
pub struct Config {
    /// The name in greetings.
    pub servername: String,
    /// Where the mailbox list and the control socket are.
    pub state_dir: PathBuf,
    /// Threads that serve sessions; 0: one a CPU, one CPU kept for mupdate where there are four
    /// or more.
    pub shards: usize,
    /// Users with an admin's rights on every mailbox.
    pub admins: Vec<String>,
    /// Between the parts of a mailbox name, as clients see it.
    pub hierarchy_separator: Separator,
    /// Whether a user's own mailboxes stand beside INBOX, not below it.
    pub alt_namespace: bool,
    /// Where there are virtual domains: the one whose users have none in their names.
    pub default_domain: Option<String>,
    /// The ceiling of the mailbox list's file.
    pub list_size: u64,
    /// Who may log in.
    pub auth: Auth,
    /// Certificates, and what is allowed without them.
    pub tls: Tls,
    /// Deadlines and sizes.
    pub limits: Limits,
    /// The log.
    pub log: Log,
    /// A frontend.
    pub proxy: Option<Proxy>,
    /// A backend.
    pub backend: Option<Backend>,
    /// Where the mailbox list comes from.
    pub mupdate_client: Option<MupdateClient>,
    /// A MUPDATE server.
    pub mupdate_server: Option<MupdateServer>,
    warnings: Vec<String>,
}

impl Config {
    /// What the operator should know and may have meant: to be logged at start and printed by
    /// `ravenry check`.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// The hierarchy separator that clients see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    /// `user.alice.Sent`
    Dot,
    /// `user/alice/Sent`
    Slash,
}

impl Separator {
    /// The character.
    pub fn byte(self) -> u8 {
        match self {
            Self::Dot => b'.',
            Self::Slash => b'/',
        }
    }
}

/// `[auth]`: who may log in. At least one of the first two is there if there is a frontend.
#[derive(Debug, Clone, Default)]
pub struct Auth {
    /// Users and hashes; asked first.
    pub passwd_file: Option<PathBuf>,
    /// The socket of saslauthd; asked for users who aren't in the file.
    pub saslauthd: Option<PathBuf>,
    /// Groups, for `group:` in ACLs.
    pub groups_file: Option<PathBuf>,
}

/// `[tls]`, as it is with these listeners.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// The first is for clients that ask for no name that is known; empty: no TLS.
    pub certificates: Vec<Certificate>,
    /// Whether logins are taken without TLS.
    pub allow_plaintext: bool,
}

/// Where a certificate is.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The names that clients ask for, in lower case, `*` for a first label; none for the first.
    pub names: Vec<String>,
    /// The certificate, and those between it and a root.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// TLS on connections to a server of ours.
#[derive(Debug, Clone, Default)]
pub struct TlsClient {
    /// Whether, and when, it begins.
    pub mode: TlsMode,
    /// Whom to trust; whom the system trusts otherwise.
    pub ca: Option<PathBuf>,
    /// Whether the certificate is checked.
    pub verify: bool,
}

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMode {
    /// Never.
    #[default]
    Off,
    /// After the greeting.
    StartTls,
    /// At once.
    Implicit,
}

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// A client that is silent this long is logged out.
    pub autologout: Duration,
    /// From accept to a login.
    pub login: Duration,
    /// To connect to a backend or to the MUPDATE master.
    pub connect: Duration,
    /// A backend's greeting and its answer to our login.
    pub upstream_login: Duration,
    /// The silence of a backend that owes an answer.
    pub upstream_answer: Duration,
    /// A command that a backend doesn't end, however often it says something.
    pub upstream_command: Duration,
    /// A backend connection that isn't used is closed.
    pub upstream_idle: Duration,
    /// A mailbox on its way to another server.
    pub transfer: Duration,
    /// One backend's part of an answer that is merged of several.
    pub merged: Duration,
    /// To select a mailbox again whose connection was lost; none: the session ends at once.
    pub reselect: Duration,
    /// A transfer in which neither side moves is given up.
    pub stall: Duration,
    /// The MUPDATE barrier.
    pub barrier: Duration,
    /// The same for answers from the list that may be a little behind.
    pub list_barrier: Duration,
    /// A command line.
    pub line_size: usize,
    /// A whole command with the literals in its arguments.
    pub command_size: usize,
    /// Connections in all.
    pub connections: u64,
    /// Connections from one address; 0: as many as there are in all.
    pub connections_per_address: u64,
    /// Connections of one user; 0: as many as there are in all.
    pub connections_per_user: u64,
    /// Whose addresses are not counted: webmail, load balancers.
    pub trusted: Vec<Network>,
    /// How long the answer to a failed login is held back, at first.
    pub login_delay: Duration,
    /// … and at most.
    pub login_delay_max: Duration,
    /// Failed logins before a connection ends.
    pub login_failures: u32,
    /// From SIGTERM to the end.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            autologout: limits::AUTOLOGOUT_DEFAULT,
            login: limits::LOGIN_WITHIN_DEFAULT,
            connect: limits::CONNECT_WITHIN_DEFAULT,
            upstream_login: limits::UPSTREAM_LOGIN_WITHIN_DEFAULT,
            upstream_answer: limits::UPSTREAM_ANSWER_WITHIN_DEFAULT,
            upstream_command: limits::UPSTREAM_COMMAND_WITHIN_DEFAULT,
            upstream_idle: limits::UPSTREAM_IDLE_DEFAULT,
            transfer: limits::TRANSFER_WITHIN_DEFAULT,
            merged: limits::MERGED_WITHIN_DEFAULT,
            reselect: limits::RESELECT_WITHIN_DEFAULT,
            stall: limits::STALL_DEFAULT,
            barrier: limits::BARRIER_WITHIN_DEFAULT,
            list_barrier: limits::LIST_BARRIER_WITHIN_DEFAULT,
            line_size: limits::LINE_BYTES_MAX,
            command_size: limits::COMMAND_BYTES_MAX,
            connections: limits::CONNECTIONS_DEFAULT,
            connections_per_address: limits::CONNECTIONS_PER_ADDRESS_DEFAULT,
            connections_per_user: limits::CONNECTIONS_PER_USER_DEFAULT,
            trusted: Network::loopback().into(),
            login_delay: limits::LOGIN_DELAY_DEFAULT,
            login_delay_max: limits::LOGIN_DELAY_MAX_DEFAULT,
            login_failures: u32::try_from(limits::LOGIN_FAILURES_DEFAULT).unwrap_or(u32::MAX),
            drain: limits::DRAIN_DEFAULT,
        }
    }
}

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// The least important lines that are written.
    pub level: LogLevel,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one object a line.
    Json,
}

/// How important a line of the log is; [`crate::log`] says what belongs where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Somebody has to act.
    Error,
    /// Something is not as it should be, and the service goes on.
    Warn,
    /// A session's one line; starts, stops, the master coming and going.
    #[default]
    Info,
    /// For whoever looks for a fault.
    Debug,
    /// Every step.
    Trace,
}

/// `[proxy]`: a frontend.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// IMAP listeners.
    pub imap: Vec<Address>,
    /// IMAP listeners with TLS from the first byte. One or more of both together.
    pub imaps: Vec<Address>,
    /// Capabilities that are never announced, whoever has them.
    pub suppress_capabilities: Vec<String>,
    /// What becomes of an admin's actions.
    pub admin_actions: AdminActions,
    /// Accounts that may act for users who aren't admins.
    pub proxy_users: Vec<String>,
    /// Whether clients that know referrals (RFC 2193) are referred to backends.
    pub referrals: bool,
    /// Whether a login's OK refers to the inbox's backend (RFC 2221).
    pub login_referrals: bool,
    /// Where mailboxes without a parent are made; nowhere, if there are none.
    pub create_servers: Vec<String>,
    /// Which of them.
    pub create_choice: CreateChoice,
    /// How it logs in at backends.
    pub upstream: Upstream,
}

impl Proxy {
    /// One that listens at `imap` and logs in at backends as `upstream` says; all else as it is
    /// where nothing is configured.
    #[must_use]
    pub fn new(imap: Vec<Address>, upstream: Upstream) -> Self {
        Self {
            imap,
            imaps: Vec::new(),
            suppress_capabilities: Vec::new(),
            admin_actions: AdminActions::Refer,
            proxy_users: Vec::new(),
            referrals: true,
            login_referrals: false,
            create_servers: Vec::new(),
            create_choice: CreateChoice::FreeSpace,
            upstream,
        }
    }
}

/// What a frontend does when an admin asks for what only an admin may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminActions {
    /// NO, with the backend's name: the admin goes there.
    Refer,
    /// Done at the backend with the admin's own name and password.
    Own,
    /// Done by the proxy account, the admin as authorization identity: what Cyrus does.
    Proxy,
}

/// How a server is chosen for a mailbox that has no parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateChoice {
    /// The one with the most free space.
    FreeSpace,
    /// One after the other.
    RoundRobin,
}

/// `[proxy.upstream]`: connections to backends.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// The account of this frontend at the backends.
    pub authname: String,
    /// Its password.
    pub password: Secret,
    /// Whether backends are told the client's address, by ID.
    pub forward_client: bool,
    /// TLS to the backends.
    pub tls: TlsClient,
    /// The backends' IMAP port.
    pub imap_port: u16,
    /// Backends given by address, by their names in lower case; DNS knows the others.
    pub hosts: BTreeMap<String, HostAddress>,
    /// Pipes for splice in the whole process, shared out among the shards.
    pub pipes: usize,
}

impl Upstream {
    /// An account at the backends; all else as it is where nothing is configured.
    #[must_use]
    pub fn new(authname: String, password: Secret) -> Self {
        Self {
            authname,
            password,
            forward_client: true,
            tls: TlsClient::default(),
            imap_port: 143,
            hosts: BTreeMap::new(),
            pipes: usize::try_from(limits::PIPES_DEFAULT).unwrap_or(usize::MAX),
        }
    }

    /// Where the IMAP server of a backend is. `server` is its name in the mailbox list, which
    /// may carry a port of its own.
    pub fn imap(&self, server: &str) -> Endpoint {
        let server = server.to_ascii_lowercase();
        let (host, port) = host_and_port(&server);
        let port = port.unwrap_or(self.imap_port);
        match self.hosts.get(&server).or_else(|| self.hosts.get(host)) {
            Some(known) => {
                let address = (known.ip, known.port.unwrap_or(port));
                Endpoint::Address(Address::Tcp(address.into()))
            }
            None => Endpoint::Name {
                host: host.to_owned(),
                port,
            },
        }
    }
}

fn read_file(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|e| format!("can't be opened: {e}"))?;
    let mut bytes = Vec::new();
    let most = limits::CONFIG_FILE_BYTES_MAX;
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| format!("can't be read: {e}"))?;
    if bytes.len() as u64 > most {
        return Err(format!("is larger than {most} bytes: no configuration"));
    }
    String::from_utf8(bytes).map_err(|e| {
        let line = e.as_bytes()[..e.utf8_error().valid_up_to()]
            .split(|b| *b == b'\n')
            .count();
        format!("line {line}: not UTF-8")
    })
}

#[cfg(test)]
mod tests;
