//! Whether the index and the files agree, found while the store is in use.
//!
//! Nothing is changed. The index is read a piece at a time, so the writer is never kept from using its pages again for
//! long; a file is looked at between two pieces. What looked wrong is looked at again when the group that was under way
//! then has ended, and is told only if it still is.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use heed::RoTxn;
use ravenry_core::mailboxes::Name;
use sha2::{Digest, Sha256};

pub use self::report::{Finding, Report, Wrong};
use super::quota::upwards;
use super::removed::Gone;
use super::tables::{
    Table, Tables, decode_due_key, decode_message_key, due_key, message_key, message_range,
};
use super::{
    Expunged, Mailbox, MailboxId, Message, Progress, Quota, Rests, Store, StoreError, Usage,
    annotations, mail,
};

mod report;

/// Messages that are read from the index at once.
const PIECE: usize = 1000;

impl Store {
    /// Compares the files with the index; `deep`: reads every message, too. Blocks for as long as it takes: for a pool.
    ///
    /// # Errors
    /// If the index can't be read. A file that can't is a finding.
    pub fn check(&self, deep: bool, progress: impl FnMut(Progress)) -> Result<Report, StoreError> {
        let (ids, all) = {
            let (reading, tables) = (self.read()?, &self.shared.tables);
            let ids = tables.mailboxes.iter(&reading)?;
            let ids = ids.map(|entry| MailboxId::decode(entry?.0));
            let all = tables.messages.len(&reading)? + tables.expunged.len(&reading)?;
            (ids.collect::<Result<Vec<_>, _>>()?, all)
        };
        let mut check = Check {
            store: self,
            deep,
            seen: Progress { done: 0, all },
            progress,
            report: Report::default(),
        };
        for id in ids {
            check.mailbox(id)?;
        }
        check.directories()?;
        check.names()?;
        check.access()?;
        check.due()?;
        check.quotas()?;
        check.annotations()?;
        (check.progress)(check.seen);
        Ok(check.report)
    }
}

struct Check<'s, P> {
    store: &'s Store,
    deep: bool,
    seen: Progress,
    progress: P,
    report: Report,
}

