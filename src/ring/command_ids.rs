//! Which command ids are in use.

/// A set of command ids, one bit each: 8 KiB, allocated once.
pub(crate) struct CommandIds {
    words: Box<[u64; Self::WORDS]>,
}

impl CommandIds {
    const WORDS: usize = 1 << (u16::BITS - u64::BITS.ilog2());

    pub(crate) fn new() -> Self {
        Self { words: Box::new([0; Self::WORDS]) }
    }

    /// Adds `id`; `false` if it was there already.
    pub(crate) fn insert(&mut self, id: u16) -> bool {
        let (word, bit) = self.place(id);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Takes `id` out.
    pub(crate) fn remove(&mut self, id: u16) {
        let (word, bit) = self.place(id);
        *word &= !bit;
    }

    /// The lowest id from 1 on that is not in the set.
    #[cfg(any(test, feature = "simulated-kernel"))]
    pub(crate) fn lowest_free(&self) -> Option<u16> {
        self.words.iter().zip((0..=u16::MAX).step_by(64)).find_map(|(word, first)| {
            // Id 0 means "no command" and is never handed out.
            let taken = if first == 0 { word | 1 } else { *word };
            let bit = u16::try_from(taken.trailing_ones()).expect("64 at most");
            (bit < 64).then_some(first | bit)
        })
    }

    fn place(&mut self, id: u16) -> (&mut u64, u64) {
        let (word, bit) = Self::position(id);
        (self.words.get_mut(word).expect("65536 bits hold every id"), bit)
    }

    const fn position(id: u16) -> (usize, u64) {
        ((id >> u64::BITS.ilog2()) as usize, 1 << (id % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_has_a_bit_of_its_own() {
        let mut ids = CommandIds::new();
        for id in 0..=u16::MAX {
            assert!(ids.insert(id));
        }
        assert_eq!(ids.lowest_free(), None);
        for id in [65_535, 64, 63, 1] {
            ids.remove(id);
            assert_eq!(ids.lowest_free(), Some(id));
        }
        assert!(ids.insert(64) && !ids.insert(64));
    }
}
