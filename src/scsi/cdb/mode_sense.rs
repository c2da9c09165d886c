//! MODE SENSE (6) and (10) (SPC-4).

use crate::field::{Bits, Flag, Number};
use crate::{Command, Sense};

/// LLBAA: the block descriptor may have the long form; (10) only.
const LLBAA: Flag = Flag::new(1, 4);
/// DBD: no block descriptor.
const DBD: Flag = Flag::new(1, 3);
/// PC.
const PAGE_CONTROL: Bits = Bits::new(2, 7, 6);
pub(crate) const PAGE_CODE: Bits = Bits::new(2, 5, 0);
pub(crate) const SUBPAGE_CODE: Number<1> = Number::at(3);
const ALLOCATION_LENGTH_6: Number<1> = Number::at(4);
const ALLOCATION_LENGTH_10: Number<2> = Number::at(7);

/// Which of the two forms a MODE SENSE or MODE SELECT has; it decides the header's form too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeForm {
    /// The 6-byte CDB with a 4-byte header.
    Six,
    /// The 10-byte CDB with an 8-byte header.
    Ten,
}

/// PC: which values of the mode pages are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageControl {
    /// Those in force.
    Current,
    /// A mask: 1 where MODE SELECT may change something.
    Changeable,
    /// Those after a reset.
    Default,
    /// Those on stable storage.
    Saved,
}

/// MODE SENSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModeSense {
    /// (6) or (10).
    pub form: ModeForm,
    /// DBD: leave the block descriptor out.
    pub disable_block_descriptors: bool,
    /// LLBAA: the block descriptor may be 16 bytes long.
    pub long_lba_accepted: bool,
    /// PC: which values.
    pub page_control: PageControl,
    /// PAGE CODE: 0 to 3Eh, or 3Fh for all pages.
    pub page: u8,
    /// SUBPAGE CODE: 0 to FEh, or FFh for all subpages.
    pub subpage: u8,
    /// How many bytes the initiator takes.
    pub allocation_length: u32,
}

pub(crate) fn parse_6(cdb: &[u8]) -> Result<Command, Sense> {
    let allocation_length = ALLOCATION_LENGTH_6.read(cdb).into();
    Ok(mode_sense(cdb, ModeForm::Six, false, allocation_length))
}

pub(crate) fn parse_10(cdb: &[u8]) -> Result<Command, Sense> {
    let allocation_length = ALLOCATION_LENGTH_10.read(cdb).into();
    Ok(mode_sense(cdb, ModeForm::Ten, LLBAA.read(cdb), allocation_length))
}

fn mode_sense(
    cdb: &[u8],
    form: ModeForm,
    long_lba_accepted: bool,
    allocation_length: u32,
) -> Command {
    Command::ModeSense(ModeSense {
        form,
        disable_block_descriptors: DBD.read(cdb),
        long_lba_accepted,
        page_control: match PAGE_CONTROL.read(cdb) {
            0b00 => PageControl::Current,
            0b01 => PageControl::Changeable,
            0b10 => PageControl::Default,
            _ => PageControl::Saved,
        },
        page: PAGE_CODE.read(cdb),
        subpage: SUBPAGE_CODE.read(cdb),
        allocation_length,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn six_bytes_have_no_llbaa() {
        assert_eq!(
            parse_bytes(&[0x1a, 0x18, 0x48, 0xff, 192, 0]),
            Ok(Command::ModeSense(ModeSense {
                form: ModeForm::Six,
                disable_block_descriptors: true,
                long_lba_accepted: false,
                page_control: PageControl::Changeable,
                page: 0x08,
                subpage: 0xff,
                allocation_length: 192,
            }))
        );
    }

    #[test]
    fn ten_bytes_have_llbaa() {
        assert_eq!(
            parse_bytes(&[0x5a, 0x10, 0xff, 0, 0, 0, 0, 0x12, 0x34, 0]),
            Ok(Command::ModeSense(ModeSense {
                form: ModeForm::Ten,
                disable_block_descriptors: false,
                long_lba_accepted: true,
                page_control: PageControl::Saved,
                page: 0x3f,
                subpage: 0,
                allocation_length: 0x1234,
            }))
        );
    }
}
