//! Every op on a file descriptor: what `ram` (a memfd), `file` (a regular file) and `block` (a block
//! device) share.
//!
//! The calls may block; who must not wait runs them on [`Workers`](crate::Workers).

mod copying;
mod direct;
mod failure;
mod memory;
mod page_cache;
mod provisioning;
mod zeroing;

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pulsefield_data::Buffer;
use pulsefield_units::{BlockCount, BlockLength, LbaRange};

use self::direct::Direct;
use self::failure::FailureLog;
use self::memory::Memory;
use self::page_cache::PageCache;
use self::zeroing::Space;
use crate::uring::Transfer;
use crate::{
    BackstoreError, Capabilities, Claim, Extent, Geometry, Mapping, Op, OpOutput, OpenError,
    Request, Topology,
};

/// The longest read that [`FileMedium::read_if_cached`] does, and the longest write of a heartbeat
/// that only copies: what a command of ordinary size moves. Copying more would hold up the caller's other
/// commands longer than a thread's hop.
pub const CACHED_BYTES_MAX: usize = 64 << 10;

/// The longest other write that only copies. The cache has to find pages for what it is given: four cost
/// about as much as the hop that is spared.
const COPIED_BULK_BYTES_MAX: usize = 16 << 10;

/// How much of a long write into the page cache is done while it is that write's turn.
const TURN_BYTES: usize = 64 << 10;

/// How a medium is to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediumAccess {
    /// Refuse whatever would change it.
    pub read_only: bool,
    /// Leave data in the page cache until a flush. Without it every write is durable when answered.
    pub write_cache: bool,
}

/// What a block device is, besides a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceAccess {
    /// The file was opened with `O_DIRECT`.
    pub direct: bool,
    /// `FALLOC_FL_PUNCH_HOLE` makes it read as zeros and gives space back.
    pub punches: bool,
    /// The sizes in which it works best.
    pub topology: Topology,
}

/// An open file that serves as a medium.
///
/// Ops may run on any number of threads at once. A file is exactly as long as the geometry says;
/// parts that were never written are holes and read as zeros. A device is at least that long, holds
/// what it holds, and does not tell where it has holes.
pub struct FileMedium {
    file: Arc<File>,
    claim: Claim,
    name: String,
    block_length: BlockLength,
    /// Stored only by `resize`, and alone: no other memory is read on the strength of it, so
    /// relaxed ordering will do.
    blocks: AtomicU64,
    access: MediumAccess,
    punches: bool,
    topology: Topology,
    is_device: bool,
    direct: Option<Direct>,
    /// There if it tells what it holds.
    page_cache: Option<PageCache>,
    /// There if the file's pages are memory: see [`FileMedium::in_memory`].
    memory: Option<Mutex<Memory>>,
    /// Whose turn it is among long writes: see [`FileMedium::write_in_turns`].
    turn: Mutex<()>,
    /// Set once the kernel could not write back what was answered as written. It reports such a
    /// loss once and then forgets it (`mm/filemap.c`, `file_check_and_advance_wb_err`), so the next
    /// flush would succeed and promise what is not true. Hence it stays set until the medium is
    /// opened anew. Relaxed: a flush that runs beside the failing op may miss it, a later one is
    /// submitted after the failure was answered.
    write_back_lost: AtomicBool,
    failures: FailureLog,
}

/// A run of bytes of the file.
#[derive(Clone, Copy)]
struct Span {
    start: u64,
    len: u64,
}

impl FileMedium {
    /// A medium on `file`, which must be as long as `geometry` says and open for writing unless the
    /// access is read-only. `name` is what logs and errors call it: a path, or the logical unit's
    /// name.
    ///
    /// # Errors
    /// [`OpenError::TooLarge`].
    pub fn new(
        file: File,
        name: String,
        geometry: Geometry,
        access: MediumAccess,
    ) -> Result<Self, OpenError> {
        let bytes = geometry.bytes()?;
        let punches = !access.read_only && zeroing::can_punch(&file, bytes);
        Ok(Self::assemble(file, name, geometry, access, punches, None))
    }

