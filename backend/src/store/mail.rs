//! Orders about messages: APPEND, STORE, EXPUNGE, COPY, MOVE and REPLACE (RFC 3501 section 6.4, RFC 7162, RFC 6851, RFC 8508).
//!
//! A message's modseq is the mailbox' own after the order that changed it, so it only grows. A message that is removed
//! goes to `expunged`, and its file stays where it is.

use ravenry_core::mailboxes::Name;
use ravenry_core::proto::imap::Uids;

use super::order::{Appended, FlagChange, Incoming, Mode, Outcome, Refused, Settable};
use super::tables::{due_key, message_key};
use super::transaction::{Answer, Transaction, or_refuse};
use super::{Expunged, Flags, Mailbox, MailboxId, Message, Rests, StoreError, Usage};

impl Transaction<'_> {
    pub(super) fn append(&mut self, id: MailboxId, messages: &[Incoming]) -> Answer {
        self.append_for(id, messages, Usage::default())
    }

    /// Adds messages where so much goes in return, of the same quota root.
    fn append_for(&mut self, id: MailboxId, messages: &[Incoming], goes: Usage) -> Answer {
        let mut mailbox = or_refuse!(self.open(id)?);
        or_refuse!(room_for(&mailbox, messages.len()));
        let more = Usage::of_sizes(messages.iter().map(|incoming| incoming.message.size));
        or_refuse!(self.has_room(&mailbox.name, more.without(goes))?);
        let mut keywords = mailbox.keywords.clone();
        let mut flags = Vec::with_capacity(messages.len());
        for incoming in messages {
            let bits = or_refuse!(bits_of(&mut keywords, &incoming.keywords, true));
            flags.push(Flags {
                system: incoming.system,
                keywords: bits,
            });
        }
        mailbox.keywords = keywords;
        mailbox.highestmodseq += 1;
        let mut uids = Uids::default();
        for (incoming, flags) in messages.iter().zip(flags) {
            let ready = &incoming.message;
            let uid = mailbox.uidnext;
            let message = Message {
                uid,
                modseq: mailbox.highestmodseq,
                date: incoming.date,
                saved: self.now,
                size: ready.size,
                header_size: ready.header_size,
                flags,
                digest: ready.digest,
                structure: self.put_structure(&mut mailbox, uid, &ready.structure),
            };
            let path = self
                .shared
                .spool
                .message(&mailbox.partition, id, message.uid);
            if ready
                .path
                .starts_with(self.shared.spool.root(&mailbox.partition))
            {
                self.links.link(&ready.path, path)?;
            } else {
                self.links.copy(&ready.path, path)?;
            }
            uids.push(message.uid);
            self.add(&mut mailbox, &message)?;
        }
        let appended = Appended {
            uidvalidity: mailbox.uidvalidity,
            uids,
        };
        self.keep(mailbox)?;
        Ok(Ok(Outcome::Appended(appended)))
    }

    pub(super) fn flag(&mut self, id: MailboxId, uids: &Uids, change: &FlagChange) -> Answer {
        let mut mailbox = or_refuse!(self.open(id)?);
        let mut keywords = mailbox.keywords.clone();
        let bits = or_refuse!(bits_of(
            &mut keywords,
            &change.keywords,
            change.mode != Mode::Remove
        ));
        let given = Flags {
            system: change.system,
            keywords: bits,
        };
        let (mut changed, mut modified) = (Uids::default(), Uids::default());
        let modseq = mailbox.highestmodseq + 1;
        for mut message in self.messages(id, Some(uids))? {
            if change
                .unchanged_since
                .is_some_and(|since| message.modseq > since)
            {
                modified.push(message.uid);
                continue;
            }
            let flags = flags_after(message.flags, given, change.mode);
            if flags == message.flags {
                continue;
            }
            count(&mut mailbox, &message, false);
            (message.flags, message.modseq) = (flags, modseq);
            count(&mut mailbox, &message, true);
            self.put_message(id, &message)?;
            changed.push(message.uid);
        }
        if !changed.is_empty() {
            (mailbox.highestmodseq, mailbox.keywords) = (modseq, keywords);
            self.changed(&mailbox).flagged.append(&changed);
            self.mailboxes.insert(id, Some(mailbox));
        }
        let modseq = (!changed.is_empty()).then_some(modseq);
        Ok(Ok(Outcome::Flagged {
            changed,
            modified,
            modseq,
        }))
    }

    pub(super) fn recent(&mut self, id: MailboxId, up_to: u32) -> Answer {
        let mut mailbox = or_refuse!(self.open(id)?);
        let before = mailbox.recent;
        if up_to > before {
            mailbox.recent = up_to;
            self.mailboxes.insert(id, Some(mailbox));
        }
        Ok(Ok(Outcome::Recent { before }))
    }

    pub(super) fn expunge(&mut self, id: MailboxId, uids: Option<&Uids>) -> Answer {
        let mut mailbox = or_refuse!(self.open(id)?);
        let mut messages = self.messages(id, uids)?;
        messages.retain(|message| message.flags.has(Flags::DELETED));
        let gone = self.remove(&mut mailbox, messages, Rests::File)?;
        let modseq = (!gone.is_empty()).then_some(mailbox.highestmodseq);
        self.keep(mailbox)?;
        Ok(Ok(Outcome::Expunged { gone, modseq }))
    }

    pub(super) fn copy(
        &mut self,
        (from, uids): (MailboxId, &Uids),
        to: MailboxId,
        moves: bool,
        keep: Settable,
    ) -> Answer {
        let source = or_refuse!(self.open(from)?);
        let mut target = or_refuse!(self.open(to)?);
        let messages = self.messages(from, Some(uids))?;
        or_refuse!(room_for(&target, messages.len()));
        if !moves || self.root_of(&source.name)? != self.root_of(&target.name)? {
            let more = Usage::of_messages(messages.iter());
            or_refuse!(self.has_room(&target.name, more)?);
        }
        let mut keywords = target.keywords.clone();
        let mut copies = Vec::with_capacity(messages.len());
        for message in &messages {
            let names = if keep.keywords {
                names_of(&source, message.flags)
            } else {
                Vec::new()
            };
            copies.push(Flags {
                keywords: or_refuse!(bits_of(&mut keywords, &names, true)),
                system: message.flags.system & keep.system,
            });
        }
        target.keywords = keywords;
        target.highestmodseq += u64::from(!messages.is_empty());
        let mut structures = self.structures_of(&source);
        let (mut taken, mut given) = (Uids::default(), Uids::default());
        for (message, flags) in messages.iter().zip(copies) {
            let uid = target.uidnext;
            let structure = self.copy_structure((&mut structures, message), (&mut target, uid));
            let copy = Message {
                uid,
                modseq: target.highestmodseq,
                saved: self.now,
                flags,
                structure,
                ..message.clone()
            };
            let spool = &self.shared.spool;
            let old = spool.message(&source.partition, from, message.uid);
            let new = spool.message(&target.partition, to, copy.uid);
            if source.partition == target.partition {
                self.links.link(&old, new)?;
            } else {
                self.links.copy(&old, new)?;
            }
            taken.push(message.uid);
            given.push(copy.uid);
            self.add(&mut target, &copy)?;
        }
        let appended = Appended {
            uidvalidity: target.uidvalidity,
            uids: given,
        };
        self.keep(target)?;
        if moves {
            // Anew: it may be the target itself.
            let mut source = or_refuse!(self.open(from)?);
            self.remove(&mut source, messages, Rests::File)?;
            self.keep(source)?;
        }
        Ok(Ok(Outcome::Copied {
            from: taken,
            to: appended,
        }))
    }

    pub(super) fn replace(
        &mut self,
        (from, uid): (MailboxId, u32),
        to: MailboxId,
        message: &Incoming,
    ) -> Answer {
        let mut one = Uids::default();
        one.push(uid);
        let Ok(source) = self.open(from)? else {
            return Ok(Err(Refused::NoMessage));
        };
        let replaced = self.messages(from, Some(&one))?;
        if replaced.is_empty() {
            return Ok(Err(Refused::NoMessage));
        }
        let target = or_refuse!(self.open(to)?);
        let mut goes = Usage::default();
        if self.root_of(&source.name)? == self.root_of(&target.name)? {
            goes = Usage::of_messages(replaced.iter());
        }
        let appended = or_refuse!(self.append_for(to, std::slice::from_ref(message), goes)?);
        // Anew: it may be the target itself.
        let mut source = or_refuse!(self.open(from)?);
        self.remove(&mut source, replaced, Rests::File)?;
        self.keep(source)?;
        Ok(Ok(appended))
    }

    pub(super) fn move_all(&mut self, from: &Name, to: &Name) -> Answer {
        let (from, to) = (or_refuse!(self.named(from)?), or_refuse!(self.named(to)?));
        let mut all = Uids::default();
        all.push_range(1, u32::MAX);
        let copied = self.copy((from.id, &all), to.id, true, Settable::ALL)?;
        if copied.is_ok() {
            self.copy_annotations(from.id, to.id)?;
        }
        Ok(copied)
    }

    /// Writes a message that is new in a mailbox.
    pub(super) fn add(
        &mut self,
        mailbox: &mut Mailbox,
        message: &Message,
    ) -> Result<(), StoreError> {
        mailbox.uidnext = message.uid + 1;
        count(mailbox, message, true);
        self.put_message(mailbox.id, message)?;
        self.changed(mailbox).appended.push(message.uid);
        Ok(())
    }

    /// Takes messages out of a mailbox; their files stay.
    pub(super) fn remove(
        &mut self,
        mailbox: &mut Mailbox,
        messages: Vec<Message>,
        rest: Rests,
    ) -> Result<Uids, StoreError> {
        let mut gone = Uids::default();
        if messages.is_empty() {
            return Ok(gone);
        }
        mailbox.highestmodseq += 1;
        for message in messages {
            count(mailbox, &message, false);
            gone.push(message.uid);
            let key = message_key(mailbox.id, message.uid);
            let expunged = Expunged {
                modseq: mailbox.highestmodseq,
                at: self.now,
                rest,
                message,
            };
            self.shared
                .tables
                .messages
                .delete(&mut self.writing, &key)?;
            self.put_expunged(mailbox.id, &expunged)?;
            let due = due_key(expunged.at, mailbox.id, expunged.message.uid);
            let table = self.shared.tables.due;
            table.put(&mut self.writing, &due, &[])?;
        }
        self.changed(mailbox).expunged.append(&gone);
        Ok(gone)
    }
}

