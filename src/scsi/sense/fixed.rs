//! Fixed format sense data, response code 70h (SPC-4 4.5.3).

use super::{Asc, SENSE_BUFFER_LENGTH, Sense, SenseKey, counted};
use crate::field::{Bits, Number};

/// Response code: current information, fixed format.
const RESPONSE_CODE: u8 = 0x70;
/// VALID: INFORMATION means something.
const VALID: u8 = 0x80;
const SENSE_KEY: Bits = Bits::new(2, 3, 0);
const INFORMATION: Number<4> = Number::at(3);
/// The third and fourth byte of COMMAND-SPECIFIC INFORMATION.
const SEGMENT: Number<2> = Number::at(10);
const ASC: Number<1> = Number::at(12);
const ASCQ: Number<1> = Number::at(13);
const SENSE_KEY_SPECIFIC: [Number<1>; 3] = [Number::at(15), Number::at(16), Number::at(17)];
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

/// Fields that the sense data is too short for are zero, as SPC-4 has it.
pub(super) fn decode(bytes: &[u8]) -> Option<Sense> {
    let bytes = counted(bytes)?;
    let key = SenseKey::from_u8(SENSE_KEY.read(bytes))?;
    let information = (bytes.first()? & VALID != 0).then(|| INFORMATION.read(bytes).into());
    let segment = (key == SenseKey::CopyAborted).then(|| SEGMENT.read(bytes));
    let sense = Sense::new(key, Asc::new(ASC.read(bytes), ASCQ.read(bytes)));
    let sense = sense.with_sense_key_specific(SENSE_KEY_SPECIFIC.map(|byte| byte.read(bytes)));
    Some(Sense { information, segment, ..sense })
}
