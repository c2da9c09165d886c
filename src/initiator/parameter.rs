//! Parameter lists as an initiator builds them.

use pulsefield_scsi::parameter::CSCD_ID_SELF;
use pulsefield_units::{BlockLength, Lba};

use crate::naa::Naa;

/// What NUMBER OF BLOCKS of a segment descriptor can say.
pub(crate) const COPY_BLOCKS_MAX: u16 = u16::MAX;

/// The parameter list of UNMAP with one block descriptor (SBC-4).
pub(crate) fn unmap_list(lba: Lba, blocks: u32) -> [u8; 24] {
    let mut list = [0; 24];
    // UNMAP DATA LENGTH and UNMAP BLOCK DESCRIPTOR DATA LENGTH.
    list[..4].copy_from_slice(&[0, 22, 0, 16]);
    list[8..16].copy_from_slice(&lba.as_u64().to_be_bytes());
    list[16..20].copy_from_slice(&blocks.to_be_bytes());
    list
}

/// The parameter list of EXTENDED COPY (LID1) as ESXi builds it: two descriptors that name the source and the
/// destination by NAA, here the same unit, and one segment from block device to block device (SPC-4, EXTENDED
/// COPY, type codes E4h and 02h). Nothing will be asked about the copy: LIST ID USAGE 11b.
pub(crate) fn copy_list(
    from: Lba,
    to: Lba,
    blocks: u16,
    block_length: BlockLength,
    naa: Option<&Naa>,
) -> Vec<u8> {
    let cscds = naa.map_or_else(Vec::new, |naa| cscd_descriptor(naa, block_length).repeat(2));
    let (source, destination) = if naa.is_some() { (0, 1) } else { (CSCD_ID_SELF, CSCD_ID_SELF) };
    let segment = segment_descriptor([source, destination], from, to, blocks);
    let mut header = [0; 16];
    header[1] = LIST_ID_NOT_USED;
    // CSCD DESCRIPTOR LIST LENGTH: none, or two descriptors.
    header[3] = if naa.is_some() { 64 } else { 0 };
    // SEGMENT DESCRIPTOR LIST LENGTH.
    header[11] = 28;
    [&header[..], &cscds, &segment].concat()
}

/// LIST ID USAGE 11b.
const LIST_ID_NOT_USED: u8 = 0x18;

/// An Identification Descriptor CSCD descriptor of a disk.
fn cscd_descriptor(naa: &Naa, block_length: BlockLength) -> [u8; 32] {
    let designator = naa.as_bytes();
    let mut descriptor = [0; 32];
    descriptor[0] = 0xe4;
    // CODE SET binary, ASSOCIATION logical unit and DESIGNATOR TYPE NAA.
    descriptor[4..6].copy_from_slice(&[0x01, 0x03]);
    // An `Naa` has 8 or 16 bytes, and there is room for 20.
    descriptor[7] = if designator.len() == 8 { 8 } else { 16 };
    descriptor[8..8 + designator.len()].copy_from_slice(designator);
    // DISK BLOCK LENGTH has three bytes, after one that is reserved: no block is so long.
    descriptor[28..32].copy_from_slice(&block_length.bytes().to_be_bytes());
    descriptor
}

fn segment_descriptor(cscds: [u16; 2], from: Lba, to: Lba, blocks: u16) -> [u8; 28] {
    let [source, destination] = cscds;
    let mut descriptor = [0; 28];
    descriptor[0] = 0x02;
    // DESCRIPTOR LENGTH counts what follows it.
    descriptor[3] = 0x18;
    descriptor[4..6].copy_from_slice(&source.to_be_bytes());
    descriptor[6..8].copy_from_slice(&destination.to_be_bytes());
    descriptor[10..12].copy_from_slice(&blocks.to_be_bytes());
    descriptor[12..20].copy_from_slice(&from.as_u64().to_be_bytes());
    descriptor[20..28].copy_from_slice(&to.as_u64().to_be_bytes());
    descriptor
}
