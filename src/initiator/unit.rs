//! What a logical unit says of itself.

use std::time::Duration;

use pulsefield_hosts::Outcome;
use pulsefield_units::{BlockCount, BlockLength, BlockLengthError};
use thiserror::Error;

use crate::cdb;
use crate::command::{Command, Data, Request};
use crate::device::Device;
use crate::naa::Naa;
use crate::outcome::{Words, is_unit_attention};

/// How long each question may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How many unit attentions are taken note of before a command is given up: power-on, reset and a new size can be
/// pending at once.
const UNIT_ATTENTIONS_MAX: usize = 8;

/// A logical unit, as it was when it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogicalUnit {
    /// T10 VENDOR IDENTIFICATION.
    pub vendor: String,
    /// PRODUCT IDENTIFICATION.
    pub product: String,
    /// PRODUCT REVISION LEVEL.
    pub revision: String,
    /// What it is called; `None` if it has no NAA designator.
    pub naa: Option<Naa>,
    /// How many blocks it has.
    pub blocks: BlockCount,
    /// How long each of them is.
    pub block_length: BlockLength,
    /// MAXIMUM COMPARE AND WRITE LENGTH in blocks; 0 says that there is no ATS.
    pub compare_and_write_max: u8,
    /// MAXIMUM UNMAP LBA COUNT in blocks; 0 says that there is no UNMAP.
    pub unmap_max: u32,
    /// LBPME and LBPRZ: whether blocks may be unmapped, and read as zeros then.
    pub unmaps_to_zeros: bool,
    /// 3PC: whether it carries out EXTENDED COPY.
    pub third_party_copy: bool,
    /// WP: whether nobody may write.
    pub write_protected: bool,
}

/// Why a logical unit cannot be told.
#[derive(Debug, Error)]
pub enum UnitError {
    /// It does not answer what every disk answers.
    #[error("{command} ended with {}", Words(outcome))]
    Unanswered {
        /// The question.
        command: &'static str,
        /// What came.
        outcome: Outcome,
    },
    /// It answers nonsense.
    #[error("the answer to {command} is cut off after {length} bytes")]
    Short {
        /// The question.
        command: &'static str,
        /// How many bytes came.
        length: usize,
    },
    /// It is a tape, an enclosure, or not there.
    #[error("it is no disk: peripheral qualifier and device type are {:02X}h", .0)]
    NotADisk(u8),
    /// Its blocks are of a length that no VMFS is on.
    #[error(transparent)]
    BlockLength(#[from] BlockLengthError),
}

impl LogicalUnit {
    /// Asks a logical unit what it is. Unit attentions that wait for this initiator are taken note of by that, and
    /// forgotten.
    ///
    /// # Errors
    /// [`UnitError`], also if it is not ready.
    pub fn ask(device: &dyn Device) -> Result<Self, UnitError> {
        let inquiry = asked(device, "INQUIRY", Command::asking(cdb::inquiry()))?;
        let device_type = *at(&inquiry, "INQUIRY", 0..36)?.first().unwrap_or(&0xff);
        if device_type != 0 {
            return Err(UnitError::NotADisk(device_type));
        }
        asked(device, "TEST UNIT READY", Command::test_unit_ready())?;
        let read_capacity =
            Command { cdb: cdb::read_capacity_16(), data: Data::In(READ_CAPACITY_BYTES) };
        let capacity = asked(device, "READ CAPACITY (16)", read_capacity)?;
        at(&capacity, "READ CAPACITY (16)", 0..15)?;
        let [last, block_length] = [number(&capacity[..8]), number(&capacity[8..12])];
        let page = |page| asked(device, "INQUIRY", Command::asking(cdb::inquiry_vpd(page))).ok();
        let limits = page(0xb0).unwrap_or_default();
        let modes = asked(device, "MODE SENSE (6)", Command::asking(cdb::mode_sense_6())).ok();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        Ok(Self {
            vendor: text(&inquiry[8..16]),
            product: text(&inquiry[16..32]),
            revision: text(&inquiry[32..36]),
            naa: page(0x83).and_then(|page| Naa::in_page(&page)),
            blocks: BlockCount::new(last.saturating_add(1)),
            block_length: BlockLength::try_from(block_length)?,
            compare_and_write_max: limits.get(5).copied().unwrap_or(0),
            unmap_max: limits.get(20..24).map_or(0, |bytes| number(bytes).try_into().unwrap_or(0)),
            unmaps_to_zeros: capacity[14] & PROVISIONED_ZEROS == PROVISIONED_ZEROS,
            third_party_copy: inquiry[5] & THIRD_PARTY_COPY != 0,
            write_protected: modes.and_then(|modes| Some(modes.get(2)? & WRITE_PROTECTED != 0))
                == Some(true),
        })
    }

