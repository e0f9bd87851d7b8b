//! Round trips, any split, bombs, rubbish, and what stands behind a flush point.

use proptest::prelude::*;

use super::*;
use crate::wire::replay::split;

/// All text that comes of `pieces`, and how it ended.
fn text_of(pieces: &[&[u8]]) -> (Vec<u8>, Result<(), Garbled>) {
    let mut deflated = Deflated::default();
    let mut text = Vec::new();
    for piece in pieces {
        deflated.incoming.extend_from_slice(piece);
        loop {
            if let Err(why) = deflated.advance() {
                return (text, Err(why));
            }
            if deflated.read(1000, |here| text.extend_from_slice(here)) == 0 {
                break;
            }
        }
    }
    (text, Ok(()))
}

fn received(incoming: Vec<u8>) -> Deflated {
    Deflated {
        incoming,
        ..Deflated::default()
    }
}

fn sent(deflated: &mut Deflated, data: &[u8]) -> Vec<u8> {
    let wire = deflated.write(data).unwrap();
    deflated.sent();
    wire
}

/// A stream that ends, with `data` in it.
fn finished(data: &[u8]) -> Vec<u8> {
    let mut deflate = Deflate::new(9, false, 15);
    let mut out = vec![0; data.len() + 1000];
    let status = deflate.compress(data, &mut out, DeflateFlush::Finish);
    assert_eq!(status, Ok(Status::StreamEnd));
    out.truncate(usize::try_from(deflate.total_out()).unwrap());
    out
}

/// Bytes as they are in mail, or none that could be made shorter.
fn data() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3000),
        ("[a-e \r\n]{0,40}", 1..2000usize).prop_map(|(line, times)| line.repeat(times).into()),
        prop::collection::vec(prop::sample::select(vec![0u8, 0xff]), 0..3000),
    ]
}

proptest! {
    /// What goes in comes out, however it is cut, with the compressor given back now and then.
    #[test]
    fn any_split_of_any_writes_gives_the_same(
        writes in prop::collection::vec((data(), any::<bool>()), 0..6),
        cuts in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let mut sender = Deflated::default();
        let (mut all, mut wire) = (Vec::new(), Vec::new());
        for (data, rests) in &writes {
            all.extend_from_slice(data);
            wire.extend(sent(&mut sender, data));
            if *rests {
                sender.rest();
            }
        }
        let (text, end) = text_of(&split(&wire, &cuts));
        prop_assert_eq!(end, Ok(()));
        prop_assert_eq!(text.len(), all.len());
        prop_assert!(text == all);
        let counts = sender.counts();
        prop_assert_eq!((counts.text_out, counts.wire_out), (all.len() as u64, wire.len() as u64));
    }

    /// Rubbish ends with an error, or waits for more; the split changes nothing.
    #[test]
    fn rubbish_is_the_same_in_any_split(
        wire in prop::collection::vec(any::<u8>(), 0..600),
        cuts in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let whole = text_of(&[&wire]);
        let pieces = text_of(&split(&wire, &cuts));
        prop_assert_eq!(whole, pieces);
    }

    /// What stands behind a flush point is left alone as long as nobody asks for more.
    #[test]
    fn behind_a_flush_point_all_is_as_it_came(
        data in data(), behind in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut wire = sent(&mut Deflated::default(), &data);
        wire.extend_from_slice(&behind);
        let mut deflated = received(wire);
        let mut text = Vec::new();
        while text.len() < data.len() {
            deflated.advance().unwrap();
            deflated.read(usize::MAX, |here| text.extend_from_slice(here));
        }
        prop_assert!(text == data);
        if !data.is_empty() {
            prop_assert!(deflated.incoming.ends_with(&behind));
        }
    }
}

#[test]
fn a_bomb_comes_out_in_pieces() {
    let bomb = finished(&vec![b'A'; 20_000_000]);
    assert!(bomb.len() < 20_000, "{}", bomb.len());
    let mut deflated = received(bomb);
    let mut came = 0;
    while deflated.advance().is_ok() {
        assert!(deflated.text.len() <= TEXT_BYTES_MAX);
        came += deflated.read(usize::MAX, |_| {});
    }
    assert_eq!(came, 20_000_000);
}

#[test]
fn behind_a_streams_end_all_is_as_it_came() {
    let wire = [&finished(b"a1 UNAUTHENTICATE\r\n"), &b"a2 NOOP\r\n"[..]].concat();
    let mut deflated = received(wire);
    deflated.advance().unwrap();
    let mut text = Vec::new();
    deflated.read(usize::MAX, |here| text.extend_from_slice(here));
    assert_eq!(text, b"a1 UNAUTHENTICATE\r\n");
    assert_eq!(deflated.incoming, b"a2 NOOP\r\n");
    assert_eq!(deflated.advance(), Err(Garbled::Ended));
}

#[test]
fn plain_commands_are_no_deflate_stream() {
    let (text, end) = text_of(&[b"a1 NOOP\r\n"]);
    assert_eq!((text, end), (Vec::new(), Err(Garbled::NoDeflate)));
}

#[test]
fn nothing_is_written_behind_a_write_that_was_cut_off() {
    let mut deflated = Deflated::default();
    deflated.write(b"* OK").unwrap();
    assert_eq!(deflated.write(b"* OK"), Err(Garbled::Torn));
}
