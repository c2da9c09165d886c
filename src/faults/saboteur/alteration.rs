//! Changes of an answer on its way to the initiator.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use pulsefield_data::Buffer;
use pulsefield_engine::Outcome;
use pulsefield_scsi::{
    Asc, ReportSupportedOperationCodes, Selection, Sense, SenseKey, Status, opcode,
};

use crate::saboteur::log::DataChange;
use crate::saboteur::rng::Rng;

/// What is changed. An answer that has no such thing stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Alteration {
    /// INFORMATION of a MISCOMPARE is off by so many bytes, within the `compared` ones.
    ShiftOffset { bytes: u64, compared: u64 },
    /// INFORMATION of a MISCOMPARE is not valid.
    NoInformation,
    /// A MISCOMPARE is told as something else.
    WrongSense(SenseKey, Asc),
    /// These bits of Data-In are flipped.
    FlipBits(Vec<u64>),
    /// Data-In is all zeros.
    ZeroData,
    /// GET LBA STATUS says mapped of what is deallocated, and the other way round.
    InvertLbaStatus,
    /// MAXIMUM COMPARE AND WRITE LENGTH of the Block Limits page is 0: there is no such command.
    NoCompareAndWrite,
    /// This REPORT SUPPORTED OPERATION CODES is told that there is no COMPARE AND WRITE. A list that the
    /// initiator had no room for comes out shorter than that room.
    Unlisted(ReportSupportedOperationCodes),
}

/// Where the LBA STATUS DESCRIPTORs of GET LBA STATUS begin, how long each is, and its PROVISIONING
/// STATUS (SBC-4, GET LBA STATUS parameter data).
const LBA_STATUS_HEADER: usize = 8;
const LBA_STATUS_DESCRIPTOR: usize = 16;
const PROVISIONING_STATUS: usize = 12;

/// MAXIMUM COMPARE AND WRITE LENGTH in the Block Limits VPD page (SBC-4).
const MAXIMUM_COMPARE_AND_WRITE_LENGTH: usize = 5;

/// What stands before the command descriptors of REPORT SUPPORTED OPERATION CODES, their length among it;
/// how long each is, without and with timeouts; and the answer that there is no such command (SPC-4,
/// All_commands and One_command parameter data).
const COMMAND_DATA_LENGTH: usize = 4;
const COMMAND_DESCRIPTOR: u8 = 8;
const COMMAND_DESCRIPTOR_WITH_TIMEOUTS: u8 = 20;
const NOT_SUPPORTED: [u8; 4] = [0, 0b001, 0, 0];

impl Alteration {
    /// Changes the answer; says how, if that changed its Data-In.
    pub(crate) fn apply(self, outcome: &mut Outcome, data: &mut Buffer) -> Option<DataChange> {
        match self {
            Self::ShiftOffset { bytes, compared } => {
                alter_information(outcome, |offset| Some((offset + bytes) % compared.max(1)));
                None
            }
            Self::NoInformation => {
                alter_information(outcome, |_| None);
                None
            }
            Self::WrongSense(key, asc) => {
                if let Some(sense) = &mut outcome.sense
                    && sense.key == SenseKey::Miscompare
                {
                    *sense = Sense::new(key, asc);
                }
                None
            }
            Self::FlipBits(bits) => alter_data(outcome, data, |data| flip_bits(data, &bits)),
            Self::ZeroData => alter_data(outcome, data, |data| data.fill(0)),
            Self::InvertLbaStatus => alter_data(outcome, data, |data| {
                let descriptors = data.get_mut(LBA_STATUS_HEADER..).unwrap_or_default();
                for descriptor in descriptors.chunks_exact_mut(LBA_STATUS_DESCRIPTOR) {
                    descriptor[PROVISIONING_STATUS] =
                        u8::from(descriptor[PROVISIONING_STATUS] == 0);
                }
            }),
            Self::NoCompareAndWrite => alter_data(outcome, data, |data| {
                if let Some(length) = data.get_mut(MAXIMUM_COMPARE_AND_WRITE_LENGTH) {
                    *length = 0;
                }
            }),
            Self::Unlisted(report) => {
                let bytes = valid_data(outcome, data)?;
                let without = without_compare_and_write(&report, bytes.clone());
                outcome.data_in = Some(without.len());
                data.write_at(0, &without);
                Some(DataChange::between(&bytes, &without))
            }
        }
    }
}

