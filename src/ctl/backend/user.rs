//! `ravenry ctl backend user`: lines of the passwd file, and the mailboxes of who has one.
//!
//! The line is written first and the server told after it, so whatever fails in between can be done again.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use clap::Subcommand;
use ravenry_core::auth::{Passwd, PasswdEdit, PasswdError};
use ravenry_core::config::Config;
use ravenry_core::mailboxes::UserId;

use super::output::{Answer, Format, print, say};
use super::{asked, passwd};
use crate::ctl;

/// What can be done with users.
#[derive(Subcommand, Clone)]
pub(crate) enum User {
    /// Print users: name, password (yes: in the passwd file), inbox, mailboxes, messages, bytes, quota in bytes
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Let somebody in, with a password from standard input, and make the INBOX
    Add {
        /// The user
        name: String,
        /// The line alone: the INBOX is made at the first login, or never
        #[arg(long, conflicts_with = "partition")]
        no_inbox: bool,
        /// Where the INBOX is to be: a name of backend.partitions
        #[arg(long)]
        partition: Option<String>,
    },
    /// Give somebody another password, from standard input
    Passwd {
        /// The user
        name: String,
    },
    /// Let somebody in no longer; sessions that are open go on, mailboxes stay
    Remove {
        /// The user
        name: String,
        /// Delete the mailboxes, too; they can be brought back for backend.keep_removed
        #[arg(long)]
        mailboxes: bool,
    },
}

/// Carries it out.
pub(super) fn carry_out(config: &Config, question: &User) -> Result<(), String> {
    let file = file(config);
    match question {
        User::List { format } => list(config, file.ok(), *format),
        User::Add {
            name,
            no_inbox,
            partition,
        } => {
            let (file, user) = (file?, user(config, name)?);
            partition_is_there(config, partition.as_deref())?;
            if !no_inbox && !ctl::runs(config) {
                return Err(
                    "the server doesn't run, so no INBOX can be made: start it, or give --no-inbox"
                        .to_owned(),
                );
            }
            add(file, &user)?;
            said(&format!("added {user}"))?;
            reload(config)?;
            if *no_inbox {
                return Ok(());
            }
            let partition = partition.iter().map(|name| format!("partition={name}"));
            let partition: Vec<String> = partition.collect();
            let mut words = vec!["make-inbox", user.as_str()];
            words.extend(partition.iter().map(String::as_str));
            asked(config, &words)?.show(Format { json: false })
        }
        User::Passwd { name } => {
            let (file, user) = (file?, user(config, name)?);
            known(&PasswdEdit::begin(file).map_err(text)?, file, &user)?;
            let entry = passwd::hash(user.as_str())?;
            let mut edit = PasswdEdit::begin(file).map_err(text)?;
            known(&edit, file, &user)?;
            edit.set(&user, &entry);
            edit.write().map_err(text)?;
            said(&format!("{user} has another password"))?;
            reload(config)
        }
        User::Remove { name, mailboxes } => {
            let user = user(config, name)?;
            match (file, mailboxes) {
                (Ok(file), _) => {
                    remove(file, &user, *mailboxes)?;
                    reload(config)?;
                }
                (Err(why), false) => return Err(why),
                // saslauthd knows users: their mailboxes can go.
                (Err(_), true) => {}
            }
            if !mailboxes {
                return Ok(());
            }
            asked(config, &["remove-user", user.as_str()])?.show(Format { json: false })
        }
    }
}

fn file(config: &Config) -> Result<&Path, String> {
    config.auth.passwd_file.as_deref().ok_or_else(|| {
        let elsewhere = match config.auth.saslauthd {
            Some(_) => "saslauthd knows the users: add and remove them there",
            None => "it needs passwd_file = \"FILE\"",
        };
        format!("[auth] has no passwd_file; {elsewhere}")
    })
}

pub(crate) fn user(config: &Config, name: &str) -> Result<UserId, String> {
    let user = match &config.default_domain {
        Some(default) => UserId::in_domains(name.as_bytes(), default),
        None => UserId::parse(name.as_bytes()),
    };
    user.map_err(|error| format!("{name:?} is no user name: {error}"))
}

