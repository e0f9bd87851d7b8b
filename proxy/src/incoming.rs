//! What has been read from a backend and not been taken yet.
//!
//! Taking from the front moves nothing: only when more is to be read is the room at the front
//! used again. So many small responses in one read cost what their bytes cost.

/// A buffer that is filled at the end and taken from the front.
#[derive(Default)]
pub(crate) struct Incoming {
    bytes: Vec<u8>,
    /// How much of `bytes` has been taken.
    taken: usize,
}

impl Incoming {
    /// What is here.
    pub(crate) fn here(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// The vector to append to.
    pub(crate) fn fill(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        &mut self.bytes
    }

    /// Drops the first `len` bytes.
    pub(crate) fn skip(&mut self, len: usize) {
        debug_assert!(len <= self.here().len(), "more than is here");
        self.taken += len;
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.taken = 0;
        }
    }

    /// Takes the first `len` bytes.
    pub(crate) fn take(&mut self, len: usize) -> Vec<u8> {
        let taken = self.here()[..len].to_vec();
        self.skip(len);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::Incoming;

    #[test]
    fn what_goes_in_comes_out_in_order() {
        let mut incoming = Incoming::default();
        incoming.fill().extend_from_slice(b"abcdef");
        assert_eq!(incoming.take(2), b"ab");
        incoming.fill().extend_from_slice(b"gh");
        assert_eq!(incoming.here(), b"cdefgh");
        incoming.skip(6);
        assert!(incoming.here().is_empty());
        incoming.fill().extend_from_slice(b"i");
        assert_eq!(incoming.take(1), b"i");
    }
}
