//! The whole load in virtual time, against a server that pauses, lies or falls silent.

#![expect(
    clippy::unwrap_used,
    reason = "tests end where something is not as it should be"
)]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::rt::{
    self, Address, Instant, Listener, Stream,
    sim::{self, Faults, Settings},
};
use ravenry_loadgen::message::message;
use ravenry_loadgen::pace::{Pace, Work, drive};
use ravenry_loadgen::scenario::{Append, Fetch, Trip, Visit};
use ravenry_loadgen::{Fault, Record, Target};

const MILLISECOND: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_millis(100);

/// What is wrong with the server.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Mood {
    Good,
    /// It answers nothing for 100 ms of every second.
    Pauses,
    /// It changes one byte of each body that it gives.
    ChangesBytes,
    /// From the fifth command on it replies to the one before.
    WrongTag,
    /// It never replies to NOOP.
    Silent,
}

/// One mailbox with the message that was appended last.
struct Server {
    mood: Mood,
    start: Instant,
    message: RefCell<Vec<u8>>,
}

impl Server {
    async fn serve(self: Rc<Self>, stream: Stream) {
        let mut input = Vec::new();
        let _ = stream.write_all(b"* OK ready\r\n").await;
        while let Some(line) = line(&stream, &mut input).await {
            let (tag, words) = line.split_once(' ').unwrap();
            let answer = match words.split(' ').next().unwrap() {
                "APPEND" => {
                    self.append(&stream, &mut input, words).await;
                    format!("{tag} OK [APPENDUID 1 1] done\r\n").into_bytes()
                }
                "UID" if words.starts_with("UID FETCH") => self.body(tag),
                "LOGOUT" => format!("* BYE\r\n{tag} OK done\r\n").into_bytes(),
                "NOOP" if self.mood == Mood::Silent => continue,
                _ => self.reply(tag),
            };
            self.pause().await;
            let _ = stream.write_all(&answer).await;
            if words == "LOGOUT" {
                return;
            }
        }
    }

    fn reply(&self, tag: &str) -> Vec<u8> {
        let number: u64 = tag[1..].parse().unwrap();
        let number = number - u64::from(self.mood == Mood::WrongTag && number >= 5);
        format!("a{number:0>width$} OK done\r\n", width = tag.len() - 1).into_bytes()
    }

    async fn append(&self, stream: &Stream, input: &mut Vec<u8>, words: &str) {
        let size: usize = words
            .rsplit_once('{')
            .unwrap()
            .1
            .trim_end_matches('}')
            .parse()
            .unwrap();
        let _ = stream.write_all(b"+ go ahead\r\n").await;
        while input.len() < size + 2 {
            if stream.read_into(input, 64 << 10).await.unwrap() == 0 {
                return;
            }
        }
        let rest = input.split_off(size + 2);
        *self.message.borrow_mut() = std::mem::replace(input, rest);
        self.message.borrow_mut().truncate(size);
    }

    fn body(&self, tag: &str) -> Vec<u8> {
        let mut body = self.message.borrow().clone();
        if self.mood == Mood::ChangesBytes {
            let middle = body.len() / 2;
            body[middle] ^= 1;
        }
        let head = format!("* 1 FETCH (UID 1 BODY[] {{{}}}\r\n", body.len());
        let tail = format!(")\r\n{tag} OK done\r\n");
        [head.as_bytes(), &body, tail.as_bytes()].concat()
    }

    async fn pause(&self) {
        let into = (rt::now() - self.start).as_millis() % 1000;
        if self.mood == Mood::Pauses && into < PAUSE.as_millis() {
            rt::sleep(PAUSE - MILLISECOND * u32::try_from(into).unwrap()).await;
        }
    }
}

async fn line(stream: &Stream, input: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = input.windows(2).position(|two| two == b"\r\n") {
            let rest = input.split_off(end + 2);
            let line = std::mem::replace(input, rest);
            return Some(String::from_utf8(line[..end].to_vec()).unwrap());
        }
        match stream.read_into(input, 64 << 10).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// Runs `load` in a world with such a server, and gives what it gives.
fn against<T, F>(mood: Mood, load: impl FnOnce(Rc<Target>) -> F + 'static) -> T
where
    T: 'static,
    F: Future<Output = T> + 'static,
{
    let said = Rc::new(RefCell::new(None));
    let into = Rc::clone(&said);
    let settings = Settings {
        seed: 7,
        faults: Faults::none(),
        verbose: false,
        within: Duration::from_secs(3600),
    };
    let outcome = sim::run(settings, move |_world| async move {
        let address: Address = "10.0.0.1:143".parse().unwrap();
        let listener = Listener::bind(&address).unwrap();
        let server = Rc::new(Server {
            mood,
            start: rt::now(),
            message: RefCell::default(),
        });
        rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                rt::spawn(Rc::clone(&server).serve(stream));
            }
        });
        let target = Rc::new(Target {
            address,
            user: "u%".to_owned(),
            users: 3,
            password: "pw".to_owned(),
            within: Duration::from_secs(30),
        });
        let given = load(target).await;
        *into.borrow_mut() = Some(given);
    });
    // The server's tasks are left behind on purpose; what counts is that the load came to its end.
    let given = said.borrow_mut().take();
    given.unwrap_or_else(|| panic!("{:?}", outcome.failures))
}

