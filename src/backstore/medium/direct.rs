//! Direct I/O: between a buffer and a device, past the page cache.
//!
//! `O_DIRECT` wants memory that starts where the device's DMA may start, and lengths in logical
//! blocks (`open(2)`). What TCMU maps meets that: ordinary pages, which can be pinned
//! (`drivers/target/target_core_user.c`, `tcmu_vma_fault` hands out pages and no bare frames),
//! filled from their start. What the engine puts together itself (COMPARE AND WRITE, VERIFY) need
//! not, and goes through a bounce buffer.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pulsefield_data::Buffer;
use pulsefield_units::BlockLength;

/// Where memory for direct I/O starts, in bytes: at a page. No device of Linux asks for more than
/// its logical block (before 6.0) or its `queue/dma_alignment` (since), which are at most a page.
const PAGE_BYTES: usize = 4096;

/// The length of a bounce buffer: a longer transfer takes several turns. The engine's own buffers
/// are no longer than this.
const BOUNCE_BYTES: usize = 256 << 10;

/// Memory that starts at a page.
pub(super) struct Paged {
    pub(super) buffer: Buffer,
    /// Where in the buffer.
    pub(super) start: usize,
}

impl Paged {
    /// `len` zeroed bytes.
    pub(super) fn new(len: usize) -> Self {
        let buffer = Buffer::heap(len + PAGE_BYTES);
        let start = buffer.segments()[0].start().as_ptr().align_offset(PAGE_BYTES);
        Self { buffer, start }
    }
}

/// The way to a file that was opened with `O_DIRECT`.
pub(super) struct Direct {
    block_length: usize,
    /// Bounce buffers that nobody uses now. Never more than threads have been at work at once: one
    /// is allocated only when this is empty, and comes back.
    bounces: Mutex<Vec<Paged>>,
}

impl Direct {
    pub(super) fn new(block_length: BlockLength) -> Self {
        let block_length = usize::try_from(block_length.bytes()).expect("at most a page");
        Self { block_length, bounces: Mutex::default() }
    }

    /// Whether the buffer's first `len` bytes need no bounce buffer.
    pub(super) fn takes(&self, buffer: &Buffer, len: usize) -> bool {
        buffer.is_aligned(0, len, PAGE_BYTES, self.block_length)
    }

    /// As [`Buffer::pread`] from the buffer's start.
    pub(super) fn read(
        &self,
        buffer: &mut Buffer,
        len: usize,
        file: &File,
        position: u64,
    ) -> io::Result<usize> {
        if self.takes(buffer, len) {
            return buffer.pread(0, len, file.as_fd(), position);
        }
        self.in_turns(len, |bounce, done, piece| {
            let at = position + done as u64;
            let read = bounce.buffer.pread(bounce.start, piece, file.as_fd(), at)?;
            buffer.copy_from(done, &bounce.buffer, bounce.start, read);
            Ok(read)
        })
    }

    /// As [`Buffer::pwrite`] from the buffer's start.
    pub(super) fn write(
        &self,
        buffer: &Buffer,
        len: usize,
        file: &File,
        position: u64,
        durable: bool,
    ) -> io::Result<usize> {
        if self.takes(buffer, len) {
            return buffer.pwrite(0, len, file.as_fd(), position, durable);
        }
        self.in_turns(len, |bounce, done, piece| {
            bounce.buffer.copy_from(bounce.start, buffer, done, piece);
            let at = position + done as u64;
            bounce.buffer.pwrite(bounce.start, piece, file.as_fd(), at, durable)
        })
    }

    /// Calls `turn` with a bounce buffer, what is done and the length of the next piece, until `len`
    /// bytes are through or a turn falls short. Says how many bytes went through.
    fn in_turns(
        &self,
        len: usize,
        mut turn: impl FnMut(&mut Paged, usize, usize) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let idle = self.bounces().pop();
        let mut bounce = idle.unwrap_or_else(|| Paged::new(BOUNCE_BYTES));
        let mut done = 0;
        let result = loop {
            let piece = (len - done).min(BOUNCE_BYTES);
            match turn(&mut bounce, done, piece) {
                Ok(moved) => {
                    done += moved;
                    if moved < piece || done == len {
                        break Ok(done);
                    }
                }
                Err(error) => break Err(error),
            }
        };
        self.bounces().push(bounce);
        result
    }

    fn bounces(&self) -> MutexGuard<'_, Vec<Paged>> {
        // Held for a push or a pop only: nothing is ever left half done.
        self.bounces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::os::unix::fs::OpenOptionsExt as _;

    use nix::fcntl::OFlag;

    use super::*;

    /// Longer than a turn, and not a whole number of them.
    const LEN: usize = 2 * BOUNCE_BYTES + 3 * 4096;

    fn direct_file() -> File {
        let path = tempfile::NamedTempFile::new().unwrap();
        path.as_file().set_len(LEN as u64 + 4096).unwrap();
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OFlag::O_DIRECT.bits());
        options.open(path.path()).unwrap()
    }

    fn pattern() -> Vec<u8> {
        (0..=250).cycle().take(LEN).collect()
    }

    #[test]
    fn memory_of_any_alignment_is_written_and_read_in_turns() {
        let file = direct_file();
        let direct = Direct::new(BlockLength::B4096);
        // One buffer starts at a page, the other nowhere near one.
        let mut paged = Paged::new(LEN);
        let mut odd = Buffer::heap(LEN);
        while odd.is_aligned(0, LEN, 4096, 1) {
            odd = Buffer::heap(LEN);
        }
        odd.write_at(0, &pattern());
        assert_eq!(direct.write(&odd, LEN, &file, 4096, false).unwrap(), LEN);
        assert_eq!(direct.bounces().len(), 1, "the bounce buffer came back");
        assert_eq!(paged.buffer.pread(paged.start, LEN, file.as_fd(), 4096).unwrap(), LEN);
        assert_eq!(paged.buffer.first_difference(paged.start, &pattern()), None);
        odd.fill(0, LEN, 0xa5);
        assert_eq!(direct.read(&mut odd, LEN, &file, 4096).unwrap(), LEN);
        assert_eq!(odd.first_difference(0, &pattern()), None);
        assert_eq!(direct.bounces().len(), 1, "and was used again");
    }

    #[test]
    fn a_file_that_ends_early_is_read_up_to_there() {
        let file = direct_file();
        let direct = Direct::new(BlockLength::B512);
        let mut buffer = Buffer::heap(LEN + 1);
        assert_eq!(direct.read(&mut buffer, LEN, &file, 3 * 4096).unwrap(), LEN - 2 * 4096);
        assert_eq!(direct.read(&mut buffer, 512, &file, LEN as u64 + 4096).unwrap(), 0);
    }

    #[test]
    fn an_error_gives_the_bounce_buffer_back() {
        let direct = Direct::new(BlockLength::B512);
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut odd = Buffer::heap(512);
        while odd.is_aligned(0, 512, 4096, 1) {
            odd = Buffer::heap(512);
        }
        let error = direct.write(&odd, 512, &full, 0, false).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(nix::errno::Errno::ENOSPC as i32));
        assert_eq!(direct.bounces().len(), 1);
    }
}
