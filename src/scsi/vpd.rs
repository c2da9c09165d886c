//! Vital product data: one file per page (SPC-4 and SBC-4, Vital product data parameters).
//!
//! Each page is a struct with an `encode` that appends the whole page, header included. The
//! fields of a struct are what differs between logical units; what holds for all of them stands
//! in `encode`.

mod block_device_characteristics;
mod block_limits;
mod device_identification;
mod extended_inquiry;
mod logical_block_provisioning;
mod power_condition;
mod supported_pages;
mod third_party_copy;
mod unit_serial_number;

pub use block_device_characteristics::BlockDeviceCharacteristics;
pub use block_limits::BlockLimits;
pub use device_identification::DeviceIdentification;
pub use extended_inquiry::ExtendedInquiryData;
pub use logical_block_provisioning::{LogicalBlockProvisioning, ProvisioningType};
pub use power_condition::PowerConditionPage;
pub use supported_pages::SupportedVpdPages;
pub use third_party_copy::ThirdPartyCopy;
pub use unit_serial_number::UnitSerialNumber;

use crate::encode::length_prefixed;
use crate::parameter::DIRECT_ACCESS_BLOCK_DEVICE;

/// The pages that are served; INQUIRY of any other is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum VpdPage {
    /// Supported VPD Pages: [`SupportedVpdPages`].
    SupportedVpdPages = 0x00,
    /// Unit Serial Number: [`UnitSerialNumber`].
    UnitSerialNumber = 0x80,
    /// Device Identification: [`DeviceIdentification`].
    DeviceIdentification = 0x83,
    /// Extended INQUIRY Data: [`ExtendedInquiryData`].
    ExtendedInquiryData = 0x86,
    /// Power Condition: [`PowerConditionPage`].
    PowerCondition = 0x8a,
    /// Third-party Copy: [`ThirdPartyCopy`].
    ThirdPartyCopy = 0x8f,
    /// Block Limits: [`BlockLimits`].
    BlockLimits = 0xb0,
    /// Block Device Characteristics: [`BlockDeviceCharacteristics`].
    BlockDeviceCharacteristics = 0xb1,
    /// Logical Block Provisioning: [`LogicalBlockProvisioning`].
    LogicalBlockProvisioning = 0xb2,
}

impl VpdPage {
    /// All of them, in ascending order of their codes.
    pub const ALL: [Self; 9] = [
        Self::SupportedVpdPages,
        Self::UnitSerialNumber,
        Self::DeviceIdentification,
        Self::ExtendedInquiryData,
        Self::PowerCondition,
        Self::ThirdPartyCopy,
        Self::BlockLimits,
        Self::BlockDeviceCharacteristics,
        Self::LogicalBlockProvisioning,
    ];

    /// PAGE CODE.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The page with this PAGE CODE, if it is served.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|page| page.code() == code)
    }
}

/// Appends the page's header and what `body` appends.
fn encode_page(page: VpdPage, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[DIRECT_ACCESS_BLOCK_DEVICE, page.code()]);
    length_prefixed::<2>(out, body);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_found_by_its_code() {
        for page in VpdPage::ALL {
            assert_eq!(VpdPage::from_code(page.code()), Some(page));
        }
        assert_eq!(VpdPage::from_code(0xc0), None);
    }
}
