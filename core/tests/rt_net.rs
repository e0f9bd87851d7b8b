//! Connections of the runtime against the real kernel: TCP over IPv4 and IPv6, unix sockets.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{cell::Cell, io::ErrorKind, os::fd::AsFd, rc::Rc, time::Duration};

use ravenry_core::rt::{self, Address, Listener, ShardConfig, Stream, sleep, spawn, timeout};

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
    spawn(echo(listener));
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

fn tcp() -> Address {
    "127.21.0.2:0".parse().unwrap()
}

async fn pair_on(listener: &Listener) -> (Stream, Stream) {
    let address = listener.local_address().unwrap();
    let client = Stream::connect(&address, SECOND).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

async fn pair() -> (Stream, Stream) {
    pair_on(&Listener::bind(&tcp()).unwrap()).await
}

fn no_delay(stream: &Stream) -> bool {
    let socket: socket2::Socket = stream.as_fd().try_clone_to_owned().unwrap().into();
    assert!(socket.nonblocking().unwrap());
    socket.tcp_nodelay().unwrap()
}

#[test]
fn both_ends_send_small_pieces_at_once_and_never_block() {
    run(async {
        let (client, server) = pair().await;
        assert!(no_delay(&client) && no_delay(&server));
        assert_eq!(
            client.local_address().unwrap(),
            server.peer_address().unwrap()
        );
    });
}

#[test]
fn a_refused_connection_says_so_at_once() {
    run(async {
        let address = Listener::bind(&tcp()).unwrap().local_address().unwrap();
        let error = Stream::connect(&address, SECOND).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let nowhere = Address::Unix("/nonexistent/socket".into());
        let error = Stream::connect(&nowhere, SECOND).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

/// A listener of which nobody accepts: connects until one has to wait.
async fn fill(address: &Address) -> (Vec<Stream>, std::io::Error, Duration) {
    let mut queued = Vec::new();
    loop {
        let start = rt::now();
        match Stream::connect(address, Duration::from_millis(100)).await {
            Ok(stream) => queued.push(stream),
            Err(error) => return (queued, error, start.elapsed()),
        }
        assert!(queued.len() < 100);
    }
}

#[test]
fn connecting_has_a_deadline() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let tcp = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any: std::net::SocketAddr = "127.21.0.3:0".parse().unwrap();
        tcp.bind(&any.into()).unwrap();
        tcp.listen(1).unwrap();
        let unix =
            socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        let path = directory.path().join("full");
        unix.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
        unix.listen(1).unwrap();
        let tcp_address = Address::Tcp(tcp.local_addr().unwrap().as_socket().unwrap());
        for address in [tcp_address, Address::Unix(path)] {
            let (_queued, error, taken) = fill(&address).await;
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{address}: {error}");
            assert!(
                taken >= Duration::from_millis(100) && taken < SECOND,
                "{taken:?}"
            );
        }
    });
}

#[test]
fn a_unix_connection_waits_for_room_in_the_queue() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("full");
        let unix =
            socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        unix.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
        unix.listen(1).unwrap();
        let address = Address::Unix(path);
        let (_queued, ..) = fill(&address).await;
        spawn(async move {
            sleep(Duration::from_millis(30)).await;
            let _accepted = unix.accept().unwrap();
            sleep(SECOND).await;
        });
        Stream::connect(&address, SECOND).await.unwrap();
    });
}

#[test]
fn a_dead_unix_socket_is_replaced_and_a_live_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let address = Address::Unix(directory.path().join("socket"));
    run(async {
        drop(Listener::bind(&address).unwrap());
        let live = Listener::bind(&address).unwrap();
        let error = Listener::bind(&address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&address.to_string()), "{error}");
        pair_on(&live).await;
        let file = directory.path().join("file");
        std::fs::write(&file, "precious").unwrap();
        assert!(Listener::bind(&Address::Unix(file.clone())).is_err());
        assert_eq!(std::fs::read(file).unwrap(), b"precious");
    });
}

