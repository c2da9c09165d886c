//! What a command is, as far as rules and faults ask: read once, when it comes in.

use std::num::NonZeroU8;
use std::time::Duration;

use pulsefield_backstore::Geometry;
use pulsefield_data::Buffer;
use pulsefield_engine::{Lane, lane_of, limits};
use pulsefield_scsi::parameter::UnmapList;
use pulsefield_scsi::{Command, DataLength, Extent, parse};
use pulsefield_units::{BlockCount, BlockLength, Cdb, Lba, LbaRange};

/// What a saboteur knows of its logical unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The shape of the medium.
    pub geometry: Geometry,
    /// Blocks configured as VMFS metadata: their reads and writes take the heartbeat lane.
    pub metadata: Vec<LbaRange>,
    /// The most blocks of a COMPARE AND WRITE.
    pub compare_and_write_blocks_max: NonZeroU8,
    /// For how long the kernel waits for an answer (`cmd_time_out`): what a command that is never to be
    /// answered is held at most, unless its rule says otherwise.
    pub command_time_out: Duration,
}

/// A command that makes sense: its CDB is one that is served, its blocks exist and are not more than one
/// command may name, and its data has the length that the CDB says. Any other gets the device server's
/// answer and no fault, so that what a rule does is never mistaken for what a broken initiator deserves.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) opcode: u8,
    pub(crate) command: Command,
    /// The blocks it touches: several runs only for UNMAP, none for a command without blocks.
    pub(crate) blocks: Blocks,
    pub(crate) lane: Lane,
    pub(crate) block_length: BlockLength,
}

/// The blocks that a command touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Blocks {
    None,
    Run(LbaRange),
    Runs(Vec<LbaRange>),
}

impl Blocks {
    pub(crate) fn runs(&self) -> &[LbaRange] {
        match self {
            Self::None => &[],
            Self::Run(run) => std::slice::from_ref(run),
            Self::Runs(runs) => runs,
        }
    }

    /// How many there are in all.
    fn count(&self) -> u64 {
        self.runs().iter().map(|run| run.blocks().as_u64()).sum()
    }
}

impl Facts {
    /// What there is to know of a command; `None` if it makes no sense.
    pub(crate) fn of(cdb: &Cdb, data: &Buffer, unit: &Unit) -> Option<Self> {
        let Unit { geometry, metadata, compare_and_write_blocks_max, .. } = unit;
        let command = parse(cdb).ok()?;
        let expected = data.len() as u64;
        let fits = match command.data_length(geometry.block_length) {
            DataLength::None | DataLength::InUpTo(_) => true,
            DataLength::In(length) | DataLength::ParameterList(length) => expected >= length,
            DataLength::Out(length) => expected == length,
        };
        let blocks = blocks(&command, data, geometry.blocks)?;
        let exist = blocks.runs().iter().all(|run| run.fits(geometry.blocks));
        let longest = longest(&command, geometry.block_length, *compare_and_write_blocks_max);
        let few = longest.is_none_or(|longest| blocks.count() <= longest);
        if !(fits && exist && few) {
            return None;
        }
        let lane = match blocks.runs() {
            [] => Lane::Bulk,
            // Not by what was seen before it: a plan must do the same whenever it is armed. Rules that
            // are about metadata wherever it is choose by payload.
            [run, ..] => lane_of(&command, *run, metadata, false),
        };
        let opcode = cdb.opcode()?;
        Some(Self { opcode, command, blocks, lane, block_length: geometry.block_length })
    }

    /// The run of blocks it touches; of several, the first.
    pub(crate) fn run(&self) -> Option<LbaRange> {
        self.blocks.runs().first().copied()
    }

    pub(crate) fn touches(&self, range: LbaRange) -> bool {
        self.blocks.runs().iter().any(|run| run.overlaps(range))
    }

    /// The length of `range`, which lies on the medium, in bytes.
    pub(crate) fn bytes_in(&self, range: LbaRange) -> usize {
        let bytes = self.block_length.bytes_in(range).and_then(|bytes| bytes.try_into().ok());
        bytes.expect("what one transfer moves")
    }

    /// The length of one block in bytes.
    pub(crate) const fn block(&self) -> usize {
        self.block_length.bytes() as usize
    }
}

