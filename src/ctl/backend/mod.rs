//! `ravenry ctl backend`: the operator of the backend that runs here.
//!
//! A question is `backend` and words with TABs between them; `ravenry_backend::Operator` answers. What concerns the
//! passwd file is done by this process, which the operator runs and who may write there.

mod mailbox;
pub(crate) mod output;
mod passwd;
mod quarantine;
mod quota;
mod resync;
pub(crate) mod user;

use std::io;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use ravenry_backend::{ANSWER_ENDS, Operator};
use ravenry_core::config::Config;
use ravenry_core::rt::Stream;

use self::output::{Answer, Format};

/// What can be asked of a backend, and done.
#[derive(Subcommand, Clone)]
pub(crate) enum Question {
    /// Who may log in, and their mailboxes: lines of auth.passwd_file
    User {
        #[command(subcommand)]
        question: user::User,
    },
    /// Mailboxes, by their internal names: user.alice.Sent
    Mailbox {
        #[command(subcommand)]
        question: mailbox::Mailbox,
    },
    /// Limits on what is below a name (quota roots)
    Quota {
        #[command(subcommand)]
        question: quota::Quota,
    },
    /// Mailboxes that a comparison with the MUPDATE master took away here, since they live elsewhere
    Quarantine {
        #[command(subcommand)]
        question: quarantine::Quarantine,
    },
    /// How this backend and the MUPDATE master stand to each other, by the last comparison
    Resync {
        #[command(subcommand)]
        question: Option<resync::Resync>,
        #[command(flatten)]
        format: Format,
    },
    /// Make a copy of the whole store while it is in use; the copy opens as a store
    ///
    /// The index is as it was at one moment, with every file that it refers to then: linked where the directory is on the
    /// same file system, copied where not. No message's file is removed meanwhile. DIR/backend is the index and
    /// DIR/spool/NAME each partition: to restore, make them state_dir and partitions of a configuration.
    Backup {
        /// A directory that is empty or isn't there; the server writes it
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Compare the index with the files, while both are in use; fails if something is wrong
    ///
    /// Nothing is changed. What is wrong with a mailbox is put right by `reconstruct`, other
    /// bytes in a message by its file from a backup.
    Check {
        /// Read every message, too, and compare its bytes with what they were
        #[arg(long)]
        deep: bool,
    },
    /// Put a mailbox' record and its files together again; no file is removed
    ///
    /// It is counted anew, files that the index doesn't know become messages, and messages whose file is gone go.
    Reconstruct {
        /// The mailbox' internal name
        name: String,
    },
    /// Give back the room of what was removed, before its time is over
    ///
    /// Messages that were expunged and mailboxes that were deleted are kept for backend.keep_removed, and can be
    /// brought back until then. What is purged can't.
    Purge {
        /// What was removed longer ago than this: 0, 90s, 15m, 12h, 7d
        #[arg(long, value_name = "TIME", value_parser = seconds)]
        older_than: u64,
    },
}

/// Carries out a command.
pub(super) fn carry_out(config: &Config, question: &Question) -> Result<(), String> {
    if config.backend.is_none() {
        return Err("the configuration has no [backend]: no mail is stored here".to_owned());
    }
    match question {
        Question::User { question } => user::carry_out(config, question),
        Question::Mailbox { question } => mailbox::carry_out(config, question),
        Question::Quota { question } => quota::carry_out(config, question),
        Question::Quarantine { question } => quarantine::carry_out(config, question),
        Question::Resync { question, format } => {
            resync::carry_out(config, question.as_ref(), *format)
        }
        Question::Check { deep } => {
            let words = ["check"].into_iter().chain(deep.then_some("deep"));
            asked(config, &words.collect::<Vec<_>>())?.show(Format { json: false })
        }
        Question::Reconstruct { name } => {
            asked(config, &["reconstruct", name])?.show(Format { json: false })
        }
        Question::Backup { directory } => {
            let directory = path_text(directory)?;
            asked(config, &["backup", &directory])?.show(Format { json: false })
        }
        Question::Purge { older_than } => {
            let words = ["purge", &older_than.to_string()];
            asked(config, &words)?.show(Format { json: false })
        }
    }
}

/// Asks the running process, and reads its answer.
pub(crate) fn asked(config: &Config, words: &[&str]) -> Result<Answer, String> {
    if let Some(word) = words.iter().find(|word| word.contains(char::is_control)) {
        return Err(format!(
            "{word:?} has a line break, a TAB or the like in it"
        ));
    }
    let question = format!("backend\t{}\n", words.join("\t"));
    if question.len() > super::QUESTION_BYTES_MAX {
        return Err("that is too long".to_owned());
    }
    let (stream, failed) = super::put(config, question.as_bytes())?;
    Answer::read(stream).map_err(failed)
}

/// Answers a question, in the running process.
pub(super) async fn answer(
    operator: Option<&Operator>,
    question: &str,
    stream: &Stream,
) -> io::Result<()> {
    match operator {
        Some(operator) => operator.answer(question, stream).await,
        None => {
            let answer = format!("!no backend runs here\n{ANSWER_ENDS}");
            stream.write_all(answer.as_bytes()).await
        }
    }
}

fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || "a number with s, m, h or d behind it: 90s, 12h, 7d, or 0".to_owned();
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(number) => (number, &text[number.len()..]),
        None if text == "0" => (text, "s"),
        None => return Err(wrong()),
    };
    let unit = match unit {
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => 1,
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).ok_or_else(wrong)
}

/// For the server, whose working directory is another one.
pub(crate) fn path_text(path: &Path) -> Result<String, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let absolute = std::path::absolute(path).map_err(|error| wrong(&error))?;
    let text = absolute.into_os_string().into_string();
    text.map_err(|_| wrong(&"a path that isn't UTF-8"))
}