    /// How long it is, in bytes.
    pub const fn bytes(&self) -> u64 {
        match self.block_length.bytes_of(self.blocks) {
            Some(bytes) => bytes,
            None => u64::MAX,
        }
    }
}

/// What READ CAPACITY (16) answers.
const READ_CAPACITY_BYTES: usize = 32;
/// LBPME and LBPRZ, in byte 14 of what READ CAPACITY (16) answers.
const PROVISIONED_ZEROS: u8 = 0xc0;
/// 3PC, in byte 5 of the INQUIRY data.
const THIRD_PARTY_COPY: u8 = 0x08;
/// WP, in the DEVICE-SPECIFIC PARAMETER of a disk's mode parameter header (SBC-4).
const WRITE_PROTECTED: u8 = 0x80;

/// What comes back for a command; it is sent again if all it met was a unit attention.
fn asked(
    device: &dyn Device,
    command: &'static str,
    asking: Command,
) -> Result<Vec<u8>, UnitError> {
    let request = Request::Command(asking);
    let mut attentions = 0;
    loop {
        let outcome = device.execute(&request, TIMEOUT);
        if let Outcome::Good(data) = outcome {
            return Ok(data);
        }
        if attentions == UNIT_ATTENTIONS_MAX || !is_unit_attention(&outcome) {
            return Err(UnitError::Unanswered { command, outcome });
        }
        attentions += 1;
    }
}

fn at<'a>(
    data: &'a [u8],
    command: &'static str,
    range: std::ops::Range<usize>,
) -> Result<&'a [u8], UnitError> {
    data.get(range).ok_or(UnitError::Short { command, length: data.len() })
}

