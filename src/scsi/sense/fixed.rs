//! Fixed format sense data, response code 70h (SPC-4 4.5.3).

use super::{SENSE_BUFFER_LENGTH, Sense};

/// Response code: current information, fixed format.
const RESPONSE_CODE: u8 = 0x70;
/// VALID: INFORMATION means something.
const VALID: u8 = 0x80;
const LENGTH: usize = 18;
/// ADDITIONAL SENSE LENGTH: what follows byte 7.
const ADDITIONAL_LENGTH: u8 = 10;

pub(super) fn encode(sense: &Sense, out: &mut [u8; SENSE_BUFFER_LENGTH]) -> usize {
    let information = sense.information.and_then(|information| u32::try_from(information).ok());
    out[0] = RESPONSE_CODE;
    out[2] = sense.key.as_u8();
    if let Some(information) = information {
        out[0] |= VALID;
        [out[3], out[4], out[5], out[6]] = information.to_be_bytes();
    }
    if let Some(segment) = sense.segment {
        [out[8], out[9], out[10], out[11]] = u32::from(segment).to_be_bytes();
    }
    out[7] = ADDITIONAL_LENGTH;
    [out[12], out[13]] = sense.asc.to_be_bytes();
    if let Some(specific) = sense.sense_key_specific() {
        [out[15], out[16], out[17]] = specific;
    }
    LENGTH
}
