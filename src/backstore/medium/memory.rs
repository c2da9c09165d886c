//! A file whose pages are memory, reached without a system call.
//!
//! Only pages that are known to be there are touched: a page that is not would be looked for by the kernel in
//! the midst of a copy, which has no way to say that there is none (mmap(2), SIGBUS). So the first
//! write to a page goes by pwrite(2), which has.

use std::fs::File;
use std::io;

use pulsefield_data::Buffer;

use super::Span;

/// The page of every machine this runs on, or a part of it.
const PAGE_BYTES: u64 = 4096;

/// A longer file is not mapped: the marks alone would take 32 MiB.
const MAPPED_MAX: u64 = 1 << 40;

/// The mapped file, and which of its pages are there.
pub(super) struct Memory {
    bytes: Buffer,
    /// A bit for each page that surely is there. Where it is not set, nobody knows.
    present: Vec<u64>,
}

impl Memory {
    /// All `len` bytes of `file`, none of which is known to be there; `None` if they are too many.
    ///
    /// # Errors
    /// What mmap(2) answers.
    pub(super) fn of(file: &File, len: u64) -> io::Result<Option<Self>> {
        if len > MAPPED_MAX {
            return Ok(None);
        }
        let in_memory = |number| usize::try_from(number).expect("64-bit addresses");
        let (bytes, words) = (in_memory(len), in_memory(len.div_ceil(64 * PAGE_BYTES)));
        Ok(Some(Self { bytes: Buffer::of_file(file, bytes)?, present: vec![0; words] }))
    }

    /// Follows the file, which is `len` bytes long now: what is behind its end is not there.
    ///
    /// # Errors
    /// What mmap(2) answers; nothing is there then.
    pub(super) fn resize(&mut self, file: &File, len: u64) -> io::Result<()> {
        let present = std::mem::take(&mut self.present);
        if let Some(mut resized) = Self::of(file, len)? {
            // A page that the new end cuts is there in any case: its first part is.
            let kept = present.iter().zip(&mut resized.present);
            kept.for_each(|(kept, there)| *there = *kept);
            let behind = len.next_multiple_of(PAGE_BYTES);
            let marked = resized.present.len() as u64 * 64 * PAGE_BYTES;
            if behind < marked {
                resized.forget(Span { start: behind, len: marked - behind });
            }
            *self = resized;
        }
        Ok(())
    }

    /// Fills the first bytes of `buffer` from `span`, if all of that is there; says whether it was.
    pub(super) fn read(&self, span: Span, buffer: &mut Buffer) -> bool {
        let there = self.holds(span);
        if there {
            buffer.copy_from(0, &self.bytes, position(span), span.len_in_memory());
        }
        there
    }

    /// Copies the first bytes of `buffer` to `span`, if all pages for it are there; says whether they were.
    pub(super) fn write(&mut self, span: Span, buffer: &Buffer) -> bool {
        let there = self.holds(span);
        if there {
            self.bytes.copy_from(position(span), buffer, 0, span.len_in_memory());
        }
        there
    }

    /// Notes that something was written to `span`: its pages are there.
    pub(super) fn note_written(&mut self, span: Span) {
        for (word, bits) in words(span) {
            self.present[word] |= bits;
        }
    }

    /// Notes that pages of `span` may go.
    pub(super) fn forget(&mut self, span: Span) {
        for (word, bits) in words(span) {
            self.present[word] &= !bits;
        }
    }

    fn holds(&self, span: Span) -> bool {
        words(span)
            .all(|(word, bits)| self.present.get(word).is_some_and(|there| there & bits == bits))
    }
}

/// The pages that `span` touches, as words of the marks and bits in them.
fn words(span: Span) -> impl Iterator<Item = (usize, u64)> {
    let (first, last) = (span.start / PAGE_BYTES, (span.end() - 1) / PAGE_BYTES);
    (first / 64..=last / 64).map(move |word| {
        let from = first.max(word * 64) % 64;
        let to = last.min(word * 64 + 63) % 64;
        let bits = (u64::MAX >> (63 - to)) & (u64::MAX << from);
        (usize::try_from(word).expect("a mapped file"), bits)
    })
}

fn position(span: Span) -> usize {
    usize::try_from(span.start).expect("a mapped file")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    const PAGES: u64 = 200;

    fn span(start: u64, len: u64) -> Span {
        Span { start, len }
    }

    fn memory() -> (File, Memory) {
        let file = tempfile::tempfile().unwrap();
        file.set_len(PAGES * PAGE_BYTES).unwrap();
        let memory = Memory::of(&file, PAGES * PAGE_BYTES).unwrap().unwrap();
        (file, memory)
    }

    fn filled(byte: u8, len: usize) -> Buffer {
        let mut buffer = Buffer::heap(len);
        buffer.fill(0, len, byte);
        buffer
    }

    #[test]
    fn nothing_is_touched_that_is_not_known_to_be_there() {
        let (_file, mut memory) = memory();
        let mut buffer = filled(1, 512);
        assert!(!memory.write(span(0, 512), &buffer));
        assert!(!memory.read(span(0, 512), &mut buffer));
        memory.note_written(span(4096, 512));
        assert!(!memory.write(span(4095, 2), &buffer), "the page before is not");
        assert!(!memory.write(span(8191, 2), &buffer), "nor the one behind");
        assert!(memory.write(span(7680, 512), &buffer), "the rest of the page is");
        memory.forget(span(8191, 1));
        assert!(!memory.write(span(4096, 512), &buffer));
    }

    #[test]
    fn what_is_written_is_in_the_file() {
        let (file, mut memory) = memory();
        file.write_all_at(&[7; 8192], 4096).unwrap();
        memory.note_written(span(4096, 8192));
        assert!(memory.write(span(8000, 512), &filled(9, 512)));
        let mut bytes = [0; 514];
        file.read_exact_at(&mut bytes, 7999).unwrap();
        assert_eq!((bytes[0], bytes[1], bytes[512], bytes[513]), (7, 9, 9, 7));
        let mut buffer = filled(0, 1024);
        assert!(memory.read(span(7999, 2), &mut buffer));
        assert_eq!(buffer.first_difference(0, &[7, 9, 0]), None);
    }

    #[test]
    fn every_run_of_pages_is_the_pages_it_touches() {
        for first in 0..PAGES {
            for last in first..PAGES {
                let span = span(first * PAGE_BYTES + 17, (last - first) * PAGE_BYTES + 1);
                let pages: u32 = words(span).map(|(_, bits)| bits.count_ones()).sum();
                assert_eq!(u64::from(pages), last - first + 1, "{first} to {last}");
            }
        }
    }

    #[test]
    fn what_a_shorter_file_has_lost_does_not_come_back_with_a_longer_one() {
        let (file, mut memory) = memory();
        file.write_all_at(&[7; 200 << 12], 0).unwrap();
        memory.note_written(span(0, PAGES * PAGE_BYTES));
        for pages in [70, PAGES] {
            file.set_len(pages * PAGE_BYTES).unwrap();
            memory.resize(&file, pages * PAGE_BYTES).unwrap();
        }
        assert!(memory.holds(span(0, 70 * PAGE_BYTES)));
        assert!((70..PAGES).all(|page| !memory.holds(span(page * PAGE_BYTES, 1))));
    }

    #[test]
    fn a_file_without_end_is_not_mapped() {
        let file = tempfile::tempfile().unwrap();
        assert!(Memory::of(&file, MAPPED_MAX + 1).unwrap().is_none());
        assert!(Memory::of(&file, 0).unwrap().is_some());
    }
}
