//! The contract between the engine and a medium: ops, requests, and the trait itself.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pulsefield_data::Buffer;
use pulsefield_units::{BlockCount, BlockLength, LbaRange};

use crate::{BackstoreError, Claim, OpenError};

/// An open medium of one logical unit.
///
/// `at_once` and `submit` may be called from one thread at a time; requests whose ranges overlap are never in
/// flight together unless all of them only read (the engine's range locks see to that).
/// [`Op::Flush`] and [`Op::Provisioning`] claim no range and may come at any time.
pub trait Backstore: Send + Sync {
    /// Block length and number of blocks, as they are now.
    fn geometry(&self) -> Geometry;

    /// What this medium can do; constant while it is open.
    fn capabilities(&self) -> Capabilities;

    /// Does an op while the caller waits, if it expects not to wait for the medium: `None` if it does, and
    /// then nothing was done. Asked before [`Self::submit`], by the same thread; `urgent` as in [`Request::new`].
    /// The caller's other requests wait as long as this takes: whoever was wrong takes note of it.
    fn at_once(
        &self,
        _op: Op,
        _buffer: &mut Buffer,
        _urgent: bool,
    ) -> Option<Result<OpOutput, BackstoreError>> {
        None
    }

    /// Starts one request, and returns at once. A handler completes it from a thread of its own, or when the caller
    /// asks what has ended ([`Self::reap`]); or before it returns, if it can do so without waiting.
    fn submit(&self, request: Request);

    /// What becomes readable when a request has ended that only [`Self::reap`] answers; `None` of a medium that
    /// answers all by itself.
    fn ended(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Answers the requests that have ended and that nobody else answers. Never waits. Called by the
    /// thread that submits, when [`Self::ended`] is readable or at any other time.
    fn reap(&self) {}

    /// How many bytes of space the medium takes now, data that is still to be written back included;
    /// `None` if it cannot tell. Asked between commands: never waits for the medium.
    fn allocated_bytes(&self) -> Option<u64> {
        None
    }

    /// What keeps others off the medium, if anything does: for whoever opens the same medium to take
    /// this one's place ([`OpenSpec::claim`](crate::OpenSpec::claim)).
    fn claim(&self) -> Option<Claim> {
        None
    }

    /// Sets a new number of blocks. Blocks that are new read as zeros, or hold what a device held
    /// there; blocks that are cut off are out of reach, and no request to them is in flight. May wait
    /// for the medium.
    ///
    /// # Errors
    /// Why the medium cannot have that size, in words for the administrator; nothing has changed.
    fn resize(&self, blocks: BlockCount) -> Result<(), OpenError>;
}

/// Waits for the next answer of `medium` for whoever has nothing better to do, at most for `patience`. `receive`
/// waits for one that somebody gives, for as long as it is told.
pub fn wait_for_answer<T>(
    medium: &dyn Backstore,
    patience: Duration,
    mut receive: impl FnMut(Duration) -> Option<T>,
) -> Option<T> {
    /// How often is looked at what nobody else answers.
    const STEP: Duration = Duration::from_millis(1);
    let deadline = Instant::now() + patience;
    loop {
        medium.reap();
        let left = deadline.saturating_duration_since(Instant::now());
        let step = if medium.ended().is_some() { left.min(STEP) } else { left };
        if let Some(answer) = receive(step) {
            return Some(answer);
        }
        if left.is_zero() {
            return None;
        }
    }
}

/// The shape of a medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Length of one logical block.
    pub block_length: BlockLength,
    /// Number of logical blocks.
    pub blocks: BlockCount,
}

impl Geometry {
    /// The size of the medium in bytes.
    ///
    /// # Errors
    /// [`OpenError::TooLarge`] past 2^63 - 1 bytes, where no file of Linux reaches.
    pub fn bytes(&self) -> Result<u64, OpenError> {
        self.block_length
            .bytes_of(self.blocks)
            .filter(|bytes| i64::try_from(*bytes).is_ok())
            .ok_or(OpenError::TooLarge { geometry: *self })
    }
}

/// What a medium can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Every write fails with [`BackstoreError::ReadOnly`].
    pub read_only: bool,
    /// Writes may sit in a volatile cache until [`Op::Flush`], or until written with `durable`.
    pub write_cache: bool,
    /// [`Op::Unmap`] gives space back, and unmapped blocks read as zeros.
    pub thin: bool,
    /// [`Op::CompareAndWrite`] is done atomically by the medium itself.
    pub compare_and_write: bool,
    /// [`Op::WriteAtomic`] of any length is never torn, not even by a loss of power or of space.
    pub atomic_write: bool,
    /// [`Op::Copy`] is there: the medium copies within itself, which is quicker than to read and write,
    /// and takes no space for what has none.
    pub copy: bool,
    /// In which sizes the medium works best.
    pub topology: Topology,
}

