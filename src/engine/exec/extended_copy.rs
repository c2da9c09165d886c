//! EXTENDED COPY (LID1) and (LID4) (SPC-4): segment after segment, each in pieces.
//!
//! A copy holds no lock, ever. Each piece is read by a task of its own on the source and then written
//! by a task of its own on the destination; such a task claims the blocks of its piece, needs a slot
//! of the bulk lane, waits for nothing but the medium, and then gives up both. So a heartbeat waits
//! for one piece at most, and copies cannot deadlock, not even two units that copy from each other:
//! whoever waits holds nothing.
//!
//! A piece that holds zeros only is not written but made to read as zeros: a hole stays a hole.
//!
//! Within this very unit, between blocks that do not overlap, the medium copies the piece itself, if it
//! can. Should it fail, the piece is read and written, and what then fails says which side it was.

use pulsefield_data::Buffer;
use pulsefield_scsi::parameter::{
    CSCD_ID_SELF, CopyAmount, CscdDescriptor, ExtendedCopyList, ListIdUsage, SegmentDescriptor,
};
use pulsefield_scsi::{self as scsi, Asc, Sense, Status};
use pulsefield_units::{BlockCount, BlockLength, Lba, LbaRange, LuId};

use super::copy_op::CopyOp;
use super::is_zero;
use crate::config::Designators;
use crate::copies::CopyId;
use crate::limits;
use crate::logical_unit::LogicalUnit;
use crate::outcome::{Outcome, of_copy_part};
use crate::server::Query;

/// A side of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyParty {
    /// The logical unit that received the command.
    This,
    /// Another one of the daemon.
    Peer(LuId),
}

/// Another logical unit that copies of this one may read and write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyPeer {
    /// Which one.
    pub unit: LuId,
    /// What initiators know it by.
    pub designators: Designators,
    /// Its shape.
    pub geometry: pulsefield_backstore::Geometry,
}

/// Why a copy is resumed.
pub(crate) enum Input {
    /// It begins, or its question is answered.
    Go,
    /// Its part is done.
    Done(Outcome, Buffer),
}

/// What a copy wants next.
pub(crate) enum Step {
    /// To know this.
    Ask(Query),
    /// To have this done there.
    Op(CopyParty, CopyOp, Buffer),
    /// Nothing more.
    End(Outcome),
}

#[derive(Debug)]
pub(crate) struct ExtendedCopy {
    id: CopyId,
    cscds: Vec<CscdDescriptor>,
    segments: Vec<SegmentDescriptor>,
    /// Which segment is being copied.
    nth: usize,
    phase: Phase,
    /// Whether the daemon was asked, for this command, which other units there are.
    asked_for_peers: bool,
    /// The memory of a piece, between two parts; empty while a part has it.
    buffer: Buffer,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Between two segments.
    Idle,
    Asking(Query),
    Copying(Run),
    Reading(Run),
    Writing(Run),
}

/// What is left of a segment.
#[derive(Clone, Copy, Debug)]
struct Run {
    source: Side,
    destination: Side,
    bytes: u64,
}

/// One side of it: where to go on, and in which blocks.
#[derive(Clone, Copy, Debug)]
struct Side {
    party: CopyParty,
    lba: Lba,
    block_length: BlockLength,
}

impl Side {
    /// The first `bytes` bytes, which are whole blocks.
    fn range(&self, bytes: u64) -> Option<LbaRange> {
        LbaRange::new(self.lba, self.block_length.blocks_in(bytes))
    }

    fn skip(&mut self, bytes: u64) {
        let blocks = self.block_length.blocks_in(bytes);
        self.lba = self.lba.checked_add(blocks).expect("inside a range that was checked");
    }
}

/// What is looked at of a parameter list: the longer of the two headers, and as many descriptors as
/// there may be. What follows has no meaning.
const LIST_BYTES_MAX: usize = 48 + limits::COPY_DESCRIPTOR_LIST_BYTES_MAX as usize;

/// How a copy is admitted.
///
/// # Errors
/// What is wrong with the parameter list, or BUSY while as many copies as are reported to be
/// possible are in progress; nothing was copied.
pub(crate) fn admit(
    unit: &mut LogicalUnit,
    data: &Buffer,
    command: scsi::ExtendedCopy,
) -> Result<ExtendedCopy, Outcome> {
    let length = usize::try_from(command.parameter_list_length).unwrap_or(usize::MAX);
    let mut list = vec![0; length.min(LIST_BYTES_MAX)];
    data.read_at(0, &mut list);
    let list = ExtendedCopyList::parse(command.form, &list, &unit.copy_limits())?;
    let list_identifier = match list.list_id_usage {
        ListIdUsage::Identified => Some(list.list_identifier),
        ListIdUsage::None => None,
    };
    let cscds = list.cscds().collect();
    let segments = list.segments().collect::<Result<_, _>>()?;
    let busy = Outcome::status(Status::Busy);
    let id = unit.copies.begin(list_identifier).ok_or(busy)?;
    Ok(ExtendedCopy {
        id,
        cscds,
        segments,
        nth: 0,
        phase: Phase::Idle,
        asked_for_peers: false,
        buffer: Buffer::empty(),
    })
}