fn trips(mood: Mood, rate: Option<f64>, time: Duration) -> Record {
    against(mood, move |target| async move {
        let trip = Trip::begin(&target, 0, "INBOX").await.unwrap();
        drive(vec![trip], Pace { rate, time }).await.1
    })
}

fn p99(histogram: &hdrhistogram::Histogram<u64>) -> Duration {
    Duration::from_nanos(histogram.value_at_quantile(0.99))
}

#[test]
fn a_pause_of_100_ms_shows_in_the_p99_of_an_open_loop() {
    let time = Duration::from_secs(10);
    let record = trips(Mood::Pauses, Some(200.0), time);
    assert!(record.is_good(), "{:?}", record.failures);
    assert_eq!(record.done, 2000);
    // A tenth of the commands were due in a pause, and waited for half of it on average.
    assert!(p99(&record.latency) > Duration::from_millis(80));
    // What a closed loop sees: one command a pause was late.
    let late = record.service.count_between(10_000_000, u64::MAX);
    assert!((5..=15).contains(&late), "{late}");
    let late = record.latency.count_between(10_000_000, u64::MAX);
    assert!((150..=250).contains(&late), "{late}");
}

#[test]
fn a_server_that_does_not_pause_has_no_such_p99() {
    let record = trips(Mood::Good, Some(200.0), Duration::from_secs(10));
    assert!(record.is_good() && record.done == 2000);
    assert!(
        p99(&record.latency) < Duration::from_millis(20),
        "{:?}",
        p99(&record.latency)
    );
}

#[test]
fn a_server_that_is_too_slow_leaves_commands_unsent_and_says_so() {
    // In a pause of each second nothing is done, and a trip takes a while in the other nine tenths.
    let record = trips(Mood::Pauses, Some(1e6), Duration::from_secs(2));
    assert!(record.unsent > 0 && !record.is_good());
    assert!(p99(&record.latency) > Duration::from_secs(1));
}

#[test]
fn a_reply_with_another_tag_is_a_failure() {
    let record = trips(Mood::WrongTag, Some(100.0), Duration::from_secs(1));
    // LOGIN and SELECT were the first two.
    assert_eq!(
        (record.done, record.failed),
        (2, 1),
        "{:?}",
        record.failures
    );
    assert!(
        record.failures[0].contains("is due"),
        "{:?}",
        record.failures
    );
}

#[test]
fn a_reply_that_never_comes_is_a_failure() {
    let record = trips(Mood::Silent, None, Duration::from_secs(1));
    assert_eq!((record.done, record.failed), (0, 1));
    assert_eq!(record.failures, ["no answer in time"]);
}

/// Bodies fetched, and whether all ended well.
fn bodies(mood: Mood) -> (Record, Option<Fault>) {
    against(mood, |target| async move {
        let body = message("m", 300_000);
        let fetch = Fetch::begin(&target, 0, "INBOX", &body).await.unwrap();
        let time = Duration::from_secs(1);
        let (left, record) = drive(
            vec![fetch],
            Pace {
                rate: Some(10.0),
                time,
            },
        )
        .await;
        let mut ended = None;
        for fetch in left {
            ended = fetch.end().await.err();
        }
        (record, ended)
    })
}

#[test]
fn bodies_are_compared_to_the_last_byte() {
    let (good, ended) = bodies(Mood::Good);
    assert!(good.is_good() && ended.is_none(), "{good:?} {ended:?}");
    assert_eq!((good.done, good.bytes), (10, 3_000_000));
    let (bad, _) = bodies(Mood::ChangesBytes);
    assert_eq!((bad.done, bad.failed), (0, 1));
    assert!(bad.failures[0].contains("differs"), "{:?}", bad.failures);
}

#[test]
fn what_was_appended_is_read_once_more() {
    let ended = |mood| {
        against(mood, |target| async move {
            let body = message("m", 100_000);
            let append = Append::begin(&target, 1, "INBOX", &body).await.unwrap();
            let time = Duration::from_secs(1);
            let (mut left, record) = drive(
                vec![append],
                Pace {
                    rate: Some(5.0),
                    time,
                },
            )
            .await;
            assert_eq!((record.done, record.bytes), (5, 500_000));
            left.remove(0).end().await
        })
    };
    assert!(ended(Mood::Good).is_ok());
    assert!(matches!(ended(Mood::ChangesBytes), Err(Fault::Wrong(_))));
}

#[test]
fn whole_sessions_come_and_go() {
    let record: Record = against(Mood::Good, |target| async move {
        let visits = (0..4).map(|n| Visit::new(&target, n, "INBOX")).collect();
        let time = Duration::from_secs(2);
        drive(
            visits,
            Pace {
                rate: Some(50.0),
                time,
            },
        )
        .await
        .1
    });
    assert!(record.is_good(), "{:?}", record.failures);
    assert_eq!(record.done, 100);
}
