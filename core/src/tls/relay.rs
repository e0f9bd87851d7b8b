//! Literals from leg to leg: as `rt` does it where both are bare; copied where one has TLS or is compressed.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Leg;
use crate::rt::{self, Pool, RelayError, Relayed, SendFileError};

/// What is copied at once.
const COPY_BYTES_MAX: usize = 64 * 1024;
/// The same of a file, which a thread reads.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// As [`rt::relay_exact`]. A copying relay that waits for its source holds no buffer.
///
/// # Errors
/// Which leg failed and why.
pub async fn relay_exact(
    from: &Leg,
    to: &Leg,
    bytes: u64,
    stall: Duration,
) -> Result<Relayed, RelayError> {
    if let (Some(from), Some(to)) = (from.bare(), to.bare()) {
        return rt::relay_exact(from, to, bytes, stall).await;
    }
    Box::pin(copy(from, to, bytes, stall)).await
}

/// As [`rt::send_file`].
///
/// # Errors
/// What failed.
pub async fn send_file(
    source: (&Arc<File>, &Pool),
    offset: u64,
    bytes: u64,
    to: &Leg,
    stall: Duration,
) -> Result<Relayed, SendFileError> {
    if let Some(to) = to.bare() {
        return rt::send_file(source, offset, bytes, to, stall).await;
    }
    let mut sent = 0;
    while sent < bytes {
        let most = (bytes - sent).min(FILE_BYTES_MAX);
        let piece = rt::read_file(source, offset + sent, most).await?;
        let written = within(stall, to.write_all(&piece)).await;
        written.map_err(SendFileError::To)?;
        rt::count_copied(piece.len());
        sent += most;
    }
    Ok(Relayed {
        copied: bytes,
        spliced: 0,
    })
}

async fn copy(from: &Leg, to: &Leg, bytes: u64, stall: Duration) -> Result<Relayed, RelayError> {
    let mut left = bytes;
    while left > 0 {
        let chunk = read(from, left, stall).await.map_err(RelayError::From)?;
        left -= chunk.len() as u64;
        let sent = within(stall, to.write_all(&chunk)).await;
        sent.map_err(|error| RelayError::To { error, left })?;
        rt::count_copied(chunk.len());
    }
    Ok(Relayed {
        copied: bytes,
        spliced: 0,
    })
}

/// As [`rt::discard_exact`].
///
/// # Errors
/// `UnexpectedEof` if the source closed too early, `TimedOut` if it stalled; otherwise what the
/// leg says.
pub async fn discard_exact(from: &Leg, bytes: u64, stall: Duration) -> io::Result<()> {
    if let Some(stream) = from.bare() {
        return rt::discard_exact(stream, bytes, stall).await;
    }
    Box::pin(discard(from, bytes, stall)).await
}

async fn discard(from: &Leg, mut left: u64, stall: Duration) -> io::Result<()> {
    while left > 0 {
        left -= read(from, left, stall).await?.len() as u64;
    }
    Ok(())
}

/// Reads to the end, whatever it says, compressed or not; gives up where the peer is silent for `stall`.
pub async fn discard_rest(from: &Leg, stall: Duration) {
    if let Some(stream) = from.bare() {
        let _ = rt::discard_exact(stream, u64::MAX, stall).await;
        return;
    }
    let mut chunk = Vec::new();
    let channel = from.channel();
    while let Ok(1..) = within(stall, channel.read_into(&mut chunk, COPY_BYTES_MAX)).await {
        chunk.clear();
    }
}

async fn read(from: &Leg, left: u64, stall: Duration) -> io::Result<Vec<u8>> {
    let most = usize::try_from(left).unwrap_or(usize::MAX);
    let mut chunk = Vec::new();
    match within(stall, from.read_into(&mut chunk, most.min(COPY_BYTES_MAX))).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(chunk),
    }
}

async fn within<T>(stall: Duration, io: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    rt::timeout(stall, io).await?
}
