//! Tasks, wakers, timers, panics, and the end of a shard.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    cell::{Cell, RefCell},
    future::{pending, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    task::{Poll, Waker},
    thread,
    time::Duration,
};

use ravenry_core::rt::{
    self, Either, ShardConfig, block_on, channel, sleep, sleep_until, spawn, start_shard, timeout,
    yield_now,
};

fn run<F: Future>(future: F) -> F::Output {
    block_on(ShardConfig::default(), future).unwrap()
}

fn config(name: &str) -> ShardConfig {
    ShardConfig {
        name: name.into(),
        ..ShardConfig::default()
    }
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

async fn waker() -> Waker {
    poll_fn(|context| Poll::Ready(context.waker().clone())).await
}

#[test]
fn block_on_gives_the_output_and_may_borrow() {
    let text = String::from("borrowed");
    assert_eq!(run(async { text.len() }), 8);
}

#[test]
fn a_shard_in_a_shard_is_refused() {
    run(async {
        let error = block_on(ShardConfig::default(), async {}).unwrap_err();
        assert!(error.to_string().contains("a shard already"));
    });
}

#[test]
fn a_panic_of_main_comes_out_of_block_on_and_leaves_the_thread_usable() {
    let caught = catch_unwind(|| run(async { panic!("main fell") }));
    assert_eq!(
        *caught.unwrap_err().downcast::<&str>().unwrap(),
        "main fell"
    );
    assert_eq!(run(async { 7 }), 7);
}

#[test]
fn spawned_tasks_run_in_order_and_those_left_are_dropped() {
    struct Dropped(Rc<Cell<u32>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            // A task that is started while the shard ends is dropped as well.
            let again = Rc::clone(&self.0);
            spawn(async move { again.set(1000) });
        }
    }
    let dropped = Rc::new(Cell::new(0));
    run(async {
        let order = Rc::new(RefCell::new(Vec::new()));
        for number in 0..10 {
            let order = Rc::clone(&order);
            spawn(async move { order.borrow_mut().push(number) });
            let guard = Dropped(Rc::clone(&dropped));
            spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
        }
        yield_now().await;
        assert_eq!(*order.borrow(), (0..10).collect::<Vec<_>>());
    });
    assert_eq!(dropped.get(), 10);
}

#[test]
fn panics_end_their_task_alone() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !thread::panicking() {
                panic!("dropped");
            }
        }
    }
    let (reached, reports) = mpsc::channel();
    let shard = start_shard(config("panics"), move || async move {
        spawn(async { panic!("in a poll") });
        spawn(async { std::panic::panic_any(Bomb) });
        spawn(async {
            let _bomb = Bomb;
        });
        spawn(async {
            let _bomb = Bomb;
            pending::<()>().await;
        });
        sleep(millis(10)).await;
        reached.send(()).unwrap();
        rt::draining().await;
    })
    .unwrap();
    let stats = shard.stats();
    reports.recv().unwrap();
    assert_eq!(stats.panics.value(), 3);
    assert_eq!(stats.tasks.value(), 2);
    shard.drain(millis(50));
    shard.join().unwrap();
    assert_eq!(stats.panics.value(), 4);
    assert_eq!(stats.tasks.value(), 0);
}

#[test]
fn a_panic_in_the_first_call_is_a_tasks_panic() {
    let shard = start_shard(config("first"), || -> std::future::Ready<()> {
        panic!("at once")
    });
    let shard = shard.unwrap();
    let stats = shard.stats();
    shard.join().unwrap();
    assert_eq!(stats.panics.value(), 1);
}

