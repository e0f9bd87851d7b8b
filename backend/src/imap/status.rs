//! STATUS (RFC 3501 section 6.3.10), with SIZE (RFC 8438), HIGHESTMODSEQ (RFC 7162), APPENDLIMIT (RFC 7889),
//! MAILBOXID (RFC 8474) and DELETED-STORAGE (RFC 9208).

use ravenry_core::mailboxes::Rights;
use ravenry_core::proto::imap::{Command, StatusCommand, StatusItem};

use super::failure::Failure;
use super::session::{COMPLETED, Reply, Session};
use crate::shard::Backend;
use crate::store::{Flags, Mailbox};

/// STATUS.
pub(super) async fn status(session: &mut Session, command: &Command<'_>) -> Reply {
    let StatusCommand { mailbox, items } = StatusCommand::parse(command.args)?;
    let (found, rights) = session.mailbox(&mailbox)?;
    if !rights.contains(Rights::READ) {
        return Err(Failure::noperm());
    }
    if items.contains(&StatusItem::HighestModSeq) {
        let selected = session.selected.take();
        session.hears_modseqs(selected.as_deref());
        session.selected = selected;
    }
    let line = response(session, &mailbox, &found, &items)?;
    session.client.push(&line);
    COMPLETED
}

/// The STATUS response of a mailbox that the client calls `name`.
pub(super) fn response(
    session: &Session,
    name: &[u8],
    mailbox: &Mailbox,
    items: &[StatusItem],
) -> Result<Vec<u8>, Failure> {
    let mut line = b"* STATUS ".to_vec();
    session.write_name(&mut line, name)?;
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        let value = value(&session.backend, mailbox, *item)?;
        values.push(format!("{} {value}", item.name()));
    }
    line.extend_from_slice(format!(" ({})\r\n", values.join(" ")).as_bytes());
    Ok(line)
}

fn value(backend: &Backend, mailbox: &Mailbox, item: StatusItem) -> Result<String, Failure> {
    let store = &backend.parts.store;
    Ok(match item {
        StatusItem::Messages => mailbox.exists.to_string(),
        StatusItem::Recent => {
            let mut recent = 0_u32;
            let first = mailbox.recent.saturating_add(1);
            store.each_message(mailbox.id, (first, u32::MAX), |_| {
                recent += 1;
                true
            })?;
            recent.to_string()
        }
        StatusItem::UidNext => mailbox.uidnext.to_string(),
        StatusItem::UidValidity => mailbox.uidvalidity.to_string(),
        StatusItem::Unseen => mailbox.unseen.to_string(),
        StatusItem::Deleted => mailbox.deleted.to_string(),
        StatusItem::Size => mailbox.bytes.to_string(),
        StatusItem::HighestModSeq => mailbox.highestmodseq.to_string(),
        StatusItem::AppendLimit => backend.parts.backend.message_size.to_string(),
        StatusItem::MailboxId => format!("({})", mailbox.id),
        StatusItem::DeletedStorage => {
            let mut bytes = 0;
            // Without one there is nothing to look for.
            let first = if mailbox.deleted > 0 { 1 } else { u32::MAX };
            store.each_message(mailbox.id, (first, u32::MAX), |message| {
                bytes += if message.flags.has(Flags::DELETED) {
                    message.size
                } else {
                    0
                };
                true
            })?;
            bytes.to_string()
        }
    })
}
