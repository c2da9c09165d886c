//! Block Device Characteristics (B1h): what the medium is made of, and how it reads after SANITIZE.

use super::{VpdPage, encode_page};

/// The Block Device Characteristics page. SANITIZE has CRYPTOGRAPHIC ERASE, and blocks are read as
/// usual after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockDeviceCharacteristics {
    /// MEDIUM ROTATION RATE: [`Self::RATE_NOT_REPORTED`], [`Self::NON_ROTATING`], or revolutions a
    /// minute from 0401h on.
    pub medium_rotation_rate: u16,
    /// Whether SANITIZE has BLOCK ERASE; blocks are read as usual after it (WABEREQ).
    pub block_erase: bool,
}

/// WABEREQ 01b: no write is required after a block erase.
const READS_AFTER_BLOCK_ERASE: u8 = 0x40;
/// WACEREQ 01b: no write is required after a cryptographic erase.
const READS_AFTER_CRYPTOGRAPHIC_ERASE: u8 = 0x10;

impl BlockDeviceCharacteristics {
    /// The medium's rotation rate is not reported.
    pub const RATE_NOT_REPORTED: u16 = 0;
    /// The medium does not rotate; ESXi lists it as flash.
    pub const NON_ROTATING: u16 = 1;

    /// Appends the page to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_page(VpdPage::BlockDeviceCharacteristics, out, |out| {
            out.extend_from_slice(&self.medium_rotation_rate.to_be_bytes());
            // Product type, form factor, zones: not indicated.
            let block_erase = if self.block_erase { READS_AFTER_BLOCK_ERASE } else { 0 };
            out.extend_from_slice(&[0, block_erase | READS_AFTER_CRYPTOGRAPHIC_ERASE]);
            out.extend_from_slice(&[0; 56]);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_64_bytes() {
        let mut out = Vec::new();
        BlockDeviceCharacteristics {
            medium_rotation_rate: BlockDeviceCharacteristics::NON_ROTATING,
            block_erase: true,
        }
        .encode(&mut out);
        assert_eq!(out[..8], [0, 0xb1, 0, 0x3c, 0, 1, 0, 0x50]);
        assert_eq!(out[8..], [0; 56]);
    }
}
