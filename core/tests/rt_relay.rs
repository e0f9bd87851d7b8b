//! relay_exact against the real kernel: every byte, in order, no byte more, whatever the sizes.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

use std::{cell::Cell, io::ErrorKind, rc::Rc, time::Duration};

use ravenry_core::rt::{
    self, Address, Listener, RelayError, Relayed, ShardConfig, Stream, block_on, channel::oneshot,
    discard_exact, relay_exact, sleep, spawn,
};

const SECOND: Duration = Duration::from_secs(1);
const PATIENT: Duration = Duration::from_secs(20);

fn run<F: Future>(config: ShardConfig, future: F) -> F::Output {
    block_on(config, future).unwrap()
}

fn no_pipes() -> ShardConfig {
    ShardConfig {
        pipes_max: 0,
        ..ShardConfig::default()
    }
}

/// Two connected streams.
async fn pair() -> (Stream, Stream) {
    let listener = Listener::bind(&"127.21.1.1:0".parse().unwrap()).unwrap();
    let client = Stream::connect(&listener.local_address().unwrap(), SECOND)
        .await
        .unwrap();
    (client, listener.accept().await.unwrap().0)
}

async fn unix_pair() -> (Stream, Stream) {
    let directory = tempfile::tempdir().unwrap();
    let address = Address::Unix(directory.path().join("socket"));
    let listener = Listener::bind(&address).unwrap();
    let client = Stream::connect(&address, SECOND).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

/// The bytes of a stream of our own making: every offset has its byte.
fn byte(offset: u64) -> u8 {
    (offset.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

fn bytes(from: u64, count: usize) -> Vec<u8> {
    (from..from + count as u64).map(byte).collect()
}

/// Writes `total` bytes in pieces of many sizes, now and then pausing.
async fn write_pieces(to: &Stream, total: u64) {
    let mut sent = 0;
    while sent < total {
        let most = 1 << (rt::random::u64() % 19);
        let piece = (rt::random::u64() % most + 1).min(total - sent);
        to.write_all(&bytes(sent, piece as usize)).await.unwrap();
        sent += piece;
        if rt::random::u64().is_multiple_of(16) {
            sleep(Duration::from_micros(rt::random::u64() % 500)).await;
        }
    }
}

/// Reads `total` bytes and checks each, now and then pausing.
async fn read_checked(from: &Stream, total: u64) {
    let mut buffer = vec![0; 100_000];
    let mut seen = 0u64;
    while seen < total {
        let most = (rt::random::u64() % 100_000 + 1).min(total - seen) as usize;
        let count = from.read(&mut buffer[..most]).await.unwrap();
        assert!(count > 0, "ended at {seen} of {total}");
        assert!(
            buffer[..count] == bytes(seen, count),
            "wrong bytes near {seen}"
        );
        seen += count as u64;
        if rt::random::u64().is_multiple_of(16) {
            sleep(Duration::from_micros(rt::random::u64() % 500)).await;
        }
    }
}

/// Relays `total` bytes with three more behind them, which must stay.
async fn relay_once(source: (Stream, Stream), sink: (Stream, Stream), total: u64) -> Relayed {
    let (writer, from) = source;
    let (to, reader) = sink;
    let (done, written) = oneshot();
    spawn(async move {
        write_pieces(&writer, total).await;
        writer.write_all(b"END").await.unwrap();
        let _ = done.send(());
        let _ = writer.readable().await;
    });
    let (checked, read) = oneshot();
    spawn(async move {
        read_checked(&reader, total).await;
        let _ = checked.send(());
        let _ = reader.readable().await;
    });
    let relayed = relay_exact(&from, &to, total, PATIENT).await.unwrap();
    assert_eq!(relayed.copied + relayed.spliced, total);
    written.await.unwrap();
    read.await.unwrap();
    let mut rest = [0; 10];
    assert_eq!(from.read(&mut rest).await.unwrap(), 3);
    assert_eq!(&rest[..3], b"END");
    relayed
}

fn sizes() -> Vec<u64> {
    let edges = [
        0,
        1,
        2,
        4095,
        65_535,
        65_536,
        65_537,
        262_143,
        262_144,
        262_145,
        1 << 20,
    ];
    let random = (0..12).map(|_| rt::random::u64() % 3_000_000);
    edges.into_iter().chain(random).collect()
}

#[test]
fn every_byte_spliced() {
    run(ShardConfig::default(), async {
        for total in sizes() {
            let relayed = relay_once(pair().await, pair().await, total).await;
            if total < 65_536 {
                assert_eq!(relayed.spliced, 0);
            }
        }
    });
}

#[test]
fn every_byte_copied_where_there_is_no_pipe() {
    run(no_pipes(), async {
        for total in sizes() {
            let relayed = relay_once(pair().await, pair().await, total).await;
            assert_eq!(relayed.copied, total);
        }
    });
}

#[test]
fn every_byte_over_unix_sockets_and_tcp() {
    run(ShardConfig::default(), async {
        for total in [100, 70_000, 1_000_000] {
            relay_once(unix_pair().await, pair().await, total).await;
            relay_once(pair().await, unix_pair().await, total).await;
        }
    });
}

#[test]
fn pipes_that_the_kernel_keeps_small_are_not_used() {
    // What an unprivileged user with too many pipes gets.
    run(
        ShardConfig {
            pipe_size: 4096,
            ..ShardConfig::default()
        },
        async {
            let relayed = relay_once(pair().await, pair().await, 300_000).await;
            assert_eq!(
                relayed,
                Relayed {
                    copied: 300_000,
                    spliced: 0
                }
            );
        },
    );
}

#[test]
fn a_large_literal_is_nearly_all_spliced() {
    run(ShardConfig::default(), async {
        let total = 25 << 20;
        let ((writer, from), (to, reader)) = (pair().await, pair().await);
        spawn(async move { writer.write_all(&bytes(0, total as usize)).await.unwrap() });
        spawn(async move { discard_exact(&reader, total, PATIENT).await.unwrap() });
        let relayed = relay_exact(&from, &to, total, PATIENT).await.unwrap();
        assert!(relayed.spliced * 100 >= total * 95, "{relayed:?}");
    });
}

/// A source that trickles is read as it comes, however little that is, and after the relay the first byte
/// counts again.
#[test]
fn a_source_that_trickles_is_no_source_that_stalls() {
    const TOTAL: u64 = 200 << 10;
    run(ShardConfig::default(), async {
        let ((source, from), (to, sink)) = (pair().await, pair().await);
        let stall = Duration::from_millis(400);
        let source = Rc::new(source);
        let writer = Rc::clone(&source);
        spawn(async move {
            writer.write_all(&bytes(0, 100 << 10)).await.unwrap();
            for piece in 100..TOTAL >> 10 {
                sleep(Duration::from_millis(10)).await;
                let piece = bytes(piece << 10, 1 << 10);
                writer.write_all(&piece).await.unwrap();
            }
        });
        let sink = Rc::new(sink);
        let (reader, (read, all_read)) = (Rc::clone(&sink), oneshot());
        spawn(async move {
            read_checked(&reader, TOTAL).await;
            let _ = read.send(());
        });
        let relayed = relay_exact(&from, &to, TOTAL, stall).await.unwrap();
        assert_eq!(relayed.copied + relayed.spliced, TOTAL);
        all_read.await.unwrap();
        source.write_all(b"x").await.unwrap();
        rt::timeout(SECOND, from.readable()).await.unwrap().unwrap();

        let silent = rt::now();
        let failed = relay_exact(&from, &to, TOTAL, stall).await;
        assert_eq!(kind(failed), ('f', ErrorKind::TimedOut));
        let waited = rt::now() - silent;
        assert!((stall..stall * 2).contains(&waited), "{waited:?}");
    });
}

fn kind(result: Result<Relayed, RelayError>) -> (char, ErrorKind) {
    match result.unwrap_err() {
        RelayError::From(error) => ('f', error.kind()),
        RelayError::To { error, .. } => ('t', error.kind()),
    }
}

/// What becomes of a relay of which `there` bytes come; then `then` is done to the source.
async fn broken(total: u64, there: usize, then: impl FnOnce(Stream)) -> (char, ErrorKind) {
    let ((writer, from), (to, reader)) = (pair().await, pair().await);
    spawn(async move {
        let _ = discard_exact(&reader, u64::MAX, PATIENT).await;
    });
    writer.write_all(&bytes(0, there)).await.unwrap();
    then(writer);
    kind(relay_exact(&from, &to, total, Duration::from_millis(50)).await)
}

#[test]
fn a_source_that_ends_stalls_or_resets_is_told_apart() {
    for config in [ShardConfig::default(), no_pipes()] {
        run(config, async {
            for total in [1000, 1_000_000] {
                let ended = broken(total, 500, drop).await;
                assert_eq!(ended, ('f', ErrorKind::UnexpectedEof));
                let kept = Rc::new(Cell::new(None));
                let stalled = broken(total, 500, |writer| kept.set(Some(writer))).await;
                assert_eq!(stalled, ('f', ErrorKind::TimedOut));
                let reset = broken(total, 0, reset).await;
                assert_eq!(reset, ('f', ErrorKind::ConnectionReset));
            }
        });
    }
}

/// Closes with a reset.
fn reset(stream: Stream) {
    use std::os::fd::AsFd;
    let socket: socket2::Socket = stream.as_fd().try_clone_to_owned().unwrap().into();
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    drop(socket);
}

#[test]
fn a_destination_that_stalls_or_goes_is_told_apart_and_its_pipe_is_closed() {
    for config in [ShardConfig::default(), no_pipes()] {
        run(config, async {
            for stalls in [true, false] {
                let ((writer, from), (to, reader)) = (pair().await, pair().await);
                spawn(write_for_ever(writer));
                let reader = Rc::new(Cell::new(Some(reader)));
                if !stalls {
                    let reader = Rc::clone(&reader);
                    spawn(async move {
                        sleep(Duration::from_millis(20)).await;
                        reset(reader.take().unwrap());
                    });
                }
                let stall = Duration::from_millis(100);
                let failed = kind(relay_exact(&from, &to, 1 << 40, stall).await);
                if stalls {
                    assert_eq!(failed, ('t', ErrorKind::TimedOut));
                } else {
                    assert_eq!(failed.0, 't', "{failed:?}");
                }
            }
        });
    }
}

/// A shard's own counters are seen by its handle only: these tests start one.
fn with_stats(
    config: ShardConfig,
    test: impl AsyncFnOnce(&'static rt::ShardStats) + Send + 'static,
) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let shard = rt::start_shard(config, move || async move {
        test(receiver.recv().unwrap()).await;
    });
    let shard = shard.unwrap();
    let stats = shard.stats();
    sender.send(stats).unwrap();
    shard.join().unwrap();
    assert_eq!(stats.panics.value(), 0, "the test above panicked");
}

#[test]
fn relays_that_wait_for_their_source_hold_no_pipe() {
    with_stats(ShardConfig::default(), async |stats| {
        let mut writers = Vec::new();
        let ended = Rc::new(Cell::new(0));
        for _ in 0..200 {
            let ((writer, from), (to, reader)) = (pair().await, pair().await);
            let done = Rc::clone(&ended);
            spawn(async move {
                let relayed = relay_exact(&from, &to, 200_000, PATIENT).await.unwrap();
                assert!(relayed.spliced > 0);
                done.set(done.get() + 1);
            });
            spawn(async move { read_checked(&reader, 200_000).await });
            writer.write_all(&bytes(0, 1000)).await.unwrap();
            writers.push(writer);
        }
        sleep(Duration::from_millis(50)).await;
        assert_eq!(stats.bytes_spliced.value(), 200 * 1000);
        assert_eq!(stats.pipes_in_use.value(), 0);
        assert!(stats.pipes_open.value() <= 2, "{:?}", stats.pipes_open);
        for writer in &writers {
            writer.write_all(&bytes(1000, 199_000)).await.unwrap();
        }
        while ended.get() < 200 {
            sleep(Duration::from_millis(1)).await;
        }
    });
}

/// Writes for as long as the peer takes it.
async fn write_for_ever(to: Stream) {
    let piece = vec![7; 1 << 18];
    while to.write_all(&piece).await.is_ok() {}
}

#[test]
fn no_more_pipes_than_the_bound_and_dirty_ones_are_closed() {
    let config = ShardConfig {
        pipes_max: 3,
        ..ShardConfig::default()
    };
    with_stats(config, async |stats| {
        let mut kept = Vec::new();
        let failed = Rc::new(Cell::new(0));
        for _ in 0..10 {
            let ((writer, from), (to, reader)) = (pair().await, pair().await);
            spawn(write_for_ever(writer));
            let failed = Rc::clone(&failed);
            spawn(async move {
                // Nobody reads: the pipe fills and stays with its relay.
                let result = relay_exact(&from, &to, 1 << 40, SECOND).await;
                assert_eq!(kind(result), ('t', ErrorKind::TimedOut));
                failed.set(failed.get() + 1);
            });
            kept.push(reader);
        }
        let (mut in_use_max, mut missed) = (0, false);
        while failed.get() < 10 {
            in_use_max = in_use_max.max(stats.pipes_in_use.value());
            missed |= stats.pipes_missed.value() >= 7;
            assert!(stats.pipes_open.value() <= 3);
            sleep(Duration::from_millis(1)).await;
        }
        assert!(in_use_max == 3 && missed, "{in_use_max} {stats:?}");
        assert_eq!(stats.pipes_in_use.value(), 0);
        assert_eq!(stats.pipes_open.value(), 0);
    });
}

#[test]
fn a_relay_that_is_dropped_or_panics_gives_its_pipe_up() {
    with_stats(ShardConfig::default(), async |stats| {
        let ((writer, from), (to, _reader)) = (pair().await, pair().await);
        spawn(write_for_ever(writer));
        let relay = relay_exact(&from, &to, 1 << 40, PATIENT);
        assert!(
            rt::timeout(Duration::from_millis(100), relay)
                .await
                .is_err()
        );
        assert_eq!(
            (stats.pipes_open.value(), stats.pipes_in_use.value()),
            (0, 0)
        );
    });
}

#[test]
fn discarding_stops_exactly_at_the_end() {
    run(ShardConfig::default(), async {
        let (writer, from) = pair().await;
        spawn(async move {
            write_pieces(&writer, 500_000).await;
            writer.write_all(b"END").await.unwrap();
        });
        discard_exact(&from, 500_000, PATIENT).await.unwrap();
        let mut rest = Vec::new();
        assert_eq!(from.read_into(&mut rest, 100).await.unwrap(), 3);
        assert_eq!(rest, b"END");
        let error = discard_exact(&from, 1, PATIENT).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    });
}
