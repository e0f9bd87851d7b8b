//! What is kept of a message: a summary of its header, and its structure. Small numbers (LEB128), most of them differences, and texts.
//!
//! The summary comes first, so that a SEARCH reads no more than it. A record may be without a structure, which is made from the file then.

use std::ops::Range;

use super::header::header_length;
use super::structure::{Kind, Place, Structure};
use super::summary::{self, Summary};
use super::{HEADER_BYTES_MAX, PARTS_MAX, RECORD_BYTES_MAX};

/// The first byte: this form. Records of others are none.
const FORM: u8 = 2;
/// Or the mark of what is too large to be kept.
const TOO_LARGE: u8 = 0;

/// The record of a message, to be kept. Without its structure, where that is too long; where the rest is longer than
/// [`RECORD_BYTES_MAX`], too, a mark that says so.
#[must_use]
pub fn record(message: &[u8]) -> Vec<u8> {
    let header = &message[..header_length(message)];
    let summary = summarized(header, false);
    let mut bytes = summary.clone();
    Structure::of(message).write(&mut bytes);
    let fits = |bytes: &Vec<u8>| bytes.len() <= RECORD_BYTES_MAX;
    let mut bytes = Some(bytes).filter(fits).or(Some(summary)).filter(fits);
    // Fields behind that are in the file, and in no envelope.
    bytes = bytes.filter(|_| header.len() <= HEADER_BYTES_MAX);
    bytes.unwrap_or_else(|| vec![TOO_LARGE])
}

/// The record of a message of which this is the beginning: a summary alone. Empty, if its header doesn't end there.
#[must_use]
pub fn record_of_beginning(beginning: &[u8]) -> Vec<u8> {
    let length = header_length(beginning);
    let bytes = match length < beginning.len() {
        true => summarized(&beginning[..length], false),
        false => Vec::new(),
    };
    match bytes.len() <= RECORD_BYTES_MAX {
        true => bytes,
        false => vec![TOO_LARGE],
    }
}

/// A record that isn't kept: of a header alone, fields of any size in it.
#[must_use]
pub fn record_of_header(header: &[u8]) -> Vec<u8> {
    summarized(&header[..header.len().min(HEADER_BYTES_MAX)], true)
}

fn summarized(header: &[u8], all: bool) -> Vec<u8> {
    let (fields, envelope) = summary::write(header, all);
    let mut bytes = vec![FORM];
    for text in [fields, envelope] {
        number(&mut bytes, text.len() as u64);
        bytes.extend_from_slice(&text);
    }
    bytes
}

impl<'a> Summary<'a> {
    /// Reads a record as far as it is one of the header. `None`: it is none, or a mark.
    #[must_use]
    pub fn of(record: &'a [u8]) -> Option<Self> {
        let mut rest = Rest(record.strip_prefix(&[FORM])?);
        Some(Self::new(rest.slice()?, rest.slice()?))
    }
}

impl Structure {
    /// Adds the structure to a summary, which has the envelope.
    fn write(&self, bytes: &mut Vec<u8>) {
        number(bytes, self.bodystructure.len() as u64);
        bytes.extend_from_slice(&self.bodystructure);
        number(bytes, self.places.len() as u64);
        let mut at = 0;
        for extension in &self.extensions {
            number(bytes, (extension.start - at) as u64);
            number(bytes, extension.len() as u64);
            at = extension.end;
        }
        let mut at = 0;
        for place in &self.places {
            let kind = match place.kind {
                Kind::Leaf => 0,
                Kind::Multipart => 1,
                Kind::Message => 2,
            };
            number(bytes, place.descendants as u64 * 3 + kind);
            number(bytes, place.start - at);
            number(bytes, place.body - place.start);
            number(bytes, place.end - place.body);
            at = place.body;
        }
    }

    /// Reads a record. `None`: it has none; the structure is to be made from the file.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes.strip_prefix(&[FORM])?);
        rest.slice()?;
        let (envelope, bodystructure) = (rest.slice()?.to_vec(), rest.slice()?.to_vec());
        let count = rest.size()?;
        if count == 0 || count > PARTS_MAX {
            return None;
        }
        let extensions = extensions(&mut rest, count, bodystructure.len())?;
        let places = places(&mut rest, count)?;
        rest.0.is_empty().then_some(Self {
            envelope,
            bodystructure,
            extensions,
            places,
        })
    }
}

fn extensions(rest: &mut Rest<'_>, count: usize, length: usize) -> Option<Vec<Range<usize>>> {
    let mut extensions = Vec::new();
    let mut at = 0_usize;
    for _ in 0..count {
        let start = at.checked_add(rest.size()?)?;
        at = start.checked_add(rest.size()?)?;
        extensions.push(start..at);
    }
    (at <= length).then_some(extensions)
}

fn places(rest: &mut Rest<'_>, count: usize) -> Option<Vec<Place>> {
    let mut places: Vec<Place> = Vec::new();
    let mut at = 0_u64;
    for left in (0..count).rev() {
        let head = rest.size()?;
        let (kind, descendants) = (head % 3, head / 3);
        let kind = match kind {
            0 => Kind::Leaf,
            1 => Kind::Multipart,
            _ => Kind::Message,
        };
        if descendants > left || (kind == Kind::Leaf) != (descendants == 0) {
            return None;
        }
        let start = at.checked_add(rest.number()?)?;
        let body = start.checked_add(rest.number()?)?;
        let end = body.checked_add(rest.number()?)?;
        places.push(Place {
            kind,
            descendants,
            start,
            body,
            end,
        });
        at = body;
    }
    Some(places)
}

/// Appends a number.
pub(super) fn number(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

/// What is still to be read of a record.
pub(super) struct Rest<'a>(pub(super) &'a [u8]);

impl<'a> Rest<'a> {
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn size(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    /// A text behind its length.
    pub(super) fn slice(&mut self) -> Option<&'a [u8]> {
        let length = self.size()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }
}
