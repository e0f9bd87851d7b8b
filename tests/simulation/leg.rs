//! A peer's end of a connection: lines and literals in, bytes out, at the peer's own pace.

use std::io;
use std::time::Duration;

use ravenry_core::rt::{self, Either, Stream};

use crate::dice;

/// Why a leg is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    Closed,
    Broken,
    Late,
}

pub(crate) struct Leg {
    pub(crate) stream: Stream,
    pub(crate) input: Vec<u8>,
    /// Most bytes read or written at once, and the longest pause between.
    pub(crate) pace: (usize, Duration),
    pub(crate) patience: Duration,
}

impl Leg {
    pub(crate) fn new(stream: Stream, patience: Duration) -> Self {
        Self {
            stream,
            input: Vec::new(),
            pace: (64 << 10, Duration::ZERO),
            patience,
        }
    }

    /// Reads more.
    pub(crate) async fn fill(&mut self) -> Result<(), Gone> {
        if self.pace.1 > Duration::ZERO {
            rt::sleep(dice::time(self.pace.1)).await;
        }
        let read = self.stream.read_into(&mut self.input, self.pace.0);
        match rt::timeout(self.patience, read).await {
            Ok(Ok(0)) => Err(Gone::Closed),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Gone::Broken),
            Err(_) => Err(Gone::Late),
        }
    }

    /// A line with its CRLF.
    pub(crate) async fn line(&mut self) -> Result<Vec<u8>, Gone> {
        let mut from = 0;
        loop {
            let rest = &self.input[from..];
            if let Some(at) = rest.windows(2).position(|two| two == b"\r\n") {
                return Ok(self.input.drain(..from + at + 2).collect());
            }
            from = self.input.len().saturating_sub(1);
            self.fill().await?;
        }
    }

    /// Exactly so many bytes.
    pub(crate) async fn exact(&mut self, count: usize) -> Result<Vec<u8>, Gone> {
        while self.input.len() < count {
            self.fill().await?;
        }
        Ok(self.input.drain(..count).collect())
    }

    /// Sends all of it; reads meanwhile, so that two who only write don't wait for each other.
    pub(crate) async fn send(&mut self, mut bytes: &[u8]) -> Result<(), Gone> {
        while !bytes.is_empty() {
            if self.pace.1 > Duration::ZERO && dice::percent(20) {
                rt::sleep(dice::time(self.pace.1)).await;
            }
            let most = bytes.len().min(self.pace.0);
            match self.stream.try_write(&bytes[..most]) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.make_room().await?,
                Err(_) => return Err(Gone::Broken),
            }
        }
        Ok(())
    }

    async fn make_room(&mut self) -> Result<(), Gone> {
        let either = rt::select(self.stream.writable(), self.stream.readable());
        match rt::timeout(self.patience, either).await {
            Ok(Either::Left(_)) => Ok(()),
            Ok(Either::Right(_)) => {
                let mut buffer = [0; 4096];
                match self.stream.try_read(&mut buffer) {
                    Ok(0) => Err(Gone::Closed),
                    Ok(count) => {
                        self.input.extend_from_slice(&buffer[..count]);
                        Ok(())
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                    Err(_) => Err(Gone::Broken),
                }
            }
            Err(_) => Err(Gone::Late),
        }
    }

    /// Waits until the peer closes, and drops what it says.
    pub(crate) async fn until_closed(&mut self) {
        while self.fill().await.is_ok() {
            self.input.clear();
        }
    }
}

/// The literal that a line ends with: its size, and whether leave is to be asked for.
pub(crate) fn literal(line: &[u8]) -> Option<(usize, bool)> {
    let inner = line.strip_suffix(b"}\r\n")?;
    let open = inner.iter().rposition(|byte| *byte == b'{')?;
    let inner = std::str::from_utf8(&inner[open + 1..]).ok()?;
    let (digits, sync) = match inner.strip_suffix('+') {
        Some(digits) => (digits, false),
        None => (inner, true),
    };
    Some((digits.parse().ok()?, sync))
}