impl<P: FnMut(Progress)> Check<'_, P> {
    fn mailbox(&mut self, id: MailboxId) -> Result<(), StoreError> {
        let Some(mailbox) = self.counts(id)? else {
            return Ok(());
        };
        self.report.mailboxes += 1;
        let tables = &self.store.shared.tables;
        for (table, expunged) in [(tables.messages, false), (tables.expunged, true)] {
            let mut first = 1;
            while let Some(from) = Some(first).filter(|first| *first < u32::MAX) {
                let piece = self.piece(table, expunged, id, from)?;
                let looked_wrong = piece
                    .iter()
                    .filter_map(|message| self.message(&mailbox, message))
                    .collect();
                self.look_again(&mailbox, looked_wrong)?;
                match piece.last() {
                    Some(last) => first = last.uid + 1,
                    None => break,
                }
            }
        }
        self.files(&mailbox)
    }

    /// Some messages from a UID on that have a file.
    fn piece(
        &self,
        table: Table,
        expunged: bool,
        id: MailboxId,
        first: u32,
    ) -> Result<Vec<Message>, StoreError> {
        let reading = self.store.read()?;
        let range = message_range(id, first, u32::MAX);
        let mut piece = Vec::new();
        for entry in table.range(&reading, &range.bounds())? {
            let (key, record) = entry?;
            if expunged {
                let found = Expunged::decode(key, record)?;
                piece.extend((found.rest != Rests::Missing).then_some(found.message));
            } else {
                piece.push(Message::decode(key, record)?);
            }
            if piece.len() == PIECE {
                break;
            }
        }
        Ok(piece)
    }

    /// What is counted in a mailbox' record, against its messages.
    fn counts(&mut self, id: MailboxId) -> Result<Option<Mailbox>, StoreError> {
        let (reading, tables) = (self.store.read()?, &self.store.shared.tables);
        let Some(mailbox) = tables.mailbox(&reading, id)? else {
            return Ok(None);
        };
        let mut counted = mailbox.clone();
        (counted.exists, counted.unseen) = (0, 0);
        (counted.deleted, counted.bytes) = (0, 0);
        let known = mailbox.all_keywords();
        for entry in tables.messages.prefix_iter(&reading, &id.key())? {
            let (key, record) = entry?;
            let message = Message::decode(key, record)?;
            mail::count(&mut counted, &message, true);
            if message.uid >= mailbox.uidnext || message.modseq > mailbox.highestmodseq {
                self.report.add(&mailbox, None, Wrong::Ahead(message.uid));
            }
            if message.flags.keywords & !known != 0 {
                self.report
                    .add(&mailbox, None, Wrong::Keywords(message.uid));
            }
        }
        if counted != mailbox {
            self.report.add(&mailbox, None, Wrong::Counts);
        }
        Ok(Some(mailbox))
    }

    fn message(&mut self, mailbox: &Mailbox, message: &Message) -> Option<(u32, PathBuf, Wrong)> {
        self.seen.done += 1;
        if self.seen.done.is_multiple_of(PIECE as u64) {
            (self.progress)(self.seen);
        }
        self.report.messages += 1;
        let path = self.store.path(mailbox, message.uid);
        let wrong = wrong_with(&path, message, self.deep)?;
        Some((message.uid, path, wrong))
    }

    /// Tells of messages whose file looked wrong, where the index still refers to it.
    fn look_again(
        &mut self,
        mailbox: &Mailbox,
        looked_wrong: Vec<(u32, PathBuf, Wrong)>,
    ) -> Result<(), StoreError> {
        if looked_wrong.is_empty() {
            return Ok(());
        }
        self.store.shared.after_this_group();
        let reading = self.store.read()?;
        let tables = &self.store.shared.tables;
        for (uid, path, wrong) in looked_wrong {
            if tables.has_file(&reading, mailbox.id, uid)? {
                self.report.add(mailbox, Some(path), wrong);
            }
        }
        Ok(())
    }

    /// Files in a mailbox' directory that the index doesn't know.
    fn files(&mut self, mailbox: &Mailbox) -> Result<(), StoreError> {
        let spool = &self.store.shared.spool;
        let mut files = Vec::new();
        let listed = spool.each_file(&mailbox.partition, mailbox.id, |uid, path| {
            files.push((uid, path.to_owned()));
            Ok(())
        });
        if let Err(error) = listed {
            let path = spool.directory(&mailbox.partition, mailbox.id);
            self.store.shared.after_this_group();
            if self.store.mailbox_by_id(mailbox.id)?.is_some() {
                let wrong = Wrong::Unreadable(error.to_string());
                self.report.add(mailbox, Some(path), wrong);
            }
            return Ok(());
        }
        let unknown = self.unknown_of(mailbox.id, files)?;
        if unknown.is_empty() {
            return Ok(());
        }
        self.store.shared.after_this_group();
        let unknown = self.unknown_of(mailbox.id, unknown)?;
        // A purge may have been between its commit and the removal.
        self.store.shared.after_this_group();
        for (_, path) in unknown {
            if fs::symlink_metadata(&path).is_ok() {
                self.report.add(mailbox, Some(path), Wrong::UnknownFile);
            }
        }
        Ok(())
    }

    /// Those that the index doesn't know.
    fn unknown_of(
        &self,
        id: MailboxId,
        files: Vec<(Option<u32>, PathBuf)>,
    ) -> Result<Vec<(Option<u32>, PathBuf)>, StoreError> {
        let (reading, tables) = (self.store.read()?, &self.store.shared.tables);
        let mut unknown = Vec::new();
        for (uid, path) in files {
            let known = match uid {
                Some(uid) => tables.has_file(&reading, id, uid)?,
                None => false,
            };
            if !known {
                unknown.push((uid, path));
            }
        }
        Ok(unknown)
    }

    /// Directories of mailboxes that the index doesn't know.
    fn directories(&mut self) -> Result<(), StoreError> {
        let shared = &self.store.shared;
        let is_unknown = |partition: &str, id| {
            let mailbox = self.store.mailbox_by_id(id)?;
            Ok::<_, StoreError>(mailbox.is_none_or(|mailbox| mailbox.partition != partition))
        };
        let mut suspects = Vec::new();
        shared.spool.each_directory(|partition, id, path| {
            if is_unknown(partition, id)? {
                suspects.push((partition.to_owned(), id, path.to_owned()));
            }
            Ok(())
        })?;
        if suspects.is_empty() {
            return Ok(());
        }
        shared.after_this_group();
        let mut unknown = Vec::new();
        for (partition, id, path) in suspects {
            if is_unknown(&partition, id)? {
                unknown.push(path);
            }
        }
        shared.after_this_group();
        unknown.retain(|path| path.exists());
        for path in unknown {
            self.report.add_nameless(path);
        }
        Ok(())
    }

    /// Every mailbox has its name, and every name its mailbox.
    fn names(&mut self) -> Result<(), StoreError> {
        let (reading, tables) = (self.store.read()?, &self.store.shared.tables);
        for entry in tables.mailboxes.iter(&reading)? {
            let (key, record) = entry?;
            let id = MailboxId::decode(key)?;
            let mailbox = Mailbox::decode(id, record)?;
            let removed = tables.removed.get(&reading, key)?;
            let removed = removed.map(Gone::decode).transpose()?.is_some();
            let named = tables.id_of(&reading, &mailbox.name)? == Some(id);
            if named == removed {
                self.report.add(&mailbox, None, Wrong::Name);
            }
        }
        for entry in tables.names.iter(&reading)? {
            let (key, id) = entry?;
            let mailbox = tables.mailbox(&reading, MailboxId::decode(id)?)?;
            if mailbox.is_none_or(|mailbox| mailbox.name.to_key() != key) {
                self.report.add_key(key, Wrong::StrayName);
            }
        }
        Ok(())
    }

    /// The reverse ACL is what the ACLs say.
    fn access(&mut self) -> Result<(), StoreError> {
        let (reading, tables) = (self.store.read()?, &self.store.shared.tables);
        let mut found = 0;
        for entry in tables.names.iter(&reading)? {
            let Some(mailbox) = tables.mailbox(&reading, MailboxId::decode(entry?.1)?)? else {
                continue;
            };
            for key in mailbox.access_keys() {
                match tables.access.get(&reading, &key)? {
                    Some(_) => found += 1,
                    None => self.report.add(&mailbox, None, Wrong::Access),
                }
            }
        }
        if tables.access.len(&reading)? == found {
            return Ok(());
        }
        for entry in tables.access.iter(&reading)? {
            let (key, _) = entry?;
            // Behind the tag, which has no 0 in it.
            let at = memchr::memchr(0, key).map_or(key.len(), |at| at + 1);
            let id = tables.names.get(&reading, &key[at..])?;
            let mailbox = match id {
                Some(id) => tables.mailbox(&reading, MailboxId::decode(id)?)?,
                None => None,
            };
            let keys = mailbox.map_or_else(Vec::new, |mailbox| mailbox.access_keys());
            if keys.iter().all(|expected| expected != key) {
                self.report.add_key(&key[at..], Wrong::Access);
            }
        }
        Ok(())
    }

    /// What was expunged has its time to go.
    fn due(&mut self) -> Result<(), StoreError> {
        let (reading, tables) = (self.store.read()?, &self.store.shared.tables);
        let mut found = 0;
        for entry in tables.expunged.iter(&reading)? {
            let (key, record) = entry?;
            let (id, uid) = decode_message_key(key)?;
            let due = due_key(Expunged::decode(key, record)?.at, id, uid);
            if tables.due.get(&reading, &due)?.is_some() {
                found += 1;
            } else if let Some(mailbox) = tables.mailbox(&reading, id)? {
                self.report.add(&mailbox, None, Wrong::Due(uid));
            }
        }
        if tables.due.len(&reading)? == found {
            return Ok(());
        }
        for entry in tables.due.iter(&reading)? {
            let (at, id, uid) = decode_due_key(entry?.0)?;
            let record = tables.expunged.get(&reading, &message_key(id, uid))?;
            let record = record.map(|record| Expunged::decode(&message_key(id, uid), record));
            if record.transpose()?.is_none_or(|expunged| expunged.at != at)
                && let Some(mailbox) = tables.mailbox(&reading, id)?
            {
                self.report.add(&mailbox, None, Wrong::Due(uid));
            }
        }
        Ok(())
    }

    /// Usage is what the mailboxes have that count for a root.
    fn quotas(&mut self) -> Result<(), StoreError> {
        let (reading, tables) = (self.store.read()?, &self.store.shared.tables);
        let mut roots: BTreeMap<Name, (Quota, Usage)> = BTreeMap::new();
        for entry in tables.quotas.iter(&reading)? {
            let quota = Quota::decode(entry?.1)?;
            roots.insert(quota.root.clone(), (quota, Usage::default()));
        }
        if roots.is_empty() {
            return Ok(());
        }
        for entry in tables.names.iter(&reading)? {
            let Some(mailbox) = tables.mailbox(&reading, MailboxId::decode(entry?.1)?)? else {
                continue;
            };
            let root = upwards(&mailbox.name).find(|name| roots.contains_key(name));
            if let Some((_, usage)) = root.and_then(|root| roots.get_mut(&root)) {
                *usage = usage.and(Usage::of_mailbox(&mailbox));
            }
        }
        for (root, (quota, usage)) in roots {
            if quota.usage != usage {
                self.report.add_quota(root, quota.usage, usage);
            }
        }
        Ok(())
    }
}

