//! Several sessions of the backend against a model, in simulation: the real shards, sessions, committer and store, scripted
//! clients on a virtual network that fails on purpose. One seed is one run.
//!
//! `SEED=n` runs one seed, `SEEDS=n` so many from the first, `VERBOSE=1` prints the trace. See README.md beside this
//! file.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "tests end where something is not as it should be"
)]

mod client;
#[path = "../simulation/dice.rs"]
mod dice;
#[expect(dead_code, reason = "the other simulation has peers that wait")]
#[path = "../simulation/leg.rs"]
mod leg;
mod model;
mod replace;
mod resync;
mod run;
mod script;
#[path = "../simulation/seeds.rs"]
mod seeds;
mod store;
mod view;

#[test]
fn every_session_sees_the_truth() {
    // No disk refuses a job here, and files go to sockets by pipes on real ones alone.
    let without = ["pool: queue full", "kernel: pipe refused"];
    seeds::all("sessions", 1000, &without, &run::seed);
}

#[test]
fn a_seed_run_twice_gives_the_same_trace() {
    for seed in [1, 2, 3, 5, 8] {
        seeds::twice(seed, &run::seed);
    }
}
