//! Moving a known number of bytes from one connection to another: literals.
//!
//! From 64 KiB up the bytes go through a pipe by splice(2) and never enter user memory; below
//! that, or with no pipe to be had, they are copied through the shard's scratch buffer, which is
//! never held while waiting. While it waits for the source, a relay holds nothing.
//!
//! A relay that splices doesn't wait for the first byte but for a good part of a pipe (the source's low-water
//! mark), so that a body goes through in few large pieces. A source that is too slow for that is read as it comes.

use std::{error, fmt, io, time::Duration};

use super::{
    Instant, Stream,
    combine::allowance,
    flow::{Flow, Step},
    pipes::Lease,
    shard,
    stream::{is_would_block, uninterrupted},
    timer::{after, timeout, timeout_at},
};

/// From this size on splicing costs less than copying.
pub(super) const SPLICE_MIN: u64 = 64 << 10;
/// How much a relay that splices waits for: half a pipe.
const LOW_WATER: u32 = 128 << 10;
/// In what time that has to come; otherwise the source is slow.
const QUICK: Duration = Duration::from_secs(1);

/// How the bytes of a relay went.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Relayed {
    /// Through user memory.
    pub copied: u64,
    /// Through a pipe.
    pub spliced: u64,
}

/// Which leg of a relay failed.
#[derive(Debug)]
pub enum RelayError {
    /// The source; `UnexpectedEof` if it closed too early, `TimedOut` if it stalled. How much of
    /// what it gave has arrived isn't known.
    From(io::Error),
    /// The destination. What it got isn't known, and it can't go on being used; the source can.
    To {
        /// Why; `TimedOut` if it stalled.
        error: io::Error,
        /// Bytes that the source still has to give.
        left: u64,
    },
}

impl fmt::Display for RelayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From(error) => write!(f, "the source of a relay failed: {error}"),
            Self::To { error, .. } => write!(f, "the destination of a relay failed: {error}"),
        }
    }
}

impl error::Error for RelayError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::From(error) | Self::To { error, .. } => Some(error),
        }
    }
}

/// Moves exactly `bytes` from one connection to the other, and never reads beyond them. Whenever
/// nothing has moved for `stall`, it fails.
///
/// # Errors
/// Which leg failed and why.
pub async fn relay_exact(
    from: &Stream,
    to: &Stream,
    bytes: u64,
    stall: Duration,
) -> Result<Relayed, RelayError> {
    let mut relay = Relay {
        from,
        to,
        flow: Flow::new(bytes),
        patience: Patience::new(stall),
        low_water: LowWater { of: from, bytes: 1 },
        is_slow: false,
        relayed: Relayed::default(),
    };
    while relay.flow.left() > 0 {
        let lease = if relay.flow.left() >= SPLICE_MIN {
            Lease::take()
        } else {
            None
        };
        match lease {
            Some(lease) => relay.splice(lease).await?,
            None => relay.copy().await?,
        }
        // Here the pipe is back in the pool.
        if relay.flow.left() > 0 {
            relay.wait_readable().await.map_err(RelayError::From)?;
        }
    }
    Ok(relay.relayed)
}

/// What counts as readable at a connection: set back to the first byte when this goes.
struct LowWater<'a> {
    of: &'a Stream,
    bytes: u32,
}

impl LowWater<'_> {
    fn set(&mut self, bytes: u32) {
        if self.bytes != bytes {
            self.bytes = bytes;
            self.of.socket().set_low_water(bytes);
        }
    }
}

impl Drop for LowWater<'_> {
    fn drop(&mut self) {
        self.set(1);
    }
}

struct Relay<'a> {
    from: &'a Stream,
    to: &'a Stream,
    flow: Flow,
    patience: Patience,
    low_water: LowWater<'a>,
    is_slow: bool,
    relayed: Relayed,
}

