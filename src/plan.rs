//! Which shard runs on which CPU, and what that needs of the host.

use ravenry_core::config::Config;
use ravenry_core::limits;
use ravenry_core::rt::{self, ShardConfig, check};

/// From this many CPUs on the mupdate core has one to itself.
const CPUS_FOR_A_CORE_ALONE: usize = 4;
/// Descriptors a shard needs at the least: ring, listeners, pipes, a few hundred sessions.
const DESCRIPTORS_A_SHARD: u64 = 1024;

/// The threads to start.
pub(crate) struct Plan {
    /// The mupdate core.
    pub(crate) core: ShardConfig,
    /// Whether no shard shares its CPU.
    pub(crate) core_alone: bool,
    /// The shards that serve sessions.
    pub(crate) shards: Vec<ShardConfig>,
}

impl Plan {
    pub(crate) fn new(config: &Config) -> Self {
        let cpus = rt::cpus();
        let kept = usize::from(cpus.len() >= CPUS_FOR_A_CORE_ALONE);
        let count = match config.shards {
            0 => cpus.len().saturating_sub(kept).max(1),
            count => count,
        };
        let serves = config.proxy.is_some() || config.backend.is_some();
        let count = if serves { count } else { 0 };
        let pipes = match (&config.proxy, &config.backend) {
            (Some(proxy), _) => proxy.upstream.pipes,
            (None, Some(_)) => usize::try_from(limits::PIPES_DEFAULT).unwrap_or(usize::MAX),
            (None, None) => 0,
        };
        let shard = |number: usize| ShardConfig {
            name: format!("shard-{number}"),
            cpu: cpus.get(number % cpus.len().max(1)).copied(),
            pipes_max: pipes.div_ceil(count.max(1)),
            ..ShardConfig::default()
        };
        Self {
            core: ShardConfig {
                name: "mupdate".to_owned(),
                cpu: cpus.last().copied(),
                pipes_max: 0,
                ..ShardConfig::default()
            },
            core_alone: count < cpus.len(),
            shards: (0..count).map(shard).collect(),
        }
    }

    /// Looks whether the host allows it; gives advice where it could be better.
    pub(crate) fn check_host(&self) -> Result<Vec<String>, String> {
        let shards = self.shards.len() + 1;
        let descriptors = DESCRIPTORS_A_SHARD * shards as u64;
        let report = check::host(shards, descriptors).map_err(|error| error.to_string())?;
        Ok(report.advice)
    }
}
