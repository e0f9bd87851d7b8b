//! What the sessions of one shard share before they do anything: settings, who may log in, counters, the order of
//! good-byes. Owned by the shard, so no locks.

use std::cell::Cell;
use std::sync::Arc;

use super::{Departures, Throttle};
use crate::admission::{Admission, Refused};
use crate::auth::Authenticator;
use crate::config;
use crate::current::Reader;
use crate::limits::{DISCARD_BYTES_MAX, LOGIN_COMMAND_BYTES_MAX};
use crate::mailboxes::{Groups, Namespace, UserId};
use crate::metrics::Recorder;
use crate::rt::{self, Address, Either, Instant};
use crate::tls::{Acceptor, Leg};
use crate::wire::imap::CommandLimits;

/// What a desk is made from; each shard gets a clone.
#[derive(Clone)]
pub struct DeskParts {
    /// The name in greetings.
    pub servername: String,
    /// Users with an admin's rights.
    pub admins: Vec<String>,
    /// How clients see mailbox names.
    pub namespace: Namespace,
    /// The groups of ACLs, as they are when a user logs in.
    pub groups: Reader<Arc<Groups>>,
    /// TLS for clients, where there is a certificate.
    pub acceptor: Option<Acceptor>,
    /// Whether logins are taken without TLS.
    pub allow_plaintext: bool,
    /// Deadlines and sizes.
    pub limits: config::Limits,
    /// Who may have one more connection.
    pub admission: Admission,
    /// Who may log in.
    pub authenticator: Authenticator,
}

/// Of a shard.
pub struct Desk {
    /// What all shards have.
    pub parts: DeskParts,
    /// What the shard counts.
    pub metrics: Recorder,
    /// Who says good-bye when.
    pub departures: Departures,
    /// Accepts that failed.
    pub(super) accept_failed: Throttle,
    refused_total: Throttle,
    refused_address: Throttle,
    refused_user: Throttle,
    shard: usize,
    sessions: Cell<u64>,
    sessions_open: Cell<u32>,
}

/// Why there is no TLS on a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeFailed {
    /// The shard drains.
    Draining,
    /// It failed; the log has it.
    Failed,
}

impl Desk {
    /// The desk of a shard.
    #[must_use]
    pub fn new(parts: DeskParts, shard: usize, metrics: Recorder) -> Self {
        Self {
            departures: Departures::new(parts.limits.drain),
            parts,
            metrics,
            accept_failed: Throttle::default(),
            refused_total: Throttle::default(),
            refused_address: Throttle::default(),
            refused_user: Throttle::default(),
            shard,
            sessions: Cell::new(0),
            sessions_open: Cell::new(0),
        }
    }

    /// A session's id: unique in this process, and known at a glance in the log.
    #[must_use]
    pub fn session_id(&self) -> String {
        let number = self.sessions.get() + 1;
        self.sessions.set(number);
        format!("{}-{}-{number}", rt::process_id(), self.shard)
    }

    /// How much of a command is gathered: less for a stranger.
    #[must_use]
    pub fn command_limits(&self, logged_in: bool) -> CommandLimits {
        let limits = &self.parts.limits;
        let most = if logged_in {
            usize::MAX
        } else {
            LOGIN_COMMAND_BYTES_MAX
        };
        CommandLimits {
            line_bytes_max: limits.line_size.min(most),
            command_bytes_max: limits.command_size.min(most),
            discard_bytes_max: DISCARD_BYTES_MAX,
        }
    }

    /// Whether a user has an admin's rights.
    #[must_use]
    pub fn is_admin(&self, user: &UserId) -> bool {
        self.parts.admins.iter().any(|admin| admin == user.as_str())
    }

    /// Whether a password may be sent on this connection.
    #[must_use]
    pub fn takes_logins(&self, leg: &Leg) -> bool {
        self.parts.allow_plaintext || leg.is_tls()
    }

