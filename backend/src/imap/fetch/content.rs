//! What FETCH needs of messages beyond their records: their structures and bytes, read on threads that may wait for
//! the disk, several small messages at a time.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use ravenry_core::proto::imap::{FetchItem, Section, SectionText};
use ravenry_core::rt::PoolError;

use crate::message::Structure;
use crate::shard::{PIECE_BYTES, Parts};
use crate::store::{Mailbox, Message};

/// What a FETCH asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    /// The message's header.
    header: bool,
    /// Its parts and bytes.
    whole: bool,
    /// Its structure: the parts' places, ENVELOPE, BODYSTRUCTURE.
    structure: bool,
}

impl Wanted {
    pub(super) fn of(items: &[FetchItem]) -> Self {
        let mut wanted = Self::default();
        for item in items {
            match item {
                FetchItem::Envelope | FetchItem::Body | FetchItem::BodyStructure => {
                    wanted.structure = true;
                }
                FetchItem::Section(section) if is_header(section) => wanted.header = true,
                FetchItem::Section(section) => {
                    wanted.whole = true;
                    wanted.structure |= !section.path.is_empty();
                }
                _ => {}
            }
        }
        wanted
    }

    fn bytes(self, message: &Message) -> u64 {
        match (self.whole, self.header) {
            (true, _) => message.size,
            (false, true) => u64::from(message.header_size),
            (false, false) => 0,
        }
    }
}

/// The section lies in the message's header.
fn is_header(section: &Section) -> bool {
    let header = matches!(
        section.text,
        SectionText::Header | SectionText::HeaderFields { .. }
    );
    header && section.path.is_empty()
}

/// What has been read of a message.
#[derive(Default)]
pub(super) struct Content {
    structure: Option<Structure>,
    /// Its bytes, from the first on.
    pub(super) bytes: Vec<u8>,
    /// Where it was too large: the file.
    pub(super) file: Option<Arc<File>>,
}

impl Content {
    /// Something of the structure; empty where none was asked for.
    pub(super) fn structure<T: Default>(&self, take: impl FnOnce(&Structure) -> T) -> T {
        self.structure.as_ref().map_or_else(T::default, take)
    }
}

/// Reads the first of these messages; gives with them which they are.
pub(super) async fn load<'m>(
    parts: &Parts,
    mailbox: &Mailbox,
    messages: &'m [Message],
    wanted: Wanted,
) -> Result<(Vec<io::Result<Content>>, &'m [Message]), crate::imap::failure::Failure> {
    let mut bytes = 0;
    let mut jobs = Vec::new();
    let mut structures = Vec::new();
    for message in messages {
        let structure = if wanted.structure {
            let record = parts.store.structure(mailbox.id, message.uid)?;
            record.and_then(|record| Structure::decode(&record))
        } else {
            None
        };
        let job = Job {
            path: parts.store.path(mailbox, message.uid),
            bytes: wanted.bytes(message),
            parse: (wanted.structure && structure.is_none()).then_some(message.size),
        };
        bytes += job.bytes.max(job.parse.unwrap_or(0));
        if bytes > PIECE_BYTES && !jobs.is_empty() {
            break;
        }
        jobs.push(job);
        structures.push(structure);
    }
    let taken = &messages[..jobs.len()];
    let reads = jobs.iter().any(Job::reads);
    let mut contents: Vec<io::Result<Content>> = if reads {
        run(parts, jobs).await?
    } else {
        jobs.iter().map(|_| Ok(Content::default())).collect()
    };
    for (content, structure) in contents.iter_mut().zip(structures) {
        if let (Ok(content), Some(structure)) = (content, structure) {
            content.structure = Some(structure);
        }
    }
    Ok((contents, taken))
}

struct Job {
    path: PathBuf,
    bytes: u64,
    /// The structure isn't in the index: it is made from the file, which has so many bytes.
    parse: Option<u64>,
}

async fn run(parts: &Parts, jobs: Vec<Job>) -> Result<Vec<io::Result<Content>>, PoolError> {
    let parsed = jobs.iter().filter_map(|job| job.parse);
    let largest = parsed.max().unwrap_or(0);
    let read = move || jobs.iter().map(Job::read).collect();
    parts.read_whole(largest, read).await
}

impl Job {
    fn reads(&self) -> bool {
        self.parse.is_some() || self.bytes > 0
    }

    fn read(&self) -> io::Result<Content> {
        let mut content = Content::default();
        if !self.reads() {
            return Ok(content);
        }
        let mut file = File::open(&self.path)?;
        if self.parse.is_some() {
            let mut whole = Vec::new();
            file.read_to_end(&mut whole)?;
            content.structure = Some(Structure::of(&whole));
        }
        if self.bytes > PIECE_BYTES {
            content.file = Some(Arc::new(file));
        } else {
            let size = usize::try_from(self.bytes).unwrap_or(usize::MAX);
            content.bytes = vec![0; size];
            file.read_exact_at(&mut content.bytes, 0)?;
        }
        Ok(content)
    }
}