fn add(file: &Path, user: &UserId) -> Result<(), String> {
    let there = || {
        format!(
            "{user} is in {} already; `ravenry ctl backend user passwd` changes the password",
            file.display()
        )
    };
    if PasswdEdit::begin(file).map_err(text)?.has(user) {
        return Err(there());
    }
    // Not while it is locked: a person types.
    let entry = passwd::hash(user.as_str())?;
    let mut edit = PasswdEdit::begin(file).map_err(text)?;
    if edit.has(user) {
        return Err(there());
    }
    edit.set(user, &entry);
    edit.write().map_err(text)
}

/// Who has mailboxes and no line any more may be removed again, to delete those.
fn remove(file: &Path, user: &UserId, line_may_be_gone: bool) -> Result<(), String> {
    let mut edit = PasswdEdit::begin(file).map_err(text)?;
    if !edit.has(user) && line_may_be_gone {
        return Ok(());
    }
    known(&edit, file, user)?;
    edit.remove(user);
    edit.write().map_err(text)?;
    said(&format!("removed {user}"))
}

/// Before anything is changed.
fn partition_is_there(config: &Config, partition: Option<&str>) -> Result<(), String> {
    let (Some(partition), Some(backend)) = (partition, &config.backend) else {
        return Ok(());
    };
    if backend.partitions.contains_key(partition) {
        return Ok(());
    }
    let names: Vec<&str> = backend.partitions.keys().map(String::as_str).collect();
    let names = names.join(", ");
    Err(format!(
        "there is no partition {partition}: there is {names}"
    ))
}

fn known(edit: &PasswdEdit, file: &Path, user: &UserId) -> Result<(), String> {
    match edit.has(user) {
        true => Ok(()),
        false => Err(format!("{user} isn't in {}", file.display())),
    }
}

fn text(error: PasswdError) -> String {
    error.to_string()
}

fn said(line: &str) -> Result<(), String> {
    print(line).map_err(|error| format!("standard output: {error}"))
}

/// Has the server read the file again; one that doesn't run reads it when it starts.
fn reload(config: &Config) -> Result<(), String> {
    if !ctl::runs(config) {
        say("the server doesn't run: it reads the file when it starts");
        return Ok(());
    }
    let (mut stream, failed) = ctl::put(config, b"reload\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let wrong = answer.lines().find_map(|line| line.strip_prefix("error: "));
    match wrong {
        None => Ok(()),
        Some(why) => Err(format!(
            "the file has been changed, but the server hasn't taken it: {why}"
        )),
    }
}

/// The file's users and the server's mailboxes, side by side. Without a server, the file's alone.
fn list(config: &Config, file: Option<&Path>, format: Format) -> Result<(), String> {
    let users = file.map(Passwd::load).transpose().map_err(text)?;
    let mut waiting: BTreeSet<String> = BTreeSet::new();
    if let Some(users) = &users {
        let names = users.names().map(|name| String::from_utf8_lossy(name));
        waiting.extend(names.map(std::borrow::Cow::into_owned));
    }
    let mailboxes = match ctl::runs(config) {
        true => asked(config, &["users"])?,
        false => {
            say("the server doesn't run: mailboxes aren't known");
            Answer::default()
        }
    };
    let mut rows = Vec::new();
    for row in mailboxes.rows {
        let mut row = row.into_iter();
        let name = row.next().unwrap_or_default();
        let password = if waiting.remove(&name) { "yes" } else { "no" };
        rows.push([name, password.to_owned()].into_iter().chain(row).collect());
    }
    let no_mailboxes = if ctl::runs(config) {
        ["no", "0", "0", "0", ""]
    } else {
        ["?", "?", "?", "?", "?"]
    };
    for name in waiting {
        let fields = [name.as_str(), "yes"].into_iter().chain(no_mailboxes);
        rows.push(fields.map(str::to_owned).collect::<Vec<_>>());
    }
    rows.sort();
    let columns = [
        "name",
        "password",
        "inbox",
        "mailboxes:n",
        "messages:n",
        "bytes:n",
        "quota:n",
    ];
    let table = Answer::table(&columns, rows);
    table.show(format)
}
