//! Putting a mailbox' record and its files together again, as Cyrus' `reconstruct` does.
//!
//! No file is removed: one that the index doesn't know becomes a new message, under the name of its new UID. A message whose file
//! is missing, or is another one by its size, is expunged: what a UID stands for never changes (RFC 3501 section
//! 2.3.1.1). The writer is kept for as long as it takes to read the unknown files.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use ravenry_core::proto::imap::{DateTime, Uids};

use super::check::{Wrong, wrong_with};
use super::order::{Outcome, Refused};
use super::spool::{self, Measured};
use super::transaction::{Answer, Transaction, or_refuse};
use super::{Flags, Mailbox, MailboxId, Message, Place, Rests, StoreError, mail};

/// What was put right in a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconstructed {
    /// What its record counted wasn't what its messages are.
    pub recounted: bool,
    /// Files that are messages now.
    pub adopted: Uids,
    /// Messages that are gone, since their file was.
    pub missing: Uids,
    /// Messages that are gone, since their file was another one; it is adopted.
    pub replaced: Uids,
    /// Files that are left as they are, and why.
    pub left: Vec<(PathBuf, String)>,
}

impl Transaction<'_> {
    pub(super) fn reconstruct(&mut self, id: MailboxId) -> Answer {
        let mut mailbox = or_refuse!(self.open(id)?);
        if self.backup_runs {
            let why = "a backup runs, which needs the files as they are".to_owned();
            return Ok(Err(Refused::Failed(why)));
        }
        let mut done = Reconstructed::default();
        self.set_right(&mut mailbox, &mut done)?;
        self.expunge_fileless(&mut mailbox, &mut done)?;
        let mut unknown = self.unknown_files(&mailbox, &mut done)?;
        mailbox.highestmodseq += u64::from(!unknown.is_empty());
        while let Some(path) = self.next_of(&mailbox, &mut unknown) {
            self.adopt(&mut mailbox, path, &mut done)?;
        }
        self.keep(mailbox)?;
        Ok(Ok(Outcome::Reconstructed(done)))
    }

    /// What the record says of its messages.
    fn set_right(
        &mut self,
        mailbox: &mut Mailbox,
        done: &mut Reconstructed,
    ) -> Result<(), StoreError> {
        let before = mailbox.clone();
        (mailbox.exists, mailbox.unseen) = (0, 0);
        (mailbox.deleted, mailbox.bytes) = (0, 0);
        let known = mailbox.all_keywords();
        for mut message in self.messages(mailbox.id, None)? {
            mail::count(mailbox, &message, true);
            mailbox.uidnext = mailbox.uidnext.max(message.uid.saturating_add(1));
            mailbox.highestmodseq = mailbox.highestmodseq.max(message.modseq);
            if message.flags.keywords & !known != 0 {
                message.flags.keywords &= known;
                self.put_message(mailbox.id, &message)?;
                done.recounted = true;
            }
        }
        done.recounted |= *mailbox != before;
        Ok(())
    }

    fn expunge_fileless(
        &mut self,
        mailbox: &mut Mailbox,
        done: &mut Reconstructed,
    ) -> Result<(), StoreError> {
        let mut gone = Vec::new();
        for message in self.messages(mailbox.id, None)? {
            let path = self.path_of(mailbox, message.uid);
            match wrong_with(&path, &message, false) {
                None => continue,
                Some(Wrong::MissingFile) => done.missing.push(message.uid),
                Some(Wrong::Size { .. }) => done.replaced.push(message.uid),
                Some(other) => {
                    done.left.push((path, other.to_string()));
                    continue;
                }
            }
            gone.push(message);
        }
        self.remove(mailbox, gone, Rests::Missing)?;
        Ok(())
    }

    /// Files that may become messages.
    fn unknown_files(
        &mut self,
        mailbox: &Mailbox,
        done: &mut Reconstructed,
    ) -> Result<BTreeSet<PathBuf>, StoreError> {
        let parent = self.shared.spool.make(mailbox)?;
        self.links.note(parent);
        self.labels.write(&self.shared.spool, mailbox)?;
        let mut files = Vec::new();
        let spool = &self.shared.spool;
        spool.each_file(&mailbox.partition, mailbox.id, |uid, path| {
            files.push((uid, path.to_owned()));
            Ok(())
        })?;
        let mut unknown = BTreeSet::new();
        for (uid, path) in files {
            let known = match uid {
                Some(uid) => self
                    .shared
                    .tables
                    .has_file(&self.writing, mailbox.id, uid)?,
                None => false,
            };
            if known {
                continue;
            }
            match fit_for_a_message(&path) {
                Ok(()) => drop(unknown.insert(path)),
                Err(why) => done.left.push((path, why)),
            }
        }
        Ok(unknown)
    }

    /// The next to be adopted: the one whose name the next message gets goes before all others.
    fn next_of(&self, mailbox: &Mailbox, unknown: &mut BTreeSet<PathBuf>) -> Option<PathBuf> {
        let next = self.path_of(mailbox, mailbox.uidnext);
        unknown.take(&next).or_else(|| unknown.pop_first())
    }

    fn adopt(
        &mut self,
        mailbox: &mut Mailbox,
        path: PathBuf,
        done: &mut Reconstructed,
    ) -> Result<(), StoreError> {
        // The names of files that are left as they are stay theirs.
        while path != self.path_of(mailbox, mailbox.uidnext)
            && fs::symlink_metadata(self.path_of(mailbox, mailbox.uidnext)).is_ok()
        {
            mailbox.uidnext = mailbox.uidnext.saturating_add(1);
        }
        if mail::room_for(mailbox, 1).is_err() {
            done.left
                .push((path, "the mailbox' UIDs are used up".to_owned()));
            return Ok(());
        }
        let (measured, date) = match spool::measure(&path).and_then(|it| Ok((it, date_of(&path)?)))
        {
            Ok((Measured { has_nul: true, .. }, _)) => {
                done.left.push((path, "it has a NUL in it".to_owned()));
                return Ok(());
            }
            Ok(found) => found,
            Err(error) => {
                done.left.push((path, error.to_string()));
                return Ok(());
            }
        };
        let message = Message {
            uid: mailbox.uidnext,
            modseq: mailbox.highestmodseq,
            date,
            saved: self.now,
            size: measured.size,
            header_size: measured.header_size,
            flags: Flags::default(),
            digest: measured.digest,
            structure: Place::default(),
        };
        let name = self.path_of(mailbox, message.uid);
        if path != name {
            self.links.link(&path, name)?;
            self.unlinked.push(path);
        }
        done.adopted.push(message.uid);
        self.add(mailbox, &message)
    }

    fn path_of(&self, mailbox: &Mailbox, uid: u32) -> PathBuf {
        let spool = &self.shared.spool;
        spool.message(&mailbox.partition, mailbox.id, uid)
    }
}

fn fit_for_a_message(path: &std::path::Path) -> Result<(), String> {
    if path.extension().is_none_or(|extension| extension != "eml") {
        return Err("its name doesn't end with .eml".to_owned());
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => Err("it is no ordinary file".to_owned()),
        Ok(found) if found.len() == 0 => Err("it is empty".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// When a file was written is the best guess at INTERNALDATE.
fn date_of(path: &std::path::Path) -> io::Result<DateTime> {
    let written = fs::metadata(path)?.modified()?;
    let since = written.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(DateTime {
        seconds: i64::try_from(since.as_secs()).unwrap_or_default(),
        zone: 0,
    })
}
