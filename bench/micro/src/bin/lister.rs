//! LIST as a command, at any frontend: `lister ADDRESS NAMES SESSIONS TIMES`, one line of JSON.
//!
//! SESSIONS users, evenly spread over the site of NAMES mailboxes, log in (password `pw`) and stay; then one of
//! them, chosen at random each time, says LIST "" "*", TIMES times in all. Every answer has to be OK and its
//! lines twenty, or this ends with an error.

#![expect(clippy::print_stdout, reason = "a program that prints its results")]

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use ravenry_bench::site::Site;
use ravenry_bench::{percentiles, timed};
use serde_json::json;

const WITHIN: Duration = Duration::from_secs(60);
const SEES: usize = 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, numbers @ ..] = &arguments[..] else {
        println!("usage: lister ADDRESS NAMES SESSIONS TIMES");
        std::process::exit(2);
    };
    let numbers: Vec<u64> = numbers
        .iter()
        .map(|n| n.parse().expect("a number"))
        .collect();
    let [names, sessions, times] = numbers[..] else {
        panic!("three numbers: names, sessions, times");
    };
    let site = Site { names };
    let users = (0..sessions).map(|number| site.user(number * site.users() / sessions));
    let mut sessions: Vec<Session> = users.map(|user| Session::new(address, &user)).collect();
    let mut random = fastrand::Rng::with_seed(3);
    let times = (0..times).map(|_| {
        let session = &mut sessions[random.usize(..numbers[1] as usize)];
        let (took, lines) = timed(|| session.command("LIST \"\" \"*\"").expect("an answer"));
        assert_eq!(lines, SEES, "what a user sees");
        took
    });
    let times = times.collect();
    println!(
        "{}",
        json!({ "sessions": numbers[1], "sees": SEES, "list": percentiles(times) })
    );
}

struct Session {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
    line: String,
}

impl Session {
    fn new(address: &str, user: &str) -> Self {
        let stream = TcpStream::connect(address).expect("a frontend");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(WITHIN)).expect("an option");
        let answers = BufReader::new(stream.try_clone().expect("a second handle"));
        let mut session = Self {
            stream,
            answers,
            line: String::new(),
        };
        session.read().expect("a greeting");
        session
            .command(&format!("LOGIN {user} pw"))
            .expect("a login");
        session
    }

    /// Says a command; how many untagged lines came before its OK.
    fn command(&mut self, text: &str) -> io::Result<usize> {
        self.stream.write_all(format!("a {text}\r\n").as_bytes())?;
        let mut lines = 0;
        loop {
            self.read()?;
            if let Some(tagged) = self.line.strip_prefix("a ") {
                return match tagged.starts_with("OK") {
                    true => Ok(lines),
                    false => Err(io::Error::other(format!("{text}: {tagged}"))),
                };
            }
            lines += 1;
        }
    }

    fn read(&mut self) -> io::Result<()> {
        self.line.clear();
        match self.answers.read_line(&mut self.line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
