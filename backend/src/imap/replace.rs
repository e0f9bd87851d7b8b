//! REPLACE and UID REPLACE (RFC 8508): a message comes and another one of the selected mailbox goes, in one change of the store.
//!
//! The new one comes as an APPEND's does, with the same limits; the rights are those of APPEND there and of UID STORE and UID EXPUNGE
//! here. What fails changes nothing. The quota is asked for what the new one is larger.

use ravenry_core::client::Left;
use ravenry_core::mailboxes::Rights;
use ravenry_core::proto::imap::{AppendHead, Command, replaced_message};

use super::append::{append_uid, target, to_target};
use super::failure::Failure;
use super::receive::Target;
use super::select::Selected;
use super::session::{Reply, Session};
use crate::store::{Order, Outcome, Refused};

/// A REPLACE without a literal: what comes is there already (CATENATE).
pub(super) async fn without_literal(
    session: &mut Session,
    selected: &mut Selected,
    command: &Command<'_>,
) -> Reply {
    replace(session, selected, command, &mut Left::Nothing).await
}

/// REPLACE.
pub(super) async fn replace(
    session: &mut Session,
    selected: &mut Selected,
    command: &Command<'_>,
    left: &mut Left,
) -> Reply {
    let head = AppendHead::parse(command)?;
    let number = replaced_message(head.replaced.unwrap_or_default())?;
    let uids = selected.among(&number, command.uid)?;
    session.may(selected, Rights::EXPUNGE)?;
    session.may(selected, Rights::DELETE_MESSAGES)?;
    let (mailbox, rights) = target(session, &head.mailbox)?;
    let missing = || Failure::coded("NONEXISTENT", "There is no such message");
    let uid = uids.iter().next().ok_or_else(missing)?;
    let from = selected.mailbox.id;
    if session.backend.parts.store.message(from, uid)?.is_none() {
        return Err(Refused::NoMessage.into());
    }
    let target = Target {
        mailbox,
        rights,
        selected: Some(from),
        messages_max: 1,
    };
    let mut messages = target.receive(session, head.options.to_vec(), left).await?;
    let missing = || Failure::bad("A message is missing");
    let message = messages.pop().ok_or_else(missing)?;
    let order = Order::Replace {
        from,
        uid,
        to: target.mailbox.id,
        message,
    };
    let outcome = session.backend.carry_out(order).await;
    let Outcome::Appended(appended) = outcome.map_err(|refused| to_target(refused.into()))? else {
        return Err(Failure::unavailable("The store gave no answer"));
    };
    session.backend.desk.metrics.messages_stored.add(1);
    if let Some(code) = append_uid(rights, &appended) {
        // Before the EXPUNGE response (RFC 8508 section 4.3).
        session.client.push_line(&format!("* OK {code} Completed"));
    }
    session.completed_at(selected).await
}
