//! Orders about mailboxes: CREATE, RENAME, SETACL, what they are for (RFC 3501 section 6.3, RFC 4314, RFC 6154). DELETE and its
//! undoing: [`super::removed`].

use ravenry_core::faultpoint;
use ravenry_core::mailboxes::{Acl, Name};

use super::order::{Outcome, Refused};
use super::transaction::{Answer, Transaction, or_refuse};
use super::{Mailbox, MailboxId, SpecialUse, Usage};

impl Transaction<'_> {
    pub(super) fn create(
        &mut self,
        name: &Name,
        partition: &str,
        acl: &Acl,
        special_use: SpecialUse,
    ) -> Answer {
        or_refuse!(self.is_free(name)?);
        if !self.shared.spool.has(partition) {
            return Ok(Err(Refused::NoPartition));
        }
        let one = Usage {
            mailboxes: 1,
            ..Usage::default()
        };
        or_refuse!(self.has_room(name, one)?);
        let id = MailboxId(self.meta.next_id);
        self.meta.next_id += 1;
        let uidvalidity = self.new_uidvalidity();
        let mailbox = Mailbox {
            id,
            name: name.clone(),
            uidvalidity,
            uidnext: 1,
            highestmodseq: 1,
            exists: 0,
            unseen: 0,
            deleted: 0,
            recent: 0,
            bytes: 0,
            structures: 0,
            structure_bytes: 0,
            created: self.now,
            partition: partition.to_owned(),
            special_use,
            acl: acl.clone(),
            keywords: Vec::new(),
        };
        let parent = self.shared.spool.make(&mailbox)?;
        faultpoint::reached("backend.create.spool");
        self.links.note(parent);
        self.labels.write(&self.shared.spool, &mailbox)?;
        self.put_name(&mailbox)?;
        faultpoint::reached("backend.create.listed");
        self.count(self.root_of(name)?, one)?;
        self.mailboxes.insert(id, Some(mailbox));
        Ok(Ok(Outcome::Created {
            mailbox: id,
            uidvalidity,
        }))
    }

    pub(super) fn rename(&mut self, from: &Name, to: &Name) -> Answer {
        let mut mailbox = or_refuse!(self.named(from)?);
        or_refuse!(self.is_free(to)?);
        let usage = Usage::of_mailbox(&mailbox);
        let (old, new) = (self.root_of(from)?, self.root_of(to)?);
        if old != new {
            or_refuse!(self.has_room(to, usage)?);
            self.uncount(old, usage)?;
            self.count(new, usage)?;
        }
        self.take_name(&mailbox)?;
        mailbox.name = to.clone();
        self.keep_uidvalidity(&mut mailbox)?;
        self.put_name(&mailbox)?;
        self.labels.write(&self.shared.spool, &mailbox)?;
        self.mailboxes.insert(mailbox.id, Some(mailbox));
        Ok(Ok(Outcome::Done))
    }

    pub(super) fn set_acl(&mut self, name: &Name, acl: &Acl) -> Answer {
        let mut mailbox = or_refuse!(self.named(name)?);
        if self.full && acl.as_bytes().len() > mailbox.acl.as_bytes().len() {
            return Ok(Err(Refused::Full));
        }
        self.replace_acl(&mut mailbox, acl)?;
        self.mailboxes.insert(mailbox.id, Some(mailbox));
        Ok(Ok(Outcome::Done))
    }

    pub(super) fn set_special_use(&mut self, name: &Name, special_use: SpecialUse) -> Answer {
        let mut mailbox = or_refuse!(self.named(name)?);
        mailbox.special_use = special_use;
        self.mailboxes.insert(mailbox.id, Some(mailbox));
        Ok(Ok(Outcome::Done))
    }
}
