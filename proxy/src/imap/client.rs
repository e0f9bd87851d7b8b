//! The client's leg of a session: bytes in and out, and what is counted of them.
//!
//! Input is framed by `wire::imap::CommandFramer` over one growing buffer; output is collected
//! and sent when the session would wait. A leg that waits holds no buffer: both are given back
//! by [`Client::release`].

use std::io;
use std::time::Duration;

use ravenry_core::rt::{self, Address, Relayed};
use ravenry_core::tls::{self, Leg};
use ravenry_core::wire::imap::{CommandEvent, CommandFramer, CommandLimits};

use crate::failure::Failure;

/// Output is sent once this much has been collected, so that a long LIST needs no long buffer.
const OUTPUT_BYTES_MAX: usize = 32 * 1024;
/// Up to this much is collected rather than sent at once.
const COLLECTED_BYTES_MAX: usize = 16 * 1024;
/// How long a client that has been told good-bye may take to close.
const LINGER: Duration = Duration::from_secs(2);
/// How much is read at a time.
const READ_BYTES_MAX: usize = 16 * 1024;

/// The client's leg.
pub(crate) struct Client {
    pub(crate) stream: Leg,
    pub(crate) peer: Address,
    input: Vec<u8>,
    framer: CommandFramer,
    output: Vec<u8>,
    stall: Duration,
    /// A write is under way, or was cut off.
    writing: bool,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) bytes_spliced: u64,
}

impl Client {
    pub(crate) fn new(stream: Leg, peer: Address, framer: CommandFramer, stall: Duration) -> Self {
        Self {
            stream,
            peer,
            input: Vec::new(),
            framer,
            output: Vec::new(),
            stall,
            writing: false,
            bytes_in: 0,
            bytes_out: 0,
            bytes_spliced: 0,
        }
    }

    /// Takes commands of other sizes from now on. Only between commands.
    pub(crate) fn set_limits(&mut self, limits: CommandLimits) {
        self.framer = CommandFramer::new(limits);
    }

    /// What the framer makes of the bytes that are here.
    pub(crate) fn next_event(&mut self) -> CommandEvent {
        self.framer.next(&self.input)
    }

    /// The same for a line that is no command.
    pub(crate) fn next_line(&mut self) -> CommandEvent {
        self.framer.next_line(&self.input)
    }

    /// Whether the last line, good or bad, is over.
    pub(crate) fn is_between_lines(&self) -> bool {
        !self.framer.is_discarding()
    }

