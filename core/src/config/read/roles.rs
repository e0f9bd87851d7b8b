//! `[proxy]`, what isn't built of it, and what it shares with other roles: listeners, passwords.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Context, tls};
use crate::config::endpoint::is_host_name;
use crate::config::reader::Table;
use crate::config::{AdminActions, CreateChoice, Proxy, TlsMode, Upstream, value};
use crate::limits;
use crate::proto::sasl::Secret;
use crate::rt::Address;

pub(super) fn proxy(context: &mut Context<'_>, mut t: Table<'_>) -> Option<Proxy> {
    let imap = listeners(&mut t, "imap");
    let imaps = listeners(&mut t, "imaps");
    t.unbuilt(&["pop3", "pop3s", "lmtp", "sieve"]);
    if let Some(twice) = imaps
        .iter()
        .flatten()
        .find(|a| imap.iter().flatten().any(|b| b == *a))
    {
        t.fail_key("imaps", &format!("has {twice}, which proxy.imap has too"));
    }
    if !["imap", "imaps", "pop3", "pop3s", "lmtp", "sieve"]
        .iter()
        .any(|key| t.has(key))
    {
        t.fail("[proxy] listens nowhere: it needs imap = [\"ADDRESS:PORT\"]".to_owned());
    }
    let proxy_users = t.list("proxy_users", limits::CONFIG_ENTRIES_MAX, value::user);
    let referrals = t.get("referrals", value::boolean);
    let login_referrals = t.get("login_referrals", value::boolean);
    let actions = &[
        ("refer", AdminActions::Refer),
        ("own", AdminActions::Own),
        ("proxy", AdminActions::Proxy),
    ];
    let admin_actions = t.get("admin_actions", value::choice(actions));
    let create_servers = t.list("create_servers", limits::CONFIG_ENTRIES_MAX, server);
    let choices = &[
        ("free-space", CreateChoice::FreeSpace),
        ("round-robin", CreateChoice::RoundRobin),
    ];
    let create_choice = t.get("create_choice", value::choice(choices));
    let suppress_capabilities = t.list(
        "suppress_capabilities",
        limits::CONFIG_ENTRIES_MAX,
        value::capability,
    );
    let upstream = t.table("upstream");
    if !t.has("upstream") {
        t.fail("[proxy] needs [proxy.upstream]: how it logs in at backends".to_owned());
    }
    let upstream = upstream.and_then(|table| upstream_table(context, table));
    t.finish();
    let default = Proxy::new(imap?, upstream?);
    Some(Proxy {
        imaps: imaps?,
        suppress_capabilities: suppress_capabilities.unwrap_or_default(),
        admin_actions: admin_actions.unwrap_or(default.admin_actions),
        proxy_users: proxy_users.unwrap_or_default(),
        referrals: referrals.unwrap_or(default.referrals),
        login_referrals: login_referrals.unwrap_or(default.login_referrals),
        create_servers: create_servers.unwrap_or_default(),
        create_choice: create_choice.unwrap_or(default.create_choice),
        ..default
    })
}

/// A server's name as the mailbox list has it.
fn server(value: &toml::de::DeValue<'_>) -> Result<String, String> {
    let name = value::string(value)?;
    if is_host_name(&name) {
        Ok(name.to_ascii_lowercase())
    } else {
        Err("is no host name".to_owned())
    }
}

/// Addresses to listen on, none twice; empty where the key isn't there.
pub(super) fn listeners(t: &mut Table<'_>, key: &'static str) -> Option<Vec<Address>> {
    if !t.has(key) {
        return t.list(key, 0, value::address).or(Some(Vec::new()));
    }
    let all = t.list(key, limits::LISTENERS_MAX, value::address)?;
    if all.is_empty() {
        t.fail_key(key, "is an empty list: it wants [\"ADDRESS:PORT\"]");
    }
    for (i, address) in all.iter().enumerate() {
        if all[..i].contains(address) {
            t.fail_key(key, &format!("has {address} twice"));
        }
    }
    Some(all)
}

fn upstream_table(context: &mut Context<'_>, mut t: Table<'_>) -> Option<Upstream> {
    let authname = t.require("authname", value::name);
    let password = password(context, &mut t);
    let tls = tls::client(context, &mut t);
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
    let forward_client = t.get("forward_client", value::boolean);
    let pipes = t.get("pipes", value::integer(0..=limits::PIPES_MOST));
    t.finish();
    let default = Upstream::new(authname?, password?);
    Some(Upstream {
        forward_client: forward_client.unwrap_or(default.forward_client),
        imap_port: imap_port.unwrap_or(match tls.mode {
            TlsMode::Implicit => 993,
            TlsMode::Off | TlsMode::StartTls => default.imap_port,
        }),
        tls,
        hosts: hosts.unwrap_or_default().into_iter().collect(),
        pipes: match pipes {
            Some(pipes) => usize::try_from(pipes).ok()?,
            None => default.pipes,
        },
        ..default
    })
}

/// `password`, or `password_file` with nothing but the password in it.
pub(super) fn password(context: &mut Context<'_>, t: &mut Table<'_>) -> Option<Secret> {
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

pub(super) fn read_password(path: &Path) -> Result<(PathBuf, Secret), String> {
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
