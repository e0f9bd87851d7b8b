//! The header cache: what was found in a message when it came (ENVELOPE, BODYSTRUCTURE and the like), to the store a record
//! of bytes.
//!
//! The records of a mailbox stand in a file of its own, `ID/structures.N`, that is only appended to, and a message's record
//! in the index says where. In the index itself they would cost a page or two for each APPEND (decision 0015). The file
//! isn't synced: a record has a check before it, and what a crash left of one that wasn't written is no record. The check
//! is a CRC-32, for SEARCH makes one for each message. A missing record is no damage, since whoever reads can make it from
//! the message's file. A record goes where its message goes, and stays until that is purged; when most of a file is of such
//! that are purged, the others move to the file of the next number.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use zlib_rs::crc32::crc32;

use super::order::Outcome;
use super::spool::Spool;
use super::tables::message_key;
use super::transaction::{Answer, Transaction, or_refuse};
use super::{Expunged, Mailbox, MailboxId, Message, Store, StoreError};

/// A record that is longer isn't kept: hardly any mail has one, and it is quicker made than kept.
const STRUCTURE_BYTES_MAX: usize = 64 * 1024;
/// What is read at once where many are wanted.
const WINDOW_BYTES: usize = 64 * 1024;
/// Files of records that a group has open.
const OPEN_MAX: usize = 64;
/// A file is written anew when so much more than half of it is of no use.
const WASTE_BYTES_MAX: u64 = 1 << 20;
const CHECK_BYTES: usize = 8;

/// Where a message's record of the header cache is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub(super) at: u64,
    /// 0: there is none.
    pub(super) len: u32,
}

impl Place {
    /// What it takes in the file.
    pub(super) fn bytes(self) -> u64 {
        match self.len {
            0 => 0,
            len => u64::from(len) + CHECK_BYTES as u64,
        }
    }
}

impl Store {
    /// A mailbox' records, of which those of these messages are to be read one after the other. May wait for the disk.
    #[must_use]
    pub fn structures(&self, mailbox: &Mailbox, messages: &[Message]) -> Records {
        let bytes: u64 = messages
            .iter()
            .map(|message| message.structure.bytes())
            .sum();
        let window = usize::try_from(bytes).map_or(WINDOW_BYTES, |bytes| bytes.min(WINDOW_BYTES));
        Records::of(&self.shared.spool, mailbox, window)
    }
}

/// A mailbox' file, to be read.
pub struct Records {
    mailbox: MailboxId,
    /// `None`: it isn't there.
    file: Option<File>,
    window_bytes: usize,
    window_at: u64,
    window: Vec<u8>,
}

impl Records {
    fn of(spool: &Spool, mailbox: &Mailbox, window_bytes: usize) -> Self {
        let path = spool.structures(mailbox);
        let file = File::open(&path).map_err(|error| tell(&path, &error));
        Self {
            mailbox: mailbox.id,
            file: file.ok(),
            window_bytes,
            window_at: 0,
            window: Vec::new(),
        }
    }

    /// The record of a message, if it is whole. May wait for the disk.
    pub fn get(&mut self, message: &Message) -> Option<&[u8]> {
        let place = message.structure;
        let len = usize::try_from(place.bytes()).ok().filter(|len| *len > 0)?;
        let file = self.file.as_ref()?;
        let inside = |window_at: u64, window: &[u8]| {
            let from = usize::try_from(place.at.checked_sub(window_at)?).ok()?;
            let end = from.checked_add(len)?;
            (end <= window.len()).then_some(from..end)
        };
        let range = match inside(self.window_at, &self.window) {
            Some(range) => range,
            None => {
                self.window.resize(len.max(self.window_bytes), 0);
                let read = read_at(file, &mut self.window, place.at).unwrap_or(0);
                self.window.truncate(read);
                self.window_at = place.at;
                inside(self.window_at, &self.window)?
            }
        };
        let (check, record) = self.window[range].split_first_chunk()?;
        (*check == check_of(self.mailbox, message.uid, record)).then_some(record)
    }
}

