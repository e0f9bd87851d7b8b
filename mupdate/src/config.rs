//! What a follower has to be told.

use std::time::Duration;

use ravenry_core::config::Endpoint;
use ravenry_core::mailboxes::Made;
use ravenry_core::proto::sasl::{Plain, Secret};
use ravenry_core::rt::{Pool, channel};
use ravenry_core::tls::Connector;

use crate::hello::Hello;

/// Where the master is, and how long to wait for what.
pub struct FollowerConfig {
    /// The master.
    pub server: Endpoint,
    /// The account at the master.
    pub authname: String,
    /// Its password; sent by SASL PLAIN.
    pub password: Secret,
    /// TLS to the master; `None`: off.
    pub tls: Option<Connector>,
    /// Where the master's name is resolved, if it is one.
    pub resolver: Pool,
    /// How often to ask the master for a sign of life.
    pub noop_every: Duration,
    /// How long a connection may take to be made, name resolution included.
    pub connect_within: Duration,
    /// How long the master may be silent while it owes an answer.
    pub answer_within: Duration,
    /// The first wait before another attempt.
    pub backoff_min: Duration,
    /// The longest.
    pub backoff_max: Duration,
    /// Who is told what was changed, where others follow this list.
    pub tell: Option<channel::Sender<Made>>,
}

/// What a wait may be at least and at most: less would be a busy loop, more no answer at all.
pub(crate) const WAIT: (Duration, Duration) =
    (Duration::from_millis(10), Duration::from_secs(24 * 3600));

impl FollowerConfig {
    /// Waits that make sense, whatever was asked for.
    pub(crate) fn sensible(mut self) -> Self {
        for wait in [
            &mut self.noop_every,
            &mut self.connect_within,
            &mut self.answer_within,
            &mut self.backoff_min,
            &mut self.backoff_max,
        ] {
            *wait = (*wait).clamp(WAIT.0, WAIT.1);
        }
        self
    }

    /// How its connections begin.
    pub(crate) fn hello(&self) -> Hello {
        let login = Plain {
            authzid: self.authname.clone().into_bytes(),
            authcid: self.authname.clone().into_bytes(),
            password: self.password.clone(),
        };
        Hello::new(
            login,
            self.tls.as_ref().is_some_and(|tls| !tls.is_implicit()),
        )
    }

    /// The defaults. A Cyrus master holds one lock while it sends its list to anybody, seconds
    /// for a million names: `answer_within` has to be well above that.
    pub fn new(server: Endpoint, authname: String, password: Secret, resolver: Pool) -> Self {
        Self {
            server,
            authname,
            password,
            tls: None,
            resolver,
            noop_every: Duration::from_secs(2),
            connect_within: Duration::from_secs(5),
            answer_within: Duration::from_secs(10),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            tell: None,
        }
    }
}
