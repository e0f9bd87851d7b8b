//! `ravenry backend import`: a Maildir++ comes into the store.
//!
//! A running server does it itself, so nothing has to be stopped; without one this process opens the store, which nobody
//! else can meanwhile.

use std::path::PathBuf;

use clap::Subcommand;
use ravenry_backend::Import;
use ravenry_backend::store::Store;
use ravenry_core::config::Config;

use crate::ctl::backend::output::{Answer, Format};
use crate::ctl::backend::{asked, path_text, user};
use crate::{backend, ctl};

/// What is done to a backend's store.
#[derive(Subcommand)]
pub(crate) enum Backend {
    /// Import a Maildir++ (Dovecot's, Courier's) into a user's mailboxes
    ///
    /// Folders that aren't there are made. Flags, keywords, dates and subscriptions come along. It can be run again, after it
    /// was interrupted or to get what has come since: a message that a mailbox has already isn't added again. The exit
    /// code isn't 0 if a message was passed over; standard error says which, and why. Where the server runs it reads the
    /// Maildir: its user has to be able to.
    Import {
        /// The Maildir: the directory that has cur and new in it
        #[arg(long, value_name = "DIR")]
        maildir: PathBuf,
        /// Whose mailboxes it goes into
        #[arg(long, value_name = "NAME")]
        user: String,
        /// Below this mailbox of the user's, with dots, instead of the INBOX
        #[arg(long, value_name = "FOLDER")]
        into: Option<String>,
    },
}

/// Carries it out.
pub(crate) fn carry_out(config: &Config, what: Backend) -> Result<(), String> {
    let Backend::Import {
        maildir,
        user,
        into,
    } = what;
    let user = user::user(config, &user)?;
    if !ctl::runs(config) {
        return alone(config, maildir, user, into);
    }
    let path = path_text(&maildir)?;
    let mut words = vec!["import", &path, user.as_str()];
    words.extend(into.as_deref());
    asked(config, &words)?.show(Format { json: false })
}

fn alone(
    config: &Config,
    maildir: PathBuf,
    user: ravenry_core::mailboxes::UserId,
    into: Option<String>,
) -> Result<(), String> {
    let Some(settings) = &config.backend else {
        return Err("the configuration has no [backend]: no mail is stored here".to_owned());
    };
    if config.mupdate_client.is_some() {
        return Err(
            "the server doesn't run: a member of a murder imports only while it does, since the MUPDATE master has to \
             agree to each mailbox that is made"
                .to_owned(),
        );
    }
    let opened = Store::open(&backend::settings(config, settings));
    let (mut writer, store, found) = opened.map_err(|error| error.to_string())?;
    for path in found.missing {
        crate::complain(&format!(
            "warning: a message's file isn't there: {}",
            path.display()
        ));
    }
    let import = Import {
        maildir,
        user,
        into,
        partition: settings.default_partition.clone(),
        message_size: settings.message_size,
    };
    let mut answer = Answer::default();
    let done = import.carry_out(&mut writer, &store, &mut |lines| {
        // Where nobody reads what it says, it is done nevertheless.
        lines.lines().for_each(|line| drop(answer.take(line)));
    });
    drop(writer);
    let shown = answer.show(Format { json: false });
    match (done, shown) {
        (Err(why), Err(before)) => {
            crate::complain(&before);
            Err(why)
        }
        (done, shown) => done.and(shown),
    }
}