    /// When a client that sends nothing is given up.
    #[must_use]
    pub fn input_deadline(&self, logged_in: bool, started: Instant) -> Instant {
        if logged_in {
            rt::now() + self.parts.limits.autologout
        } else {
            started + self.parts.limits.login
        }
    }

    /// Counts a session that begins.
    pub fn session_begins(&self) {
        self.metrics.sessions.add(1);
        self.metrics.sessions_open.add(1);
        self.sessions_open.set(self.sessions_open.get() + 1);
    }

    /// Counts a session that has ended.
    pub fn session_over(&self, bytes_in: u64, bytes_out: u64) {
        self.metrics.sessions_open.sub(1);
        self.sessions_open.set(self.sessions_open.get() - 1);
        self.metrics.client_bytes_in.add(bytes_in);
        self.metrics.client_bytes_out.add(bytes_out);
    }

    /// Sessions that are open on this shard.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.sessions_open.get()
    }

    /// Resolves when the shard drains and the turn of the session whose `leaves` this is has come to say good-bye.
    pub async fn departure(&self, leaves: &Cell<Option<Instant>>) {
        rt::draining().await;
        let at = leaves.get().unwrap_or_else(|| {
            let at = self.departures.next(self.open());
            leaves.set(Some(at));
            at
        });
        // In a box: all sessions that wait would be larger for it.
        Box::pin(rt::sleep_until(at)).await;
    }

    /// Resolves when a shard that drains waits for no command any more.
    pub async fn cut_off(&self) {
        rt::draining().await;
        rt::sleep_until(self.departures.cut_off(self.open())).await;
    }

    /// The handshake on a leg where nothing, or nothing more, is to be said in clear.
    ///
    /// # Errors
    /// If it fails; nothing more can be said then.
    ///
    /// # Panics
    /// If there is no certificate: no listener with TLS and no STARTTLS is without.
    pub async fn handshake(
        &self,
        leg: &mut Leg,
        peer: &Address,
        until: Instant,
    ) -> Result<(), HandshakeFailed> {
        let acceptor = self.parts.acceptor.as_ref();
        let acceptor = acceptor.expect("invariant: no imaps listener and no STARTTLS without TLS");
        let accept = Box::pin(rt::timeout_at(until, acceptor.accept(leg)));
        let why = match rt::select(rt::draining(), accept).await {
            Either::Left(()) => return Err(HandshakeFailed::Draining),
            Either::Right(Ok(Ok(()))) => {
                self.metrics.tls_handshakes.add(1);
                return Ok(());
            }
            Either::Right(Ok(Err(error))) => error.to_string(),
            Either::Right(Err(_elapsed)) => "not done in time".to_owned(),
        };
        self.metrics.tls_handshakes_failed.add(1);
        tracing::info!(client = %peer, "TLS handshake failed: {why}");
        Err(HandshakeFailed::Failed)
    }

    /// Counts a refusal, and logs it now and then; `who` is the address, or the user.
    pub fn refused(&self, refused: Refused, who: &str, peer: &Address) {
        let (counter, throttle) = match refused {
            Refused::Total => (&self.metrics.refused_total, &self.refused_total),
            Refused::Address => (&self.metrics.refused_address, &self.refused_address),
            Refused::User => (&self.metrics.logins_limited, &self.refused_user),
        };
        counter.add(1);
        if let Some(count) = throttle.count() {
            let limit = refused.name();
            tracing::warn!(limit, client = %peer, user = who, count, "too many connections");
        }
    }

    /// Counts what compression has done on a leg.
    pub fn count_compression(&self, leg: &Leg) {
        let Some(counts) = leg.compression() else {
            return;
        };
        self.metrics.compressed_text_in.add(counts.text_in);
        self.metrics.compressed_wire_in.add(counts.wire_in);
        self.metrics.compressed_text_out.add(counts.text_out);
        self.metrics.compressed_wire_out.add(counts.wire_out);
    }
}
