//! The command line: what load, to whom, and where the report goes.

use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use ravenry_core::rt::{self, Address, ShardConfig};
use ravenry_loadgen::idle::{Idle, hold};
use ravenry_loadgen::message::message;
use ravenry_loadgen::pace::{Pace, Work, drive};
use ravenry_loadgen::report::{self, Watched};
use ravenry_loadgen::scenario::{Append, Fetch, Trip, Visit};
use ravenry_loadgen::{Fault, Target};
use serde_json::json;

/// Between warm-up and measurement: what the warm-up left behind comes to rest.
const REST: Duration = Duration::from_millis(200);

/// Open-loop load for IMAP servers. Every answer is checked; latency counts from the moment at which
/// a command should have been sent.
#[derive(Parser)]
#[command(name = "ravenry-loadgen", version, arg_required_else_help = true)]
struct Arguments {
    /// The server: 192.0.2.1:143, [2001:db8::1]:143 or the path of a unix socket
    #[arg(long)]
    to: Address,
    /// The users' name; % in it is the user's number, 0001 and so on
    #[arg(long, default_value = "u%")]
    user: String,
    /// How many users there are; sessions are dealt out among them
    #[arg(long, default_value_t = 1)]
    users: u32,
    /// Their password; % is the number here, too
    #[arg(long)]
    password: String,
    /// The mailbox that is worked in
    #[arg(long, default_value = "INBOX")]
    mailbox: String,
    /// How long an answer may take, in seconds
    #[arg(long, default_value_t = 60)]
    within: u64,
    /// Write PREFIX.json and PREFIX.hgrm (otherwise JSON goes to standard output)
    #[arg(long, value_name = "PREFIX")]
    out: Option<PathBuf>,
    /// A file whose contents, before and after what is measured, go into the report: a cgroup's cpu.stat
    #[arg(long, value_name = "FILE")]
    watch: Vec<PathBuf>,
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// Commands of 64 bytes in a selected mailbox
    Trips(Load),
    /// FETCH of a body
    Fetch(Bodies),
    /// APPEND of a message
    Append(Bodies),
    /// Whole sessions: connect, LOGIN, SELECT, LOGOUT
    Visits(Load),
    /// Sessions that have worked and then wait; says `holding N` on standard output at each stage
    Idle(Waiting),
}

#[derive(Args, Clone, Copy)]
struct Load {
    /// Sessions side by side
    #[arg(long, default_value_t = 1)]
    sessions: u32,
    /// How long operations are begun, in seconds
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// The same before, unmeasured
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// Operations a second, of all sessions together. Without it each session begins its next one
    /// when the last has ended (a closed loop: for CPU time at saturation, not for latencies)
    #[arg(long)]
    rate: Option<f64>,
}

#[derive(Args, Clone, Copy)]
struct Bodies {
    #[command(flatten)]
    load: Load,
    /// Bytes of the body
    #[arg(long, default_value_t = 1 << 20)]
    size: usize,
}

