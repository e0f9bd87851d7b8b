//! A connection as the roles read and write it: with or without TLS ([`Channel`]), compressed or not
//! ([`Deflated`], RFC 4978).
//!
//! Without compression every method is the channel's. With it, reading gives text: a leg is readable when
//! there is text, the end or an error to be had, not when the peer has flushed nothing. A compressed leg
//! whose write was cut off can't be written to any more. What is needed for compression is boxed, so that a
//! session without it is no larger for it.

use std::cell::{Cell, RefCell};
use std::io;
use std::time::Duration;

use super::channel::{Channel, is_would_block};
use super::session::Session;
use crate::deflate::{Counts, Deflated, Garbled};
use crate::rt::{self, Address, Instant, Pool, Stream};

/// What is read at once of a compressed stream.
const READ_BYTES_MAX: usize = 16 * 1024;
/// What is compressed at once: for about a millisecond the shard does nothing else.
const WRITE_BYTES_MAX: usize = 64 * 1024;
/// The compressor of a leg that has written nothing for so long goes: it is a quarter of a megabyte.
const REST_AFTER: Duration = Duration::from_secs(2);

/// A connection, plain until a handshake has been done on it, or compression has begun.
pub struct Leg {
    channel: Channel,
    compressed: Option<Box<Compressed>>,
}

struct Compressed {
    deflated: RefCell<Deflated>,
    /// When the compressor was needed last; none: there is none.
    written: Cell<Option<Instant>>,
}

impl Leg {
    /// A connection without TLS (yet).
    #[must_use]
    pub fn plain(stream: Stream) -> Self {
        Self {
            channel: Channel::plain(stream),
            compressed: None,
        }
    }

    /// The connection, where bytes may pass it as they are.
    pub(super) fn bare(&self) -> Option<&Stream> {
        match self.compressed {
            None => self.channel.bare(),
            Some(_) => None,
        }
    }

