//! A medium in memory, whose ops are done one at a time and in any order.

use pulsefield_backstore::{Extent, Mapping, Op, OpOutput};
use pulsefield_data::Buffer;
use pulsefield_units::LbaRange;

use crate::shape::Shape;

/// What the blocks hold.
pub(crate) struct Medium {
    bytes: Vec<u8>,
    block: usize,
}

impl Medium {
    /// A medium of `shape`, all zeros.
    pub(crate) fn new(shape: &Shape) -> Self {
        let kept = if shape.keeps() { shape.blocks() * shape.block_bytes() } else { 0 };
        Self { bytes: vec![0; index(kept)], block: index(shape.block_bytes()) }
    }

    /// All blocks; none if it keeps nothing.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Does what `op` says.
    pub(crate) fn perform(&mut self, op: Op, buffer: &mut Buffer) -> OpOutput {
        let Some(range) = op.range() else { return OpOutput::Done };
        if self.bytes.is_empty() {
            return forget(op, range, buffer, self.block);
        }
        let byte = |lba: u64| index(lba) * self.block;
        if let Op::Copy { source, .. } = op {
            let source = byte(source.start().as_u64())..byte(source.end().as_u64());
            self.bytes.copy_within(source, byte(range.start().as_u64()));
            return OpOutput::Done;
        }
        let blocks = &mut self.bytes[byte(range.start().as_u64())..byte(range.end().as_u64())];
        match op {
            Op::Read { .. } => buffer.write_at(0, blocks),
            Op::Write { .. } | Op::WriteAtomic { .. } => buffer.read_at(0, blocks),
            Op::WriteZeroes { .. } | Op::Unmap { .. } => blocks.fill(0),
            Op::Provisioning { .. } => return provisioning(range),
            Op::CompareAndWrite { .. } => {
                if let Some(at) = buffer.first_difference(0, blocks) {
                    return OpOutput::Miscompare { offset: u32::try_from(at).expect("255 blocks") };
                }
                buffer.read_at(blocks.len(), blocks);
            }
            Op::Copy { .. } | Op::Flush => {}
        }
        OpOutput::Done
    }
}

fn forget(op: Op, range: LbaRange, buffer: &mut Buffer, block: usize) -> OpOutput {
    match op {
        Op::Read { .. } => buffer.fill(0, index(range.blocks().as_u64()) * block, 0),
        Op::Provisioning { .. } => return provisioning(range),
        Op::Write { .. }
        | Op::WriteAtomic { .. }
        | Op::WriteZeroes { .. }
        | Op::Unmap { .. }
        | Op::Copy { .. }
        | Op::CompareAndWrite { .. }
        | Op::Flush => {}
    }
    OpOutput::Done
}

/// The first block is of one kind, the rest of whatever comes next.
fn provisioning(range: LbaRange) -> OpOutput {
    let (first, _) = range.split_first(pulsefield_units::BlockCount::new(1));
    let mapping = match range.start().as_u64() % 2 {
        0 => Mapping::Mapped,
        _ => Mapping::Deallocated,
    };
    OpOutput::Extent(Extent { mapping, blocks: first.blocks() })
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("64-bit addresses")
}
