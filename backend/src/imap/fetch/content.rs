//! What FETCH needs of messages beyond their records: their structures and bytes, read on threads that may wait for
//! the disk, several small messages at a time.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use ravenry_core::proto::imap::{FetchItem, Section, SectionText};

use crate::message::Structure;
use crate::shard::Parts;
use crate::store::{Mailbox, Message, Store};

/// Bytes that are read together: of so many messages, or of a large one in a piece.
pub(super) const PIECE_BYTES: u64 = 256 * 1024;

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
    pub(super) structure: Option<Structure>,
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
    let within = messages.iter().take_while(|message| {
        let first = bytes == 0;
        bytes += wanted.bytes(message);
        first || bytes <= PIECE_BYTES
    });
    let taken = &messages[..within.count()];
    if !wanted.structure && bytes == 0 {
        return Ok((
            taken.iter().map(|_| Ok(Content::default())).collect(),
            taken,
        ));
    }
    let (store, mailbox, of) = (parts.store.clone(), mailbox.clone(), taken.to_vec());
    let read = move || {
        let mut records = wanted.structure.then(|| store.structures(&mailbox, &of));
        let mut contents = Vec::with_capacity(of.len());
        for message in &of {
            let record = records.as_mut().and_then(|records| records.get(message));
            let structure = record.and_then(Structure::decode);
            let job = Job {
                parse: wanted.structure && structure.is_none(),
                bytes: wanted.bytes(message),
            };
            contents.push(job.read(&store, &mailbox, message, structure));
        }
        contents
    };
    Ok((parts.disk.run(read).await?, taken))
}

/// What is read of a message's file.
struct Job {
    bytes: u64,
    /// Nothing is kept of its structure: it is made from the file.
    parse: bool,
}

impl Job {
    fn read(
        &self,
        store: &Store,
        mailbox: &Mailbox,
        message: &Message,
        structure: Option<Structure>,
    ) -> io::Result<Content> {
        let mut content = Content {
            structure,
            ..Content::default()
        };
        if self.bytes == 0 && !self.parse {
            return Ok(content);
        }
        let mut file = File::open(store.path(mailbox, message.uid))?;
        if self.parse {
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
