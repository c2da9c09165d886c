//! Commands that need no medium: what the logical unit says about itself.

use pulsefield_data::Buffer;
use pulsefield_scsi::log_page::encode_log_page;
use pulsefield_scsi::parameter::{
    InquiryData, ReadCapacityData, encode_empty_defect_list, encode_identifying_information,
    encode_supported_diagnostic_pages, encode_supported_operation_codes, encode_target_port_groups,
    encode_task_management_functions,
};
use pulsefield_scsi::vpd::{
    BlockDeviceCharacteristics, DeviceIdentification, ExtendedInquiryData,
    LogicalBlockProvisioning, PowerConditionPage, ProvisioningType, SupportedVpdPages,
    ThirdPartyCopy, UnitSerialNumber, VpdPage,
};
use pulsefield_scsi::{Command, DataLength, Inquiry, SENSE_BUFFER_LENGTH, Sense, SenseFormat};

use super::receive_copy_results;
use crate::config::{Designators, Identity, PortGroup, target_port_group_support};
use crate::logical_unit::LogicalUnit;
use crate::outcome::Outcome;
use crate::server::Query;

/// Carries `command` out and puts its data, if it returns any, into `data`.
pub(crate) fn execute(unit: &mut LogicalUnit, command: &Command, data: &mut Buffer) -> Outcome {
    let mut bytes = Vec::new();
    if let Err(sense) = describe(unit, command, &mut bytes) {
        return Outcome::check(sense);
    }
    let allocation_length = match command.data_length(unit.geometry.block_length) {
        DataLength::InUpTo(bytes) => u32::try_from(bytes).unwrap_or(u32::MAX),
        DataLength::None
        | DataLength::In(_)
        | DataLength::Out(_)
        | DataLength::ParameterList(_) => 0,
    };
    answer_with(&bytes, allocation_length, data)
}

/// GOOD with as much of `bytes` as the initiator asked for and has room for.
pub(crate) fn answer_with(bytes: &[u8], allocation_length: u32, data: &mut Buffer) -> Outcome {
    let asked = usize::try_from(allocation_length).unwrap_or(usize::MAX);
    let sent = bytes.len().min(asked).min(data.len());
    data.write_at(0, &bytes[..sent]);
    Outcome::data(sent)
}

/// What has to be found out before `command` can be answered, if anything; `answered` was found out
/// for it last.
///
/// Names never change. Whether groups can be set hardly does, so what was heard last will do for it;
/// states and ports do change, and are asked for each time.
pub(crate) fn query(
    unit: &LogicalUnit,
    command: &Command,
    answered: Option<Query>,
) -> Option<Query> {
    let groups = (answered != Some(Query::PortGroups)).then_some(Query::PortGroups);
    let names = unit.identity.is_none().then_some(Query::Identity);
    let Command::Inquiry(inquiry) = command else {
        let about_groups =
            matches!(command, Command::ReportTargetPortGroups(_) | Command::SetTargetPortGroups(_));
        return groups.filter(|_| about_groups);
    };
    match inquiry.vpd_page {
        None => groups.filter(|_| unit.port_groups.is_none()),
        Some(VpdPage::UnitSerialNumber) => names,
        Some(VpdPage::DeviceIdentification) => names.or(groups),
        Some(_) => None,
    }
}

/// The one group that all ports are in. TCMU does not tell by which port a command came, so of
/// several groups with ports none can be named.
fn only_group(groups: &[PortGroup]) -> Option<u16> {
    let mut with_ports = groups.iter().filter(|group| !group.ports.is_empty());
    let only = with_ports.next()?;
    with_ports.next().is_none().then_some(only.id)
}

/// The one port there is.
fn only_port(groups: &[PortGroup]) -> Option<u16> {
    let mut ports = groups.iter().flat_map(|group| &group.ports);
    let only = ports.next()?;
    ports.next().is_none().then_some(*only)
}

