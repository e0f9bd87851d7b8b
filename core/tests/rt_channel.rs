//! Channels, oneshots and the pool, between threads.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{sync::mpsc, thread, time::Duration};

use ravenry_core::rt::{
    self, Pool, PoolError, ShardConfig, block_on,
    channel::{Closed, SendError, channel, oneshot},
    sleep, spawn, start_shard, timeout,
};

fn run<F: Future>(future: F) -> F::Output {
    block_on(ShardConfig::default(), future).unwrap()
}

fn thread(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().spawn(work).unwrap();
}

#[test]
fn many_threads_send_and_all_arrives_in_each_ones_order() {
    const THREADS: usize = 4;
    const EACH: usize = 20_000;
    let (sender, mut receiver) = channel::<(usize, usize)>(16);
    for from in 0..THREADS {
        let sender = sender.clone();
        thread(move || {
            for number in 0..EACH {
                while let Err(SendError::Full(_)) = sender.try_send((from, number)) {
                    thread::yield_now();
                }
            }
        });
    }
    drop(sender);
    run(async move {
        let mut next = [0; THREADS];
        let all = timeout(Duration::from_secs(30), async {
            while let Some((from, number)) = receiver.recv().await {
                assert_eq!(number, next[from]);
                next[from] += 1;
            }
        });
        all.await.unwrap();
        assert_eq!(next, [EACH; THREADS]);
    });
}

#[test]
fn a_full_channel_says_so() {
    let (sender, mut receiver) = channel(2);
    assert_eq!(sender.try_send(1), Ok(()));
    assert_eq!(sender.try_send(2), Ok(()));
    assert_eq!(sender.try_send(3), Err(SendError::Full(3)));
    assert_eq!(receiver.try_recv(), Some(1));
    assert_eq!(sender.try_send(3), Ok(()));
}

#[test]
fn either_end_may_go_first() {
    let (sender, receiver) = channel(2);
    sender.try_send(1).unwrap();
    drop(receiver);
    assert_eq!(sender.try_send(2), Err(SendError::Closed(2)));
    assert!(sender.is_closed());
    run(async {
        let (sender, mut receiver) = channel(2);
        let second = sender.clone();
        sender.try_send(1).unwrap();
        drop(sender);
        thread(move || {
            thread::park_timeout(Duration::from_millis(10));
            second.try_send(2).unwrap();
        });
        assert_eq!(receiver.recv().await, Some(1));
        assert_eq!(receiver.recv().await, Some(2));
        assert_eq!(receiver.recv().await, None);
    });
}

#[test]
fn messages_that_were_not_read_are_dropped() {
    let (sender, receiver) = channel(4);
    let message = std::sync::Arc::new(());
    sender.try_send(std::sync::Arc::clone(&message)).unwrap();
    drop(receiver);
    assert_eq!(std::sync::Arc::strong_count(&message), 1);
}

#[test]
fn oneshots_cross_shards_both_ways() {
    let (question, mut questions) = channel::<(u64, rt::channel::OneSender<u64>)>(64);
    let shard = start_shard(ShardConfig::default(), move || async move {
        while let Some((number, answer)) = questions.recv().await {
            answer.send(number * 2).unwrap();
        }
    });
    run(async {
        for number in 0..5_000 {
            let (sender, receiver) = oneshot();
            question.try_send((number, sender)).unwrap();
            let answer = timeout(Duration::from_secs(5), receiver).await.unwrap();
            assert_eq!(answer, Ok(number * 2));
        }
    });
    drop(question);
    shard.unwrap().join().unwrap();
}

#[test]
fn a_oneshot_whose_sender_goes_is_closed() {
    run(async {
        let (sender, receiver) = oneshot::<u32>();
        spawn(async move {
            sleep(Duration::from_millis(5)).await;
            drop(sender);
        });
        assert_eq!(receiver.await, Err(Closed));
        let (sender, receiver) = oneshot();
        drop(receiver);
        assert!(sender.is_closed());
        assert_eq!(sender.send(5), Err(5));
    });
}

#[test]
fn a_pool_works_beside_the_shard() {
    let pool = Pool::new("worker", 2, 100).unwrap();
    run(async {
        let name = pool
            .run(|| thread::current().name().map(String::from))
            .await
            .unwrap();
        assert!(name.unwrap().starts_with("worker-"));
        assert_eq!(pool.run(|| 1 + 1).await, Ok(2));
        assert_eq!(
            pool.run(|| -> u32 { panic!("the job") }).await,
            Err(PoolError::Panicked)
        );
        assert_eq!(pool.run(|| 3).await, Ok(3));
    });
}

#[test]
fn a_full_pool_says_so_and_dead_jobs_are_not_run() {
    let pool = Pool::new("small", 1, 1).unwrap();
    let (release, gate) = mpsc::channel::<()>();
    let (began, begins) = mpsc::channel();
    run(async {
        let (first, answer) = oneshot();
        let busy = pool.clone();
        spawn(async move {
            let result = busy.run(move || {
                began.send(()).unwrap();
                gate.recv().unwrap();
                1
            });
            first.send(result.await).unwrap();
        });
        rt::yield_now().await;
        begins.recv().unwrap();
        let (ran, runs) = mpsc::channel();
        // Waits in the queue until its caller gives up.
        let second = pool.run(move || ran.send(()).unwrap());
        assert!(timeout(Duration::from_millis(5), second).await.is_err());
        assert_eq!(pool.run(|| 3).await, Err(PoolError::Full));
        release.send(()).unwrap();
        assert_eq!(answer.await, Ok(Ok(1)));
        while pool.run(|| 4).await == Err(PoolError::Full) {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(runs.try_recv().is_err());
    });
}
