//! Messages as files, for ordinary tools: `PARTITION/mail/XX/ID/UID.eml`, in wire format.
//!
//! `ID` is the mailbox' id, `XX` its last two digits; `ID/name` says what it is called, so a RENAME moves no file;
//! `ID/structures.N` is its header cache (`structure`). A
//! message begins in `PARTITION/staging`; when its bytes are on the disk it gets its name by a link, and the
//! staged one goes. `PARTITION/lost+found` has what nothing referred to after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::label::LABEL;
use super::{Mailbox, MailboxId, StoreError};

pub(super) struct Spool {
    partitions: BTreeMap<String, PathBuf>,
    next_staged: AtomicU64,
}

impl Spool {
    /// Makes the directories that every partition has.
    pub(super) fn open(partitions: BTreeMap<String, PathBuf>) -> Result<Self, StoreError> {
        for root in partitions.values() {
            let numbers = (0..=u8::MAX).map(|number| root.join(MAIL).join(format!("{number:02x}")));
            for directory in [root.join(STAGING), root.join(LOST)]
                .into_iter()
                .chain(numbers)
            {
                fs::create_dir_all(&directory)
                    .map_err(|error| StoreError::io("create", &directory, error))?;
            }
            sync(&root.join(MAIL))?;
            // Its own name, too: without it there would be an index of messages that are away.
            for directory in root.ancestors().take(3) {
                // The last of a relative path is the empty one.
                let is_here = directory.as_os_str().is_empty();
                sync(if is_here { Path::new(".") } else { directory })?;
            }
        }
        Ok(Self {
            partitions,
            next_staged: AtomicU64::new(0),
        })
    }

    pub(super) fn has(&self, partition: &str) -> bool {
        self.partitions.contains_key(partition)
    }

    pub(super) fn partitions(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.partitions
            .iter()
            .map(|(name, root)| (&**name, &**root))
    }

    pub(super) fn root(&self, partition: &str) -> &Path {
        // The store is opened only with the partitions that its mailboxes are in.
        self.partitions
            .get(partition)
            .map_or_else(|| Path::new(""), PathBuf::as_path)
    }

    pub(super) fn directory(&self, partition: &str, mailbox: MailboxId) -> PathBuf {
        let id = mailbox.to_string();
        self.root(partition)
            .join(MAIL)
            .join(&id[id.len() - 2..])
            .join(id)
    }

    pub(super) fn message(&self, partition: &str, mailbox: MailboxId, uid: u32) -> PathBuf {
        self.directory(partition, mailbox)
            .join(format!("{uid}.eml"))
    }

    /// The file of its messages' records of the header cache.
    pub(super) fn structures(&self, mailbox: &Mailbox) -> PathBuf {
        self.directory(&mailbox.partition, mailbox.id)
            .join(format!("{STRUCTURES}{}", mailbox.structures))
    }

    /// All such files that a mailbox has: a crash may have left one of another number.
    pub(super) fn all_structures(&self, mailbox: &Mailbox) -> Vec<PathBuf> {
        let directory = self.directory(&mailbox.partition, mailbox.id);
        let entries = fs::read_dir(directory).into_iter().flatten();
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths.filter(|path| is_structures(path)).collect()
    }