impl ExtendedCopy {
    pub(crate) const fn id(&self) -> CopyId {
        self.id
    }

    /// The question it waits for.
    pub(crate) const fn asks(&self) -> Option<Query> {
        match self.phase {
            Phase::Asking(query) => Some(query),
            Phase::Idle | Phase::Copying(_) | Phase::Reading(_) | Phase::Writing(_) => None,
        }
    }

    /// Whether a part of it is being written now; between two parts nothing is half done.
    pub(crate) const fn has_written(&self) -> bool {
        matches!(self.phase, Phase::Writing(_) | Phase::Copying(_))
    }

    pub(crate) fn step(&mut self, unit: &mut LogicalUnit, input: Input) -> Step {
        let (outcome, buffer) = match input {
            Input::Go => return self.next_segment(unit),
            Input::Done(outcome, buffer) => (outcome, buffer),
        };
        if !buffer.is_empty() {
            self.buffer = buffer;
        }
        if outcome.status != Status::Good {
            if let Phase::Copying(run) = self.phase {
                return self.read(run);
            }
            // If the other unit is not what it was, it is looked for anew next time.
            unit.copy_peers.clear();
            return Step::End(of_copy_part(outcome, self.number()));
        }
        match self.phase {
            Phase::Reading(run) => self.write(run),
            Phase::Writing(run) => {
                let written = run.piece_bytes();
                unit.copies.wrote(self.id, written);
                self.advance(unit, run, written)
            }
            Phase::Copying(run) => {
                let copied = run.bytes.min(limits::COPY_WITHIN_BYTES);
                unit.copies.wrote(self.id, copied);
                self.advance(unit, run, copied)
            }
            Phase::Idle | Phase::Asking(_) => unreachable!("no part of the copy was asked for"),
        }
    }

    /// The number of the segment being copied.
    fn number(&self) -> u16 {
        u16::try_from(self.nth).expect("at most SEGMENT_DESCRIPTORS_MAX")
    }

    fn next_segment(&mut self, unit: &mut LogicalUnit) -> Step {
        while let Some(segment) = self.segments.get(self.nth).copied() {
            match self.resolve(unit, segment) {
                Ok(Some(run)) => return self.begin_piece(unit, run),
                Ok(None) => self.finish_segment(unit),
                Err(Unresolved::Ask(query)) => {
                    self.phase = Phase::Asking(query);
                    return Step::Ask(query);
                }
                Err(Unresolved::Never(sense)) => return Step::End(Outcome::check(sense)),
            }
        }
        Step::End(Outcome::GOOD)
    }

    fn finish_segment(&mut self, unit: &mut LogicalUnit) {
        self.phase = Phase::Idle;
        self.nth += 1;
        unit.copies.finished_segment(self.id);
    }

    fn begin_piece(&mut self, unit: &LogicalUnit, run: Run) -> Step {
        // What the medium copies may have holes, and share space; where every block is to have its own, it
        // is written.
        let medium_copies = unit.capabilities.copy && !unit.config.fully_provisioned;
        if !medium_copies || !run.is_within_this() {
            return self.read(run);
        }
        let bytes = run.bytes.min(limits::COPY_WITHIN_BYTES);
        let range = |side: Side| side.range(bytes).expect("a run is not empty");
        let op = CopyOp::Copy { source: range(run.source), range: range(run.destination) };
        self.phase = Phase::Copying(run);
        Step::Op(CopyParty::This, op, Buffer::empty())
    }

    fn read(&mut self, run: Run) -> Step {
        let bytes = run.piece_bytes();
        let range = run.source.range(bytes).expect("a run is not empty");
        if self.buffer.is_empty() {
            self.buffer = Buffer::heap(limits::COPY_PIECE_BYTES);
        }
        self.phase = Phase::Reading(run);
        let buffer = std::mem::take(&mut self.buffer);
        Step::Op(run.source.party, CopyOp::Read(range), buffer)
    }

    fn write(&mut self, run: Run) -> Step {
        let bytes = run.piece_bytes();
        let range = run.destination.range(bytes).expect("a run is not empty");
        self.phase = Phase::Writing(run);
        let len = usize::try_from(bytes).expect("at most COPY_PIECE_BYTES");
        let (op, buffer) = if is_zero(&self.buffer, len) {
            (CopyOp::WriteZeroes(range), Buffer::empty())
        } else {
            (CopyOp::Write(range), std::mem::take(&mut self.buffer))
        };
        Step::Op(run.destination.party, op, buffer)
    }

    fn advance(&mut self, unit: &mut LogicalUnit, mut run: Run, written: u64) -> Step {
        run.bytes -= written;
        if run.bytes > 0 {
            run.source.skip(written);
            run.destination.skip(written);
            return self.begin_piece(unit, run);
        }
        self.finish_segment(unit);
        self.next_segment(unit)
    }

