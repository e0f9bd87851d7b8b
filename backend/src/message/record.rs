//! A structure as the index keeps it: small numbers (LEB128), most of them differences, and two texts.

use std::ops::Range;

use super::structure::{Kind, Place, Structure};
use super::{PARTS_MAX, RECORD_BYTES_MAX};

/// The first byte: this form, or the mark of a structure that is too large to be kept.
const FORM: u8 = 1;
const TOO_LARGE: u8 = 0;

impl Structure {
    /// The record for the index. Where it would be longer than [`RECORD_BYTES_MAX`], a mark that says so, which doesn't decode.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        for text in [&self.envelope, &self.bodystructure] {
            number(&mut bytes, text.len() as u64);
            bytes.extend_from_slice(text);
        }
        number(&mut bytes, self.places.len() as u64);
        let mut at = 0;
        for extension in &self.extensions {
            number(&mut bytes, (extension.start - at) as u64);
            number(&mut bytes, extension.len() as u64);
            at = extension.end;
        }
        let mut at = 0;
        for place in &self.places {
            let kind = match place.kind {
                Kind::Leaf => 0,
                Kind::Multipart => 1,
                Kind::Message => 2,
            };
            number(&mut bytes, place.descendants as u64 * 3 + kind);
            number(&mut bytes, place.start - at);
            number(&mut bytes, place.body - place.start);
            number(&mut bytes, place.end - place.body);
            at = place.body;
        }
        if bytes.len() > RECORD_BYTES_MAX {
            return vec![TOO_LARGE];
        }
        bytes
    }

    /// Reads a record. `None`: it is none, or a mark; the structure is to be made from the file.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes.strip_prefix(&[FORM])?);
        let (envelope, bodystructure) = (rest.text()?, rest.text()?);
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

fn number(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

/// What is still to be read of a record.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn number(&mut self) -> Option<u64> {
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

    fn size(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn text(&mut self) -> Option<Vec<u8>> {
        let length = self.size()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text.to_vec())
    }
}
