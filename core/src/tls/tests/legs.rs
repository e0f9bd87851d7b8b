//! Legs on loopback: handshakes good and bad, relays, what a waiting leg wakes for, new
//! certificates.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Duration;

use super::authority::{authority, replace};
use crate::config::{Certificate, TlsClient};
use crate::rt::{self, Address, Listener, Pool, RelayError, ShardConfig, Stream};
use crate::tls::{Acceptor, Certificates, Connector, Leg, discard_exact, relay_exact};

const SECONDS: Duration = Duration::from_secs(10);

pub(super) fn run<F: Future>(test: F) -> F::Output {
    rt::block_on(ShardConfig::default(), async {
        rt::timeout(SECONDS, test).await.unwrap()
    })
    .unwrap()
}

/// Two ends of a connection.
pub(super) async fn connection() -> (Stream, Stream) {
    let listener = Listener::bind(&Address::Tcp("127.0.0.1:0".parse().unwrap())).unwrap();
    let address = listener.local_address().unwrap();
    let client = Stream::connect(&address, SECONDS).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

fn pool() -> Pool {
    Pool::background("tls", 1, 4).unwrap()
}

fn certificates(files: &[Certificate]) -> Certificates {
    Certificates::open(files).unwrap().unwrap()
}

fn connector(settings: &TlsClient) -> Connector {
    Connector::open(settings, Some("imap")).unwrap().unwrap()
}

/// Does two things at once.
pub(super) async fn join<A: Future, B: Future>(one: A, other: B) -> (A::Output, B::Output) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut first, mut second) = (None, None);
    poll_fn(|context| {
        if first.is_none()
            && let Poll::Ready(output) = one.as_mut().poll(context)
        {
            first = Some(output);
        }
        if second.is_none()
            && let Poll::Ready(output) = other.as_mut().poll(context)
        {
            second = Some(output);
        }
        match (first.is_some(), second.is_some()) {
            (true, true) => Poll::Ready(()),
            _ => Poll::Pending,
        }
    })
    .await;
    (first.unwrap(), second.unwrap())
}

/// Both ends do their handshakes: the client's leg and outcome, and the server's.
async fn shake_hands(
    acceptor: &Acceptor,
    connector: &Connector,
    name: &str,
) -> [(Leg, io::Result<()>); 2] {
    let (client, server) = connection().await;
    let (mut client, mut server) = (Leg::plain(client), Leg::plain(server));
    let both = join(
        connector.connect(&mut client, name),
        acceptor.accept(&mut server),
    );
    let (connected, accepted) = both.await;
    [(client, connected), (server, accepted)]
}

pub(super) async fn legs() -> (Leg, Leg) {
    static FILES: OnceLock<Certificate> = OnceLock::new();
    let files = FILES.get_or_init(|| authority().issue("legs", "a.test"));
    let acceptor = certificates(std::slice::from_ref(files)).acceptor(pool());
    let both = shake_hands(&acceptor, &connector(&authority().client()), "a.test").await;
    let [(client, connected), (server, accepted)] = both;
    connected.unwrap();
    accepted.unwrap();
    (client, server)
}

pub(super) async fn read(leg: &Leg, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let left = len - bytes.len();
        let count = leg.read_into(&mut bytes, left).await.unwrap();
        assert!(count > 0, "closed");
    }
    bytes
}

pub(super) fn data(len: usize) -> Vec<u8> {
    (0..len)
        .map(|n| u8::try_from(n * 7 % 253).unwrap())
        .collect()
}

/// Whether the leg wakes its reader within a short while.
pub(super) async fn wakes(leg: &Leg) -> bool {
    rt::timeout(Duration::from_millis(50), leg.readable())
        .await
        .is_ok()
}

#[test]
fn bytes_and_the_end_of_them_arrive() {
    run(async {
        let (client, server) = legs().await;
        assert!(client.is_tls() && client.version() == "TLSv1.3");
        let said = data(300_000);
        let (sent, got) = join(client.write_all(&said), read(&server, said.len())).await;
        sent.unwrap();
        assert!(got == said);
        client.close();
        drop(client);
        let mut rest = Vec::new();
        assert_eq!(server.read_into(&mut rest, 100).await.unwrap(), 0);
        assert_eq!(server.try_read(&mut [0; 9]).unwrap(), 0, "and stays so");
    });
}

