//! BINARY and BINARY.SIZE (RFC 3516 section 4.2): a part with its transfer encoding undone.
//!
//! A large part is decoded piece by piece, once to know how long it is and whether it has a NUL, and once more to send it; what fits
//! into one piece is kept in between. What a part is, is found out before its message's response begins, so that an encoding that
//! nobody knows is a NO and no torn answer.

use std::ops::Range;

use ravenry_core::proto::imap::{BinarySection, FetchItem};

use super::content::Content;
use super::section::{partial, read, send_range};
use crate::imap::failure::Failure;
use crate::imap::session::Session;
use crate::message::{self, Decoder, HEADER_BYTES_MAX, Part};
use crate::shard::PIECE_BYTES;
use crate::store::Message;

/// What is known of an item before the response.
pub(super) enum Found {
    /// It is no item of BINARY.
    Other,
    /// There is no such part.
    Missing,
    /// BINARY.SIZE
    Size(u64),
    /// BINARY: the part, and what of it.
    Part(Encoded, Option<(u32, u32)>),
}

/// A part in its encoding.
pub(super) struct Encoded {
    range: Range<u64>,
    decoder: Decoder,
}

/// Whether it is an item of BINARY.
pub(super) fn is(item: &FetchItem) -> bool {
    matches!(item, FetchItem::Binary(_) | FetchItem::BinarySize(_))
}

/// Finds out about an item. `None`: the encoding isn't known.
pub(super) async fn find(
    session: &Session,
    item: &FetchItem,
    message: &Message,
    content: &Content,
) -> Result<Option<Found>, Failure> {
    let (FetchItem::Binary(BinarySection { path, .. }) | FetchItem::BinarySize(path)) = item else {
        return Ok(Some(Found::Other));
    };
    let Some((range, header)) = locate(path, message, content) else {
        return Ok(Some(Found::Missing));
    };
    let end = header.end.min(header.start + HEADER_BYTES_MAX as u64);
    let header = read(session, content, header.start..end).await?;
    let Some(decoder) = Decoder::of(&message::transfer_encoding(&header)) else {
        return Ok(None);
    };
    let part = Encoded { range, decoder };
    Ok(Some(match item {
        FetchItem::Binary(section) => Found::Part(part, section.partial),
        _ => Found::Size(part.size(session, content).await?),
    }))
}

/// Where a part lies, and its header; of the message itself, which is in no encoding, an empty one.
fn locate(path: &[u32], message: &Message, content: &Content) -> Option<(Range<u64>, Range<u64>)> {
    if path.is_empty() {
        return Some((0..message.size, 0..0));
    }
    let place = |what| content.structure(|structure| structure.locate(path, what));
    let (range, header) = (place(Part::Whole)?, place(Part::Mime)?);
    let fits = header.end <= message.size && range.end <= message.size;
    (fits && header.start <= header.end && range.start <= range.end).then_some((range, header))
}

/// Sends a part, or what `given` leaves of it.
pub(super) async fn send(
    session: &mut Session,
    part: &Encoded,
    given: Option<(u32, u32)>,
    content: &Content,
) -> Result<(), Failure> {
    if matches!(part.decoder, Decoder::Identity) {
        return send_range(session, content, partial(given, part.range.clone())).await;
    }
    let wanted = partial(given, 0..u64::MAX);
    let measured = part.measure(session, content, &wanted).await?;
    let tilde = if measured.has_nul { "~" } else { "" };
    let marker = format!("{tilde}{{{}}}\r\n", measured.size);
    session.client.push(marker.as_bytes());
    if let Some(bytes) = measured.bytes {
        return Ok(session.client.send(&bytes).await?);
    }
    let mut left = measured.size;
    let mut decoding = part.decoding(wanted);
    while let Some(bytes) = decoding.next(session, content).await? {
        left = left.saturating_sub(bytes.len() as u64);
        session.client.send(&bytes).await?;
    }
    if left > 0 {
        return Err(Failure::Torn("a part has become shorter".to_owned()));
    }
    Ok(())
}

/// What is to be said of decoded bytes before they are sent.
struct Measured {
    size: u64,
    has_nul: bool,
    /// All of them, if they aren't many.
    bytes: Option<Vec<u8>>,
}

impl Encoded {
    /// How many bytes there are, decoded.
    async fn size(&self, session: &Session, content: &Content) -> Result<u64, Failure> {
        if matches!(self.decoder, Decoder::Identity) {
            return Ok(self.range.end - self.range.start);
        }
        Ok(self.measure(session, content, &(0..u64::MAX)).await?.size)
    }

    async fn measure(
        &self,
        session: &Session,
        content: &Content,
        wanted: &Range<u64>,
    ) -> Result<Measured, Failure> {
        let mut measured = Measured {
            size: 0,
            has_nul: false,
            bytes: Some(Vec::new()),
        };
        let mut decoding = self.decoding(wanted.clone());
        while let Some(bytes) = decoding.next(session, content).await? {
            measured.size += bytes.len() as u64;
            measured.has_nul |= memchr::memchr(0, &bytes).is_some();
            match &mut measured.bytes {
                Some(kept) if measured.size <= PIECE_BYTES => kept.extend_from_slice(&bytes),
                kept => *kept = None,
            }
        }
        Ok(measured)
    }

    fn decoding(&self, wanted: Range<u64>) -> Decoding {
        Decoding {
            range: self.range.clone(),
            decoder: self.decoder.clone(),
            wanted,
            at: 0,
        }
    }
}

/// A part that is being decoded.
struct Decoding {
    /// What hasn't been read of it.
    range: Range<u64>,
    decoder: Decoder,
    /// Of what is decoded.
    wanted: Range<u64>,
    /// So much has been decoded.
    at: u64,
}

impl Decoding {
    /// The next bytes that are wanted; `None`: there are no more.
    async fn next(
        &mut self,
        session: &Session,
        content: &Content,
    ) -> Result<Option<Vec<u8>>, Failure> {
        while self.range.start < self.range.end && self.at < self.wanted.end {
            let end = self.range.end.min(self.range.start + PIECE_BYTES);
            let piece = read(session, content, self.range.start..end).await?;
            self.range.start = end;
            let mut bytes = Vec::with_capacity(piece.len());
            self.decoder.push(&piece, &mut bytes);
            if self.range.start == self.range.end {
                self.decoder.finish(&mut bytes);
            }
            let bytes = self.chosen(bytes);
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// What is wanted of bytes that come next.
    fn chosen(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let within = |place: u64| {
            let place = place.saturating_sub(self.at);
            usize::try_from(place).map_or(bytes.len(), |place| place.min(bytes.len()))
        };
        let (from, end) = (within(self.wanted.start), within(self.wanted.end));
        self.at += bytes.len() as u64;
        bytes.truncate(end);
        bytes.drain(..from.min(end));
        bytes
    }
}
