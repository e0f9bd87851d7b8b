//! One connection of a MUPDATE server: bytes in and out, framed, within limits of size and time.
//!
//! Input is framed over one growing buffer; output is collected and sent when the session would wait,
//! or when much has come together. A peer that waits holds no buffer.

use std::io;
use std::pin::pin;
use std::time::Duration;

use ravenry_core::rt::{self, Address, Either, Instant, channel};
use ravenry_core::tls::{self, Leg};
use ravenry_core::wire::mupdate::Framer;

/// Read at once.
const READ_BYTES_MAX: usize = 16 * 1024;
/// Output is sent once this much has been collected.
pub(crate) const OUTPUT_BYTES_MAX: usize = 32 * 1024;
/// How long a peer that has been told good-bye may take to close.
const LINGER: Duration = Duration::from_secs(2);

/// Why a session ends.
#[derive(Debug)]
pub(crate) enum End {
    /// LOGOUT; it has been answered.
    Logout,
    /// The peer closed, or the connection broke.
    Closed,
    Broken(io::Error),
    /// It said nothing, or took nothing, for too long.
    Silent(&'static str),
    /// The server stops.
    Stopping,
    /// What came can't be framed.
    Protocol(String),
    /// It broke a rule for which the connection is given up.
    Refused(&'static str),
    /// A stream that is too far behind.
    Cut,
}

impl End {
    /// The text of a BYE, where one can still be said.
    pub(crate) fn bye(&self) -> Option<&str> {
        match self {
            Self::Stopping => Some("no longer ready for connections"),
            Self::Silent("login") => Some("too slow to log in"),
            Self::Silent("idle") => Some("idle for too long"),
            Self::Protocol(why) => Some(why),
            Self::Refused(why) => Some(why),
            _ => None,
        }
    }
}

/// The connection.
pub(crate) struct Peer {
    pub(crate) leg: Leg,
    pub(crate) address: Address,
    input: Vec<u8>,
    /// A whole command that is the next one.
    put_back: Option<Vec<u8>>,
    framer: Framer,
    output: Vec<u8>,
    stall: Duration,
}

impl Peer {
    pub(crate) fn new(leg: Leg, address: Address, bytes_max: usize, stall: Duration) -> Self {
        Self {
            leg,
            address,
            input: Vec::new(),
            put_back: None,
            framer: Framer::new(bytes_max),
            output: Vec::new(),
            stall,
        }
    }

    /// Takes larger commands from now on.
    pub(crate) fn set_bytes_max(&mut self, bytes_max: usize) {
        self.framer = Framer::new(bytes_max);
    }

    /// What has come behind the last command.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.input
    }

    /// The next whole command, if it is here. Who waits to send a literal is asked on.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, End> {
        if let Some(command) = self.put_back.take() {
            return Ok(Some(command));
        }
        let framed = self.framer.next(&self.input);
        for _ in 0..self.framer.take_announced() {
            self.output.extend_from_slice(b"+ go ahead\r\n");
        }
        let Some(len) = framed.map_err(|error| End::Protocol(error.to_string()))? else {
            if self.input.is_empty() {
                self.input = Vec::new();
            }
            return Ok(None);
        };
        let rest = self.input.split_off(len);
        Ok(Some(std::mem::replace(&mut self.input, rest)))
    }

    /// A command that was looked at is the next one nevertheless.
    pub(crate) fn put_back(&mut self, command: Vec<u8>) {
        self.put_back = Some(command);
    }

    /// Waits for a whole command until `deadline`, having sent what was collected.
    pub(crate) async fn command(
        &mut self,
        deadline: Instant,
        what: &'static str,
    ) -> Result<Vec<u8>, End> {
        loop {
            if let Some(command) = self.next()? {
                return Ok(command);
            }
            self.flush().await?;
            let read = rt::timeout_at(deadline, self.read());
            match rt::select(rt::draining(), read).await {
                Either::Left(()) => return Err(End::Stopping),
                Either::Right(Ok(read)) => read?,
                Either::Right(Err(_elapsed)) => return Err(End::Silent(what)),
            }
        }
    }

    /// Reads what has come; waits for it if need be.
    pub(crate) async fn read(&mut self) -> Result<(), End> {
        match self.leg.read_into(&mut self.input, READ_BYTES_MAX).await {
            Ok(0) => Err(End::Closed),
            Ok(_) => Ok(()),
            Err(error) => Err(End::Broken(error)),
        }
    }

    /// Adds to the output.
    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Whether much has come together.
    pub(crate) fn is_full(&self) -> bool {
        self.output.len() >= OUTPUT_BYTES_MAX
    }

    /// Sends what has been collected.
    pub(crate) async fn flush(&mut self) -> Result<(), End> {
        let output = std::mem::take(&mut self.output);
        if output.is_empty() {
            return Ok(());
        }
        match rt::timeout(self.stall, self.leg.write_all(&output)).await {
            Ok(sent) => sent.map_err(End::Broken),
            Err(_elapsed) => Err(End::Silent("reading")),
        }
    }

    /// The same for a stream: at each message of `news` it is looked whether the peer still `keeps_up`.
    pub(crate) async fn flush_while(
        &mut self,
        news: &mut channel::Receiver<()>,
        keeps_up: impl Fn() -> bool,
    ) -> Result<(), End> {
        let output = std::mem::take(&mut self.output);
        if output.is_empty() {
            return Ok(());
        }
        let mut sending = pin!(rt::timeout(self.stall, self.leg.write_all(&output)));
        loop {
            match rt::select(sending.as_mut(), news.recv()).await {
                Either::Left(Ok(sent)) => return sent.map_err(End::Broken),
                Either::Left(Err(_elapsed)) => return Err(End::Silent("reading")),
                Either::Right(_) if !keeps_up() => return Err(End::Cut),
                Either::Right(Some(())) => {}
                // Nobody publishes any more: the server stops.
                Either::Right(None) => return Err(End::Stopping),
            }
        }
    }

    /// Ends the output, and reads for a moment what is still coming: a socket that is closed with
    /// bytes unread is reset, and a good-bye that is on its way would be lost.
    pub(crate) async fn linger(&self) {
        self.leg.close();
        let _ = self.leg.shutdown_write();
        let rest = tls::discard_exact(&self.leg, u64::MAX, LINGER);
        let _ = rt::timeout(LINGER, rest).await;
    }
}
