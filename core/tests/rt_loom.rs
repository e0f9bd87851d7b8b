//! Where threads meet without a lock, through every interleaving and every reordering that the
//! memory model allows: `RUSTFLAGS="--cfg loom" cargo test -p ravenry-core --test rt_loom`.
#![cfg(loom)]

#[path = "../src/rt/handshake.rs"]
mod handshake;

/// What `handshake` takes for its atomics here.
mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
}

use atomic::{AtomicBool, Ordering};
use handshake::{Name, Sleeper};
use loom::{sync::Arc, thread};

/// A task that leaves its name and looks again, against one that changes something and then takes
/// the name: the task has seen the change, or its name has been taken. With one sender: with two
/// loom lets both swaps read the first value though the name stands between them, and raises an
/// alarm where C++20 (atomics.order, 4) has a cycle in the order of the fences.
#[test]
fn a_wake_up_is_never_lost() {
    loom::model(|| {
        let changed = Arc::new(AtomicBool::new(false));
        let name = Arc::new(Name::default());
        let sender = {
            let (changed, name) = (Arc::clone(&changed), Arc::clone(&name));
            thread::spawn(move || {
                changed.store(true, Ordering::Relaxed);
                name.take() == Some(7)
            })
        };
        name.leave(7);
        let seen = changed.load(Ordering::Relaxed);
        let woken = sender.join().unwrap();
        assert!(seen || woken, "a change that nobody tells the task of");
    });
}

/// A shard that looks for posts and falls asleep, against threads that post and rouse.
#[test]
fn a_shard_never_sleeps_over_a_post() {
    for posters in 1..3 {
        loom::model(move || {
            let posted = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
            let sleeper = Arc::new(Sleeper(AtomicBool::new(false)));
            let posters: Vec<_> = (0..posters)
                .map(|number| {
                    let (posted, sleeper) = (Arc::clone(&posted), Arc::clone(&sleeper));
                    thread::spawn(move || {
                        posted[number].store(true, Ordering::Relaxed);
                        sleeper.rouse()
                    })
                })
                .collect();
            let nothing = || !posted.iter().any(|p| p.load(Ordering::Relaxed));
            let sleeps = sleeper.fall_asleep(nothing);
            let signals: Vec<bool> = posters.into_iter().map(|p| p.join().unwrap()).collect();
            assert!(
                !sleeps || signals.contains(&true),
                "it sleeps, and nobody wakes it"
            );
        });
    }
}
