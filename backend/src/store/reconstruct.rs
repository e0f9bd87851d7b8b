//! Putting a mailbox' record and its files together again, as Cyrus' `reconstruct` does.
//!
//! No file is removed: one that the index doesn't know becomes a new message, under the name of its new UID. A message whose file
//! is missing, or is another one by its size, is expunged: what a UID stands for never changes (RFC 3501 section
//! 2.3.1.1).
//!
//! Whoever asks looks for what is wrong ([`Store::suspects`]), which takes as long as it takes and keeps nobody waiting; the
//! writer looks again at these alone, a bounded group at a time. Invariant: the first group makes the record right, and each
//! one leaves it so: what a session sees between two of them is a whole mailbox, in which some messages still lack their file
//! and some files aren't messages yet.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use ravenry_core::proto::imap::{DateTime, Uids};

use super::check::{Wrong, wrong_with};
use super::order::{Outcome, Refused};
use super::spool::{self, Measured};
use super::tables::message_range;
use super::transaction::{Answer, Transaction, or_refuse};
use super::{Flags, Mailbox, MailboxId, Message, Place, Rests, Store, StoreError, mail};

/// Messages of one group that are looked at.
const GROUP_MESSAGES_MAX: usize = 1000;
/// Files of one group that are read, and their bytes; a larger one is a group of its own.
const GROUP_FILES_MAX: usize = 64;
const GROUP_BYTES_MAX: u64 = 16 << 20;

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

impl Reconstructed {
    /// Adds what another group has done.
    pub fn and(&mut self, other: Self) {
        self.recounted |= other.recounted;
        self.adopted.append(&other.adopted);
        self.missing.append(&other.missing);
        self.replaced.append(&other.replaced);
        self.left.extend(other.left);
    }
}

/// What one group is to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suspects {
    /// Whether it makes the record right: the first does.
    recount: bool,
    /// Messages whose files looked wrong.
    messages: Uids,
    /// Files that aren't messages'.
    files: BTreeSet<PathBuf>,
}

impl Store {
    /// What has to be looked at to put a mailbox together again, in groups: each is an [`super::Order::Reconstruct`]. Blocks for
    /// as long as it takes: for a pool.
    ///
    /// # Errors
    /// If the index or the directory can't be read.
    pub fn suspects(&self, mailbox: &Mailbox) -> Result<Vec<Suspects>, StoreError> {
        let mut groups = vec![Suspects {
            recount: true,
            ..Suspects::default()
        }];
        let mut files = BTreeSet::new();
        let mut first = 1;
        loop {
            let piece = self.piece(mailbox.id, first)?;
            let Some(last) = piece.last() else { break };
            first = last.uid.saturating_add(1);
            let mut messages = Uids::default();
            for message in &piece {
                let path = self.path(mailbox, message.uid);
                match wrong_with(&path, message, false) {
                    None => continue,
                    Some(Wrong::MissingFile) => {}
                    // It is nobody's when the message has gone.
                    Some(_) => drop(files.insert(path)),
                }
                messages.push(message.uid);
            }
            if !messages.is_empty() {
                groups.push(Suspects {
                    messages,
                    ..Suspects::default()
                });
            }
        }
        self.unknown_files(mailbox, &mut files)?;
        groups.extend(grouped(files));
        Ok(groups)
    }

    fn piece(&self, id: MailboxId, first: u32) -> Result<Vec<Message>, StoreError> {
        let reading = self.read()?;
        let range = message_range(id, first, u32::MAX);
        let messages = self
            .shared
            .tables
            .messages
            .range(&reading, &range.bounds())?;
        let piece = messages.take(GROUP_MESSAGES_MAX).map(|entry| {
            let (key, record) = entry?;
            Message::decode(key, record)
        });
        piece.collect()
    }