#[test]
fn many_listeners_share_an_address() {
    run(async {
        let first = Listener::bind(&tcp()).unwrap();
        let second = Listener::bind(&first.local_address().unwrap()).unwrap();
        let accepted = Rc::new(Cell::new((0, 0)));
        let address = first.local_address().unwrap();
        let counts = Rc::clone(&accepted);
        spawn(async move {
            loop {
                let which = rt::select(first.accept(), second.accept()).await;
                let (a, b) = counts.get();
                counts.set(match which {
                    rt::Either::Left(_) => (a + 1, b),
                    rt::Either::Right(_) => (a, b + 1),
                });
            }
        });
        for _ in 0..64 {
            Stream::connect(&address, SECOND).await.unwrap();
        }
        while accepted.get().0 + accepted.get().1 < 64 {
            sleep(Duration::from_millis(1)).await;
        }
        let (a, b) = accepted.get();
        assert!(a > 0 && b > 0, "{a} {b}");
    });
}

#[test]
fn dropping_an_accept_loses_no_connection() {
    run(async {
        let listener = Listener::bind(&tcp()).unwrap();
        let address = listener.local_address().unwrap();
        for _ in 0..500 {
            let connect = async {
                let stream = Stream::connect(&address, SECOND).await.unwrap();
                stream.write_all(b"here").await.unwrap();
                stream
            };
            let early = rt::select(listener.accept(), connect).await;
            let (_client, (server, _)) = match early {
                rt::Either::Left(accepted) => (None, accepted.unwrap()),
                rt::Either::Right(client) => {
                    let accepted = timeout(SECOND, listener.accept()).await.unwrap();
                    (Some(client), accepted.unwrap())
                }
            };
            drop(server);
        }
        assert!(
            timeout(Duration::from_millis(10), listener.accept())
                .await
                .is_err()
        );
    });
}

#[test]
fn one_task_waits_for_two_streams_and_a_timer() {
    run(async {
        let (a_far, a) = pair().await;
        let (b_far, b) = pair().await;
        let wait = || {
            timeout(
                Duration::from_millis(30),
                rt::select(a.readable(), b.readable()),
            )
        };
        assert!(wait().await.is_err());
        b_far.write_all(b"b").await.unwrap();
        assert!(matches!(wait().await, Ok(rt::Either::Right(Ok(())))));
        a_far.write_all(b"a").await.unwrap();
        assert!(matches!(wait().await, Ok(rt::Either::Left(Ok(())))));
        // Reading and writing one stream at once.
        let mut buffer = [0; 1];
        let both = rt::select(a.read(&mut buffer), a.writable()).await;
        assert!(matches!(both, rt::Either::Left(Ok(1))));
    });
}

#[test]
fn writing_waits_for_the_reader_and_all_arrives() {
    run(async {
        let (client, server) = pair().await;
        let data: Vec<u8> = (0..8 << 20).map(|n: u32| (n % 251) as u8).collect();
        let expected = data.clone();
        spawn(async move {
            client.write_all(&data).await.unwrap();
        });
        sleep(Duration::from_millis(20)).await;
        let mut read = Vec::new();
        while server.read_into(&mut read, usize::MAX).await.unwrap() > 0 {}
        assert!(read == expected);
    });
}

#[test]
fn read_into_respects_its_bound_and_appends() {
    run(async {
        let (client, server) = pair().await;
        client.write_all(b"0123456789").await.unwrap();
        let mut buffer = b"> ".to_vec();
        assert_eq!(server.read_into(&mut buffer, 4).await.unwrap(), 4);
        assert_eq!(server.read_into(&mut buffer, 100).await.unwrap(), 6);
        assert_eq!(buffer, b"> 0123456789");
    });
}