/// As much as there is.
fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < into.len() {
        match file.read_at(&mut into[read..], at + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Stands before a record: the message's UID, and a sum of that, the mailbox and the record. So no other message's record is taken for it.
fn check_of(mailbox: MailboxId, uid: u32, record: &[u8]) -> [u8; CHECK_BYTES] {
    let key = message_key(mailbox, uid);
    let sum = crc32(crc32(0, &key), record);
    let mut check = [0; CHECK_BYTES];
    check[..4].copy_from_slice(&uid.to_le_bytes());
    check[4..].copy_from_slice(&sum.to_le_bytes());
    check
}

fn tell(path: &Path, error: &io::Error) {
    if error.kind() != io::ErrorKind::NotFound {
        tracing::warn!("the header cache {}: {error}", path.display());
    }
}

/// Files that a group appends to.
#[derive(Default)]
pub(super) struct Appending {
    /// With their ends. `None`: one that can't be had.
    files: BTreeMap<MailboxId, Option<(File, u64)>>,
}

impl Appending {
    /// Adds a record; where the disk refuses there is none.
    fn put(&mut self, path: &Path, mailbox: MailboxId, uid: u32, record: &[u8]) -> Option<Place> {
        if self.files.len() >= OPEN_MAX && !self.files.contains_key(&mailbox) {
            self.files.clear();
        }
        let entry = self.files.entry(mailbox).or_insert_with(|| {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path);
            let opened = file.and_then(|file| {
                let end = file.metadata()?.len();
                Ok((file, end))
            });
            opened.map_err(|error| tell(path, &error)).ok()
        });
        let (file, end) = entry.as_mut()?;
        let bytes = [&check_of(mailbox, uid, record), record].concat();
        let written = file.write_all_at(&bytes, *end);
        written.map_err(|error| tell(path, &error)).ok()?;
        let len = u32::try_from(record.len()).ok()?;
        let place = Place { at: *end, len };
        *end += bytes.len() as u64;
        Some(place)
    }
}

impl Transaction<'_> {
    /// Keeps the record of a message of a mailbox; where it is now.
    pub(super) fn put_structure(
        &mut self,
        mailbox: &mut Mailbox,
        uid: u32,
        record: &[u8],
    ) -> Place {
        if record.is_empty() || record.len() > STRUCTURE_BYTES_MAX {
            return Place::default();
        }
        let path = self.shared.spool.structures(mailbox);
        let place = self.structures.put(&path, mailbox.id, uid, record);
        let place = place.unwrap_or_default();
        mailbox.structure_bytes += place.bytes();
        place
    }

    /// Gives a copy the record of the message that it is of; where it is.
    pub(super) fn copy_structure(
        &mut self,
        (records, message): (&mut Records, &Message),
        (target, uid): (&mut Mailbox, u32),
    ) -> Place {
        match records.get(message) {
            Some(record) => self.put_structure(target, uid, record),
            None => Place::default(),
        }
    }

    /// A mailbox' records, to be read.
    pub(super) fn structures_of(&self, mailbox: &Mailbox) -> Records {
        Records::of(&self.shared.spool, mailbox, WINDOW_BYTES)
    }

    /// Keeps records that somebody made anew.
    pub(super) fn keep_structures(&mut self, id: MailboxId, records: &[(u32, Vec<u8>)]) -> Answer {
        let mut mailbox = or_refuse!(self.open(id)?);
        for (uid, record) in records {
            let key = message_key(id, *uid);
            let table = self.shared.tables.messages;
            let Some(found) = table.get(&self.writing, &key)? else {
                continue;
            };
            let mut message = Message::decode(&key, found)?;
            mailbox.no_structure(&message);
            message.structure = self.put_structure(&mut mailbox, *uid, record);
            self.put_message(id, &message)?;
        }
        self.mailboxes.insert(id, Some(mailbox));
        Ok(Ok(Outcome::Done))
    }

    /// Moves a mailbox' records to a new file, if most of the old one is of no use.
    pub(super) fn tidy_structures(&mut self, id: MailboxId) -> Result<(), StoreError> {
        let Some(mut mailbox) = self.mailbox(id)? else {
            return Ok(());
        };
        let old = self.shared.spool.structures(&mailbox);
        let (all, of_use) = (fs::metadata(&old), mailbox.structure_bytes);
        if all.map_or(0, |all| all.len()) <= 2 * of_use + WASTE_BYTES_MAX {
            return Ok(());
        }
        let mut records = self.structures_of(&mailbox);
        mailbox.structures = mailbox.structures.wrapping_add(1);
        mailbox.structure_bytes = 0;
        let new = self.shared.spool.structures(&mailbox);
        if let Err(error) = File::create(&new) {
            tell(&new, &error);
            return Ok(());
        }
        self.structures.files.remove(&id);
        for mut message in self.messages(id, None)? {
            let uid = message.uid;
            message.structure = self.copy_structure((&mut records, &message), (&mut mailbox, uid));
            self.put_message(id, &message)?;
        }
        for mut expunged in self.expunged(id)? {
            let message = &mut expunged.message;
            let uid = message.uid;
            message.structure = self.copy_structure((&mut records, message), (&mut mailbox, uid));
            self.put_expunged(id, &expunged)?;
        }
        self.unlinked.push(old);
        self.mailboxes.insert(id, Some(mailbox));
        Ok(())
    }

    fn expunged(&self, id: MailboxId) -> Result<Vec<Expunged>, StoreError> {
        let table = self.shared.tables.expunged;
        let all = table.prefix_iter(&self.writing, &id.key())?;
        let all = all.map(|entry| {
            let (key, record) = entry?;
            Expunged::decode(key, record)
        });
        all.collect()
    }
}

impl Mailbox {
    /// A message's record is of no use any more.
    pub(super) fn no_structure(&mut self, message: &Message) {
        let bytes = message.structure.bytes();
        self.structure_bytes = self.structure_bytes.saturating_sub(bytes);
    }
}
