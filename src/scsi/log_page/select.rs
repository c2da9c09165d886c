//! LOG SELECT with a parameter list: all there is to be done with one is to check it.
//!
//! Parameters can be reset or not even that; none can be set (SPC-4, keywords *Reset Only* and
//! *Never*). So a list changes nothing, and is refused as soon as it asks for a change.

use super::{LogPage, ProvisioningResources, Statistics, encode_log_page};
use crate::field::{Bits, Flag, Number, position};
use crate::{LogSense, Sense};

// The head of a log page (SPC-4, Log page format). DS, left of SPF, says what may be saved: nothing.
const SPF: Flag = Flag::new(0, 6);
const PAGE_CODE: Bits = Bits::new(0, 5, 0);
const SUBPAGE_CODE: Number<1> = Number::at(1);
const PAGE_LENGTH: Number<2> = Number::at(2);
const PAGE_HEADER_LENGTH: usize = 4;

// The head of a log parameter.
const PARAMETER_CODE: Number<2> = Number::at(0);
const CONTROL_BYTE: Number<1> = Number::at(2);
const PARAMETER_LENGTH: Number<1> = Number::at(3);
const PARAMETER_HEADER_LENGTH: usize = 4;

/// Checks that `list`, the parameter list of a LOG SELECT, asks for no change: its pages and their
/// parameters are some of those that there are, in ascending order, with the values they have.
///
/// # Errors
/// ILLEGAL REQUEST with
/// - PARAMETER LIST LENGTH ERROR: the list ends inside a page;
/// - INVALID FIELD IN PARAMETER LIST: an unknown page or parameter, one out of order, a length that
///   is not its own, a change.
pub fn check_log_select(
    list: &[u8],
    statistics: &Statistics,
    resources: Option<&ProvisioningResources>,
) -> Result<(), Sense> {
    let mut at = 0_usize;
    let mut previous = None;
    while let Some(rest) = list.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.len() < PAGE_HEADER_LENGTH {
            return Err(Sense::parameter_list_length_error());
        }
        let page = page_of(rest, at)?;
        if previous.replace((page.code(), page.subpage())) >= Some((page.code(), page.subpage())) {
            return Err(PAGE_CODE.invalid_in_parameter_list(at));
        }
        let end = PAGE_HEADER_LENGTH.saturating_add(PAGE_LENGTH.read(rest).into());
        let parameters =
            rest.get(PAGE_HEADER_LENGTH..end).ok_or(Sense::parameter_list_length_error())?;
        let mut current = Vec::new();
        let whole = LogSense { page, parameter_pointer: 0, allocation_length: 0 };
        encode_log_page(&whole, statistics, resources, &mut current)
            .map_err(|_| PAGE_CODE.invalid_in_parameter_list(at))?;
        let has_parameters = page.last_parameter().is_some();
        let current = current.get(PAGE_HEADER_LENGTH..).filter(|_| has_parameters);
        check_parameters(parameters, current.unwrap_or_default(), at)?;
        at = at.saturating_add(end);
    }
    Ok(())
}

/// The page at the start of `rest`, which begins `at` bytes into the list.
fn page_of(rest: &[u8], at: usize) -> Result<LogPage, Sense> {
    let code = PAGE_CODE.read(rest);
    let subpage = if SPF.read(rest) { SUBPAGE_CODE.read(rest) } else { 0 };
    match LogPage::from_codes(code, subpage) {
        Some(page) => Ok(page),
        None if LogPage::ALL.iter().any(|page| page.code() == code) => {
            Err(SUBPAGE_CODE.invalid_in_parameter_list(at))
        }
        None => Err(PAGE_CODE.invalid_in_parameter_list(at)),
    }
}

/// Compares the parameters of a page, which begins `page_at` bytes into the list, with those in force.
fn check_parameters(mut sent: &[u8], mut current: &[u8], page_at: usize) -> Result<(), Sense> {
    let mut at = page_at.saturating_add(PAGE_HEADER_LENGTH);
    while !sent.is_empty() {
        if sent.len() < PARAMETER_HEADER_LENGTH {
            return Err(PAGE_LENGTH.invalid_in_parameter_list(page_at));
        }
        let (parameter, rest) =
            split_parameter(sent).ok_or(PARAMETER_LENGTH.invalid_in_parameter_list(at))?;
        // Both ascend, so what was passed over cannot come any more.
        let stands = loop {
            let Some((candidate, others)) = split_parameter(current) else {
                return Err(PARAMETER_CODE.invalid_in_parameter_list(at));
            };
            current = others;
            if PARAMETER_CODE.read(candidate) == PARAMETER_CODE.read(parameter) {
                break candidate;
            }
        };
        if CONTROL_BYTE.read(parameter) != CONTROL_BYTE.read(stands) {
            return Err(CONTROL_BYTE.invalid_in_parameter_list(at));
        }
        if parameter.len() != stands.len() {
            return Err(PARAMETER_LENGTH.invalid_in_parameter_list(at));
        }
        if let Some(nth) = parameter.iter().zip(stands).position(|(sent, stands)| sent != stands) {
            let byte = position(at.saturating_add(nth));
            return Err(Sense::invalid_field_in_parameter_list(byte, None));
        }
        at = at.saturating_add(parameter.len());
        sent = rest;
    }
    Ok(())
}

