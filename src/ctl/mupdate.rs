//! `ravenry ctl mupdate`: the MUPDATE server's operator.

use std::io;
use std::path::PathBuf;

use clap::Subcommand;
use ravenry_core::mailboxes::After;
use ravenry_core::rt::Stream;
use ravenry_mupdate::Operator;

/// What can be asked of a MUPDATE server, and done.
#[derive(Subcommand, Clone)]
pub(crate) enum Mupdate {
    /// What the list is, how many names each server has, and what was counted
    Stats,
    /// Print a mailbox's line of the dump
    Find {
        /// The mailbox, as MUPDATE has it: user.alice.Sent
        name: String,
    },
    /// Print the lines of the dump, of one server's mailboxes or of all
    List {
        /// This server's alone
        #[arg(long)]
        server: Option<String>,
    },
    /// Print all names: NAME TAB STATE TAB SERVER!PARTITION TAB ACL
    Dump,
    /// Make the list what a dump says; names that aren't in it go
    Restore {
        /// The dump
        file: PathBuf,
        /// Also where many names go or get another server
        #[arg(long)]
        force: bool,
    },
    /// Give a backend another name in every location
    RenameServer {
        /// As it is
        old: String,
        /// As it is to be
        new: String,
    },
    /// Make this the master, in a new epoch: a replica whose master is gone for good
    Promote,
    /// For an hour, let an account take away more names than the guard allows
    Allow {
        /// The account of [mupdate.server.users]
        account: String,
    },
}

impl Mupdate {
    /// The question's line, and what follows it.
    pub(crate) fn question(&self) -> Result<Vec<u8>, String> {
        let line = match self {
            Self::Stats => "stats".to_owned(),
            Self::Find { name } => format!("find {name}"),
            Self::List { server: None } => "list".to_owned(),
            Self::List {
                server: Some(server),
            } => format!("list {server}"),
            Self::Dump => "dump".to_owned(),
            Self::Restore { force: false, .. } => "restore".to_owned(),
            Self::Restore { force: true, .. } => "restore force".to_owned(),
            Self::RenameServer { old, new } => format!("rename-server {old} {new}"),
            Self::Promote => "promote".to_owned(),
            Self::Allow { account } => format!("allow {account}"),
        };
        if line.contains('\n') {
            return Err("there is a line break in it".to_owned());
        }
        let mut question = format!("mupdate {line}\n").into_bytes();
        if let Self::Restore { file, .. } = self {
            let text =
                std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            question.extend_from_slice(&text);
        }
        Ok(question)
    }
}

/// Answers a question; `rest` is what has come behind its line.
pub(super) async fn answer(
    operator: Option<&Operator>,
    question: &str,
    rest: Vec<u8>,
    stream: &Stream,
) -> io::Result<()> {
    let Some(operator) = operator else {
        return say(stream, &Err("no MUPDATE server runs here".to_owned())).await;
    };
    let (verb, argument) = question.split_once(' ').unwrap_or((question, ""));
    let outcome = match verb {
        "stats" => operator.stats(),
        "find" => operator.find(argument.as_bytes()),
        "list" | "dump" => return dump(operator, verb, argument, stream).await,
        "promote" => operator.promote().await,
        "allow" => operator.allow(argument.to_owned()).await,
        "rename-server" => match argument.split_once(' ') {
            Some((old, new)) => operator.rename_server(old.to_owned(), new.to_owned()).await,
            None => Err("wants two names".to_owned()),
        },
        "restore" => match whole(rest, stream).await? {
            Ok(text) => operator.restore(text, argument == "force").await,
            Err(why) => Err(why.to_owned()),
        },
        _ => Err("unknown question".to_owned()),
    };
    say(stream, &outcome).await
}

async fn dump(operator: &Operator, verb: &str, server: &str, stream: &Stream) -> io::Result<()> {
    let server = Some(server).filter(|server| !server.is_empty());
    if verb == "dump" {
        stream.write_all(Operator::dump_head().as_bytes()).await?;
    }
    let mut after = Some(After::nothing());
    while let Some(from) = after {
        match operator.dump(&from, server) {
            Ok((text, next)) => {
                stream.write_all(text.as_bytes()).await?;
                after = next;
            }
            Err(why) => return say(stream, &Err(why)).await,
        }
        ravenry_core::rt::yield_now().await;
    }
    if verb == "dump" {
        stream.write_all(Operator::dump_end().as_bytes()).await?;
    }
    Ok(())
}

async fn whole(mut bytes: Vec<u8>, stream: &Stream) -> io::Result<Result<String, &'static str>> {
    while stream.read_into(&mut bytes, READ_BYTES_MAX).await? > 0 {
        if bytes.len() > DUMP_BYTES_MAX {
            return Ok(Err("the dump is too large"));
        }
    }
    Ok(String::from_utf8(bytes).map_err(|_| "the dump is not text"))
}

async fn say(stream: &Stream, outcome: &Result<String, String>) -> io::Result<()> {
    match outcome {
        Ok(text) => stream.write_all(text.as_bytes()).await,
        Err(why) => stream.write_all(format!("error: {why}\n").as_bytes()).await,
    }
}

const READ_BYTES_MAX: usize = 64 * 1024;
/// Ten million names of a hundred bytes.
const DUMP_BYTES_MAX: usize = 1 << 30;
