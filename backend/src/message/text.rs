//! The texts of a message, for SEARCH BODY and TEXT (RFC 3501 section 6.4.4).
//!
//! Texts are given decoded: transfer encoding, charset, encoded words. HTML is given twice: as it is, and as what a reader sees.

use mail_parser::decoders::html::html_to_text;

use super::encoding::{decode, to_utf8};
use super::header::{Fields, decode_words};
use super::tree::{Node, parts_with_global};
use super::value::unfolded;

/// Where a text was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The message's header.
    Header,
    /// Its body: text parts, and the headers of messages in it.
    Body,
}

/// Gives the texts of a message until `take` says false: headers field by field (`Name: value`), and text parts.
pub fn texts(message: &[u8], mut take: impl FnMut(Source, &str) -> bool) {
    let nodes = parts_with_global(message);
    let mut before: Option<&Node> = None;
    for node in &nodes {
        let source = match before {
            None => Some(Source::Header),
            Some(before) => before.content.is_message().then_some(Source::Body),
        };
        if let Some(source) = source
            && !header(&message[node.read.clone()], |text| take(source, text))
        {
            return;
        }
        if node.content.is_text() && !part(message, node, |text| take(Source::Body, text)) {
            return;
        }
        before = Some(node);
    }
}

fn header(header: &[u8], mut take: impl FnMut(&str) -> bool) -> bool {
    Fields::new(header).all(|field| {
        let name = String::from_utf8_lossy(field.name().unwrap_or_default());
        let value = decode_words(unfolded(field.value()));
        match name.is_empty() {
            true => take(&value),
            false => take(&format!("{name}: {value}")),
        }
    })
}

fn part(message: &[u8], node: &Node, mut take: impl FnMut(&str) -> bool) -> bool {
    let content = &node.content;
    let encoding = content.encoding.as_deref().unwrap_or_default();
    let bytes = decode(encoding, &message[node.body.clone()]);
    let text = to_utf8(content.parameter(b"CHARSET"), &bytes);
    if !take(&text) {
        return false;
    }
    content.subtype != b"HTML" || take(&html_to_text(&text))
}
