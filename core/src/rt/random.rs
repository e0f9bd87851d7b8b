//! Random numbers that decide nothing about security: jitter, spreading.
//!
//! Each shard has its own generator, which a simulation seeds.

use std::time::Duration;

use super::shard;

/// A random number.
#[must_use]
pub fn u64() -> u64 {
    with(|rng| rng.u64(..))
}

/// A random duration between half of `around` and one and a half of it, so that many who wait
/// do not come back at once.
#[must_use]
pub fn jitter(around: Duration) -> Duration {
    around.mul_f64(0.5 + with(fastrand::Rng::f64))
}

fn with<T>(draw: impl Fn(&mut fastrand::Rng) -> T) -> T {
    shard::try_with(|shard| draw(&mut shard.random.borrow_mut()))
        .unwrap_or_else(|| draw(&mut fastrand::Rng::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_around() {
        let around = Duration::from_secs(2);
        for _ in 0..1000 {
            let jittered = jitter(around);
            assert!(jittered >= around / 2 && jittered <= around * 3 / 2);
        }
    }

    #[test]
    fn numbers_differ() {
        assert_ne!(u64(), u64());
    }
}
