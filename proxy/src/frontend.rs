//! What the sessions of one shard share: settings, the list, the barrier, the authenticator, the
//! capability cache, counters. Owned by the shard, so no locks.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;

use ravenry_core::client::Desk;
use ravenry_core::config;
use ravenry_core::mailboxes::ListReader;
use ravenry_core::proto::sasl::Plain;
use ravenry_core::rt::{Pool, Stream};
use ravenry_core::tls::Connector;
use ravenry_mupdate::Barrier;

use crate::capability::CapabilityCache;

/// What a frontend's shards are made from, beside their desks; each gets a clone.
#[derive(Clone)]
pub struct Parts {
    /// The `[proxy]` table.
    pub proxy: config::Proxy,
    /// TLS to backends, unless it is off.
    pub connector: Option<Connector>,
    /// The mailbox list: to read, never to write.
    pub list: ListReader,
    /// "Am I up to date?"
    pub barrier: Barrier,
    /// Where DNS is asked.
    pub resolver: Pool,
}

/// What the sessions of a shard share.
pub(crate) struct Frontend {
    pub(crate) desk: Rc<Desk>,
    pub(crate) parts: Parts,
    pub(crate) capabilities: CapabilityCache,
    servers: RefCell<BTreeSet<Rc<str>>>,
    /// Whose turn it is to have a mailbox without a parent.
    next_server: Cell<usize>,
}

impl Frontend {
    pub(crate) fn new(desk: Rc<Desk>, parts: Parts) -> Self {
        Self {
            desk,
            capabilities: CapabilityCache::new(&suppressed(&parts)),
            next_server: Cell::new(0),
            parts,
            servers: RefCell::default(),
        }
    }

    /// Whether there is a whole list to answer from.
    pub(crate) fn list_is_complete(&self) -> bool {
        self.parts.list.is_complete().unwrap_or_else(|error| {
            tracing::error!("mailbox list: {error}");
            false
        })
    }

    /// The one copy of a server's name on this shard.
    pub(crate) fn server(&self, name: &str) -> Rc<str> {
        let mut servers = self.servers.borrow_mut();
        if let Some(known) = servers.get(name) {
            return Rc::clone(known);
        }
        let new: Rc<str> = name.into();
        servers.insert(Rc::clone(&new));
        new
    }

    /// Connects to a backend's IMAP port.
    pub(crate) async fn connect(&self, server: &str) -> io::Result<Stream> {
        let backend = self.parts.proxy.upstream.imap(server);
        backend
            .connect(&self.parts.resolver, self.desk.parts.limits.connect)
            .await
    }

    /// How the proxy logs in at a backend for a user: with its own password, and the user as
    /// authorization identity.
    pub(crate) fn proxied(&self, user: &[u8]) -> Plain {
        Plain {
            authzid: user.to_vec(),
            authcid: self.parts.proxy.upstream.authname.clone().into_bytes(),
            password: self.parts.proxy.upstream.password.clone(),
        }
    }

    /// The next of `count` servers that take turns.
    pub(crate) fn turn(&self, count: usize) -> usize {
        let turn = self.next_server.get();
        self.next_server.set(turn.wrapping_add(1));
        turn % count.max(1)
    }

    /// The backends of the list.
    pub(crate) fn servers(&self) -> Vec<Rc<str>> {
        match self.parts.list.servers() {
            Ok(servers) => servers.iter().map(|(name, _)| self.server(name)).collect(),
            Err(error) => {
                tracing::error!("mailbox list: {error}");
                Vec::new()
            }
        }
    }
}

/// What is never announced: what the operator says, and what is off.
fn suppressed(parts: &Parts) -> Vec<String> {
    let mut names = parts.proxy.suppress_capabilities.clone();
    if !parts.proxy.referrals {
        names.push("MAILBOX-REFERRALS".to_owned());
    }
    names
}
