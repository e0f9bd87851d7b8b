//! `ravenry serve` with its sessions on glommio: the composition root's own files, and the shards of a
//! frontend on another executor. The mupdate core stays on the runtime that is shipped.

#[path = "../../../src/ctl/mod.rs"]
#[expect(dead_code, reason = "it serves, and isn't asked")]
mod ctl;
#[path = "../../../src/frontend.rs"]
mod frontend;
mod glommio;
#[path = "../../../src/mupdate.rs"]
mod mupdate;
#[path = "../../../src/notify.rs"]
mod notify;
#[path = "../../../src/plan.rs"]
mod plan;
#[path = "../../../src/reload.rs"]
mod reload;
#[path = "../../../src/serve.rs"]
mod serve;
#[path = "../../../src/stats.rs"]
mod stats;
#[path = "../../../src/stop.rs"]
mod stop;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ravenry_core::config;
use ravenry_core::rt::foreign;
use serve::Failed;

/// Ravenry, its sessions on glommio: for measurements alone.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// As `ravenry serve`
    Serve {
        #[arg(long)]
        config: PathBuf,
    },
    /// As `ravenry check`
    Check {
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    foreign::install(&glommio::Glommio);
    let done = match Arguments::parse().command {
        Command::Serve { config } => load(config).and_then(|config| match serve::serve(&config) {
            Err(Failed::Unsaid(why)) => Err(why),
            Err(Failed::Said) => Err("see the log".to_owned()),
            Ok(()) => Ok(()),
        }),
        Command::Check { config } => load(config).and_then(|config| serve::check(&config)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(&why);
            ExitCode::FAILURE
        }
    }
}

fn load(file: PathBuf) -> Result<config::Config, String> {
    config::load(&file).map_err(|error| error.to_string())
}

fn complain(why: &str) {
    eprintln!("ravenry-glommio: {why}");
}

fn answer(text: &str) {
    println!("{}", text.trim_end());
}