impl<P> Check<'_, P> {
    /// Annotations are of mailboxes that there are, and what is a user's own is found by the user.
    fn annotations(&mut self) -> Result<(), StoreError> {
        let (reading, tables) = (self.store.read()?, &self.store.shared.tables);
        for entry in tables.annotations.iter(&reading)? {
            let (key, record) = entry?;
            let entry = annotations::decode(record)?.0;
            if !annotations::belongs(tables, &reading, key)? {
                self.report.add_annotation(&entry);
            }
        }
        Ok(())
    }
}

impl Tables {
    /// Whether the index refers to the file of this UID.
    pub(super) fn has_file(
        &self,
        reading: &RoTxn<'_>,
        id: MailboxId,
        uid: u32,
    ) -> Result<bool, StoreError> {
        let key = message_key(id, uid);
        if self.messages.get(reading, &key)?.is_some() {
            return Ok(true);
        }
        match self.expunged.get(reading, &key)? {
            Some(record) => Ok(Expunged::decode(&key, record)?.rest != Rests::Missing),
            None => Ok(false),
        }
    }
}

/// What is wrong with a message's file.
pub(super) fn wrong_with(path: &Path, message: &Message, deep: bool) -> Option<Wrong> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Wrong::MissingFile),
        Err(error) => return Some(Wrong::Unreadable(error.to_string())),
    };
    if !found.is_file() {
        return Some(Wrong::Unreadable("it is no ordinary file".to_owned()));
    }
    if found.len() != message.size {
        return Some(Wrong::Size {
            file: found.len(),
            index: message.size,
        });
    }
    if !deep {
        return None;
    }
    match digest_of(path) {
        Ok(digest) if digest == message.digest => None,
        Ok(_) => Some(Wrong::Content),
        Err(error) => Some(Wrong::Unreadable(error.to_string())),
    }
}

fn digest_of(path: &Path) -> io::Result<[u8; 32]> {
    let (mut file, mut digest) = (File::open(path)?, Sha256::new());
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(digest.finalize().into()),
            Ok(read) => digest.update(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
