//! `[backend]`, typed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::Network;
use crate::limits;
use crate::rt::Address;

/// `[backend]`: a backend, which stores mail and serves it.
#[derive(Debug, Clone)]
pub struct Backend {
    /// IMAP listeners.
    pub imap: Vec<Address>,
    /// IMAP listeners with TLS from the first byte.
    pub imaps: Vec<Address>,
    /// LMTP listeners.
    pub lmtp: Vec<Address>,
    /// Who may deliver there without a login; unix sockets may, too.
    pub lmtp_trusted: Vec<Network>,
    /// Where messages are stored, by name.
    pub partitions: BTreeMap<String, PathBuf>,
    /// Where new mailboxes are.
    pub default_partition: String,
    /// The index' ceiling in bytes.
    pub index_size: u64,
    /// Accounts that may act for users.
    pub proxy_users: Vec<String>,
    /// And for admins.
    pub proxy_admins: bool,
    /// The largest message that is taken (APPENDLIMIT, RFC 7889).
    pub message_size: u64,
    /// How long expunged messages and deleted mailboxes can be brought back.
    pub keep_removed: Duration,
    /// How often what is here is compared with what the MUPDATE master has; zero: at the start and after an outage alone.
    pub compare_every: Duration,
    /// Whether an INBOX is made for who logs in and has none.
    pub autocreate_inbox: bool,
}

impl Backend {
    /// One that listens at `imap` and stores messages in these partitions, the first of them the default; all
    /// else as it is where nothing is configured.
    #[must_use]
    pub fn new(imap: Vec<Address>, partitions: BTreeMap<String, PathBuf>) -> Self {
        Self {
            imap,
            imaps: Vec::new(),
            lmtp: Vec::new(),
            lmtp_trusted: Network::loopback().into(),
            default_partition: partitions.keys().next().cloned().unwrap_or_default(),
            partitions,
            index_size: limits::INDEX_BYTES_DEFAULT,
            proxy_users: Vec::new(),
            proxy_admins: false,
            message_size: limits::MESSAGE_BYTES_DEFAULT,
            keep_removed: limits::KEEP_REMOVED_DEFAULT,
            compare_every: limits::COMPARE_EVERY_DEFAULT,
            autocreate_inbox: true,
        }
    }
}
