//! Counters: each shard counts on its own, and whoever asks sums up.
//!
//! A counter is written by one thread only, so that counting is a load and a store and no bus
//! lock. The types see to it: [`Registry::recorder`] gives each shard's [`Recorder`] out once, a
//! recorder can't leave its thread, and only a recorder reaches the counters. Readers may see one
//! counter a moment before another; they never see one go back.
//!
//! [`Registry::render`] writes Prometheus' text format, for `ravenry ctl stats`.

use std::fmt::Write;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::rt::{self, ShardStats};

/// A number that one thread writes and any thread reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds. Reached through a [`Recorder`] only, so there is one writer.
    pub fn add(&self, n: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    /// Takes away, for what counts things that are there now.
    pub fn sub(&self, n: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).saturating_sub(n),
            Ordering::Relaxed,
        );
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a sample counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// One line of the rendered text; also how other parts (the runtime, the follower, the log) bring
/// their numbers in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Without the prefix `ravenry_`; labels may follow in braces: `commands_total{verb="list"}`.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// Whether it may fall.
    pub kind: Kind,
    /// How many.
    pub value: u64,
}

/// The runtime's own numbers, summed over its shards.
pub fn runtime(shards: &[&ShardStats]) -> Vec<Sample> {
    let sum = |of: Of| {
        let values = shards.iter().map(|stats| of(stats).value());
        values.fold(0, u64::wrapping_add)
    };
    let sample = |&(name, help, kind, of)| Sample {
        name,
        help,
        kind,
        value: sum(of),
    };
    RUNTIME.iter().map(sample).collect()
}

type Of = fn(&ShardStats) -> &rt::Counter;

const RUNTIME: &[(&str, &str, Kind, Of)] = &[
    ("tasks", "Tasks that have not ended.", Kind::Gauge, |s| {
        &s.tasks
    }),
    ("tasks_total", "Tasks started.", Kind::Counter, |s| {
        &s.tasks_started
    }),
    ("polls_total", "Polls of tasks.", Kind::Counter, |s| {
        &s.polls
    }),
    (
        "turns_total",
        "Turns of the shards' loops.",
        Kind::Counter,
        |s| &s.turns,
    ),
    (
        "panics_total",
        "Panics that were caught.",
        Kind::Counter,
        |s| &s.panics,
    ),
    (
        "wakeups_remote_total",
        "Wake-ups from other threads.",
        Kind::Counter,
        |s| &s.wakeups_remote,
    ),
    ("pipes_open", "Pipes that are open.", Kind::Gauge, |s| {
        &s.pipes_open
    }),
    (
        "pipes_in_use",
        "Pipes that a relay holds.",
        Kind::Gauge,
        |s| &s.pipes_in_use,
    ),
    (
        "pipes_missed_total",
        "Relays that found no pipe and copied.",
        Kind::Counter,
        |s| &s.pipes_missed,
    ),
    (
        "relay_bytes_total{by=\"copy\"}",
        RELAYED,
        Kind::Counter,
        |s| &s.bytes_copied,
    ),
    (
        "relay_bytes_total{by=\"splice\"}",
        RELAYED,
        Kind::Counter,
        |s| &s.bytes_spliced,
    ),
];

const RELAYED: &str = "Bytes of literals relayed, by the way they took.";

/// The table of counters: field, kind, rendered name, help.
macro_rules! counters {
    ($($field:ident, $kind:ident, $name:literal, $help:literal;)*) => {
        /// What a shard counts.
        // Two cache lines, as the prefetcher takes them: shards must not share one.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct Counters {
            $(#[doc = $help] pub $field: Counter,)*
        }

        fn sum(shards: &[Slot]) -> Vec<Sample> {
            vec![$(Sample {
                name: $name,
                help: $help,
                kind: Kind::$kind,
                value: shards.iter().map(|s| s.counters.$field.get()).fold(0, u64::wrapping_add),
            },)*]
        }
    };
}

