//! Admission: what must hold before a command may touch anything, in the order of the standards: a
//! CDB that makes sense, no unit attention, a unit that is ready and may be written, data that fits
//! the CDB, blocks that exist, the limits.

use pulsefield_data::Buffer;
use pulsefield_scsi::parameter::UnmapList;
use pulsefield_scsi::{
    self as scsi, Asc, ByteCheck, Command, DataLength, Extent, Sense, SenseKey, parse_supported,
};
use pulsefield_units::{BlockCount, Cdb, LbaRange};

use crate::exec::compare_and_write::CompareAndWrite;
use crate::exec::extended_copy::{self, ExtendedCopy};
use crate::exec::get_lba_status::GetLbaStatus;
use crate::exec::or_write::OrWrite;
use crate::exec::read::Read;
use crate::exec::unmap::Unmap;
use crate::exec::verify::Verify;
use crate::exec::write::Write;
use crate::exec::write_same::WriteSame;
use crate::exec::{
    Exec, format_unit, identifying_information, immediate, log_select, mode_select, sanitize,
    self_test, start_stop_unit,
};
use crate::lane::{Lane, lane_of};
use crate::limits;
use crate::logical_unit::LogicalUnit;
use crate::outcome::Outcome;
use crate::range_lock::Access;
use crate::server::Query;

/// 05h/24h/00h for a number of blocks beyond what the Block Limits page allows; where it stands
/// differs with the length of the CDB, so there is no field pointer.
const INVALID_BLOCK_COUNT: Sense = Sense::new(SenseKey::IllegalRequest, Asc::INVALID_FIELD_IN_CDB);

/// What becomes of a command.
pub(crate) enum Admission {
    /// It is over already.
    End(Outcome),
    /// It needs to know something of the world outside first.
    Ask(Query, Command),
    /// It has given the unit a background operation, and ends so when that has ended well.
    Await(Outcome),
    /// It has given the unit a background operation, and is over already.
    StartAndEnd(Outcome),
    /// It is a third-party copy.
    Copy(Box<ExtendedCopy>),
    /// It is to be carried out, once it holds `claim`.
    Run { exec: Exec, claim: Option<(LbaRange, Access)>, lane: Lane },
}

impl Admission {
    fn run(exec: Exec) -> Self {
        Self::Run { exec, claim: None, lane: Lane::Bulk }
    }
}

/// Decides what becomes of a command, and whether it is an initiator's. If it is over and returns data,
/// that is in `data`.
pub(crate) fn admit(
    unit: &mut LogicalUnit,
    cdb: &Cdb,
    data: &mut Buffer,
    by_initiator: bool,
) -> Admission {
    examine(unit, cdb, data, by_initiator)
        .unwrap_or_else(|sense| Admission::End(Outcome::check(sense)))
}

