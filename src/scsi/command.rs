//! What a CDB means: [`Command`], and how much data it claims to move.

use pulsefield_units::{BlockCount, BlockLength};

use crate::cdb::Extent;
use crate::cdb::compare_and_write::CompareAndWrite;
use crate::cdb::diagnostic::ReceiveDiagnosticResults;
use crate::cdb::extended_copy::ExtendedCopy;
use crate::cdb::format_unit::FormatUnit;
use crate::cdb::get_lba_status::GetLbaStatus;
use crate::cdb::identifying_information::{
    ReportIdentifyingInformation, SetIdentifyingInformation,
};
use crate::cdb::inquiry::Inquiry;
use crate::cdb::log_select::LogSelect;
use crate::cdb::log_sense::LogSense;
use crate::cdb::mode_select::ModeSelect;
use crate::cdb::mode_sense::ModeSense;
use crate::cdb::or_write::OrWrite;
use crate::cdb::pre_fetch::PreFetch;
use crate::cdb::prevent_allow_medium_removal::PreventAllowMediumRemoval;
use crate::cdb::read::Read;
use crate::cdb::read_capacity::ReadCapacity16;
use crate::cdb::read_defect_data::ReadDefectData;
use crate::cdb::receive_copy_results::ReceiveCopyResults;
use crate::cdb::report_supported_operation_codes::ReportSupportedOperationCodes;
use crate::cdb::report_supported_task_management_functions::ReportSupportedTaskManagementFunctions;
use crate::cdb::report_target_port_groups::ReportTargetPortGroups;
use crate::cdb::request_sense::RequestSense;
use crate::cdb::sanitize::{Sanitize, SanitizeMethod};
use crate::cdb::set_target_port_groups::SetTargetPortGroups;
use crate::cdb::start_stop_unit::StartStopUnit;
use crate::cdb::synchronize_cache::SynchronizeCache;
use crate::cdb::unmap::Unmap;
use crate::cdb::verify::{ByteCheck, Verify};
use crate::cdb::write::{Write, WriteAndVerify};
use crate::cdb::write_atomic::WriteAtomic;
use crate::cdb::write_long::WriteLong;
use crate::cdb::write_same::WriteSame;

/// A CDB that has been understood, whatever its length was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// TEST UNIT READY.
    TestUnitReady,
    /// REQUEST SENSE.
    RequestSense(RequestSense),
    /// INQUIRY.
    Inquiry(Inquiry),
    /// READ CAPACITY (10).
    ReadCapacity10,
    /// READ CAPACITY (16).
    ReadCapacity16(ReadCapacity16),
    /// MODE SENSE (6) and (10).
    ModeSense(ModeSense),
    /// MODE SELECT (6) and (10).
    ModeSelect(ModeSelect),
    /// LOG SELECT.
    LogSelect(LogSelect),
    /// LOG SENSE.
    LogSense(LogSense),
    /// RECEIVE DIAGNOSTIC RESULTS.
    ReceiveDiagnosticResults(ReceiveDiagnosticResults),
    /// SEND DIAGNOSTIC of the default self-test.
    DefaultSelfTest,
    /// SEND DIAGNOSTIC of nothing.
    SendNoDiagnostic,
    /// START STOP UNIT.
    StartStopUnit(StartStopUnit),
    /// PREVENT ALLOW MEDIUM REMOVAL.
    PreventAllowMediumRemoval(PreventAllowMediumRemoval),
    /// FORMAT UNIT.
    FormatUnit(FormatUnit),
    /// SANITIZE with a service action that sanitizes.
    Sanitize(Sanitize),
    /// SANITIZE, EXIT FAILURE MODE.
    ExitSanitizeFailureMode,
    /// READ (6), (10), (12), (16) and (32).
    Read(Read),
    /// WRITE (6), (10), (12), (16) and (32).
    Write(Write),
    /// WRITE AND VERIFY (10), (12), (16) and (32).
    WriteAndVerify(WriteAndVerify),
    /// WRITE ATOMIC (16) and (32).
    WriteAtomic(WriteAtomic),
    /// ORWRITE (16).
    OrWrite(OrWrite),
    /// VERIFY (10), (12), (16) and (32).
    Verify(Verify),
    /// PRE-FETCH (10) and (16).
    PreFetch(PreFetch),
    /// READ DEFECT DATA (10) and (12).
    ReadDefectData(ReadDefectData),
    /// SYNCHRONIZE CACHE (10) and (16).
    SynchronizeCache(SynchronizeCache),
    /// COMPARE AND WRITE.
    CompareAndWrite(CompareAndWrite),
    /// WRITE SAME (10), (16) and (32).
    WriteSame(WriteSame),
    /// WRITE LONG (10) and (16).
    WriteLong(WriteLong),
    /// UNMAP.
    Unmap(Unmap),
    /// GET LBA STATUS.
    GetLbaStatus(GetLbaStatus),
    /// REPORT IDENTIFYING INFORMATION.
    ReportIdentifyingInformation(ReportIdentifyingInformation),
    /// SET IDENTIFYING INFORMATION.
    SetIdentifyingInformation(SetIdentifyingInformation),
    /// EXTENDED COPY (LID1) and (LID4).
    ExtendedCopy(ExtendedCopy),
    /// RECEIVE COPY RESULTS.
    ReceiveCopyResults(ReceiveCopyResults),
    /// REPORT SUPPORTED OPERATION CODES.
    ReportSupportedOperationCodes(ReportSupportedOperationCodes),
    /// REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS.
    ReportSupportedTaskManagementFunctions(ReportSupportedTaskManagementFunctions),
    /// REPORT TARGET PORT GROUPS.
    ReportTargetPortGroups(ReportTargetPortGroups),
    /// SET TARGET PORT GROUPS.
    SetTargetPortGroups(SetTargetPortGroups),
}