counters! {
    sessions_open, Gauge, "sessions_open", "Client sessions open now.";
    sessions, Counter, "sessions_total", "Client sessions accepted.";
    sessions_reselected, Counter, "sessions_reselected_total{result=\"ok\"}", "Selected mailboxes whose connection was lost, by whether the session could go on.";
    sessions_not_reselected, Counter, "sessions_reselected_total{result=\"failed\"}", "Selected mailboxes whose connection was lost, by whether the session could go on.";
    connections, Counter, "connections_total", "Client connections accepted, before any handshake.";
    refused_total, Counter, "connections_refused_total{limit=\"total\"}", "Client connections refused, by the limit.";
    refused_address, Counter, "connections_refused_total{limit=\"address\"}", "Client connections refused, by the limit.";
    tls_handshakes, Counter, "tls_handshakes_total{result=\"ok\"}", "TLS handshakes with clients, by their result.";
    tls_handshakes_failed, Counter, "tls_handshakes_total{result=\"failed\"}", "TLS handshakes with clients, by their result.";
    logins_ok, Counter, "logins_total{result=\"ok\"}", "Logins, by their result.";
    logins_denied, Counter, "logins_total{result=\"denied\"}", "Logins, by their result.";
    logins_unavailable, Counter, "logins_total{result=\"unavailable\"}", "Logins, by their result.";
    logins_limited, Counter, "logins_total{result=\"limit\"}", "Logins, by their result.";
    login_delay_ms, Counter, "login_delay_milliseconds_total", "How long answers to failed logins were held back, in all.";
    commands_session, Counter, "commands_total{class=\"session\"}", "Commands, by their class.";
    commands_login, Counter, "commands_total{class=\"login\"}", "Commands, by their class.";
    commands_select, Counter, "commands_total{class=\"select\"}", "Commands, by their class.";
    commands_message, Counter, "commands_total{class=\"message\"}", "Commands, by their class.";
    commands_append, Counter, "commands_total{class=\"append\"}", "Commands, by their class.";
    commands_idle, Counter, "commands_total{class=\"idle\"}", "Commands, by their class.";
    commands_list, Counter, "commands_total{class=\"list\"}", "Commands, by their class.";
    commands_mailbox, Counter, "commands_total{class=\"mailbox\"}", "Commands, by their class.";
    commands_bad, Counter, "commands_bad_total", "Commands answered BAD.";
    commands_forwarded, Counter, "commands_forwarded_total", "Commands passed on to a backend.";
    client_bytes_in, Counter, "client_bytes_total{direction=\"in\"}", "Bytes from and to clients.";
    client_bytes_out, Counter, "client_bytes_total{direction=\"out\"}", "Bytes from and to clients.";
    sessions_compressed, Counter, "sessions_compressed_total", "Sessions that have turned compression on.";
    compressed_text_in, Counter, "compressed_bytes_total{direction=\"in\",form=\"text\"}", "Bytes of compressed sessions from and to clients, as they are and as they went over the wire.";
    compressed_wire_in, Counter, "compressed_bytes_total{direction=\"in\",form=\"wire\"}", "Bytes of compressed sessions from and to clients, as they are and as they went over the wire.";
    compressed_text_out, Counter, "compressed_bytes_total{direction=\"out\",form=\"text\"}", "Bytes of compressed sessions from and to clients, as they are and as they went over the wire.";
    compressed_wire_out, Counter, "compressed_bytes_total{direction=\"out\",form=\"wire\"}", "Bytes of compressed sessions from and to clients, as they are and as they went over the wire.";
    upstream_open, Gauge, "upstream_open", "Backend connections open now.";
    upstream_connects, Counter, "upstream_connects_total", "Backend connections made and logged in.";
    upstream_failures, Counter, "upstream_failures_total", "Backend connections that failed, or broke in use.";
    messages_stored, Counter, "messages_stored_total{by=\"append\"}", "Messages stored, by the way they came.";
    messages_delivered, Counter, "messages_stored_total{by=\"lmtp\"}", "Messages stored, by the way they came.";
    barriers, Counter, "barriers_total{result=\"ok\"}", "Waits for an up-to-date list, by their result.";
    barriers_failed, Counter, "barriers_total{result=\"failed\"}", "Waits for an up-to-date list, by their result.";
}

#[derive(Debug, Default)]
struct Slot {
    taken: AtomicBool,
    counters: Counters,
}

/// The counters of all shards. Clones are the same registry.
#[derive(Debug, Clone)]
pub struct Registry {
    shards: Arc<[Slot]>,
}

impl Registry {
    /// For so many shards.
    pub fn new(shards: usize) -> Self {
        Self {
            shards: (0..shards).map(|_| Slot::default()).collect(),
        }
    }