/// The sizes in which a medium works, in bytes; 0 where it has none to name. They are advice: every
/// request that is a whole number of logical blocks is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Topology {
    /// What the medium writes without having to read first.
    pub physical_block_bytes: u32,
    /// Where the first whole physical block begins.
    pub physical_alignment_bytes: u32,
    /// Transfers are best in multiples of this.
    pub transfer_granularity_bytes: u32,
    /// Sequential transfers are best in this size.
    pub transfer_optimal_bytes: u32,
    /// Space is given back in multiples of this.
    pub unmap_granularity_bytes: u32,
    /// Where the first whole run of that size begins.
    pub unmap_alignment_bytes: u32,
}

/// One request to a medium. The engine has checked that the range lies inside the geometry, and
/// that the buffer holds at least the bytes it speaks of; what follows them in a longer buffer is
/// left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Fill the buffer from `range`. Blocks never written, or unmapped, read as zeros.
    Read {
        /// What to read.
        range: LbaRange,
    },
    /// Write the buffer to `range`; `durable` (FUA, or no write cache) answers only once the data
    /// would survive a loss of power.
    Write {
        /// Where to write.
        range: LbaRange,
        /// Whether the data must be on stable storage before the answer.
        durable: bool,
    },
    /// Write the buffer to `range`, all of it or nothing: if the answer is an error, or if power is
    /// lost before the answer, every block holds what it held before. Sent only to media with
    /// [`Capabilities::atomic_write`].
    WriteAtomic {
        /// Where to write.
        range: LbaRange,
        /// As for [`Op::Write`].
        durable: bool,
    },
    /// Make `range` read as zeros; the medium decides whether it keeps the space.
    WriteZeroes {
        /// What to zero.
        range: LbaRange,
        /// As for [`Op::Write`].
        durable: bool,
        /// Whether the space may be given back.
        may_unmap: bool,
    },
    /// Give the space of `range` back; it reads as zeros afterwards.
    Unmap {
        /// What to unmap.
        range: LbaRange,
    },
    /// Make `range` hold what `source` holds, which is as long and does not overlap it. Where the source
    /// has no space behind it, the range keeps none if [`Op::Unmap`] would give it back. If the answer
    /// is an error, the range may hold anything. Sent only to media with [`Capabilities::copy`].
    Copy {
        /// What to read.
        source: LbaRange,
        /// Where to write.
        range: LbaRange,
        /// As for [`Op::Write`].
        durable: bool,
    },
    /// Put everything that was answered so far on stable storage.
    Flush,
    /// Say how the blocks from the start of `range` on are provisioned: one run of one kind.
    Provisioning {
        /// Where to look; the answer covers a first part of it, or all.
        range: LbaRange,
    },
    /// Compare `range` with the buffer's first half; if equal, write the second half, atomically.
    /// Sent only to media with [`Capabilities::compare_and_write`].
    CompareAndWrite {
        /// What to compare and write.
        range: LbaRange,
        /// As for [`Op::Write`].
        durable: bool,
    },
}

impl Op {
    /// The op in one word, for logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::Write { .. } => "write",
            Self::WriteAtomic { .. } => "write-atomic",
            Self::WriteZeroes { .. } => "write-zeroes",
            Self::Unmap { .. } => "unmap",
            Self::Copy { .. } => "copy",
            Self::Flush => "flush",
            Self::Provisioning { .. } => "provisioning",
            Self::CompareAndWrite { .. } => "compare-and-write",
        }
    }

    /// The blocks it touches, of a copy those that it writes; `None` for [`Op::Flush`], which touches
    /// all.
    pub const fn range(&self) -> Option<LbaRange> {
        match self {
            Self::Read { range }
            | Self::Write { range, .. }
            | Self::WriteAtomic { range, .. }
            | Self::WriteZeroes { range, .. }
            | Self::Unmap { range }
            | Self::Copy { range, .. }
            | Self::Provisioning { range }
            | Self::CompareAndWrite { range, .. } => Some(*range),
            Self::Flush => None,
        }
    }

    /// The blocks whose contents it brings or depends on, if it does.
    pub const fn reads(&self) -> Option<LbaRange> {
        match self {
            Self::Read { range } | Self::CompareAndWrite { range, .. } => Some(*range),
            Self::Copy { source, .. } => Some(*source),
            Self::Write { .. }
            | Self::WriteAtomic { .. }
            | Self::WriteZeroes { .. }
            | Self::Unmap { .. }
            | Self::Flush
            | Self::Provisioning { .. } => None,
        }
    }

    /// Whether it may change what the medium holds.
    pub const fn writes(&self) -> bool {
        match self {
            Self::Write { .. }
            | Self::WriteAtomic { .. }
            | Self::WriteZeroes { .. }
            | Self::Unmap { .. }
            | Self::Copy { .. }
            | Self::CompareAndWrite { .. } => true,
            Self::Read { .. } | Self::Flush | Self::Provisioning { .. } => false,
        }
    }
}

