//! READ DEFECT DATA (10) and (12) (SBC-4).

use crate::field::{Bits, Flag, Number};
use crate::{Command, Sense};

/// The byte with REQ_PLIST, REQ_GLIST and DEFECT LIST FORMAT.
const REQUEST_10: u16 = 2;
const REQUEST_12: u16 = 1;
const ALLOCATION_LENGTH_10: Number<2> = Number::at(7);
const ALLOCATION_LENGTH_12: Number<4> = Number::at(6);
/// DEFECT LIST FORMAT 111b, the only reserved one.
const RESERVED_FORMAT: u8 = 0b111;

/// Which of the two commands it is: their headers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefectListHeader {
    /// Four bytes, of READ DEFECT DATA (10).
    Short,
    /// Eight bytes, of READ DEFECT DATA (12).
    Long,
}

/// READ DEFECT DATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadDefectData {
    /// The header it is answered with.
    pub header: DefectListHeader,
    /// REQ_PLIST: the defects the medium was made with are wanted.
    pub primary: bool,
    /// REQ_GLIST: the defects found since are wanted.
    pub grown: bool,
    /// DEFECT LIST FORMAT, 000b to 110b: how defects shall be named.
    pub format: u8,
    /// How many bytes the initiator takes.
    pub allocation_length: u32,
}

pub(crate) fn parse_10(cdb: &[u8]) -> Result<Command, Sense> {
    let allocation_length = ALLOCATION_LENGTH_10.read(cdb).into();
    read_defect_data(cdb, DefectListHeader::Short, REQUEST_10, allocation_length)
}

/// ADDRESS DESCRIPTOR INDEX says where in the list to begin, and past its end, as any index is in a
/// list that is empty, is no error.
pub(crate) fn parse_12(cdb: &[u8]) -> Result<Command, Sense> {
    let allocation_length = ALLOCATION_LENGTH_12.read(cdb);
    read_defect_data(cdb, DefectListHeader::Long, REQUEST_12, allocation_length)
}

fn read_defect_data(
    cdb: &[u8],
    header: DefectListHeader,
    request: u16,
    allocation_length: u32,
) -> Result<Command, Sense> {
    let (primary, grown) = (Flag::new(request, 4), Flag::new(request, 3));
    let defect_list_format = Bits::new(request, 2, 0);
    match defect_list_format.read(cdb) {
        RESERVED_FORMAT => Err(defect_list_format.invalid_in_cdb()),
        format => Ok(Command::ReadDefectData(ReadDefectData {
            header,
            primary: primary.read(cdb),
            grown: grown.read(cdb),
            format,
            allocation_length,
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse_bytes;

    #[test]
    fn both_lengths_have_their_layout() {
        assert_eq!(
            parse_bytes(&[0x37, 0, 0x1d, 0, 0, 0, 0, 0x01, 0x02, 0]),
            Ok(Command::ReadDefectData(ReadDefectData {
                header: DefectListHeader::Short,
                primary: true,
                grown: true,
                format: 0b101,
                allocation_length: 0x0102,
            }))
        );
        assert_eq!(
            parse_bytes(&[0xb7, 0x0b, 0, 0, 0, 9, 1, 2, 3, 4, 0, 0]),
            Ok(Command::ReadDefectData(ReadDefectData {
                header: DefectListHeader::Long,
                primary: false,
                grown: true,
                format: 0b011,
                allocation_length: 0x0102_0304,
            }))
        );
    }

    #[test]
    fn the_reserved_format_is_pointed_at() {
        let short = parse_bytes(&[0x37, 0, 0x1f, 0, 0, 0, 0, 0, 8, 0]);
        assert_eq!(short, Err(Sense::invalid_field_in_cdb(2, Some(2))));
        let long = parse_bytes(&[0xb7, 0x1f, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0]);
        assert_eq!(long, Err(Sense::invalid_field_in_cdb(1, Some(2))));
    }
}
