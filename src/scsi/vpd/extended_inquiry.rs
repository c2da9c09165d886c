//! Extended INQUIRY Data (86h).

use super::{VpdPage, encode_page};

/// The Extended INQUIRY Data page.
///
/// No protection information, no groups, no priorities. Of the task attributes only SIMPLE is
/// claimed: TCMU does not tell the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedInquiryData {
    /// V_SUP: there may be a volatile write cache.
    pub volatile_cache: bool,
}

const SIMPSUP: u8 = 0x01;
/// WU_SUP: WRITE LONG marks blocks.
const WU_SUP: u8 = 0x08;
const V_SUP: u8 = 0x01;

impl ExtendedInquiryData {
    /// Appends the page to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_page(VpdPage::ExtendedInquiryData, out, |out| {
            let cache = if self.volatile_cache { V_SUP } else { 0 };
            out.extend_from_slice(&[0, SIMPSUP, WU_SUP | cache]);
            // Microcode, self-test times, copy and sense features: nothing to say.
            out.extend_from_slice(&[0; 57]);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_64_bytes() {
        for (volatile_cache, byte) in [(false, 0x08), (true, 0x09)] {
            let mut out = Vec::new();
            ExtendedInquiryData { volatile_cache }.encode(&mut out);
            assert_eq!(out[..7], [0, 0x86, 0, 0x3c, 0, 1, byte]);
            assert_eq!(out[7..], [0; 57]);
        }
    }
}