/// How many bytes a CDB says go over the wire, to be compared with what the transport brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataLength {
    /// No data in either direction.
    None,
    /// Data-In of exactly that many bytes: blocks of the medium.
    In(u64),
    /// Data-In of at most that many bytes: the allocation length, which cuts off without error.
    InUpTo(u64),
    /// Data-Out of exactly that many bytes: blocks for the medium.
    Out(u64),
    /// Data-Out of exactly that many bytes: a parameter list.
    ParameterList(u64),
}

/// READ CAPACITY (10) has no allocation length; its data has always eight bytes.
const READ_CAPACITY_10_LENGTH: u64 = 8;

impl Command {
    /// The data this command moves on a medium with blocks of `block_length`.
    pub fn data_length(&self, block_length: BlockLength) -> DataLength {
        let bytes = |extent: Extent| bytes(block_length, extent.blocks);
        let in_up_to = |allocation_length: u32| DataLength::InUpTo(allocation_length.into());
        match self {
            Self::TestUnitReady
            | Self::DefaultSelfTest
            | Self::SendNoDiagnostic
            | Self::StartStopUnit(_)
            | Self::PreventAllowMediumRemoval(_)
            | Self::PreFetch(_)
            | Self::ExitSanitizeFailureMode
            | Self::SynchronizeCache(_)
            | Self::WriteLong(_) => DataLength::None,
            Self::RequestSense(command) => in_up_to(command.allocation_length),
            Self::Inquiry(command) => in_up_to(command.allocation_length),
            Self::ReadCapacity10 => DataLength::InUpTo(READ_CAPACITY_10_LENGTH),
            Self::ReadCapacity16(command) => in_up_to(command.allocation_length),
            Self::ModeSense(command) => in_up_to(command.allocation_length),
            Self::ReceiveDiagnosticResults(command) => in_up_to(command.allocation_length),
            Self::LogSense(command) => in_up_to(command.allocation_length),
            Self::LogSelect(command) => {
                DataLength::ParameterList(command.parameter_list_length.into())
            }
            Self::ModeSelect(command) => {
                DataLength::ParameterList(command.parameter_list_length.into())
            }
            // What follows the header, if anything, has its length there.
            Self::FormatUnit(command) => {
                DataLength::ParameterList(command.list.header_length().into())
            }
            Self::Sanitize(command) => match command.method {
                SanitizeMethod::Overwrite { parameter_list_length } => {
                    DataLength::ParameterList(parameter_list_length.into())
                }
                SanitizeMethod::BlockErase | SanitizeMethod::CryptographicErase => DataLength::None,
            },
            Self::Read(command) => DataLength::In(bytes(command.extent)),
            Self::Write(command) => DataLength::Out(bytes(command.extent)),
            Self::WriteAndVerify(command) => DataLength::Out(bytes(command.extent)),
            Self::WriteAtomic(command) => DataLength::Out(bytes(command.extent)),
            Self::OrWrite(command) => DataLength::Out(bytes(command.extent)),
            Self::Verify(command) => match command.byte_check {
                ByteCheck::None => DataLength::None,
                ByteCheck::Compare => DataLength::Out(bytes(command.extent)),
                // One block for all of them; none for none.
                ByteCheck::CompareOne => {
                    DataLength::Out(bytes(command.extent).min(block_length.bytes().into()))
                }
            },
            Self::CompareAndWrite(command) => {
                DataLength::Out(bytes(command.extent).saturating_mul(2))
            }
            Self::WriteSame(command) if command.no_data_out => DataLength::None,
            Self::WriteSame(_) => DataLength::Out(block_length.bytes().into()),
            Self::Unmap(command) => DataLength::ParameterList(command.parameter_list_length.into()),
            Self::GetLbaStatus(command) => in_up_to(command.allocation_length),
            Self::ReadDefectData(command) => in_up_to(command.allocation_length),
            Self::ReportIdentifyingInformation(command) => in_up_to(command.allocation_length),
            Self::SetIdentifyingInformation(command) => {
                DataLength::ParameterList(command.parameter_list_length.into())
            }
            Self::ExtendedCopy(command) => {
                DataLength::ParameterList(command.parameter_list_length.into())
            }
            Self::ReceiveCopyResults(command) => in_up_to(command.allocation_length),
            Self::ReportSupportedOperationCodes(command) => in_up_to(command.allocation_length),
            Self::ReportSupportedTaskManagementFunctions(command) => {
                in_up_to(command.allocation_length)
            }
            Self::ReportTargetPortGroups(command) => in_up_to(command.allocation_length),
            Self::SetTargetPortGroups(command) => {
                DataLength::ParameterList(command.parameter_list_length.into())
            }
        }
    }
}