    /// A medium on the block device `file`, which must be at least as long as `geometry` says, take
    /// blocks of that length, and be open for writing unless the access is read-only. It keeps its
    /// size whatever [`Self::resize`] says.
    ///
    /// # Errors
    /// [`OpenError::Size`], [`OpenError::TooLarge`], [`OpenError::Io`].
    pub fn on_device(
        file: File,
        name: String,
        geometry: Geometry,
        access: MediumAccess,
        device: DeviceAccess,
    ) -> Result<Self, OpenError> {
        let punches = !access.read_only && device.punches;
        let medium = Self::assemble(file, name, geometry, access, punches, Some(device));
        medium.require_room(geometry)?;
        Ok(medium)
    }

    fn assemble(
        file: File,
        name: String,
        geometry: Geometry,
        access: MediumAccess,
        punches: bool,
        device: Option<DeviceAccess>,
    ) -> Self {
        let direct = device.is_some_and(|device| device.direct);
        let file = Arc::new(file);
        Self {
            claim: Claim::new(file.clone()),
            page_cache: PageCache::of(&file),
            memory: None,
            turn: Mutex::default(),
            file,
            name,
            block_length: geometry.block_length,
            blocks: AtomicU64::new(geometry.blocks.as_u64()),
            access,
            punches,
            topology: device.map(|device| device.topology).unwrap_or_default(),
            is_device: device.is_some(),
            direct: direct.then(|| Direct::new(geometry.block_length)),
            write_back_lost: AtomicBool::new(false),
            failures: FailureLog::new(),
        }
    }

    /// The same medium, which another open file keeps others off.
    #[must_use]
    pub fn claimed_by(self, claim: Claim) -> Self {
        Self { claim, ..self }
    }

    /// The same medium on a file whose pages are memory (`memfd_create(2)`), and that nobody else cuts: reads and
    /// writes of what is there need no system call. Ops must come from one thread at a time.
    ///
    /// # Errors
    /// [`OpenError::Io`] if the file cannot be mapped.
    pub fn in_memory(mut self) -> Result<Self, OpenError> {
        let bytes = self.geometry().bytes()?;
        let memory = Memory::of(&self.file, bytes).map_err(|source| self.refused("map", source))?;
        self.memory = memory.map(Mutex::new);
        Ok(self)
    }

    /// As [`Backstore::claim`](crate::Backstore::claim): its own file, or who was named instead.
    pub fn claim(&self) -> Claim {
        self.claim.clone()
    }

    /// The file itself, to ask the operating system about it.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The file, for who keeps it open beyond the medium.
    pub(crate) fn shared_file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Whether the file was opened with `O_DIRECT`: what goes there waits for no page cache.
    pub(crate) const fn is_direct(&self) -> bool {
        self.direct.is_some()
    }

    /// What logs and errors call the medium.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As [`Backstore::geometry`](crate::Backstore::geometry).
    pub fn geometry(&self) -> Geometry {
        let blocks = BlockCount::new(self.blocks.load(Ordering::Relaxed));
        Geometry { block_length: self.block_length, blocks }
    }

    /// As [`Backstore::capabilities`](crate::Backstore::capabilities); thin where the file system or
    /// the device can punch holes. No atomic writes: a page cache is written out page by page. Whoever
    /// has nothing behind the file that could be torn may add them.
    pub const fn capabilities(&self) -> Capabilities {
        Capabilities {
            read_only: self.access.read_only,
            write_cache: self.access.write_cache,
            thin: self.punches,
            compare_and_write: false,
            atomic_write: false,
            // A device has no such call (`fs/read_write.c`, `generic_copy_file_checks`).
            copy: !self.is_device,
            topology: self.topology,
        }
    }

