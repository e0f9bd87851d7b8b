//! The parts of a message and where they lie: one pass over its lines, no recursion (RFC 2046 section 5.1).
//!
//! A delimiter ends what lies in its multipart, however deep. The line end before a delimiter belongs to the delimiter.

use std::collections::BTreeMap;
use std::ops::Range;

use super::content::{Content, extended};
use super::header::{Lines, is_empty_line};
use super::{BOUNDARY_BYTES_MAX, DEPTH_MAX, HEADER_BYTES_MAX, PARTS_MAX};

/// A part: the message itself, one of a multipart's, or the message in a message/rfc822.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) header: Range<usize>,
    pub(super) body: Range<usize>,
    /// How much of the header is read for its fields.
    pub(super) read: Range<usize>,
    pub(super) content: Content,
    /// Line ends in the body.
    pub(super) lines: usize,
    /// Parts that lie in it, directly or deeper; they follow it.
    pub(super) descendants: usize,
}

impl Node {
    fn empty(at: usize) -> Self {
        Self {
            header: at..at,
            body: at..at,
            read: at..at,
            content: Content::default(),
            lines: 0,
            descendants: 0,
        }
    }

    pub(super) fn has_parts(&self) -> bool {
        self.descendants > 0
    }
}

/// The parts in order, each before those in it. There is at least one. A message/global has none in it: an envelope there is
/// IMAP4rev2's (RFC 9051 section 7.5.2), and RFC 3501 has none.
pub(super) fn parts(message: &[u8]) -> Vec<Node> {
    walked(message, false)
}

/// The same with message/global as RFC 9051 has it: like message/rfc822.
pub(super) fn parts_with_global(message: &[u8]) -> Vec<Node> {
    walked(message, true)
}

fn walked(message: &[u8], global: bool) -> Vec<Node> {
    let mut walk = Walk {
        message,
        global,
        nodes: Vec::new(),
        open: Vec::new(),
        boundaries: BTreeMap::new(),
        in_header: false,
        lines: 0,
        unread: HEADER_BYTES_MAX,
    };
    walk.begin(0, false);
    let mut lines = Lines::new(message);
    while let Some(line) = lines.next() {
        walk.line(line, lines.at);
    }
    // A header may begin a message/rfc822 that has nothing in it.
    while walk.in_header {
        walk.end_header(message.len());
    }
    walk.close(0, message.len());
    walk.nodes
}

/// A part whose end hasn't come.
struct Open {
    node: usize,
    boundary: Option<Vec<u8>>,
    /// It lies in a multipart/digest.
    in_digest: bool,
    /// It is one.
    digest: bool,
    /// It is a multipart that names a boundary.
    bounded: bool,
    /// Lines before its body.
    lines: usize,
}

struct Walk<'a> {
    message: &'a [u8],
    global: bool,
    nodes: Vec<Node>,
    open: Vec<Open>,
    /// By boundary the open multiparts' places in `open`.
    boundaries: BTreeMap<Vec<u8>, Vec<usize>>,
    /// The innermost open part is in its header.
    in_header: bool,
    lines: usize,
    /// Bytes of headers that may still be read.
    unread: usize,
}