    /// The bytes that have come and belong to no command yet.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.input
    }

    /// A streamed literal has gone by.
    pub(crate) fn literal_done(&mut self) {
        self.framer.resume();
    }

    /// A literal that has been announced won't be asked for: what comes of it nevertheless is
    /// dropped.
    pub(crate) async fn refuse_literal(&mut self) -> Result<(), Failure> {
        match self.framer.refuse() {
            Some(coming) => self.discard(coming).await,
            None => Err(Failure::Fatal("Literal too large")),
        }
    }

    /// Waits until there is something to read.
    pub(crate) async fn readable(&self) {
        // An error shows itself when the leg is read.
        let _ = self.stream.readable().await;
    }

    /// Takes the first `len` bytes of the input.
    pub(crate) fn take(&mut self, len: usize) -> Vec<u8> {
        if len == self.input.len() {
            return std::mem::take(&mut self.input);
        }
        let rest = self.input.split_off(len);
        std::mem::replace(&mut self.input, rest)
    }

    /// Takes what is here of the next `size` bytes.
    pub(crate) fn take_up_to(&mut self, size: u64) -> Vec<u8> {
        let here =
            usize::try_from(size).map_or(self.input.len(), |size| size.min(self.input.len()));
        self.take(here)
    }

    /// Drops the next `size` bytes, in the buffer and yet to come.
    pub(crate) async fn discard(&mut self, size: u64) -> Result<(), Failure> {
        let rest = size - self.take_up_to(size).len() as u64;
        if rest == 0 {
            return Ok(());
        }
        self.flush().await?;
        tls::discard_exact(&self.stream, rest, self.stall)
            .await
            .map_err(Failure::Client)?;
        self.bytes_in += rest;
        Ok(())
    }

    /// Reads what has come; waits for it if need be.
    pub(crate) async fn read(&mut self) -> Result<(), Failure> {
        if self.read_within(self.stall).await? {
            Ok(())
        } else {
            Err(Failure::Client(io::ErrorKind::TimedOut.into()))
        }
    }

    /// Reads what has come. False: there was nothing, for readiness is only a hint.
    pub(crate) async fn read_now(&mut self) -> Result<bool, Failure> {
        self.read_within(Duration::ZERO).await
    }

    async fn read_within(&mut self, within: Duration) -> Result<bool, Failure> {
        let read = self.stream.read_into(&mut self.input, READ_BYTES_MAX);
        match rt::timeout(within, read).await {
            Ok(Ok(0)) => Err(Failure::Client(io::ErrorKind::UnexpectedEof.into())),
            Ok(Ok(n)) => {
                self.bytes_in += n as u64;
                Ok(true)
            }
            Ok(Err(error)) => Err(Failure::Client(error)),
            Err(_elapsed) => Ok(false),
        }
    }

    /// Counts a literal that came from the client.
    pub(crate) fn count_received(&mut self, relayed: &Relayed) {
        self.bytes_in += relayed.copied + relayed.spliced;
        self.bytes_spliced += relayed.spliced;
    }

    /// Counts a literal that went to the client.
    pub(crate) fn count_relayed(&mut self, relayed: &Relayed) {
        self.bytes_out += relayed.copied + relayed.spliced;
        self.bytes_spliced += relayed.spliced;
    }

    /// How long the client may let a transfer stand still.
    pub(crate) fn stall(&self) -> Duration {
        self.stall
    }

    /// Adds to the output.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Adds a whole line to the output.
    pub(crate) fn push_line(&mut self, line: &str) {
        self.push(line.as_bytes());
        self.push(b"\r\n");
    }

    /// Adds a tagged reply to the output.
    pub(crate) fn push_tagged(&mut self, tag: &[u8], reply: &str) {
        self.push(tag);
        self.push(b" ");
        self.push_line(reply);
    }

    /// Sends the output if much has come together.
    pub(crate) async fn flush_if_large(&mut self) -> Result<(), Failure> {
        if self.output.len() >= OUTPUT_BYTES_MAX {
            self.flush().await
        } else {
            Ok(())
        }
    }

    /// Sends what has been collected.
    pub(crate) async fn flush(&mut self) -> Result<(), Failure> {
        if self.output.is_empty() {
            return Ok(());
        }
        let output = std::mem::take(&mut self.output);
        self.write(&output).await?;
        self.output = output;
        self.output.clear();
        Ok(())
    }

    /// Sends `bytes` behind what has been collected; small ones are collected too.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.output.len() + bytes.len() < COLLECTED_BYTES_MAX {
            self.push(bytes);
            return Ok(());
        }
        self.flush().await?;
        self.write(bytes).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.writing = true;
        match rt::timeout(self.stall, self.stream.write_all(bytes)).await {
            Ok(done) => done.map_err(Failure::Client)?,
            Err(_elapsed) => return Err(Failure::Client(io::ErrorKind::TimedOut.into())),
        }
        self.writing = false;
        self.bytes_out += bytes.len() as u64;
        Ok(())
    }

    /// Whether all that was begun to be sent has been sent, and more can be: otherwise a write or
    /// a handshake was cut off.
    pub(crate) fn is_whole(&self) -> bool {
        !self.writing && !self.stream.is_handshaking()
    }

    /// Ends the output, and reads for a moment what is still coming: a socket that is closed with
    /// bytes unread is reset, and a good-bye that is on its way would be lost.
    pub(crate) async fn linger(&self) {
        self.stream.close();
        let _ = self.stream.shutdown_write();
        let rest = tls::discard_exact(&self.stream, u64::MAX, LINGER);
        let _ = rt::timeout(LINGER, rest).await;
    }

    /// Gives the buffers back: called before the session waits for the client.
    pub(crate) fn release(&mut self) {
        if self.input.is_empty() {
            self.input = Vec::new();
        }
        self.output = Vec::new();
    }
}
