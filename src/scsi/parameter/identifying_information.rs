//! REPORT IDENTIFYING INFORMATION parameter data (SPC-4).

use crate::encode::length_prefixed;
use crate::{InformationType, SetIdentifyingInformation};

/// Appends to `out` what is asked for, of a unit that was given `information`.
pub fn encode_identifying_information(
    kind: InformationType,
    information: &[u8],
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(&[0, 0]);
    length_prefixed::<2>(out, |out| match kind {
        InformationType::Peripheral => out.extend_from_slice(information),
        InformationType::SupportedTypes => {
            // Type 0, the peripheral device's, is the only one.
            out.extend_from_slice(&[0, 0]);
            out.extend_from_slice(&SetIdentifyingInformation::LENGTH_MAX.to_be_bytes());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_information_and_its_types() {
        let encoded = |kind| {
            let mut out = Vec::new();
            encode_identifying_information(kind, b"rack 7", &mut out);
            out
        };
        assert_eq!(encoded(InformationType::Peripheral), b"\0\0\0\x06rack 7");
        assert_eq!(encoded(InformationType::SupportedTypes), [0, 0, 0, 4, 0, 0, 2, 0]);
    }
}
