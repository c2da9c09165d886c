//! FCP: the information units that carry a SCSI command. Layouts and codes are those of FCP-4, FCP
//! information unit formats, and of Linux' include/scsi/fc/fc_fcp.h.

use zerocopy::big_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes, Unaligned};

/// The number of a logical unit, as eight bytes (SAM-5 4.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lun([u8; 8]);

impl Lun {
    /// The logical unit of this number, which is less than 16384; `None` for others, which only
    /// extended addressing can name. Below 256 it is in the peripheral device form, else in the
    /// flat one, as Linux and ESXi have it.
    pub const fn new(number: u16) -> Option<Self> {
        let [high, low] = number.to_be_bytes();
        match high {
            0 => Some(Self([0, low, 0, 0, 0, 0, 0, 0])),
            1..0x40 => Some(Self([0x40 | high, low, 0, 0, 0, 0, 0, 0])),
            _ => None,
        }
    }
}

/// FCP_CMND without an additional CDB and FCP_DL, which follow it.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct CommandLayout {
    lun: [u8; 8],
    /// CRN: no precise delivery.
    reference_number: u8,
    /// Priority 0, SIMPLE.
    task_attribute: u8,
    task_management: u8,
    /// ADDITIONAL FCP_CDB LENGTH in words, RDDATA, WRDATA.
    length_and_direction: u8,
    cdb: [u8; 16],
}

const _: () = assert!(size_of::<CommandLayout>() == 28);

/// Which way a command's data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// There is none.
    None,
    /// To the target: WRDATA.
    Out,
    /// To the initiator: RDDATA.
    In,
}

impl Direction {
    const fn bits(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Out => 0x01,
            Self::In => 0x02,
        }
    }
}

/// FCP_CMND for a CDB of 6 to 260 bytes, of which those after the sixteenth are in words;
/// `data_length` is FCP_DL, in bytes.
pub(crate) fn command(lun: Lun, cdb: &[u8], direction: Direction, data_length: u32) -> Vec<u8> {
    let (first, additional) = cdb.split_at(cdb.len().min(16));
    let words = additional.len().div_ceil(4);
    let mut layout = CommandLayout {
        lun: lun.0,
        reference_number: 0,
        task_attribute: 0,
        task_management: 0,
        length_and_direction: (u8::try_from(words).unwrap_or(0) << 2) | direction.bits(),
        cdb: [0; 16],
    };
    layout.cdb[..first.len()].copy_from_slice(first);
    let mut unit = layout.as_bytes().to_vec();
    unit.extend_from_slice(additional);
    unit.resize(size_of::<CommandLayout>() + words * 4, 0);
    unit.extend_from_slice(&data_length.to_be_bytes());
    unit
}

/// FCP_CMND that asks for a task management function; `flags` is byte 10.
pub(crate) fn task_management(lun: Lun, flags: u8) -> Vec<u8> {
    let mut unit = command(lun, &[], Direction::None, 0);
    unit[10] = flags;
    unit
}

/// FCP_XFER_RDY: the target is ready for Data-Out.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct TransferReady {
    relative_offset: U32,
    burst_length: U32,
    reserved: U32,
}

impl TransferReady {
    /// For all of so many bytes.
    pub(crate) fn for_all(length: u32) -> Self {
        Self { relative_offset: 0.into(), burst_length: length.into(), reserved: 0.into() }
    }
}

/// FCP_RSP without FCP_RSP_INFO and sense data, which follow it in this order (FCP-4, FCP_RSP IU).
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct ResponseLayout {
    reserved: [u8; 8],
    status_qualifier: U16,
    flags: u8,
    status: u8,
    residual: U32,
    sense_length: U32,
    response_length: U32,
}

const _: () = assert!(size_of::<ResponseLayout>() == 24);

/// FCP_RESID_UNDER.
const UNDERRUN: u8 = 0x08;
/// FCP_RESID_OVER.
const OVERRUN: u8 = 0x04;
/// FCP_SNS_LEN_VALID.
const SENSE_LENGTH_VALID: u8 = 0x02;
/// FCP_RSP_LEN_VALID.
const RESPONSE_LENGTH_VALID: u8 = 0x01;