fn describe(unit: &mut LogicalUnit, command: &Command, out: &mut Vec<u8>) -> Result<(), Sense> {
    match command {
        Command::RequestSense(request) => {
            let sense = unit.attentions.take().unwrap_or_else(|| unit.pollable_sense());
            let format =
                if request.descriptor { SenseFormat::Descriptor } else { SenseFormat::Fixed };
            let mut bytes = [0; SENSE_BUFFER_LENGTH];
            let used = sense.encode(format, &mut bytes);
            out.extend_from_slice(&bytes[..used]);
        }
        Command::Inquiry(inquiry) => describe_unit(unit, *inquiry, out),
        Command::ReadCapacity10 => read_capacity(unit).encode_10(out),
        Command::ReadCapacity16(_) => read_capacity(unit).encode_16(out),
        Command::ModeSense(mode_sense) => unit.mode_parameters().encode(mode_sense, out)?,
        Command::ReadDefectData(command) => encode_empty_defect_list(*command, out),
        Command::ReceiveDiagnosticResults(_) => encode_supported_diagnostic_pages(out),
        Command::LogSense(log_sense) => {
            let resources = unit.provisioning_resources();
            encode_log_page(log_sense, &unit.statistics, resources.as_ref(), out)?;
        }
        Command::ReportIdentifyingInformation(report) => {
            let information = &unit.saved.identifying_information;
            encode_identifying_information(report.information, information, out);
        }
        Command::ReportSupportedTaskManagementFunctions(report) => {
            encode_task_management_functions(report.extended, out);
        }
        Command::ReportSupportedOperationCodes(report) => {
            let supported = |opcode, action| unit.supports(opcode, action);
            let (selection, timeouts) = (report.selection, report.return_timeouts);
            encode_supported_operation_codes(selection, timeouts, supported, out)?;
        }
        Command::ReportTargetPortGroups(report) => {
            let groups = unit.known_port_groups().iter().map(PortGroup::describe);
            let groups: Vec<_> = groups.collect();
            encode_target_port_groups(report.extended_header.then_some(0), &groups, out);
        }
        Command::ReceiveCopyResults(receive) => {
            receive_copy_results::describe(unit, *receive, out)?;
        }
        Command::TestUnitReady
        | Command::SendNoDiagnostic
        | Command::DefaultSelfTest
        | Command::LogSelect(_)
        | Command::ModeSelect(_)
        | Command::SetIdentifyingInformation(_)
        | Command::StartStopUnit(_)
        | Command::PreventAllowMediumRemoval(_)
        | Command::FormatUnit(_)
        | Command::Sanitize(_)
        | Command::ExitSanitizeFailureMode
        | Command::Read(_)
        | Command::Write(_)
        | Command::WriteAndVerify(_)
        | Command::WriteAtomic(_)
        | Command::OrWrite(_)
        | Command::Verify(_)
        | Command::PreFetch(_)
        | Command::SynchronizeCache(_)
        | Command::CompareAndWrite(_)
        | Command::WriteSame(_)
        | Command::WriteLong(_)
        | Command::Unmap(_)
        | Command::ExtendedCopy(_)
        | Command::GetLbaStatus(_)
        | Command::SetTargetPortGroups(_) => {}
    }
    Ok(())
}

/// INQUIRY: standard data, or one vital product data page.
fn describe_unit(unit: &LogicalUnit, inquiry: Inquiry, out: &mut Vec<u8>) {
    let nameless = Identity::new(String::new());
    let identity = unit.identity.as_ref().unwrap_or(&nameless);
    match inquiry.vpd_page {
        None => InquiryData {
            vendor: unit.config.vendor,
            product: unit.config.product,
            revision: unit.config.revision,
            target_port_group_support: target_port_group_support(unit.known_port_groups()),
            removable: unit.config.removable,
            third_party_copy: true,
        }
        .encode(out),
        Some(VpdPage::SupportedVpdPages) => SupportedVpdPages.encode(out),
        Some(VpdPage::UnitSerialNumber) => {
            UnitSerialNumber { serial: identity.unit_serial() }.encode(out);
        }
        Some(VpdPage::DeviceIdentification) => DeviceIdentification {
            relative_target_port: only_port(unit.known_port_groups()),
            target_port_group: only_group(unit.known_port_groups()),
            ..Designators::new(identity, &unit.config).page()
        }
        .encode(out),
        Some(VpdPage::ExtendedInquiryData) => {
            ExtendedInquiryData { volatile_cache: unit.capabilities.write_cache }.encode(out);
        }
        Some(VpdPage::PowerCondition) => PowerConditionPage.encode(out),
        Some(VpdPage::ThirdPartyCopy) => ThirdPartyCopy { limits: unit.copy_limits() }.encode(out),
        Some(VpdPage::BlockLimits) => unit.block_limits().encode(out),
        Some(VpdPage::BlockDeviceCharacteristics) => {
            let medium_rotation_rate = unit.config.medium_rotation_rate;
            let block_erase = unit.thin();
            BlockDeviceCharacteristics { medium_rotation_rate, block_erase }.encode(out);
        }
        Some(VpdPage::LogicalBlockProvisioning) => {
            let thin = unit.thin();
            LogicalBlockProvisioning {
                threshold_exponent: unit.threshold_exponent(),
                unmap: thin,
                write_same_16: thin,
                write_same_10: thin,
                reads_zeros: thin,
                provisioning_type: match thin {
                    true => ProvisioningType::Thin,
                    false => ProvisioningType::Full,
                },
            }
            .encode(out);
        }
    }
}

/// What READ CAPACITY tells of the unit.
pub(crate) fn read_capacity(unit: &LogicalUnit) -> ReadCapacityData {
    let thin = unit.thin();
    ReadCapacityData {
        blocks: unit.geometry.blocks,
        block_length: unit.geometry.block_length,
        physical_block_exponent: unit.physical_block_exponent(),
        lowest_aligned_lba: unit.lowest_aligned_lba(),
        provisioning_managed: thin,
        reads_zeros: thin,
    }
}

#[cfg(test)]
mod tests;
