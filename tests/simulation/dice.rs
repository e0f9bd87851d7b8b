//! Choices of the peers, from the generator of the shard they run on, which the seed has seeded.

use std::time::Duration;

use ravenry_core::rt;

/// A number below `end`.
pub(crate) fn below(end: u64) -> u64 {
    rt::random::u64() % end.max(1)
}

/// True so many times in a hundred.
pub(crate) fn percent(chance: u64) -> bool {
    below(100) < chance
}

/// One of them.
pub(crate) fn one_of<T: Copy>(choices: &[T]) -> T {
    let index = usize::try_from(below(choices.len() as u64)).expect("small");
    choices[index]
}

/// A time up to `most`.
pub(crate) fn time(most: Duration) -> Duration {
    let micros = u64::try_from(most.as_micros()).expect("short");
    Duration::from_micros(below(micros + 1))
}
