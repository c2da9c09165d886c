//! The parameter list of FORMAT UNIT (SBC-4).

use crate::field::{Bits, Flag, Number};
use crate::{FormatList, Sense};

const PROTECTION_FIELD_USAGE: Bits = Bits::new(0, 2, 0);
/// FOV: the four bits after it mean something.
const FOV: Flag = Flag::new(1, 7);
const DPRY: Flag = Flag::new(1, 6);
const DCRT: Flag = Flag::new(1, 5);
const STPF: Flag = Flag::new(1, 4);
/// IP: an initialization pattern follows.
const IP: Flag = Flag::new(1, 3);
const IMMED: Flag = Flag::new(1, 1);
const DEFECT_LIST_LENGTH_SHORT: Number<2> = Number::at(2);
/// P_I_INFORMATION and PROTECTION INTERVAL EXPONENT.
const PROTECTION_LONG: Number<1> = Number::at(3);
const DEFECT_LIST_LENGTH_LONG: Number<4> = Number::at(4);

/// What the parameter list of a FORMAT UNIT asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatParameters {
    /// IMMED: the answer does not wait for the end.
    pub immediate: bool,
}

impl FormatParameters {
    /// Reads the header in `list`, of the form that the CDB says. Certification and what becomes of
    /// defects (DPRY, DCRT, STPF) are taken as they come: there are no defects.
    ///
    /// # Errors
    /// ILLEGAL REQUEST with
    /// - PARAMETER LIST LENGTH ERROR: shorter than its header;
    /// - INVALID FIELD IN PARAMETER LIST: protection information, a list of defects, an
    ///   initialization pattern (blocks are formatted to zeros), or options without FOV.
    pub fn parse(form: FormatList, list: &[u8]) -> Result<Self, Sense> {
        if list.len() < usize::from(form.header_length()) {
            return Err(Sense::parameter_list_length_error());
        }
        if PROTECTION_FIELD_USAGE.read(list) != 0 {
            return Err(PROTECTION_FIELD_USAGE.invalid_in_parameter_list(0));
        }
        let options = [DPRY, DCRT, STPF, IP];
        let meant = options.into_iter().find(|option| option.read(list));
        if let Some(option) = meant.filter(|_| !FOV.read(list)) {
            return Err(option.invalid_in_parameter_list(0));
        }
        if IP.read(list) {
            return Err(IP.invalid_in_parameter_list(0));
        }
        match form {
            FormatList::None => {}
            FormatList::Short => {
                if DEFECT_LIST_LENGTH_SHORT.read(list) != 0 {
                    return Err(DEFECT_LIST_LENGTH_SHORT.invalid_in_parameter_list(0));
                }
            }
            FormatList::Long => {
                if PROTECTION_LONG.read(list) != 0 {
                    return Err(PROTECTION_LONG.invalid_in_parameter_list(0));
                }
                if DEFECT_LIST_LENGTH_LONG.read(list) != 0 {
                    return Err(DEFECT_LIST_LENGTH_LONG.invalid_in_parameter_list(0));
                }
            }
        }
        Ok(Self { immediate: IMMED.read(list) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn short(list: &[u8]) -> Result<bool, Sense> {
        FormatParameters::parse(FormatList::Short, list).map(|parameters| parameters.immediate)
    }

    fn refused<T>(byte: u16, bit: Option<u8>) -> Result<T, Sense> {
        Err(Sense::invalid_field_in_parameter_list(byte, bit))
    }

    #[test]
    fn headers_of_both_forms() {
        assert_eq!(short(&[0, 0x02, 0, 0]), Ok(true));
        // FOV and DCRT, as sg_format sends them.
        assert_eq!(short(&[0, 0xa0, 0, 0]), Ok(false));
        let long = FormatParameters::parse(FormatList::Long, &[0, 2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(long, Ok(FormatParameters { immediate: true }));
        let none = FormatParameters::parse(FormatList::None, &[]);
        assert_eq!(none, Ok(FormatParameters { immediate: false }));
    }

    #[test]
    fn what_is_not_served_is_pointed_at() {
        assert_eq!(short(&[0x01, 0, 0, 0]), refused(0, Some(2)), "protection");
        assert_eq!(short(&[0, 0x20, 0, 0]), refused(1, Some(5)), "DCRT without FOV");
        assert_eq!(short(&[0, 0x88, 0, 0]), refused(1, Some(3)), "a pattern");
        assert_eq!(short(&[0, 0, 0, 4]), refused(2, None), "defects");
        let long = |list: [u8; 8]| FormatParameters::parse(FormatList::Long, &list);
        assert_eq!(long([0, 0, 0, 0x10, 0, 0, 0, 0]), refused(3, None));
        assert_eq!(long([0, 0, 0, 0, 0, 0, 0, 8]), refused(4, None));
    }

    #[test]
    fn less_than_a_header_is_a_length_error() {
        for length in 0..4 {
            let error = Err(Sense::parameter_list_length_error());
            assert_eq!(short(&[0; 4][..length]), error);
        }
    }

    proptest! {
        #[test]
        fn no_list_makes_it_panic(
            form in prop::sample::select(vec![FormatList::Short, FormatList::Long]),
            list in proptest::collection::vec(any::<u8>(), 0..12),
        ) {
            if let Err(Sense { field: Some(field), .. }) = FormatParameters::parse(form, &list) {
                prop_assert!(field.byte < form.header_length().into());
            }
        }
    }
}
