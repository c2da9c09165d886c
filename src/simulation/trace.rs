//! Whether two runs were the same: a hash of all that happened, and when.

use std::hash::{Hash, Hasher};

use pulsefield_units::mix;

/// What happened so far. No hasher of the standard library, since those may change from one release of Rust
/// to the next, and a number that was printed shall mean the same for years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trace {
    state: u64,
    /// How many things happened.
    pub(crate) length: u64,
}

impl Trace {
    /// Takes note of something.
    pub(crate) fn note(&mut self, what: &impl Hash) {
        what.hash(self);
        self.length += 1;
    }
}

impl Hasher for Trace {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
        self.write_u64(bytes.len() as u64);
    }

    fn write_u64(&mut self, word: u64) {
        self.state = mix(self.state.rotate_left(5) ^ word).wrapping_add(word);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(things: &[(u64, &[u8])]) -> u64 {
        let mut trace = Trace::default();
        things.iter().for_each(|thing| trace.note(thing));
        trace.finish()
    }

    #[test]
    fn order_time_and_every_byte_matter() {
        let traces = [
            of(&[(1, b"ab"), (2, b"c")]),
            of(&[(2, b"c"), (1, b"ab")]),
            of(&[(1, b"ab"), (3, b"c")]),
            of(&[(1, b"a"), (2, b"bc")]),
            of(&[(1, b"ab")]),
        ];
        let different: std::collections::BTreeSet<_> = traces.iter().collect();
        assert_eq!(different.len(), traces.len());
        assert_eq!(of(&[(1, b"ab"), (2, b"c")]), traces[0]);
    }
}
