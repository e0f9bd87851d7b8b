//! The messages of an APPEND or a REPLACE on their way in.
//!
//! All that can be refused is refused before a literal is asked for. A client that doesn't wait to be asked is read
//! to the end of its command whatever happens, so that it stays in step. Bytes go to a file as they come, and what URLs name goes there
//! piece by piece; they are on the disk before the store is asked for anything.

use ravenry_core::client::Left;
use ravenry_core::limits;
use ravenry_core::mailboxes::Rights;
use ravenry_core::proto::imap::{AppendOptions, AppendStep, AppendText};
use ravenry_core::wire::imap::Literal;

use super::failure::Failure;
use super::flags::permitted;
use super::session::Session;
use crate::delivery;
use crate::store::{Incoming, Mailbox, MailboxId};

/// Where messages are to come.
pub(super) struct Target {
    pub(super) mailbox: Mailbox,
    /// What the user may do there.
    pub(super) rights: Rights,
    /// The selected mailbox: where relative URLs begin.
    pub(super) selected: Option<MailboxId>,
    /// How many messages may come.
    pub(super) messages_max: usize,
}

/// Messages that come.
pub(super) struct Receiving<'t> {
    pub(super) target: &'t Target,
    messages: Vec<Incoming>,
    open: Option<Open>,
    /// How many literals and URLs there have been.
    parts: usize,
    /// A URL that came as a literal.
    url: Option<Vec<u8>>,
    /// Bytes that URLs have named.
    pub(super) copied: u64,
}

/// A message that isn't complete.
struct Open {
    options: AppendOptions,
    message: delivery::Message,
    size: u64,
    /// Some of it came as literal8, which may have NULs (RFC 3516).
    binary: bool,
}

impl Target {
    /// Takes all messages of a command, whose text behind the mailbox is `text`.
    pub(super) async fn receive(
        &self,
        session: &mut Session,
        mut text: Vec<u8>,
        left: &mut Left,
    ) -> Result<Vec<Incoming>, Failure> {
        let mut receiving = Receiving {
            target: self,
            messages: Vec::new(),
            open: None,
            parts: 0,
            url: None,
            copied: 0,
        };
        let mut reader = AppendText::default();
        loop {
            let literal = match *left {
                Left::Literal(literal) => Some(literal),
                _ => None,
            };
            for step in reader.read(&text, literal.is_some())? {
                receiving.step(session, step, left).await?;
            }
            if literal.is_none() {
                return Ok(receiving.messages);
            }
            text = session.client.rest_of_line(left).await?;
            // Now that what is left of the command is known, it may fail.
            if let Some(url) = receiving.url.take() {
                receiving.url(session, &url).await?;
            }
        }
    }
}