/// What an initiator is told that asks so, if it would have been told `bytes`.
fn without_compare_and_write(
    report: &ReportSupportedOperationCodes,
    mut bytes: Vec<u8>,
) -> Vec<u8> {
    match report.selection {
        Selection::All => {
            let descriptor = match report.return_timeouts {
                true => COMMAND_DESCRIPTOR_WITH_TIMEOUTS,
                false => COMMAND_DESCRIPTOR,
            };
            let Some((header, list)) = bytes.split_first_chunk_mut::<COMMAND_DATA_LENGTH>() else {
                return bytes;
            };
            *header = (u32::from_be_bytes(*header).saturating_sub(descriptor.into())).to_be_bytes();
            let descriptor = usize::from(descriptor);
            let mut descriptors = list.chunks(descriptor);
            let own = descriptors.position(|own| own[0] == opcode::COMPARE_AND_WRITE);
            if let Some(own) = own {
                let start = COMMAND_DATA_LENGTH + own * descriptor;
                let end = (start + descriptor).min(bytes.len());
                bytes.drain(start..end);
            }
            bytes
        }
        Selection::One(code)
        | Selection::OneServiceAction(code, _)
        | Selection::OneMaybe(code, _)
            if code == opcode::COMPARE_AND_WRITE =>
        {
            NOT_SUPPORTED[..bytes.len().min(NOT_SUPPORTED.len())].to_vec()
        }
        Selection::One(_) | Selection::OneServiceAction(..) | Selection::OneMaybe(..) => bytes,
    }
}

/// The most bits that one hit flips: enough to tell that data is bad, few enough to draw.
const FLIPPED_BITS_MAX: u64 = 1024;

/// Draws so many different bits of `bytes` bytes, as far as there are so many.
pub(crate) fn draw_bits(rng: &mut Rng, bits: NonZeroU32, bytes: usize) -> Vec<u64> {
    let all = bytes as u64 * 8;
    let wanted = u64::from(bits.get()).min(FLIPPED_BITS_MAX).min(all);
    let mut drawn = BTreeSet::new();
    while (drawn.len() as u64) < wanted {
        drawn.insert(rng.below(all));
    }
    drawn.into_iter().collect()
}

/// Flips these bits of `data`, as far as it has them; bit 0 is the lowest of byte 0.
pub(crate) fn flip_bits(data: &mut [u8], bits: &[u64]) {
    for bit in bits {
        let byte = usize::try_from(bit / 8).unwrap_or(usize::MAX);
        if let Some(byte) = data.get_mut(byte) {
            *byte ^= 1 << (bit % 8);
        }
    }
}

fn alter_information(outcome: &mut Outcome, change: impl FnOnce(u64) -> Option<u64>) {
    if let Some(sense) = &mut outcome.sense
        && sense.key == SenseKey::Miscompare
    {
        sense.information = sense.information.and_then(change);
    }
}

fn alter_data(
    outcome: &Outcome,
    data: &mut Buffer,
    change: impl FnOnce(&mut [u8]),
) -> Option<DataChange> {
    let mut bytes = valid_data(outcome, data)?;
    let before = bytes.clone();
    change(&mut bytes);
    data.write_at(0, &bytes);
    Some(DataChange::between(&before, &bytes))
}