/// The blocks that a command touches; `None` if there are no such blocks.
fn blocks(command: &Command, data: &Buffer, capacity: BlockCount) -> Option<Blocks> {
    let extent = match command {
        Command::Read(read) => read.extent,
        Command::Write(write) => write.extent,
        Command::WriteAndVerify(write) => write.extent,
        Command::WriteAtomic(write) => write.extent,
        Command::OrWrite(or_write) => or_write.extent,
        Command::Verify(verify) => verify.extent,
        Command::CompareAndWrite(compare_and_write) => compare_and_write.extent,
        Command::WriteLong(write_long) => write_long.extent,
        Command::WriteSame(write_same) => to_end(write_same.extent, capacity)?,
        Command::SynchronizeCache(synchronize_cache) => to_end(synchronize_cache.extent, capacity)?,
        Command::PreFetch(pre_fetch) => to_end(pre_fetch.extent, capacity)?,
        Command::GetLbaStatus(get_lba_status) => {
            let extent = Extent { lba: get_lba_status.start, blocks: BlockCount::ZERO };
            to_end(extent, capacity)?
        }
        Command::Unmap(unmap) => return runs(data, unmap.parameter_list_length.into()),
        Command::TestUnitReady
        | Command::RequestSense(_)
        | Command::Inquiry(_)
        | Command::ReadCapacity10
        | Command::ReadCapacity16(_)
        | Command::ModeSense(_)
        | Command::ModeSelect(_)
        | Command::LogSense(_)
        | Command::LogSelect(_)
        | Command::ReceiveDiagnosticResults(_)
        | Command::DefaultSelfTest
        | Command::SendNoDiagnostic
        | Command::StartStopUnit(_)
        | Command::PreventAllowMediumRemoval(_)
        | Command::FormatUnit(_)
        | Command::Sanitize(_)
        | Command::ExitSanitizeFailureMode
        | Command::ReadDefectData(_)
        | Command::ReportIdentifyingInformation(_)
        | Command::SetIdentifyingInformation(_)
        | Command::ExtendedCopy(_)
        | Command::ReceiveCopyResults(_)
        | Command::ReportSupportedOperationCodes(_)
        | Command::ReportSupportedTaskManagementFunctions(_)
        | Command::ReportTargetPortGroups(_)
        | Command::SetTargetPortGroups(_) => return Some(Blocks::None),
    };
    Some(extent.range().ok()?.map_or(Blocks::None, Blocks::Run))
}

/// The most blocks that a command may name, as the Block Limits page says; `None` if it says nothing.
fn longest(command: &Command, block: BlockLength, compare_and_write: NonZeroU8) -> Option<u64> {
    let blocks_in = |bytes| Some(block.blocks_in(bytes).as_u64());
    if matches!(command, Command::CompareAndWrite(_)) {
        return Some(compare_and_write.get().into());
    }
    if matches!(command, Command::WriteSame(_)) {
        return blocks_in(limits::WRITE_SAME_BYTES_MAX);
    }
    if matches!(command, Command::Unmap(_)) {
        return Some(limits::UNMAP_BLOCKS_MAX.into());
    }
    let transfers = matches!(
        command,
        Command::Read(_)
            | Command::Write(_)
            | Command::WriteAndVerify(_)
            | Command::WriteAtomic(_)
            | Command::OrWrite(_)
            | Command::Verify(_)
    );
    blocks_in(limits::TRANSFER_BYTES_MAX.into()).filter(|_| transfers)
}

/// Zero blocks that stand for all from the first to the end of the medium, as so many.
fn to_end(extent: Extent, capacity: BlockCount) -> Option<Extent> {
    if !extent.blocks.is_zero() {
        return Some(extent);
    }
    let blocks = Lba::new(capacity.as_u64()).checked_sub(extent.lba)?;
    Some(Extent { blocks, ..extent })
}

/// The runs of an UNMAP; `None` if its parameter list makes no sense.
fn runs(data: &Buffer, length: usize) -> Option<Blocks> {
    let mut list = vec![0; length.min(data.len())];
    data.read_at(0, &mut list);
    let list = UnmapList::parse_unlimited(&list).ok()?;
    let mut runs = Vec::with_capacity(list.extents().len());
    for extent in list.extents() {
        runs.extend(extent.range().ok()?);
    }
    Some(Blocks::Runs(runs))
}
