//! The parameter list of SANITIZE with the OVERWRITE service action (SBC-4).

use pulsefield_units::BlockLength;

use crate::field::{Bits, Flag, Number};
use crate::{Sanitize, Sense};

const INVERT: Flag = Flag::new(0, 7);
const TEST: Bits = Bits::new(0, 6, 5);
const OVERWRITE_COUNT: Bits = Bits::new(0, 4, 0);
const PATTERN_LENGTH: Number<2> = Number::at(2);
const HEADER_LENGTH: usize = 4;

/// What is to be written over everything, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overwrite<'a> {
    /// INVERT: every second pass writes the pattern with all its bits inverted, and the last as it is.
    pub invert: bool,
    /// OVERWRITE COUNT: how many passes; at least one.
    pub passes: u8,
    /// INITIALIZATION PATTERN: repeated from the start of each block on. At least one byte, at most a
    /// block.
    pub pattern: &'a [u8],
}

impl<'a> Overwrite<'a> {
    /// Reads a parameter list of the length that the CDB says.
    ///
    /// # Errors
    /// ILLEGAL REQUEST with
    /// - INVALID FIELD IN CDB: a list that has no room for a pattern, or for more than a block;
    /// - INVALID FIELD IN PARAMETER LIST: no passes, a pattern of zero bytes, of more than a block or
    ///   longer than the list, or a TEST, which is the vendor's.
    pub fn parse(list: &'a [u8], block_length: BlockLength) -> Result<Self, Sense> {
        let block = usize::try_from(block_length.bytes()).unwrap_or(usize::MAX);
        let Some((header, rest)) = list.split_at_checked(HEADER_LENGTH) else {
            return Err(Sanitize::INVALID_LIST_LENGTH);
        };
        if rest.is_empty() || rest.len() > block {
            return Err(Sanitize::INVALID_LIST_LENGTH);
        }
        if TEST.read(header) != 0 {
            return Err(TEST.invalid_in_parameter_list(0));
        }
        let passes = OVERWRITE_COUNT.read(header);
        if passes == 0 {
            return Err(OVERWRITE_COUNT.invalid_in_parameter_list(0));
        }
        let length = usize::from(PATTERN_LENGTH.read(header));
        match rest.get(..length) {
            Some(pattern) if !pattern.is_empty() => {
                Ok(Self { invert: INVERT.read(header), passes, pattern })
            }
            Some(_) | None => Err(PATTERN_LENGTH.invalid_in_parameter_list(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(list: &[u8]) -> Result<Overwrite<'_>, Sense> {
        Overwrite::parse(list, BlockLength::B512)
    }

    #[test]
    fn a_pattern_of_a_byte_to_a_block() {
        let overwrite = Overwrite { invert: true, passes: 3, pattern: &[0xaa, 0x55] };
        assert_eq!(parse(&[0x83, 0, 0, 2, 0xaa, 0x55]), Ok(overwrite));
        let whole = [&[1, 0, 0x02, 0x00][..], &[7; 512]].concat();
        assert_eq!(parse(&whole).map(|overwrite| overwrite.pattern.len()), Ok(512));
        assert_eq!(parse(&[1, 0, 0, 1, 9, 9]).map(|overwrite| overwrite.pattern), Ok(&[9][..]));
    }

    #[test]
    fn the_length_in_the_cdb_is_checked_first() {
        for length in 0..5 {
            assert_eq!(parse(&[0, 0, 0, 0][..length]), Err(Sanitize::INVALID_LIST_LENGTH));
        }
        assert_eq!(parse(&[0; 4 + 513]), Err(Sanitize::INVALID_LIST_LENGTH));
    }

    #[test]
    fn what_cannot_be_written_is_pointed_at() {
        let refused = |byte, bit| Err(Sense::invalid_field_in_parameter_list(byte, bit));
        assert_eq!(parse(&[0x00, 0, 0, 1, 0]), refused(0, Some(4)));
        assert_eq!(parse(&[0x21, 0, 0, 1, 0]), refused(0, Some(6)));
        assert_eq!(parse(&[0x01, 0, 0, 0, 0]), refused(2, None));
        assert_eq!(parse(&[0x01, 0, 0, 2, 0]), refused(2, None), "longer than the list");
    }

    proptest! {
        #[test]
        fn no_list_makes_it_panic_and_a_pointer_stays_inside(
            list in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            match parse(&list) {
                Ok(overwrite) => prop_assert!((1..=512).contains(&overwrite.pattern.len())),
                Err(sense) => prop_assert!(sense.field.is_some()),
            }
        }
    }
}
