//! RECEIVE COPY RESULTS (SPC-4): what is known of copies, and what one may ask for.

use pulsefield_scsi::{CopyResults, ReceiveCopyResults, Sense, SenseFormat};

use crate::copies::CopyReport;
use crate::logical_unit::LogicalUnit;

/// Appends the answer to `out`.
///
/// # Errors
/// 05h/24h/00h for a list identifier that no copy is known by.
pub(crate) fn describe(
    unit: &LogicalUnit,
    receive: ReceiveCopyResults,
    out: &mut Vec<u8>,
) -> Result<(), Sense> {
    let format = match unit.modes.descriptor_sense {
        true => SenseFormat::Descriptor,
        false => SenseFormat::Fixed,
    };
    let find = |list_identifier| {
        unit.copies.find(list_identifier).ok_or(ReceiveCopyResults::UNKNOWN_LIST_IDENTIFIER)
    };
    match receive.results {
        CopyResults::OperatingParameters => unit.copy_limits().encode_operating_parameters(out),
        CopyResults::StatusLid1(id) => find(id.into())?.status.encode_lid1(out),
        CopyResults::FailureDetails(id) => {
            find(id.into())?.status.encode_failure_details(format, out)
        }
        CopyResults::StatusLid4(id) => {
            let CopyReport { status, answered } = find(id)?;
            status.encode_lid4(answered.as_u8(), format, out);
        }
    }
    Ok(())
}