impl Walk<'_> {
    /// Takes a line that ends before `end`.
    fn line(&mut self, line: &[u8], end: usize) {
        let start = end - line.len();
        let delimits = self.delimiter(line);
        if let Some((at, closes)) = delimits
            && (closes || self.nodes.len() < PARTS_MAX)
        {
            self.delimit(at, closes, start..end);
        } else if self.in_header && is_empty_line(line) {
            self.lines += 1;
            self.end_header(end);
            return;
        }
        self.lines += usize::from(line.ends_with(b"\n"));
    }

    /// Whose delimiter it is, and whether it is the last. Where two have the boundary, it is the inner one's; what stands behind
    /// the last dashes, or behind a space, doesn't count: Cyrus and Dovecot read it so.
    fn delimiter(&self, line: &[u8]) -> Option<(usize, bool)> {
        if self.boundaries.is_empty() {
            return None;
        }
        let line = line.strip_prefix(b"--")?;
        let ends = (0..=line.len().min(BOUNDARY_BYTES_MAX)).filter_map(|end| match &line[end..] {
            [b'-', b'-', ..] => Some((end, true)),
            [behind, ..] => behind.is_ascii_whitespace().then_some((end, false)),
            [] => Some((end, false)),
        });
        let whose = ends.filter_map(|(end, closes)| {
            let at = self.boundaries.get(&line[..end])?.last()?;
            Some((*at, closes))
        });
        whose.max()
    }

    /// Its innermost multipart isn't looked for any more.
    fn forget(&mut self, boundary: &[u8]) {
        if let Some(open) = self.boundaries.get_mut(boundary) {
            open.pop();
            if open.is_empty() {
                self.boundaries.remove(boundary);
            }
        }
    }

    fn delimit(&mut self, at: usize, closes: bool, line: Range<usize>) {
        // A header that a delimiter cuts off is read, too.
        let before = self.before_line_end(line.start);
        while self.in_header {
            self.end_header(before.max(self.start()));
        }
        self.close(at + 1, before);
        if closes {
            if let Some(boundary) = self.open[at].boundary.take() {
                self.forget(&boundary);
            }
        } else {
            let digest = self.open[at].digest;
            self.begin(line.end, digest);
        }
    }

    fn begin(&mut self, start: usize, in_digest: bool) {
        self.open.push(Open {
            node: self.nodes.len(),
            boundary: None,
            in_digest,
            digest: false,
            bounded: false,
            lines: 0,
        });
        self.nodes.push(Node::empty(start));
        self.in_header = true;
    }

    /// Where the innermost part begins.
    fn start(&self) -> usize {
        self.nodes.last().map_or(0, |node| node.header.start)
    }

    /// The innermost part's header ends before `end`: what is it?
    fn end_header(&mut self, end: usize) {
        self.in_header = false;
        let (depth, full) = (self.open.len(), self.nodes.len() >= PARTS_MAX);
        let Some(open) = self.open.last_mut() else {
            return;
        };
        open.lines = self.lines;
        let node = &mut self.nodes[open.node];
        node.header.end = end;
        node.body = end..end;
        let read = node.header.len().min(self.unread);
        self.unread -= read;
        node.read = node.header.start..node.header.start + read;
        node.content = Content::read(&self.message[node.read.clone()], open.in_digest);
        node.content.global = self.global;
        if node.content.is_multipart() {
            if let Some(boundary) = boundary(&node.content)
                && depth < DEPTH_MAX
            {
                open.digest = node.content.subtype == b"DIGEST";
                open.bounded = true;
                open.boundary = Some(boundary.clone());
                self.boundaries.entry(boundary).or_default().push(depth - 1);
            }
        } else if node.content.is_message() {
            if depth < DEPTH_MAX && !full {
                self.begin(end, false);
            } else {
                node.content.become_bytes();
            }
        }
    }

    /// Ends the open parts from the place `at` on; their bodies end before `end`.
    fn close(&mut self, at: usize, end: usize) {
        let cut =
            self.message[end..].starts_with(b"\n") || self.message[end..].starts_with(b"\r\n");
        let mut last = end;
        while self.open.len() > at {
            let Some(open) = self.open.pop() else { return };
            if let Some(boundary) = &open.boundary {
                self.forget(boundary);
            }
            // A multipart has a part: an empty one, where its delimiter doesn't occur.
            if open.bounded && self.nodes.len() == open.node + 1 && self.nodes.len() < PARTS_MAX {
                let mut empty = Node::empty(last.max(self.nodes[open.node].body.start));
                empty.content.become_text();
                self.nodes.push(empty);
            }
            let parts = self.nodes.len() - open.node - 1;
            let node = &mut self.nodes[open.node];
            node.descendants = parts;
            // A header that goes up to the delimiter keeps its line end; so does what it lies in.
            last = last.max(node.body.start);
            node.body.end = last;
            let lines = self.lines - open.lines;
            node.lines = lines.saturating_sub(usize::from(cut && last == end));
            if node.content.is_multipart() && parts == 0 {
                node.content.become_text();
            }
        }
    }

    /// Where the line before `start` ends, without its line end.
    fn before_line_end(&self, start: usize) -> usize {
        let before = &self.message[..start];
        let before = before.strip_suffix(b"\n").unwrap_or(before);
        before.strip_suffix(b"\r").unwrap_or(before).len()
    }
}

fn boundary(content: &Content) -> Option<Vec<u8>> {
    let plain = content.parameter(b"BOUNDARY").map(<[u8]>::to_vec);
    let boundary = plain.or_else(|| content.parameter(b"BOUNDARY*").map(extended))?;
    (boundary.len() <= BOUNDARY_BYTES_MAX).then_some(boundary)
}