/// How a run of blocks is provisioned (SBC-4 4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// Backed by the medium.
    Mapped,
    /// Not backed; reads as zeros.
    Deallocated,
}

/// The first run of blocks that are all provisioned alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// How they are provisioned.
    pub mapping: Mapping,
    /// How many there are; at least one, at most the length of the range asked about.
    pub blocks: BlockCount,
}

/// What an op brought besides the bytes in its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpOutput {
    /// It is done.
    Done,
    /// Answer to [`Op::Provisioning`].
    Extent(Extent),
    /// [`Op::CompareAndWrite`] found a difference and wrote nothing; the first differing byte is
    /// `offset` bytes into the compared data.
    Miscompare {
        /// Byte offset of the first difference.
        offset: u32,
    },
}

/// Names a request among all that are in flight to one medium; opaque to the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpTag(pub u64);

/// The answer to one request, and the buffer it came with.
#[derive(Debug)]
pub struct Completion {
    /// Which request this answers.
    pub tag: OpTag,
    /// How it went.
    pub result: Result<OpOutput, BackstoreError>,
    /// The request's buffer, filled if it was a read.
    pub buffer: Buffer,
}

/// Where completions go. Called from any thread, also from inside [`Backstore::submit`]; never
/// blocks.
pub trait CompletionSink: Send + Sync {
    /// Takes one answer.
    fn complete(&self, completion: Completion);
}

/// One op in flight. It must be answered: a request that is dropped answers
/// [`BackstoreError::Dropped`] by itself, so that no command is ever lost.
#[derive(Debug)]
pub struct Request {
    op: Op,
    tag: OpTag,
    buffer: Buffer,
    urgent: bool,
    sink: Option<SinkHandle>,
}

struct SinkHandle(Arc<dyn CompletionSink>);

impl std::fmt::Debug for SinkHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CompletionSink")
    }
}

impl Request {
    /// A request that answers to `sink` under `tag`; an `urgent` one (the heartbeat lane's) must
    /// not wait behind any that is not.
    #[inline]
    pub fn new(
        op: Op,
        tag: OpTag,
        buffer: Buffer,
        urgent: bool,
        sink: Arc<dyn CompletionSink>,
    ) -> Self {
        Self { op, tag, buffer, urgent, sink: Some(SinkHandle(sink)) }
    }

    /// What is asked for.
    pub const fn op(&self) -> Op {
        self.op
    }

    /// The request's name, for logs.
    pub const fn tag(&self) -> OpTag {
        self.tag
    }

    /// Whether a host's heartbeat waits for this: it must not queue behind bulk.
    pub const fn is_urgent(&self) -> bool {
        self.urgent
    }

    /// The data: to be filled by a read, to be stored by a write, empty for the rest.
    pub const fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// The data, to fill it.
    pub const fn buffer_mut(&mut self) -> &mut Buffer {
        &mut self.buffer
    }

    /// Does what is asked for, by `perform`, and answers the request with what that says.
    pub fn carry_out(
        mut self,
        perform: impl FnOnce(Op, &mut Buffer) -> Result<OpOutput, BackstoreError>,
    ) {
        let result = perform(self.op, &mut self.buffer);
        self.answer(result);
    }

    /// Answers the request.
    #[inline]
    pub fn complete(mut self, result: Result<OpOutput, BackstoreError>) {
        self.answer(result);
    }

    #[inline]
    fn answer(&mut self, result: Result<OpOutput, BackstoreError>) {
        if let Some(SinkHandle(sink)) = self.sink.take() {
            let buffer = std::mem::take(&mut self.buffer);
            sink.complete(Completion { tag: self.tag, result, buffer });
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.answer(Err(BackstoreError::Dropped));
    }
}
