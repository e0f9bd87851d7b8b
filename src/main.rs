//! The composition root: command line, configuration, start the roles.

mod backend;
mod ctl;
mod demo;
mod frontend;
mod import;
mod instance;
mod mupdate;
mod notify;
mod password;
mod plan;
mod reload;
mod serve;
mod shards;
mod stats;
mod stop;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ravenry_core::config::{self, Config};
use serve::Failed;

/// An IMAP aggregator: one server to its clients, many backends behind it.
#[derive(Parser)]
#[command(name = "ravenry", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the roles that the configuration names, until SIGTERM or SIGINT
    Serve(At),
    /// Read the configuration and look at the host, and say what is wrong
    Check(At),
    /// Ask a running ravenry
    Ctl {
        #[command(flatten)]
        at: At,
        #[command(subcommand)]
        question: ctl::Question,
    },
    /// What is done to a backend's store, whether its server runs or not
    Backend {
        #[command(flatten)]
        at: At,
        #[command(subcommand)]
        what: import::Backend,
    },
    /// Run a murder in this process: a master, two backends and a frontend on loopback, with users and mail
    ///
    /// It prints what to type, and runs until Ctrl-C. It needs no configuration, and leaves nothing behind.
    Demo(demo::Options),
    /// Read a password from standard input and print its ARGON2ID hash, for the passwd file
    HashPassword,
}

#[derive(clap::Args)]
struct At {
    /// The configuration file
    #[arg(
        long,
        short,
        global = true,
        value_name = "FILE",
        default_value = "/etc/ravenry/ravenry.toml"
    )]
    config: PathBuf,
}

impl At {
    fn load(&self) -> Result<Config, String> {
        config::load(&self.config).map_err(|error| error.to_string())
    }
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve(at) => match at.load().map(|config| serve::serve(&config)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Failed::Said)) => return ExitCode::FAILURE,
            Ok(Err(Failed::Unsaid(why))) | Err(why) => Err(why),
        },
        Command::Check(at) => at.load().and_then(|config| serve::check(&config)),
        Command::Ctl { at, question } => at.load().and_then(|config| ctl::ask(&config, question)),
        Command::Backend { at, what } => at
            .load()
            .and_then(|config| import::carry_out(&config, what)),
        Command::Demo(options) => match demo::run(&options) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(why) => Err(why),
        },
        Command::HashPassword => password::hash(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(&why);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the command line's own voice")]
fn complain(why: &str) {
    eprintln!("ravenry: {why}");
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn answer(text: &str) {
    println!("{}", text.trim_end_matches('\n'));
}