    /// As [`Backstore::allocated_bytes`](crate::Backstore::allocated_bytes): what the file system
    /// counts, delayed allocation included. A device does not say.
    pub fn allocated_bytes(&self) -> Option<u64> {
        /// The unit of `st_blocks`, whatever the file system's own (stat(3type)).
        const STAT_BLOCK_BYTES: u64 = 512;
        let metadata = self.file.metadata().ok()?;
        let device = metadata.file_type().is_block_device();
        (!device).then(|| metadata.blocks() * STAT_BLOCK_BYTES)
    }

    /// As [`Backstore::resize`](crate::Backstore::resize).
    ///
    /// # Errors
    /// [`OpenError::ReadOnly`], [`OpenError::TooLarge`], [`OpenError::Size`] if a device is smaller,
    /// or [`OpenError::Io`] if the file system refuses; nothing has changed.
    pub fn resize(&self, blocks: BlockCount) -> Result<(), OpenError> {
        let geometry = Geometry { blocks, ..self.geometry() };
        if geometry == self.geometry() {
            return Ok(());
        }
        if self.access.read_only {
            return Err(OpenError::ReadOnly { path: self.name.clone() });
        }
        if self.is_device {
            self.require_room(geometry)?;
        } else {
            let bytes = geometry.bytes()?;
            let mut memory = self.memory();
            let resized = self.file.set_len(bytes);
            resized.map_err(|source| self.refused("resize", source))?;
            if let Some(memory) = &mut memory {
                memory.resize(&self.file, bytes).map_err(|source| self.refused("map", source))?;
            }
        }
        self.blocks.store(blocks.as_u64(), Ordering::Relaxed);
        Ok(())
    }

    /// Refuses a shape that the device is too small for, as large as it is now.
    fn require_room(&self, geometry: Geometry) -> Result<(), OpenError> {
        let wanted = geometry.bytes()?;
        let found = self.size().map_err(|source| self.refused("measure", source))?;
        if wanted <= found {
            return Ok(());
        }
        let remedy = "give the logical unit at most that size, or grow the device";
        Err(OpenError::Size { path: self.name.clone(), found, wanted, remedy })
    }

    /// How long the file or device is now. Moves the file's position, which nobody uses.
    fn size(&self) -> io::Result<u64> {
        (&*self.file).seek(SeekFrom::End(0))
    }

