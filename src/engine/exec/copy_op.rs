//! One part of a copy, carried out for whoever copies: this logical unit, or another of the daemon.

use pulsefield_backstore::Op;
use pulsefield_data::Buffer;
use pulsefield_units::{Cdb, LbaRange};

use super::{Context, Input, Step};
use crate::logical_unit::LogicalUnit;
use crate::outcome::{Outcome, Purpose};
use crate::server::SpaceNeeds;

/// What a copy asks of its source or of its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyOp {
    /// Fill the start of the buffer from these blocks.
    Read(LbaRange),
    /// Write the start of the buffer to these blocks.
    Write(LbaRange),
    /// Make `range` hold what `source` holds, which is as long and does not overlap it. Asked only of
    /// the unit that copies.
    Copy {
        /// What to read.
        source: LbaRange,
        /// Where to write.
        range: LbaRange,
    },
    /// Make these blocks read as zeros, without space if the medium is thin.
    WriteZeroes(LbaRange),
}

impl CopyOp {
    /// The blocks it touches, of a copy those that it writes.
    pub const fn range(self) -> LbaRange {
        match self {
            Self::Read(range)
            | Self::Write(range)
            | Self::WriteZeroes(range)
            | Self::Copy { range, .. } => range,
        }
    }

    /// The blocks that it reads besides.
    pub const fn source(self) -> Option<LbaRange> {
        match self {
            Self::Copy { source, .. } => Some(source),
            Self::Read(_) | Self::Write(_) | Self::WriteZeroes(_) => None,
        }
    }

    /// Whether it brings data, or takes some along.
    const fn has_data(self) -> bool {
        matches!(self, Self::Read(_) | Self::Write(_))
    }

    /// Whether it may change them.
    pub const fn writes(self) -> bool {
        !matches!(self, Self::Read(_))
    }

    /// The CDB of the command that would do the same, for whoever watches.
    pub(crate) fn cdb(self) -> Cdb {
        let opcode = match self {
            Self::Read(_) => 0x88,
            Self::Write(_) | Self::Copy { .. } => 0x8a,
            Self::WriteZeroes(_) => 0x93,
        };
        let mut cdb = [0; 16];
        cdb[0] = opcode;
        cdb[2..10].copy_from_slice(&self.range().start().as_u64().to_be_bytes());
        // A part of a copy is far shorter.
        let blocks = u32::try_from(self.range().blocks().as_u64()).unwrap_or(u32::MAX);
        cdb[10..14].copy_from_slice(&blocks.to_be_bytes());
        Cdb::new(&cdb)
    }

    fn op(self, unit: &LogicalUnit) -> Op {
        let durable = unit.durable(false);
        match self {
            Self::Read(range) => Op::Read { range },
            Self::Write(range) => Op::Write { range, durable },
            Self::Copy { source, range } => Op::Copy { source, range, durable },
            Self::WriteZeroes(range) => Op::WriteZeroes { range, durable, may_unmap: unit.thin() },
        }
    }
}

#[derive(Debug)]
pub(crate) struct CopyPart {
    op: CopyOp,
    started: bool,
}

impl CopyPart {
    pub(crate) const fn new(op: CopyOp) -> Self {
        Self { op, started: false }
    }

    pub(crate) const fn space_needs(&self) -> SpaceNeeds {
        match self.op {
            CopyOp::Read(_) => SpaceNeeds::None,
            CopyOp::Write(range) | CopyOp::Copy { range, .. } => SpaceNeeds::Allocates(range),
            // A pool counts media that are thin, where zeros take no space.
            CopyOp::WriteZeroes(_) => SpaceNeeds::Relieves,
        }
    }

    pub(crate) const fn has_written(&self) -> bool {
        self.started && self.op.writes()
    }

    pub(crate) fn step(&mut self, cx: &mut Context<'_>, input: Input) -> Step {
        match input {
            Input::Go => {
                self.started = true;
                let has_data = self.op.has_data();
                let data = if has_data { std::mem::take(cx.data) } else { Buffer::empty() };
                Step::Op(self.op.op(cx.unit), data)
            }
            Input::Done(result, buffer) => {
                if self.op.has_data() {
                    *cx.data = buffer;
                }
                let purpose = if self.op.writes() { Purpose::Writing } else { Purpose::Reading };
                match result {
                    Ok(_) => Step::End(Outcome::GOOD),
                    Err(error) => Step::failed(error, purpose),
                }
            }
        }
    }
}
