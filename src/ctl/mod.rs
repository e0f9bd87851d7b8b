//! `ravenry ctl`: questions to a running process, over a unix socket in `state_dir`.
//!
//! A question is one line (a dump to be restored follows its own), its answer is text up to the end of
//! the connection. The socket belongs to the user that the server runs as; nobody else may ask.

pub(crate) mod backend;
mod mupdate;

use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use clap::Subcommand;
use ravenry_core::config::Config;
use ravenry_core::rt::channel::{OneSender, oneshot};
use ravenry_core::rt::{self, Address, Either, Listener, Stream};

/// What can be asked.
#[derive(Subcommand, Clone)]
pub(crate) enum Question {
    /// Print the counters, as Prometheus reads them
    Stats,
    /// Read certificates, users and groups again, as SIGHUP does, and say what came of it
    Reload,
    /// Users, mailboxes and room of the backend that runs here
    Backend {
        #[command(subcommand)]
        question: backend::Question,
    },
    /// Ask the MUPDATE server that runs here, or change its list
    Mupdate {
        #[command(subcommand)]
        question: mupdate::Mupdate,
    },
}

/// Who answers for the roles that run here.
#[derive(Clone)]
pub(crate) struct Operators {
    /// The MUPDATE server's.
    pub(crate) mupdate: Option<ravenry_mupdate::Operator>,
    /// The backend's.
    pub(crate) backend: Option<ravenry_backend::Operator>,
}

/// How the main thread is asked to reload.
type Reload = mpsc::SyncSender<OneSender<String>>;

/// The longest question, and how long it may take to come.
const QUESTION_BYTES_MAX: usize = 4096;
const QUESTION_WITHIN: Duration = Duration::from_secs(5);
/// How long an answer may take: a reload reads files of any size, a dump may be restored.
const ANSWER_WITHIN: Duration = Duration::from_secs(10 * 60);

/// Where the socket is.
pub(crate) fn path(config: &Config) -> PathBuf {
    config.state_dir.join("ctl.sock")
}

/// Asks a running process, and prints its answer.
pub(crate) fn ask(config: &Config, question: Question) -> Result<(), String> {
    let asked = match &question {
        Question::Stats => b"stats\n".to_vec(),
        Question::Reload => b"reload\n".to_vec(),
        Question::Mupdate { question } => question.question()?,
        Question::Backend { question } => return backend::carry_out(config, question),
    };
    let (mut stream, failed) = put(config, &asked)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let may_be_empty = matches!(question, Question::Mupdate { .. });
    if answer.is_empty() && !may_be_empty {
        return Err("it gave no answer: it is stopping, or a shard has died".to_owned());
    }
    crate::answer(&answer);
    match answer.lines().any(|line| line.starts_with("error: ")) {
        true => Err("not all of it was taken".to_owned()),
        false => Ok(()),
    }
}

/// Whether there is somebody to ask.
pub(crate) fn runs(config: &Config) -> bool {
    UnixStream::connect(path(config)).is_ok()
}

/// Puts a question to the running process; the answer can be read then. Also gives what to say if it can't.
fn put(
    config: &Config,
    question: &[u8],
) -> Result<(UnixStream, impl Fn(io::Error) -> String + use<>), String> {
    let path = path(config);
    let failed = move |error: io::Error| {
        format!(
            "{}: {error}; is `ravenry serve` running with this configuration?",
            path.display()
        )
    };
    let mut stream = UnixStream::connect(self::path(config)).map_err(&failed)?;
    stream
        .set_read_timeout(Some(ANSWER_WITHIN))
        .map_err(&failed)?;
    stream.write_all(question).map_err(&failed)?;
    stream.shutdown(Shutdown::Write).map_err(&failed)?;
    Ok((stream, failed))
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

/// Answers questions until the core drains. `stats` renders the counters; `reload` is where the main
/// thread is asked; `operators` are the roles' own.
pub(crate) async fn serve(
    listener: Listener,
    reload: Reload,
    stats: impl Fn() -> String + 'static,
    operators: Operators,
) {
    let stats = Rc::new(stats);
    loop {
        match rt::select(rt::draining(), listener.accept()).await {
            Either::Left(()) => return,
            Either::Right(Ok((stream, _))) => {
                rt::spawn(answer(
                    stream,
                    reload.clone(),
                    Rc::clone(&stats),
                    operators.clone(),
                ));
            }
            Either::Right(Err(error)) => {
                tracing::warn!("ctl: accept: {error}");
                rt::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(
    stream: Stream,
    reload: Reload,
    stats: Rc<impl Fn() -> String>,
    operators: Operators,
) {
    let answered = async {
        let (line, rest) = question(&stream).await?;
        if let Some(question) = line.strip_prefix("backend\t") {
            return backend::answer(operators.backend.as_ref(), question, &stream).await;
        }
        let line = line.trim_ascii();
        let answer = async {
            if let Some(line) = line.strip_prefix("mupdate ") {
                return mupdate::answer(operators.mupdate.as_ref(), line, rest, &stream).await;
            }
            let text = match line {
                "stats" => stats(),
                "reload" => reloaded(&reload).await,
                _ => "error: unknown question; known: stats, reload, backend, mupdate\n".to_owned(),
            };
            stream.write_all(text.as_bytes()).await
        };
        rt::timeout(ANSWER_WITHIN, answer).await?
    };
    if let Err(error) = answered.await {
        tracing::debug!("ctl: {error}");
    }
}

/// The question's line, and what has come behind it.
async fn question(stream: &Stream) -> io::Result<(String, Vec<u8>)> {
    let mut question = Vec::new();
    while !question.contains(&b'\n') && question.len() < QUESTION_BYTES_MAX {
        let read = stream.read_into(&mut question, QUESTION_BYTES_MAX);
        if rt::timeout(QUESTION_WITHIN, read).await?? == 0 {
            break;
        }
    }
    let end = question.iter().position(|byte| *byte == b'\n');
    let rest = question.split_off(end.map_or(question.len(), |end| end + 1));
    let line = String::from_utf8_lossy(&question);
    Ok((line.trim_end_matches('\n').to_owned(), rest))
}

/// Has the main thread read its files again, and waits for the outcome.
async fn reloaded(reload: &Reload) -> String {
    let (answer, outcome) = oneshot();
    if reload.try_send(answer).is_err() {
        return "error: too many reloads are under way, or the server is stopping\n".to_owned();
    }
    let lost = |_closed| "error: the server is stopping\n".to_owned();
    outcome.await.unwrap_or_else(lost)
}
