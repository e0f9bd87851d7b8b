//! A whole session on any bytes: the real frontend on the simulated runtime, a client and backends that
//! say what the input says, in any pieces.
//!
//! The input is a list of moves: a byte that says what, a byte that says how much, and so many bytes.
//! What goes to the client is well framed and answers what the client sent; nothing panics; when the
//! peers have gone, nothing of the session is left.

#![no_main]

#[path = "session/site.rs"]
mod site;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use ravenry_core::rt::sim::{self, Faults, Settings, World};
use ravenry_core::rt::{self, Either, Listener, Stream};
use ravenry_core::wire::imap::{Kind, ResponseEvent, ResponseScanner};

use site::{BACKENDS, FRONTEND, Site};

/// Longer than any deadline of the frontend.
const PATIENCE: Duration = Duration::from_secs(3600);
const WITHIN: Duration = Duration::from_secs(24 * 3600);
/// What a backend puts for the tag of the last command.
const TAG: u8 = 0x01;
const GREETING: &[u8] = b"* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ UNSELECT IDLE MOVE UIDPLUS] hi\r\n";

thread_local! {
    static SITE: Site = Site::new();
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&how, bytes)) = bytes.split_first() else {
        return;
    };
    let script = Script::read(bytes);
    let settings = Settings {
        seed: u64::from(how),
        faults: Faults::none(),
        verbose: false,
        within: WITHIN,
    };
    let outcome = sim::run(settings, |world| async move {
        let script = Rc::new(script);
        for backend in BACKENDS {
            let listener = Listener::bind(&backend.parse().unwrap()).unwrap();
            rt::spawn(backends(Rc::clone(&script), listener));
        }
        let frontend = SITE.with(Site::start);
        client(world, &script, how & 1 == 0).await;
        script.over.set(true);
        frontend.end(world).await;
    });
    assert!(outcome.failures.is_empty(), "{:#?}", outcome.failures);
});

/// What the peers do.
#[derive(Default)]
struct Script {
    client: RefCell<VecDeque<Move>>,
    /// What backends say, in turn, whenever they have been sent something.
    backends: RefCell<VecDeque<Vec<u8>>>,
    over: Cell<bool>,
}

enum Move {
    Send(Vec<u8>),
    Wait(Duration),
}

impl Script {
    fn read(mut bytes: &[u8]) -> Self {
        let script = Self::default();
        while let [what, size, rest @ ..] = bytes {
            let (piece, rest) = rest.split_at(usize::from(*size).min(rest.len()));
            bytes = rest;
            let mut client = script.client.borrow_mut();
            match what & 3 {
                0 | 1 => client.push_back(Move::Send(piece.to_vec())),
                2 => script.backends.borrow_mut().push_back(piece.to_vec()),
                _ => client.push_back(Move::Wait(Duration::from_secs(u64::from(*size)))),
            }
        }
        script
    }
}

async fn backends(script: Rc<Script>, listener: Listener) {
    while let Ok((stream, _)) = listener.accept().await {
        rt::spawn(backend(Rc::clone(&script), stream));
    }
}

/// Lets the frontend log in, and answers what comes by the script; without one by OK.
async fn backend(script: Rc<Script>, stream: Stream) {
    let _ = stream.write_all(GREETING).await;
    let (mut input, mut logged_in) = (Vec::new(), false);
    while let Ok(Ok(1..)) = rt::timeout(PATIENCE, stream.read_into(&mut input, 4096)).await {
        let tag = tag_of(&input);
        let scripted = logged_in.then(|| script.backends.borrow_mut().pop_front());
        let said = match scripted.flatten() {
            Some(said) => said,
            None if script.over.get() => return,
            None => b"\x01 OK done\r\n".to_vec(),
        };
        logged_in = true;
        input.clear();
        let said: Vec<u8> = said
            .iter()
            .flat_map(|byte| match byte {
                &TAG => tag.clone(),
                byte => vec![*byte],
            })
            .collect();
        if said.is_empty() || stream.write_all(&said).await.is_err() {
            return;
        }
    }
}

/// The first word of the last line.
fn tag_of(input: &[u8]) -> Vec<u8> {
    let line = input.trim_ascii_end().rsplit(|byte| *byte == b'\n').next();
    let word = line.and_then(|line| line.split(|byte| *byte == b' ').next());
    word.unwrap_or_default().to_vec()
}

/// Plays the client's moves, reading meanwhile, and leaves; then looks at what it got.
async fn client(world: World, script: &Script, logs_in: bool) {
    let stream = connect().await;
    let (mut sent, mut got) = (Vec::new(), Vec::new());
    let login = logs_in.then(|| Move::Send(b"in LOGIN u0 pw\r\n".to_vec()));
    for what in login.into_iter().chain(script.client.take()) {
        let (bytes, wait) = match what {
            Move::Send(bytes) => (bytes, Duration::from_millis(1)),
            Move::Wait(wait) => (Vec::new(), wait),
        };
        sent.extend_from_slice(&bytes);
        let both = rt::select(stream.write_all(&bytes), drain(&stream, &mut got, PATIENCE));
        if let Either::Right(()) = both.await {
            break;
        }
        drain(&stream, &mut got, wait).await;
    }
    let _ = stream.shutdown_write();
    drain(&stream, &mut got, PATIENCE).await;
    check(world, &sent, &got);
}

async fn connect() -> Stream {
    loop {
        match Stream::connect(&FRONTEND.parse().unwrap(), PATIENCE).await {
            Ok(stream) => return stream,
            // The frontend has yet to bind.
            Err(_) => rt::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Reads for so long, or up to the end.
async fn drain(stream: &Stream, got: &mut Vec<u8>, within: Duration) {
    let until = rt::now() + within;
    while let Ok(Ok(1..)) = rt::timeout_at(until, stream.read_into(got, 64 << 10)).await {}
}

/// Whole responses, each tagged one for something that was sent.
fn check(world: World, sent: &[u8], got: &[u8]) {
    let lines = sent.iter().filter(|byte| **byte == b'\n').count();
    let (mut scanner, mut at, mut tagged) = (ResponseScanner::new(16 << 10), 0, 0);
    loop {
        match scanner.next(&got[at..]) {
            ResponseEvent::NeedMore => break,
            ResponseEvent::Partial { len, .. } => at += len,
            ResponseEvent::Line(line) => {
                if let Some(Kind::Tagged { tag, .. }) = &line.start {
                    let tag = &got[at..][tag.clone()];
                    tagged += 1;
                    if memchr::memmem::find(sent, tag).is_none() {
                        world.fail(format!("nobody sent the tag {}", tag.escape_ascii()));
                    }
                }
                at += line.len;
                if let Some(literal) = line.literal {
                    at = at.saturating_add(usize::try_from(literal.size).unwrap_or(usize::MAX));
                    scanner.literal_done();
                    if at >= got.len() {
                        break;
                    }
                }
            }
            ResponseEvent::Bad(why) => {
                return world.fail(format!("{why} in {}", got.escape_ascii()));
            }
        }
    }
    // A command has a line at the least; what is refused early may be without its end.
    if tagged > lines + 1 {
        world.fail(format!("{tagged} replies to {lines} lines: {}", got.escape_ascii()));
    }
}
