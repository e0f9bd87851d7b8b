//! APPEND (RFC 3501 section 6.3.11), MULTIAPPEND (RFC 3502), LITERAL+ and LITERAL- (RFC 7888), UIDPLUS' APPENDUID (RFC 4315),
//! APPENDLIMIT (RFC 7889).
//!
//! All that can be refused is refused before a message is asked for. A client that doesn't wait to be asked is read
//! to the end of its command whatever happens, so that it stays in step. Bytes go to a file as they come; they are on
//! the disk before the store is asked to add them, all messages of a command or none.

use ravenry_core::client::Left;
use ravenry_core::limits;
use ravenry_core::mailboxes::Rights;
use ravenry_core::proto::imap::{
    self, AppendHead, AppendOptions, Command, DateTime, FlagList, Follows, Part, Verb,
    append_follows,
};
use ravenry_core::rt;
use ravenry_core::wire::imap::Literal;

use super::failure::Failure;
use super::flags::permitted;
use super::session::{Reply, Session, ok};
use crate::delivery;
use crate::store::{Incoming, Mailbox, Order, Outcome, Ready};

/// Carries out an APPEND whose first message `head` has just announced.
pub(super) async fn run(session: &mut Session, head: &[u8], literal: Literal) -> Reply {
    session.backend.desk.metrics.commands_append.add(1);
    let mut left = Left::Literal(literal);
    let done = match imap::command(head) {
        Ok(command) => append(session, &command, &mut left).await,
        Err(bad) => Err(Failure::bad(bad.text)),
    };
    match &done {
        Ok(_) | Err(Failure::Client(_) | Failure::Fatal(_) | Failure::Ended(_)) => {}
        Err(_) if session.user.is_some() => session.client.drain(left).await?,
        Err(_) => drain_stranger(session, left).await?,
    }
    if done.is_ok() {
        session.tell_news(true).await?;
    }
    done
}

/// Drains before login, which that doesn't prolong.
async fn drain_stranger(session: &mut Session, left: Left) -> Result<(), Failure> {
    let deadline = session.input_deadline();
    match rt::timeout_at(deadline, session.client.drain(left)).await {
        Ok(drained) => Ok(drained?),
        Err(_elapsed) => Err(Failure::Ended(session.timed_out().await)),
    }
}

/// An APPEND without a message.
pub(super) async fn without_literal(_session: &mut Session, _command: &Command<'_>) -> Reply {
    Err(Failure::bad("Missing message literal"))
}

async fn append(session: &mut Session, command: &Command<'_>, left: &mut Left) -> Reply {
    session.who()?;
    if command.verb != Verb::Append {
        return Err(Failure::bad("Unrecognized command"));
    }
    let head = AppendHead::parse(command)?;
    let (mailbox, rights) = target(session, &head.mailbox)?;
    let mut options = head.options.to_vec();
    let mut messages = Vec::new();
    while let Left::Literal(literal) = *left {
        let (flags, date) = options_of(&options, &literal)?;
        if messages.len() == limits::APPEND_MESSAGES_MAX {
            return Err(Failure::coded("LIMIT", "Too many messages in one APPEND"));
        }
        if literal.size > session.backend.parts.backend.message_size {
            return Err(Failure::coded("TOOBIG", "The message is too large"));
        }
        if !literal.non_sync {
            session.client.push_line("+ go ahead");
        }
        let message = receive(session, &mailbox.partition, literal.size, left).await?;
        let flags = permitted(flags, rights);
        messages.push(Incoming {
            message,
            date,
            system: flags.system,
            keywords: flags.keywords,
        });
        options = session.client.rest_of_line(left).await?;
        match *left {
            Left::Literal(_) => options = behind_space(options)?,
            _ if options.is_empty() => {}
            _ => return Err(Failure::bad("Nothing may follow a message but another")),
        }
    }
    let count = messages.len() as u64;
    let order = Order::Append {
        mailbox: mailbox.id,
        messages,
    };
    let outcome = session.backend.carry_out(order).await;
    let Outcome::Appended(appended) = outcome.map_err(|refused| to_target(refused.into()))? else {
        return Err(Failure::unavailable("The store gave no answer"));
    };
    session.backend.desk.metrics.messages_stored.add(count);
    if !rights.contains(Rights::READ) {
        // RFC 4315 section 3: who may not read learns nothing of UIDs.
        return ok("OK Completed");
    }
    let (uidvalidity, uids) = (appended.uidvalidity, appended.uids);
    ok(format!("OK [APPENDUID {uidvalidity} {uids}] Completed"))
}

/// A mailbox that messages are to be put into. One that isn't there could be made (RFC 3501 section 7.1, TRYCREATE).
pub(super) fn target(session: &Session, given: &[u8]) -> Result<(Mailbox, Rights), Failure> {
    let found = session.mailbox(given).map_err(to_target)?;
    if found.1.contains(Rights::INSERT) {
        Ok(found)
    } else {
        Err(Failure::noperm())
    }
}

/// What isn't there, where something is to be put into it.
pub(super) fn to_target(failure: Failure) -> Failure {
    match failure {
        Failure::No(code, text) if code == "NONEXISTENT" => Failure::No("TRYCREATE".into(), text),
        other => other,
    }
}

/// The flags and the date of a message that is announced.
fn options_of(options: &[u8], literal: &Literal) -> Result<(FlagList, DateTime), Failure> {
    if literal.binary {
        return Err(Failure::coded(
            "UNKNOWN-CTE",
            "Binary messages aren't taken here",
        ));
    }
    if append_follows(options, None) != Some(Follows::Literal(Part::Message)) {
        return Err(Failure::bad("Invalid flags, date or kind of message"));
    }
    if literal.size == 0 {
        // RFC 3502: to be refused.
        return Err(Failure::coded("CANNOT", "Zero-length message literal"));
    }
    let AppendOptions { flags, date } = AppendOptions::parse(options)?;
    Ok((flags, date.unwrap_or_else(delivery::now)))
}

fn behind_space(mut options: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if options.first() != Some(&b' ') {
        return Err(Failure::bad("A space stands before the next message"));
    }
    options.remove(0);
    Ok(options)
}

/// Takes a message of `size` bytes into a file, to the disk. Where the disk refuses, the message is read to its end
/// nevertheless.
async fn receive(
    session: &mut Session,
    partition: &str,
    size: u64,
    left: &mut Left,
) -> Result<Ready, Failure> {
    session.client.flush().await?;
    let parts = &session.backend.parts;
    let mut message = delivery::Message::begin(parts, partition);
    *left = Left::Bytes(size);
    let mut unread = size;
    while unread > 0 {
        let bytes = session.client.take_up_to(unread);
        if bytes.is_empty() {
            session.client.read().await?;
            continue;
        }
        unread -= bytes.len() as u64;
        *left = Left::Bytes(unread);
        message.write(bytes).await?;
    }
    // Before the disk is waited for: what follows is in step whatever comes of it.
    session.client.literal_done();
    *left = Left::Nothing;
    match message.finish().await {
        Ok(ready) => Ok(ready),
        Err(failure) => {
            session.client.rest_of_line(left).await?;
            Err(failure.into())
        }
    }
}
