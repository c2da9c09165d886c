//! The UNMAP parameter list (SBC-4).

use pulsefield_units::{BlockCount, Lba};

use crate::field::Number;
use crate::vpd::BlockLimits;
use crate::{Extent, Sense};

const HEADER_LENGTH: usize = 8;
const DESCRIPTOR_LENGTH: usize = 16;
/// UNMAP BLOCK DESCRIPTOR DATA LENGTH; UNMAP DATA LENGTH before it says nothing new.
const DESCRIPTOR_DATA_LENGTH: Number<2> = Number::at(2);
const DESCRIPTOR_LBA: Number<8> = Number::at(0);
const DESCRIPTOR_BLOCKS: Number<4> = Number::at(8);

/// The block descriptors of an UNMAP, within the limits of the Block Limits page.
#[derive(Clone, Copy, Debug)]
pub struct UnmapList<'a> {
    descriptors: &'a [[u8; DESCRIPTOR_LENGTH]],
}

impl<'a> UnmapList<'a> {
    /// Reads a parameter list of the length that the CDB says. An empty list and one without
    /// descriptors unmap nothing; a descriptor that is not whole is ignored, as SBC-4 has it.
    ///
    /// # Errors
    /// ILLEGAL REQUEST with
    /// - PARAMETER LIST LENGTH ERROR: shorter than its header;
    /// - INVALID FIELD IN PARAMETER LIST: more descriptors, or in all of them more blocks, than
    ///   `limits` allow.
    pub fn parse(list: &'a [u8], limits: &BlockLimits) -> Result<Self, Sense> {
        let parsed = Self::parse_unlimited(list)?;
        parsed.check(limits)?;
        Ok(parsed)
    }

    /// As [`Self::parse`], for whoever only wants to know what was asked for.
    ///
    /// # Errors
    /// ILLEGAL REQUEST, PARAMETER LIST LENGTH ERROR: shorter than its header.
    pub fn parse_unlimited(list: &'a [u8]) -> Result<Self, Sense> {
        if list.is_empty() {
            return Ok(Self { descriptors: &[] });
        }
        let Some((_, data)) = list.split_at_checked(HEADER_LENGTH) else {
            return Err(Sense::parameter_list_length_error());
        };
        let claimed = usize::from(DESCRIPTOR_DATA_LENGTH.read(list));
        let (descriptors, _incomplete) = data.get(..claimed).unwrap_or(data).as_chunks();
        Ok(Self { descriptors })
    }

    fn check(&self, limits: &BlockLimits) -> Result<(), Sense> {
        if self.descriptors.len() as u64 > limits.maximum_unmap_block_descriptor_count.into() {
            return Err(DESCRIPTOR_DATA_LENGTH.invalid_in_parameter_list(0));
        }
        let mut at = HEADER_LENGTH;
        let mut left = u64::from(limits.maximum_unmap_lba_count);
        for extent in self.extents() {
            left = left
                .checked_sub(extent.blocks.as_u64())
                .ok_or_else(|| DESCRIPTOR_BLOCKS.invalid_in_parameter_list(at))?;
            at = at.saturating_add(DESCRIPTOR_LENGTH);
        }
        Ok(())
    }

    /// What to unmap, in the list's order; an extent may be empty, and need not exist.
    pub fn extents(&self) -> impl ExactSizeIterator<Item = Extent> + 'a {
        self.descriptors.iter().map(|descriptor| Extent {
            lba: Lba::new(DESCRIPTOR_LBA.read(descriptor)),
            blocks: BlockCount::new(DESCRIPTOR_BLOCKS.read(descriptor).into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Asc;

    const LIMITS: BlockLimits = BlockLimits {
        write_same_non_zero: true,
        maximum_compare_and_write_length: 1,
        optimal_transfer_length_granularity: 0,
        maximum_transfer_length: 0,
        optimal_transfer_length: 0,
        maximum_unmap_lba_count: 100,
        maximum_unmap_block_descriptor_count: 2,
        optimal_unmap_granularity: 1,
        unmap_granularity_alignment: None,
        maximum_write_same_length: 0,
        maximum_atomic_transfer_length: 0,
    };

    fn list(extents: &[(u64, u32)]) -> Vec<u8> {
        let descriptors = u16::try_from(16 * extents.len()).unwrap();
        let mut list = (descriptors + 6).to_be_bytes().to_vec();
        list.extend(descriptors.to_be_bytes());
        list.extend([0; 4]);
        for (lba, blocks) in extents {
            list.extend(lba.to_be_bytes());
            list.extend(blocks.to_be_bytes());
            list.extend([0; 4]);
        }
        list
    }

    fn parsed(list: &[u8]) -> Result<Vec<(u64, u64)>, Sense> {
        let list = UnmapList::parse(list, &LIMITS)?;
        Ok(list.extents().map(|extent| (extent.lba.as_u64(), extent.blocks.as_u64())).collect())
    }

    #[test]
    fn descriptors_are_read_in_order() {
        let extents = [(0x1_0000_0002, 8), (0, 92)];
        assert_eq!(parsed(&list(&extents)), Ok(vec![(0x1_0000_0002, 8), (0, 92)]));
    }

    #[test]
    fn nothing_to_unmap_is_no_error() {
        assert_eq!(parsed(&[]), Ok(vec![]));
        assert_eq!(parsed(&list(&[])), Ok(vec![]));
        assert_eq!(parsed(&list(&[(7, 0)])), Ok(vec![(7, 0)]));
    }

    #[test]
    fn less_than_a_header_is_a_length_error() {
        for length in 1..8 {
            assert_eq!(parsed(&list(&[])[..length]), Err(Sense::parameter_list_length_error()));
        }
    }

    #[test]
    fn a_descriptor_that_is_not_whole_is_ignored() {
        let whole = list(&[(1, 1), (2, 2)]);
        assert_eq!(parsed(&whole[..39]), Ok(vec![(1, 1)]), "the list is cut short");
        let mut claims_less = whole;
        claims_less[3] = 31;
        assert_eq!(parsed(&claims_less), Ok(vec![(1, 1)]), "the header says less");
        let mut claims_more = list(&[(1, 1)]);
        claims_more[2] = 0xff;
        assert_eq!(parsed(&claims_more), Ok(vec![(1, 1)]), "the header says more");
    }

    #[test]
    fn limits_are_pointed_at() {
        let refused = parsed(&list(&[(0, 1), (1, 1), (2, 1)]));
        assert_eq!(refused, Err(Sense::invalid_field_in_parameter_list(2, None)));
        let refused = parsed(&list(&[(0, 99), (200, 2)])).unwrap_err();
        assert_eq!(refused, Sense::invalid_field_in_parameter_list(8 + 16 + 8, None));
        assert_eq!(refused.asc, Asc::INVALID_FIELD_IN_PARAMETER_LIST);
    }

    #[test]
    fn an_extent_past_every_address_is_left_to_its_range() {
        let list = list(&[(u64::MAX, 2)]);
        let extent = UnmapList::parse(&list, &LIMITS).unwrap().extents().next().unwrap();
        assert_eq!(extent.range(), Err(Sense::lba_out_of_range()));
    }

    proptest! {
        #[test]
        fn no_list_makes_it_panic(list in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(unmap) = UnmapList::parse(&list, &LIMITS) {
                prop_assert!(unmap.extents().len() <= 2);
                let blocks: u64 = unmap.extents().map(|extent| extent.blocks.as_u64()).sum();
                prop_assert!(blocks <= 100);
            }
        }
    }
}
