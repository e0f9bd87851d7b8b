//! Who answers whom: steps 1 to 3 of REFERENCES (RFC 5256 section 3).

use std::collections::BTreeMap;

use zlib_rs::crc32::crc32;

use super::forest::{Forest, NONE};

/// What a node takes beside its ID, about.
const NODE_BYTES: usize = 100;

/// Messages, and others that messages refer to, as nodes of trees.
#[derive(Default)]
pub(super) struct Links {
    forest: Forest,
    /// Nodes by ID. A sum is before it, so that hardly ever more than one is compared.
    ids: BTreeMap<(u32, Box<[u8]>), u32>,
    /// Which message a node is, by its place; or none: a dummy.
    messages: Vec<u32>,
    /// The nodes of the messages.
    nodes: Vec<u32>,
}

/// Where what is below a dummy goes.
#[derive(Clone, Copy)]
enum Goes {
    /// Below a message.
    Below(u32),
    /// To the top, with whatever else is below this dummy there.
    Top(u32),
}

impl Links {
    /// Step 1, for the next message. Gives how much more room is taken.
    pub(super) fn add(&mut self, id: Option<Box<[u8]>>, references: Vec<Box<[u8]>>) -> usize {
        let mut bytes = 0;
        let mut last = None;
        for reference in references {
            let node = self.node(reference, &mut bytes);
            if let Some(last) = last
                && self.forest.parent(node).is_none()
            {
                self.forest.link(node, last);
            }
            last = Some(node);
        }
        let known = id.map(|id| self.node(id, &mut bytes));
        // The second message of an ID has one of its own.
        let node = known.filter(|node| self.messages[*node as usize] == NONE);
        let node = node.unwrap_or_else(|| self.new_node(&mut bytes));
        self.messages[node as usize] =
            u32::try_from(self.nodes.len()).expect("invariant: their room is limited");
        self.nodes.push(node);
        self.forest.cut(node);
        if let Some(last) = last {
            self.forest.link(node, last);
        }
        bytes
    }

    fn node(&mut self, id: Box<[u8]>, bytes: &mut usize) -> u32 {
        let key = (crc32(0, &id), id);
        if let Some(node) = self.ids.get(&key) {
            return *node;
        }
        *bytes += key.1.len();
        let node = self.new_node(bytes);
        self.ids.insert(key, node);
        node
    }

    fn new_node(&mut self, bytes: &mut usize) -> u32 {
        *bytes += NODE_BYTES;
        self.messages.push(NONE);
        self.forest.add()
    }

    /// Steps 2 and 3: what is at the top, and what is below each message; and below each dummy that is left, behind them.
    pub(super) fn threads(self) -> (Vec<u32>, Vec<Vec<u32>>) {
        let mut goes: Vec<Option<Goes>> = vec![None; self.messages.len()];
        let mut below: Vec<Vec<u32>> = vec![Vec::new(); self.nodes.len()];
        let mut tops = Vec::new();
        let mut dummies: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (message, node) in (0..).zip(&self.nodes) {
            match self
                .forest
                .parent(*node)
                .map(|parent| self.goes(parent, &mut goes))
            {
                None => tops.push(message),
                Some(Goes::Below(parent)) => below[parent as usize].push(message),
                Some(Goes::Top(dummy)) => dummies.entry(dummy).or_default().push(message),
            }
        }
        for together in dummies.into_values() {
            if let [alone] = together[..] {
                tops.push(alone);
            } else {
                tops.push(u32::try_from(below.len()).expect("invariant: their room is limited"));
                below.push(together);
            }
        }
        (tops, below)
    }

    /// Where what is below a node goes, when the dummies are gone.
    fn goes(&self, node: u32, goes: &mut [Option<Goes>]) -> Goes {
        let (mut at, mut through) = (node, Vec::new());
        let found = loop {
            let message = self.messages[at as usize];
            if message != NONE {
                break Goes::Below(message);
            }
            if let Some(known) = goes[at as usize] {
                break known;
            }
            through.push(at);
            match self.forest.parent(at) {
                Some(parent) => at = parent,
                None => break Goes::Top(at),
            }
        };
        for node in through {
            goes[node as usize] = Some(found);
        }
        found
    }
}
