//! The client's leg of a session: bytes in and out, and what is counted of them.
//!
//! Input is framed by `wire::imap::CommandFramer` over one growing buffer; output is collected
//! and sent when the session would wait. A leg that waits holds no buffer: both are given back
//! by [`Client::release`].

use std::io;
use std::time::Duration;

use crate::rt::{self, Address, Relayed};
use crate::tls::{self, Leg};
use crate::wire::imap::{BadCommand, CommandEvent, CommandFramer, CommandLimits, Literal};

/// Output is sent once this much has been collected, so that a long LIST needs no long buffer.
const OUTPUT_BYTES_MAX: usize = 32 * 1024;
/// Up to this much is collected rather than sent at once.
const COLLECTED_BYTES_MAX: usize = 16 * 1024;
/// How long a client that has been told good-bye may take to close.
const LINGER: Duration = Duration::from_secs(2);
/// A client that waits for a long command hears of its progress so often.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// How much is read at a time.
const READ_BYTES_MAX: usize = 16 * 1024;

/// Why nothing more can be done with a client.
#[derive(Debug)]
pub enum Lost {
    /// Its leg is gone, or stalled past its deadline: there is nobody to answer.
    Gone(io::Error),
    /// It broke the protocol so that it can't be in step again, and how.
    Astray(&'static str),
}

/// What came from an IMAP client.
#[derive(Debug)]
pub enum Input {
    /// A whole command.
    Command(Vec<u8>),
    /// An APPEND up to and with the line that announces a message.
    Append(Vec<u8>, Literal),
    /// What is no command, and why.
    Bad(Vec<u8>, BadCommand),
}

/// What the bytes that are here come to.
#[derive(Debug)]
pub enum Here<T> {
    /// Something whole.
    Whole(T),
    /// So many bytes, here and yet to come, are to be dropped ([`Client::discard`]).
    Discard(u64),
    /// More has to come.
    More,
}

/// The client's leg.
pub struct Client {
    /// The connection.
    pub stream: Leg,
    /// Where it comes from.
    pub peer: Address,
    input: Vec<u8>,
    framer: CommandFramer,
    output: Vec<u8>,
    stall: Duration,
    /// A write is under way, or was cut off.
    writing: bool,
    /// Bytes that came.
    pub bytes_in: u64,
    /// Bytes that went.
    pub bytes_out: u64,
    /// Bytes of both that were spliced.
    pub bytes_spliced: u64,
}

impl Client {
    /// A connection that was accepted.
    #[must_use]
    pub fn new(stream: Leg, peer: Address, framer: CommandFramer, stall: Duration) -> Self {
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
    pub fn set_limits(&mut self, limits: CommandLimits) {
        self.framer = CommandFramer::new(limits);
    }

    /// What the framer makes of the bytes that are here.
    pub fn next_event(&mut self) -> CommandEvent {
        self.framer.next(&self.input)
    }

    /// The next command, if it is here.
    pub fn command_here(&mut self) -> Here<Input> {
        loop {
            return match self.next_event() {
                CommandEvent::Complete { len } => Here::Whole(Input::Command(self.take(len))),
                CommandEvent::Stream { len, literal, .. } => {
                    Here::Whole(Input::Append(self.take(len), literal))
                }
                CommandEvent::Bad(bad) => Here::Whole(Input::Bad(self.take(bad.consume), bad)),
                CommandEvent::Discard { consume, skip } => {
                    self.take(consume);
                    Here::Discard(skip)
                }
                CommandEvent::Continue => {
                    self.push_line("+ go ahead");
                    continue;
                }
                CommandEvent::NeedMore => Here::More,
            };
        }
    }

    /// The next line that is no command (a SASL response, DONE), if it is here; `why` keeps what is wrong with it
    /// until all of it has come.
    pub fn line_here(&mut self, why: &mut Option<String>) -> Here<Result<Vec<u8>, String>> {
        loop {
            if !self.framer.is_discarding()
                && let Some(why) = why.take()
            {
                return Here::Whole(Err(why));
            }
            match self.framer.next_line(&self.input) {
                CommandEvent::Complete { len } => {
                    let mut line = self.take(len);
                    line.truncate(len - 2);
                    return Here::Whole(Ok(line));
                }
                CommandEvent::Discard { consume, skip } => {
                    self.take(consume);
                    return Here::Discard(skip);
                }
                CommandEvent::Bad(bad) => {
                    self.take(bad.consume);
                    why.get_or_insert_with(|| bad.why.to_string());
                }
                _ => return Here::More,
            }
        }
    }

    /// The bytes that have come and belong to no command yet.
    pub fn pending(&self) -> &[u8] {
        &self.input
    }

    /// A streamed literal has gone by.
    pub fn literal_done(&mut self) {
        self.framer.resume();
    }

    /// A literal that has been announced won't be asked for: what comes of it nevertheless is
    /// dropped.
    pub async fn refuse_literal(&mut self) -> Result<(), Lost> {
        match self.framer.refuse() {
            Some(coming) => self.discard(coming).await,
            None => Err(Lost::Astray("Literal too large")),
        }
    }

    /// Waits until there is something to read.
    pub async fn readable(&self) {
        // An error shows itself when the leg is read.
        let _ = self.stream.readable().await;
    }

    /// Takes the first `len` bytes of the input.
    pub fn take(&mut self, len: usize) -> Vec<u8> {
        if len == self.input.len() {
            return std::mem::take(&mut self.input);
        }
        let rest = self.input.split_off(len);
        std::mem::replace(&mut self.input, rest)
    }

    /// Takes what is here of the next `size` bytes.
    pub fn take_up_to(&mut self, size: u64) -> Vec<u8> {
        let here =
            usize::try_from(size).map_or(self.input.len(), |size| size.min(self.input.len()));
        self.take(here)
    }

    /// Drops the next `size` bytes, in the buffer and yet to come.
    pub async fn discard(&mut self, size: u64) -> Result<(), Lost> {
        let rest = size - self.take_up_to(size).len() as u64;
        if rest == 0 {
            return Ok(());
        }
        self.flush().await?;
        tls::discard_exact(&self.stream, rest, self.stall)
            .await
            .map_err(Lost::Gone)?;
        self.bytes_in += rest;
        Ok(())
    }

    /// Reads what has come; waits for it if need be.
    pub async fn read(&mut self) -> Result<(), Lost> {
        if self.read_within(self.stall).await? {
            Ok(())
        } else {
            Err(Lost::Gone(io::ErrorKind::TimedOut.into()))
        }
    }

    /// Reads what has come. False: there was nothing, for readiness is only a hint.
    pub async fn read_now(&mut self) -> Result<bool, Lost> {
        self.read_within(Duration::ZERO).await
    }

    async fn read_within(&mut self, within: Duration) -> Result<bool, Lost> {
        let read = self.stream.read_into(&mut self.input, READ_BYTES_MAX);
        match rt::timeout(within, read).await {
            Ok(Ok(0)) => Err(Lost::Gone(io::ErrorKind::UnexpectedEof.into())),
            Ok(Ok(n)) => {
                self.bytes_in += n as u64;
                Ok(true)
            }
            Ok(Err(error)) => Err(Lost::Gone(error)),
            Err(_elapsed) => Ok(false),
        }
    }

    /// Counts a literal that came from the client.
    pub fn count_received(&mut self, relayed: &Relayed) {
        self.bytes_in += relayed.copied + relayed.spliced;
        self.bytes_spliced += relayed.spliced;
    }

    /// Counts a literal that went to the client.
    pub fn count_relayed(&mut self, relayed: &Relayed) {
        self.bytes_out += relayed.copied + relayed.spliced;
        self.bytes_spliced += relayed.spliced;
    }

    /// How long the client may let a transfer stand still.
    pub fn stall(&self) -> Duration {
        self.stall
    }

    /// Adds to the output.
    pub fn push(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Adds a whole line to the output.
    pub fn push_line(&mut self, line: &str) {
        self.push(line.as_bytes());
        self.push(b"\r\n");
    }

    /// Adds a tagged reply to the output.
    pub fn push_tagged(&mut self, tag: &[u8], reply: &str) {
        self.push(tag);
        self.push(b" ");
        self.push_line(reply);
    }

    /// Adds a backend's reply to a command of our own, with the client's tag.
    pub fn push_reply(&mut self, tag: &[u8], own: &[u8]) {
        let at = memchr::memchr(b' ', own).unwrap_or(own.len());
        self.push(tag);
        self.push(&own[at..]);
    }

    /// Tells a client that waits how far its command has come (RFC 9585): `of` is how much of how
    /// much, where that is known.
    pub async fn tell_progress(
        &mut self,
        tag: &[u8],
        of: Option<(u64, u64)>,
        text: &str,
    ) -> Result<(), Lost> {
        let tag = String::from_utf8_lossy(tag);
        let of = of.map_or_else(
            || "NIL NIL".to_owned(),
            |(done, all)| format!("{done} {all}"),
        );
        self.push_line(&format!("* OK [INPROGRESS (\"{tag}\" {of})] {text}"));
        self.flush().await
    }

    /// Sends the output if much has come together.
    pub async fn flush_if_large(&mut self) -> Result<(), Lost> {
        if self.output.len() >= OUTPUT_BYTES_MAX {
            self.flush().await
        } else {
            Ok(())
        }
    }

    /// Sends what has been collected.
    pub async fn flush(&mut self) -> Result<(), Lost> {
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
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        if self.output.len() + bytes.len() < COLLECTED_BYTES_MAX {
            self.push(bytes);
            return Ok(());
        }
        self.flush().await?;
        self.write(bytes).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        self.writing = true;
        match rt::timeout(self.stall, self.stream.write_all(bytes)).await {
            Ok(done) => done.map_err(Lost::Gone)?,
            Err(_elapsed) => return Err(Lost::Gone(io::ErrorKind::TimedOut.into())),
        }
        self.writing = false;
        self.bytes_out += bytes.len() as u64;
        Ok(())
    }

    /// Whether all that was begun to be sent has been sent, and more can be: otherwise a write or
    /// a handshake was cut off.
    pub fn is_whole(&self) -> bool {
        !self.writing && !self.stream.is_handshaking()
    }

    /// Ends the output, and reads for a moment what is still coming: a socket that is closed with
    /// bytes unread is reset, and a good-bye that is on its way would be lost.
    pub async fn linger(&self) {
        self.stream.close();
        let _ = self.stream.shutdown_write();
        let _ = rt::timeout(LINGER, tls::discard_rest(&self.stream, LINGER)).await;
    }

    /// Compression ends: what is here and has come behind it is taken as it came.
    pub fn stop_compressing(&mut self) {
        self.input = self.stream.stop_compressing();
    }

    /// Gives the buffers back: called before the session waits for the client.
    pub fn release(&mut self) {
        if self.input.is_empty() {
            self.input = Vec::new();
        }
        self.output = Vec::new();
    }
}
