//! What FETCH needs of messages beyond their records: their structures and bytes, read on threads that may wait for
//! the disk, several small messages at a time.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ravenry_core::proto::imap::{BinarySection, FetchItem, Section, SectionText};
use ravenry_core::rt::PoolError;

use crate::message::{Structure, preview};
use crate::shard::{PIECE_BYTES, Parts};
use crate::store::{Mailbox, Message};

/// What a FETCH asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::imap) struct Wanted {
    /// The message's header.
    header: bool,
    /// Its parts and bytes.
    whole: bool,
    /// Its preview.
    preview: bool,
    /// Its structure: the parts' places, ENVELOPE, BODYSTRUCTURE.
    structure: bool,
    /// Structures are IMAP4rev2's.
    rev2: bool,
}

impl Wanted {
    pub(in crate::imap) fn of(items: &[FetchItem]) -> Self {
        let mut wanted = Self::default();
        for item in items {
            match item {
                FetchItem::Envelope | FetchItem::Body | FetchItem::BodyStructure => {
                    wanted.structure = true;
                }
                FetchItem::Binary(BinarySection { path, .. }) | FetchItem::BinarySize(path) => {
                    wanted.whole = true;
                    wanted.structure |= !path.is_empty();
                }
                FetchItem::Preview => wanted.preview = true,
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

    /// The same for a session that has enabled IMAP4rev2, or hasn't.
    pub(in crate::imap) fn with_rev2(self, rev2: bool) -> Self {
        Self { rev2, ..self }
    }

    fn bytes(self, message: &Message) -> u64 {
        if self.whole {
            return message.size;
        }
        let header = match self.header {
            true => u64::from(message.header_size),
            false => 0,
        };
        let preview = match self.preview {
            true => preview_bytes(message),
            false => 0,
        };
        header.max(preview)
    }
}

/// How much of a message is looked at for its preview.
fn preview_bytes(message: &Message) -> u64 {
    message.size.min(PIECE_BYTES)
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
pub(in crate::imap) struct Content {
    pub(super) structure: Option<Structure>,
    /// Its bytes, from the first on.
    pub(super) bytes: Vec<u8>,
    /// Where it was too large: the file.
    pub(super) file: Option<Arc<File>>,
    pub(super) preview: String,
}

impl Content {
    /// Something of the structure; empty where none was asked for.
    pub(super) fn structure<T: Default>(&self, take: impl FnOnce(&Structure) -> T) -> T {
        self.structure.as_ref().map_or_else(T::default, take)
    }
}

/// Reads the first of these messages; gives with them which they are.
pub(in crate::imap) async fn load<'m>(
    parts: &Parts,
    mailbox: &Mailbox,
    messages: &'m [Message],
    wanted: Wanted,
) -> Result<(Vec<io::Result<Content>>, &'m [Message]), PoolError> {
    let mut bytes = 0;
    let within = messages.iter().take_while(|message| {
        let first = bytes == 0;
        bytes += wanted.bytes(message);
        first || bytes <= PIECE_BYTES
    });
    let taken = &messages[..within.count()];
    if !wanted.structure && bytes == 0 {
        let contents = taken.iter().map(|_| Ok(Content::default()));
        return Ok((contents.collect(), taken));
    }
    let (store, of, of_mailbox) = (parts.store.clone(), taken.to_vec(), mailbox.clone());
    let read = move || {
        let mut records = wanted.structure.then(|| store.structures(&of_mailbox, &of));
        let mut contents = Vec::with_capacity(of.len());
        for message in &of {
            let record = records.as_mut().and_then(|records| records.get(message));
            let structure = record.and_then(Structure::decode);
            // What is kept is IMAP4rev1's.
            let structure = structure.filter(|kept| !(wanted.rev2 && kept.names_global()));
            let path = || store.path(&of_mailbox, message.uid);
            contents.push(Content::read(wanted, message, structure, path));
        }
        contents
    };
    let mut contents = parts.disk.run(read).await?;
    for (message, content) in taken.iter().zip(&mut contents) {
        if let Ok(found) = content
            && wanted.structure
            && found.structure.is_none()
        {
            let path = parts.store.path(mailbox, message.uid);
            match parts
                .read_whole(message.size, move || parse(&path, wanted))
                .await?
            {
                Ok(structure) => found.structure = Some(structure),
                Err(error) => *content = Err(error),
            }
        }
    }
    Ok((contents, taken))
}

impl Content {
    /// What is wanted of a message, but for the structure of a large one of which nothing is kept.
    fn read(
        wanted: Wanted,
        message: &Message,
        mut structure: Option<Structure>,
        path: impl Fn() -> PathBuf,
    ) -> io::Result<Self> {
        if wanted.structure && structure.is_none() && message.size <= PIECE_BYTES {
            structure = Some(parse(&path(), wanted)?);
        }
        let mut content = Self {
            structure,
            ..Self::default()
        };
        let bytes = wanted.bytes(message);
        if bytes > PIECE_BYTES {
            content.file = Some(Arc::new(File::open(path())?));
        } else if bytes > 0 {
            content.bytes = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
            File::open(path())?.read_exact_at(&mut content.bytes, 0)?;
        }
        if wanted.preview {
            content.preview = content.read_preview(message)?;
        }
        Ok(content)
    }

    /// From the bytes that are here, or those of the file that is open.
    fn read_preview(&self, message: &Message) -> io::Result<String> {
        let most = usize::try_from(preview_bytes(message)).unwrap_or(usize::MAX);
        let Some(file) = &self.file else {
            let here = self.bytes.get(..most).unwrap_or(&self.bytes);
            return Ok(preview(here));
        };
        let mut begin = vec![0; most];
        file.read_exact_at(&mut begin, 0)?;
        Ok(preview(&begin))
    }
}

/// A structure, made from the message.
fn parse(path: &Path, wanted: Wanted) -> io::Result<Structure> {
    let message = std::fs::read(path)?;
    Ok(match wanted.rev2 {
        true => Structure::with_global(&message),
        false => Structure::of(&message),
    })
}
