//! The rest of an APPEND on the client's side, message by message.

use super::{Client, Lost};
use crate::wire::imap::{CommandEvent, Literal};

/// What is left of the command on the client's side.
#[derive(Clone, Copy, Debug)]
pub enum Left {
    /// A literal that has been announced.
    Literal(Literal),
    /// The client is inside a literal: this many bytes are to come.
    Bytes(u64),
    /// Nothing: the command has been read to its end.
    Nothing,
}

/// What stands for a line behind a message that can't be taken: no APPEND ends so.
pub const MALFORMED: &[u8] = b" )";

impl Client {
    /// The text behind a message, to the command's end or to the marker of the next one.
    ///
    /// # Errors
    /// If the client is lost.
    pub async fn rest_of_line(&mut self, left: &mut Left) -> Result<Vec<u8>, Lost> {
        loop {
            match self.next_event() {
                CommandEvent::Complete { len } => {
                    *left = Left::Nothing;
                    let mut text = self.take(len);
                    text.truncate(len - 2);
                    return Ok(text);
                }
                CommandEvent::Stream {
                    len,
                    marker,
                    literal,
                } => {
                    *left = Left::Literal(literal);
                    let mut text = self.take(len);
                    text.truncate(marker);
                    return Ok(text);
                }
                CommandEvent::Bad(bad) if bad.fatal => {
                    return Err(Lost::Astray("Malformed command"));
                }
                CommandEvent::Bad(bad) => {
                    self.take(bad.consume);
                    self.discard(bad.skip).await?;
                    *left = Left::Nothing;
                    return Ok(MALFORMED.to_vec());
                }
                CommandEvent::Discard { consume, skip } => {
                    self.take(consume);
                    self.discard(skip).await?;
                }
                CommandEvent::Continue => self.push_line("+ go ahead"),
                CommandEvent::NeedMore => {
                    self.flush().await?;
                    self.read().await?;
                }
            }
        }
    }

    /// Reads the rest of a command that has failed, and drops it.
    ///
    /// # Errors
    /// If the client is lost.
    pub async fn drain(&mut self, mut left: Left) -> Result<(), Lost> {
        if let Left::Bytes(bytes) = left {
            self.discard(bytes).await?;
            self.literal_done();
            self.rest_of_line(&mut left).await?;
        }
        match left {
            Left::Literal(_) => self.refuse_literal().await,
            Left::Bytes(_) | Left::Nothing => Ok(()),
        }
    }
}
