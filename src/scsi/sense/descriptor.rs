//! Descriptor format sense data, response code 72h (SPC-4 4.5.2).

use super::{SENSE_BUFFER_LENGTH, Sense};

/// Response code: current information, descriptor format.
const RESPONSE_CODE: u8 = 0x72;
const HEADER_LENGTH: usize = 8;

pub(super) fn encode(sense: &Sense, out: &mut [u8; SENSE_BUFFER_LENGTH]) -> usize {
    let [asc, ascq] = sense.asc.to_be_bytes();
    let information = sense.information.map(information);
    let segment = sense.segment.map(command_specific_information);
    let specific = sense.sense_key_specific().map(sense_key_specific);
    let descriptors = information.iter().chain(segment.iter()).flatten();
    let descriptors = descriptors.chain(specific.iter().flatten()).copied();

    [out[0], out[1], out[2], out[3]] = [RESPONSE_CODE, sense.key.as_u8(), asc, ascq];
    let mut additional: u8 = 0;
    for (to, from) in out.iter_mut().skip(HEADER_LENGTH).zip(descriptors) {
        *to = from;
        additional = additional.saturating_add(1);
    }
    out[7] = additional;
    HEADER_LENGTH.saturating_add(usize::from(additional))
}

/// The information sense data descriptor (SPC-4 4.5.2.2), VALID set.
fn information(information: u64) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h] = information.to_be_bytes();
    [0x00, 0x0a, 0x80, 0, a, b, c, d, e, f, g, h]
}

/// The command specific information sense data descriptor (SPC-4 4.5.2.3) with the number of a
/// segment descriptor where the four bytes of fixed format sense data have it.
const fn command_specific_information(segment: u16) -> [u8; 12] {
    let [high, low] = segment.to_be_bytes();
    [0x01, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, high, low]
}

/// The sense-key specific sense data descriptor (SPC-4 4.5.2.4).
const fn sense_key_specific([flags, high, low]: [u8; 3]) -> [u8; 8] {
    [0x02, 0x06, 0, 0, flags, high, low, 0]
}
