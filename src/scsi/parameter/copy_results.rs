//! What RECEIVE COPY RESULTS answers (SPC-4, RECEIVE COPY STATUS, RECEIVE COPY OPERATING PARAMETERS,
//! RECEIVE COPY FAILURE DETAILS), and the limits that the Third-party Copy page repeats.

use super::extended_copy::COPY_DESCRIPTOR_TYPES;
use crate::encode::length_prefixed;
use crate::{SENSE_BUFFER_LENGTH, Sense, SenseFormat};

/// What one EXTENDED COPY may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyLimits {
    /// MAXIMUM CSCD DESCRIPTOR COUNT.
    pub cscd_descriptors_max: u16,
    /// MAXIMUM SEGMENT DESCRIPTOR COUNT.
    pub segment_descriptors_max: u16,
    /// MAXIMUM DESCRIPTOR LIST LENGTH: bytes of all descriptors together.
    pub descriptor_list_bytes_max: u32,
    /// MAXIMUM SEGMENT LENGTH: bytes that one segment may write.
    pub segment_bytes_max: u32,
    /// TOTAL CONCURRENT COPIES, and as many of them with a list identifier.
    pub concurrent_copies_max: u16,
    /// DATA SEGMENT GRANULARITY: a segment is a multiple of 2^n bytes.
    pub granularity_exponent: u8,
}

/// MAXIMUM CONCURRENT COPIES has one byte, TOTAL CONCURRENT COPIES two.
fn in_one_byte(count: u16) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}

impl CopyLimits {
    /// Appends the RECEIVE COPY OPERATING PARAMETERS parameter data.
    pub fn encode_operating_parameters(&self, out: &mut Vec<u8>) {
        length_prefixed::<4>(out, |out| {
            // SNLID: a copy that nothing is asked about needs no list identifier.
            out.extend_from_slice(&[0x01, 0, 0, 0]);
            out.extend_from_slice(&self.cscd_descriptors_max.to_be_bytes());
            out.extend_from_slice(&self.segment_descriptors_max.to_be_bytes());
            out.extend_from_slice(&self.descriptor_list_bytes_max.to_be_bytes());
            out.extend_from_slice(&self.segment_bytes_max.to_be_bytes());
            // No inline data, no held data, no stream devices; two reserved bytes.
            out.extend_from_slice(&[0; 14]);
            out.extend_from_slice(&self.concurrent_copies_max.to_be_bytes());
            out.push(in_one_byte(self.concurrent_copies_max));
            out.push(self.granularity_exponent);
            // Granularities of inline and of held data, of which there are none; reserved.
            out.extend_from_slice(&[0; 5]);
            length_prefixed::<1>(out, |out| out.extend_from_slice(&COPY_DESCRIPTOR_TYPES));
        });
    }
}

/// How a copy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyState {
    /// It is being carried out, and its command waits for it.
    InProgress,
    /// It ended well.
    Completed,
    /// It ended with this sense data, or with a status that has none.
    Failed(Option<Sense>),
    /// It was aborted.
    Aborted,
}

/// How a copy stands, and how far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyStatus {
    /// How it stands.
    pub state: CopyState,
    /// SEGMENTS PROCESSED, the one at which it failed not counted.
    pub segments_processed: u16,
    /// Bytes written so far.
    pub bytes_written: u64,
}

/// COPY OPERATION STATUS of the LID4 form, and of failure details.
const COMPLETED: u8 = 0x01;
const FAILED: u8 = 0x02;
const IN_PROGRESS_FOREGROUND: u8 = 0x11;
const ABORTED: u8 = 0x60;
/// COPY STATUS of the LID1 form: in progress.
const IN_PROGRESS_LID1: u8 = 0x00;
/// TRANSFER COUNT UNITS: bytes, and 1,024 bytes.
const BYTES: u8 = 0x00;
const KIBIBYTES: u8 = 0x01;
/// ESTIMATED STATUS UPDATE DELAY: not known.
const NO_ESTIMATE: [u8; 4] = [0xff; 4];
/// RESPONSE TO SERVICE ACTION: EXTENDED COPY(LID4).
const EXTENDED_COPY_LID4: u8 = 0x01;

impl CopyStatus {
    /// Appends the RECEIVE COPY STATUS (LID1) parameter data.
    pub fn encode_lid1(&self, out: &mut Vec<u8>) {
        let status = match self.state {
            CopyState::InProgress => IN_PROGRESS_LID1,
            CopyState::Completed => COMPLETED,
            CopyState::Failed(_) | CopyState::Aborted => FAILED,
        };
        length_prefixed::<4>(out, |out| {
            // HDD stays 0: no data is ever held.
            out.push(status);
            out.extend_from_slice(&self.segments_processed.to_be_bytes());
            let (units, count) = match u32::try_from(self.bytes_written) {
                Ok(bytes) => (BYTES, bytes),
                Err(_) => (KIBIBYTES, u32::try_from(self.bytes_written >> 10).unwrap_or(u32::MAX)),
            };
            out.push(units);
            out.extend_from_slice(&count.to_be_bytes());
        });
    }

    /// Appends the RECEIVE COPY FAILURE DETAILS (LID1) parameter data: nothing unless it failed.
    pub fn encode_failure_details(&self, format: SenseFormat, out: &mut Vec<u8>) {
        length_prefixed::<4>(out, |out| {
            let CopyState::Failed(sense) = self.state else { return };
            out.extend_from_slice(&[0; 52]);
            out.extend_from_slice(&[FAILED, 0]);
            length_prefixed::<2>(out, |out| encode_sense(sense, format, out));
        });
    }