/// A big-endian number of up to eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use pulsefield_scsi::parameter::{
        Ascii, InquiryData, ReadCapacityData, TargetPortGroupSupport,
    };
    use pulsefield_scsi::vpd::{BlockLimits, DeviceIdentification};
    use pulsefield_scsi::{Asc, Sense, SenseKey, Status};

    use super::*;

    /// A unit that answers as our own target does, after some unit attentions.
    struct Unit {
        attentions: AtomicUsize,
        type_: u8,
        write_protected: bool,
        cut_off: usize,
    }

    fn unit() -> Unit {
        Unit { attentions: AtomicUsize::new(0), type_: 0, write_protected: false, cut_off: 255 }
    }

    impl Device for Unit {
        fn execute(&self, request: &Request, _: Duration) -> Outcome {
            let Request::Command(Command { cdb, .. }) = request else { panic!("no command") };
            let bytes = cdb.as_bytes();
            let left = |it: usize| it.checked_sub(1);
            if self.attentions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok() {
                let reset = Asc::POWER_ON_RESET_OR_BUS_DEVICE_RESET_OCCURRED;
                let sense = Some(Sense::new(SenseKey::UnitAttention, reset));
                return Outcome::Failed { status: Status::CheckCondition, sense };
            }
            let mut data = Vec::new();
            match (bytes[0], bytes[1], bytes[2]) {
                (0x00, ..) => {}
                (0x12, 0, _) => {
                    self.inquiry().encode(&mut data);
                    data[0] = self.type_;
                }
                (0x12, 1, 0x83) => identification().encode(&mut data),
                (0x12, 1, 0xb0) => limits().encode(&mut data),
                (0x9e, 0x10, _) => capacity().encode_16(&mut data),
                (0x1a, ..) => data = vec![3, 0, if self.write_protected { 0x90 } else { 0x10 }, 0],
                _ => panic!("{cdb:?}"),
            }
            data.truncate(self.cut_off);
            Outcome::Good(data)
        }
    }

    impl Unit {
        fn inquiry(&self) -> InquiryData {
            InquiryData {
                vendor: Ascii::new("LIO-ORG"),
                product: Ascii::new("pulsefield"),
                revision: Ascii::new("0001"),
                removable: false,
                target_port_group_support: TargetPortGroupSupport::Implicit,
                third_party_copy: true,
            }
        }
    }

    fn identification() -> DeviceIdentification<'static> {
        DeviceIdentification {
            naa: &[0x60, 0x01, 0x40, 0x5a, 0, 0, 0, 1],
            vendor: Ascii::new("LIO-ORG"),
            serial: "7c2f",
            relative_target_port: None,
            target_port_group: None,
        }
    }

    fn limits() -> BlockLimits {
        BlockLimits {
            write_same_non_zero: true,
            maximum_compare_and_write_length: 1,
            optimal_transfer_length_granularity: 0,
            maximum_transfer_length: 0,
            optimal_transfer_length: 0,
            maximum_unmap_lba_count: 0x0102_0304,
            maximum_unmap_block_descriptor_count: 2,
            optimal_unmap_granularity: 1,
            unmap_granularity_alignment: None,
            maximum_write_same_length: 0,
            maximum_atomic_transfer_length: 0,
        }
    }

    fn capacity() -> ReadCapacityData {
        ReadCapacityData {
            blocks: BlockCount::new(1 << 33),
            block_length: BlockLength::B512,
            physical_block_exponent: 3,
            lowest_aligned_lba: 0,
            provisioning_managed: true,
            reads_zeros: true,
        }
    }

    #[test]
    fn a_unit_is_told_by_its_answers() {
        let device = Unit { attentions: AtomicUsize::new(3), ..unit() };
        let asked = LogicalUnit::ask(&device).unwrap();
        let expected = LogicalUnit {
            vendor: "LIO-ORG".to_owned(),
            product: "pulsefield".to_owned(),
            revision: "0001".to_owned(),
            naa: Naa::from_bytes(identification().naa),
            blocks: BlockCount::new(1 << 33),
            block_length: BlockLength::B512,
            compare_and_write_max: 1,
            unmap_max: 0x0102_0304,
            unmaps_to_zeros: true,
            third_party_copy: true,
            write_protected: false,
        };
        assert_eq!(asked, expected);
        assert_eq!(asked.bytes(), 1 << 42);
        let protected = LogicalUnit::ask(&Unit { write_protected: true, ..unit() }).unwrap();
        assert!(protected.write_protected);
    }

    #[test]
    fn what_is_no_disk_or_answers_nonsense_is_refused() {
        let refused = |unit: Unit| LogicalUnit::ask(&unit).unwrap_err().to_string();
        let words = "it is no disk: peripheral qualifier and device type are 0Dh";
        assert_eq!(refused(Unit { type_: 0x0d, ..unit() }), words);
        let words = "the answer to INQUIRY is cut off after 8 bytes";
        assert_eq!(refused(Unit { cut_off: 8, ..unit() }), words);
        let attentions = AtomicUsize::new(100);
        let words = refused(Unit { attentions, ..unit() });
        assert!(words.starts_with("INQUIRY ended with CHECK CONDITION: UNIT ATTENTION"), "{words}");
    }
}
