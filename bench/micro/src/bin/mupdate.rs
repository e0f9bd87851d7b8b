//! What a MUPDATE server does, Ravenry's or Cyrus': one line of JSON.
//!
//! ```text
//! mupdate pairs ADDRESS CONNECTIONS SECONDS FIRST   RESERVE and ACTIVATE of new names, each connection after the answer
//! mupdate update ADDRESS                            UPDATE, read as fast as it comes
//! mupdate delta ADDRESS CHANGES NAMES               CHANGES of the site's NAMES, then what a follower that missed them is sent
//! mupdate dump NAMES ravenry|cyrus                  the site, for `ravenry ctl mupdate restore` or `ctl_mboxlist -u -L`
//! ```
//!
//! It logs in as `backend3` with `mupdatepw`. Every answer has to be OK, or this ends with an error. FIRST is a word that
//! the new names begin with: no two runs may give the same one.

#![expect(clippy::print_stdout, reason = "a program that prints its results")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use ravenry_bench::site::Site;
use ravenry_bench::{micros, percentiles, timed};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_secs(300);
/// `\0backend3\0mupdatepw` in base64.
const SECRET: &str = "AGJhY2tlbmQzAG11cGRhdGVwdw==";
const LOCATION: &str = "backend3.murder.test!default";

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let said = match arguments[..] {
        ["pairs", address, connections, seconds, first] => {
            let seconds = Duration::from_secs(number(seconds));
            pairs(address, number(connections), seconds, first)
        }
        ["update", address] => update(address)?,
        ["delta", address, changes, names] => delta(address, number(changes), number(names))?,
        ["dump", names, whose] => {
            return dump(
                Site {
                    names: number(names),
                },
                whose == "cyrus",
            );
        }
        _ => {
            println!("usage: see the head of bench/micro/src/bin/mupdate.rs");
            std::process::exit(2);
        }
    };
    println!("{said}");
    Ok(())
}

fn pairs(address: &str, connections: u64, seconds: Duration, first: &str) -> Value {
    let sessions: Vec<Session> = (0..connections)
        .map(|_| Session::new(address).expect("a session"))
        .collect();
    let until = Instant::now() + seconds;
    let (took, times) = timed(|| {
        thread::scope(|scope| {
            let run = |(number, session): (usize, Session)| {
                scope.spawn(move || pairs_of_one(session, until, &format!("{first}.{number}")))
            };
            let threads: Vec<_> = sessions.into_iter().enumerate().map(run).collect();
            let all = threads.into_iter();
            all.flat_map(|one| one.join().expect("no answer but OK"))
                .collect::<Vec<_>>()
        })
    });
    let done = times.len();
    json!({
        "connections": connections, "pairs": done, "seconds": took.as_secs_f64(),
        "pairs_per_s": done as f64 / took.as_secs_f64(), "pair": percentiles(times),
    })
}

fn pairs_of_one(mut session: Session, until: Instant, first: &str) -> Vec<Duration> {
    let mut times = Vec::new();
    while Instant::now() < until {
        let name = format!("{first}.{}", times.len());
        let pair = || -> io::Result<()> {
            session.command(&format!("RESERVE \"{name}\" \"{LOCATION}\""))?;
            session.command(&format!(
                "ACTIVATE \"{name}\" \"{LOCATION}\" \"anyone\tlrs\t\""
            ))
        };
        let (took, done) = timed(pair);
        done.expect("OK");
        times.push(took);
    }
    times
}

fn update(address: &str) -> io::Result<Value> {
    let mut session = Session::new(address)?;
    let (took, read) = timed(|| session.stream_until_ok("UPDATE"));
    let (records, bytes) = read?;
    Ok(json!({ "records": records, "bytes": bytes, "seconds": took.as_secs_f64() }))
}

fn dump(site: Site, cyrus: bool) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for number in 0..site.names {
        let (name, location, acl) = (site.name(number), site.location(number), site.acl(number));
        match cyrus {
            true => writeln!(out, "{name}\t0 {location} {acl}")?,
            false => {
                let acl = acl.escape_default();
                writeln!(out, "{name}\tactive\t{location}\t{acl}")?;
            }
        }
    }
    if !cyrus {
        writeln!(out, "# end")?;
    }
    out.flush()
}

fn delta(address: &str, changes: u64, names: u64) -> io::Result<Value> {
    let mut session = Session::new(address)?;
    let known = session.list.clone();
    let site = Site { names };
    // An ACL that no run before has given them: what changes nothing isn't sent.
    let acl = format!("late{}\tlrs\t", std::process::id());
    for number in (0..names).step_by(usize::try_from(names / changes).expect("small")) {
        let name = site.name(number);
        let location = site.location(number);
        session.command(&format!("ACTIVATE \"{name}\" \"{location}\" \"{acl}\""))?;
    }
    let mut late = Session::new(address)?;
    let (took, read) = timed(|| late.stream_until_ok(&format!("X-UPDATE {known}")));
    let (records, bytes) = read?;
    Ok(json!({ "records": records, "bytes": bytes, "ms": micros(took) / 1000.0 }))
}

struct Session {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
    line: Vec<u8>,
    /// The banner's identity, epoch and sequence, at a Ravenry.
    list: String,
}

impl Session {
    fn new(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(WITHIN))?;
        let answers = BufReader::with_capacity(1 << 16, stream.try_clone()?);
        let mut session = Self {
            stream,
            answers,
            line: Vec::new(),
            list: String::new(),
        };
        while !session.read()?.starts_with(b"* OK") {
            if let Some(list) = session.line.strip_prefix(b"* X-DELTA ") {
                session.list = String::from_utf8_lossy(list).trim_end().to_owned();
            }
        }
        session.command(&format!("AUTHENTICATE \"PLAIN\" \"{SECRET}\""))?;
        Ok(session)
    }

    /// Says a command that is answered with a line.
    fn command(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(format!("a {text}\r\n").as_bytes())?;
        match self.read()?.starts_with(b"a OK ") {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "{text}: {}",
                String::from_utf8_lossy(&self.line)
            ))),
        }
    }

    /// Says a command that is answered with records; how many there were before its OK, and the bytes.
    fn stream_until_ok(&mut self, text: &str) -> io::Result<(u64, u64)> {
        self.stream.write_all(format!("a {text}\r\n").as_bytes())?;
        let (mut records, mut bytes) = (0, 0);
        while !self.read()?.starts_with(b"a OK ") {
            records += u64::from(
                self.line.starts_with(b"a MAILBOX ") || self.line.starts_with(b"a RESERVE "),
            );
            bytes += self.line.len() as u64;
            while let Some(length) = literal(&self.line) {
                self.line.resize(length, 0);
                self.answers.read_exact(&mut self.line)?;
                bytes += self.read()?.len() as u64 + length as u64;
            }
        }
        Ok((records, bytes))
    }

    fn read(&mut self) -> io::Result<&[u8]> {
        self.line.clear();
        match self.answers.read_until(b'\n', &mut self.line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(&self.line),
        }
    }
}

/// The length of the literal that a line ends in.
fn literal(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}\r\n")?;
    let open = line.iter().rposition(|byte| *byte == b'{')?;
    let digits = line[open + 1..]
        .strip_suffix(b"+")
        .unwrap_or(&line[open + 1..]);
    std::str::from_utf8(digits).ok()?.parse().ok()
}
