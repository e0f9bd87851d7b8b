//! Threads as THREAD answers them (RFC 5256 section 4, `thread-list`).

use std::fmt::Write as _;

use super::Threads;

/// What comes next.
enum Step {
    Open,
    Node(u32),
    Close,
}

impl Threads {
    /// `(2)(3 6 (4 23)(44 7 96))`: what is alone below a message stands behind it, several are in parentheses each.
    pub(super) fn text(&self, name: impl Fn(u32) -> u32) -> String {
        let mut text = String::with_capacity(8 * self.messages.len());
        let mut steps = Vec::new();
        let several = |steps: &mut Vec<Step>, nodes: &[u32]| {
            for node in nodes.iter().rev() {
                steps.extend([Step::Close, Step::Node(*node), Step::Open]);
            }
        };
        several(&mut steps, &self.tops);
        while let Some(step) = steps.pop() {
            let node = match step {
                Step::Open => {
                    text.push('(');
                    continue;
                }
                Step::Close => {
                    text.push(')');
                    continue;
                }
                Step::Node(node) => node,
            };
            let below = &self.below[node as usize];
            if let Some(message) = self.messages.get(node as usize) {
                write!(text, "{}", name(message.uid))
                    .expect("invariant: writing to a String can't fail");
                if !below.is_empty() {
                    text.push(' ');
                }
            }
            match below[..] {
                [alone] => steps.push(Step::Node(alone)),
                _ => several(&mut steps, below),
            }
        }
        text
    }
}
