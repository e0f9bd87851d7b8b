//! Accepting connections, one listener a shard.

use std::{io, os::fd::AsFd, path::Path};

#[cfg(feature = "foreign")]
use super::foreign;
use super::{
    Address,
    combine::allowance,
    reactor::{READABLE, ready},
    sim::{self, SimSocket},
    socket::{Socket, new_socket},
    stream::Stream,
};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;

/// A socket that listens. On TCP every shard binds one of its own to the same address
/// (SO_REUSEPORT) and the kernel spreads the connections; a unix path belongs to one listener.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
}

impl Listener {
    /// Listens. A unix socket that nobody listens on any more is removed first.
    ///
    /// # Errors
    /// What the system calls say, with the address.
    pub fn bind(address: &Address) -> io::Result<Self> {
        Self::bind_socket(address)
            .map(|socket| Self { socket })
            .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
    }

    fn bind_socket(address: &Address) -> io::Result<Socket> {
        if sim::is_on() {
            let socket = SimSocket::new();
            socket.listen(address)?;
            return Ok(Socket::Sim(socket));
        }
        #[cfg(feature = "foreign")]
        if let Some(executor) = foreign::here() {
            return foreign::Socket::listen(executor, address).map(Socket::Foreign);
        }
        let socket = new_socket(address)?;
        match address {
            Address::Tcp(tcp) => {
                socket.set_reuse_address(true)?;
                socket.set_reuse_port(true)?;
                // Inherited by what is accepted.
                socket.set_tcp_nodelay(true)?;
                if tcp.is_ipv6() {
                    socket.set_only_v6(true)?;
                }
            }
            Address::Unix(path) => remove_dead(address, path)?,
        }
        socket.bind(&address.to_socket()?)?;
        socket.listen(BACKLOG)?;
        Ok(Socket::Os(socket))
    }

    /// Waits for a connection. Dropping the future loses none: a connection is taken from the
    /// kernel only in the moment it is handed out.
    ///
    /// # Errors
    /// When descriptors or memory are short (EMFILE, ENFILE, ENOBUFS, ENOMEM): the connection is
    /// still there, so wait a little before the next call. A connection that died in the queue is
    /// no error.
    pub async fn accept(&self) -> io::Result<(Stream, Address)> {
        loop {
            allowance().await;
            match self.socket.accept() {
                Ok((socket, peer)) => return Ok((Stream::new(socket), peer)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready(&self.socket, READABLE).await?;
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it listens: the port is known also where zero was asked for.
    ///
    /// # Errors
    /// What the system call says.
    pub fn local_address(&self) -> io::Result<Address> {
        self.socket.local_address()
    }
}

/// # Panics
/// In a simulation, where there are no descriptors.
impl AsFd for Listener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// accept(2): errors that belong to the connection at the head of the queue, not to the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EINTR
                | libc::ECONNABORTED
                | libc::EPERM
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENONET
                | libc::EOPNOTSUPP
                | libc::ETIMEDOUT
        )
    )
}

/// Removes a socket that no process listens on. Anything else at that path stays, and makes
/// `bind` say that the address is in use.
fn remove_dead(address: &Address, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match new_socket(address)?.connect(&address.to_socket()?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        _ => Ok(()),
    }
}
