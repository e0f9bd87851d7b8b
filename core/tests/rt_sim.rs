//! The simulation itself: the same seed gives the same run, faults happen, leaks are found, and the
//! real relay moves every byte over it.

#![expect(
    clippy::unwrap_used,
    reason = "tests end where something is not as it should be"
)]

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    time::Duration,
};

use ravenry_core::rt::{
    self, Address, Listener, Pool, PoolError, ShardConfig, Stream, channel,
    sim::{self, Fault, Faults, Outcome, Settings, World},
};

const SECOND: Duration = Duration::from_secs(1);

fn settings(seed: u64, faults: Faults) -> Settings {
    Settings {
        seed,
        faults,
        verbose: false,
        within: 3600 * SECOND,
    }
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn byte(at: u64) -> u8 {
    (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// Accepts, also where descriptors are short for a moment.
async fn accept(listener: &Listener) -> Stream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(_) => rt::sleep(SECOND).await,
        }
    }
}

/// A source that sends `size` bytes, a relay on a shard of its own, and a sink that checks them.
async fn relayed(world: World, size: u64, relays: u64) {
    let (from, to) = (address("10.0.0.2:1"), address("10.0.0.3:1"));
    let (sources, sinks) = (Listener::bind(&from).unwrap(), Listener::bind(&to).unwrap());
    rt::spawn(async move {
        loop {
            let source = accept(&sources).await;
            rt::spawn(async move {
                let bytes: Vec<u8> = (0..size).map(byte).collect();
                let _ = source.write_all(&bytes).await;
                let _ = source.read(&mut [0]).await;
            });
        }
    });
    let config = ShardConfig {
        pipes_max: 2,
        ..ShardConfig::default()
    };
    let handle = rt::start_shard(config, move || async move {
        for _ in 0..relays {
            let (from, to) = (from.clone(), to.clone());
            rt::spawn(async move {
                let from = Stream::connect(&from, 10 * SECOND).await;
                let to = Stream::connect(&to, 10 * SECOND).await;
                if let (Ok(from), Ok(to)) = (from, to) {
                    let _ = rt::relay_exact(&from, &to, size, 30 * SECOND).await;
                }
            });
        }
    })
    .unwrap();
    let whole = Rc::new(Cell::new(0));
    let counted = Rc::clone(&whole);
    rt::spawn(async move {
        loop {
            let sink = accept(&sinks).await;
            let counted = Rc::clone(&counted);
            rt::spawn(async move {
                let (mut at, mut buffer) = (0, vec![0; 70_000]);
                while let Ok(count @ 1..) = sink.read(&mut buffer).await {
                    for got in &buffer[..count] {
                        assert_eq!(*got, byte(at), "byte {at}");
                        at += 1;
                    }
                }
                assert!(at <= size);
                counted.set(counted.get() + u64::from(at == size));
            });
        }
    });
    while !handle.is_finished() {
        rt::sleep(SECOND).await;
    }
    rt::sleep(10 * SECOND).await;
    let stats = handle.stats();
    let moved = stats.bytes_copied.value() + stats.bytes_spliced.value();
    assert!(moved >= size * whole.get());
    world.add("spliced", stats.bytes_spliced.value());
    world.add("copied", stats.bytes_copied.value());
}

fn check(outcome: &Outcome) {
    assert!(outcome.failures.is_empty(), "{:#?}", outcome.failures);
}

/// What makes a run hard without ending connections.
fn rough() -> Faults {
    let kinds = Fault::ALL.iter().filter(|fault| !fault.is_fatal());
    kinds.fold(Faults::none(), |faults, fault| faults.with(*fault, 1000))
}

#[test]
fn relays_lose_no_byte_and_the_same_seed_gives_the_same_run() {
    let mut moved = (0, 0);
    for seed in 0..20 {
        let run = || sim::run(settings(seed, rough()), |world| relayed(world, 300_099, 5));
        let (first, second) = (run(), run());
        check(&first);
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_eq!(first.faults, second.faults);
        moved.0 += first.faults["spliced"];
        moved.1 += first.faults["copied"];
    }
    assert!(moved.0 > 0 && moved.1 > 0, "{moved:?}");
}

