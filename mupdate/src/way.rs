//! The way to a master: how a connection to it is made, read and written, when the next attempt is due, and what the log
//! says of it. What is said on a connection is its owner's.

use std::io;
use std::time::Duration;

use ravenry_core::config::Endpoint;
use ravenry_core::rt::{self, Pool};
use ravenry_core::tls::{Connector, Leg};

use crate::backoff::Backoff;
use crate::config::FollowerConfig;
use crate::fault::Fault;
use crate::status::AwayReason;

/// What is read at once.
const READ_BYTES_MAX: usize = 64 * 1024;

pub(crate) struct Way {
    server: Endpoint,
    authname: String,
    resolver: Pool,
    tls: Option<Connector>,
    connect_within: Duration,
    answer_within: Duration,
    backoff: Backoff,
    buffer: Box<[u8]>,
    /// What is in vain without a master, as the log says it.
    in_vain: &'static str,
    /// What the last attempt failed of: told loudly once, not at every attempt.
    told: Option<AwayReason>,
}

impl Way {
    pub(crate) fn new(config: &FollowerConfig, in_vain: &'static str) -> Self {
        Self {
            server: config.server.clone(),
            authname: config.authname.clone(),
            resolver: config.resolver.clone(),
            tls: config.tls.clone(),
            connect_within: config.connect_within,
            answer_within: config.answer_within,
            backoff: Backoff::new(config.backoff_min, config.backoff_max),
            buffer: vec![0; READ_BYTES_MAX].into_boxed_slice(),
            in_vain,
            told: None,
        }
    }

    /// A connection, with TLS where that comes first.
    pub(crate) fn connect(&self) -> impl Future<Output = Result<Leg, Fault>> + use<> {
        let (server, resolver) = (self.server.clone(), self.resolver.clone());
        let within = self.connect_within;
        let tls = self.tls.clone().filter(Connector::is_implicit);
        async move {
            let stream = server.connect(&resolver, within).await;
            let mut leg = Leg::plain(stream.map_err(Fault::Connect)?);
            if let Some(tls) = tls {
                shake(&tls, &mut leg, &server.host(), within).await?;
            }
            Ok(leg)
        }
    }

    /// The handshake behind STARTTLS.
    pub(crate) fn handshake<'a>(
        &self,
        leg: &'a mut Leg,
    ) -> impl Future<Output = Result<(), Fault>> + use<'a> {
        let (tls, name) = (self.tls.clone(), self.server.host());
        let within = self.connect_within;
        async move {
            let tls = tls.expect("invariant: only who has TLS asks for STARTTLS");
            shake(&tls, leg, &name, within).await
        }
    }

    /// Sends commands: a few bytes; where they don't fit, the master has not read for a long time.
    pub(crate) async fn send(&self, leg: &Leg, mut output: Vec<u8>) -> Result<(), Fault> {
        if output.is_empty() {
            return Ok(());
        }
        let sent = rt::timeout(self.answer_within, leg.write_all(&output)).await;
        output.fill(0); // It may have held the password.
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Fault::Broken(error)),
            Err(_elapsed) => Err(Fault::Silent {
                awaited: "room for a command",
            }),
        }
    }

    /// What is there to be read; `None`: nothing. Empty: the end.
    pub(crate) fn read(&mut self, leg: &Leg) -> Result<Option<&[u8]>, Fault> {
        match leg.try_read(&mut self.buffer) {
            Ok(len) => Ok(Some(&self.buffer[..len])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(Fault::Broken(error)),
        }
    }

    /// A connection is for use: the next failure is news.
    pub(crate) fn is_up(&mut self) {
        self.told = None;
    }

    /// A connection is over that was for use for so long, or there was none: how long until the next attempt. The log has
    /// it: in full when the reason is new, for those who look closely when it is not.
    pub(crate) fn failed(&mut self, fault: &Fault, stood: Option<Duration>) -> Duration {
        if let Some(stood) = stood {
            self.backoff.after_stream(stood);
        }
        if fault.lasts() {
            self.backoff.be_slow();
        }
        let wait = self.backoff.after_failure(rt::random::u64());
        let (reason, advice) = (Some(fault.reason()), fault.advice());
        let (server, account, in_vain) = (&self.server, &self.authname, self.in_vain);
        if self.told == reason {
            tracing::debug!(%server, retry_in = ?wait, "still {in_vain}: {fault}");
        } else if fault.lasts() {
            tracing::error!(%server, account, advice, "{in_vain}: {fault}");
        } else {
            tracing::warn!(%server, advice, retry_in = ?wait, "{in_vain}: {fault}");
        }
        self.told = reason;
        wait
    }
}

async fn shake(tls: &Connector, leg: &mut Leg, name: &str, within: Duration) -> Result<(), Fault> {
    match rt::timeout(within, tls.connect(leg, name)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Fault::Tls(error.to_string()))
        }
        Ok(Err(error)) => Err(Fault::Broken(error)),
        Err(_elapsed) => Err(Fault::Silent {
            awaited: "the TLS handshake",
        }),
    }
}
