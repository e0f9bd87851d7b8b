//! `[backend]`: the keys of the role that stores mail.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Context;
use super::roles::listeners;
use crate::config::reader::Table;
use crate::config::{Backend, value};
use crate::limits;

pub(super) fn backend(context: &Context<'_>, mut t: Table<'_>) -> Option<Backend> {
    let imap = listeners(&mut t, "imap");
    let imaps = listeners(&mut t, "imaps");
    let lmtp = listeners(&mut t, "lmtp");
    let lmtp_trusted = t.list("lmtp_trusted", limits::NETWORKS_MAX, |item| {
        value::from_str(&value::string(item)?)
    });
    t.unbuilt(&["pop3", "pop3s", "sieve"]);
    if !["imap", "imaps", "lmtp", "pop3", "pop3s", "sieve"]
        .iter()
        .any(|key| t.has(key))
    {
        t.fail("[backend] listens nowhere: it needs imap = [\"ADDRESS:PORT\"]".to_owned());
    }
    let partitions = partitions(context, &mut t);
    let default_partition = t.get("default_partition", value::name);
    let bounds = limits::INDEX_BYTES_LEAST..=limits::INDEX_BYTES_MOST;
    let index_size = t.get("index_size", value::size(bounds));
    let proxy_users = t.list("proxy_users", limits::CONFIG_ENTRIES_MAX, value::user);
    let proxy_admins = t.get("proxy_admins", value::boolean);
    let bounds = limits::MESSAGE_BYTES_LEAST..=limits::MESSAGE_BYTES_MOST;
    let message_size = t.get("message_size", value::size(bounds));
    let keep_removed = t.get("keep_removed", value::long_duration);
    let compare_every = t.get("compare_every", value::interval_or_never);
    let autocreate_inbox = t.get("autocreate_inbox", value::boolean);
    let partitions = partitions?;
    if let Some(name) = &default_partition
        && !partitions.contains_key(name)
    {
        t.fail_key("default_partition", "is none of backend.partitions");
    }
    if partitions.len() > 1 && !partitions.contains_key(DEFAULT) && default_partition.is_none() {
        t.fail(
            "[backend] needs default_partition, since it has several and none is called default"
                .to_owned(),
        );
    }
    t.finish();
    let mut backend = Backend::new(imap?, partitions);
    if backend.partitions.contains_key(DEFAULT) {
        DEFAULT.clone_into(&mut backend.default_partition);
    }
    Some(Backend {
        imaps: imaps?,
        lmtp: lmtp?,
        lmtp_trusted: lmtp_trusted.unwrap_or(backend.lmtp_trusted),
        default_partition: default_partition.unwrap_or(backend.default_partition),
        index_size: index_size.unwrap_or(backend.index_size),
        proxy_users: proxy_users.unwrap_or_default(),
        proxy_admins: proxy_admins.unwrap_or(backend.proxy_admins),
        message_size: message_size.unwrap_or(backend.message_size),
        keep_removed: keep_removed.unwrap_or(backend.keep_removed),
        compare_every: compare_every.unwrap_or(backend.compare_every),
        autocreate_inbox: autocreate_inbox.unwrap_or(backend.autocreate_inbox),
        ..backend
    })
}

fn partitions(context: &Context<'_>, t: &mut Table<'_>) -> Option<BTreeMap<String, PathBuf>> {
    let partition = |name: &str, path: &toml::de::DeValue<'_>| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || !name.bytes().all(plain) {
            return Err("is no name of a partition: letters, digits, - _ .".to_owned());
        }
        Ok((name.to_owned(), context.base.join(value::path(path)?)))
    };
    let partitions = t.map("partitions", limits::CONFIG_ENTRIES_MAX, partition);
    if partitions.as_ref().is_some_and(Vec::is_empty) || !t.has("partitions") {
        t.fail(
            "[backend] stores nothing: it needs partitions = { default = \"DIRECTORY\" }"
                .to_owned(),
        );
        return None;
    }
    let partitions = partitions?;
    Some(partitions.into_iter().collect())
}

const DEFAULT: &str = "default";
