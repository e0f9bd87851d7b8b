//! Two sessions without a socket between them: however their records are cut, what one writes is
//! what the other reads.

use std::sync::Arc;

use proptest::prelude::*;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion, version};

use super::*;
use crate::tls::tests::authority::authority;
use crate::tls::{pem, provider};

static TLS12: &[&SupportedProtocolVersion] = &[&version::TLS12];
static TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// A client and a server that have not said anything yet; the server's records are short where
/// `short`, so that its handshake messages go over several.
fn pair(versions: &[&'static SupportedProtocolVersion], short: bool) -> (Session, Session) {
    use std::sync::OnceLock;
    static FILES: OnceLock<crate::config::Certificate> = OnceLock::new();
    let files = FILES.get_or_init(|| authority().issue("session", "a.test"));
    let mut server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            pem::chain(&files.chain).unwrap(),
            pem::key(&files.key).unwrap(),
        )
        .unwrap();
    server.max_fragment_size = short.then_some(90);
    let roots = pem::roots(Some(&authority().path("ca.pem"))).unwrap();
    let client = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("a.test").unwrap();
    let client = UnbufferedClientConnection::new(Arc::new(client), name).unwrap();
    let server = UnbufferedServerConnection::new(Arc::new(server)).unwrap();
    (
        Session::new(End::Client(client)),
        Session::new(End::Server(server)),
    )
}

/// A network that gives bytes in pieces.
struct Cuts<'a> {
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl Cuts<'_> {
    /// Brings what one has to send to the other, piece by piece, and gives the plaintext.
    fn carry(&mut self, from: &mut Session, to: &mut Session) -> Vec<u8> {
        let (mut plain, wire) = (Vec::new(), std::mem::take(&mut from.outgoing));
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            let (piece, more) = rest.split_at((*self.sizes.next().unwrap()).min(rest.len()));
            to.incoming.extend_from_slice(piece);
            to.advance().unwrap();
            while to.read(7000, |bytes| plain.extend_from_slice(bytes)) > 0 {}
            rest = more;
        }
        assert!(to.incoming.is_empty(), "whole records leave nothing behind");
        assert_eq!(to.incoming.capacity(), 0);
        plain
    }

    fn shake_hands(&mut self, client: &mut Session, server: &mut Session) {
        client.advance().unwrap();
        for _ in 0..4 {
            self.carry(client, server);
            self.carry(server, client);
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
    }
}

/// Asks for new keys, as a peer may at any time in TLS 1.3.
fn new_keys(session: &mut Session) {
    let refresh = |state| match state {
        Ok(ConnectionState::WriteTraffic(traffic)) => traffic.refresh_traffic_keys(),
        _ => panic!("not established"),
    };
    match &mut session.end {
        End::Client(client) => refresh(client.process_tls_records(&mut []).state).unwrap(),
        End::Server(_) | End::Away => panic!("a client asks here"),
    }
    session.advance().unwrap();
}

fn data(len: usize, seed: usize) -> Vec<u8> {
    (0..len)
        .map(|n| u8::try_from((n * 31 + seed) % 251).unwrap())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_split_of_the_records_gives_the_same_bytes(
        sizes in proptest::collection::vec(prop_oneof![1_usize..40, 1000_usize..70_000], 1..8),
        lengths in proptest::collection::vec(0_usize..90_000, 1..6),
        old in any::<bool>(),
        short in any::<bool>(),
    ) {
        let (mut client, mut server) = pair(if old { TLS12 } else { TLS13 }, short);
        let mut cuts = Cuts { sizes: sizes.iter().cycle() };
        cuts.shake_hands(&mut client, &mut server);
        prop_assert_eq!(client.version(), if old { "TLSv1.2" } else { "TLSv1.3" });
        for (turn, length) in lengths.into_iter().enumerate() {
            let said = data(length, turn);
            client.write(&said).unwrap();
            prop_assert_eq!(&cuts.carry(&mut client, &mut server), &said);
            if !old && turn % 2 == 1 {
                new_keys(&mut client);
            }
            server.write(&said).unwrap();
            prop_assert_eq!(&cuts.carry(&mut server, &mut client), &said);
        }
        prop_assert!(!server.has_news());
        client.close().unwrap();
        cuts.carry(&mut client, &mut server);
        prop_assert!(server.has_news(), "the end is news");
        prop_assert_eq!(server.read(10, |_| ()), 0);
    }

    /// A bit that was changed on its way ends the session: nothing of the record, nor of what
    /// follows, is given out, and the peer is told. (A longer length only means that more is
    /// awaited; the type and version before it say nothing in TLS 1.3.)
    #[test]
    fn no_byte_of_a_forged_record_gets_through(at in 0_usize..3000, bit in 0_u8..8) {
        let (mut client, mut server) = pair(TLS13, false);
        Cuts { sizes: [usize::MAX].iter().cycle() }.shake_hands(&mut client, &mut server);
        client.write(&data(3000, 0)).unwrap();
        let at = at % client.outgoing.len();
        client.outgoing[at] ^= 1 << bit;
        server.incoming.append(&mut client.outgoing);
        if server.advance().is_ok() {
            prop_assert!(at < 5);
            let mut plain = Vec::new();
            server.read(9000, |bytes| plain.extend_from_slice(bytes));
            prop_assert!(plain.is_empty() || plain == data(3000, 0));
        } else {
            prop_assert!(!server.outgoing.is_empty(), "an alert");
            client.write(b"more").unwrap();
            server.incoming.append(&mut client.outgoing);
            prop_assert!(server.advance().is_err() && !server.has_news());
        }
    }
}

#[test]
fn nothing_can_be_said_before_the_handshake_is_over() {
    let (mut client, mut server) = pair(TLS13, false);
    client.advance().unwrap();
    server.incoming.append(&mut client.outgoing);
    server.advance().unwrap();
    assert!(server.is_handshaking());
    assert!(client.write(b"a001 LOGIN").is_err());
}

#[test]
fn plaintext_instead_of_a_handshake_is_refused_with_an_alert() {
    let (_, mut server) = pair(TLS13, false);
    server
        .incoming
        .extend_from_slice(b"a001 LOGIN fred secret\r\n");
    assert!(server.advance().is_err());
    assert!(!server.outgoing.is_empty() && !server.has_news());
    server.incoming.extend_from_slice(b"a002 NOOP\r\n");
    assert!(server.advance().is_err() && !server.has_news());
}