fn examine(
    unit: &mut LogicalUnit,
    cdb: &Cdb,
    data: &mut Buffer,
    by_initiator: bool,
) -> Result<Admission, Sense> {
    let command = parse_supported(cdb, |opcode, action| unit.supports(opcode, action))?;
    if by_initiator && let Some(attention) = unit.attentions.ends(&command) {
        return Err(attention);
    }
    unit.require_ready(&command)?;
    if changes_medium(&command) {
        unit.require_writable()?;
    }
    check_data(unit, &command, data)?;
    match &command {
        Command::Read(read) => {
            let Some(range) = transfer_range(unit, read.extent)? else {
                return Ok(Admission::End(Outcome::NO_DATA));
            };
            Ok(claiming(unit, &command, Exec::Read(Read::new(range)), range, Access::Shared, data))
        }
        Command::Write(write) => {
            let Some(range) = transfer_range(unit, write.extent)? else {
                return Ok(Admission::End(Outcome::GOOD));
            };
            let exec = Exec::Write(Write::new(range, write.fua));
            Ok(claiming(unit, &command, exec, range, Access::Exclusive, data))
        }
        Command::WriteAndVerify(write) => {
            let Some(range) = transfer_range(unit, write.extent)? else {
                return Ok(Admission::End(Outcome::GOOD));
            };
            let verify = Verify::new(range, write.byte_check, piece_blocks(unit));
            let exec = Exec::Write(Write::then_verify(range, verify));
            Ok(claiming(unit, &command, exec, range, Access::Exclusive, data))
        }
        Command::WriteAtomic(write) => {
            let Some(range) = transfer_range(unit, write.extent)? else {
                return Ok(Admission::End(Outcome::GOOD));
            };
            let exec = Exec::Write(Write::all_or_nothing(range, write.fua));
            Ok(claiming(unit, &command, exec, range, Access::Exclusive, data))
        }
        Command::OrWrite(or_write) => {
            let Some(range) = transfer_range(unit, or_write.extent)? else {
                return Ok(Admission::End(Outcome::GOOD));
            };
            let exec = Box::new(OrWrite::new(range, or_write.fua, piece_blocks(unit)));
            Ok(claiming(unit, &command, Exec::OrWrite(exec), range, Access::Exclusive, data))
        }
        Command::PreFetch(pre_fetch) => {
            let range = unit.range_to_end(pre_fetch.extent)?;
            let (range, _) = range.split_first(unit.blocks_in(limits::PRE_FETCH_BYTES_MAX));
            let exec = Exec::Verify(Verify::new(range, ByteCheck::None, piece_blocks(unit)));
            Ok(claiming(unit, &command, exec, range, Access::Shared, data))
        }
        Command::Verify(verify) => {
            let Some(range) = transfer_range(unit, verify.extent)? else {
                return Ok(Admission::End(Outcome::NO_DATA));
            };
            let exec = Exec::Verify(Verify::new(range, verify.byte_check, piece_blocks(unit)));
            Ok(claiming(unit, &command, exec, range, Access::Shared, data))
        }
        Command::CompareAndWrite(compare_and_write) => {
            let max = unit.config.compare_and_write_blocks_max.get();
            if compare_and_write.extent.blocks > BlockCount::new(max.into()) {
                return Err(scsi::CompareAndWrite::INVALID_BLOCK_COUNT);
            }
            let Some(range) = unit.range_of(compare_and_write.extent)? else {
                return Ok(Admission::End(Outcome::GOOD));
            };
            let exec = Exec::CompareAndWrite(CompareAndWrite::new(range, compare_and_write.fua));
            Ok(claiming(unit, &command, exec, range, Access::Exclusive, data))
        }
        Command::WriteSame(write_same) => {
            if write_same.anchor {
                return Err(write_same.anchor_not_supported());
            }
            if write_same.unmap && !unit.thin() {
                return Err(write_same.unmap_not_supported());
            }
            let range = write_same_range(unit, write_same.extent)?;
            let exec = WriteSame::new(range, write_same.unmap, write_same.no_data_out);
            Ok(claiming(unit, &command, Exec::WriteSame(exec), range, Access::Exclusive, data))
        }
        Command::WriteLong(write_long) => {
            let Some(range) = unit.range_of(write_long.extent)? else {
                return Ok(Admission::End(Outcome::NO_DATA));
            };
            let exec = Exec::WriteLong(range.start());
            Ok(claiming(unit, &command, exec, range, Access::Exclusive, data))
        }
        Command::Unmap(unmap) => {
            if unmap.anchor {
                return Err(scsi::Unmap::ANCHOR_NOT_SUPPORTED);
            }
            let ranges = unmap_ranges(unit, data, unmap.parameter_list_length)?;
            let Some(first) = ranges.first().copied() else {
                return Ok(Admission::End(Outcome::GOOD));
            };
            let exec = Exec::Unmap(Unmap::new(ranges));
            Ok(claiming(unit, &command, exec, first, Access::Exclusive, data))
        }
        Command::SynchronizeCache(synchronize_cache) => {
            unit.range_to_end(synchronize_cache.extent)?;
            Ok(Admission::run(Exec::SynchronizeCache))
        }
        Command::DefaultSelfTest => self_test::admit(unit),
        Command::GetLbaStatus(get_lba_status) => {
            let extent = Extent { lba: get_lba_status.start, blocks: BlockCount::ZERO };
            let range = unit.range_to_end(extent)?;
            let exec = Box::new(GetLbaStatus::new(range, get_lba_status.allocation_length));
            Ok(Admission::run(Exec::GetLbaStatus(exec)))
        }
        Command::LogSelect(command) => {
            log_select::execute(unit, data, *command)?;
            Ok(Admission::End(Outcome::GOOD))
        }
        Command::ModeSelect(command) => match mode_select::admit(unit, data, *command)? {
            Some(exec) => Ok(Admission::run(exec)),
            None => Ok(Admission::End(Outcome::GOOD)),
        },
        Command::SetIdentifyingInformation(command) => {
            Ok(Admission::run(identifying_information::admit(data, *command)))
        }
        Command::ExtendedCopy(command) if command.parameter_list_length == 0 => {
            Ok(Admission::End(Outcome::GOOD))
        }
        Command::ExtendedCopy(command) => {
            let copy = extended_copy::admit(unit, data, *command);
            Ok(copy.map_or_else(Admission::End, |copy| Admission::Copy(Box::new(copy))))
        }
        Command::StartStopUnit(command) => Ok(match start_stop_unit::admit(unit, *command)? {
            Some(exec) => Admission::run(exec),
            None => Admission::End(Outcome::NO_DATA),
        }),
        Command::PreventAllowMediumRemoval(command) => {
            unit.prevent_removal(command.prevent);
            Ok(Admission::End(Outcome::NO_DATA))
        }
        Command::Sanitize(command) => sanitize::admit(unit, data, *command),
        Command::ExitSanitizeFailureMode => Ok(match sanitize::exit_failure_mode(unit)? {
            Some(exec) => Admission::run(exec),
            None => Admission::End(Outcome::NO_DATA),
        }),
        Command::FormatUnit(command) => format_unit::admit(unit, data, *command),
        Command::TestUnitReady
        | Command::RequestSense(_)
        | Command::Inquiry(_)
        | Command::ReportTargetPortGroups(_)
        | Command::SetTargetPortGroups(_)
        | Command::ReadCapacity10
        | Command::ReadCapacity16(_)
        | Command::ModeSense(_)
        | Command::ReadDefectData(_)
        | Command::LogSense(_)
        | Command::ReceiveDiagnosticResults(_)
        | Command::SendNoDiagnostic
        | Command::ReportIdentifyingInformation(_)
        | Command::ReportSupportedTaskManagementFunctions(_)
        | Command::ReceiveCopyResults(_)
        | Command::ReportSupportedOperationCodes(_) => {
            Ok(match immediate::query(unit, &command, None) {
                Some(query) => Admission::Ask(query, command),
                None => Admission::End(immediate::execute(unit, &command, data)),
            })
        }
    }
}

