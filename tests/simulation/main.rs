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
mod hostile;
mod ledger;
mod leg;
mod master;
mod messages;
mod mover;
mod others;
mod run;
mod script;
mod seeds;
mod site;
mod verdict;
mod view;

use run::Play;

#[test]
fn the_frontend_keeps_its_word_whatever_fails() {
    seeds::all("everyday", 100, &[], &|seed, verbose| {
        run::seed(Play::Everyday, seed, verbose)
    });
}

#[test]
fn messages_keep_a_place_whatever_fails() {
    seeds::all("moves", 1000, &[], &|seed, verbose| {
        run::seed(Play::Moves, seed, verbose)
    });
}

#[test]
fn a_seed_run_twice_gives_the_same_trace() {
    for seed in [1, 2, 3, 5, 8] {
        for play in [Play::Everyday, Play::Moves] {
            seeds::twice(seed, &move |seed, verbose| run::seed(play, seed, verbose));
        }
    }
}
