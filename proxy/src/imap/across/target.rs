//! The other server's side of a copy: the messages are appended there as the user, in one command
//! where it knows MULTIAPPEND (RFC 3502), which takes all of them or none; else one by one.

use std::rc::Rc;

use ravenry_core::proto::imap::encode::Request;
use ravenry_core::proto::imap::{Literals, Uids, status};
use ravenry_core::rt::RelayError;
use ravenry_core::tls;

use super::super::is_ok;
use super::source::{Message, SET_BYTES_MAX, Source, waiting};
use crate::failure::{BackendFault, Failure};
use crate::upstream::{OWN_TAG, Upstream};

/// Larger messages are announced, and asked for only when the server wants them.
pub(super) const ASKED_BYTES: u64 = 1024 * 1024;

/// What became of a message, or of all.
pub(super) enum Outcome {
    Done,
    /// The server's tagged reply, which isn't OK: nothing more can be sent of this command.
    Refused(Vec<u8>),
}

/// The connection of the mailbox that the messages go to.
pub(super) struct Target<'a> {
    pub(super) up: &'a mut Upstream,
    mailbox: &'a [u8],
    multi: bool,
    /// An APPEND has been begun and not ended.
    begun: bool,
    /// Messages that the command under way has taken.
    taken: u64,
    /// Where the new messages are, where the server says so: UIDVALIDITY and UIDs.
    pub(super) appended: Option<(u32, Uids)>,
    /// Messages that have been appended for good.
    pub(super) kept: u64,
}

impl<'a> Target<'a> {
    pub(super) fn new(up: &'a mut Upstream, mailbox: &'a [u8]) -> Self {
        Self {
            multi: up.capabilities.has("MULTIAPPEND"),
            up,
            mailbox,
            begun: false,
            taken: 0,
            appended: None,
            kept: 0,
        }
    }

    pub(super) fn server(&self) -> Rc<str> {
        Rc::clone(&self.up.server)
    }

    /// Sends a message from one server to the other. `size` is that of the body which the source
    /// is about to give; `None`: it hasn't been asked for, and is only if this server wants it.
    pub(super) async fn take(
        &mut self,
        source: &mut Source<'_>,
        message: &Message,
        size: Option<u64>,
    ) -> Result<Outcome, Failure> {
        let announced = self.announce(message, size.unwrap_or(message.size)).await;
        let refusal = match announced {
            Ok(refusal) => refusal,
            Err(fault) => {
                if let Some(size) = size {
                    source.drop_body(size).await?;
                }
                return Err(Failure::Backend(fault));
            }
        };
        if let Some(refusal) = refusal {
            if let Some(size) = size {
                source.drop_body(size).await?;
            }
            return Ok(Outcome::Refused(refusal));
        }
        if size.is_none() {
            source.ask(std::slice::from_ref(message)).await?;
            let came = source.body().await?.map(|(_, size)| size);
            if came != Some(message.size) {
                if let Some(came) = came {
                    source.drop_body(came).await?;
                    source.over().await?;
                }
                return Err(self.other_than_announced());
            }
        }
        self.body(source, size.unwrap_or(message.size)).await?;
        self.taken += 1;
        if size.is_none() {
            source.over().await?;
        }
        if self.multi {
            Ok(Outcome::Done)
        } else {
            self.end(source).await
        }
    }

    /// Announces a message; gives the refusal where there is one.
    async fn announce(
        &mut self,
        message: &Message,
        size: u64,
    ) -> Result<Option<Vec<u8>>, BackendFault> {
        let literals = if size > ASKED_BYTES {
            Literals::Sync
        } else {
            self.up.literals
        };
        let mut request = Request::new(literals);
        if !self.begun {
            request.raw(OWN_TAG).raw(" APPEND ");
            let named = request.astring(self.mailbox);
            named.map_err(|error| self.up.fault(error))?;
        }
        request.raw(" ").raw(&message.flags).raw(" ");
        if !message.date.is_empty() {
            request.raw(&message.date).raw(" ");
        }
        let asked = request.stream(size, false);
        self.begun = true;
        for (number, chunk) in request.chunks().enumerate() {
            if number > 0
                && let Some(refusal) = self.go_ahead().await?
            {
                return Ok(Some(refusal));
            }
            self.up.write(chunk).await?;
        }
        if asked {
            self.go_ahead().await
        } else {
            Ok(None)
        }
    }

    /// Waits for a continuation request; gives the tagged reply that came instead.
    async fn go_ahead(&mut self) -> Result<Option<Vec<u8>>, BackendFault> {
        match self.up.own_reply_or_continuation().await? {
            // The message hasn't been sent: nobody can have it.
            Some(reply) if is_ok(&reply) => Err(self.up.fault("said OK to half a command")),
            Some(refusal) => {
                self.begun = false;
                Ok(Some(refusal))
            }
            None => Ok(None),
        }
    }

