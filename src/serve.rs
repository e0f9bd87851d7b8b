//! `ravenry serve`: one server (`instance`), from configuration to its end, with the log and the signals of its process.
//! SIGTERM and SIGINT end it.

use std::sync::Arc;
use std::time::Duration;

use ravenry_core::config::Config;
use ravenry_core::log::{self, LogGuard};
use ravenry_core::rt::signals::{self, Signal};

use crate::instance::Instance;
use crate::notify::Notify;
use crate::plan::Plan;
use crate::reload::Reloaded;
use crate::{backend, frontend, mupdate};

/// How often the main thread looks whether all parts still run, and who has asked for a reload.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What SIGHUP means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hangup {
    /// A server reads again what can be read again.
    Reloads,
    /// Who sat before it has gone.
    Ends,
}

/// `serve` failed.
pub(crate) enum Failed {
    /// Nobody has been told why yet.
    Unsaid(String),
    /// The log has it.
    Said,
}

/// Looks at the configuration and the host.
pub(crate) fn check(config: &Config) -> Result<(), String> {
    let plan = Plan::new(config);
    let advice = plan.check_host()?;
    Reloaded::open(config)?;
    let shards = plan.shards.len();
    let roles = [
        mupdate::check(config)?,
        frontend::check(config, shards)?,
        backend::check(config, shards),
    ];
    for warning in config.warnings().iter().chain(&advice) {
        crate::complain(&format!("warning: {warning}"));
    }
    let roles: Vec<String> = roles.into_iter().flatten().collect();
    crate::answer(&format!("ok: {}", roles.join("; ")));
    Ok(())
}

/// Runs until told to end. An error is in the log, if there was one by then.
pub(crate) fn serve(config: &Config) -> Result<(), Failed> {
    signals::block();
    let guard = log::init(config.log.format, config.log.level);
    let guard = guard.map_err(|error| Failed::Unsaid(error.to_string()))?;
    // It stays until the last line is in it.
    let guard = Arc::new(guard);
    run(config, Arc::clone(&guard)).map_err(|why| {
        tracing::error!("{why}");
        Failed::Said
    })
}

fn run(config: &Config, guard: Arc<LogGuard>) -> Result<(), String> {
    let notify = Notify::from_environment();
    let mut instance = Instance::start(config, None, guard)?;
    notify.ready();
    let outcome = until_told(std::slice::from_mut(&mut instance), Hangup::Reloads);
    notify.stopping(instance.ends_within());
    instance.end();
    outcome
}

/// Waits until the process is told to end, or a part of it has died: half a frontend is worse
/// than none, and whoever supervises this process starts a whole one. Whoever asks reloads, and so does SIGHUP,
/// where it isn't that the terminal has gone.
pub(crate) fn until_told(instances: &mut [Instance], hangup: Hangup) -> Result<(), String> {
    loop {
        match signals::wait(LOOK_EVERY) {
            Some(Signal::Terminate) => return Ok(()),
            Some(Signal::Hangup) if hangup == Hangup::Ends => return Ok(()),
            Some(Signal::Hangup) => instances.iter_mut().for_each(Instance::reload),
            None => {}
        }
        instances
            .iter_mut()
            .for_each(Instance::reload_for_who_asked);
        if let Some(died) = instances.iter().find(|instance| instance.has_died()) {
            let whose = died
                .label()
                .map_or_else(String::new, |label| format!(" of {label}"));
            return Err(format!(
                "a shard or the mupdate core{whose} has ended; see the log"
            ));
        }
    }
}
