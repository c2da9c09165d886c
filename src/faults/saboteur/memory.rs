//! Payloads that a rule keeps: what writes wrote over (`write.revert`), what COMPARE AND WRITEs compared
//! with (`stale-compare`).

use std::collections::VecDeque;

use pulsefield_units::LbaRange;

/// Bytes that one rule keeps; beyond that, the oldest payloads are forgotten.
const BYTES_MAX: usize = 32 << 20;

/// Blocks and the bytes that belong to them, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    payloads: VecDeque<(LbaRange, Vec<u8>)>,
    bytes: usize,
}

impl Memory {
    /// Keeps one more payload.
    pub(crate) fn keep(&mut self, range: LbaRange, payload: Vec<u8>) {
        self.bytes += payload.len();
        self.payloads.push_back((range, payload));
        while self.bytes > BYTES_MAX
            && let Some((_, oldest)) = self.payloads.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }

    /// Takes the last `count` payloads out, newest first.
    pub(crate) fn take_newest(&mut self, count: usize) -> Vec<(LbaRange, Vec<u8>)> {
        let kept = self.payloads.len().saturating_sub(count);
        let taken: Vec<_> = self.payloads.drain(kept..).rev().collect();
        self.bytes -= taken.iter().map(|(_, payload)| payload.len()).sum::<usize>();
        taken
    }

    /// The payload for exactly these blocks that is `age` payloads for them older than the next one.
    pub(crate) fn older(&self, range: LbaRange, age: usize) -> Option<&[u8]> {
        let same = self.payloads.iter().rev().filter(|(kept, _)| *kept == range);
        same.map(|(_, payload)| payload.as_slice()).nth(age.checked_sub(1)?)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.payloads.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use pulsefield_units::{BlockCount, Lba};

    use super::*;

    fn range(start: u64) -> LbaRange {
        LbaRange::new(Lba::new(start), BlockCount::new(1)).unwrap()
    }

    #[test]
    fn the_newest_comes_first_and_is_taken() {
        let mut memory = Memory::default();
        for byte in 0..4 {
            memory.keep(range(u64::from(byte) % 2), vec![byte]);
        }
        assert_eq!(memory.older(range(0), 1), Some(&[2][..]));
        assert_eq!(memory.older(range(0), 2), Some(&[0][..]));
        assert_eq!((memory.older(range(0), 3), memory.older(range(2), 1)), (None, None));
        assert_eq!(memory.take_newest(2), [(range(1), vec![3]), (range(0), vec![2])]);
        assert_eq!(memory.take_newest(9).len(), 2);
        assert!(memory.is_empty() && memory.bytes == 0);
    }

    #[test]
    fn beyond_the_bound_the_oldest_are_forgotten() {
        let mut memory = Memory::default();
        for start in 0..5 {
            memory.keep(range(start), vec![0; BYTES_MAX / 4]);
        }
        assert_eq!(memory.payloads.front().map(|(kept, _)| *kept), Some(range(1)));
        assert_eq!(memory.bytes, BYTES_MAX);
    }
}