    /// Makes a mailbox' directory; what has to be synced for it to last.
    pub(super) fn make(&self, mailbox: &Mailbox) -> Result<PathBuf, StoreError> {
        let directory = self.directory(&mailbox.partition, mailbox.id);
        match fs::create_dir(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StoreError::io("create", &directory, error));
            }
            _ => {}
        }
        Ok(directory.parent().unwrap_or(&directory).to_owned())
    }

    /// Begins a message.
    pub(super) fn stage(&self, partition: &str) -> Result<Staged, StoreError> {
        if !self.has(partition) {
            return Err(StoreError::NoPartition(partition.to_owned()));
        }
        let number = self.next_staged.fetch_add(1, Ordering::Relaxed);
        let path = self.root(partition).join(STAGING).join(number.to_string());
        let file =
            File::create_new(&path).map_err(|error| StoreError::io("create", &path, error))?;
        Ok(Staged {
            file,
            digest: Sha256::new(),
            header: Header::LineBegins,
            ready: Ready {
                path: Arc::new(StagedPath(path)),
                size: 0,
                header_size: 0,
                digest: [0; 32],
                structure: Vec::new(),
            },
        })
    }

    /// Removes what was begun before this process.
    pub(super) fn clear_staging(&self) -> Result<(), StoreError> {
        for root in self.partitions.values() {
            each_entry(&root.join(STAGING), |path| {
                fs::remove_file(path).map_err(|error| StoreError::io("remove", path, error))
            })?;
        }
        Ok(())
    }

    /// Gives every file of a message: partition, mailbox, UID (`None`: no message's name), path.
    pub(super) fn each_message(
        &self,
        mut take: impl FnMut(&str, MailboxId, Option<u32>, &Path) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.each_directory(|partition, id, _| {
            self.each_file(partition, id, |uid, path| take(partition, id, uid, path))
        })
    }

    /// Gives every directory of a mailbox: partition, mailbox, path.
    pub(super) fn each_directory(
        &self,
        mut take: impl FnMut(&str, MailboxId, &Path) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for (name, root) in self.partitions() {
            each_entry(&root.join(MAIL), |numbered| {
                each_entry(numbered, |directory| {
                    let id = directory.file_name().and_then(|id| id.to_str());
                    let id = id.and_then(|id| u64::from_str_radix(id, 16).ok());
                    match id.map(MailboxId) {
                        // One of any other form is none of ours.
                        Some(id) if directory == self.directory(name, id) => {
                            take(name, id, directory)
                        }
                        _ => Ok(()),
                    }
                })
            })?;
        }
        Ok(())
    }

    /// Gives every file of a mailbox' messages: UID (`None`: no message's name), path.
    pub(super) fn each_file(
        &self,
        partition: &str,
        mailbox: MailboxId,
        mut take: impl FnMut(Option<u32>, &Path) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        each_entry(&self.directory(partition, mailbox), |path| {
            if path.file_name().is_some_and(|name| name == LABEL) || is_structures(path) {
                return Ok(());
            }
            take(uid_of(path), path)
        })
    }

    /// Moves a file to where nothing is served from.
    pub(super) fn lose(
        &self,
        partition: &str,
        mailbox: MailboxId,
        path: &Path,
    ) -> Result<PathBuf, StoreError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let lost = self.root(partition).join(LOST);
        let mut to = lost.join(format!("{mailbox}-{name}"));
        let mut number = 1;
        while to.exists() {
            to = lost.join(format!("{mailbox}-{number}-{name}"));
            number += 1;
        }
        fs::rename(path, &to).map_err(|error| StoreError::io("move aside", path, error))?;
        Ok(to)
    }
}

/// The UID that a message's file has its name of.
pub(super) fn uid_of(path: &Path) -> Option<u32> {
    let stem = path.file_stem()?.to_str()?;
    let uid: u32 = stem.parse().ok()?;
    let is_message = path.extension().is_some_and(|extension| extension == "eml");
    // `01` and `+1` are other files than `1`.
    (is_message && uid > 0 && uid.to_string() == stem).then_some(uid)
}

fn is_structures(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(STRUCTURES))
}

fn each_entry(
    directory: &Path,
    mut take: impl FnMut(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let read_error = |error| StoreError::io("read", directory, error);
    for entry in fs::read_dir(directory).map_err(read_error)? {
        take(&entry.map_err(read_error)?.path())?;
    }
    Ok(())
}

/// Brings the names in a directory to the disk.
pub(super) fn sync(directory: &Path) -> Result<(), StoreError> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| StoreError::io("sync", directory, error))
}

