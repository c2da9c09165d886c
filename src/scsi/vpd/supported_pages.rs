//! Supported VPD Pages (00h): which pages there are.

use super::{VpdPage, encode_page};

/// The Supported VPD Pages page: [`VpdPage::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupportedVpdPages;

impl SupportedVpdPages {
    /// Appends the page to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_page(VpdPage::SupportedVpdPages, out, |out| {
            out.extend(VpdPage::ALL.map(VpdPage::code));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_ascend() {
        let mut out = Vec::new();
        SupportedVpdPages.encode(&mut out);
        assert_eq!(out, [0, 0x00, 0, 9, 0x00, 0x80, 0x83, 0x86, 0x8a, 0x8f, 0xb0, 0xb1, 0xb2]);
        assert!(out[4..].is_sorted());
    }
}
