//! Connections of the runtime against the real kernel: TCP over IPv4 and IPv6, unix sockets.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use ravenry_core::rt::{self, Address, Listener, ShardConfig, Stream};

const SECOND: Duration = Duration::from_secs(1);

fn run<F: Future>(future: F) -> F::Output {
    rt::block_on(ShardConfig::default(), future).unwrap()
}

/// Sends back what comes, until the peer closes.
async fn echo(listener: Listener) {
    let (stream, _peer) = listener.accept().await.unwrap();
    let mut buffer = Vec::new();
    while stream.read_into(&mut buffer, 1 << 16).await.unwrap() > 0 {
        stream.write_all(&buffer).await.unwrap();
        buffer.clear();
    }
}

async fn round_trips(address: &Address) {
    let listener = Listener::bind(address).unwrap();
    let address = listener.local_address().unwrap();
    rt::spawn(echo(listener));
    let client = Stream::connect(&address, SECOND).await.unwrap();
    assert_eq!(client.peer_address().unwrap(), address);
    for _ in 0..100 {
        client.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 10];
        assert_eq!(client.read(&mut buffer).await.unwrap(), 5);
        assert_eq!(&buffer[..5], b"hello");
    }
    client.shutdown_write().unwrap();
    assert_eq!(client.read(&mut [0; 10]).await.unwrap(), 0);
}

#[test]
fn ipv4() {
    run(async { round_trips(&"127.21.0.1:0".parse().unwrap()).await });
}

#[test]
fn ipv6() {
    run(async { round_trips(&"[::1]:0".parse().unwrap()).await });
}

#[test]
fn unix() {
    let directory = tempfile::tempdir().unwrap();
    run(async { round_trips(&Address::Unix(directory.path().join("socket"))).await });
}
