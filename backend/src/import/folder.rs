//! One folder's messages, a few at a time in one commit.

use std::collections::BTreeMap;
use std::io;
use std::ops::AddAssign;
use std::path::Path;
use std::time::Duration;

use ravenry_core::mailboxes::Name;
use ravenry_core::rt;
use sha2::{Digest, Sha256};

use super::maildir::Found;
use super::{Folder, Run, maildir, wire};
use crate::message::Structure;
use crate::operator::{Done, refused, shown, unread};
use crate::shard::PIECE_BYTES;
use crate::store::{Incoming, Mailbox, Order, Ready, Refused};

/// So much is committed at once.
const GROUP_MESSAGES_MAX: usize = 64;
const GROUP_BYTES_MAX: u64 = 16 << 20;
/// How often it is said how far it is.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// What became of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) imported: u64,
    pub(super) there: u64,
    pub(super) skipped: u64,
    pub(super) bytes: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.imported += other.imported;
        self.there += other.there;
        self.skipped += other.skipped;
        self.bytes += other.bytes;
    }
}

/// How often a mailbox has each message.
type Known = BTreeMap<[u8; 32], u64>;

/// What a message's bytes are, in wire format.
struct Content {
    size: u64,
    digest: [u8; 32],
}

/// Why a message isn't imported: the others are.
enum Unfit {
    PassedOver(String),
    /// It has been moved or removed meanwhile.
    Gone,
    /// The store can't take any.
    Stop(String),
}

impl Run<'_> {
    /// Imports a folder's messages into the mailbox of this name.
    pub(super) fn folder(&mut self, folder: &Folder, name: &Name) -> Done<Counts> {
        let unreadable = |error: io::Error| format!("{}: {error}", folder.path.display());
        let (found, strange) = maildir::messages(&folder.path).map_err(unreadable)?;
        let mailbox = self.mailbox(name)?;
        let mut counts = Counts::default();
        for path in strange {
            counts.skipped += 1;
            self.wrong(&format!("{} is passed over: no plain file", path.display()))?;
        }
        let mut known = self.known(&mailbox)?;
        let (mut group, mut group_bytes, mut say) = (Vec::new(), 0, rt::now() + SAY_EVERY);
        let all = found.len();
        for (number, message) in found.into_iter().enumerate() {
            match self.stage(&mailbox, &message, &mut known) {
                Ok(None) => counts.there += 1,
                Ok(Some((ready, size))) => {
                    group_bytes += size;
                    group.push(Incoming {
                        message: ready,
                        date: message.date,
                        system: message.system,
                        keywords: message.keywords,
                    });
                }
                Err(Unfit::Gone) => {}
                Err(Unfit::Stop(why)) => return Err(why),
                Err(Unfit::PassedOver(why)) => {
                    counts.skipped += 1;
                    self.wrong(&format!("{} is passed over: {why}", message.path.display()))?;
                }
            }
            if group.len() >= GROUP_MESSAGES_MAX || group_bytes >= GROUP_BYTES_MAX {
                counts += self.append(&mailbox, (&mut group, &mut group_bytes))?;
            }
            if rt::now() >= say {
                say = rt::now() + SAY_EVERY;
                self.progress(&format!("{}: {} of {all}", shown(name), number + 1))?;
            }
        }
        counts += self.append(&mailbox, (&mut group, &mut group_bytes))?;
        self.result(&format!(
            "{}: {} imported, {} there already, {} passed over",
            shown(name),
            counts.imported,
            counts.there,
            counts.skipped
        ))?;
        Ok(counts)
    }

    fn known(&self, mailbox: &Mailbox) -> Done<Known> {
        let mut known = Known::new();
        let read = self
            .store
            .each_message(mailbox.id, (1, u32::MAX), |message| {
                *known.entry(message.digest).or_default() += 1;
                true
            });
        read.map_err(unread)?;
        Ok(known)
    }

    /// Brings a message to the disk, unless the mailbox has it.
    fn stage(
        &self,
        mailbox: &Mailbox,
        message: &Found,
        known: &mut Known,
    ) -> Result<Option<(Ready, u64)>, Unfit> {
        let content = look(&message.path, self.job.message_size)?;
        if let Some(times @ 1..) = known.get_mut(&content.digest) {
            *times -= 1;
            return Ok(None);
        }
        let stop = |error: crate::store::StoreError| {
            Unfit::Stop(format!(
                "{error}; what came before is imported: run it again"
            ))
        };
        let mut staged = self.store.stage(&mailbox.partition).map_err(stop)?;
        let file = maildir::open(&message.path).map_err(passed_over)?;
        let (mut stopped, mut written) = (None, Sha256::new());
        let whole = content.size <= PIECE_BYTES;
        let mut bytes = Vec::new();
        let read = wire::each_piece(file, |piece| {
            written.update(piece);
            if whole {
                bytes.extend_from_slice(piece);
            }
            staged.write(piece).map_err(|error| {
                stopped = Some(error);
                io::Error::other("the store")
            })
        });
        if let Some(error) = stopped {
            return Err(stop(error));
        }
        read.map_err(passed_over)?;
        if <[u8; 32]>::from(written.finalize()) != content.digest {
            return Err(Unfit::PassedOver("it changes while it is read".to_owned()));
        }
        let mut ready = staged.finish().map_err(stop)?;
        if whole {
            // A larger one's is made when it is first asked for.
            ready.structure = Structure::of(&bytes).encode();
        }
        Ok(Some((ready, content.size)))
    }

    /// Commits what has been gathered.
    fn append(
        &mut self,
        mailbox: &Mailbox,
        (group, bytes): (&mut Vec<Incoming>, &mut u64),
    ) -> Done<Counts> {
        let messages = std::mem::take(group);
        let counts = Counts {
            imported: messages.len() as u64,
            bytes: std::mem::take(bytes),
            ..Counts::default()
        };
        if messages.is_empty() {
            return Ok(counts);
        }
        let order = Order::Append {
            mailbox: mailbox.id,
            messages,
        };
        match self.order(order)? {
            Ok(_) => Ok(counts),
            Err(why @ Refused::KeywordsFull) => Err(format!(
                "{}: remove dovecot-keywords to import without them",
                refused(&mailbox.name, why)
            )),
            Err(why) => Err(format!(
                "{}; what came before is imported: run it again",
                refused(&mailbox.name, why)
            )),
        }
    }
}

/// Reads a message once, to see whether it can be taken.
fn look(path: &Path, most: u64) -> Result<Content, Unfit> {
    let file = maildir::open(path).map_err(passed_over)?;
    let (mut size, mut has_nul, mut digest) = (0, false, Sha256::new());
    let read = wire::each_piece(file, |piece| {
        size += piece.len() as u64;
        has_nul |= memchr::memchr(0, piece).is_some();
        digest.update(piece);
        match size > most {
            true => Err(io::Error::other(format!(
                "larger than [backend] message_size, {most} bytes"
            ))),
            false => Ok(()),
        }
    });
    read.map_err(passed_over)?;
    if has_nul {
        return Err(Unfit::PassedOver(
            "a NUL is in it, which IMAP can't carry".to_owned(),
        ));
    }
    if size == 0 {
        return Err(Unfit::PassedOver("it is empty".to_owned()));
    }
    Ok(Content {
        size,
        digest: digest.finalize().into(),
    })
}

fn passed_over(error: io::Error) -> Unfit {
    match error.kind() {
        io::ErrorKind::NotFound => Unfit::Gone,
        _ => Unfit::PassedOver(error.to_string()),
    }
}
