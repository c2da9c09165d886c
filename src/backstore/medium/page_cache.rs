//! What of a file the page cache holds, asked without waiting.
//!
//! The question is a read of one byte with `RWF_NOWAIT` (`preadv2(2)`), which has the kernel begin to read
//! what is not there. File systems that keep their data behind a network or a process, and those that
//! have no cache of a disk, refuse it.

use std::fs::File;
use std::io::IoSliceMut;

use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::Span;

/// The page cache of a file that can be asked.
pub(super) struct PageCache {
    /// What the cache reads and keeps at once.
    page_bytes: u64,
}

impl PageCache {
    /// The cache of `file`; `None` if it has none (`O_DIRECT`) or none that tells.
    pub(super) fn of(file: &File) -> Option<Self> {
        match read_byte(file, 0) {
            Ok(_) | Err(Errno::AGAIN) => {
                Some(Self { page_bytes: rustix::param::page_size() as u64 })
            }
            Err(_) => None,
        }
    }

    /// Whether the cache holds the pages of which `span` covers only a part. To write into one that is
    /// not there the kernel reads the rest of it first, and the writer waits for the disk.
    pub(super) fn holds_edges(&self, file: &File, span: Span) -> bool {
        let cuts = |position: u64| !position.is_multiple_of(self.page_bytes);
        let same_page = span.start / self.page_bytes == span.end() / self.page_bytes;
        (!cuts(span.start) || holds(file, span.start))
            && (!cuts(span.end()) || (cuts(span.start) && same_page) || holds(file, span.end() - 1))
    }
}

fn holds(file: &File, position: u64) -> bool {
    read_byte(file, position).is_ok()
}

fn read_byte(file: &File, position: u64) -> rustix::io::Result<usize> {
    let mut byte = [0];
    preadv2(file, &mut [IoSliceMut::new(&mut byte)], position, ReadWriteFlags::NOWAIT)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

    use super::*;

    /// Pages of the file. Each is asked about once: what is not there is on its way then.
    const PAGES: u64 = 64;

    #[test]
    fn only_pages_that_are_cut_must_be_there() {
        let file = tempfile::tempfile().unwrap();
        let Some(cache) = PageCache::of(&file) else {
            eprintln!("not tested: the tests' file system does not tell what is cached");
            return;
        };
        let page = cache.page_bytes;
        file.write_all_at(&vec![b'A'; usize::try_from(PAGES * page).unwrap()], 0).unwrap();
        let holds = |start, end| cache.holds_edges(&file, Span { start, len: end - start });
        assert!(holds(512, 1024) && holds(512, 3 * page + 512));
        file.sync_all().unwrap();
        for advice in
            [PosixFadviseAdvice::POSIX_FADV_RANDOM, PosixFadviseAdvice::POSIX_FADV_DONTNEED]
        {
            posix_fadvise(&file, 0, 0, advice).unwrap();
        }
        if super::holds(&file, 60 * page) {
            eprintln!("not tested: the tests' file system has all in memory");
            return;
        }
        assert!(!holds(4 * page + 512, 4 * page + 1024), "within a page");
        assert!(!holds(8 * page, 8 * page + 512), "from the start of one");
        assert!(!holds(13 * page - 512, 13 * page), "to the end of one");
        assert!(holds(16 * page, 18 * page), "whole pages are not read");
        assert!(!holds(20 * page, 22 * page + 512));
        assert!(!holds(27 * page - 512, 29 * page));
        file.read_exact_at(&mut [0], 32 * page).unwrap();
        assert!(holds(30 * page, 32 * page + 512));
    }
}