    /// What a segment means; `None` if it copies nothing.
    fn resolve(
        &mut self,
        unit: &LogicalUnit,
        segment: SegmentDescriptor,
    ) -> Result<Option<Run>, Unresolved> {
        let source = self.side(unit, segment.source, segment.source_lba)?;
        let destination = self.side(unit, segment.destination, segment.destination_lba)?;
        let ((source, source_blocks), (destination, destination_blocks)) = (source, destination);
        let aborted = |asc| Sense::copy_aborted(asc, self.number());
        let of =
            |blocks: u16, side: &Side| u64::from(blocks) * u64::from(side.block_length.bytes());
        let bytes = match segment.amount {
            CopyAmount::SourceBlocks(blocks) => of(blocks, &source),
            CopyAmount::DestinationBlocks(blocks) => of(blocks, &destination),
            CopyAmount::Bytes(bytes) => bytes.into(),
        };
        if bytes > limits::COPY_SEGMENT_BYTES_MAX.into() {
            return Err(aborted(Asc::INVALID_FIELD_IN_PARAMETER_LIST).into());
        }
        for (side, blocks) in [(&source, source_blocks), (&destination, destination_blocks)] {
            // Nothing is kept for the next segment (CAT), and nothing is filled up (PAD).
            if !bytes.is_multiple_of(side.block_length.bytes().into()) {
                return Err(aborted(Asc::UNEXPECTED_INEXACT_SEGMENT).into());
            }
            let exists = match side.range(bytes) {
                Some(range) => range.fits(blocks),
                None => bytes == 0,
            };
            if !exists {
                // What libiscsi's suite and LIO call blocks that do not exist.
                return Err(aborted(Asc::COPY_TARGET_DEVICE_NOT_REACHABLE).into());
            }
        }
        Ok((bytes > 0).then_some(Run { source, destination, bytes }))
    }

    /// Who is meant by a CSCD descriptor ID, and how many blocks it has.
    fn side(
        &mut self,
        unit: &LogicalUnit,
        cscd_id: u16,
        lba: Lba,
    ) -> Result<(Side, BlockCount), Unresolved> {
        let aborted = |asc| Sense::copy_aborted(asc, self.number());
        let this = (CopyParty::This, unit.geometry);
        let (party, geometry) = if cscd_id == CSCD_ID_SELF {
            this
        } else {
            let unreachable = aborted(Asc::COPY_TARGET_DEVICE_NOT_REACHABLE);
            let cscd = *self.cscds.get(usize::from(cscd_id)).ok_or(unreachable)?;
            if cscd.device_type != DISK {
                return Err(aborted(Asc::INCORRECT_COPY_TARGET_DEVICE_TYPE).into());
            }
            let Some(identity) = &unit.identity else {
                return Err(Unresolved::Ask(Query::Identity));
            };
            let peer = unit.copy_peers.iter().find(|peer| names(&cscd, &peer.designators));
            let (party, geometry) = match peer {
                _ if names(&cscd, &Designators::new(identity, &unit.config)) => this,
                Some(peer) => (CopyParty::Peer(peer.unit), peer.geometry),
                None if self.asked_for_peers => return Err(unreachable.into()),
                None => {
                    self.asked_for_peers = true;
                    return Err(Unresolved::Ask(Query::CopyPeers));
                }
            };
            // Whoever counts in other blocks means other bytes; 0 says nothing.
            if cscd.block_length != 0 && cscd.block_length != geometry.block_length.bytes() {
                let sense = aborted(Asc::INVALID_FIELD_IN_PARAMETER_LIST);
                return Err(sense.with_field(cscd.block_length_at).into());
            }
            (party, geometry)
        };
        let block_length = geometry.block_length;
        Ok((Side { party, lba, block_length }, geometry.blocks))
    }
}

impl Run {
    /// Whether all of it goes from blocks of this unit to others of it.
    fn is_within_this(&self) -> bool {
        let [source, destination] = [&self.source, &self.destination];
        let sides = (source.range(self.bytes), destination.range(self.bytes));
        source.party == CopyParty::This
            && destination.party == CopyParty::This
            && matches!(sides, (Some(source), Some(destination)) if !source.overlaps(destination))
    }

    /// How much goes over in one piece that is read and written.
    fn piece_bytes(&self) -> u64 {
        self.bytes.min(limits::COPY_PIECE_BYTES as u64)
    }
}

/// Why a segment cannot be copied now.
enum Unresolved {
    Ask(Query),
    Never(Sense),
}

impl From<Sense> for Unresolved {
    fn from(sense: Sense) -> Self {
        Self::Never(sense)
    }
}

/// PERIPHERAL DEVICE TYPE of every logical unit here.
const DISK: u8 = 0x00;

fn names(cscd: &CscdDescriptor, designators: &Designators) -> bool {
    let CscdDescriptor { code_set, association, designator_type, .. } = *cscd;
    designators.page().has(code_set, association, designator_type, cscd.designator())
}

#[cfg(test)]
mod tests;