impl Receiving<'_> {
    async fn step(
        &mut self,
        session: &mut Session,
        step: AppendStep<'_>,
        left: &mut Left,
    ) -> Result<(), Failure> {
        if !matches!(step, AppendStep::Begin(_) | AppendStep::End) {
            self.parts += 1;
            if self.parts > limits::APPEND_PARTS_MAX {
                return Err(Failure::coded("LIMIT", "Too many parts in one command"));
            }
        }
        match step {
            AppendStep::Begin(options) => self.begin(session, options),
            AppendStep::Literal => self.literal(session, left, false).await,
            AppendStep::Utf8Literal => self.literal(session, left, true).await,
            AppendStep::Url(url) => self.url(session, &url).await,
            AppendStep::UrlLiteral => self.url_literal(session, left).await,
            AppendStep::End => self.end().await,
        }
    }

    fn begin(&mut self, session: &Session, options: AppendOptions) -> Result<(), Failure> {
        if self.messages.len() == self.target.messages_max {
            return Err(Failure::coded("LIMIT", "Too many messages in one command"));
        }
        let (parts, partition) = (&session.backend.parts, &self.target.mailbox.partition);
        self.open = Some(Open {
            options,
            message: delivery::Message::begin(parts, partition),
            size: 0,
            binary: false,
        });
        Ok(())
    }

    /// The message grows by so much.
    pub(super) fn grow(&mut self, session: &Session, bytes: u64) -> Result<(), Failure> {
        let open = self.open()?;
        open.size = open.size.saturating_add(bytes);
        if open.size > session.backend.parts.backend.message_size {
            return Err(Failure::coded("TOOBIG", "The message is too large"));
        }
        Ok(())
    }

    /// Adds to the message; it has grown before.
    pub(super) async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Failure> {
        Ok(self.open()?.message.write(bytes).await?)
    }

    fn open(&mut self) -> Result<&mut Open, Failure> {
        self.open.as_mut().ok_or(NOTHING)
    }

    /// Takes a literal into the message; in UTF8 it is a literal8, and has no NULs nevertheless.
    async fn literal(
        &mut self,
        session: &mut Session,
        left: &mut Left,
        utf8: bool,
    ) -> Result<(), Failure> {
        let Left::Literal(literal) = *left else {
            return Err(NOTHING);
        };
        if utf8 && !session.takes_utf8() {
            return Err(Failure::bad("ENABLE UTF8=ACCEPT comes first"));
        }
        if utf8 && !literal.binary {
            return Err(Failure::bad("UTF8 has a literal8 in it"));
        }
        self.grow(session, literal.size)?;
        self.open()?.binary |= literal.binary && !utf8;
        ask(session, literal, left).await?;
        while let Some(bytes) = some(session, left).await? {
            self.write(bytes).await?;
        }
        Ok(())
    }

    /// Takes a literal that is a URL.
    async fn url_literal(&mut self, session: &mut Session, left: &mut Left) -> Result<(), Failure> {
        let Left::Literal(literal) = *left else {
            return Err(NOTHING);
        };
        if literal.size > limits::URL_BYTES_MAX {
            return Err(Failure::coded("LIMIT", "The URL is too long"));
        }
        ask(session, literal, left).await?;
        let mut url = Vec::new();
        while let Some(bytes) = some(session, left).await? {
            url.extend_from_slice(&bytes);
        }
        self.url = Some(url);
        Ok(())
    }

    /// The message is complete: brings it to the disk.
    async fn end(&mut self) -> Result<(), Failure> {
        let open = self.open.take().ok_or(NOTHING)?;
        if open.size == 0 {
            // RFC 3502: to be refused.
            return Err(Failure::coded("CANNOT", "The message has no bytes"));
        }
        let message = match open.binary {
            true => open.message.finish_binary().await?,
            false => open.message.finish().await?,
        };
        let flags = permitted(open.options.flags, self.target.rights);
        self.messages.push(Incoming {
            message,
            date: open.options.date.unwrap_or_else(delivery::now),
            system: flags.system,
            keywords: flags.keywords,
        });
        Ok(())
    }
}

/// What no step says where a text has been read.
const NOTHING: Failure = Failure::State("There is no message");

/// Asks for a literal, if its client waits for that.
async fn ask(session: &mut Session, literal: Literal, left: &mut Left) -> Result<(), Failure> {
    if !literal.non_sync {
        session.client.push_line("+ go ahead");
    }
    session.client.flush().await?;
    *left = Left::Bytes(literal.size);
    Ok(())
}

/// Some bytes of the literal that has been asked for; `None`: it is over.
async fn some(session: &mut Session, left: &mut Left) -> Result<Option<Vec<u8>>, Failure> {
    let Left::Bytes(unread) = *left else {
        return Ok(None);
    };
    if unread == 0 {
        session.client.literal_done();
        *left = Left::Nothing;
        return Ok(None);
    }
    loop {
        let bytes = session.client.take_up_to(unread);
        if !bytes.is_empty() {
            *left = Left::Bytes(unread - bytes.len() as u64);
            return Ok(Some(bytes));
        }
        session.client.read().await?;
    }
}