#[test]
fn other_seeds_give_other_runs_and_connections_die() {
    let mut hashes = std::collections::BTreeSet::new();
    let mut deaths = 0;
    for seed in 0..40 {
        let faults = [
            Fault::Reset,
            Fault::Closed,
            Fault::Silence,
            Fault::Refused,
            Fault::ConnectHangs,
        ];
        let faults = faults
            .iter()
            .fold(rough(), |faults, fault| faults.with(*fault, 500));
        let outcome = sim::run(settings(seed, faults), |world| relayed(world, 200_000, 4));
        check(&outcome);
        hashes.insert(outcome.hash);
        let fatal = Fault::ALL.iter().filter(|fault| fault.is_fatal());
        deaths += fatal.map(|fault| outcome.faults[fault.name()]).sum::<u64>();
    }
    assert_eq!(hashes.len(), 40);
    assert!(deaths > 20, "{deaths}");
}

#[test]
fn time_jumps_and_a_century_is_nothing() {
    let began = std::time::SystemTime::UNIX_EPOCH;
    let outcome = sim::run(settings(1, Faults::none()), |world| async move {
        let (then, day) = (rt::now(), rt::wall_clock());
        rt::sleep(3000 * SECOND).await;
        assert!(rt::now() - then >= 3000 * SECOND && rt::now() - then < 3001 * SECOND);
        assert!(rt::wall_clock().duration_since(day).unwrap() >= 3000 * SECOND);
        assert!(world.elapsed() >= 3000 * SECOND);
        assert!(rt::wall_clock() > began);
    });
    check(&outcome);
}

#[test]
fn pools_and_channels_work_between_shards() {
    let outcome = sim::run(settings(5, Faults::none()), |_| async {
        let pool = Pool::new("p", 1, 1).unwrap();
        let (sender, mut receiver) = channel::channel(4);
        let other = pool.clone();
        let handle = rt::start_shard(ShardConfig::default(), move || async move {
            let answer = other.run(|| 41 + 1).await;
            sender.try_send(answer).unwrap();
            rt::draining().await;
        })
        .unwrap();
        assert_eq!(receiver.recv().await, Some(Ok(42)));
        let full = Rc::new(RefCell::new(Vec::new()));
        for _ in 0..5 {
            let (pool, full) = (pool.clone(), Rc::clone(&full));
            rt::spawn(async move {
                let result = pool.run(|| ()).await;
                full.borrow_mut().push(result);
            });
        }
        rt::sleep(SECOND).await;
        assert!(full.borrow().contains(&Err(PoolError::Full)));
        assert!(full.borrow().contains(&Ok(())));
        handle.drain(SECOND);
        while !handle.is_finished() {
            rt::sleep(SECOND).await;
        }
        handle.join().unwrap();
    });
    check(&outcome);
}

#[test]
fn what_is_left_behind_is_found() {
    let fails = |outcome: Outcome, what: &str| {
        let found = outcome
            .failures
            .iter()
            .any(|failure| failure.contains(what));
        assert!(found, "{what}: {:?}", outcome.failures);
    };
    let hangs = sim::run(settings(1, Faults::none()), |_| std::future::pending());
    fails(hangs, "everybody waits");
    let late = sim::run(settings(1, Faults::none()), |_| rt::sleep(7200 * SECOND));
    fails(late, "no end within");
    let runs_on = sim::run(settings(1, Faults::none()), |_| async {
        let shard = rt::start_shard(ShardConfig::default(), || rt::sleep(60 * SECOND));
        drop(shard);
        rt::sleep(SECOND).await;
    });
    fails(runs_on, "shard 1 runs on");
    let forgotten = sim::run(settings(1, Faults::none()), |_| async {
        let listener = Listener::bind(&address("10.0.0.1:1")).unwrap();
        Box::leak(Box::new(listener));
    });
    fails(forgotten, "1 sockets are left");
    let panicked = sim::run(settings(1, Faults::none()), |_| async { panic!("no") });
    fails(panicked, "panic: no");
}

