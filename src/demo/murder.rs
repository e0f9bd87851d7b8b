//! The four servers of the demo, and their configurations: files as `ravenry serve` takes them, for whoever wants to look, or
//! to ask `ravenry ctl`.

use std::path::PathBuf;

use ravenry_core::config::{self, Config};

use super::certificate::Certificate;
use super::home::Home;
use super::ports::{HOST, Ports};

/// Who has an account. The admin is the last one.
pub(super) const USERS: [&str; 3] = ["alice", "bob", ADMIN];
pub(super) const ADMIN: &str = "cyrus";

/// The password of each.
pub(super) fn password(user: &str) -> String {
    format!("{user}pw")
}

/// A server.
pub(super) struct Server {
    pub(super) label: &'static str,
    pub(super) file: PathBuf,
}

impl Server {
    pub(super) fn config(&self) -> Result<Config, String> {
        config::load(&self.file).map_err(|error| error.to_string())
    }
}

/// All of them, in the order in which they start.
pub(super) struct Murder {
    pub(super) ports: Ports,
    pub(super) servers: [Server; 4],
    pub(super) certificate: PathBuf,
    /// The certificate as rustls takes it.
    pub(super) trusted: Vec<u8>,
}

impl Murder {
    /// Writes their configurations.
    pub(super) fn write(home: &Home, ports: Ports) -> Result<Self, String> {
        let trusted = certificate(home)?;
        home.write("users", passwd().as_bytes())?;
        let server = |label: &'static str, more: String| {
            let name = format!("{label}/ravenry.toml");
            home.write(&name, (head(label) + &more).as_bytes())?;
            let file = home.path().join(name);
            Ok::<_, String>(Server { label, file })
        };
        let servers = [
            server("master", master(ports))?,
            server("backend1", backend("backend1", ports, 0))?,
            server("backend2", backend("backend2", ports, 1))?,
            server("frontend", frontend(ports))?,
        ];
        Ok(Self {
            ports,
            servers,
            certificate: home.path().join(CERTIFICATE),
            trusted,
        })
    }
}

fn passwd() -> String {
    let users = USERS.iter().chain(&["mailproxy"]);
    users
        .map(|user| format!("{user}:{{PLAIN}}{}\n", password(user)))
        .collect()
}

fn head(label: &str) -> String {
    format!(
        r#"# A server of `ravenry demo`; each start writes it anew.
servername = "{label}.test"
state_dir = "state"
shards = 1
admins = ["{ADMIN}"]
list_size = "1 GiB"

[auth]
passwd_file = "../users"

[limits]
drain = "1s"
login_delay = "200ms"
"#
    )
}

fn master(ports: Ports) -> String {
    let mupdate = ports.mupdate;
    format!(
        r#"
[mupdate.server]
listen = ["{HOST}:{mupdate}"]

[mupdate.server.users]
backend1 = {{ password = "mupdatepw", server = "backend1.test" }}
backend2 = {{ password = "mupdatepw", server = "backend2.test" }}
frontend = {{ password = "mupdatepw", write = false }}
"#
    )
}

/// Where a server finds the master.
fn client(label: &str, ports: Ports) -> String {
    let mupdate = ports.mupdate;
    format!(
        r#"
[mupdate.client]
server = "{HOST}:{mupdate}"
authname = "{label}"
password = "mupdatepw"
"#
    )
}

fn backend(label: &str, ports: Ports, number: usize) -> String {
    let (imap, lmtp) = (ports.backends[number], ports.lmtp[number]);
    let backend = format!(
        r#"
[backend]
imap = ["{HOST}:{imap}"]
lmtp = ["{HOST}:{lmtp}"]
partitions = {{ default = "spool" }}
index_size = "4 GiB"
proxy_users = ["mailproxy"]
autocreate_inbox = false
"#
    );
    backend + &client(label, ports)
}

fn frontend(ports: Ports) -> String {
    let Ports {
        imap,
        imaps,
        backends: [one, two],
        ..
    } = ports;
    let password = password("mailproxy");
    let frontend = format!(
        r#"
[tls]
certificate = "../{CERTIFICATE}"
key = "../{KEY}"
allow_plaintext = true

[proxy]
imap = ["{HOST}:{imap}"]
imaps = ["{HOST}:{imaps}"]
admin_actions = "own"

[proxy.upstream]
authname = "mailproxy"
password = "{password}"
hosts = {{ "backend1.test" = "{HOST}:{one}", "backend2.test" = "{HOST}:{two}" }}
"#
    );
    frontend + &client("frontend", ports)
}

const CERTIFICATE: &str = "cert.pem";
const KEY: &str = "key.pem";

/// Makes the frontend's certificate.
fn certificate(home: &Home) -> Result<Vec<u8>, String> {
    let made = Certificate::make()?;
    home.write(CERTIFICATE, made.certificate_pem().as_bytes())?;
    home.write(KEY, made.key_pem().as_bytes())?;
    Ok(made.certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configurations_are_good() {
        let home = Home::open(None).unwrap();
        let ports = Ports {
            imap: 1143,
            imaps: 1993,
            lmtp: [2003, 2004],
            backends: [2143, 2144],
            mupdate: 3905,
        };
        let murder = Murder::write(&home, ports).unwrap();
        for server in &murder.servers {
            let config = server.config().unwrap();
            assert_eq!(config.servername, format!("{}.test", server.label));
            assert!(config.warnings().is_empty(), "{:?}", config.warnings());
            crate::reload::Reloaded::open(&config).unwrap();
        }
        home.leave(Ok(true)).unwrap();
    }
}
