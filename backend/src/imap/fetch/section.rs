//! A section's value: a literal of the message's bytes, or NIL where there is no such part.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use ravenry_core::proto::imap::{Section, SectionText};
use ravenry_core::rt::{self, SendFileError};
use ravenry_core::tls;

use super::content::Content;
use crate::imap::failure::Failure;
use crate::imap::session::Session;
use crate::message::{self, HEADER_BYTES_MAX, Part};
use crate::shard::PIECE_BYTES;
use crate::store::Message;

/// A section's bytes.
pub(in crate::imap) enum Found {
    /// These.
    Bytes(Vec<u8>),
    /// Those that are here in the message.
    At(Range<u64>),
}

/// Finds them; `None`: there is no such part.
pub(in crate::imap) async fn find(
    session: &Session,
    section: &Section,
    message: &Message,
    content: &Content,
) -> Result<Option<Found>, Failure> {
    let Some(range) = locate(section, message, content) else {
        return Ok(None);
    };
    let SectionText::HeaderFields { names, not } = &section.text else {
        return Ok(Some(Found::At(partial(section.partial, range))));
    };
    let end = range.end.min(range.start + HEADER_BYTES_MAX as u64);
    let header = read(session, content, range.start..end).await?;
    let mut fields = message::header_fields(&header, names, *not);
    let chosen = partial(section.partial, 0..fields.len() as u64);
    let chosen = in_memory(&chosen).unwrap_or_default();
    fields.truncate(chosen.end);
    fields.drain(..chosen.start.min(fields.len()));
    Ok(Some(Found::Bytes(fields)))
}

/// Sends it.
pub(super) async fn send(
    session: &mut Session,
    section: &Section,
    message: &Message,
    content: &Content,
) -> Result<(), Failure> {
    let range = match find(session, section, message, content).await? {
        None => return Ok(session.client.send(b"NIL").await?),
        Some(Found::Bytes(bytes)) => return literal(session, &bytes).await,
        Some(Found::At(range)) => range,
    };
    send_range(session, content, range).await
}

/// Sends some of the message's bytes as a literal.
pub(super) async fn send_range(
    session: &mut Session,
    content: &Content,
    range: Range<u64>,
) -> Result<(), Failure> {
    if let Some(file) = &content.file
        && range.end - range.start > PIECE_BYTES
    {
        return stream(session, file, range).await;
    }
    let bytes = read(session, content, range).await?;
    literal(session, &bytes).await
}

/// Where it lies in the message.
fn locate(section: &Section, message: &Message, content: &Content) -> Option<Range<u64>> {
    let (header, size) = (u64::from(message.header_size), message.size);
    let what = match section.text {
        SectionText::All => Part::Whole,
        SectionText::Header | SectionText::HeaderFields { .. } => Part::Header,
        SectionText::Text => Part::Text,
        SectionText::Mime => Part::Mime,
    };
    if !section.path.is_empty() {
        let range = content.structure(|structure| structure.locate(&section.path, what))?;
        return (range.start <= range.end && range.end <= size).then_some(range);
    }
    match what {
        Part::Whole => Some(0..size),
        Part::Header => Some(0..header.min(size)),
        Part::Text => Some(header.min(size)..size),
        Part::Mime => None,
    }
}

/// What `<from.count>` leaves of it.
pub(super) fn partial(given: Option<(u32, u32)>, range: Range<u64>) -> Range<u64> {
    let Some((from, count)) = given else {
        return range;
    };
    let start = range.end.min(range.start + u64::from(from));
    start..range.end.min(start + u64::from(count))
}

fn in_memory(range: &Range<u64>) -> Option<Range<usize>> {
    Some(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

/// Some of the message's bytes.
pub(in crate::imap) async fn read(
    session: &Session,
    content: &Content,
    range: Range<u64>,
) -> Result<Vec<u8>, Failure> {
    let Some(file) = &content.file else {
        let bytes = in_memory(&range).and_then(|range| content.bytes.get(range));
        let bytes = bytes
            .ok_or_else(|| Failure::Torn("a message is shorter than its record says".to_owned()));
        return bytes.map(<[u8]>::to_vec);
    };
    let source = (file, &session.backend.parts.disk);
    let piece = rt::read_file(source, range.start, range.end - range.start).await;
    // The beginning of the response is on its way.
    piece.map_err(|error| Failure::Torn(error.to_string()))
}

async fn literal(session: &mut Session, bytes: &[u8]) -> Result<(), Failure> {
    session
        .client
        .push(format!("{{{}}}\r\n", bytes.len()).as_bytes());
    Ok(session.client.send(bytes).await?)
}

/// A large one goes from the file to the connection.
async fn stream(session: &mut Session, file: &Arc<File>, range: Range<u64>) -> Result<(), Failure> {
    let size = range.end - range.start;
    session.client.push(format!("{{{size}}}\r\n").as_bytes());
    session.client.flush().await?;
    let (client, disk) = (&mut session.client, &session.backend.parts.disk);
    let sent = tls::send_file(
        (file, disk),
        range.start,
        size,
        &client.stream,
        client.stall(),
    );
    match sent.await {
        Ok(sent) => {
            client.count_relayed(&sent);
            Ok(())
        }
        Err(SendFileError::To(error)) => Err(Failure::Client(error)),
        // Within a literal nothing but its bytes can be said.
        Err(error) => Err(Failure::Torn(error.to_string())),
    }
}
