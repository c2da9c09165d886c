//! Which blocks of a file have space behind them: `SEEK_DATA` and `SEEK_HOLE` in whole blocks.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use pulsefield_units::BlockLength;

use super::{Span, offset};
use crate::Mapping;

/// How the bytes from the start of `span` on are provisioned, and how many are so without a change:
/// a multiple of the block length, at least one block, at most the span.
///
/// A block of which any byte is data counts as mapped. Space that is reserved but was never written
/// is a hole to the kernel, and so to us. The calls move the file's position, which nobody uses.
pub(super) fn first_run(file: &File, span: Span, block: BlockLength) -> io::Result<(Mapping, u64)> {
    let block = u64::from(block.bytes());
    let data = seek(file, span.start, Whence::SeekData)?.unwrap_or(span.end()).min(span.end());
    let hole_blocks = (data - span.start) / block;
    if hole_blocks > 0 {
        return Ok((Mapping::Deallocated, hole_blocks * block));
    }
    let hole = seek(file, data, Whence::SeekHole)?.unwrap_or(span.end()).min(span.end());
    // At least one block, even if the data went away between the two calls.
    let mapped_blocks = (hole - span.start).div_ceil(block).max(1);
    Ok((Mapping::Mapped, mapped_blocks * block))
}

/// The first position of the wanted kind from `from` on; `None` if there is none before the file
/// ends.
fn seek(file: &File, from: u64, whence: Whence) -> nix::Result<Option<u64>> {
    match lseek(file, offset(from), whence) {
        Ok(position) => Ok(u64::try_from(position).ok()),
        Err(Errno::ENXIO) => Ok(None),
        Err(errno) => Err(errno),
    }
}
