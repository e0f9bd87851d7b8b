//! The seeds of a play: run side by side, the first that fails shown, what came of all of them summed up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use ravenry_core::rt::sim::Outcome;

/// A play: a seed, and whether its trace is kept, to what came of it.
pub(crate) type Run = dyn Fn(u64, bool) -> Outcome + Sync;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

fn verbose() -> bool {
    std::env::var_os("VERBOSE").is_some()
}

/// Runs the seeds that are asked for (`SEED`, `SEEDS`), or as many as there is time for.
/// Faults that can't come are in `without`.
pub(crate) fn all(play: &str, default: u64, without: &[&str], run: &Run) {
    if let Some(seed) = number("SEED") {
        let outcome = run(seed, verbose());
        tell(play, seed, &outcome);
        assert!(outcome.failures.is_empty(), "seed {seed} fails");
        return;
    }
    let seeds = number("SEEDS").unwrap_or(default);
    let outcomes = side_by_side(seeds, run);
    let failed: Vec<u64> = outcomes
        .iter()
        .filter(|(_, outcome)| !outcome.failures.is_empty())
        .map(|(seed, _)| *seed)
        .collect();
    if let Some(seed) = failed.first() {
        tell(play, *seed, &outcomes[seed]);
    }
    assert!(
        failed.is_empty(),
        "seeds that fail: {failed:?}; SEED=n VERBOSE=1 shows one"
    );
    let mut never = sum(play, &outcomes);
    never.retain(|fault| !without.contains(fault));
    assert!(
        never.is_empty() || seeds < default,
        "never in {seeds} seeds: {never:?}"
    );
}

fn side_by_side(seeds: u64, run: &Run) -> BTreeMap<u64, Outcome> {
    let (next, workers) = (AtomicU64::new(0), thread::available_parallelism());
    thread::scope(|scope| {
        let work = || {
            let mut done = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds {
                    return done;
                }
                let outcome = run(seed, false);
                if !outcome.failures.is_empty() {
                    next.store(seeds, Ordering::Relaxed);
                }
                done.push((seed, outcome));
            }
        };
        let workers: Vec<_> = (0..workers.map_or(1, usize::from))
            .map(|_| scope.spawn(work))
            .collect();
        let done = workers.into_iter().map(|worker| worker.join().unwrap());
        done.flatten().collect()
    })
}

/// Runs a seed twice: the same trace has to come of it.
pub(crate) fn twice(seed: u64, run: &Run) {
    let (first, second) = (run(seed, true), run(seed, true));
    let mut lines = first.trace.iter().zip(&second.trace).enumerate();
    if let Some((number, (one, other))) = lines.find(|(_, (one, other))| one != other) {
        let before = first.trace[..number].iter().rev().take(20).rev();
        let before: Vec<_> = before.map(String::as_str).collect();
        panic!(
            "seed {seed}, line {number}: {one} or {other} after\n{}",
            before.join("\n")
        );
    }
    assert_eq!(first.hash, second.hash, "seed {seed}");
    assert_eq!(first.turns, second.turns);
}

fn tell(play: &str, seed: u64, outcome: &Outcome) {
    for line in &outcome.trace {
        println!("{line}");
    }
    println!(
        "{play}, seed {seed}: hash {:016x}, {} turns, {:?}",
        outcome.hash, outcome.turns, outcome.elapsed
    );
    for (what, times) in &outcome.faults {
        println!("{times:8} {what}");
    }
    for failure in &outcome.failures {
        println!("FAILED: {failure}");
    }
}

/// Prints what went wrong on purpose, and gives the kinds that never did.
fn sum(play: &str, outcomes: &BTreeMap<u64, Outcome>) -> Vec<&'static str> {
    let mut sums = BTreeMap::new();
    for outcome in outcomes.values() {
        for (what, times) in &outcome.faults {
            *sums.entry(*what).or_insert(0) += times;
        }
    }
    let turns: u64 = outcomes.values().map(|outcome| outcome.turns).sum();
    let elapsed: f64 = outcomes
        .values()
        .map(|outcome| outcome.elapsed.as_secs_f64())
        .sum();
    println!(
        "{play}: {} seeds, {turns} turns, {elapsed:.0} virtual seconds",
        outcomes.len()
    );
    for (what, times) in &sums {
        println!("{times:8} {what}");
    }
    let never = sums.iter().filter(|(_, times)| **times == 0);
    never.map(|(what, _)| *what).collect()
}