impl Relay<'_> {
    /// Splices until all is done or the source has nothing more for now.
    async fn splice(&mut self, mut lease: Lease) -> Result<(), RelayError> {
        loop {
            match self.flow.step(lease.pipe().capacity) {
                Step::Done => return Ok(()),
                Step::Fill(most) => {
                    allowance().await;
                    match uninterrupted(|| lease.pipe().fill(self.from, most)) {
                        Ok(0) => return Err(ended()),
                        Ok(count) => {
                            self.flow.filled(count);
                            lease.set_dirty(true);
                            self.patience.renew();
                        }
                        Err(error) if is_would_block(&error) => return Ok(()),
                        Err(error) => return Err(RelayError::From(error)),
                    }
                }
                Step::Drain(most) => match uninterrupted(|| lease.pipe().drain(self.to, most)) {
                    Ok(count) => {
                        self.flow.drained(count);
                        lease.set_dirty(!self.flow.is_clean());
                        self.count_spliced(count);
                    }
                    Err(error) if is_would_block(&error) => self.wait_writable().await?,
                    Err(error) => return Err(self.to_failed(error)),
                },
            }
        }
    }

    /// Copies until all is done or the source has nothing more for now.
    async fn copy(&mut self) -> Result<(), RelayError> {
        while self.flow.left() > 0 {
            allowance().await;
            match self.copy_once() {
                Ok(unsent) => self.send(&unsent).await?,
                Err(RelayError::From(error)) if is_would_block(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// One read and one write through the scratch buffer. What the write left over is given back
    /// in a buffer of its own.
    fn copy_once(&mut self) -> Result<Vec<u8>, RelayError> {
        shard::with(|shard| {
            let mut scratch = shard.scratch.borrow_mut();
            let room = usize::try_from(self.flow.left())
                .unwrap_or(usize::MAX)
                .min(scratch.len());
            let count = self
                .from
                .try_read(&mut scratch[..room])
                .map_err(RelayError::From)?;
            if count == 0 {
                return Err(ended());
            }
            self.flow.passed_by(count);
            self.patience.renew();
            let sent = match self.to.try_write(&scratch[..count]) {
                Ok(sent) => sent,
                #[cfg(bug_9)] // What doesn't fit is taken for sent.
                Err(error) if is_would_block(&error) => count,
                Err(error) if is_would_block(&error) => 0,
                Err(error) => return Err(self.to_failed(error)),
            };
            self.count_copied(sent);
            Ok(scratch[sent..count].to_vec())
        })
    }

    async fn send(&mut self, mut unsent: &[u8]) -> Result<(), RelayError> {
        while !unsent.is_empty() {
            match self.to.try_write(unsent) {
                Ok(sent) => {
                    unsent = &unsent[sent..];
                    self.patience.renew();
                    self.count_copied(sent);
                }
                Err(error) if is_would_block(&error) => self.wait_writable().await?,
                Err(error) => return Err(self.to_failed(error)),
            }
        }
        Ok(())
    }

    async fn wait_readable(&mut self) -> io::Result<()> {
        self.patience.begin();
        if !self.is_slow && self.flow.left() >= SPLICE_MIN {
            let enough =
                u32::try_from(self.flow.left()).map_or(LOW_WATER, |left| left.min(LOW_WATER));
            self.low_water.set(enough);
            let quick = QUICK.min(self.patience.stall / 2);
            if let Ok(ready) = timeout(quick, self.from.readable()).await {
                return ready;
            }
            self.is_slow = true;
        }
        self.low_water.set(1);
        self.patience.wait(self.from.readable()).await
    }

    async fn wait_writable(&mut self) -> Result<(), RelayError> {
        self.patience
            .wait(self.to.writable())
            .await
            .map_err(|error| self.to_failed(error))
    }

    fn to_failed(&self, error: io::Error) -> RelayError {
        RelayError::To {
            error,
            left: self.flow.left(),
        }
    }

    fn count_spliced(&mut self, count: usize) {
        self.patience.renew();
        self.relayed.spliced += count as u64;
        shard::with(|shard| {
            shard.stats.bytes_spliced.add(count as u64);
            shard.spend_bytes(count);
        });
    }

    fn count_copied(&mut self, count: usize) {
        self.relayed.copied += count as u64;
        count_copied(count);
    }
}

/// Counts bytes of a relay that went through user memory, also against the running task's turn:
/// for relays that have to do something to the bytes on their way.
pub fn count_copied(bytes: usize) {
    shard::with(|shard| {
        shard.stats.bytes_copied.add(bytes as u64);
        shard.spend_bytes(bytes);
    });
}

/// Reads exactly `bytes` and forgets them. Whenever nothing has come for `stall`, it fails.
///
/// # Errors
/// `UnexpectedEof` if the source closed too early, `TimedOut` if it stalled; otherwise what the
/// system calls say.
pub async fn discard_exact(from: &Stream, bytes: u64, stall: Duration) -> io::Result<()> {
    let mut patience = Patience::new(stall);
    let mut flow = Flow::new(bytes);
    while flow.left() > 0 {
        allowance().await;
        let read = shard::with(|shard| {
            let mut scratch = shard.scratch.borrow_mut();
            let room = usize::try_from(flow.left())
                .unwrap_or(usize::MAX)
                .min(scratch.len());
            let read = from.try_read(&mut scratch[..room]);
            shard.spend_bytes(*read.as_ref().unwrap_or(&0));
            read
        });
        match read {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                flow.passed_by(count);
                patience.renew();
            }
            Err(error) if is_would_block(&error) => patience.wait(from.readable()).await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn ended() -> RelayError {
    RelayError::From(io::ErrorKind::UnexpectedEof.into())
}

/// How long a relay waits for progress. The clock is read when a wait begins, not for every call;
/// readiness that turns out to be none does not start it anew.
pub(super) struct Patience {
    stall: Duration,
    until: Option<Instant>,
}

impl Patience {
    pub(super) fn new(stall: Duration) -> Self {
        Self { stall, until: None }
    }

    /// Something has moved.
    pub(super) fn renew(&mut self) {
        self.until = None;
    }

    /// From now on nothing moves.
    fn begin(&mut self) -> Instant {
        *self.until.get_or_insert_with(|| after(self.stall))
    }

    pub(super) async fn wait(
        &mut self,
        ready: impl Future<Output = io::Result<()>>,
    ) -> io::Result<()> {
        timeout_at(self.begin(), ready).await?
    }
}
