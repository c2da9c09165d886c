//! READ DEFECT DATA parameter data (SBC-4).

use crate::ReadDefectData;
use crate::cdb::read_defect_data::DefectListHeader;

/// PLISTV and GLISTV: the list that follows is the one asked for, whole.
const PLISTV: u8 = 0x10;
const GLISTV: u8 = 0x08;

/// Appends to `out` the header of a list without defects, in the format asked for: a medium of blocks
/// that a file system, memory or an array looks after has none that anybody here could name.
pub fn encode_empty_defect_list(command: ReadDefectData, out: &mut Vec<u8>) {
    let primary = if command.primary { PLISTV } else { 0 };
    let grown = if command.grown { GLISTV } else { 0 };
    out.extend_from_slice(&[0, primary | grown | command.format]);
    // DEFECT LIST LENGTH; before the long one, that there is no GENERATION CODE.
    out.extend_from_slice(match command.header {
        DefectListHeader::Short => &[0; 2],
        DefectListHeader::Long => &[0; 6],
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(header: DefectListHeader, primary: bool, grown: bool, format: u8) -> Vec<u8> {
        let mut out = Vec::new();
        let command = ReadDefectData { header, primary, grown, format, allocation_length: 0 };
        encode_empty_defect_list(command, &mut out);
        out
    }

    #[test]
    fn the_lists_asked_for_are_valid_and_empty() {
        assert_eq!(encoded(DefectListHeader::Short, true, false, 0b101), [0, 0x15, 0, 0]);
        assert_eq!(encoded(DefectListHeader::Long, true, true, 0), [0, 0x18, 0, 0, 0, 0, 0, 0]);
        assert_eq!(encoded(DefectListHeader::Long, false, false, 3), [0, 3, 0, 0, 0, 0, 0, 0]);
    }
}