    fn memory(&self) -> Option<MutexGuard<'_, Memory>> {
        // A panic in the midst of a copy is one of whoever asked for what is not there.
        self.memory.as_ref().map(|memory| memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that pages of `span` may go, before they do.
    fn forget(&self, span: Span) {
        if let Some(mut memory) = self.memory() {
            memory.forget(span);
        }
    }

    fn refused(&self, action: &'static str, source: io::Error) -> OpenError {
        OpenError::Io { action, path: self.name.clone(), source }
    }

    /// Fills the buffer from `range`, if that is [`CACHED_BYTES_MAX`] bytes at most and the page cache holds all of
    /// them; says whether it did. Never waits, so it may be called where nobody may wait: it
    /// spares what is in memory anyhow the way to another thread and back. Where nobody can tell,
    /// nothing is.
    pub fn read_if_cached(&self, range: LbaRange, buffer: &mut Buffer) -> bool {
        let span = self.span(range);
        let len = span.len_in_memory();
        if len > CACHED_BYTES_MAX || !self.tells_what_is_cached() {
            return false;
        }
        // What is wrong, if anything is, the way through `execute` finds out and reports.
        let read = buffer.pread_cached(0, len, self.file.as_fd(), span.start);
        read.is_ok_and(|read| read == len)
    }

    /// Whether the page cache can be asked what it holds.
    pub(crate) const fn tells_what_is_cached(&self) -> bool {
        self.page_cache.is_some()
    }

    /// Whether `op` is a write that copies a little into the page cache, and nothing that one can tell
    /// beforehand makes it wait: it need not be durable when answered, and the cache holds what it leaves
    /// of the pages that it writes to, which is asked unless it is known that those `pages_are_there`.
    /// [`Self::execute`] may wait all the same, for whatever the file system waits for.
    pub(crate) fn only_copies(&self, op: Op, urgent: bool, pages_are_there: bool) -> bool {
        let (Op::Write { range, durable: false }, Some(page_cache)) = (op, &self.page_cache) else {
            return false;
        };
        let bytes_max = if urgent { CACHED_BYTES_MAX } else { COPIED_BULK_BYTES_MAX };
        let span = self.span(range);
        self.access.write_cache
            && span.len_in_memory() <= bytes_max
            && (pages_are_there || page_cache.holds_edges(&self.file, span))
    }

    /// Does `op`. A failure is in the log when this returns.
    ///
    /// # Errors
    /// What became of it, in the words of the contract.
    ///
    /// # Panics
    /// On what the engine never sends: a range outside the address space, a buffer shorter than the
    /// range, a [`Op::CompareAndWrite`] that no capability invited.
    pub fn execute(&self, op: Op, buffer: &mut Buffer) -> Result<OpOutput, BackstoreError> {
        if self.access.read_only && op.writes() {
            return Err(BackstoreError::ReadOnly);
        }
        self.perform(op, buffer).map_err(|error| self.report(op, error))
    }

    fn report(&self, op: Op, error: io::Error) -> BackstoreError {
        self.failures.report(&self.name, op, &self.explain(error))
    }

    /// What a request is as one transfer, which somebody else may carry out; `None` if it takes more than that.
    /// The one who does says how it ended ([`Self::conclude`]).
    pub(crate) fn as_transfer(&self, request: &Request) -> Option<Transfer> {
        let op = request.op();
        if self.access.read_only && op.writes() {
            return None;
        }
        let in_place = |len| match &self.direct {
            Some(direct) => direct.takes(request.buffer(), len),
            None => true,
        };
        match op {
            Op::Read { range } => {
                let span = self.span(range);
                let (position, len) = (span.start, span.len_in_memory());
                in_place(len).then_some(Transfer::Read { position, len })
            }
            Op::Write { range, durable } => {
                let span = self.span(range);
                let (position, len) = (span.start, span.len_in_memory());
                let durable = self.must_be_durable(durable);
                in_place(len).then_some(Transfer::Write { position, len, durable })
            }
            Op::WriteZeroes { range, durable, may_unmap } if !self.must_be_durable(durable) => {
                let space = if may_unmap { Space::GiveBack } else { Space::Keep };
                Some(zeroing::as_transfer(self.span(range), space))
            }
            Op::Unmap { range } if !self.must_be_durable(false) => {
                Some(zeroing::as_transfer(self.span(range), Space::GiveBack))
            }
            Op::Flush => Some(Transfer::Sync),
            Op::WriteZeroes { .. }
            | Op::Unmap { .. }
            | Op::WriteAtomic { .. }
            | Op::Copy { .. }
            | Op::Provisioning { .. }
            | Op::CompareAndWrite { .. } => None,
        }
    }

    /// Answers a request that was carried out as `transfer`, which moved so many bytes, or gives it back
    /// if it has to take the long way after all.
    pub(crate) fn conclude(
        &self,
        request: Request,
        transfer: Transfer,
        moved: io::Result<usize>,
    ) -> Option<Request> {
        let result = match transfer {
            Transfer::Read { len, .. } => moved.and_then(|read| whole(read, len)),
            Transfer::Write { len, durable, .. } => self.end_write(moved, len, durable),
            Transfer::Allocate { .. } => match moved {
                Err(error) if zeroing::is_unsupported(&error) => return Some(request),
                moved => moved.map(drop),
            },
            Transfer::Sync => self.end_sync(moved.map(drop)).and_then(|()| self.end_flush()),
        };
        let op = request.op();
        request.complete(match result {
            Ok(()) => Ok(OpOutput::Done),
            Err(error) => Err(self.report(op, error)),
        });
        None
    }

    /// What lies behind `error`. A device that was removed has no size any more
    /// (`block/genhd.c`, `__blk_mark_disk_dead`): reads then end early and writes find no space
    /// (`block/fops.c`), and neither is what has happened.
    fn explain(&self, error: io::Error) -> io::Error {
        if self.is_device && self.size().is_ok_and(|bytes| bytes == 0) {
            return nix::Error::ENODEV.into();
        }
        error
    }

    fn perform(&self, op: Op, buffer: &mut Buffer) -> io::Result<OpOutput> {
        match op {
            Op::Read { range } => self.read(self.span(range), buffer)?,
            Op::Write { range, durable } => self.write(self.span(range), buffer, durable)?,
            Op::WriteAtomic { range, durable } => {
                let span = self.span(range);
                // Once there is space behind every block, a write into memory is not cut short.
                zeroing::reserve(&self.file, span)?;
                self.write(span, buffer, durable)?;
            }
            Op::WriteZeroes { range, durable, may_unmap } => {
                let space = if may_unmap { Space::GiveBack } else { Space::Keep };
                self.zero(self.span(range), space, durable)?;
            }
            Op::Unmap { range } => self.zero(self.span(range), Space::GiveBack, false)?,
            Op::Copy { source, range, durable } => {
                self.forget(self.span(range));
                copying::copy(&self.file, self.span(source), self.span(range), self.block_length)?;
                self.sync_if(durable)?;
            }
            Op::Flush => self.flush()?,
            Op::Provisioning { range } => {
                return self.first_extent(self.span(range)).map(OpOutput::Extent);
            }
            Op::CompareAndWrite { .. } => {
                unreachable!("a file cannot compare and write, and its capabilities say so")
            }
        }
        Ok(OpOutput::Done)
    }

    fn span(&self, range: LbaRange) -> Span {
        let byte = |lba| self.block_length.offset_of(lba);
        let (Some(start), Some(end)) = (byte(range.start()), byte(range.end())) else {
            panic!("blocks {range} lie outside every medium; the engine checks ranges");
        };
        Span { start, len: end - start }
    }

    fn read(&self, span: Span, buffer: &mut Buffer) -> io::Result<()> {
        if self.memory().is_some_and(|memory| memory.read(span, buffer)) {
            return Ok(());
        }
        let len = span.len_in_memory();
        let read = match &self.direct {
            Some(direct) => direct.read(buffer, len, &self.file, span.start)?,
            None => buffer.pread(0, len, self.file.as_fd(), span.start)?,
        };
        whole(read, len)
    }

    /// Whether a change must be on stable storage when it is answered.
    const fn must_be_durable(&self, durable: bool) -> bool {
        durable || !self.access.write_cache
    }

    fn write(&self, span: Span, buffer: &Buffer, durable: bool) -> io::Result<()> {
        let Some(mut memory) = self.memory() else { return self.write_file(span, buffer, durable) };
        if !memory.write(span, buffer) {
            self.write_file(span, buffer, durable)?;
            memory.note_written(span);
        }
        Ok(())
    }

    fn write_file(&self, span: Span, buffer: &Buffer, durable: bool) -> io::Result<()> {
        let durable = self.must_be_durable(durable);
        let len = span.len_in_memory();
        let written = match &self.direct {
            Some(direct) => direct.write(buffer, len, &self.file, span.start, durable),
            None if len > TURN_BYTES && !durable => self.write_in_turns(span.start, buffer, len),
            None => buffer.pwrite(0, len, self.file.as_fd(), span.start, durable),
        };
        self.end_write(written, len, durable)
    }

    /// A long write into the page cache, piece by piece. File systems let one write into a file at a time
    /// (`inode_lock` in ext4, btrfs and tmpfs, the iolock of XFS), as long as it copies, and whoever waits
    /// spins. So long writes wait for one another here instead, asleep; and a short one, which is
    /// somebody's heartbeat, waits in the kernel for one piece at most, and not for all that have come before.
    fn write_in_turns(&self, position: u64, buffer: &Buffer, len: usize) -> io::Result<usize> {
        let mut done = 0;
        while done < len {
            let piece = (len - done).min(TURN_BYTES);
            // There is nothing in it that a panic could leave half done.
            let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            let at = position + done as u64;
            let written = buffer.pwrite(done, piece, self.file.as_fd(), at, false)?;
            done += written;
            if written < piece {
                break;
            }
        }
        Ok(done)
    }

    /// What a write of `len` bytes comes to that moved so many.
    fn end_write(&self, written: io::Result<usize>, len: usize, durable: bool) -> io::Result<()> {
        match written {
            Ok(written) if written == len => Ok(()),
            // `pwrite` goes on after a partial write, so that a full file system says ENOSPC on the
            // next attempt; a write that moves nothing and names no error has no better name.
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
            Err(error) => {
                // The error of a durable write may be that of an earlier write's write-back. No
                // space is the exception: it is found when the write itself is allocated. And what
                // goes past the page cache is not written back later.
                let write_back = durable && self.direct.is_none();
                if write_back && failure::classify(true, &error) == BackstoreError::Medium {
                    self.write_back_lost.store(true, Ordering::Relaxed);
                }
                Err(error)
            }
        }
    }

    fn zero(&self, span: Span, space: Space, durable: bool) -> io::Result<()> {
        self.forget(span);
        zeroing::zero(&self.file, span, space)?;
        self.sync_if(durable)
    }

    /// Ends a change that a later flush may take to stable storage, or this one, if it is to be `durable`.
    fn sync_if(&self, durable: bool) -> io::Result<()> {
        if self.must_be_durable(durable) { self.sync() } else { Ok(()) }
    }

    fn flush(&self) -> io::Result<()> {
        self.sync()?;
        self.end_flush()
    }

    /// Whether what was answered as written is on stable storage now that the file was synchronized.
    fn end_flush(&self) -> io::Result<()> {
        if self.write_back_lost.load(Ordering::Relaxed) {
            return Err(nix::Error::EIO.into());
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        // `sync_data` is fdatasync(2), repeated on EINTR.
        self.end_sync(self.file.sync_data())
    }

    fn end_sync(&self, synchronized: io::Result<()>) -> io::Result<()> {
        synchronized.inspect_err(|_| self.write_back_lost.store(true, Ordering::Relaxed))
    }

    fn first_extent(&self, span: Span) -> io::Result<Extent> {
        if self.is_device {
            // Block devices answer SEEK_DATA with EINVAL (`fs/read_write.c`, `fixed_size_llseek`);
            // SBC-4 has one status for what is mapped and what is not known.
            let blocks = self.block_length.blocks_in(span.len);
            return Ok(Extent { mapping: Mapping::Mapped, blocks });
        }
        let (mapping, bytes) = provisioning::first_run(&self.file, span, self.block_length)?;
        Ok(Extent { mapping, blocks: self.block_length.blocks_in(bytes) })
    }
}

impl Span {
    const fn end(self) -> u64 {
        // Never wraps: `len` was computed from this end.
        self.start + self.len
    }

    /// The length of a transfer, which lies in a buffer and hence fits into memory.
    fn len_in_memory(self) -> usize {
        usize::try_from(self.len).expect("64-bit addresses")
    }
}

/// What a read of `len` bytes comes to that brought so many. The file is as long as the medium, or longer. If it
/// ends early, somebody cut it behind our back, and zeros would pass off lost data as blank blocks.
fn whole(read: usize, len: usize) -> io::Result<()> {
    if read < len { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// A position in a file as the kernel takes it.
///
/// # Panics
/// Past 2^63 - 1, which is past every [`Geometry`] that passed [`Geometry::bytes`].
fn offset(bytes: u64) -> i64 {
    i64::try_from(bytes).expect("inside a medium, which ends below 2^63")
}

#[cfg(test)]
mod tests;