#[derive(Args, Clone)]
struct Waiting {
    /// How many sessions there are at each stage
    #[arg(long, value_delimiter = ',', default_value = "500,1000")]
    stages: Vec<u32>,
    /// How long each stage is held, in seconds
    #[arg(long, default_value_t = 5.0)]
    hold: f64,
    /// Bytes of the message that each session appends and fetches
    #[arg(long, default_value_t = 1 << 20)]
    size: usize,
    /// How many sessions begin at a time
    #[arg(long, default_value_t = 8)]
    at_once: u32,
    /// LOGIN, LIST, SELECT alone, without a message
    #[arg(long)]
    no_append: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = rt::block_on(ShardConfig::default(), run(arguments));
    match done.map_err(|error| error.to_string()).flatten() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            progress(&why);
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let target = Rc::new(Target {
        address: arguments.to.clone(),
        user: arguments.user.clone(),
        users: arguments.users,
        password: arguments.password.clone(),
        within: Duration::from_secs(arguments.within),
    });
    let mailbox = arguments.mailbox.as_str();
    let told = |fault: Fault| format!("a session can't begin: {fault}");
    match &arguments.scenario {
        Scenario::Trips(load) => {
            let mut workers = Vec::new();
            for number in 0..load.sessions {
                workers.push(Trip::begin(&target, number, mailbox).await.map_err(told)?);
            }
            measure(&arguments, "trips", *load, 0, workers).await
        }
        Scenario::Fetch(Bodies { load, size }) => {
            let (body, mut workers) = (message("body", *size), Vec::new());
            for number in 0..load.sessions {
                let fetch = Fetch::begin(&target, number, mailbox, &body).await;
                workers.push(fetch.map_err(told)?);
            }
            measure(&arguments, "fetch", *load, *size, workers).await
        }
        Scenario::Append(Bodies { load, size }) => {
            let (body, mut workers) = (message("body", *size), Vec::new());
            for number in 0..load.sessions {
                let append = Append::begin(&target, number, mailbox, &body).await;
                workers.push(append.map_err(told)?);
            }
            measure(&arguments, "append", *load, *size, workers).await
        }
        Scenario::Visits(load) => {
            let visit = |number| Visit::new(&target, number, mailbox);
            let workers = (0..load.sessions).map(visit).collect();
            measure(&arguments, "visits", *load, 0, workers).await
        }
        Scenario::Idle(waiting) => {
            let idle = Rc::new(Idle {
                stages: waiting.stages.clone(),
                hold: Duration::from_secs_f64(waiting.hold),
                mailbox: mailbox.to_owned(),
                size: waiting.size,
                at_once: waiting.at_once,
                append: !waiting.no_append,
            });
            let held = hold(&target, &idle, |stage| answer(&format!("holding {stage}"))).await;
            held.map_err(|fault| fault.to_string())
        }
    }
}

/// Warms up, measures, reports.
async fn measure<W: Work + 'static>(
    arguments: &Arguments,
    scenario: &str,
    load: Load,
    size: usize,
    workers: Vec<W>,
) -> Result<(), String> {
    let pace = |seconds| Pace {
        rate: load.rate,
        time: Duration::from_secs_f64(seconds),
    };
    progress(&format!(
        "{} sessions, warming up for {} s",
        load.sessions, load.warmup
    ));
    let (workers, warmed) = drive(workers, pace(load.warmup)).await;
    if !warmed.is_good() {
        return Err(format!(
            "failed while warming up: {}",
            warmed.failures.join("; ")
        ));
    }
    rt::sleep(REST).await;
    progress(&format!("measuring for {} s", load.seconds));
    let told = |error: std::io::Error| error.to_string();
    let mut watched = Watched::begin(&arguments.watch).map_err(told)?;
    let (workers, record) = drive(workers, pace(load.seconds)).await;
    watched.end().map_err(told)?;
    for worker in workers {
        worker
            .end()
            .await
            .map_err(|fault| format!("a session doesn't end well: {fault}"))?;
    }
    let parameters = json!({
        "sessions": load.sessions, "rate": load.rate, "seconds": load.seconds, "size": size,
    });
    let report = report::json(scenario, parameters, &record, &watched);
    match &arguments.out {
        Some(prefix) => report::write(prefix, &report, &record).map_err(told)?,
        None => answer(&format!("{report:#}")),
    }
    if record.is_good() {
        return Ok(());
    }
    let (failed, unsent) = (record.failed, record.unsent);
    Err(format!(
        "{failed} failed, {unsent} never sent: {}",
        record.failures.join("; ")
    ))
}

#[expect(clippy::print_stderr, reason = "the command line's own voice")]
fn progress(text: &str) {
    eprintln!("ravenry-loadgen: {text}");
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn answer(text: &str) {
    println!("{text}");
}
