//! Giving back the room of what was expunged or deleted long enough ago, a bounded piece at a time.
//!
//! What was expunged is found by its time, so a purge costs what it gives back, not what is kept.
//! A mailbox that was deleted goes with all that it has, whatever the clock said when that was expunged: nothing is left
//! that belongs to no mailbox. Nothing else removes a message's file, so a backup that is under way has purges wait.

use std::collections::BTreeSet;

use super::label::LABEL;
use super::order::Outcome;
use super::removed;
use super::tables::{Table, decode_due_key, decode_message_key, due_key, message_key};
use super::transaction::{Answer, Transaction};
use super::{Expunged, MailboxId, Message, StoreError, mail};

/// What is given back at once.
const PURGED_AT_ONCE: usize = 1000;

/// What is to go.
#[derive(Default)]
struct Gone {
    messages: Vec<(MailboxId, u32)>,
    /// With all that they had.
    mailboxes: BTreeSet<MailboxId>,
}

impl Gone {
    fn left(&self) -> usize {
        PURGED_AT_ONCE.saturating_sub(self.messages.len() + self.mailboxes.len())
    }
}

impl Transaction<'_> {
    pub(super) fn purge(&mut self, before: i64) -> Answer {
        let mut gone = Gone::default();
        if !self.backup_runs {
            self.removed_mailboxes(before, &mut gone)?;
            self.expunged_messages(before, &mut gone)?;
        }
        let more = gone.left() == 0;
        for (id, uid) in &gone.messages {
            self.forget(*id, *uid)?;
        }
        for id in &gone.mailboxes {
            self.forget_mailbox(*id)?;
        }
        let less: BTreeSet<_> = gone.messages.iter().map(|(id, _)| *id).collect();
        for id in less {
            self.tidy_structures(id)?;
        }
        Ok(Ok(Outcome::Purged {
            messages: gone.messages.len(),
            more,
        }))
    }

    fn removed_mailboxes(&self, before: i64, gone: &mut Gone) -> Result<(), StoreError> {
        let tables = &self.shared.tables;
        for entry in tables.removed.iter(&self.writing)? {
            let (id, record) = entry?;
            if gone.left() == 0 {
                return Ok(());
            }
            if !removed::Gone::decode(record)?.is_due(before, self.now) {
                continue;
            }
            let id = MailboxId::decode(id)?;
            let all = self.take_all(tables.messages, id, gone)?
                && self.take_all(tables.expunged, id, gone)?;
            if !all {
                return Ok(());
            }
            gone.mailboxes.insert(id);
        }
        Ok(())
    }

    /// Whether all messages of a mailbox that a table has are to go now.
    fn take_all(&self, table: Table, id: MailboxId, gone: &mut Gone) -> Result<bool, StoreError> {
        for entry in table.prefix_iter(&self.writing, &id.key())? {
            if gone.left() == 0 {
                return Ok(false);
            }
            gone.messages.push(decode_message_key(entry?.0)?);
        }
        Ok(true)
    }

    fn expunged_messages(&self, before: i64, gone: &mut Gone) -> Result<(), StoreError> {
        for entry in self.shared.tables.due.iter(&self.writing)? {
            let (at, id, uid) = decode_due_key(entry?.0)?;
            if at >= before || gone.left() == 0 {
                break;
            }
            // Those of a mailbox that goes are among them already.
            if !gone.mailboxes.contains(&id) {
                gone.messages.push((id, uid));
            }
        }
        Ok(())
    }

    fn forget(&mut self, id: MailboxId, uid: u32) -> Result<(), StoreError> {
        let tables = &self.shared.tables;
        let Some(mut mailbox) = self.mailbox(id)? else {
            return Err(StoreError::Damaged("a message without a mailbox"));
        };
        let key = message_key(id, uid);
        if let Some(record) = tables.messages.get(&self.writing, &key)? {
            // One that is half purged may be brought back.
            let message = Message::decode(&key, record)?;
            mail::count(&mut mailbox, &message, false);
            mailbox.no_structure(&message);
        }
        if let Some(record) = tables.expunged.get(&self.writing, &key)? {
            let expunged = Expunged::decode(&key, record)?;
            mailbox.no_structure(&expunged.message);
            let due = due_key(expunged.at, id, uid);
            tables.due.delete(&mut self.writing, &due)?;
        }
        tables.expunged.delete(&mut self.writing, &key)?;
        tables.messages.delete(&mut self.writing, &key)?;
        let path = self.shared.spool.message(&mailbox.partition, id, uid);
        self.unlinked.push(path);
        self.mailboxes.insert(id, Some(mailbox));
        Ok(())
    }

    fn forget_mailbox(&mut self, id: MailboxId) -> Result<(), StoreError> {
        let removed = self.shared.tables.removed;
        removed.delete(&mut self.writing, &id.key())?;
        if let Some(mailbox) = self.mailbox(id)? {
            let directory = self.shared.spool.directory(&mailbox.partition, id);
            self.unlinked.push(directory.join(LABEL));
            self.unlinked
                .extend(self.shared.spool.all_structures(&mailbox));
            self.emptied.push(directory);
        }
        self.forget_annotations(id)?;
        self.mailboxes.insert(id, None);
        Ok(())
    }
}
