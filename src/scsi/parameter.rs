//! The data that goes with commands: parameter data that is answered, parameter lists that come.
//!
//! VPD pages and mode pages have modules of their own.

mod ascii;
mod copy_results;
mod defect_list;
mod diagnostic_pages;
mod extended_copy;
mod format_parameters;
mod identifying_information;
mod inquiry;
mod lba_status;
mod overwrite;
mod read_capacity;
mod set_target_port_groups;
mod supported_operation_codes;
mod target_port_groups;
mod task_management_functions;
mod unmap;

pub use ascii::Ascii;
pub use copy_results::{CopyLimits, CopyState, CopyStatus};
pub use defect_list::encode_empty_defect_list;
pub use diagnostic_pages::encode_supported_diagnostic_pages;
pub use extended_copy::{
    COPY_DESCRIPTOR_TYPES, CSCD_ID_SELF, CopyAmount, CscdDescriptor, ExtendedCopyList, ListIdUsage,
    SegmentDescriptor,
};
pub use format_parameters::FormatParameters;
pub use identifying_information::encode_identifying_information;
pub use inquiry::{InquiryData, TargetPortGroupSupport};
pub use lba_status::{LbaStatus, ProvisioningStatus, encode_lba_status, first_lba_status};
pub use overwrite::Overwrite;
pub use read_capacity::ReadCapacityData;
pub use set_target_port_groups::{SetTargetPortGroup, SetTargetPortGroupsList};
pub use supported_operation_codes::encode_supported_operation_codes;
pub use target_port_groups::{
    AccessState, AccessStates, TargetPortGroup, encode_target_port_groups,
};
pub use task_management_functions::encode_task_management_functions;
pub use unmap::UnmapList;

/// PERIPHERAL QUALIFIER 000b, PERIPHERAL DEVICE TYPE 00h: a disk, and it is connected.
pub(crate) const DIRECT_ACCESS_BLOCK_DEVICE: u8 = 0x00;