    fn unknown_files(
        &self,
        mailbox: &Mailbox,
        files: &mut BTreeSet<PathBuf>,
    ) -> Result<(), StoreError> {
        let spool = &self.shared.spool;
        if !spool.directory(&mailbox.partition, mailbox.id).exists() {
            // The first group makes it.
            return Ok(());
        }
        let mut all = Vec::new();
        spool.each_file(&mailbox.partition, mailbox.id, |uid, path| {
            all.push((uid, path.to_owned()));
            Ok(())
        })?;
        let reading = self.read()?;
        for (uid, path) in all {
            let known = match uid {
                Some(uid) => self.shared.tables.has_file(&reading, mailbox.id, uid)?,
                None => false,
            };
            if !known {
                files.insert(path);
            }
        }
        Ok(())
    }
}

/// Files in groups of which none takes the writer for long.
fn grouped(files: BTreeSet<PathBuf>) -> Vec<Suspects> {
    let (mut groups, mut group, mut bytes) = (Vec::new(), BTreeSet::new(), 0);
    let full = |files| Suspects {
        files,
        ..Suspects::default()
    };
    for path in files {
        let size = fs::symlink_metadata(&path).map_or(0, |found| found.len());
        let fits = group.len() < GROUP_FILES_MAX && bytes + size <= GROUP_BYTES_MAX;
        if !fits && !group.is_empty() {
            groups.push(full(std::mem::take(&mut group)));
            bytes = 0;
        }
        bytes += size;
        group.insert(path);
    }
    if !group.is_empty() {
        groups.push(full(group));
    }
    groups
}

impl Transaction<'_> {
    pub(super) fn reconstruct(&mut self, id: MailboxId, suspects: &Suspects) -> Answer {
        let mut mailbox = or_refuse!(self.open(id)?);
        if self.backup_runs {
            let why = "a backup runs, which needs the files as they are".to_owned();
            return Ok(Err(Refused::Failed(why)));
        }
        let mut done = Reconstructed::default();
        if suspects.recount {
            self.set_right(&mut mailbox, &mut done)?;
            let parent = self.shared.spool.make(&mailbox)?;
            self.links.note(parent);
            self.labels.write(&self.shared.spool, &mailbox)?;
        }
        self.expunge_fileless(&mut mailbox, &suspects.messages, &mut done)?;
        let mut unknown = self.unknown_of(&mailbox, &suspects.files, &mut done)?;
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
        suspects: &Uids,
        done: &mut Reconstructed,
    ) -> Result<(), StoreError> {
        let mut gone = Vec::new();
        for message in self.messages(mailbox.id, Some(suspects))? {
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

    /// Those of these files that may become messages.
    fn unknown_of(
        &self,
        mailbox: &Mailbox,
        files: &BTreeSet<PathBuf>,
        done: &mut Reconstructed,
    ) -> Result<BTreeSet<PathBuf>, StoreError> {
        let tables = &self.shared.tables;
        let mut unknown = BTreeSet::new();
        for path in files {
            if let Some(uid) = spool::uid_of(path)
                && tables.has_file(&self.writing, mailbox.id, uid)?
            {
                continue;
            }
            match fit_for_a_message(path) {
                Ok(true) => drop(unknown.insert(path.clone())),
                // It was purged or adopted meanwhile.
                Ok(false) => {}
                Err(why) => done.left.push((path.clone(), why)),
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

/// Whether it is there, or why it can't be one.
fn fit_for_a_message(path: &Path) -> Result<bool, String> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.to_string()),
    };
    if path.extension().is_none_or(|extension| extension != "eml") {
        Err("its name doesn't end with .eml".to_owned())
    } else if !found.is_file() {
        Err("it is no ordinary file".to_owned())
    } else if found.len() == 0 {
        Err("it is empty".to_owned())
    } else {
        Ok(true)
    }
}

/// When a file was written is the best guess at INTERNALDATE.
fn date_of(path: &Path) -> io::Result<DateTime> {
    let written = fs::metadata(path)?.modified()?;
    let since = written.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(DateTime {
        seconds: i64::try_from(since.as_secs()).unwrap_or_default(),
        zone: 0,
    })
}