/// What the device server has answered with.
fn valid_data(outcome: &Outcome, data: &Buffer) -> Option<Vec<u8>> {
    let valid = outcome.data_in.filter(|_| outcome.status == Status::Good)?;
    let mut bytes = vec![0; valid];
    data.read_at(0, &mut bytes);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saboteur::rng::Stream;

    fn altered(alteration: Alteration, bytes: &[u8]) -> Vec<u8> {
        let mut data = Buffer::heap(bytes.len() + 1);
        data.write_at(0, bytes);
        data.fill(bytes.len(), 1, 0xa5);
        let mut outcome = Outcome { data_in: Some(bytes.len()), ..Outcome::GOOD };
        let change = alteration.apply(&mut outcome, &mut data).unwrap();
        let mut after = vec![0; bytes.len() + 1];
        data.read_at(0, &mut after);
        assert_eq!(after.pop(), Some(0xa5), "nothing past the valid bytes is touched");
        assert_eq!(change.before == change.after, after == bytes);
        after
    }

    #[test]
    fn one_bit_is_another_one() {
        assert_eq!(altered(Alteration::FlipBits(vec![0, 9]), &[0, 0]), [1, 2]);
        assert_eq!(altered(Alteration::FlipBits(vec![16]), &[0, 0]), [0, 0]);
    }

    #[test]
    fn bits_are_drawn_without_repetition() {
        let mut rng = Rng::new(1, 0, Stream::Effects);
        let bits = |bits| NonZeroU32::new(bits).unwrap();
        assert_eq!(draw_bits(&mut rng, bits(99), 2), (0..16).collect::<Vec<_>>());
        assert_eq!(draw_bits(&mut rng, bits(u32::MAX), 4096).len(), 1024);
        assert_eq!(draw_bits(&mut rng, bits(1), 512).len(), 1);
        assert_eq!(draw_bits(&mut rng, bits(1), 0), []);
    }

    #[test]
    fn data_reads_as_zeros() {
        assert_eq!(altered(Alteration::ZeroData, &[1, 2, 3]), [0; 3]);
    }

    #[test]
    fn mapped_and_deallocated_change_places() {
        let mut list = vec![0; 8 + 2 * 16];
        list[8 + 12] = 1;
        let mut inverted = vec![0; 8 + 2 * 16];
        inverted[24 + 12] = 1;
        assert_eq!(altered(Alteration::InvertLbaStatus, &list), inverted);
        assert_eq!(altered(Alteration::InvertLbaStatus, &list[..9]), list[..9]);
    }

    #[test]
    fn the_block_limits_page_says_that_there_is_no_compare_and_write() {
        let page = [0, 0xb0, 0, 0x3c, 1, 1];
        assert_eq!(altered(Alteration::NoCompareAndWrite, &page), [0, 0xb0, 0, 0x3c, 1, 0]);
        assert_eq!(altered(Alteration::NoCompareAndWrite, &page[..4]), page[..4]);
    }

    #[test]
    fn only_a_miscompare_has_an_offset_to_be_wrong() {
        let shift = Alteration::ShiftOffset { bytes: 8, compared: 512 };
        let alter = |alteration: Alteration, sense| {
            let mut outcome = Outcome::check(sense);
            assert_eq!(alteration.apply(&mut outcome, &mut Buffer::empty()), None);
            outcome.sense.unwrap().information
        };
        assert_eq!(alter(shift.clone(), Sense::miscompare(20)), Some(28));
        assert_eq!(alter(shift.clone(), Sense::miscompare(508)), Some(4));
        assert_eq!(alter(Alteration::NoInformation, Sense::miscompare(0)), None);
        let medium = Sense { key: SenseKey::MediumError, ..Sense::miscompare(3) };
        assert_eq!(alter(shift, medium), Some(3));
        let wrong = Alteration::WrongSense(SenseKey::AbortedCommand, Asc::INTERNAL_TARGET_FAILURE);
        assert_eq!(alter(wrong.clone(), Sense::miscompare(3)), None);
        assert_eq!(alter(wrong, medium), Some(3));
    }
}