/// How much of the data that an initiator expects is not transferred, or would be more, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Residual {
    /// All of it is, and there is no more.
    #[default]
    None,
    /// So much less.
    Underrun(u32),
    /// So much more.
    Overrun(u32),
}

/// FCP_RSP of a command that ended with this status.
pub(crate) fn response(status: u8, sense: &[u8], residual: Residual) -> Vec<u8> {
    let (flag, residual) = match residual {
        Residual::None => (0, 0),
        Residual::Underrun(bytes) => (UNDERRUN, bytes),
        Residual::Overrun(bytes) => (OVERRUN, bytes),
    };
    // Sense data has 252 bytes at most (SPC-4 4.5.1).
    let sense = sense.get(..252).unwrap_or(sense);
    let sense_flag = if sense.is_empty() { 0 } else { SENSE_LENGTH_VALID };
    let layout = ResponseLayout {
        reserved: [0; 8],
        status_qualifier: 0.into(),
        flags: flag | sense_flag,
        status,
        residual: residual.into(),
        sense_length: u32::try_from(sense.len()).unwrap_or(0).into(),
        response_length: 0.into(),
    };
    [layout.as_bytes(), sense].concat()
}

/// FCP_RSP of a task management function that is complete: RSP_CODE 00h.
pub(crate) fn function_complete() -> Vec<u8> {
    const RESPONSE_INFORMATION: [u8; 8] = [0; 8];
    let layout = ResponseLayout {
        reserved: [0; 8],
        status_qualifier: 0.into(),
        flags: RESPONSE_LENGTH_VALID,
        status: 0,
        residual: 0.into(),
        sense_length: 0.into(),
        response_length: 8.into(),
    };
    [layout.as_bytes(), &RESPONSE_INFORMATION].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LUN: Lun = Lun::new(3).unwrap();

    #[test]
    fn numbers_of_logical_units() {
        assert_eq!(Lun::new(0).unwrap().0, [0; 8]);
        assert_eq!(Lun::new(255).unwrap().0, [0, 255, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Lun::new(256).unwrap().0, [0x41, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Lun::new(16_383).unwrap().0, [0x7f, 255, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Lun::new(16_384), None);
    }

    #[test]
    fn a_command_of_six_bytes() {
        let unit = command(LUN, &[0x12, 1, 0x83, 0, 0xff, 0], Direction::In, 255);
        let mut expected = vec![0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x12, 1, 0x83, 0, 0xff, 0];
        expected.extend([0; 10]);
        expected.extend([0, 0, 0, 0xff]);
        assert_eq!(unit, expected);
    }

    #[test]
    fn a_command_of_32_bytes_has_four_additional_words() {
        let cdb: Vec<u8> = (0x7f..0x9f).collect();
        let unit = command(LUN, &cdb, Direction::Out, 512);
        assert_eq!(unit.len(), 12 + 32 + 4);
        assert_eq!(unit[11], (4 << 2) | 0x01);
        assert_eq!(unit[12..44], cdb);
        assert_eq!(unit[44..], [0, 0, 2, 0]);
    }

    #[test]
    fn responses() {
        let sense = [0x70, 0, 0x0e];
        let unit = response(2, &sense, Residual::Underrun(512));
        assert_eq!(
            unit[8..],
            [&[0, 0, 0x0a, 2, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0], &sense[..]].concat()
        );
        assert_eq!(response(0, &[], Residual::None), [0; 24]);
        assert_eq!(response(0, &[], Residual::Overrun(1))[10..16], [0x04, 0, 0, 0, 0, 1]);
        let complete = function_complete();
        assert_eq!((complete.len(), complete[10], complete[23]), (32, 0x01, 8));
    }

    #[test]
    fn ready_for_all() {
        assert_eq!(TransferReady::for_all(1024).as_bytes(), [0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0]);
    }
}
