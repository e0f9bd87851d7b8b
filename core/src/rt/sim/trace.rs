//! What happened, as a hash; and as lines, if they are wanted.

use std::time::Duration;

const SEED: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

pub(super) struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(super) fn new(verbose: bool) -> Self {
        Self {
            hash: SEED,
            lines: verbose.then(Vec::new),
        }
    }

    fn word(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(PRIME).rotate_left(23);
    }

    fn time(&mut self, now: Duration) {
        self.word(now.as_secs());
        self.word(u64::from(now.subsec_nanos()));
    }

    pub(super) fn event(&mut self, now: Duration, shard: usize, what: &str, a: u64, b: u64) {
        self.time(now);
        self.word(shard as u64);
        self.bytes(what.as_bytes());
        self.word(a);
        self.word(b);
        if let Some(lines) = &mut self.lines {
            let seconds = now.as_secs_f64();
            lines.push(format!("{seconds:11.6} shard {shard} {what} {a} {b}"));
        }
    }

    pub(super) fn text(&mut self, now: Duration, text: &str) {
        self.time(now);
        self.bytes(text.as_bytes());
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:11.6} {text}", now.as_secs_f64()));
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        for byte in rest {
            self.word(u64::from(*byte));
        }
    }

    pub(super) fn end(self) -> (u64, Vec<String>) {
        (self.hash, self.lines.unwrap_or_default())
    }
}