/// Names given to files by a group that isn't committed yet: taken back unless it is.
#[derive(Default)]
pub(super) struct Links {
    made: Vec<PathBuf>,
    directories: BTreeSet<PathBuf>,
}

impl Links {
    /// A second name for a file.
    pub(super) fn link(&mut self, from: &Path, to: PathBuf) -> Result<(), StoreError> {
        let linked = match fs::hard_link(from, &to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                move_aside(&to).and_then(|()| fs::hard_link(from, &to))
            }
            linked => linked,
        };
        linked.map_err(|error| StoreError::io("make", &to, error))?;
        self.made(to);
        Ok(())
    }

    /// A copy of a file, for another partition.
    pub(super) fn copy(&mut self, from: &Path, to: PathBuf) -> Result<(), StoreError> {
        let created = match File::create_new(&to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                move_aside(&to).and_then(|()| File::create_new(&to))
            }
            created => created,
        };
        let mut file = created.map_err(|error| StoreError::io("make", &to, error))?;
        self.made(to);
        let copied = File::open(from).and_then(|mut from| {
            io::copy(&mut from, &mut file)?;
            file.sync_all()
        });
        copied.map_err(|error| StoreError::io("copy", from, error))
    }

    fn made(&mut self, path: PathBuf) {
        if let Some(directory) = path.parent() {
            self.directories.insert(directory.to_owned());
        }
        self.made.push(path);
    }

    /// A directory in which names were made.
    pub(super) fn note(&mut self, directory: PathBuf) {
        self.directories.insert(directory);
    }

    /// Brings the names to the disk, each directory once.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.directories
            .iter()
            .try_for_each(|directory| sync(directory))
    }

    /// The group is committed: they stay.
    pub(super) fn keep(mut self) {
        self.made.clear();
    }
}

/// A file that has a name already is none of the index': a group left it that couldn't take it back. It is kept.
fn move_aside(path: &Path) -> io::Result<()> {
    let mut to = path.with_extension("stray");
    let mut number = 1;
    while fs::symlink_metadata(&to).is_ok() {
        to = path.with_extension(format!("{number}.stray"));
        number += 1;
    }
    fs::rename(path, to)
}

impl Drop for Links {
    fn drop(&mut self) {
        for path in &self.made {
            if let Err(error) = fs::remove_file(path) {
                tracing::error!("can't take back {}: {error}", path.display());
            }
        }
    }
}

/// A message that is being written.
#[derive(Debug)]
pub struct Staged {
    file: File,
    digest: Sha256,
    header: Header,
    ready: Ready,
}

/// A message whose bytes are on the disk, and that has no name yet; dropped, it is gone.
/// Its clones are one file, which may get a name in many mailboxes.
#[derive(Clone, Debug)]
pub struct Ready {
    pub(super) path: Arc<StagedPath>,
    pub(super) size: u64,
    pub(super) header_size: u32,
    pub(super) digest: [u8; 32],
    /// Its record for the header cache; empty: there is none.
    pub structure: Vec<u8>,
}

impl Staged {
    /// Adds to it.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| StoreError::io("write", &self.ready.path, error))?;
        self.digest.update(bytes);
        if let Some(end) = self.header.end_in(bytes) {
            self.ready.header_size =
                u32::try_from(self.ready.size + end as u64).unwrap_or(u32::MAX);
        }
        self.ready.size += bytes.len() as u64;
        Ok(())
    }

    /// All that has been written.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn read_back(&self) -> Result<Vec<u8>, StoreError> {
        let path = &self.ready.path;
        fs::read(&***path).map_err(|error| StoreError::io("read", path, error))
    }

    /// Brings it to the disk.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn finish(self) -> Result<Ready, StoreError> {
        let Self {
            file,
            digest,
            header,
            mut ready,
        } = self;
        file.sync_data()
            .map_err(|error| StoreError::io("sync", &ready.path, error))?;
        ready.digest = digest.finalize().into();
        if header != Header::Over {
            ready.header_size = u32::try_from(ready.size).unwrap_or(u32::MAX);
        }
        Ok(ready)
    }
}