    /// Passes a body on, from socket to socket.
    async fn body(&mut self, source: &mut Source<'_>, size: u64) -> Result<(), Failure> {
        let here = source.up.input.here();
        let here = &here[..usize::try_from(size).map_or(here.len(), |size| size.min(here.len()))];
        let (taken, left) = (here.len(), size - here.len() as u64);
        let written = self.up.write(here).await;
        source.up.input.skip(taken);
        if let Err(fault) = written {
            source.drop_body(left).await?;
            return Err(Failure::Backend(fault));
        }
        if left > 0 {
            let stall = source.client.stall();
            let relay = tls::relay_exact(&source.up.stream, &self.up.stream, left, stall);
            match waiting(source.client, &mut source.progress, relay).await? {
                Ok(_relayed) => source.up.works(),
                Err(RelayError::From(error)) => {
                    return Err(Failure::Backend(source.up.fault(error)));
                }
                Err(RelayError::To { error, left }) => {
                    let fault = self.up.fault(error);
                    source.drop_body(left).await?;
                    return Err(Failure::Backend(fault));
                }
            }
        }
        source.body_done().await
    }

    /// Ends the command that has been begun, if one has.
    pub(super) async fn end(&mut self, source: &mut Source<'_>) -> Result<Outcome, Failure> {
        if !self.begun {
            return Ok(Outcome::Done);
        }
        self.begun = false;
        self.up.write(b"\r\n").await.map_err(Failure::Backend)?;
        let reply = waiting(source.client, &mut source.progress, self.up.own_reply()).await?;
        let reply = reply.map_err(Failure::Backend)?;
        #[cfg(not(bug_11))] // Else a MOVE removes what the other server has refused.
        if !is_ok(&reply) {
            return Ok(Outcome::Refused(reply));
        }
        self.note(&reply);
        Ok(Outcome::Done)
    }

    /// Notes where a reply says that the new messages are (RFC 4315 section 3).
    fn note(&mut self, reply: &[u8]) {
        let first = self.kept == 0;
        self.kept += 1;
        let taken = std::mem::take(&mut self.taken);
        // As many as it was given, or it speaks of something else.
        let new = appenduid(reply).filter(|(_, uids)| uids.len() == taken);
        self.appended = match (self.appended.take(), new) {
            (None, Some(new)) if first => Some(new),
            (Some((validity, mut uids)), Some((same, new))) if validity == same => {
                uids.append(&new);
                Some((validity, uids))
            }
            _ => None,
        };
    }

    /// Whether the connection is in the middle of a command that can't be taken back.
    pub(super) fn is_torn(&self) -> bool {
        self.begun
    }

    pub(super) fn other_than_announced(&self) -> Failure {
        let why = "A message has changed while it was copied";
        tracing::warn!(server = %self.up.server, "{why}");
        Failure::coded("EXPUNGEISSUED", why)
    }
}

fn appenduid(reply: &[u8]) -> Option<(u32, Uids)> {
    let code = status(reply.trim_ascii_end())?.code?;
    let (name, rest) = code.split_at_checked("APPENDUID ".len())?;
    name.eq_ignore_ascii_case(b"APPENDUID ").then_some(())?;
    let mut words = rest.split(|byte| *byte == b' ');
    let validity = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    Some((validity, Uids::parse(words.next()?)?))
}

/// Takes back what has been appended one by one when the copy fails: COPY takes all or none
/// (RFC 9051 section 6.4.7). Says whether it could; the connection is of no more use.
pub(super) async fn take_back(
    up: &mut Upstream,
    mailbox: &[u8],
    (validity, uids): &(u32, Uids),
) -> Result<bool, Failure> {
    let mut select = Request::new(up.literals);
    select.raw("SELECT ").astring(mailbox)?.end();
    let (told, reply) = up.ask(&select).await.map_err(Failure::Backend)?;
    let same = format!("[UIDVALIDITY {validity}]").into_bytes();
    let is_same = |line: &Vec<u8>| line.windows(same.len()).any(|window| window == same);
    if !is_ok(&reply) || !told.iter().any(is_same) {
        return Ok(false);
    }
    let pieces: Vec<Uids> = uids.pieces(SET_BYTES_MAX).collect();
    let flagged = pieces
        .iter()
        .map(|uids| format!("UID STORE {uids} +FLAGS.SILENT (\\Deleted)"));
    let expunged = pieces.iter().map(|uids| format!("UID EXPUNGE {uids}"));
    for command in flagged.chain(expunged) {
        let reply = up.own_command(command.as_bytes()).await;
        if !is_ok(&reply.map_err(Failure::Backend)?) {
            return Ok(false);
        }
    }
    Ok(true)
}