/// The commands that a write-protected medium refuses, before anything of their data is looked at.
const fn changes_medium(command: &Command) -> bool {
    matches!(
        command,
        Command::Write(_)
            | Command::WriteAndVerify(_)
            | Command::CompareAndWrite(_)
            | Command::OrWrite(_)
            | Command::WriteAtomic(_)
            | Command::WriteLong(_)
            | Command::WriteSame(_)
            | Command::Unmap(_)
            | Command::Sanitize(_)
            | Command::FormatUnit(_)
    )
}

/// A command that waits for its blocks, then for its lane.
fn claiming(
    unit: &mut LogicalUnit,
    command: &Command,
    exec: Exec,
    range: LbaRange,
    access: Access,
    data: &Buffer,
) -> Admission {
    let known = unit.bytes_in(range) <= limits::METADATA_BYTES_MAX
        && unit.seen_metadata.look(command, range.start(), data);
    let lane = lane_of(command, range, &unit.config.metadata, known);
    Admission::Run { exec, claim: Some((range, access)), lane }
}

/// Compares what the CDB says goes over the wire with what the transport brought.
///
/// Data-In may be shorter or longer than the CDB says: what there is room for is sent, and a
/// transport that can reports the residual. Data-Out may be longer, and the rest is ignored; if it
/// is shorter, nothing is executed, since part of what should be written is not there. COMPARE AND
/// WRITE takes no other length than its own: its second half would start elsewhere. Nor does WRITE
/// SAME: whoever sends two blocks to be repeated does not mean the first.
///
/// # Errors
/// 05h/0Eh/03h INVALID FIELD IN COMMAND INFORMATION UNIT, what LIO itself answers: it is the
/// transport's information unit that contradicts the CDB. 05h/1Ah/00h for a parameter list, and
/// 05h/24h/00h for COMPARE AND WRITE, pointing at NUMBER OF LOGICAL BLOCKS, since a count that does
/// not fit into that byte shows only here.
fn check_data(unit: &LogicalUnit, command: &Command, data: &Buffer) -> Result<(), Sense> {
    let brought = data.len() as u64;
    match command.data_length(unit.geometry.block_length) {
        DataLength::None | DataLength::In(_) | DataLength::InUpTo(_) => Ok(()),
        DataLength::Out(claimed) if matches!(command, Command::CompareAndWrite(_)) => {
            if brought == claimed {
                Ok(())
            } else {
                Err(scsi::CompareAndWrite::INVALID_BLOCK_COUNT)
            }
        }
        DataLength::Out(claimed) => {
            let repeated = matches!(command, Command::WriteSame(_));
            if brought == claimed || (brought > claimed && !repeated) {
                return Ok(());
            }
            let asc = Asc::INVALID_FIELD_IN_COMMAND_INFORMATION_UNIT;
            Err(Sense::new(SenseKey::IllegalRequest, asc))
        }
        DataLength::ParameterList(claimed) if brought < claimed => {
            Err(Sense::new(SenseKey::IllegalRequest, Asc::PARAMETER_LIST_LENGTH_ERROR))
        }
        DataLength::ParameterList(_) => Ok(()),
    }
}

