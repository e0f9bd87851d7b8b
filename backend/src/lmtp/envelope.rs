//! MAIL and RCPT: who sends a message, and who is to have it (RFC 5321 sections 4.1.1.2 and 4.1.1.3).
//!
//! Everything that can be refused is refused here, before the message comes.

use ravenry_core::limits;
use ravenry_core::proto::lmtp::{Mail, Path, Reply};

use super::delivery::{Delivery, TOO_LARGE};
use super::recipient;
use super::session::Session;
use crate::store::Mailbox;

/// A message under way: from MAIL to its end.
pub(super) struct Envelope {
    pub(super) from: Path,
    /// Where each recipient's copy goes, in RCPT's order.
    pub(super) recipients: Vec<Mailbox>,
    /// The message, where it comes in pieces (BDAT) and has begun.
    pub(super) begun: Option<Delivery>,
}

const LHLO_FIRST: Reply = Reply::new(503, "5.5.1", "LHLO first");
const NO_STRANGERS: Reply = Reply::new(530, "5.7.0", "Authentication required");
const NESTED: Reply = Reply::new(503, "5.5.1", "A message is under way already");
const MAIL_FIRST: Reply = Reply::new(503, "5.5.1", "MAIL first");
const BEGUN: Reply = Reply::new(503, "5.5.1", "The message has begun");
const SENDER_OK: Reply = Reply::new(250, "2.1.0", "Ok");
const RECIPIENT_OK: Reply = Reply::new(250, "2.1.5", "Ok");
const TOO_MANY: Reply = Reply::new(452, "4.5.3", "Too many recipients");

/// MAIL
pub(super) fn mail(session: &mut Session, mail: Mail) -> Reply {
    if session.name.is_none() {
        return LHLO_FIRST;
    }
    if !session.may_deliver() {
        return NO_STRANGERS;
    }
    if session.envelope.is_some() {
        return NESTED;
    }
    let most = session.backend.parts.backend.message_size;
    if mail.size.is_some_and(|size| size > most) {
        return TOO_LARGE;
    }
    session.envelope = Some(Envelope {
        from: mail.from,
        recipients: Vec::new(),
        begun: None,
    });
    SENDER_OK
}

/// RCPT
pub(super) fn rcpt(session: &mut Session, path: &Path) -> Reply {
    let Some(envelope) = &mut session.envelope else {
        return MAIL_FIRST;
    };
    if envelope.begun.is_some() {
        return BEGUN;
    }
    if envelope.recipients.len() == limits::RECIPIENTS_MAX {
        return TOO_MANY;
    }
    match recipient::mailbox(&session.backend, path) {
        Ok(mailbox) => {
            envelope.recipients.push(mailbox);
            RECIPIENT_OK
        }
        Err(refused) => {
            tracing::info!(
                session = %session.id,
                from = %envelope.from,
                to = %path,
                "no delivery: {refused}"
            );
            refused
        }
    }
}