/// A file in `staging`, which is removed with this.
#[derive(Debug)]
pub(super) struct StagedPath(PathBuf);

impl Deref for StagedPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for StagedPath {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!("can't remove {}: {error}", self.0.display());
        }
    }
}

/// What is found in a message's bytes.
pub(super) struct Measured {
    pub(super) size: u64,
    pub(super) header_size: u32,
    pub(super) digest: [u8; 32],
    /// Which no literal can carry (RFC 3501 section 9, CHAR8).
    pub(super) has_nul: bool,
}

/// Reads a file as if it were a message that comes, and brings it to the disk.
pub(super) fn measure(path: &Path) -> io::Result<Measured> {
    let mut file = File::open(path)?;
    let (mut digest, mut header) = (Sha256::new(), Header::LineBegins);
    let (mut size, mut header_size, mut has_nul) = (0_u64, None, false);
    let mut piece = vec![0; 64 * 1024];
    loop {
        let bytes = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => &piece[..read],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        digest.update(bytes);
        has_nul |= memchr::memchr(0, bytes).is_some();
        if let Some(end) = header.end_in(bytes) {
            header_size = Some(size + end as u64);
        }
        size += bytes.len() as u64;
    }
    file.sync_data()?;
    Ok(Measured {
        size,
        header_size: u32::try_from(header_size.unwrap_or(size)).unwrap_or(u32::MAX),
        digest: digest.finalize().into(),
        has_nul,
    })
}

/// How much of the header has been seen: it ends with the first empty line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    LineBegins,
    CarriageReturn,
    Line,
    Over,
}

impl Header {
    /// Goes on with these bytes; how many of them are the header's last, if it ends there.
    fn end_in(&mut self, bytes: &[u8]) -> Option<usize> {
        if *self == Self::Over {
            return None;
        }
        for (at, byte) in bytes.iter().enumerate() {
            *self = match (*self, byte) {
                (Self::LineBegins | Self::CarriageReturn, b'\n') => {
                    *self = Self::Over;
                    return Some(at + 1);
                }
                (Self::LineBegins, b'\r') => Self::CarriageReturn,
                (_, b'\n') => Self::LineBegins,
                _ => Self::Line,
            };
        }
        None
    }
}

const STRUCTURES: &str = "structures.";
const MAIL: &str = "mail";
const STAGING: &str = "staging";
const LOST: &str = "lost+found";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Header;
    use crate::message::header_length;

    proptest! {
        /// What FETCH takes for the header is what the message's tree does, however the bytes come.
        #[test]
        fn a_header_is_as_long_as_the_message_says(
            bytes in prop::collection::vec(prop::sample::select(b"\r\r\n\n\n\0 :a".as_slice()), 0..40),
            piece in 1_usize..9,
        ) {
            let (mut header, mut seen, mut end) = (Header::LineBegins, 0, None);
            for piece in bytes.chunks(piece) {
                end = end.or_else(|| header.end_in(piece).map(|at| seen + at));
                seen += piece.len();
            }
            prop_assert_eq!(end.unwrap_or(bytes.len()), header_length(&bytes));
        }
    }

    #[test]
    fn a_header_ends_with_the_first_empty_line_however_it_comes() {
        for (text, end) in [
            ("A: b\r\n\r\nbody\r\n\r\n", Some(8)),
            ("\r\nbody", Some(2)),
            ("A: b\n\nbody", Some(6)),
            ("A: b\r\nC: d\r\n", None),
            ("A: \rb\r\n\rx\r\n\r\n", Some(13)),
            ("", None),
        ] {
            for cut in 0..=text.len() {
                let mut header = Header::LineBegins;
                let (first, second) = text.as_bytes().split_at(cut);
                let found = header
                    .end_in(first)
                    .or_else(|| Some(cut + header.end_in(second)?));
                assert_eq!(found, end, "{text:?} cut at {cut}");
            }
        }
    }
}
