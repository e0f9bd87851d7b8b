//! What is known of a message without its bytes.

use std::ops::Range;

use super::body::bodystructure;
use super::envelope::envelope;
use super::tree::{Node, parts, parts_with_global};

/// What FETCH says of a message and its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    pub(super) envelope: Vec<u8>,
    pub(super) bodystructure: Vec<u8>,
    /// Where extension data is in `bodystructure`, in order.
    pub(super) extensions: Vec<Range<usize>>,
    /// In order, each before those in it.
    pub(super) places: Vec<Place>,
}

/// Where a part lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) kind: Kind,
    /// Parts in it, directly or deeper; they follow it.
    pub(super) descendants: usize,
    pub(super) start: u64,
    /// Where its header ends and its body begins.
    pub(super) body: u64,
    pub(super) end: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Leaf,
    Multipart,
    /// message/rfc822: one part lies in it, the message.
    Message,
}

/// What of a part: `BODY[1.2]`, `BODY[1.2.HEADER]`, `BODY[1.2.TEXT]`, `BODY[1.2.MIME]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The part's body; without numbers, the message.
    Whole,
    /// The header of a message/rfc822's message.
    Header,
    /// The text of a message/rfc822's message.
    Text,
    /// The part's own header.
    Mime,
}

impl Structure {
    /// Reads a message. Any bytes are one.
    #[must_use]
    pub fn of(message: &[u8]) -> Self {
        Self::from_parts(message, &parts(message))
    }

    /// The same for IMAP4rev2, where a message/global is a message (RFC 9051 section 7.5.2). It differs where
    /// [`Self::names_global`], and isn't kept.
    #[must_use]
    pub fn with_global(message: &[u8]) -> Self {
        Self::from_parts(message, &parts_with_global(message))
    }

    /// There may be a message/global in it.
    #[must_use]
    pub fn names_global(&self) -> bool {
        memchr::memmem::find(&self.bodystructure, b"\"MESSAGE\" \"GLOBAL\" ").is_some()
    }

    fn from_parts(message: &[u8], nodes: &[Node]) -> Self {
        let mut text = Vec::with_capacity(512);
        let header = nodes.first().map(|node| node.read.clone());
        envelope(&mut text, &message[header.unwrap_or_default()]);
        let (bodystructure, extensions) = bodystructure(message, nodes);
        Self {
            envelope: text,
            bodystructure,
            extensions,
            places: nodes.iter().map(Place::of).collect(),
        }
    }

    /// The value of ENVELOPE.
    #[must_use]
    pub fn envelope(&self) -> &[u8] {
        &self.envelope
    }

    /// The value of BODYSTRUCTURE.
    #[must_use]
    pub fn bodystructure(&self) -> &[u8] {
        &self.bodystructure
    }

    /// The value of BODY: BODYSTRUCTURE without extension data.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.bodystructure.len());
        let mut at = 0;
        for extension in &self.extensions {
            text.extend_from_slice(&self.bodystructure[at..extension.start]);
            at = extension.end;
        }
        text.extend_from_slice(&self.bodystructure[at..]);
        text
    }

    /// Where a part lies in the message's bytes. `None`: there is no such part, or it has no such thing.
    #[must_use]
    pub fn locate(&self, path: &[u32], what: Part) -> Option<Range<u64>> {
        let message = self.places.first()?;
        if path.is_empty() {
            return match what {
                Part::Whole => Some(message.start..message.end),
                Part::Header => Some(message.start..message.body),
                Part::Text => Some(message.body..message.end),
                Part::Mime => None,
            };
        }
        let at = self.find(path)?;
        let place = self.places.get(at)?;
        match what {
            Part::Whole => Some(place.body..place.end),
            Part::Mime => Some(place.start..place.body),
            Part::Header | Part::Text => {
                let inner = self.places.get(at + 1);
                let inner = inner.filter(|_| place.kind == Kind::Message)?;
                Some(match what {
                    Part::Header => inner.start..inner.body,
                    _ => inner.body..inner.end,
                })
            }
        }
    }

    /// The place of the part with these numbers.
    fn find(&self, path: &[u32]) -> Option<usize> {
        // What is numbered: a multipart's parts; those of a message's multipart; or the message's body, which is 1.
        let (mut at, mut holder) = (0, 0);
        for number in path {
            at = match self.places.get(holder)?.kind {
                Kind::Multipart => self.child(holder, *number)?,
                _ => (*number == 1).then_some(holder)?,
            };
            holder = match self.places.get(at)?.kind {
                Kind::Multipart => at,
                Kind::Message => at + 1,
                Kind::Leaf => usize::MAX,
            };
        }
        Some(at)
    }

    fn child(&self, of: usize, number: u32) -> Option<usize> {
        let end = of + 1 + self.places.get(of)?.descendants;
        let mut at = of + 1;
        for _ in 1..number {
            if at >= end {
                return None;
            }
            at += 1 + self.places.get(at)?.descendants;
        }
        (number > 0 && at < end).then_some(at)
    }
}

impl Place {
    fn of(node: &Node) -> Self {
        let kind = match () {
            () if !node.has_parts() => Kind::Leaf,
            () if node.content.is_multipart() => Kind::Multipart,
            () => Kind::Message,
        };
        Self {
            kind,
            descendants: node.descendants,
            start: node.header.start as u64,
            body: node.body.start as u64,
            end: node.body.end as u64,
        }
    }
}