#[test]
fn connections_that_are_not_made_say_why() {
    let connect = async || Stream::connect(&address("10.0.0.1:7"), 5 * SECOND).await;
    let nobody = sim::run(settings(1, Faults::none()), move |_| async move {
        let error = connect().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
    check(&nobody);
    let hangs = Faults::none().with(Fault::ConnectHangs, 10_000);
    let hangs = sim::run(settings(1, hangs), move |world| async move {
        let _listener = Listener::bind(&address("10.0.0.1:7")).unwrap();
        let error = connect().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(world.elapsed() >= 5 * SECOND);
    });
    check(&hangs);
}

#[test]
fn a_process_dies_with_all_it_has_and_others_live() {
    for seed in 1..20 {
        let outcome = sim::run(settings(seed, Faults::none()), |world| async move {
            let (here, there) = (address("10.0.0.2:1"), address("10.0.0.3:1"));
            let serve = |at: Address| {
                let jobs = Pool::new("jobs", 1, 8).unwrap();
                let serve = move || async move {
                    let listener = Listener::bind(&at).unwrap();
                    loop {
                        let client = accept(&listener).await;
                        let jobs = jobs.clone();
                        rt::spawn(async move {
                            jobs.run(|| ()).await.unwrap();
                            client.write_all(b"done").await.unwrap();
                            rt::sleep(1000 * SECOND).await;
                        });
                    }
                };
                rt::start_shard(ShardConfig::default(), serve).unwrap()
            };
            let (one, other) = (world.process(), world.process());
            let dies = one.within(|| serve(here.clone()));
            let lives = other.within(|| serve(there.clone()));
            let victim = Stream::connect(&here, SECOND).await.unwrap();
            let witness = Stream::connect(&there, SECOND).await.unwrap();
            rt::sleep(Duration::from_micros(rt::random::u64() % 40_000)).await;
            let seen = Rc::new(Cell::new(false));
            let post = Rc::clone(&seen);
            one.kill(move || post.set(true));
            rt::sleep(SECOND).await;
            assert!(seen.get() && dies.is_finished() && !lives.is_finished());
            let mut bytes = Vec::new();
            while let Ok(1..) = victim.read_into(&mut bytes, 8).await {}
            assert!(bytes.is_empty() || bytes == b"done");
            world.add(
                if bytes.is_empty() {
                    "silent"
                } else {
                    "answered"
                },
                1,
            );
            assert!(Stream::connect(&here, SECOND).await.is_err());
            bytes.clear();
            while bytes.len() < 4 {
                assert_ne!(witness.read_into(&mut bytes, 8).await.unwrap(), 0);
            }
            // It comes back where it was.
            let back = world.process();
            let again = back.within(|| serve(here.clone()));
            rt::sleep(SECOND).await;
            let victim = Stream::connect(&here, SECOND).await.unwrap();
            bytes.clear();
            while bytes.len() < 4 {
                assert_ne!(victim.read_into(&mut bytes, 8).await.unwrap(), 0);
            }
            for process in [back, other] {
                process.kill(|| ());
            }
            rt::sleep(SECOND).await;
            assert!(again.is_finished() && lives.is_finished());
        });
        assert_eq!(outcome.failures, Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn what_is_sent_while_a_link_is_cut_arrives_afterwards() {
    let outcome = sim::run(settings(5, Faults::none()), |world| async move {
        let at = address("10.0.0.2:1");
        let listener = Listener::bind(&at).unwrap();
        let client = Stream::connect(&at, SECOND).await.unwrap();
        let server = accept(&listener).await;
        world.cut(&at, 30 * SECOND);
        client.write_all(b"hello").await.unwrap();
        let mut bytes = Vec::new();
        let soon = rt::timeout(29 * SECOND, server.read_into(&mut bytes, 8));
        assert!(soon.await.is_err());
        assert!(Stream::connect(&at, SECOND / 2).await.is_err());
        assert_eq!(server.read_into(&mut bytes, 8).await.unwrap(), 5);
    });
    assert_eq!(outcome.failures, Vec::<String>::new());
}
