//! Compressed legs on loopback, with and without TLS below: text through, relays, what a waiting leg wakes for,
//! writes that were cut off.

use std::io;
use std::time::Duration;

use super::legs::{connection, data, join, legs, read, run, wakes};
use crate::rt::{self, Relayed};
use crate::tls::{Leg, discard_exact, discard_rest, relay_exact};

const SECONDS: Duration = Duration::from_secs(10);

/// Two ends, compressed.
async fn compressed(tls: bool) -> (Leg, Leg) {
    let (mut client, mut server) = if tls {
        legs().await
    } else {
        let (client, server) = connection().await;
        (Leg::plain(client), Leg::plain(server))
    };
    client.compress();
    server.compress();
    (client, server)
}

#[test]
fn text_arrives_both_ways() {
    for tls in [false, true] {
        run(async move {
            let (client, server) = compressed(tls).await;
            for (from, to) in [(&client, &server), (&server, &client)] {
                for said in [data(3), data(300_000), vec![0; 1_000_000]] {
                    assert!(to.is_quiet(), "nothing is there");
                    let (sent, got) = join(from.write_all(&said), read(to, said.len())).await;
                    sent.unwrap();
                    assert!(got == said);
                }
            }
            let counts = client.compression().unwrap();
            assert_eq!(counts.text_out, 1_300_003);
            assert!(counts.wire_out < 100_000, "{counts:?}");
            drop(client);
            let mut rest = Vec::new();
            // Without a close_notify the end isn't a clean one.
            let ended = server.read_into(&mut rest, 10).await;
            assert!(matches!(ended, Ok(0)) || tls && ended.is_err());
        });
    }
}

#[test]
fn it_wakes_for_text_and_not_for_less() {
    run(async {
        let (client, server) = compressed(false).await;
        assert!(!wakes(&server).await);
        // An empty block: bytes, and no text.
        client.channel().write_all(b"\0\0\0\xff\xff").await.unwrap();
        assert!(!wakes(&server).await && server.is_quiet());
        client.write_all(b"x").await.unwrap();
        assert!(wakes(&server).await && !server.is_quiet());
        assert_eq!(read(&server, 1).await, b"x");
        assert!(!wakes(&server).await);
        client.channel().write_all(b"\xff\xff").await.unwrap();
        assert!(wakes(&server).await);
        let failed = server.read_into(&mut Vec::new(), 10).await;
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(server.is_garbled());
        server.write_all(b"it can be told").await.unwrap();
        assert_eq!(read(&client, 14).await, b"it can be told");
    });
}

/// A reader that gives up at once and asks again doesn't keep the shard for itself while text is there.
#[test]
fn others_have_their_turn_while_text_is_there() {
    run(async {
        let (client, server) = compressed(false).await;
        client.write_all(&vec![b'A'; 5_000_000]).await.unwrap();
        let (mut got, mut turns) = (0, 0);
        let reader = async {
            let mut text = Vec::new();
            while got < 5_000_000 {
                server.readable().await.unwrap();
                let _ = rt::timeout(Duration::ZERO, server.read_into(&mut text, 1000)).await;
                got += text.len();
                text.clear();
            }
        };
        let others = async {
            loop {
                rt::yield_now().await;
                turns += 1;
            }
        };
        let _ = rt::select(reader, async {
            let _: () = others.await;
        })
        .await;
        assert!(turns > 20, "{turns}");
    });
}

#[test]
fn literals_are_relayed_by_copying() {
    run(async {
        let said = data(700_000);
        let (from, near) = compressed(false).await;
        let (far, to) = {
            let (one, other) = connection().await;
            (Leg::plain(one), Leg::plain(other))
        };
        for (source, a, b, target) in [(&from, &near, &far, &to), (&to, &far, &near, &from)] {
            let send = source.write_all(&said);
            let relay = relay_exact(a, b, said.len() as u64, SECONDS);
            let (sent, (relayed, got)) = join(send, join(relay, read(target, said.len()))).await;
            sent.unwrap();
            let all = said.len() as u64;
            assert_eq!(
                relayed.unwrap(),
                Relayed {
                    copied: all,
                    spliced: 0
                }
            );
            assert!(got == said);
        }
        let (sent, done) = join(
            from.write_all(&said),
            discard_exact(&near, 700_000, SECONDS),
        )
        .await;
        sent.and(done).unwrap();
        from.channel().write_all(b"\xff\xff rubbish").await.unwrap();
        drop(from);
        discard_rest(&near, SECONDS).await;
    });
}

#[test]
fn nothing_follows_a_write_that_was_cut_off() {
    run(async {
        let (client, server) = compressed(false).await;
        let short = Duration::from_millis(300);
        let fill = vec![0; 20_000_000];
        let random: Vec<u8> = (0..2_000_000).map(|_| fastrand::u8(..)).collect();
        let filled = rt::timeout(short, client.channel().write_all(&fill)).await;
        assert!(filled.is_err(), "nobody reads");
        let cut_off = rt::timeout(short, client.write_all(&random)).await;
        assert!(cut_off.is_err(), "nothing fits");
        assert!(client.write_all(b"more").await.is_err());
        drop(server);
    });
}

#[test]
fn compression_ends_where_the_peer_flushed() {
    run(async {
        let (mut client, mut server) = compressed(false).await;
        client.write_all(b"stop\r\n").await.unwrap();
        client.channel().write_all(b"in clear").await.unwrap();
        rt::sleep(Duration::from_millis(20)).await;
        assert_eq!(read(&server, 6).await, b"stop\r\n");
        let behind = server.stop_compressing();
        let rest = b"in clear".len() - behind.len();
        assert_eq!([behind, read(&server, rest).await].concat(), b"in clear");
        assert!(!server.is_compressed() && server.bare().is_some());
        client.stop_compressing();
        server.write_all(b"so here").await.unwrap();
        assert_eq!(read(&client, 7).await, b"so here");
    });
}

#[test]
fn the_compressor_rests() {
    run(async {
        let (client, server) = compressed(false).await;
        assert_eq!(client.rests_at(), None);
        client.write_all(b"hello hello hello").await.unwrap();
        client.rest();
        let at = client.rests_at().expect("it is too early");
        rt::sleep_until(at).await;
        client.rest();
        assert_eq!(client.rests_at(), None);
        client.write_all(b"hello hello hello").await.unwrap();
        let both = b"hello hello hellohello hello hello";
        assert_eq!(read(&server, both.len()).await, both);
    });
}