    /// The one writer of a shard's counters, to be taken on that shard's thread; `None` the second
    /// time, and for a shard there isn't.
    pub fn recorder(&self, shard: usize) -> Option<Recorder> {
        let taken = self.shards.get(shard)?.taken.swap(true, Ordering::Relaxed);
        (!taken).then(|| Recorder {
            shards: Arc::clone(&self.shards),
            shard,
            _thread: PhantomData,
        })
    }

    /// The sums over all shards.
    pub fn samples(&self) -> Vec<Sample> {
        sum(&self.shards)
    }

    /// The sums as text, and what others bring: [`runtime`], the follower, the log.
    pub fn render(&self, others: &[Sample]) -> String {
        let mut text = String::new();
        let mut previous = "";
        for sample in self.samples().iter().chain(others) {
            let family = sample.name.split('{').next().unwrap_or(sample.name);
            if family != previous {
                let kind = match sample.kind {
                    Kind::Counter => "counter",
                    Kind::Gauge => "gauge",
                };
                let help = sample.help;
                write!(
                    text,
                    "# HELP ravenry_{family} {help}\n# TYPE ravenry_{family} {kind}\n"
                )
                .expect("invariant: writing to a String can't fail");
            }
            previous = family;
            writeln!(text, "ravenry_{} {}", sample.name, sample.value)
                .expect("invariant: writing to a String can't fail");
        }
        text
    }
}

/// A shard's way to its counters: `recorder.sessions.add(1)`. Clones are for the same thread.
#[derive(Debug, Clone)]
pub struct Recorder {
    shards: Arc<[Slot]>,
    shard: usize,
    /// Neither Send nor Sync: the counters have one writer.
    _thread: PhantomData<*const ()>,
}

impl Deref for Recorder {
    type Target = Counters;

    fn deref(&self) -> &Counters {
        &self.shards[self.shard].counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_summed() {
        let registry = Registry::new(2);
        let (one, two) = (registry.recorder(0).unwrap(), registry.recorder(1).unwrap());
        one.sessions.add(2);
        two.sessions.add(40);
        one.sessions_open.add(1);
        let again = one.clone();
        again.sessions_open.sub(1);
        one.sessions.add(0);
        let value = |name| {
            registry
                .samples()
                .iter()
                .find(|s| s.name == name)
                .unwrap()
                .value
        };
        assert_eq!(value("sessions_total"), 42);
        assert_eq!(value("sessions_open"), 0);
        two.sessions_open.sub(1);
        assert_eq!(
            value("sessions_open"),
            0,
            "a gauge doesn't go below nothing"
        );
    }

    #[test]
    fn a_shard_has_one_recorder() {
        let registry = Registry::new(1);
        let first = registry.recorder(0);
        assert!(
            first.is_some() && registry.recorder(0).is_none() && registry.recorder(1).is_none()
        );
    }

    #[test]
    fn the_text_is_well_formed() {
        let registry = Registry::new(1);
        registry.recorder(0).unwrap().logins_denied.add(3);
        let other = Sample {
            name: "lines",
            help: "Lines.",
            kind: Kind::Gauge,
            value: 7,
        };
        let stats = ShardStats::default();
        let mut others = runtime(&[&stats, &stats]);
        others.push(other);
        let text = registry.render(&others);
        assert!(
            text.contains("ravenry_logins_total{result=\"denied\"} 3\n"),
            "{text}"
        );
        assert!(
            text.ends_with("# TYPE ravenry_lines gauge\nravenry_lines 7\n"),
            "{text}"
        );
        let mut helped = std::collections::BTreeSet::new();
        let mut named = std::collections::BTreeSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let family = rest.split(' ').next().unwrap();
                assert!(
                    helped.insert(family.to_owned()),
                    "{family} has its help twice"
                );
            } else if !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').unwrap();
                assert!(value.parse::<u64>().is_ok(), "{line}");
                assert!(named.insert(name.to_owned()), "{name} is there twice");
                assert!(
                    helped.contains(name.split('{').next().unwrap()),
                    "{name} has no help"
                );
            }
        }
        assert!(
            text.lines()
                .all(|l| l.starts_with("ravenry_") || l.starts_with("# "))
        );
    }
}
