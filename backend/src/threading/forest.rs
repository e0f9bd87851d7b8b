//! Trees that grow together, and whether one node lies above another: a link-cut tree (Sleator and Tarjan).
//!
//! A peer may send a chain of a hundred thousand messages, each of which refers to the next. To walk up from each would take
//! hours; here every step takes logarithmic time, taken over all of them. What a path to the root goes through last is kept as a
//! splay tree, in the order of depth; `up` leads from a splay tree's root to the path that it hangs on.

/// No node.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Node {
    /// Above it in its tree.
    parent: u32,
    /// In its splay tree; at the root of that, what the path hangs on.
    up: u32,
    /// What is higher in the tree than it, and what is lower.
    kids: [u32; 2],
}

/// Nodes, each with a parent or without.
#[derive(Default)]
pub(super) struct Forest {
    nodes: Vec<Node>,
}

impl Forest {
    /// A new node, by itself.
    pub(super) fn add(&mut self) -> u32 {
        let node = u32::try_from(self.nodes.len()).expect("invariant: their room is limited");
        self.nodes.push(Node {
            parent: NONE,
            up: NONE,
            kids: [NONE; 2],
        });
        node
    }

    pub(super) fn parent(&self, node: u32) -> Option<u32> {
        let parent = self.node(node).parent;
        (parent != NONE).then_some(parent)
    }

    /// Puts `child`, which has no parent, below `parent`. Not, if that would close a ring.
    pub(super) fn link(&mut self, child: u32, parent: u32) {
        if self.root(parent) == child {
            return;
        }
        self.expose(child);
        self.set(child).up = parent;
        self.set(child).parent = parent;
    }

    /// Takes a node, and all that is below it, from its parent.
    pub(super) fn cut(&mut self, node: u32) {
        if self.node(node).parent == NONE {
            return;
        }
        self.expose(node);
        let above = self.node(node).kids[0];
        self.set(above).up = NONE;
        self.set(node).kids[0] = NONE;
        self.set(node).parent = NONE;
    }

    /// The root of the tree that a node is in.
    fn root(&mut self, node: u32) -> u32 {
        self.expose(node);
        let mut root = node;
        while self.node(root).kids[0] != NONE {
            root = self.node(root).kids[0];
        }
        self.splay(root);
        root
    }

    /// Makes the way from the root to `node` one path, and `node` the root of its splay tree.
    fn expose(&mut self, node: u32) {
        let (mut at, mut below) = (node, NONE);
        while at != NONE {
            self.splay(at);
            self.set(at).kids[1] = below;
            below = at;
            at = self.node(at).up;
        }
        self.splay(node);
    }

    /// Makes `node` the root of its splay tree.
    fn splay(&mut self, node: u32) {
        while let Some(side) = self.side(node) {
            let up = self.node(node).up;
            match self.side(up) {
                None => {}
                Some(same) if same == side => self.rotate(up, same),
                Some(_) => self.rotate(node, side),
            }
            let side = self.side(node).expect("invariant: it isn't the root yet");
            self.rotate(node, side);
        }
    }

    /// Which kid a node is; `None` if it is the root of its splay tree.
    fn side(&self, node: u32) -> Option<usize> {
        let up = self.node(node).up;
        if up == NONE {
            return None;
        }
        self.node(up).kids.iter().position(|kid| *kid == node)
    }

    /// Puts `node`, the kid of this side, above what it is a kid of.
    fn rotate(&mut self, node: u32, side: usize) {
        let up = self.node(node).up;
        let (above, at) = (self.node(up).up, self.side(up));
        let inner = self.node(node).kids[1 - side];
        self.set(up).kids[side] = inner;
        if inner != NONE {
            self.set(inner).up = up;
        }
        self.set(node).kids[1 - side] = up;
        self.set(up).up = node;
        self.set(node).up = above;
        if let Some(at) = at {
            self.set(above).kids[at] = node;
        }
    }

    fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }

    fn set(&mut self, node: u32) -> &mut Node {
        &mut self.nodes[node as usize]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rings_are_refused_and_nothing_else(steps in prop::collection::vec((any::<bool>(), 0_u32..9, 0_u32..9), 0..200)) {
            let mut forest = Forest::default();
            let mut parents = [None; 9];
            for _ in 0..9 {
                forest.add();
            }
            for (links, node, other) in steps {
                if !links {
                    forest.cut(node);
                    parents[node as usize] = None;
                } else if parents[node as usize].is_none() {
                    forest.link(node, other);
                    let mut above = Some(other);
                    while let Some(at) = above.filter(|at| *at != node) {
                        above = parents[at as usize];
                    }
                    if above.is_none() {
                        parents[node as usize] = Some(other);
                    }
                }
                for node in 0..9 {
                    prop_assert_eq!(forest.parent(node), parents[node as usize]);
                }
            }
        }
    }
}
