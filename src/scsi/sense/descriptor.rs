//! Descriptor format sense data, response code 72h (SPC-4 4.5.2).

use super::{Asc, HEADER_LENGTH, SENSE_BUFFER_LENGTH, Sense, SenseKey, counted};

/// Response code: current information, descriptor format.
const RESPONSE_CODE: u8 = 0x72;
/// VALID, in the first byte after the header of an information descriptor.
const VALID: u8 = 0x80;

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

/// Descriptors that are unknown, or of another length than the standard has for them, are passed over.
pub(super) fn decode(bytes: &[u8]) -> Option<Sense> {
    let [_, key, asc, ascq, _, _, _, _, descriptors @ ..] = counted(bytes)? else {
        return None;
    };
    let mut sense = Sense::new(SenseKey::from_u8(key & 0x0f)?, Asc::new(*asc, *ascq));
    let mut rest = descriptors;
    while let [kind, length, after @ ..] = rest {
        let Some((body, after)) = after.split_at_checked((*length).into()) else { break };
        match (kind, body) {
            (0x00, [flags, _, information @ ..]) if flags & VALID != 0 => {
                let information = information.try_into().ok().map(u64::from_be_bytes);
                sense.information = information.or(sense.information);
            }
            (0x01, [_, _, _, _, _, _, _, _, high, low]) if sense.key == SenseKey::CopyAborted => {
                sense.segment = Some(u16::from_be_bytes([*high, *low]));
            }
            (0x02, [_, _, first, second, third, ..]) => {
                sense = sense.with_sense_key_specific([*first, *second, *third]);
            }
            _ => {}
        }
        rest = after;
    }
    Some(sense)
}
