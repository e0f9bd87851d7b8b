//! The whole murder in simulation: two frontends, two backends that are its members and the master, all of it the real
//! code, on a virtual network that fails on purpose; processes die and come back in the directory that they left.
//!
//! `SEED=n` runs one seed, `SEEDS=n` so many from the first, `VERBOSE=1` prints the trace. See README.md beside this
//! file.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "tests end where something is not as it should be"
)]

mod book;
mod chaos;
mod client;
#[path = "../simulation/dice.rs"]
mod dice;
#[expect(dead_code, reason = "the other simulation has peers that wait")]
#[path = "../simulation/leg.rs"]
mod leg;
mod mail;
mod names;
mod others;
mod parts;
mod run;
mod script;
#[path = "../simulation/seeds.rs"]
mod seeds;
mod site;
mod verdict;

#[test]
fn the_murder_keeps_mail_and_names_whatever_dies() {
    // No disk refuses a job here, and files go to sockets by pipes on real ones alone.
    let without = ["pool: queue full", "kernel: pipe refused"];
    seeds::all("murder", 40, &without, &run::seed);
}

#[test]
fn a_seed_run_twice_gives_the_same_trace() {
    for seed in [1, 2, 3] {
        seeds::twice(seed, &run::seed);
    }
}
