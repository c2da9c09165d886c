//! Memory for the data of a command, from the beginning of a page on.
//!
//! Over loopback a target is handed the initiator's own memory, page by page, and not every one can do with any: LIO
//! takes the second half of a COMPARE AND WRITE to lie in the page of the first (`compare_and_write_callback` in
//! `drivers/target/target_core_sbc.c`: "Currently assumes NoLB=1 and SGLs are PAGE_SIZE"). What comes over a wire
//! comes in pages of the target's, and so no host of a datastore ever sees that.

use std::ops::{Deref, DerefMut};

/// No page is smaller.
const PAGE: usize = 4096;

/// Bytes that begin where a page does.
#[derive(Debug, Default)]
pub(crate) struct Paged {
    memory: Vec<u8>,
    start: usize,
}

impl Paged {
    /// So many zeros.
    pub(crate) fn zeroed(bytes: usize) -> Self {
        let mut memory: Vec<u8> = Vec::with_capacity(bytes + PAGE);
        let start = memory.as_ptr().align_offset(PAGE).min(PAGE);
        memory.resize(start + bytes, 0);
        Self { memory, start }
    }
}

impl From<&[u8]> for Paged {
    fn from(bytes: &[u8]) -> Self {
        let mut paged = Self::zeroed(bytes.len());
        paged.copy_from_slice(bytes);
        paged
    }
}

impl Deref for Paged {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..]
    }
}

impl DerefMut for Paged {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_begins_where_a_page_does() {
        let many: Vec<_> = (0..100).map(|nth| Paged::from(&vec![7; 512 * nth][..])).collect();
        for (nth, paged) in many.iter().enumerate() {
            assert_eq!(**paged, vec![7; 512 * nth]);
            assert_eq!(paged.as_ptr().addr() % PAGE, 0);
        }
        assert_eq!(*Paged::zeroed(1024), [0; 1024]);
    }
}
