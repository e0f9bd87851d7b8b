//! No descriptor is left behind, whatever way things end. Alone in its process, because it counts.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fs, thread, time::Duration};

use ravenry_core::rt::{
    self, Listener, ShardConfig, Stream, block_on, relay_exact, sleep, spawn, start_shard, timeout,
};

const SECOND: Duration = Duration::from_secs(1);

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn pair() -> (Stream, Stream) {
    let listener = Listener::bind(&"127.21.2.1:0".parse().unwrap()).unwrap();
    let client = Stream::connect(&listener.local_address().unwrap(), SECOND)
        .await
        .unwrap();
    (client, listener.accept().await.unwrap().0)
}

/// Streams, listeners and relays in every state that a shard can end in.
async fn everything() {
    for _ in 0..20 {
        let (client, server) = pair().await;
        spawn(async move {
            let _ = client.readable().await;
        });
        spawn(async move {
            let _ = rt::select(server.readable(), sleep(Duration::from_millis(1))).await;
            panic!("with a poll in flight");
        });
        let ((writer, from), (to, _reader)) = (pair().await, pair().await);
        spawn(async move {
            let piece = vec![0; 1 << 16];
            while writer.write_all(&piece).await.is_ok() {}
        });
        spawn(async move {
            let _ = relay_exact(&from, &to, u64::MAX, SECOND).await;
        });
        let listener = Listener::bind(&"127.21.2.2:0".parse().unwrap()).unwrap();
        let address = listener.local_address().unwrap();
        let _queued = Stream::connect(&address, SECOND).await.unwrap();
        spawn(async move {
            let first = listener.accept().await;
            let _second = listener.accept().await;
            drop(first);
        });
        assert!(timeout(Duration::ZERO, from_nowhere()).await.is_err());
    }
    sleep(Duration::from_millis(20)).await;
}

/// A connection that hangs: nobody accepts, and the queue is full.
async fn from_nowhere() {
    let listener = Listener::bind(&"127.21.2.3:0".parse().unwrap()).unwrap();
    let _ = listener.accept().await;
}

fn one_of_each() {
    block_on(ShardConfig::default(), everything()).unwrap();
    let shard = start_shard(ShardConfig::default(), everything).unwrap();
    thread::park_timeout(Duration::from_millis(30));
    shard.drain(Duration::from_millis(10));
    shard.join().unwrap();
}

#[test]
fn descriptors_do_not_leak() {
    std::panic::set_hook(Box::new(|_| {}));
    // The eventfds of shard numbers stay for good: have them made first.
    one_of_each();
    let before = open_descriptors();
    for _ in 0..10 {
        one_of_each();
    }
    assert_eq!(open_descriptors(), before);
}