#[test]
fn wakers_from_many_threads_lose_nothing() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 5_000;
    let woken = run(async {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS)
            .map(|_| mpsc::channel::<(Waker, Arc<AtomicBool>)>())
            .unzip();
        for receiver in receivers {
            thread::Builder::new()
                .spawn(move || {
                    let mut old = Vec::new();
                    for (waker, flag) in receiver {
                        flag.store(true, Ordering::SeqCst);
                        waker.wake_by_ref();
                        // Wakers of tasks that have ended, again and again.
                        old.push(waker);
                        old.iter().rev().take(3).for_each(Waker::wake_by_ref);
                    }
                })
                .unwrap();
        }
        let done = Rc::new(Cell::new(0));
        for round in 0..ROUNDS {
            let sender = senders[usize::try_from(round % THREADS).unwrap()].clone();
            let done = Rc::clone(&done);
            spawn(async move {
                let flag = Arc::new(AtomicBool::new(false));
                sender.send((waker().await, Arc::clone(&flag))).unwrap();
                poll_fn(|_| match flag.load(Ordering::SeqCst) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                })
                .await;
                done.set(done.get() + 1);
            });
            if round % 64 == 0 {
                yield_now().await;
            }
        }
        let waited = timeout(Duration::from_secs(20), async {
            while done.get() < ROUNDS {
                sleep(millis(1)).await;
            }
        });
        waited.await.unwrap();
        done.get()
    });
    assert_eq!(woken, ROUNDS);
}

#[test]
fn a_flood_of_wake_ups_wakes_everybody_and_loses_nobody() {
    run(async {
        let main = waker().await;
        let flag = Arc::new(AtomicBool::new(false));
        let (first, second) = (main.clone(), Arc::clone(&flag));
        // More words than an inbox holds, posted while this shard does not look.
        let flood = move || {
            (0..100_000).for_each(|_| first.wake_by_ref());
            second.store(true, Ordering::SeqCst);
            first.wake_by_ref();
        };
        thread::Builder::new().spawn(flood).unwrap().join().unwrap();
        let seen = poll_fn(|_| match flag.load(Ordering::SeqCst) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        });
        timeout(Duration::from_secs(5), seen).await.unwrap();
    });
}

#[test]
fn waking_after_the_shards_end_is_harmless() {
    let (sender, wakers) = mpsc::channel();
    for _ in 0..20 {
        let sender = sender.clone();
        start_shard(config("gone"), move || async move {
            sender.send(waker().await).unwrap();
        })
        .unwrap()
        .join()
        .unwrap();
    }
    drop(sender);
    let old: Vec<Waker> = wakers.into_iter().collect();
    // Also while other shards have the old numbers.
    run(async {
        for waker in &old {
            waker.wake_by_ref();
            let clone = waker.clone();
            clone.wake_by_ref();
        }
        sleep(millis(5)).await;
    });
    old.into_iter().for_each(Waker::wake);
}

#[test]
fn futures_that_outlive_their_shard_are_harmless() {
    let (mut slept, read) = run(async {
        let mut slept = Box::pin(sleep(Duration::from_secs(3600)));
        assert!(timeout(millis(1), &mut slept).await.is_err());
        let (_sender, mut receiver) = channel::channel::<u32>(1);
        assert!(timeout(millis(1), receiver.recv()).await.is_err());
        (slept, receiver)
    });
    run(async {
        assert!(timeout(millis(1), &mut slept).await.is_err());
    });
    drop((slept, read));
}

#[test]
fn timers_fire_in_order_and_by_the_thousands() {
    const COUNT: u64 = 20_000;
    run(async {
        // Late enough that all are entered before the first fires.
        let start = rt::now() + millis(1000);
        let fired = Rc::new(RefCell::new(Vec::new()));
        for number in 0..COUNT {
            // Spread over 100 ms, entered in no order.
            let delay = Duration::from_micros(number * 7919 % COUNT * 5);
            let fired = Rc::clone(&fired);
            spawn(async move {
                sleep_until(start + delay).await;
                assert!(rt::now() >= start + delay);
                fired.borrow_mut().push(delay);
            });
        }
        sleep_until(start + millis(200)).await;
        let fired = fired.borrow();
        assert_eq!(fired.len() as u64, COUNT);
        assert!(fired.is_sorted());
    });
}

