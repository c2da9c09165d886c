//! Copying within a file: holes stay holes, and data goes over inside the kernel (copy_file_range(2)),
//! which on XFS and btrfs moves nothing at all but lets both places share the space until one of them
//! is written.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;

use nix::errno::Errno;
use nix::fcntl::copy_file_range;
use pulsefield_data::Buffer;
use pulsefield_units::BlockLength;

use super::provisioning::first_run;
use super::zeroing::{Space, zero};
use super::{Span, offset};
use crate::Mapping;

/// How much goes over at a time where the file system has no call for it.
const PIECE_BYTES: usize = 256 << 10;

/// Makes `destination` hold what `source` holds, which is as long and does not overlap it.
pub(super) fn copy(
    file: &File,
    source: Span,
    destination: Span,
    block: BlockLength,
) -> io::Result<()> {
    let mut done = 0;
    while done < source.len {
        let rest = Span { start: source.start + done, len: source.len - done };
        let (mapping, len) = first_run(file, rest, block)?;
        let to = Span { start: destination.start + done, len };
        match mapping {
            Mapping::Deallocated => zero(file, to, Space::GiveBack)?,
            Mapping::Mapped => copy_data(file, rest.start, to)?,
        }
        done += len;
    }
    Ok(())
}

/// Copies the bytes from `from` on to all of `to`.
fn copy_data(file: &File, from: u64, to: Span) -> io::Result<()> {
    let (mut source, mut destination) = (offset(from), offset(to.start));
    let mut left = to.len_in_memory();
    while left > 0 {
        match copy_file_range(file, Some(&mut source), file, Some(&mut destination), left) {
            // The file ends early: somebody cut it behind our back.
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(copied) => left -= copied,
            Err(Errno::EINTR) => {}
            // File systems that have nothing for it, and kernels that ask them in vain.
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EXDEV | Errno::EINVAL) => {
                let done = to.len - left as u64;
                return read_and_write(
                    file,
                    from + done,
                    Span { start: to.start + done, len: left as u64 },
                );
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn read_and_write(file: &File, from: u64, to: Span) -> io::Result<()> {
    let mut piece = Buffer::heap(PIECE_BYTES.min(to.len_in_memory()));
    let mut done = 0;
    while done < to.len_in_memory() {
        let len = piece.len().min(to.len_in_memory() - done);
        let at = done as u64;
        if piece.pread(0, len, file.as_fd(), from + at)? < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if piece.pwrite(0, len, file.as_fd(), to.start + at, false)? < len {
            return Err(io::ErrorKind::WriteZero.into());
        }
        done += len;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};

    use super::*;

    /// A file whose first MiB has no two pages alike.
    fn file() -> (File, Vec<u8>) {
        let file = tempfile::tempfile().unwrap();
        let data: Vec<u8> = (0..251).cycle().take(1 << 20).collect();
        file.write_all_at(&data, 0).unwrap();
        file.set_len(4 << 20).unwrap();
        (file, data)
    }

    fn read(file: &File, start: u64, len: usize) -> Vec<u8> {
        let mut back = vec![0; len];
        file.read_exact_at(&mut back, start).unwrap();
        back
    }

    #[test]
    fn both_ways_copy_the_same_from_wherever() {
        let (file, data) = file();
        let (start, len) = (512, 700 * 1024);
        let to = |start| Span { start, len: len as u64 };
        copy_data(&file, start as u64, to(1 << 20)).unwrap();
        read_and_write(&file, start as u64, to(2 << 20)).unwrap();
        for place in [1 << 20, 2 << 20] {
            assert!(read(&file, place, len) == data[start..start + len]);
            assert!(read(&file, place + len as u64, 512) == [0; 512], "and not more");
        }
    }

    #[test]
    fn a_hole_goes_over_as_a_hole_and_replaces_data() {
        let (file, _) = file();
        file.sync_all().unwrap();
        let before = file.metadata().unwrap().blocks();
        let span = |start| Span { start, len: 1 << 20 };
        copy(&file, span(2 << 20), span(0), BlockLength::B512).unwrap();
        file.sync_all().unwrap();
        assert!(read(&file, 0, 1 << 20) == vec![0; 1 << 20]);
        assert!(file.metadata().unwrap().blocks() < before);
    }

    #[test]
    fn a_file_that_was_cut_is_an_error() {
        let (file, _) = file();
        file.set_len(1 << 19).unwrap();
        let to = Span { start: 0, len: 4096 };
        let cut = io::ErrorKind::UnexpectedEof;
        assert_eq!(copy_data(&file, 1 << 20, to).unwrap_err().kind(), cut);
        assert_eq!(read_and_write(&file, 1 << 20, to).unwrap_err().kind(), cut);
    }
}