    /// Appends the RECEIVE COPY STATUS (LID4) parameter data. `status` is the SCSI status that the
    /// EXTENDED COPY was answered with, if it was.
    pub fn encode_lid4(&self, status: u8, format: SenseFormat, out: &mut Vec<u8>) {
        let (state, sense) = match self.state {
            CopyState::InProgress => (IN_PROGRESS_FOREGROUND, None),
            CopyState::Completed => (COMPLETED, None),
            CopyState::Failed(sense) => (FAILED, sense),
            CopyState::Aborted => (ABORTED, None),
        };
        let mut details = Vec::new();
        encode_sense(sense, format, &mut details);
        // At most SENSE_BUFFER_LENGTH.
        let length = u8::try_from(details.len()).unwrap_or(u8::MAX);
        length_prefixed::<4>(out, |out| {
            out.extend_from_slice(&[EXTENDED_COPY_LID4, state]);
            // OPERATION COUNTER: how often the copy was worked on.
            out.extend_from_slice(&self.segments_processed.to_be_bytes());
            out.extend_from_slice(&NO_ESTIMATE);
            out.extend_from_slice(&[status, length, length, BYTES]);
            out.extend_from_slice(&self.bytes_written.to_be_bytes());
            out.extend_from_slice(&self.segments_processed.to_be_bytes());
            out.extend_from_slice(&[0; 6]);
            out.extend_from_slice(&details);
        });
    }
}

fn encode_sense(sense: Option<Sense>, format: SenseFormat, out: &mut Vec<u8>) {
    let Some(sense) = sense else { return };
    let mut bytes = [0; SENSE_BUFFER_LENGTH];
    let used = sense.encode(format, &mut bytes);
    out.extend_from_slice(bytes.get(..used).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Asc;

    const LIMITS: CopyLimits = CopyLimits {
        cscd_descriptors_max: 0x0102,
        segment_descriptors_max: 0x1112,
        descriptor_list_bytes_max: 0x2122_2324,
        segment_bytes_max: 0x3132_3334,
        concurrent_copies_max: 0x4142,
        granularity_exponent: 9,
    };

    fn status(state: CopyState) -> CopyStatus {
        CopyStatus { state, segments_processed: 0x0203, bytes_written: 0x1_0000_0400 }
    }

    #[test]
    fn operating_parameters_have_their_places() {
        let mut out = Vec::new();
        LIMITS.encode_operating_parameters(&mut out);
        let expected = [
            [0x00, 0x00, 0x00, 0x2b],
            [0x01, 0x00, 0x00, 0x00],
            [0x01, 0x02, 0x11, 0x12],
            [0x21, 0x22, 0x23, 0x24],
            [0x31, 0x32, 0x33, 0x34],
            [0; 4],
            [0; 4],
            [0; 4],
            [0x00, 0x00, 0x41, 0x42],
            [0xff, 0x09, 0x00, 0x00],
            [0x00, 0x00, 0x00, 0x03],
        ];
        assert_eq!(out[..44], *expected.as_flattened());
        assert_eq!(out[44..], [0x02, 0x0a, 0xe4]);
    }

    #[test]
    fn the_status_of_a_copy_in_both_forms() {
        let mut out = Vec::new();
        status(CopyState::Completed).encode_lid1(&mut out);
        assert_eq!(out, [0, 0, 0, 8, 0x01, 0x02, 0x03, 0x01, 0x00, 0x40, 0x00, 0x01]);
        out.clear();
        CopyStatus { bytes_written: 512, ..status(CopyState::InProgress) }.encode_lid1(&mut out);
        assert_eq!(out, [0, 0, 0, 8, 0x00, 0x02, 0x03, 0x00, 0x00, 0x00, 0x02, 0x00]);
        out.clear();
        status(CopyState::Aborted).encode_lid4(0x40, SenseFormat::Fixed, &mut out);
        let expected = [
            [0x00, 0x00, 0x00, 0x1c],
            [0x01, 0x60, 0x02, 0x03],
            [0xff, 0xff, 0xff, 0xff],
            [0x40, 0x00, 0x00, 0x00],
            [0x00, 0x00, 0x00, 0x01],
            [0x00, 0x00, 0x04, 0x00],
            [0x02, 0x03, 0x00, 0x00],
            [0; 4],
        ];
        assert_eq!(out, expected.as_flattened());
    }

    #[test]
    fn a_failure_brings_its_sense_data() {
        let sense = Sense::copy_aborted(Asc::COPY_TARGET_DEVICE_NOT_REACHABLE, 3);
        let failed = status(CopyState::Failed(Some(sense)));
        let mut out = Vec::new();
        failed.encode_failure_details(SenseFormat::Fixed, &mut out);
        assert_eq!(out[..4], [0, 0, 0, 56 + 18]);
        assert_eq!(out[4..56], [0; 52]);
        assert_eq!(out[56..63], [0x02, 0, 0, 18, 0x70, 0, 0x0a]);
        out.clear();
        failed.encode_lid4(0x02, SenseFormat::Fixed, &mut out);
        assert_eq!(out[..6], [0, 0, 0, 28 + 18, 0x01, 0x02]);
        assert_eq!(out[12..16], [0x02, 18, 18, 0x00]);
        assert_eq!(out[32..35], [0x70, 0, 0x0a]);
        out.clear();
        status(CopyState::Completed).encode_failure_details(SenseFormat::Fixed, &mut out);
        assert_eq!(out, [0; 4]);
    }
}
