//! RFC 5256 section 3, step by step, on a tree that is walked from the top each time.

use super::super::{BaseSubject, Entry};

#[derive(Clone, Debug)]
struct Node {
    /// Its ID; none, once another message has it.
    id: Option<Vec<u8>>,
    /// `None`: a dummy.
    message: Option<usize>,
    parent: Option<usize>,
}

struct Model<'a> {
    entries: &'a [Entry],
    nodes: Vec<Node>,
}

impl Model<'_> {
    fn find(&mut self, id: &[u8]) -> usize {
        let known = self
            .nodes
            .iter()
            .position(|node| node.id.as_deref() == Some(id));
        known.unwrap_or_else(|| self.add(Some(id.to_vec()), None))
    }

    fn add(&mut self, id: Option<Vec<u8>>, message: Option<usize>) -> usize {
        self.nodes.push(Node {
            id,
            message,
            parent: None,
        });
        self.nodes.len() - 1
    }

    fn link(&mut self, child: usize, parent: usize) {
        let mut above = Some(parent);
        while let Some(at) = above {
            if at == child {
                return;
            }
            above = self.nodes[at].parent;
        }
        self.nodes[child].parent = Some(parent);
    }

    fn below(&self, node: Option<usize>) -> Vec<usize> {
        let all = 0..self.nodes.len();
        all.filter(|at| self.nodes[*at].parent == node).collect()
    }
}

/// A message, or a dummy, and what is below it.
#[derive(Clone, Debug)]
struct Tree {
    message: Option<usize>,
    below: Vec<Self>,
}

pub(super) fn references(entries: &[Entry]) -> String {
    let mut model = Model {
        entries,
        nodes: Vec::new(),
    };
    for (at, entry) in entries.iter().enumerate() {
        let mut last = None;
        for id in &entry.references {
            let node = model.find(id);
            if let Some(last) = last
                && model.nodes[node].parent.is_none()
            {
                model.link(node, last);
            }
            last = Some(node);
        }
        let node = entry.id.as_deref().map(|id| model.find(id));
        let node = node.filter(|node| model.nodes[*node].message.is_none());
        let node = node.unwrap_or_else(|| model.add(None, None));
        model.nodes[node].message = Some(at);
        model.nodes[node].parent = None;
        if let Some(last) = last {
            model.link(node, last);
        }
    }
    let mut tops: Vec<Tree> = Vec::new();
    for node in model.below(None) {
        let tree = prune(&model, node);
        match (tree.message, tree.below.len()) {
            (None, 0) => {}
            (None, 1) => tops.extend(tree.below),
            _ => tops.push(tree),
        }
    }
    for top in &mut tops {
        if top.message.is_none() {
            sort(model.entries, &mut top.below);
        }
    }
    sort(entries, &mut tops);
    let mut tops = gather(entries, tops);
    sort_all(entries, &mut tops);
    tops.iter()
        .map(|top| format!("({})", text(entries, top)))
        .collect()
}

fn prune(model: &Model<'_>, node: usize) -> Tree {
    let mut below = Vec::new();
    for child in model.below(Some(node)) {
        let tree = prune(model, child);
        match tree.message {
            None => below.extend(tree.below),
            Some(_) => below.push(tree),
        }
    }
    Tree {
        message: model.nodes[node].message,
        below,
    }
}

fn leader(tree: &Tree) -> usize {
    tree.message.unwrap_or_else(|| leader(&tree.below[0]))
}

fn sort(entries: &[Entry], trees: &mut [Tree]) {
    trees.sort_by_key(|tree| (entries[leader(tree)].sent, leader(tree)));
}

fn sort_all(entries: &[Entry], trees: &mut [Tree]) {
    for tree in &mut *trees {
        sort_all(entries, &mut tree.below);
    }
    sort(entries, trees);
}

/// Step 5, on threads of which some are gone.
fn gather(entries: &[Entry], tops: Vec<Tree>) -> Vec<Tree> {
    let mut tops: Vec<Option<Tree>> = tops.into_iter().map(Some).collect();
    let subject = |tree: &Tree| -> BaseSubject { entries[leader(tree)].subject.clone() };
    let mut table: Vec<(Box<[u8]>, usize)> = Vec::new();
    for (at, top) in tops.iter().enumerate() {
        let top = top.as_ref().unwrap();
        let this = subject(top);
        if this.text.is_empty() {
            continue;
        }
        match table.iter_mut().find(|(text, _)| *text == this.text) {
            None => table.push((this.text, at)),
            Some((_, known)) => {
                let there = tops[*known].as_ref().unwrap();
                let replies = subject(there).reply && !this.reply;
                if there.message.is_some() && (top.message.is_none() || replies) {
                    *known = at;
                }
            }
        }
    }
    for at in 0..tops.len() {
        let this = subject(tops[at].as_ref().unwrap());
        let Some((_, known)) = table.iter_mut().find(|(text, _)| *text == this.text) else {
            continue;
        };
        if *known == at {
            continue;
        }
        let top = tops[at].take().unwrap();
        let mut there = tops[*known].take().unwrap();
        if there.message.is_none() && top.message.is_none() {
            there.below.extend(top.below);
        } else if there.message.is_none() || (this.reply && !subject(&there).reply) {
            there.below.push(top);
        } else {
            there = Tree {
                message: None,
                below: vec![there, top],
            };
        }
        tops[*known] = Some(there);
    }
    tops.into_iter().flatten().collect()
}

fn text(entries: &[Entry], tree: &Tree) -> String {
    let below: Vec<String> = tree.below.iter().map(|tree| text(entries, tree)).collect();
    let below = match &below[..] {
        [alone] => alone.clone(),
        all => all.iter().map(|text| format!("({text})")).collect(),
    };
    match tree.message {
        None => below,
        Some(message) if below.is_empty() => entries[message].uid.to_string(),
        Some(message) => format!("{} {below}", entries[message].uid),
    }
}

pub(super) fn by_subject(entries: &[Entry]) -> String {
    let mut all: Vec<&Entry> = entries.iter().collect();
    all.sort_by_key(|entry| (entry.sent, entry.uid));
    let mut threads: Vec<Vec<&Entry>> = Vec::new();
    for entry in all {
        let same = |thread: &&mut Vec<&Entry>| thread[0].subject.text == entry.subject.text;
        match threads.iter_mut().find(same) {
            Some(thread) => thread.push(entry),
            None => threads.push(vec![entry]),
        }
    }
    let text = |thread: Vec<&Entry>| {
        let others: Vec<String> = thread[1..]
            .iter()
            .map(|entry| entry.uid.to_string())
            .collect();
        let first = thread[0].uid;
        match &others[..] {
            [] => format!("({first})"),
            [alone] => format!("({first} {alone})"),
            all => format!("({first} ({}))", all.join(")(")),
        }
    };
    threads.into_iter().map(text).collect()
}
