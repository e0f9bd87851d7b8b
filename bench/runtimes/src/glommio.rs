//! glommio behind `rt::foreign`: its executor, timers and TCP streams, with its own defaults.
//!
//! A stream is used as glommio's users do, by `AsyncRead` and `AsyncWrite`. Waiting without a buffer is a read of
//! no bytes: recv(2) of none answers EAGAIN on a TCP socket with nothing to read, and glommio polls then.

use std::future::Future;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use glommio::net::{TcpListener, TcpStream};
use glommio::timer::Timer;
use glommio::{GlommioError, LocalExecutorBuilder, Placement};
use ravenry_core::rt::foreign::{Connecting, Connection, Executor, Queue, Task};
use ravenry_core::rt::{self, Instant, ShardConfig};

/// The executor for the shards of a frontend.
pub(crate) struct Glommio;

impl Executor for Glommio {
    fn wants(&self, shard: &ShardConfig) -> bool {
        shard.name.starts_with("shard-")
    }

    fn run(&self, main: Task) {
        // The thread is bound to its CPU already.
        let executor = LocalExecutorBuilder::new(Placement::Unbound).make();
        executor
            .expect("glommio's rings: 512 KiB of locked memory")
            .run(main);
    }

    fn spawn(&self, task: Task) {
        glommio::spawn_local(task).detach();
    }

    fn sleep_until(&self, deadline: Instant) -> Task {
        let timer = Timer::new(deadline.saturating_duration_since(rt::now()));
        Box::pin(async {
            timer.await;
        })
    }

    fn connect(&self, to: SocketAddr) -> Connecting {
        Box::pin(async move { connected(TcpStream::connect(to).await?) })
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Queue>> {
        Ok(Box::new(Listening {
            listener: Rc::new(TcpListener::bind(at)?),
            accepting: None,
        }))
    }
}

/// With TCP_NODELAY, as ours.
fn connected(stream: TcpStream) -> io::Result<Box<dyn Connection>> {
    stream.set_nodelay(true)?;
    Ok(Box::new(Connected(stream)))
}

struct Connected(TcpStream);

impl Connection for Connected {
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }

    fn poll_write(&mut self, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        let shut = pin!(self.0.shutdown(Shutdown::Write));
        // It never waits: glommio calls shutdown(2).
        match shut.poll(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(shut) => Ok(shut?),
            Poll::Pending => Ok(()),
        }
    }

    fn peer_address(&self) -> io::Result<SocketAddr> {
        Ok(self.0.peer_addr()?)
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        Ok(self.0.local_addr()?)
    }
}

type Accepting = Pin<Box<dyn Future<Output = Result<TcpStream, GlommioError<()>>>>>;

/// A listener keeps the accept that waits: glommio loses a connection where one is dropped.
struct Listening {
    listener: Rc<TcpListener>,
    accepting: Option<Accepting>,
}

impl Queue for Listening {
    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Box<dyn Connection>>> {
        let listener = &self.listener;
        let accepting = self.accepting.get_or_insert_with(|| {
            let listener = Rc::clone(listener);
            Box::pin(async move { listener.accept().await })
        });
        let accepted = ready!(accepting.as_mut().poll(context));
        self.accepting = None;
        Poll::Ready(connected(accepted?))
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }
}
