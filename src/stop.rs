//! The end: the shards drain, told once; told twice, all ends at once.

use std::time::Duration;

use ravenry_core::rt::signals::{self, Signal};
use ravenry_core::rt::{self, ShardHandle};

/// How often it is looked whether all have ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often the log says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// What a shard may take to drop its tasks and its ring once its time is over.
pub(crate) const SLACK: Duration = Duration::from_secs(5);

/// Drains shards for `grace` at most, and waits for their end; `open` says how many connections are
/// left. A shard that doesn't end is left behind: the process ends without it.
pub(crate) fn end(shards: Vec<ShardHandle>, grace: Duration, open: impl Fn() -> u64) {
    shards.iter().for_each(|shard| shard.drain(grace));
    let mut deadline = rt::now() + grace + SLACK;
    let mut say = rt::now() + SAY_EVERY;
    while !shards.iter().all(ShardHandle::is_finished) {
        if signals::wait(LOOK_EVERY) == Some(Signal::Terminate) {
            tracing::warn!(connections = open(), "told again: ending at once");
            shards.iter().for_each(|shard| shard.drain(Duration::ZERO));
            deadline = deadline.min(rt::now() + SLACK);
        }
        let now = rt::now();
        if now >= deadline {
            tracing::error!("a shard doesn't end: the process ends without it");
            return;
        }
        if now >= say {
            tracing::info!(connections = open(), "stopping");
            say = now + SAY_EVERY;
        }
    }
    for shard in shards {
        if let Err(error) = shard.join() {
            tracing::error!("{error}");
        }
    }
}
