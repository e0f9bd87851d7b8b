//! A connection with or without TLS: what a leg stands on.
//!
//! Without TLS every method is the one of [`Stream`]. With it, reading gives plaintext: a channel is
//! readable when there is plaintext, the end or an error to be had, not when a session ticket has
//! come. What a dropped write left unsent goes out before what is written next. What TLS does while
//! it waits is boxed, so that a session without TLS is no larger for it.

use std::cell::RefCell;
use std::io;

use super::session::Session;
use crate::rt::{self, Address, Pool, Stream};

/// Ciphertext read at once.
const READ_BYTES_MAX: usize = 64 * 1024;
/// Plaintext encrypted at once: what lies in memory of a long output.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// A connection, plain until a handshake has been done on it.
pub(super) struct Channel {
    stream: Stream,
    tls: Option<Box<RefCell<Session>>>,
}

impl Channel {
    /// A connection without TLS (yet).
    pub(super) fn plain(stream: Stream) -> Self {
        Self { stream, tls: None }
    }

    /// The connection, where bytes may pass it as they are.
    pub(super) fn bare(&self) -> Option<&Stream> {
        self.tls.is_none().then_some(&self.stream)
    }

    /// Whether it is encrypted.
    pub(super) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The protocol's version for the log: "TLSv1.3"; "-" without TLS.
    pub(super) fn version(&self) -> &'static str {
        self.tls
            .as_ref()
            .map_or("-", |session| session.borrow().version())
    }

    /// Whether a handshake has begun that isn't over: nothing can be said meanwhile.
    pub(super) fn is_handshaking(&self) -> bool {
        self.tls
            .as_ref()
            .is_some_and(|session| session.borrow().is_handshaking())
    }

    /// Does the handshake; the caller gives it a deadline. Where it fails or is dropped, the channel
    /// is of no more use: it doesn't go back to plaintext. With a `pool` the cryptography is done
    /// there, so that a storm of handshakes doesn't keep the shard from its sessions.
    pub(super) async fn handshake(
        &mut self,
        session: Session,
        pool: Option<&Pool>,
    ) -> io::Result<()> {
        self.tls = Some(Box::new(RefCell::new(session)));
        let Some(session) = self.tls.as_deref() else {
            return Ok(());
        };
        loop {
            let advanced = match pool {
                None => session.borrow_mut().advance(),
                // There is nothing to work on before a record is whole.
                Some(_) if !session.borrow().has_record() => Ok(()),
                Some(pool) => advance_on(pool, session).await?,
            };
            let sent = self.flush(session).await; // A handshake that failed ends with an alert.
            advanced.map_err(broken)?;
            sent?;
            if !session.borrow().is_handshaking() {
                return Ok(());
            }
            self.read_some(session).await?;
        }
    }

    /// Reads records, once some are there.
    async fn read_some(&self, session: &RefCell<Session>) -> io::Result<()> {
        loop {
            rt::allowance().await;
            let read = {
                let incoming = &mut session.borrow_mut().incoming;
                self.stream.try_read_into(incoming, READ_BYTES_MAX)
            };
            match read {
                Ok(0) => return Err(truncated()),
                Ok(_) => return Ok(()),
                Err(error) if is_would_block(&error) => self.stream.readable().await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// As [`Stream::read_into`]. Zero: the peer has closed, with TLS by a close_notify.
    ///
    /// # Errors
    /// What the system calls or rustls say; `UnexpectedEof` where the peer was cut off.
    pub(super) async fn read_into(&self, buffer: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        let Some(session) = &self.tls else {
            return self.stream.read_into(buffer, max).await;
        };
        Box::pin(self.decrypt_into(session, buffer, max)).await
    }

    async fn decrypt_into(
        &self,
        session: &RefCell<Session>,
        buffer: &mut Vec<u8>,
        max: usize,
    ) -> io::Result<usize> {
        loop {
            rt::allowance().await;
            match self.pump(session) {
                Err(error) if is_would_block(&error) => self.stream.readable().await?,
                other => {
                    other?;
                    let take = |plain: &[u8]| buffer.extend_from_slice(plain);
                    return Ok(session.borrow_mut().read(max, take));
                }
            }
        }
    }

    /// As [`Stream::try_read_into`].
    ///
    /// # Errors
    /// As [`Self::read_into`], and `WouldBlock` if nothing is there.
    pub(super) fn try_read_into(&self, buffer: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        let Some(session) = &self.tls else {
            return self.stream.try_read_into(buffer, max);
        };
        self.pump(session)?;
        let take = |plain: &[u8]| buffer.extend_from_slice(plain);
        Ok(session.borrow_mut().read(max, take))
    }

    /// As [`Stream::try_read`].
    ///
    /// # Errors
    /// As [`Self::read_into`], and `WouldBlock` if nothing is there.
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(session) = &self.tls else {
            return self.stream.try_read(buffer);
        };
        self.pump(session)?;
        let room = buffer.len();
        let take = |plain: &[u8]| buffer[..plain.len()].copy_from_slice(plain);
        Ok(session.borrow_mut().read(room, take))
    }

    /// Waits until reading gives bytes, the end or an error.
    ///
    /// # Errors
    /// If the ring does not take the poll.
    pub(super) async fn readable(&self) -> io::Result<()> {
        let Some(session) = &self.tls else {
            return self.stream.readable().await;
        };
        Box::pin(self.news(session)).await
    }

    /// As [`Stream::hung_up`].
    pub(super) async fn hung_up(&self) {
        self.stream.hung_up().await;
    }

    async fn news(&self, session: &RefCell<Session>) -> io::Result<()> {
        loop {
            // Much may come of few bytes: others have their turn between.
            rt::allowance().await;
            match self.pump(session) {
                Err(error) if is_would_block(&error) => self.stream.readable().await?,
                // An error shows itself again when the channel is read.
                _ => return Ok(()),
            }
        }
    }

    /// As [`Stream::is_quiet`].
    pub(super) fn is_quiet(&self) -> bool {
        match &self.tls {
            None => self.stream.is_quiet(),
            Some(session) => self
                .pump(session)
                .is_err_and(|error| is_would_block(&error)),
        }
    }

    /// As [`Stream::acknowledge`].
    pub(super) fn acknowledge(&self) {
        self.stream.acknowledge();
    }

    /// As [`Stream::write_all`].
    ///
    /// # Errors
    /// What the system calls or rustls say; how much was written is not known then.
    pub(super) async fn write_all(&self, buffer: &[u8]) -> io::Result<()> {
        let Some(session) = &self.tls else {
            return self.stream.write_all(buffer).await;
        };
        Box::pin(self.encrypt_all(session, buffer)).await
    }

    async fn encrypt_all(&self, session: &RefCell<Session>, buffer: &[u8]) -> io::Result<()> {
        for chunk in buffer.chunks(WRITE_BYTES_MAX) {
            let encrypted = session.borrow_mut().write(chunk);
            encrypted.map_err(broken)?;
            self.flush(session).await?;
        }
        Ok(())
    }

    /// Says good-bye where TLS has a word for it (close_notify), as far as it can be said without
    /// waiting. For a clean end: the peer then knows that nothing was cut off.
    pub(super) fn close(&self) {
        if let Some(session) = &self.tls {
            let mut session = session.borrow_mut();
            if session.close().is_ok() {
                self.send_some(&mut session);
            }
        }
    }

    /// As [`Stream::shutdown_write`]: with TLS, [`Self::close`] comes before it.
    ///
    /// # Errors
    /// What the system call says.
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        self.stream.shutdown_write()
    }

    /// As [`Stream::local_address`].
    ///
    /// # Errors
    /// What the system call says.
    pub(super) fn local_address(&self) -> io::Result<Address> {
        self.stream.local_address()
    }

    /// Reads until there is plaintext, the end or an error; `WouldBlock`: none of them yet.
    fn pump(&self, session: &RefCell<Session>) -> io::Result<()> {
        let mut session = session.borrow_mut();
        while !session.has_news() {
            // What failed before fails again.
            session.advance().map_err(broken)?;
            match self
                .stream
                .try_read_into(&mut session.incoming, READ_BYTES_MAX)?
            {
                0 => return Err(truncated()),
                _ => {
                    let advanced = session.advance();
                    // An alert, or the answer to a new key: it may wait for the next write.
                    self.send_some(&mut session);
                    advanced.map_err(broken)?;
                }
            }
        }
        Ok(())
    }

    /// Sends what fits now.
    fn send_some(&self, session: &mut Session) {
        if let Ok(count) = self.stream.try_write(&session.outgoing) {
            session.outgoing.drain(..count);
        }
        if session.outgoing.is_empty() {
            session.outgoing = Vec::new();
        }
    }

    async fn flush(&self, session: &RefCell<Session>) -> io::Result<()> {
        loop {
            rt::allowance().await;
            {
                let outgoing = &mut session.borrow_mut().outgoing;
                if outgoing.is_empty() {
                    *outgoing = Vec::new();
                    return Ok(());
                }
                match self.stream.try_write(outgoing) {
                    Ok(count) => {
                        outgoing.drain(..count);
                        continue;
                    }
                    Err(error) if is_would_block(&error) => {}
                    Err(error) => return Err(error),
                }
            }
            self.stream.writable().await?;
        }
    }
}

/// Advances on a thread of the pool. Meanwhile, and where that fails, the channel has a
/// session that can do nothing.
async fn advance_on(
    pool: &Pool,
    session: &RefCell<Session>,
) -> io::Result<Result<(), rustls::Error>> {
    let mut lent = session.replace(Session::away());
    let worked = pool.run(move || {
        let advanced = lent.advance();
        (lent, advanced)
    });
    let (back, advanced) = worked.await.map_err(io::Error::other)?;
    session.replace(back);
    Ok(advanced)
}

pub(super) fn is_would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("TLS: {error}"))
}

fn truncated() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "closed without TLS' close_notify",
    )
}
