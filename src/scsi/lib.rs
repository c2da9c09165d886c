//! SCSI as bytes and as meaning: CDBs, status and sense, VPD and mode pages, parameter data.
//!
//! Floor 1: `units` only. No I/O, no threads, no clock, no state; parsing allocates nothing, and
//! encoders append to a `Vec` that the caller keeps. On the way in, [`parse`] turns a CDB into a
//! [`Command`], or into the [`Sense`] that tells the initiator which field was wrong; `parameter`
//! reads the parameter lists that some commands bring, `mode_page` and `log_page` those of their own. On the way out, `parameter`, `vpd`,
//! `mode_page` and `log_page` write whole answers; cutting them off at the allocation length is the caller's part.
//!
//! `opcode` holds the one table of commands: parsing, CDB lengths, and REPORT SUPPORTED OPERATION
//! CODES all read it.
//!
//! Standards: SPC-4, SBC-4, SAM-5. **Reserved and obsolete bits are ignored**, as SPC-4 allows
//! and LIO does. Refused is what was asked for and cannot be done: a defined field with a value that
//! is not served, NACA = 1, protection information.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod cdb;
mod command;
mod encode;
mod field;
pub mod log_page;
pub mod mode_page;
pub mod opcode;
pub mod parameter;
mod sense;
mod status;
#[cfg(test)]
mod testing;
pub mod vpd;

pub use cdb::Extent;
pub use cdb::compare_and_write::CompareAndWrite;
pub use cdb::diagnostic::ReceiveDiagnosticResults;
pub use cdb::extended_copy::{ExtendedCopy, ListIdentifierForm};
pub use cdb::format_unit::{FormatList, FormatUnit};
pub use cdb::get_lba_status::GetLbaStatus;
pub use cdb::identifying_information::{
    InformationType, ReportIdentifyingInformation, SetIdentifyingInformation,
};
pub use cdb::inquiry::Inquiry;
pub use cdb::log_select::LogSelect;
pub use cdb::log_sense::LogSense;
pub use cdb::mode_select::ModeSelect;
pub use cdb::mode_sense::{ModeForm, ModeSense, PageControl};
pub use cdb::or_write::OrWrite;
pub use cdb::pre_fetch::PreFetch;
pub use cdb::prevent_allow_medium_removal::PreventAllowMediumRemoval;
pub use cdb::read::Read;
pub use cdb::read_capacity::ReadCapacity16;
pub use cdb::read_defect_data::{DefectListHeader, ReadDefectData};
pub use cdb::receive_copy_results::{CopyResults, ReceiveCopyResults};
pub use cdb::report_supported_operation_codes::{ReportSupportedOperationCodes, Selection};
pub use cdb::report_supported_task_management_functions::ReportSupportedTaskManagementFunctions;
pub use cdb::report_target_port_groups::ReportTargetPortGroups;
pub use cdb::request_sense::RequestSense;
pub use cdb::sanitize::{Sanitize, SanitizeMethod};
pub use cdb::set_target_port_groups::SetTargetPortGroups;
pub use cdb::start_stop_unit::{PowerCondition, StartStopUnit, UnitChange};
pub use cdb::synchronize_cache::SynchronizeCache;
pub use cdb::unmap::Unmap;
pub use cdb::verify::{ByteCheck, Verify};
pub use cdb::write::{Write, WriteAndVerify};
pub use cdb::write_atomic::WriteAtomic;
pub use cdb::write_long::WriteLong;
pub use cdb::write_same::WriteSame;
pub use command::{Command, DataLength};
pub use opcode::{parse, parse_supported};
pub use sense::{
    Asc, FieldPointer, FieldSource, SENSE_BUFFER_LENGTH, Sense, SenseFormat, SenseKey,
};
pub use status::Status;
