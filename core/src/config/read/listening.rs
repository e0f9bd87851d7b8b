//! No address is listened on twice: the roles of a process, and their protocols, have listeners of their own. Both could be
//! bound (`SO_REUSEPORT`), and a client would come to either.

use std::collections::BTreeMap;

use crate::config::reader::Table;
use crate::config::{Backend, MupdateServer, Proxy};
use crate::rt::Address;

/// Notes those that have two keys. Within `[proxy]` that has been looked at.
pub(super) fn differ(
    t: &Table<'_>,
    (proxy, backend, server): (Option<&Proxy>, Option<&Backend>, Option<&MupdateServer>),
) {
    let proxy = proxy.iter().flat_map(|proxy| {
        let both = proxy.imap.iter().chain(&proxy.imaps);
        both.map(|address| (address, "[proxy]"))
    });
    let backend = backend.iter().flat_map(|backend| {
        named(&backend.imap, "backend.imap")
            .chain(named(&backend.imaps, "backend.imaps"))
            .chain(named(&backend.lmtp, "backend.lmtp"))
    });
    let server = server
        .iter()
        .flat_map(|server| named(&server.listen, "mupdate.server.listen"));
    let mut taken = BTreeMap::new();
    for (address, key) in proxy.chain(backend).chain(server) {
        match taken.insert(address.to_string(), key) {
            Some(other) if other != key => t.fail(format!(
                "{key} has {address}, which {other} has too: each needs an address or a port of its own"
            )),
            _ => {}
        }
    }
}

fn named<'a>(
    addresses: &'a [Address],
    key: &'static str,
) -> impl Iterator<Item = (&'a Address, &'static str)> {
    addresses.iter().map(move |address| (address, key))
}
