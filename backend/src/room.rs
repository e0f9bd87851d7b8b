//! How full the index is: said in the log before it is full, while there is time to raise its ceiling.

use std::time::Duration;

use ravenry_core::rt::{self, Either};

use crate::store::Store;

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Percents at which it is said, each once until it is below it again.
const STEPS: [u64; 5] = [80, 85, 90, 95, 99];

/// Looks after the index until the shard drains.
pub(crate) async fn watch_index(store: Store) {
    let mut said = 0;
    loop {
        match store.index_use() {
            Ok((used, ceiling)) => {
                let step = step(used, ceiling);
                if step > said {
                    tracing::warn!(
                        used,
                        ceiling,
                        "the index is {step} % full: at 100 % no mail is taken; raise [backend] index_size and restart"
                    );
                }
                said = step;
            }
            Err(error) => tracing::warn!("how full the index is can't be seen: {error}"),
        }
        match rt::select(rt::draining(), rt::sleep(LOOK_EVERY)).await {
            Either::Left(()) => return,
            Either::Right(()) => {}
        }
    }
}

/// The highest step that has been reached; 0: none.
fn step(used: u64, ceiling: u64) -> u64 {
    let reached = |step: &u64| u128::from(used) * 100 >= u128::from(ceiling) * u128::from(*step);
    STEPS.into_iter().rfind(reached).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::step;

    #[test]
    fn steps_are_reached_exactly() {
        for (used, ceiling, wanted) in [
            (0, 100, 0),
            (79, 100, 0),
            (80, 100, 80),
            (84, 100, 80),
            (98, 100, 95),
            (150, 100, 99),
            (u64::MAX, u64::MAX, 99),
        ] {
            assert_eq!(step(used, ceiling), wanted, "{used} of {ceiling}");
        }
    }
}
