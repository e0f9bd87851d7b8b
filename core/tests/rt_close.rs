//! A shard that ends gives everything back at once, whatever its tasks were doing.

use std::time::Duration;

use ravenry_core::rt::{self, Address, Listener, ShardConfig, Stream, random};

/// Talks to itself over the loopback with all kinds of waits, some of them given up.
async fn restless(address: Address) {
    loop {
        let pause = Duration::from_micros(random::u64() % 2000);
        let Ok(stream) = Stream::connect(&address, Duration::from_millis(20)).await else {
            rt::sleep(pause).await;
            continue;
        };
        for _ in 0..random::u64() % 8 {
            let _ = stream.try_write(b"x");
            let mut buffer = [0; 16];
            let read = rt::select(rt::draining(), stream.read(&mut buffer));
            let _ = rt::timeout(pause, rt::select(read, stream.readable())).await;
        }
    }
}

async fn echo(listener: Listener) {
    while let Ok((stream, _)) = listener.accept().await {
        rt::spawn(async move {
            let mut buffer = [0; 16];
            while let Ok(1..) = stream.read(&mut buffer).await {
                let pause = Duration::from_micros(random::u64() % 500);
                let _ = rt::timeout(pause, stream.writable()).await;
                rt::sleep(pause).await;
                let _ = stream.try_write(b"y");
            }
        });
    }
}

#[test]
fn a_busy_shard_ends_at_once() {
    for round in 0..200_u64 {
        let shard = rt::start_shard(ShardConfig::default(), || async {
            let any = "127.21.9.1:0".parse().unwrap();
            let listener = Listener::bind(&any).unwrap();
            let address = listener.local_address().unwrap();
            rt::spawn(echo(listener));
            for _ in 0..20 {
                rt::spawn(restless(address.clone()));
            }
        })
        .unwrap();
        #[expect(clippy::disallowed_methods, reason = "this thread is no shard")]
        std::thread::sleep(Duration::from_millis(round % 7 * 3));
        let begun = rt::now();
        shard.drain(Duration::from_millis(round % 3 * 5));
        shard.join().unwrap();
        let took = rt::now() - begun;
        assert!(took < Duration::from_secs(1), "round {round}: {took:?}");
    }
}
