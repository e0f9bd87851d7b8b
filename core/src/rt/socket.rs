//! A socket that never blocks: the system's, or one of a simulation (or, for a measurement, of
//! another runtime).

use std::{
    io::{self, Read},
    mem::MaybeUninit,
    net::Shutdown,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
};

use socket2::{Protocol, Type};

#[cfg(feature = "foreign")]
use super::foreign;
use super::{
    Address,
    sim::{self, SimSocket},
    stream::{is_would_block, uninterrupted},
    sys,
};

#[derive(Debug)]
pub(super) enum Socket {
    Os(socket2::Socket),
    Sim(SimSocket),
    #[cfg(feature = "foreign")]
    Foreign(foreign::Socket),
}

/// A stream socket of the system's that doesn't block.
pub(super) fn new_socket(address: &Address) -> io::Result<socket2::Socket> {
    let protocol = matches!(address, Address::Tcp(_)).then_some(Protocol::TCP);
    socket2::Socket::new(
        address.domain(),
        Type::STREAM.nonblocking().cloexec(),
        protocol,
    )
}

impl Socket {
    /// A socket to connect to `address` with.
    pub(super) fn for_connect(address: &Address) -> io::Result<Self> {
        if sim::is_on() {
            return Ok(Self::Sim(SimSocket::new()));
        }
        let socket = new_socket(address)?;
        if let Address::Tcp(_) = address {
            socket.set_tcp_nodelay(true)?;
        }
        Ok(Self::Os(socket))
    }

    /// What the ring polls.
    pub(super) fn raw_fd(&self) -> RawFd {
        match self {
            Self::Os(socket) => socket.as_raw_fd(),
            Self::Sim(socket) => socket.raw_fd(),
            #[cfg(feature = "foreign")]
            Self::Foreign(_) => -1,
        }
    }

    pub(super) fn connect(&self, address: &Address) -> io::Result<()> {
        match self {
            Self::Os(socket) => socket.connect(&address.to_socket()?),
            Self::Sim(socket) => socket.connect(address),
            #[cfg(feature = "foreign")]
            Self::Foreign(_) => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }

    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match self {
            Self::Os(socket) => socket.take_error(),
            Self::Sim(socket) => socket.take_error(),
            #[cfg(feature = "foreign")]
            Self::Foreign(_) => Ok(None),
        }
    }

    pub(super) fn accept(&self) -> io::Result<(Self, Address)> {
        match self {
            Self::Os(socket) => {
                let (socket, peer) = socket.accept4(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK)?;
                Ok((Self::Os(socket), Address::from_socket(&peer)))
            }
            Self::Sim(socket) => {
                let (socket, peer) = socket.accept()?;
                Ok((Self::Sim(socket), peer))
            }
            #[cfg(feature = "foreign")]
            Self::Foreign(socket) => {
                let (socket, peer) = socket.accept()?;
                Ok((Self::Foreign(socket), peer))
            }
        }
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Os(socket) => (&*socket).read(buffer),
            Self::Sim(socket) => socket.read(buffer),
            #[cfg(feature = "foreign")]
            Self::Foreign(socket) => socket.read(buffer),
        }
    }

    /// Whether a read would wait.
    pub(super) fn is_quiet(&self) -> bool {
        match self {
            Self::Os(socket) => {
                let mut byte = [MaybeUninit::<u8>::uninit(); 1];
                let peeked = uninterrupted(|| socket.peek(&mut byte));
                peeked.is_err_and(|error| is_would_block(&error))
            }
            Self::Sim(socket) => socket.is_quiet(),
            #[cfg(feature = "foreign")]
            Self::Foreign(socket) => socket.is_quiet(),
        }
    }

    pub(super) fn write(&self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Os(socket) => socket.send_with_flags(buffer, libc::MSG_NOSIGNAL),
            Self::Sim(socket) => socket.write(buffer),
            #[cfg(feature = "foreign")]
            Self::Foreign(socket) => socket.write(buffer),
        }
    }

    /// Readable means from now on: so many bytes are there, or the end.
    pub(super) fn set_low_water(&self, bytes: u32) {
        match self {
            // A hint: without it there are more wake-ups.
            Self::Os(socket) => drop(sys::set_low_water(socket.as_fd(), bytes)),
            Self::Sim(_) => {}
            #[cfg(feature = "foreign")]
            Self::Foreign(_) => {}
        }
    }

    /// What has come is acknowledged now (TCP_QUICKACK).
    pub(super) fn acknowledge(&self) {
        match self {
            // A hint, which a unix socket doesn't take.
            Self::Os(socket) => drop(socket.set_tcp_quickack(true)),
            Self::Sim(_) => {}
            #[cfg(feature = "foreign")]
            Self::Foreign(_) => {}
        }
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        match self {
            Self::Os(socket) => socket.shutdown(Shutdown::Write),
            Self::Sim(socket) => socket.shutdown_write(),
            #[cfg(feature = "foreign")]
            Self::Foreign(socket) => socket.shutdown_write(),
        }
    }

    pub(super) fn peer_address(&self) -> io::Result<Address> {
        match self {
            Self::Os(socket) => Ok(Address::from_socket(&socket.peer_addr()?)),
            Self::Sim(socket) => socket.peer_address(),
            #[cfg(feature = "foreign")]
            Self::Foreign(socket) => socket.peer_address(),
        }
    }

    pub(super) fn local_address(&self) -> io::Result<Address> {
        match self {
            Self::Os(socket) => Ok(Address::from_socket(&socket.local_addr()?)),
            Self::Sim(socket) => socket.local_address(),
            #[cfg(feature = "foreign")]
            Self::Foreign(socket) => socket.local_address(),
        }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Os(socket) => socket.as_fd(),
            Self::Sim(_) => panic!("a simulated socket has no descriptor"),
            #[cfg(feature = "foreign")]
            Self::Foreign(_) => panic!("a foreign socket doesn't show its descriptor"),
        }
    }
}
