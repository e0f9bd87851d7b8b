//! Literals from leg to leg: as `rt` does it where both are plain; copied where one has TLS.

use std::io;
use std::time::Duration;

use super::Leg;
use crate::rt::{self, RelayError, Relayed};

/// What is copied at once.
const COPY_BYTES_MAX: usize = 64 * 1024;

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
