//! The two clients of `bench/storm/run`: one that measures round trips of sessions that are
//! logged in, and one that is the storm. They are two processes, so that the storm can be run
//! below the other: the question is what the server does, not what its clients do to each other.
//!
//! ```text
//! storm measure ADDRESS USER PASSWORD SESSIONS RATE SECONDS [MAILBOX]   one line a round trip:
//!                    when it was sent, how late that was, how long it took (µs from the beginning)
//! storm connect ADDRESS COUNT AT_ONCE [TLS-NAME CA]                     connect, greeting, gone
//! storm login ADDRESS COUNT AT_ONCE USER PASSWORD                       … and a login between
//! ```

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::config::{TlsClient, TlsMode};
use ravenry_core::rt::{self, Address, Instant, ShardConfig, Stream};
use ravenry_core::tls::{Connector, Leg};

const WITHIN: Duration = Duration::from_secs(60);

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let shard = ShardConfig::default();
    let said = match arguments.as_slice() {
        [
            "measure",
            address,
            user,
            password,
            sessions,
            rate,
            seconds,
            mailbox @ ..,
        ] => {
            let measure = Measure {
                address: parsed(address)?,
                login: format!("a LOGIN {user} {password}\r\n"),
                select: mailbox.first().map(|name| format!("b SELECT {name}\r\n")),
                sessions: parsed(sessions)?,
                rate: parsed(rate)?,
                seconds: parsed(seconds)?,
            };
            rt::block_on(shard, measure.run())??
        }
        ["connect", address, count, at_once, tls @ ..] => {
            let storm = Storm {
                address: parsed(address)?,
                left: Cell::new(parsed(count)?),
                tls: tls_of(tls)?,
                login: None,
                failed: RefCell::default(),
            };
            rt::block_on(shard, storm.run(parsed(at_once)?))?
        }
        ["login", address, count, at_once, user, password] => {
            let storm = Storm {
                address: parsed(address)?,
                left: Cell::new(parsed(count)?),
                tls: None,
                login: Some(format!("a LOGIN {user} {password}\r\n")),
                failed: RefCell::default(),
            };
            rt::block_on(shard, storm.run(parsed(at_once)?))?
        }
        _ => return Err(io::Error::other("see the head of tests/system/storm.rs")),
    };
    print!("{said}");
    Ok(())
}

fn parsed<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    let bad = |_| io::Error::other(format!("not understood: {text}"));
    text.parse().map_err(bad)
}

fn tls_of(arguments: &[&str]) -> io::Result<Option<(Connector, String)>> {
    let [name, ca] = arguments else {
        return Ok(None);
    };
    let settings = TlsClient {
        mode: TlsMode::Implicit,
        ca: Some(PathBuf::from(ca)),
        verify: true,
    };
    let connector = Connector::open(&settings, Some("imap")).map_err(io::Error::other)?;
    Ok(connector.map(|connector| (connector, (*name).to_owned())))
}

/// Reads up to a line that begins with `word`.
async fn answer(leg: &Leg, word: &str) -> io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        if bytes.ends_with(b"\r\n") {
            let last = bytes.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
            if last.is_some_and(|line| line.starts_with(word.as_bytes())) {
                return Ok(());
            }
        }
        if leg.read_into(&mut bytes, 64 << 10).await? == 0 {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Err(io::Error::other(format!("closed after {text:?}")));
        }
    }
}

struct Measure {
    address: Address,
    login: String,
    select: Option<String>,
    sessions: u32,
    rate: u32,
    seconds: u64,
}

impl Measure {
    /// Each session sends a NOOP at its times, whatever the others do.
    async fn run(self) -> io::Result<String> {
        let mut sessions = Vec::new();
        for _ in 0..self.sessions {
            let leg = Leg::plain(Stream::connect(&self.address, WITHIN).await?);
            answer(&leg, "* OK").await?;
            leg.write_all(self.login.as_bytes()).await?;
            answer(&leg, "a OK").await?;
            if let Some(select) = &self.select {
                leg.write_all(select.as_bytes()).await?;
                answer(&leg, "b OK").await?;
            }
            sessions.push(leg);
        }
        let samples = Rc::new(RefCell::new(String::new()));
        let (done, mut all_done) = rt::channel::channel::<()>(1);
        let start = rt::now() + Duration::from_millis(100);
        let every = Duration::from_secs(1) * self.sessions / self.rate;
        for (number, leg) in (0u32..).zip(sessions) {
            let (samples, done) = (Rc::clone(&samples), done.clone());
            let first = start + Duration::from_secs(1) * number / self.rate;
            let until = start + Duration::from_secs(self.seconds);
            rt::spawn(async move {
                let _done = done;
                let mut at = first;
                while at < until && round_trip(&leg, start, at, &samples).await.is_ok() {
                    at += every;
                }
            });
        }
        drop(done);
        while all_done.recv().await.is_some() {}
        Ok(samples.take())
    }
}

async fn round_trip(
    leg: &Leg,
    start: Instant,
    at: Instant,
    samples: &RefCell<String>,
) -> io::Result<()> {
    rt::sleep_until(at).await;
    let sent = rt::now();
    leg.write_all(b"n NOOP\r\n").await?;
    answer(leg, "n OK").await?;
    let (when, late, took) = (sent - start, sent - at, rt::now() - sent);
    let [when, late, took] = [when, late, took].map(|time| time.as_micros());
    writeln!(samples.borrow_mut(), "{when} {late} {took}").map_err(io::Error::other)
}

struct Storm {
    address: Address,
    left: Cell<u32>,
    tls: Option<(Connector, String)>,
    login: Option<String>,
    failed: RefCell<Vec<String>>,
}

impl Storm {
    async fn run(self, at_once: u32) -> String {
        let storm = Rc::new(self);
        let (start, count) = (rt::now(), storm.left.get());
        let (done, mut all_done) = rt::channel::channel::<()>(1);
        for _ in 0..at_once {
            let (storm, done) = (Rc::clone(&storm), done.clone());
            rt::spawn(async move {
                let _done = done;
                while let Some(left) = storm.left.get().checked_sub(1) {
                    storm.left.set(left);
                    if let Err(error) = storm.one().await {
                        storm.failed.borrow_mut().push(error.to_string());
                    }
                }
            });
        }
        drop(done);
        while all_done.recv().await.is_some() {}
        let failed = storm.failed.borrow();
        let seconds = (rt::now() - start).as_secs_f64();
        let first = failed.first().map_or("", String::as_str);
        format!(
            "{count} in {seconds:.2} s, {} failed {first}\n",
            failed.len()
        )
    }

    async fn one(&self) -> io::Result<()> {
        let mut leg = Leg::plain(Stream::connect(&self.address, WITHIN).await?);
        if let Some((connector, name)) = &self.tls {
            connector.connect(&mut leg, name).await?;
        }
        rt::timeout(WITHIN, answer(&leg, "* OK")).await??;
        if let Some(login) = &self.login {
            leg.write_all(login.as_bytes()).await?;
            rt::timeout(WITHIN, answer(&leg, "a OK")).await??;
        }
        leg.close();
        Ok(())
    }
}
