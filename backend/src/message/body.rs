//! BODYSTRUCTURE, and what to leave out of it for BODY (RFC 3501 section 7.4.2).

use std::ops::Range;

use super::content::{Content, Parameters};
use super::envelope::envelope;
use super::tree::Node;
use super::value::{nstring, string};

/// The value of BODYSTRUCTURE, and where its extension data is.
pub(super) fn bodystructure(message: &[u8], nodes: &[Node]) -> (Vec<u8>, Vec<Range<usize>>) {
    let mut written = Written {
        text: Vec::with_capacity(nodes.len() * 128),
        extensions: Vec::with_capacity(nodes.len()),
    };
    // Parts that are begun, and where those in them end.
    let mut open: Vec<(&Node, usize)> = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        while let Some((ended, _)) = open.pop_if(|(_, end)| *end <= at) {
            written.end(ended);
        }
        written.begin(node);
        if node.content.is_message()
            && let Some(inner) = nodes.get(at + 1)
        {
            written.text.push(b' ');
            envelope(&mut written.text, &message[inner.read.clone()]);
            written.text.push(b' ');
        }
        open.push((node, at + 1 + node.descendants));
    }
    while let Some((ended, _)) = open.pop() {
        written.end(ended);
    }
    (written.text, written.extensions)
}

struct Written {
    text: Vec<u8>,
    extensions: Vec<Range<usize>>,
}

impl Written {
    fn begin(&mut self, node: &Node) {
        let (out, content) = (&mut self.text, &node.content);
        out.push(b'(');
        if content.is_multipart() {
            return;
        }
        string(out, &content.kind);
        out.push(b' ');
        string(out, &content.subtype);
        out.push(b' ');
        parameters(out, &content.parameters);
        out.push(b' ');
        nstring(out, content.id.as_deref());
        out.push(b' ');
        nstring(out, content.description.as_deref());
        out.push(b' ');
        string(out, content.encoding.as_deref().unwrap_or(b"7BIT"));
        out.extend_from_slice(format!(" {}", node.body.len()).as_bytes());
    }

    fn end(&mut self, node: &Node) {
        let content = &node.content;
        if content.is_multipart() {
            self.text.push(b' ');
            string(&mut self.text, &content.subtype);
        } else if content.is_text() || content.is_message() {
            self.text
                .extend_from_slice(format!(" {}", node.lines).as_bytes());
        }
        let start = self.text.len();
        self.extension(content);
        self.extensions.push(start..self.text.len());
        self.text.push(b')');
    }

    fn extension(&mut self, content: &Content) {
        let out = &mut self.text;
        out.push(b' ');
        match content.is_multipart() {
            true => parameters(out, &content.parameters),
            false => nstring(out, content.md5.as_deref()),
        }
        out.push(b' ');
        match &content.disposition {
            Some((kind, values)) => {
                out.push(b'(');
                string(out, kind);
                out.push(b' ');
                parameters(out, values);
                out.push(b')');
            }
            None => nstring(out, None),
        }
        out.push(b' ');
        list(out, content.languages.iter().map(Vec::as_slice));
        out.push(b' ');
        nstring(out, content.location.as_deref());
    }
}

fn parameters(out: &mut Vec<u8>, parameters: &Parameters) {
    let strings = parameters.iter();
    list(out, strings.flat_map(|(name, value)| [&name[..], value]));
}

/// `("a" "b")`, or NIL if there are none.
fn list<'a>(out: &mut Vec<u8>, strings: impl Iterator<Item = &'a [u8]>) {
    let start = out.len();
    for value in strings {
        out.push(if out.len() == start { b'(' } else { b' ' });
        string(out, value);
    }
    match out.len() == start {
        true => nstring(out, None),
        false => out.push(b')'),
    }
}
