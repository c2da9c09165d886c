//! Logical Block Provisioning (B2h): how space is given back, and what is read afterwards.

use super::{VpdPage, encode_page};

/// Whether blocks have space of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ProvisioningType {
    /// Fully provisioned, or not reported.
    Full = 0,
    /// Every block has its space when it is written (resource provisioned).
    Resource = 1,
    /// There may be less space than blocks (thin provisioned).
    Thin = 2,
}

/// The Logical Block Provisioning page. Blocks are never anchored (ANC_SUP = 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogicalBlockProvisioning {
    /// THRESHOLD EXPONENT: threshold sets have 2^n blocks; 0 if there are no thresholds.
    pub threshold_exponent: u8,
    /// LBPU: UNMAP gives space back.
    pub unmap: bool,
    /// LBPWS: so does WRITE SAME (16) with UNMAP = 1.
    pub write_same_16: bool,
    /// LBPWS10: so does WRITE SAME (10) with UNMAP = 1.
    pub write_same_10: bool,
    /// LBPRZ = 001b: unmapped blocks read as zeros.
    pub reads_zeros: bool,
    /// PROVISIONING TYPE.
    pub provisioning_type: ProvisioningType,
}

const LBPU: u8 = 0x80;
const LBPWS: u8 = 0x40;
const LBPWS10: u8 = 0x20;
const LBPRZ_ZEROS: u8 = 0x04;

impl LogicalBlockProvisioning {
    /// Appends the page to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let flags = [
            (self.unmap, LBPU),
            (self.write_same_16, LBPWS),
            (self.write_same_10, LBPWS10),
            (self.reads_zeros, LBPRZ_ZEROS),
        ];
        let flags = flags.iter().filter(|(set, _)| *set).fold(0, |byte, (_, bit)| byte | bit);
        encode_page(VpdPage::LogicalBlockProvisioning, out, |out| {
            // No MINIMUM PERCENTAGE, no THRESHOLD PERCENTAGE.
            let provisioning_type = self.provisioning_type as u8;
            out.extend_from_slice(&[self.threshold_exponent, flags, provisioning_type, 0]);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: LogicalBlockProvisioning = LogicalBlockProvisioning {
        threshold_exponent: 0,
        unmap: false,
        write_same_16: false,
        write_same_10: false,
        reads_zeros: false,
        provisioning_type: ProvisioningType::Full,
    };

    fn encoded(page: LogicalBlockProvisioning) -> Vec<u8> {
        let mut out = Vec::new();
        page.encode(&mut out);
        out
    }

    #[test]
    fn thick_and_thin() {
        assert_eq!(encoded(FULL), [0, 0xb2, 0, 4, 0, 0, 0, 0]);
        let thin = LogicalBlockProvisioning {
            threshold_exponent: 11,
            unmap: true,
            write_same_16: true,
            write_same_10: true,
            reads_zeros: true,
            provisioning_type: ProvisioningType::Thin,
        };
        assert_eq!(encoded(thin), [0, 0xb2, 0, 4, 11, 0xe4, 2, 0]);
    }

    #[test]
    fn every_flag_is_a_bit_of_its_own() {
        assert_eq!(encoded(LogicalBlockProvisioning { unmap: true, ..FULL })[5], 0x80);
        assert_eq!(encoded(LogicalBlockProvisioning { write_same_16: true, ..FULL })[5], 0x40);
        assert_eq!(encoded(LogicalBlockProvisioning { write_same_10: true, ..FULL })[5], 0x20);
        assert_eq!(encoded(LogicalBlockProvisioning { reads_zeros: true, ..FULL })[5], 0x04);
    }
}
