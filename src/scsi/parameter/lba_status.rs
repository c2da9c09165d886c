//! GET LBA STATUS parameter data (SBC-4).

use pulsefield_units::{BlockCount, Lba};

use crate::encode::length_prefixed;
use crate::field::Number;

/// Where the first descriptor has its fields, from the beginning of the parameter data on.
const FIRST_LBA: Number<8> = Number::at(8);
const FIRST_BLOCKS: Number<4> = Number::at(16);
const FIRST_STATUS: usize = 20;
/// PROVISIONING STATUS within its byte.
const STATUS_MASK: u8 = 0x0f;

/// PROVISIONING STATUS of a run of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ProvisioningStatus {
    /// Backed by the medium, or its state is not known.
    Mapped = 0x0,
    /// Not backed.
    Deallocated = 0x1,
}

/// An LBA status descriptor: a run of blocks that are provisioned alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LbaStatus {
    /// The run's first block.
    pub start: Lba,
    /// Its length; of more than 2^32 - 1 blocks so many are told.
    pub blocks: BlockCount,
    /// How they are provisioned.
    pub status: ProvisioningStatus,
}

/// Appends the header and `descriptors` to `out`. Each must start where the one before it ends.
pub fn encode_lba_status(descriptors: &[LbaStatus], out: &mut Vec<u8>) {
    length_prefixed::<4>(out, |out| {
        out.extend_from_slice(&[0; 4]);
        for descriptor in descriptors {
            let blocks = u32::try_from(descriptor.blocks.as_u64()).unwrap_or(u32::MAX);
            out.extend_from_slice(&descriptor.start.as_u64().to_be_bytes());
            out.extend_from_slice(&blocks.to_be_bytes());
            out.extend_from_slice(&[descriptor.status as u8, 0, 0, 0]);
        }
    });
}

/// The first descriptor of parameter data: that of the block which was asked about. `None` if it is cut short, or
/// its status is neither of [`ProvisioningStatus`].
pub fn first_lba_status(data: &[u8]) -> Option<LbaStatus> {
    let status = match data.get(FIRST_STATUS)? & STATUS_MASK {
        0x0 => ProvisioningStatus::Mapped,
        0x1 => ProvisioningStatus::Deallocated,
        _ => return None,
    };
    let (start, blocks) = (Lba::new(FIRST_LBA.read(data)), FIRST_BLOCKS.read(data));
    Some(LbaStatus { start, blocks: BlockCount::new(blocks.into()), status })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_after_data() {
        let mut out = Vec::new();
        let descriptors = [
            LbaStatus {
                start: Lba::new(0x1_0000_0000),
                blocks: BlockCount::new(8),
                status: ProvisioningStatus::Mapped,
            },
            LbaStatus {
                start: Lba::new(0x1_0000_0008),
                blocks: BlockCount::new(1 << 40),
                status: ProvisioningStatus::Deallocated,
            },
        ];
        encode_lba_status(&descriptors, &mut out);
        assert_eq!(out[..8], [0, 0, 0, 36, 0, 0, 0, 0]);
        assert_eq!(out[8..24], [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0]);
        assert_eq!(out[24..], [0, 0, 0, 1, 0, 0, 0, 8, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0]);
        assert_eq!(first_lba_status(&out), Some(descriptors[0]));
    }

    #[test]
    fn the_first_descriptor_must_be_whole_and_known() {
        let mut data = [0; 24];
        (data[15], data[19], data[20]) = (7, 8, 0xf1);
        let (start, blocks) = (Lba::new(7), BlockCount::new(8));
        let status = ProvisioningStatus::Deallocated;
        assert_eq!(first_lba_status(&data), Some(LbaStatus { start, blocks, status }));
        assert_eq!(first_lba_status(&data[..20]), None);
        data[20] = 2; // Anchored.
        assert_eq!(first_lba_status(&data), None);
    }
}
