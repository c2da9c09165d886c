//! The CDBs that are executed, one file per family: layout, and from bytes to a [`Command`](crate::Command).
//!
//! Here are the parts that families share. A parser sees the CDB only once the table in `opcode`
//! has checked its length; it names its fields as constants and refuses what it cannot honour.

pub(crate) mod compare_and_write;
pub(crate) mod diagnostic;
pub(crate) mod extended_copy;
pub(crate) mod format_unit;
pub(crate) mod get_lba_status;
pub(crate) mod identifying_information;
pub(crate) mod inquiry;
pub(crate) mod log_select;
pub(crate) mod log_sense;
pub(crate) mod mode_select;
pub(crate) mod mode_sense;
pub(crate) mod or_write;
pub(crate) mod pre_fetch;
pub(crate) mod prevent_allow_medium_removal;
pub(crate) mod read;
pub(crate) mod read_capacity;
pub(crate) mod read_defect_data;
pub(crate) mod receive_copy_results;
pub(crate) mod report_supported_operation_codes;
pub(crate) mod report_supported_task_management_functions;
pub(crate) mod report_target_port_groups;
pub(crate) mod request_sense;
pub(crate) mod sanitize;
pub(crate) mod set_target_port_groups;
pub(crate) mod start_stop_unit;
pub(crate) mod synchronize_cache;
pub(crate) mod test_unit_ready;
pub(crate) mod unmap;
pub(crate) mod verify;
pub(crate) mod write;
pub(crate) mod write_atomic;
pub(crate) mod write_long;
pub(crate) mod write_same;

use pulsefield_units::{BlockCount, Lba, LbaRange};

use crate::Sense;
use crate::field::{Bits, Flag, Number};

/// RDPROTECT, WRPROTECT or VRPROTECT of every CDB of ten bytes and more that has one.
const PROTECT: Bits = Bits::new(1, 7, 5);
/// DPO: the blocks need not be kept in the cache.
const DPO: Flag = Flag::new(1, 4);
/// FUA: do not answer from, or into, a volatile cache.
const FUA: Flag = Flag::new(1, 3);

/// The length of the longest CDBs.
const LONG: usize = 32;

/// The byte with the protection field and the flags beside it: a CDB of 32 bytes has in byte 10 what the
/// others have in byte 1.
const fn flags_byte(cdb: &[u8]) -> u16 {
    if cdb.len() == LONG { 10 } else { 1 }
}

fn dpo(cdb: &[u8]) -> bool {
    DPO.in_byte(flags_byte(cdb)).read(cdb)
}

fn fua(cdb: &[u8]) -> bool {
    FUA.in_byte(flags_byte(cdb)).read(cdb)
}

/// The blocks a CDB names, before anybody has checked that they exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first block.
    pub lba: Lba,
    /// How many blocks; may be zero.
    pub blocks: BlockCount,
}

impl Extent {
    fn new(lba: impl Into<u64>, blocks: impl Into<u64>) -> Self {
        Self { lba: Lba::new(lba.into()), blocks: BlockCount::new(blocks.into()) }
    }

    /// The extent as a range; `None` for zero blocks, whose `lba` still has to exist.
    ///
    /// # Errors
    /// ILLEGAL REQUEST, LOGICAL BLOCK ADDRESS OUT OF RANGE if the end lies past any address.
    pub const fn range(self) -> Result<Option<LbaRange>, Sense> {
        if self.blocks.is_zero() {
            return Ok(None);
        }
        match LbaRange::new(self.lba, self.blocks) {
            Some(range) => Ok(Some(range)),
            None => Err(Sense::lba_out_of_range()),
        }
    }
}

/// LBA and length of a 6-byte CDB (SPC-4, Fixed length CDB formats): 21 and 8 bits, and 0 stands for 256 blocks.
fn extent_6(cdb: &[u8]) -> Extent {
    const HIGH_LBA: Bits = Bits::new(1, 4, 0);
    const LOW_LBA: Number<2> = Number::at(2);
    const LENGTH: Number<1> = Number::at(4);
    let lba = (u32::from(HIGH_LBA.read(cdb)) << 16) | u32::from(LOW_LBA.read(cdb));
    let blocks = match LENGTH.read(cdb) {
        0 => 256,
        blocks => u16::from(blocks),
    };
    Extent::new(lba, blocks)
}

/// LBA and length of a 10-byte CDB: 32 and 16 bits.
fn extent_10(cdb: &[u8]) -> Extent {
    Extent::new(Number::<4>::at(2).read(cdb), Number::<2>::at(7).read(cdb))
}

/// LBA and length of a 12-byte CDB: 32 bits each.
fn extent_12(cdb: &[u8]) -> Extent {
    Extent::new(Number::<4>::at(2).read(cdb), Number::<4>::at(6).read(cdb))
}

/// LBA and length of a 16-byte CDB: 64 and 32 bits.
fn extent_16(cdb: &[u8]) -> Extent {
    Extent::new(Number::<8>::at(2).read(cdb), Number::<4>::at(10).read(cdb))
}

/// LBA and length of a 32-byte CDB: 64 and 32 bits.
fn extent_32(cdb: &[u8]) -> Extent {
    Extent::new(Number::<8>::at(12).read(cdb), Number::<4>::at(28).read(cdb))
}

/// There is no protection information here (PROT_EN = 0), and SBC-4 has a command that asks
/// for it refused. The tags of a 32-byte CDB mean nothing without it.
fn refuse_protection(cdb: &[u8]) -> Result<(), Sense> {
    let protect = PROTECT.in_byte(flags_byte(cdb));
    match protect.read(cdb) {
        0 => Ok(()),
        _ => Err(protect.invalid_in_cdb()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extent_is_empty_a_range_or_out_of_range() {
        assert_eq!(Extent::new(7_u8, 0_u8).range(), Ok(None));
        assert_eq!(
            Extent::new(7_u8, 2_u8).range(),
            Ok(LbaRange::new(Lba::new(7), BlockCount::new(2)))
        );
        for lba in [u64::MAX, u64::MAX - 1] {
            assert_eq!(Extent::new(lba, 2_u8).range(), Err(Sense::lba_out_of_range()));
        }
    }
}