/// The first of `parameters`, with its head, and the others; `None` if it is not there, or not all.
fn split_parameter(parameters: &[u8]) -> Option<(&[u8], &[u8])> {
    let value_length = PARAMETER_LENGTH.read(parameters);
    parameters.split_at_checked(PARAMETER_HEADER_LENGTH.saturating_add(value_length.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STATISTICS: Statistics = Statistics {
        reads: 7,
        writes: 0,
        blocks_received: 0,
        blocks_transmitted: 0,
        read_us: 0,
        write_us: 0,
        idle_us: 9,
    };

    /// The parameters 2 (idle time) and 3 (time interval) of the General Statistics and Performance page.
    const STATISTICS_PAGE: [u8; 28] = [
        0x19, 0, 0, 24, 0, 2, 0x03, 8, 0, 0, 0, 0, 0, 0, 0, 9, 0, 3, 0x03, 8, 0, 0, 0, 6, 0, 0, 0,
        1,
    ];
    const TEMPERATURE_PAGE: [u8; 10] = [0x0d, 0, 0, 6, 0, 0, 0x03, 2, 0, 0xff];

    fn check(list: &[u8]) -> Result<(), Sense> {
        check_log_select(list, &STATISTICS, None)
    }

    fn refused(byte: u16, bit: Option<u8>) -> Result<(), Sense> {
        Err(Sense::invalid_field_in_parameter_list(byte, bit))
    }

    #[test]
    fn values_that_stand_already_are_no_change() {
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&STATISTICS_PAGE), Ok(()));
        assert_eq!(check(&[&TEMPERATURE_PAGE[..], &STATISTICS_PAGE].concat()), Ok(()));
        assert_eq!(check(&[0x19, 0, 0, 0]), Ok(()), "a page of no parameters");
        assert_eq!(check(&[0x40, 0xff, 0, 0]), Ok(()), "one that has none");
    }

    #[test]
    fn a_change_is_pointed_at() {
        for (byte, what) in [(15, "a counter"), (18, "its control byte"), (27, "a constant")] {
            let mut list = STATISTICS_PAGE;
            list[byte] ^= 1;
            assert_eq!(check(&list), refused(u16::try_from(byte).unwrap(), None), "{what}");
        }
    }

    #[test]
    fn pages_and_parameters_that_there_are_not_are_pointed_at() {
        assert_eq!(check(&[0x10, 0, 0, 0]), refused(0, Some(5)));
        assert_eq!(check(&[0x0c, 0, 0, 0]), refused(0, Some(5)), "no limited resources");
        assert_eq!(check(&[0x59, 0x20, 0, 0]), refused(1, None));
        assert_eq!(check(&[0x0d, 0, 0, 6, 0, 1, 0x03, 2, 0, 0xff]), refused(4, None));
        assert_eq!(check(&[0x00, 0, 0, 4, 0, 0, 0x03, 0]), refused(4, None));
    }

    #[test]
    fn both_come_in_ascending_order_and_once() {
        let pages = [&STATISTICS_PAGE[..], &TEMPERATURE_PAGE].concat();
        assert_eq!(check(&pages), refused(28, Some(5)));
        let twice = [&TEMPERATURE_PAGE[..], &TEMPERATURE_PAGE].concat();
        assert_eq!(check(&twice), refused(10, Some(5)));
        let (head, parameters) = STATISTICS_PAGE.split_at(4);
        let (second, third) = parameters.split_at(12);
        assert_eq!(check(&[head, third, second].concat()), refused(16, None));
    }

    #[test]
    fn lengths_are_those_of_pages_and_parameters() {
        for end in 1..STATISTICS_PAGE.len() {
            let refused = Err(Sense::parameter_list_length_error());
            assert_eq!(check(&STATISTICS_PAGE[..end]), refused, "{end} bytes");
        }
        assert_eq!(check(&[0x0d, 0, 0, 5, 0, 0, 0x03, 2, 0]), refused(7, None), "cut by its page");
        assert_eq!(check(&[0x0d, 0, 0, 5, 0, 0, 0x03, 1, 0]), refused(7, None), "too short");
        assert_eq!(check(&[0x0d, 0, 0, 3, 0, 0, 0x03]), refused(2, None), "not even a head");
    }

    proptest! {
        #[test]
        fn no_list_makes_it_panic_and_a_change_is_never_accepted(
            byte in 0..STATISTICS_PAGE.len(),
            bit in 0_u8..8,
            end in 0..=STATISTICS_PAGE.len(),
        ) {
            let mut list = STATISTICS_PAGE;
            list[byte] ^= 1 << bit;
            let result = check(&list[..end]);
            // DS, and the subpage code of a page in page_0 format, say nothing here.
            let says_nothing = matches!((byte, bit), (0, 7) | (1, _)) || byte >= end;
            prop_assert!(result.is_err() || says_nothing);
        }
    }
}