#[test]
fn dropped_timers_never_wake() {
    let polls = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&polls);
    run(async move {
        for _ in 0..10_000 {
            // Polled once, so that the timer is entered; then the winner drops it.
            rt::select(sleep(millis(5)), yield_now()).await;
        }
        let mut idle = Box::pin(sleep(millis(50)));
        poll_fn(|context| {
            count.fetch_add(1, Ordering::SeqCst);
            idle.as_mut().poll(context)
        })
        .await;
    });
    assert!(polls.load(Ordering::SeqCst) <= 3, "{polls:?}");
}

#[test]
fn time_is_up_when_it_is_up() {
    run(async {
        let start = rt::now();
        assert!(timeout(millis(30), pending::<()>()).await.is_err());
        let taken = start.elapsed();
        assert!(taken >= millis(30) && taken < millis(500), "{taken:?}");
        assert_eq!(timeout(Duration::ZERO, async { 5 }).await, Ok(5));
        assert_eq!(timeout(Duration::MAX, async { 5 }).await, Ok(5));
        let both = rt::select(sleep(millis(40)), sleep(millis(10))).await;
        assert_eq!(both, Either::Right(()));
    });
}

#[test]
fn tasks_that_never_wait_do_not_keep_out_the_others() {
    run(async {
        let stop = Rc::new(Cell::new(false));
        for _ in 0..200 {
            let stop = Rc::clone(&stop);
            spawn(async move {
                while !stop.get() {
                    yield_now().await;
                }
            });
        }
        let start = rt::now();
        sleep(millis(20)).await;
        assert!(start.elapsed() < millis(500));
        stop.set(true);
    });
}

#[test]
fn a_drain_is_announced_and_its_grace_ends() {
    let (report, reports) = mpsc::channel();
    let polite = report.clone();
    let shard = start_shard(config("drain"), move || async move {
        spawn(async move {
            rt::draining().await;
            polite.send("polite").unwrap();
        });
        struct Late(mpsc::Sender<&'static str>);
        impl Drop for Late {
            fn drop(&mut self) {
                self.0.send("dropped").unwrap();
            }
        }
        let _late = Late(report);
        pending::<()>().await;
    })
    .unwrap();
    assert!(reports.recv_timeout(millis(50)).is_err());
    let start = rt::now();
    shard.drain(millis(100));
    assert_eq!(reports.recv().unwrap(), "polite");
    assert!(start.elapsed() < millis(90));
    assert_eq!(reports.recv().unwrap(), "dropped");
    assert!(start.elapsed() >= millis(100));
    shard.join().unwrap();
}

#[test]
fn a_shard_ends_when_no_task_is_left() {
    let shard = start_shard(config("short"), || async {
        spawn(async { sleep(millis(10)).await });
    });
    let shard = shard.unwrap();
    let stats = shard.stats();
    shard.join().unwrap();
    assert_eq!((stats.tasks.value(), stats.tasks_started.value()), (0, 2));
}

#[test]
fn shards_are_pinned_where_they_are_told() {
    let cpus = rt::cpus();
    let cpu = *cpus.last().unwrap();
    let (sender, receiver) = mpsc::channel();
    let shard = ShardConfig {
        cpu: Some(cpu),
        ..config("pinned")
    };
    let shard = start_shard(shard, move || async move {
        let name = thread::current().name().map(String::from);
        sender.send((rt::cpus(), name)).unwrap();
    });
    shard.unwrap().join().unwrap();
    assert_eq!(receiver.recv().unwrap(), (vec![cpu], Some("pinned".into())));
    let nowhere = ShardConfig {
        cpu: Some(1023),
        ..config("nowhere")
    };
    let error = start_shard(nowhere, || async {}).unwrap_err().to_string();
    assert!(
        error.contains("CPU 1023") && error.contains("AllowedCPUs="),
        "{error}"
    );
}

#[test]
fn outside_a_shard_there_is_a_clear_panic() {
    let caught = catch_unwind(AssertUnwindSafe(|| spawn(async {})));
    let text = *caught.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("outside a shard"), "{text}");
}