/// Saturates; no transport carries that much, so the comparison fails as it should. (The longest
/// CDB length field has 32 bits, so it does not come to that.)
fn bytes(block_length: BlockLength, blocks: BlockCount) -> u64 {
    block_length.bytes_of(blocks).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    fn length(cdb: &[u8], block_length: BlockLength) -> DataLength {
        parse_bytes(cdb).unwrap().data_length(block_length)
    }

    #[test]
    fn block_commands_count_blocks() {
        let read = [0x28, 0, 0, 0, 0, 0, 0, 0, 3, 0];
        assert_eq!(length(&read, BlockLength::B512), DataLength::In(1536));
        assert_eq!(length(&read, BlockLength::B4096), DataLength::In(12_288));
        let write = [0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0];
        assert_eq!(length(&write, BlockLength::B4096), DataLength::Out(0xfff_ffff_f000));
        let write_and_verify = [0x2e, 0, 0, 0, 0, 0, 0, 0, 1, 0];
        assert_eq!(length(&write_and_verify, BlockLength::B512), DataLength::Out(512));
    }

    #[test]
    fn compare_and_write_brings_both_halves() {
        let cdb = |blocks| [0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, blocks, 0, 0];
        assert_eq!(length(&cdb(1), BlockLength::B512), DataLength::Out(1024));
        assert_eq!(length(&cdb(255), BlockLength::B4096), DataLength::Out(2_088_960));
        assert_eq!(length(&cdb(0), BlockLength::B512), DataLength::Out(0));
    }

    #[test]
    fn verify_and_write_same_bring_what_their_bits_say() {
        let verify = |bytchk, blocks| {
            length(&[0x2f, bytchk, 0, 0, 0, 0, 0, 0, blocks, 0], BlockLength::B512)
        };
        assert_eq!(verify(0x00, 9), DataLength::None);
        assert_eq!(verify(0x02, 9), DataLength::Out(9 * 512));
        assert_eq!(verify(0x06, 9), DataLength::Out(512));
        assert_eq!(verify(0x06, 0), DataLength::Out(0));
        let write_same = |bits| {
            let cdb = [0x93, bits, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0];
            length(&cdb, BlockLength::B4096)
        };
        assert_eq!(write_same(0x00), DataLength::Out(4096));
        assert_eq!(write_same(0x01), DataLength::None);
    }

    #[test]
    fn parameter_lists_and_parameter_data_have_their_own_lengths() {
        let unmap = [0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0];
        assert_eq!(length(&unmap, BlockLength::B512), DataLength::ParameterList(24));
        let inquiry = [0x12, 0, 0, 0, 96, 0];
        assert_eq!(length(&inquiry, BlockLength::B512), DataLength::InUpTo(96));
        assert_eq!(
            length(&[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], BlockLength::B512),
            DataLength::InUpTo(8)
        );
    }
}
