//! The file in memory.
//!
//! Invariants on which the `unsafe` below rests:
//! 1. The file is this process's alone to write: it is locked exclusively ([`std::fs::File::try_lock`])
//!    from before it is mapped until after it is unmapped, and lies in a folder that only root may
//!    enter. Whoever reads it does so through the file, never through this mapping.
//! 2. Every byte that is touched has space on the file system, or a full one would end the process with
//!    SIGBUS: a `Map` shows no more than what [`Map::allocate`] has given space to.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use memmap2::{MmapMut, MmapOptions};
use rustix::fs::{FallocateFlags, fallocate, fstatvfs};

/// Of this part of its blocks a file system must have one free for a record to take more of them:
/// others live there too.
const FREE_PART: u64 = 8;
/// … or so many bytes, of a large one.
const FREE_MAX: u64 = 1 << 30;

/// A file that is locked and mapped.
#[derive(Debug)]
pub(crate) struct Map {
    file: File,
    bytes: MmapMut,
}

impl Map {
    /// Maps `file`, which is locked exclusively and as long as it is going to be.
    pub(crate) fn new(file: File) -> io::Result<Self> {
        // SAFETY: invariant 1: nobody else writes into the file or cuts it off while it is mapped.
        let bytes = unsafe { MmapOptions::new().map_mut(&file)? };
        Ok(Self { file, bytes })
    }

    /// Gives these bytes space, unless the file system is nearly full.
    pub(crate) fn allocate(&self, offset: u64, bytes: u64) -> io::Result<()> {
        let system = fstatvfs(&self.file)?;
        let bytes_of = |blocks: u64| blocks.saturating_mul(system.f_frsize);
        let keep = bytes_of(system.f_blocks / FREE_PART).min(FREE_MAX);
        if bytes_of(system.f_bavail) < keep {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(fallocate(&self.file, FallocateFlags::KEEP_SIZE, offset, bytes)?)
    }

    /// The bytes, of which only those that were allocated may be touched.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}
