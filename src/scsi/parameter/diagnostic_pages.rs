//! Diagnostic pages: the one that says that there are no others (SPC-4).

use crate::cdb::diagnostic::SUPPORTED_PAGES;
use crate::encode::length_prefixed;

/// Appends the Supported Diagnostic Pages page to `out`.
pub fn encode_supported_diagnostic_pages(out: &mut Vec<u8>) {
    out.extend_from_slice(&[SUPPORTED_PAGES, 0]);
    length_prefixed::<2>(out, |out| out.push(SUPPORTED_PAGES));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_itself() {
        let mut out = Vec::new();
        encode_supported_diagnostic_pages(&mut out);
        assert_eq!(out, [0x00, 0, 0, 1, 0x00]);
    }
}