/// The blocks of a command that moves them over the wire.
///
/// # Errors
/// 05h/21h/00h, or 05h/24h/00h above MAXIMUM TRANSFER LENGTH.
fn transfer_range(unit: &LogicalUnit, extent: Extent) -> Result<Option<LbaRange>, Sense> {
    let range = unit.range_of(extent)?;
    if extent.blocks > unit.transfer_blocks_max() {
        return Err(INVALID_BLOCK_COUNT);
    }
    Ok(range)
}

/// The blocks of a WRITE SAME; none of them stand for the rest of the medium, unless WSNZ is set.
///
/// # Errors
/// 05h/21h/00h, or 05h/24h/00h above MAXIMUM WRITE SAME LENGTH.
fn write_same_range(unit: &LogicalUnit, extent: Extent) -> Result<LbaRange, Sense> {
    let range = match unit.write_same_non_zero() {
        true => unit.range_of(extent)?.ok_or(INVALID_BLOCK_COUNT)?,
        false => unit.range_to_end(extent)?,
    };
    if range.blocks() > unit.write_same_blocks_max() {
        return Err(INVALID_BLOCK_COUNT);
    }
    Ok(range)
}

fn piece_blocks(unit: &LogicalUnit) -> BlockCount {
    unit.blocks_in(limits::PIECE_BYTES as u64)
}

/// The blocks an UNMAP names, in its order.
///
/// # Errors
/// What is wrong with the list; 05h/21h/00h if it names blocks that do not exist.
fn unmap_ranges(unit: &LogicalUnit, data: &Buffer, length: u16) -> Result<Vec<LbaRange>, Sense> {
    let mut list = vec![0; usize::from(length)];
    data.read_at(0, &mut list);
    let list = UnmapList::parse(&list, &unit.block_limits())?;
    let mut ranges = Vec::with_capacity(list.extents().len());
    for extent in list.extents() {
        // An empty descriptor unmaps nothing and need not name a block that exists.
        if !extent.blocks.is_zero() {
            ranges.extend(unit.range_of(extent)?);
        }
    }
    Ok(ranges)
}
