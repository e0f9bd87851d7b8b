//! `ravenry ctl`: questions to a running process, over a unix socket in `state_dir`.
//!
//! A question is one line, its answer is text up to the end of the connection. The socket belongs
//! to the user that the server runs as; nobody else may ask.

use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use clap::Subcommand;
use ravenry_core::config::Config;
use ravenry_core::rt::{self, Address, Either, Listener, Stream};

/// What can be asked.
#[derive(Subcommand, Clone, Copy)]
pub(crate) enum Question {
    /// Print the counters, as Prometheus reads them
    Stats,
}

/// The longest question, and how long it may take to come.
const QUESTION_BYTES_MAX: usize = 256;
const QUESTION_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Where the socket is.
pub(crate) fn path(config: &Config) -> PathBuf {
    config.state_dir.join("ctl.sock")
}

/// Asks a running process, and prints its answer.
pub(crate) fn ask(config: &Config, question: Question) -> Result<(), String> {
    let path = path(config);
    let failed = |error: io::Error| {
        format!(
            "{}: {error}; is `ravenry serve` running with this configuration?",
            path.display()
        )
    };
    let line = match question {
        Question::Stats => b"stats\n",
    };
    let mut stream = UnixStream::connect(&path).map_err(failed)?;
    stream
        .set_read_timeout(Some(ANSWER_WITHIN))
        .map_err(failed)?;
    stream.write_all(line).map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    crate::answer(&answer);
    Ok(())
}

/// Listens for questions; a task of the mupdate core. Whoever has the mailbox list open owns
/// `state_dir`, so a socket that is there already is a dead process's (which the kernel may keep
/// listening for some milliseconds more).
pub(crate) fn listen(path: PathBuf) -> io::Result<Listener> {
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = Listener::bind(&Address::Unix(path.clone()))?;
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers questions until the core drains. `stats` renders the counters.
pub(crate) async fn serve(listener: Listener, stats: impl Fn() -> String + 'static) {
    let stats = Rc::new(stats);
    loop {
        match rt::select(rt::draining(), listener.accept()).await {
            Either::Left(()) => return,
            Either::Right(Ok((stream, _))) => rt::spawn(answer(stream, Rc::clone(&stats))),
            Either::Right(Err(error)) => {
                tracing::warn!("ctl: accept: {error}");
                rt::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(stream: Stream, stats: Rc<impl Fn() -> String>) {
    let answered = rt::timeout(QUESTION_WITHIN, async {
        let mut question = Vec::new();
        while !question.ends_with(b"\n") && question.len() < QUESTION_BYTES_MAX {
            if stream.read_into(&mut question, QUESTION_BYTES_MAX).await? == 0 {
                break;
            }
        }
        let text = match question.trim_ascii() {
            b"stats" => stats(),
            _ => "unknown question; known: stats\n".to_owned(),
        };
        stream.write_all(text.as_bytes()).await
    });
    if let Ok(Err(error)) = answered.await {
        tracing::debug!("ctl: {error}");
    }
}