pub(super) fn room_for(mailbox: &Mailbox, messages: usize) -> Result<(), Refused> {
    let room = u64::from(u32::MAX - mailbox.uidnext);
    if messages as u64 > room {
        return Err(Refused::UidsExhausted);
    }
    Ok(())
}

/// A message counts in its mailbox, or doesn't any more.
pub(super) fn count(mailbox: &mut Mailbox, message: &Message, there: bool) {
    let change = |number: &mut u32, by: bool| {
        let by = u32::from(by);
        *number = if there {
            *number + by
        } else {
            number.saturating_sub(by)
        };
    };
    change(&mut mailbox.exists, true);
    change(&mut mailbox.unseen, !message.flags.has(Flags::SEEN));
    change(&mut mailbox.deleted, message.flags.has(Flags::DELETED));
    mailbox.bytes = if there {
        mailbox.bytes + message.size
    } else {
        mailbox.bytes.saturating_sub(message.size)
    };
}

fn flags_after(old: Flags, given: Flags, mode: Mode) -> Flags {
    match mode {
        Mode::Replace { system, keywords } => Flags {
            system: old.system & !system | given.system,
            keywords: given.keywords | if keywords { 0 } else { old.keywords },
        },
        Mode::Add => Flags {
            system: old.system | given.system,
            keywords: old.keywords | given.keywords,
        },
        Mode::Remove => Flags {
            system: old.system & !given.system,
            keywords: old.keywords & !given.keywords,
        },
    }
}

/// The bits of keywords in a mailbox' table, which grows if it may. Their case is that of who came first.
fn bits_of(table: &mut Vec<String>, keywords: &[String], grow: bool) -> Result<u128, Refused> {
    let mut bits = 0;
    for keyword in keywords {
        let known = table
            .iter()
            .position(|known| known.eq_ignore_ascii_case(keyword));
        let at = match known {
            Some(at) => at,
            None if !grow => continue,
            None if table.len() == Flags::KEYWORDS_MAX => return Err(Refused::KeywordsFull),
            None => {
                table.push(keyword.clone());
                table.len() - 1
            }
        };
        bits |= 1 << at;
    }
    Ok(bits)
}

/// The keywords that a message of this mailbox has.
fn names_of(mailbox: &Mailbox, flags: Flags) -> Vec<String> {
    let all = mailbox.keywords.iter().enumerate();
    let set = all.filter(|(at, _)| flags.keywords & (1 << at) != 0);
    set.map(|(_, keyword)| keyword.clone()).collect()
}