#[test]
fn an_end_without_a_word_is_an_error() {
    run(async {
        let (client, server) = legs().await;
        client.write_all(b"half").await.unwrap();
        drop(client);
        assert_eq!(read(&server, 4).await, b"half");
        for _ in 0..2 {
            let error = server.read_into(&mut Vec::new(), 9).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    });
}

/// What a server says after the handshake for TLS' own sake (session tickets) is no news.
#[test]
fn a_leg_wakes_for_plaintext_alone() {
    run(async {
        let (client, server) = legs().await;
        assert!(client.is_quiet() && server.is_quiet());
        assert!(!wakes(&client).await && client.is_quiet());
        server.write_all(b"* BYE").await.unwrap();
        assert!(wakes(&client).await && !client.is_quiet());
        assert_eq!(read(&client, 2).await, b"* ");
        assert!(wakes(&client).await, "what has been decrypted is news too");
        assert_eq!(read(&client, 3).await, b"BYE");
        assert!(!wakes(&client).await);
        server.close();
        assert!(wakes(&client).await && !client.is_quiet());
    });
}

#[test]
fn a_write_that_was_given_up_leaves_the_stream_in_order() {
    run(async {
        let (client, server) = legs().await;
        let said = data(20_000_000);
        let short = Duration::from_millis(30);
        assert!(rt::timeout(short, client.write_all(&said)).await.is_err());
        let more = rt::timeout(short, client.write_all(b"never at the front")).await;
        assert!(more.is_err(), "what came before isn't sent yet");
        let got = read(&server, 1_000_000).await;
        assert!(got == said[..1_000_000]);
    });
}

#[test]
fn relays_between_all_kinds_of_legs() {
    run(async {
        for (tls_from, tls_to) in [(true, false), (false, true), (true, true), (false, false)] {
            let pair = async |tls| {
                if tls {
                    return legs().await;
                }
                let (one, other) = connection().await;
                (Leg::plain(one), Leg::plain(other))
            };
            let (source, from) = pair(tls_from).await;
            let (to, sink) = pair(tls_to).await;
            let said = [data(500_000), b"next".to_vec()].concat();
            let relay = async {
                let relayed = relay_exact(&from, &to, 500_000, SECONDS).await.unwrap();
                assert_eq!(relayed.copied + relayed.spliced, 500_000);
                assert_eq!(relayed.spliced > 0, !tls_from && !tls_to);
            };
            let transfer = join(relay, read(&sink, 500_000));
            let (sent, ((), got)) = join(source.write_all(&said), transfer).await;
            sent.unwrap();
            assert!(got == said[..500_000]);
            assert!(sink.is_quiet(), "not a byte too much");
            assert_eq!(read(&from, 4).await, b"next");
        }
    });
}

#[test]
fn relays_say_which_leg_failed() {
    run(async {
        let stall = Duration::from_millis(50);
        let (source, from) = legs().await;
        let (to, sink) = legs().await;
        source.write_all(&data(1000)).await.unwrap();
        let failed = relay_exact(&from, &to, 2000, stall).await.unwrap_err();
        assert!(matches!(failed, RelayError::From(e) if e.kind() == io::ErrorKind::TimedOut));
        drop(source);
        let failed = relay_exact(&from, &to, 2000, stall).await.unwrap_err();
        assert!(matches!(failed, RelayError::From(e) if e.kind() != io::ErrorKind::TimedOut));
        assert!(discard_exact(&from, 1, stall).await.is_err());

        let (source, from) = legs().await;
        let said = data(30_000_000);
        let writing = rt::timeout(stall * 4, source.write_all(&said));
        let (_, failed) = join(writing, relay_exact(&from, &to, 30_000_000, stall)).await;
        match failed.unwrap_err() {
            RelayError::To { error, left } => {
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                assert!(left > 0 && left < 30_000_000);
            }
            other => panic!("{other}"),
        }
        drop(sink);
    });
}

#[test]
fn discarding_takes_no_byte_too_much() {
    run(async {
        let (client, server) = legs().await;
        let said = [data(100_000), b"next".to_vec()].concat();
        let discarded = discard_exact(&server, 100_000, SECONDS);
        let (sent, discarded) = join(client.write_all(&said), discarded).await;
        sent.unwrap();
        discarded.unwrap();
        assert_eq!(read(&server, 4).await, b"next");
    });
}

#[test]
fn a_bad_certificate_ends_the_handshake_on_both_sides() {
    run(async {
        let acceptor = certificates(&[authority().issue("bad", "a.test")]).acceptor(pool());
        let trusting = authority().client();
        let stranger = TlsClient {
            ca: Some(authority().issue("other", "other.test").chain),
            ..trusting.clone()
        };
        for (settings, name, why) in [
            (&trusting, "b.test", "not valid for name"),
            (&trusting, "127.0.0.1", "not valid for name"),
            (&stranger, "a.test", "UnknownIssuer"),
        ] {
            let [client, server] = shake_hands(&acceptor, &connector(settings), name).await;
            let said = client.1.unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
            assert!(
                server.1.unwrap_err().to_string().contains("alert"),
                "an alert came"
            );
            assert!(
                client.0.write_all(b"secret").await.is_err(),
                "never in clear"
            );
        }
        let unchecked = TlsClient {
            verify: false,
            ..stranger
        };
        let [client, _] = shake_hands(&acceptor, &connector(&unchecked), "b.test").await;
        client.1.unwrap();
    });
}

#[test]
fn another_protocol_is_refused() {
    run(async {
        let acceptor = certificates(&[authority().issue("alpn", "a.test")]).acceptor(pool());
        let open = |name| {
            Connector::open(&authority().client(), name)
                .unwrap()
                .unwrap()
        };
        for (name, good) in [
            (Some("imap"), true),
            (None, true),
            (Some("http/1.1"), false),
        ] {
            let [client, server] = shake_hands(&acceptor, &open(name), "a.test").await;
            assert_eq!(
                (client.1.is_ok(), server.1.is_ok()),
                (good, good),
                "{name:?}"
            );
        }
    });
}

#[test]
fn the_certificate_is_the_one_asked_for() {
    run(async {
        let other = authority().issue("sni-0", "imap.a.test");
        let mut one = authority().issue("sni-1", "imap.b.test");
        one.names = vec!["imap.b.test".into()];
        let mut wild = authority().issue("sni-2", "*.c.test");
        wild.names = vec!["*.c.test".into()];
        let acceptor = certificates(&[other, one, wild]).acceptor(pool());
        let connector = connector(&authority().client());
        for (name, good) in [
            ("imap.a.test", true),
            ("imap.b.test", true),
            ("IMAP.b.test", true),
            ("x.c.test", true),
            ("c.test", false),
            ("x.y.c.test", false),
            ("x.b.test", false),
        ] {
            let [client, _] = shake_hands(&acceptor, &connector, name).await;
            assert_eq!(client.1.is_ok(), good, "{name}: {:?}", client.1);
        }
    });
}

#[test]
fn new_certificates_are_for_new_handshakes() {
    run(async {
        let files = authority().issue("renewed", "old.test");
        let mut certificates = certificates(std::slice::from_ref(&files));
        let acceptor = certificates.acceptor(pool());
        let connector = connector(&authority().client());
        let [(old, connected), (peer, _)] = shake_hands(&acceptor, &connector, "old.test").await;
        connected.unwrap();

        std::fs::write(&files.chain, "-----BEGIN CERTIFICATE-----\nAAAA").unwrap();
        assert!(certificates.reload().is_err());
        let [kept, _] = shake_hands(&acceptor, &connector, "old.test").await;
        kept.1.unwrap();

        replace(&files, &authority().issue("new", "new.test"));
        certificates.reload().unwrap();
        for (name, good) in [("old.test", false), ("new.test", true)] {
            let [client, _] = shake_hands(&acceptor, &connector, name).await;
            assert_eq!(client.1.is_ok(), good, "{name}");
        }
        old.write_all(b"still here").await.unwrap();
        assert_eq!(read(&peer, 10).await, b"still here");
    });
}

#[test]
fn files_that_cannot_be_used_are_named_and_not_shown() {
    let good = authority().issue("files", "a.test");
    let damaged = authority().path("damaged.key");
    let key = std::fs::read_to_string(&good.key).unwrap();
    std::fs::write(&damaged, key.replace("-----END", "--END")).unwrap();
    let other = authority().issue("files-2", "a.test");
    for (chain, key, why) in [
        ("nowhere.pem", "files.key", "nowhere.pem can't be read"),
        ("files.key", "files.key", "files.key has no certificate"),
        ("files.pem", "files.pem", "files.pem has no private key"),
        ("files.pem", "damaged.key", "damaged.key has no private key"),
        (
            "files.pem",
            "files-2.key",
            "files-2.key can't be used as the key of",
        ),
    ] {
        let files = Certificate {
            names: Vec::new(),
            chain: authority().path(chain),
            key: authority().path(key),
        };
        let said = Certificates::open(&[files]).err().unwrap().to_string();
        assert!(said.contains(why), "{said}");
        assert!(said.len() < 300 && !said.contains("MI"), "{said}");
    }
    drop(other);
    let none = TlsClient {
        ca: Some(authority().path("files.key")),
        ..authority().client()
    };
    assert!(Connector::open(&none, None).is_err());
}
