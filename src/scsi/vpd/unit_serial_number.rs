//! Unit Serial Number (80h).

use super::{VpdPage, encode_page};

/// The Unit Serial Number page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitSerialNumber<'a> {
    /// PRODUCT SERIAL NUMBER: printable ASCII.
    pub serial: &'a str,
}

impl UnitSerialNumber<'_> {
    /// Appends the page to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_page(VpdPage::UnitSerialNumber, out, |out| {
            out.extend_from_slice(self.serial.as_bytes());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serial_number_stands_as_it_is() {
        let mut out = Vec::new();
        UnitSerialNumber { serial: "7c2f" }.encode(&mut out);
        assert_eq!(out, b"\x00\x80\x00\x047c2f");
    }
}