    /// What lies below compression.
    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Whether it is encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.channel.is_tls()
    }

    /// The protocol's version for the log: "TLSv1.3"; "-" without TLS.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.channel.version()
    }

    /// Whether a handshake has begun that isn't over: nothing can be said meanwhile.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.channel.is_handshaking()
    }

    /// Our own end's address.
    ///
    /// # Errors
    /// What the system call says.
    pub fn local_address(&self) -> io::Result<Address> {
        self.channel.local_address()
    }

    /// Does the handshake; see [`Channel::handshake`]. It comes before compression.
    pub(super) async fn handshake(
        &mut self,
        session: Session,
        pool: Option<&Pool>,
    ) -> io::Result<()> {
        self.channel.handshake(session, pool).await
    }

    /// From here on both directions are compressed.
    pub fn compress(&mut self) {
        self.compressed = Some(Box::new(Compressed {
            deflated: RefCell::default(),
            written: Cell::new(None),
        }));
    }

    /// Whether it is compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.compressed.is_some()
    }

    /// From here on neither direction is compressed; gives what has come behind the peer's last flush
    /// point (RFC 8437 section 4.1). What text was here is lost.
    pub fn stop_compressing(&mut self) -> Vec<u8> {
        let ended = self.compressed.take();
        ended.map_or_else(Vec::new, |ended| ended.deflated.into_inner().incoming)
    }

    /// Bytes before and after compression; `None` without it.
    #[must_use]
    pub fn compression(&self) -> Option<Counts> {
        let compressed = self.compressed.as_ref()?;
        Some(compressed.deflated.borrow().counts())
    }

    /// Whether what came can't be decompressed: the peer can still be told so.
    #[must_use]
    pub fn is_garbled(&self) -> bool {
        self.compressed
            .as_ref()
            .is_some_and(|compressed| compressed.deflated.borrow().is_garbled())
    }

    /// When [`Self::rest`] is due, if nothing is written until then.
    #[must_use]
    pub fn rests_at(&self) -> Option<Instant> {
        let written = self.compressed.as_ref()?.written.get()?;
        Some(written + REST_AFTER)
    }

    /// Gives back what only a leg at work needs, if it has been at rest for long enough.
    pub fn rest(&self) {
        if let Some(compressed) = &self.compressed
            && self.rests_at().is_some_and(|at| at <= rt::now())
        {
            compressed.deflated.borrow_mut().rest();
            compressed.written.set(None);
        }
    }

    /// As [`Stream::read_into`]. Zero: the peer has closed, with TLS by a close_notify.
    ///
    /// # Errors
    /// What the system calls or rustls say; `UnexpectedEof` where the peer was cut off; `InvalidData`
    /// where what came can't be decompressed.
    pub async fn read_into(&self, buffer: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        let Some(compressed) = &self.compressed else {
            return self.channel.read_into(buffer, max).await;
        };
        Box::pin(self.inflate_into(compressed, buffer, max)).await
    }

    async fn inflate_into(
        &self,
        compressed: &Compressed,
        buffer: &mut Vec<u8>,
        max: usize,
    ) -> io::Result<usize> {
        loop {
            rt::allowance().await;
            match self.pump(compressed) {
                Err(error) if is_would_block(&error) => self.channel.readable().await?,
                other => {
                    other?;
                    let take = |text: &[u8]| buffer.extend_from_slice(text);
                    return Ok(compressed.deflated.borrow_mut().read(max, take));
                }
            }
        }
    }

    /// As [`Stream::try_read`].
    ///
    /// # Errors
    /// As [`Self::read_into`], and `WouldBlock` if nothing is there.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(compressed) = &self.compressed else {
            return self.channel.try_read(buffer);
        };
        self.pump(compressed)?;
        let room = buffer.len();
        let take = |text: &[u8]| buffer[..text.len()].copy_from_slice(text);
        Ok(compressed.deflated.borrow_mut().read(room, take))
    }

    /// Reads until there is text or the end of it; `WouldBlock`: neither yet.
    fn pump(&self, compressed: &Compressed) -> io::Result<()> {
        let mut deflated = compressed.deflated.borrow_mut();
        loop {
            deflated.advance().map_err(garbled)?;
            if deflated.has_text() {
                return Ok(());
            }
            let read = self
                .channel
                .try_read_into(&mut deflated.incoming, READ_BYTES_MAX)?;
            if read == 0 {
                return Ok(());
            }
        }
    }

    /// Waits until reading gives bytes, the end or an error.
    ///
    /// # Errors
    /// If the ring does not take the poll.
    pub async fn readable(&self) -> io::Result<()> {
        let Some(compressed) = &self.compressed else {
            return self.channel.readable().await;
        };
        Box::pin(self.news(compressed)).await
    }

    async fn news(&self, compressed: &Compressed) -> io::Result<()> {
        loop {
            // Much may come of few bytes: others have their turn between.
            rt::allowance().await;
            match self.pump(compressed) {
                Err(error) if is_would_block(&error) => self.channel.readable().await?,
                // The end or an error shows itself again when the leg is read.
                _ => return Ok(()),
            }
        }
    }

    /// As [`Stream::hung_up`].
    pub async fn hung_up(&self) {
        self.channel.hung_up().await;
    }

    /// As [`Stream::is_quiet`].
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        match &self.compressed {
            None => self.channel.is_quiet(),
            Some(compressed) => self
                .pump(compressed)
                .is_err_and(|error| is_would_block(&error)),
        }
    }

    /// As [`Stream::acknowledge`].
    pub fn acknowledge(&self) {
        self.channel.acknowledge();
    }

    /// As [`Stream::write_all`]. With compression the peer can read all of it when it has come.
    ///
    /// # Errors
    /// What the system calls or rustls say; how much was written is not known then.
    pub async fn write_all(&self, buffer: &[u8]) -> io::Result<()> {
        let Some(compressed) = &self.compressed else {
            return self.channel.write_all(buffer).await;
        };
        Box::pin(self.deflate_all(compressed, buffer)).await
    }

    async fn deflate_all(&self, compressed: &Compressed, buffer: &[u8]) -> io::Result<()> {
        for chunk in buffer.chunks(WRITE_BYTES_MAX) {
            if chunk.len() == WRITE_BYTES_MAX {
                rt::yield_now().await;
            }
            let written = compressed.deflated.borrow_mut().write(chunk);
            compressed.written.set(Some(rt::now()));
            self.channel.write_all(&written.map_err(garbled)?).await?;
            compressed.deflated.borrow_mut().sent();
        }
        Ok(())
    }

    /// Says good-bye where TLS has a word for it (close_notify), as far as it can be said without
    /// waiting. For a clean end: the peer then knows that nothing was cut off.
    pub fn close(&self) {
        self.channel.close();
    }

    /// As [`Stream::shutdown_write`]: with TLS, [`Self::close`] comes before it.
    ///
    /// # Errors
    /// What the system call says.
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.channel.shutdown_write()
    }
}

fn garbled(why: Garbled) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("deflate: {why}"))
}
