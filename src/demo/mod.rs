//! `ravenry demo`: a murder of four servers in one process on loopback, with users and mail in it.
//!
//! A directory (`home`) gets a configuration for each server (`murder`), the servers are started as `ravenry serve` would
//! (`instance`), and mail is put into them by IMAP (`fill`). Then it says what to type (`show`) and runs until Ctrl-C, or a
//! scripted client goes through it (`check`).

mod calendar;
mod certificate;
mod check;
mod dialogue;
mod fill;
mod home;
mod imap;
mod lmtp;
mod mail;
mod murder;
mod ports;
mod show;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ravenry_core::config::{LogFormat, LogLevel};
use ravenry_core::log::{self, LogGuard};
use ravenry_core::rt::{self, signals};

use self::home::Home;
use self::murder::Murder;
use self::ports::Ports;
use crate::instance::Instance;
use crate::serve::{self, Hangup};

/// How long a server may take to find the others.
const FOUND_WITHIN: Duration = Duration::from_secs(15);

/// What can be chosen.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Send a scripted client through it instead, on free ports; ends with `N passed, N failed`
    #[arg(long)]
    check: bool,
    /// Where clients talk IMAP; 0: any port that is free [default: 1143]
    #[arg(long, value_name = "PORT")]
    imap: Option<u16>,
    /// … IMAP with TLS from the first byte [default: 1993]
    #[arg(long, value_name = "PORT")]
    imaps: Option<u16>,
    /// Where mail for alice is delivered [default: 2003]
    #[arg(long, value_name = "PORT")]
    lmtp: Option<u16>,
    /// Where mail for bob is delivered [default: 2004]
    #[arg(long, value_name = "PORT")]
    lmtp_bob: Option<u16>,
    /// Keep everything in this directory, and find it there again the next time
    ///
    /// Otherwise it is a directory of its own under TMPDIR or /tmp that is gone afterwards.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

/// Runs it. `false`: the scripted client found something wrong.
pub(crate) fn run(options: &Options) -> Result<bool, String> {
    let began = rt::now();
    signals::block();
    let ports = Ports::choose(options)?;
    let home = Home::open(options.state_dir.as_deref())?;
    let log = log::init_to(LogFormat::Text, LogLevel::Info, home.log()?);
    let log = Arc::new(log.map_err(|error| error.to_string())?);
    let murder = Murder::write(&home, ports)?;
    let mut instances = Vec::new();
    let outcome = start(&murder, &home, &log, &mut instances).and_then(|()| {
        let took = began.elapsed();
        if options.check {
            return check::run(&murder, &home, took);
        }
        show::ready(&murder, &home, took);
        serve::until_told(&mut instances, Hangup::Ends).map(|()| true)
    });
    end(instances);
    if let Err(why) = &outcome {
        tracing::error!("{why}");
    }
    // The last line is in the log when it is gone.
    drop(log);
    home.leave(outcome)
}

/// Starts the servers, and furnishes them where that hasn't been done.
fn start(
    murder: &Murder,
    home: &Home,
    log: &Arc<LogGuard>,
    instances: &mut Vec<Instance>,
) -> Result<(), String> {
    for server in &murder.servers {
        let config = server.config()?;
        instances.push(Instance::start(
            &config,
            Some(server.label),
            Arc::clone(log),
        )?);
    }
    if !home.is_furnished() {
        fill::furnish(murder, FOUND_WITHIN)?;
        home.furnished()?;
    }
    fill::frontend_knows_all(murder, FOUND_WITHIN)
}

/// Ends them: the frontend first, the master last.
fn end(mut instances: Vec<Instance>) {
    while let Some(instance) = instances.pop() {
        instance.end();
    }
}
