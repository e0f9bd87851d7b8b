//! `[mupdate.client]` and `[mupdate.server]`.

use toml::de::DeValue;

use super::{Context, roles, tls};
use crate::config::endpoint::is_host_name;
use crate::config::reader::Table;
use crate::config::{
    Conflicts, Guard, MupdateClient, MupdateRole, MupdateServer, MupdateUser, value,
};
use crate::limits;
use crate::proto::sasl::Secret;

#[derive(Default)]
pub(super) struct Mupdate {
    pub(super) has_client: bool,
    pub(super) has_server: bool,
    pub(super) client: Option<MupdateClient>,
    pub(super) server: Option<MupdateServer>,
}

pub(super) fn mupdate(context: &mut Context<'_>, mut t: Table<'_>) -> Mupdate {
    let client = t.table("client").and_then(|t| client(context, t));
    let server = t.table("server").and_then(|t| server(context, t));
    let found = Mupdate {
        has_client: t.has("client"),
        has_server: t.has("server"),
        client,
        server,
    };
    if !found.has_client
        && found
            .server
            .as_ref()
            .is_some_and(|server| server.role == MupdateRole::Replica)
    {
        t.fail("[mupdate.server] role = \"replica\" needs [mupdate.client]: whose".to_owned());
    }
    t.finish();
    found
}

fn client(context: &mut Context<'_>, mut t: Table<'_>) -> Option<MupdateClient> {
    let server = t.require("server", value::endpoint);
    let authname = t.require("authname", value::name);
    let password = roles::password(context, &mut t);
    let tls = tls::client(context, &mut t);
    let noop_interval = t.get("noop_interval", value::duration);
    t.finish();
    Some(MupdateClient {
        server: server?,
        authname: authname?,
        password: password?,
        tls,
        noop_interval: noop_interval.unwrap_or(limits::NOOP_INTERVAL_DEFAULT),
    })
}

fn server(context: &mut Context<'_>, mut t: Table<'_>) -> Option<MupdateServer> {
    let role = t.get("role", value::choice(ROLES));
    let listen = roles::listeners(&mut t, "listen");
    if !t.has("listen") {
        t.fail("[mupdate.server] listens nowhere: it needs listen = [\"ADDRESS:PORT\"]".to_owned());
    }
    let conflicts = t.get("conflicts", value::choice(CONFLICTS));
    let connections = t.get(
        "connections",
        value::integer(1..=limits::MUPDATE_CONNECTIONS_MOST),
    );
    let backlog = t.get(
        "backlog",
        value::size(limits::BACKLOG_BYTES_LEAST..=limits::BACKLOG_BYTES_MOST),
    );
    let tombstones = t.get("tombstones", value::long_duration);
    let guard = t.table("guard").map(guard).unwrap_or_default();
    let base = context.base;
    let users = t.map("users", limits::CONFIG_ENTRIES_MAX, |name, value| {
        user(name, value, |path| {
            roles::read_password(&base.join(path)).map(|(_, secret)| secret)
        })
    });
    match (t.has("users"), &users) {
        (false, _) => {
            t.fail("nobody could log in: [mupdate.server] needs [mupdate.server.users]".to_owned());
        }
        (true, Some(users)) if users.is_empty() => t.fail_key("users", "are none"),
        (true, _) => {}
    }
    if let (Some(file), true) = (context.file, t.has("users")) {
        context.warn_if_open(file, "a password");
    }
    t.finish();
    Some(MupdateServer {
        role: role.unwrap_or(MupdateRole::Master),
        listen: listen?,
        users: users?,
        conflicts: conflicts.unwrap_or(Conflicts::Strict),
        guard,
        connections: connections.unwrap_or(limits::MUPDATE_CONNECTIONS_DEFAULT),
        backlog: usize::try_from(backlog.unwrap_or(limits::BACKLOG_BYTES_DEFAULT)).ok()?,
        tombstones: tombstones.unwrap_or(limits::TOMBSTONES_DEFAULT),
    })
}

fn guard(mut t: Table<'_>) -> Guard {
    let standard = Guard::default();
    let guard = Guard {
        names: t
            .get("names", value::integer(0..=u64::MAX))
            .unwrap_or(standard.names),
        percent: t
            .get("percent", value::integer(0..=100))
            .unwrap_or(standard.percent),
    };
    t.finish();
    guard
}

/// `NAME = "PASSWORD"`, or a table with more about the account.
fn user(
    name: &str,
    value: &DeValue<'_>,
    read: impl Fn(std::path::PathBuf) -> Result<Secret, String>,
) -> Result<MupdateUser, String> {
    let mut user = MupdateUser {
        name: name.to_owned(),
        password: Secret::default(),
        server: None,
        write: true,
    };
    let entries = match value {
        DeValue::Table(entries) => entries,
        DeValue::String(_) => {
            user.password = value::secret(value)?;
            return Ok(user);
        }
        other => return Err(format!("{HOW}, not {}", value::kind(other))),
    };
    for (key, value) in entries {
        let value = value.get_ref();
        let named = |why: String| format!("{} {why}", key.get_ref());
        match key.get_ref().as_ref() {
            "password" => user.password = value::secret(value).map_err(named)?,
            "password_file" => user.password = value::path(value).and_then(&read).map_err(named)?,
            "server" => {
                user.server = Some(value::string(value).and_then(server_name).map_err(named)?)
            }
            "write" => user.write = value::boolean(value).map_err(named)?,
            other => {
                return Err(format!(
                    "has the unknown key `{other}`; known here: password, password_file, server, write"
                ));
            }
        }
    }
    match user.password.is_empty() {
        true => Err("needs password or password_file".to_owned()),
        false => Ok(user),
    }
}

fn server_name(name: String) -> Result<String, String> {
    match is_host_name(&name) {
        true => Ok(name),
        false => Err(format!("wants a backend's host name, not {name:?}")),
    }
}

const HOW: &str = "wants a password in quotes, or { password = \"…\", server = \"…\" }";

const ROLES: &[(&str, MupdateRole)] = &[
    ("master", MupdateRole::Master),
    ("replica", MupdateRole::Replica),
];

const CONFLICTS: &[(&str, Conflicts)] =
    &[("strict", Conflicts::Strict), ("cyrus", Conflicts::Cyrus)];