#[test]
fn a_peer_that_resets_or_has_gone_is_an_error_not_a_signal() {
    run(async {
        let (client, server) = pair().await;
        server.write_all(b"unread").await.unwrap();
        client.readable().await.unwrap();
        // Closed with bytes unread: a reset.
        drop(client);
        let error = server.read(&mut [0; 10]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let error = server.write_all(b"more").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_reset_is_noticed_without_a_call_and_a_half_closed_peer_is_still_there() {
    run(async {
        let nothing = Duration::from_millis(50);
        let (client, server) = pair().await;
        client.shutdown_write().unwrap();
        for _ in 0..2 {
            let hung_up = timeout(nothing, server.hung_up()).await;
            assert!(hung_up.is_err(), "it still reads");
        }
        let (client, server) = pair().await;
        assert!(timeout(nothing, server.hung_up()).await.is_err(), "nothing");
        server.write_all(b"unread").await.unwrap();
        client.readable().await.unwrap();
        spawn(async move {
            sleep(nothing).await;
            drop(client); // With bytes unread: a reset.
        });
        for _ in 0..2 {
            assert!(timeout(SECOND, server.hung_up()).await.is_ok(), "gone");
        }
    });
}

#[test]
fn closing_with_a_poll_in_flight_closes_for_the_peer_too() {
    run(async {
        for _ in 0..50 {
            let (client, server) = pair().await;
            assert!(
                timeout(Duration::from_millis(1), client.readable())
                    .await
                    .is_err()
            );
            spawn(async move {
                let _ = rt::select(client.readable(), rt::yield_now()).await;
                drop(client);
            });
            let read = timeout(SECOND, server.read(&mut [0; 1])).await;
            assert_eq!(read.unwrap().unwrap(), 0);
        }
    });
}

/// Far more polls at once than the ring has room for, completing all together.
#[test]
fn a_small_ring_serves_many_streams() {
    let config = ShardConfig {
        ring_entries: 2,
        ..ShardConfig::default()
    };
    let count = 300;
    rt::block_on(config, async {
        let listener = Listener::bind(&tcp()).unwrap();
        let done = Rc::new(Cell::new(0));
        let mut clients = Vec::new();
        for _ in 0..count {
            let (client, server) = pair_on(&listener).await;
            clients.push(client);
            let done = Rc::clone(&done);
            spawn(async move {
                let mut buffer = Vec::new();
                while server.read_into(&mut buffer, 100).await.unwrap() > 0 {
                    server.write_all(&buffer).await.unwrap();
                    buffer.clear();
                }
                done.set(done.get() + 1);
            });
        }
        for round in 0..20u8 {
            for client in &clients {
                // A poll that is dropped at once: a cancellation each as well.
                let _ = rt::select(client.readable(), rt::yield_now()).await;
                assert_eq!(client.try_write(&[round]).unwrap(), 1);
            }
            for client in &clients {
                let mut buffer = [0];
                let read = timeout(SECOND * 5, client.read(&mut buffer)).await;
                assert_eq!(read.unwrap().unwrap(), 1);
                assert_eq!(buffer[0], round);
            }
        }
        drop(clients);
        while done.get() < count {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .unwrap();
}

/// A task whose streams always have bytes does not keep the others from their turn.
#[test]
fn busy_streams_leave_room_for_others() {
    run(async {
        let (client, server) = pair().await;
        let stop = Rc::new(Cell::new(false));
        let (stop_writing, stop_reading) = (Rc::clone(&stop), Rc::clone(&stop));
        spawn(async move {
            let piece = vec![0; 1 << 16];
            while !stop_writing.get() {
                client.write_all(&piece).await.unwrap();
            }
        });
        spawn(async move {
            let mut piece = [0; 512];
            while !stop_reading.get() && server.read(&mut piece).await.unwrap() > 0 {}
        });
        let start = rt::now();
        for _ in 0..20 {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(start.elapsed() < SECOND);
        stop.set(true);
    });
}
