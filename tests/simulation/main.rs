//! The frontend in simulation: the real shards, sessions, follower and mailbox list, against peers
//! written for it, on a virtual network that fails on purpose. One seed is one run.
//!
//! `SEED=n` runs one seed, `SEEDS=n` so many from the first, `VERBOSE=1` prints the trace of a seed
//! that fails (or of SEED). See README.md beside this file.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "tests end where something is not as it should be"
)]

mod backend;
mod check;
mod client;
mod commands;
mod dice;
mod frontend;
mod leg;
mod master;
mod run;
mod script;
mod site;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use ravenry_core::rt::sim::Outcome;

/// Seeds where nothing is asked for: what `./dev test` has time for.
const SEEDS_DEFAULT: u64 = 100;
/// Below this many seeds a kind of fault may not come up.
const SEEDS_FOR_ALL_FAULTS: u64 = 100;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

fn verbose() -> bool {
    std::env::var_os("VERBOSE").is_some()
}

#[test]
fn the_frontend_keeps_its_word_whatever_fails() {
    if let Some(seed) = number("SEED") {
        let outcome = run::seed(seed, verbose());
        tell(seed, &outcome);
        assert!(outcome.failures.is_empty(), "seed {seed} fails");
        return;
    }
    let seeds = number("SEEDS").unwrap_or(SEEDS_DEFAULT);
    let (next, workers) = (AtomicU64::new(0), thread::available_parallelism());
    let outcomes = thread::scope(|scope| {
        let work = || {
            let mut done = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds {
                    return done;
                }
                let outcome = run::seed(seed, false);
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
        done.flatten().collect::<BTreeMap<u64, Outcome>>()
    });
    let failed: Vec<u64> = outcomes
        .iter()
        .filter(|(_, outcome)| !outcome.failures.is_empty())
        .map(|(seed, _)| *seed)
        .collect();
    if let Some(seed) = failed.first() {
        tell(*seed, &outcomes[seed]);
    }
    assert!(
        failed.is_empty(),
        "seeds that fail: {failed:?}; SEED=n VERBOSE=1 shows one"
    );
    let never = sum(&outcomes);
    assert!(
        never.is_empty() || seeds < SEEDS_FOR_ALL_FAULTS,
        "never in {seeds} seeds: {never:?}"
    );
}

#[test]
fn a_seed_run_twice_gives_the_same_trace() {
    for seed in [1, 2, 3, 5, 8] {
        let (first, second) = (run::seed(seed, true), run::seed(seed, true));
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
}

fn tell(seed: u64, outcome: &Outcome) {
    for line in &outcome.trace {
        println!("{line}");
    }
    println!(
        "seed {seed}: hash {:016x}, {} turns, {:?}",
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
fn sum(outcomes: &BTreeMap<u64, Outcome>) -> Vec<&'static str> {
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
        "{} seeds, {turns} turns, {elapsed:.0} virtual seconds",
        outcomes.len()
    );
    for (what, times) in &sums {
        println!("{times:8} {what}");
    }
    let never = sums.iter().filter(|(_, times)| **times == 0);
    never.map(|(what, _)| *what).collect()
}
