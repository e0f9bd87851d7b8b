//! A connection: TCP or unix, always non-blocking, always closed by being dropped.
//!
//! Every operation tries its system call first and waits for readiness only after EAGAIN. Nothing
//! is lost when a future is dropped: a call that has moved bytes has returned already.

use std::{
    io,
    marker::PhantomData,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

#[cfg(feature = "foreign")]
use super::foreign;
use super::{
    Address,
    combine::allowance,
    reactor::{HUNG_UP, READABLE, WRITABLE, ready},
    shard,
    socket::Socket,
    timer::{sleep, timeout},
};

/// A connection. All methods take `&self`: one task may wait for reading and writing at once.
/// Dropping it closes it; polls in flight borrow it and are cancelled before.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    /// A connection stays on the shard that made it.
    not_send: PhantomData<*const ()>,
}

impl Stream {
    pub(super) fn new(socket: Socket) -> Self {
        Self {
            socket,
            not_send: PhantomData,
        }
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Connects.
    ///
    /// # Errors
    /// `TimedOut` if it takes longer than `within`; otherwise what the system calls say.
    pub async fn connect(address: &Address, within: Duration) -> io::Result<Self> {
        #[cfg(feature = "foreign")]
        if let Some(executor) = foreign::here() {
            let connected = foreign::Socket::connect(executor, address);
            return Ok(Self::new(Socket::Foreign(
                timeout(within, connected).await??,
            )));
        }
        let socket = Socket::for_connect(address)?;
        timeout(within, connect(&socket, address)).await??;
        Ok(Self::new(socket))
    }

    /// Reads what is there, once something is; zero means that the peer has closed.
    ///
    /// # Errors
    /// What the system calls say.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            allowance().await;
            match self.try_read(buffer) {
                Err(error) if is_would_block(&error) => self.readable().await?,
                other => return other,
            }
        }
    }

    /// Appends to `buffer` what is there, once something is: at most `max` bytes, and at most
    /// 64 KiB. The buffer needs no room, and no allocation at all, while this waits. Zero means
    /// that the peer has closed.
    ///
    /// # Errors
    /// What the system calls say.
    pub async fn read_into(&self, buffer: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        loop {
            allowance().await;
            match self.try_read_into(buffer, max) {
                Err(error) if is_would_block(&error) => self.readable().await?,
                other => return other,
            }
        }
    }

    /// Appends to `buffer` what is there now; otherwise as [`Self::read_into`].
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there; otherwise what the system call says.
    pub fn try_read_into(&self, buffer: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        shard::with(|shard| {
            let mut scratch = shard.scratch.borrow_mut();
            let room = max.min(scratch.len());
            let count = self.try_read(&mut scratch[..room])?;
            buffer.extend_from_slice(&scratch[..count]);
            Ok(count)
        })
    }

    /// Waits until reading gives bytes, the end or an error.
    ///
    /// # Errors
    /// If the ring does not take the poll.
    pub async fn readable(&self) -> io::Result<()> {
        ready(&self.socket, READABLE).await.map(drop)
    }

    /// Waits until writing takes bytes or gives an error.
    ///
    /// # Errors
    /// If the ring does not take the poll.
    pub async fn writable(&self) -> io::Result<()> {
        ready(&self.socket, WRITABLE).await.map(drop)
    }

    /// Waits until the peer has reset the connection: nothing that is written will arrive any
    /// more. A peer that has shut its own direction alone still reads, and isn't gone; whether it
    /// goes later is then only found by writing.
    pub async fn hung_up(&self) {
        // An io_uring poll ends when the peer shuts its direction, too, asked for or not.
        match ready(&self.socket, HUNG_UP).await {
            Ok(events) if events & HUNG_UP != 0 => {}
            _ => std::future::pending().await,
        }
    }

    /// Reads what is there now; zero means that the peer has closed.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there; otherwise what the system call says.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        uninterrupted(|| self.socket.read(buffer))
    }

    /// Whether the connection stands with nothing to read: false if the peer has closed or reset
    /// it, or has said something.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.socket.is_quiet()
    }

    /// Acknowledges what has come without delay. A peer that sends an answer in pieces with Nagle's
    /// algorithm on (RFC 896) keeps the last piece until the one before is acknowledged, and the
    /// kernel delays that by 40 ms: for whoever waits for more of an answer.
    pub fn acknowledge(&self) {
        self.socket.acknowledge();
    }

    /// Writes what fits now, at least one byte of a buffer that isn't empty.
    ///
    /// # Errors
    /// `WouldBlock` if nothing fits; otherwise what the system call says.
    pub fn try_write(&self, buffer: &[u8]) -> io::Result<usize> {
        uninterrupted(|| self.socket.write(buffer))
    }

    /// Writes all of it, waiting as often as it takes: the caller gives it a deadline.
    ///
    /// # Errors
    /// What the system calls say; how much was written is not known then.
    pub async fn write_all(&self, mut buffer: &[u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            allowance().await;
            match self.try_write(buffer) {
                Ok(count) => buffer = &buffer[count..],
                Err(error) if is_would_block(&error) => self.writable().await?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Tells the peer that nothing more will be written.
    ///
    /// # Errors
    /// What the system call says.
    pub fn shutdown_write(&self) -> io::Result<()> {
        uninterrupted(|| self.socket.shutdown_write())
    }

    /// Where the peer is.
    ///
    /// # Errors
    /// What the system call says, for instance that the peer has gone.
    pub fn peer_address(&self) -> io::Result<Address> {
        self.socket.peer_address()
    }

    /// Our own end.
    ///
    /// # Errors
    /// What the system call says.
    pub fn local_address(&self) -> io::Result<Address> {
        self.socket.local_address()
    }
}

/// # Panics
/// In a simulation, where there are no descriptors.
impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

pub(super) fn is_would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// Calls again what a signal interrupted.
pub(super) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

async fn connect(socket: &Socket, address: &Address) -> io::Result<()> {
    let mut pause = Duration::from_millis(1);
    loop {
        match socket.connect(address) {
            Ok(()) => return Ok(()),
            Err(error) => match error.raw_os_error() {
                Some(libc::EINPROGRESS | libc::EINTR | libc::EALREADY) => break,
                // A unix listener's queue is full. There is no readiness for that: try again.
                Some(libc::EAGAIN) if matches!(address, Address::Unix(_)) => {
                    sleep(pause).await;
                    pause = (pause * 2).min(UNIX_PAUSE_MAX);
                }
                _ => return Err(error),
            },
        }
    }
    ready(socket, WRITABLE).await?;
    socket.take_error()?.map_or(Ok(()), Err)
}

/// The longest pause between two tries at a unix listener whose queue is full.
const UNIX_PAUSE_MAX: Duration = Duration::from_millis(50);
