//! A connection or a listener of the other runtime's behind calls that never block, as [`socket`]
//! wants them, and the wait behind such a call.
//!
//! [`socket`]: super::super::socket

use std::{
    cell::{Cell, RefCell},
    fmt, io,
    net::SocketAddr,
    task::{Context, Poll, ready},
};

use super::{
    super::{
        Address,
        reactor::{HUNG_UP, READABLE},
    },
    Connection, Executor, Queue, in_task,
};

pub(in super::super) struct Socket {
    kind: RefCell<Kind>,
    /// The last write or accept would have had to wait, and has left the task's waker.
    waits: Cell<bool>,
}

enum Kind {
    Connection(Box<dyn Connection>),
    Queue(Box<dyn Queue>),
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("foreign::Socket")
    }
}

fn tcp(address: &Address) -> io::Result<SocketAddr> {
    match address {
        Address::Tcp(address) => Ok(*address),
        Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

impl Socket {
    fn new(kind: Kind) -> Self {
        Self {
            kind: RefCell::new(kind),
            waits: Cell::new(false),
        }
    }

    pub(in super::super) async fn connect(
        executor: &dyn Executor,
        address: &Address,
    ) -> io::Result<Self> {
        let connection = executor.connect(tcp(address)?).await?;
        Ok(Self::new(Kind::Connection(connection)))
    }

    pub(in super::super) fn listen(executor: &dyn Executor, address: &Address) -> io::Result<Self> {
        let queue = executor.listen(tcp(address)?)?;
        Ok(Self::new(Kind::Queue(queue)))
    }

    fn connection<T>(&self, f: impl FnOnce(&mut dyn Connection) -> io::Result<T>) -> io::Result<T> {
        match &mut *self.kind.borrow_mut() {
            Kind::Connection(connection) => f(&mut **connection),
            Kind::Queue(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(in super::super) fn accept(&self) -> io::Result<(Self, Address)> {
        let Kind::Queue(queue) = &mut *self.kind.borrow_mut() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let accepted = self.or_waits(in_task(|context| queue.poll_accept(context)))?;
        let peer = Address::Tcp(accepted.peer_address()?);
        Ok((Self::new(Kind::Connection(accepted)), peer))
    }

    pub(in super::super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.connection(|connection| {
            match in_task(|context| connection.poll_read(context, buffer)) {
                Poll::Ready(read) => read,
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            }
        })
    }

    pub(in super::super) fn is_quiet(&self) -> bool {
        let peeked = self.read(&mut []);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    pub(in super::super) fn write(&self, buffer: &[u8]) -> io::Result<usize> {
        self.connection(|connection| {
            self.or_waits(in_task(|context| connection.poll_write(context, buffer)))
        })
    }

    fn or_waits<T>(&self, polled: Poll<io::Result<T>>) -> io::Result<T> {
        self.waits.set(polled.is_pending());
        match polled {
            Poll::Ready(done) => done,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    pub(in super::super) fn shutdown_write(&self) -> io::Result<()> {
        self.connection(|connection| connection.shutdown_write())
    }

    pub(in super::super) fn peer_address(&self) -> io::Result<Address> {
        self.connection(|connection| connection.peer_address().map(Address::Tcp))
    }

    pub(in super::super) fn local_address(&self) -> io::Result<Address> {
        let address = match &*self.kind.borrow() {
            Kind::Connection(connection) => connection.local_address(),
            Kind::Queue(queue) => queue.local_address(),
        };
        address.map(Address::Tcp)
    }
}

/// What a [`Readiness`](super::super::reactor::Readiness) is on such a socket.
pub(in super::super) struct Wait<'s> {
    socket: &'s Socket,
    events: u32,
    /// It has waited: whoever polls it again looks for itself, by the call that it waits for.
    waited: bool,
}

impl<'s> Wait<'s> {
    pub(in super::super) fn new(socket: &'s Socket, events: u32) -> Self {
        let waited = false;
        Self {
            socket,
            events,
            waited,
        }
    }

    pub(in super::super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<u32>> {
        let events = match self.events {
            HUNG_UP => ready!(self.peek(context)).map_or(HUNG_UP, |()| 0),
            events if self.waited => events,
            READABLE => {
                self.waited = true;
                let _ready_or_failed = ready!(self.peek(context));
                READABLE
            }
            // The call before has left the waker.
            _ if self.socket.waits.take() => {
                self.waited = true;
                return Poll::Pending;
            }
            events => events,
        };
        Poll::Ready(Ok(events))
    }

    /// Waits until there is something to read: a peer that has said something, or ended, hasn't
    /// reset the connection.
    fn peek(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.socket.kind.borrow_mut() {
            Kind::Connection(connection) => {
                connection.poll_read(context, &mut []).map_ok(|_none| ())
            }
            Kind::Queue(_) if self.socket.waits.take() => Poll::Pending,
            Kind::Queue(_) => Poll::Ready(Ok(())),
        }
    }
}
