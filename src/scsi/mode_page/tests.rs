use proptest::prelude::*;

use super::*;
use crate::{ModeForm, ModeSense, PageControl, Sense};

const CACHE_ON: ModeSettings = ModeSettings {
    write_cache_enabled: true,
    descriptor_sense: false,
    software_write_protect: false,
};

const PARAMETERS: ModeParameters = ModeParameters {
    current: CACHE_ON,
    default: ModeSettings {
        write_cache_enabled: false,
        descriptor_sense: true,
        software_write_protect: true,
    },
    saved: ModeSettings {
        write_cache_enabled: true,
        descriptor_sense: true,
        software_write_protect: false,
    },
    changeable: CACHE_ON,
    read_only: false,
    blocks: BlockCount::new(0x1234_5678),
    block_length: BlockLength::B512,
    provisioning_thresholds: Vec::new(),
};

const ERROR_RECOVERY: [u8; 12] = [0x01, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const CACHING: [u8; 20] = [0x88, 0x12, 0x04, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const CONTROL: [u8; 12] = [0x8a, 0x0a, 0x02, 0x10, 0, 0x40, 0, 0, 0xff, 0xff, 0, 0];
const CONTROL_EXTENSION: [u8; 32] = [
    0x4a, 0x01, 0, 0x1c, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0,
];
const POWER: [u8; 40] = [
    0x1a, 0x26, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];
const EXCEPTIONS: [u8; 12] = [0x1c, 0x0a, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// With thresholds at 0x0102 and 3 available threshold sets.
const PROVISIONING: [u8; 32] = [
    0x5c, 0x02, 0, 0x1c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x01, 0, 0, 0, 0, 0x01, 0x02,
    0x80, 0x01, 0, 0, 0, 0, 0, 3,
];

fn with_thresholds() -> ModeParameters {
    ModeParameters { provisioning_thresholds: vec![0x0102, 3], ..PARAMETERS }
}

fn command(form: ModeForm, page: u8) -> ModeSense {
    ModeSense {
        form,
        disable_block_descriptors: true,
        long_lba_accepted: false,
        page_control: PageControl::Current,
        page,
        subpage: 0,
        allocation_length: 255,
    }
}

fn encoded(parameters: ModeParameters, command: ModeSense) -> Result<Vec<u8>, Sense> {
    let mut out = Vec::new();
    parameters.encode(&command, &mut out)?;
    Ok(out)
}

/// The caching page with the given byte 2, in a (6) list without block descriptor.
fn select_caching(byte_2: u8) -> Vec<u8> {
    let mut list = [&[0; 4], &CACHING[..]].concat();
    list[6] = byte_2;
    list
}

fn refused(byte: u16, bit: Option<u8>) -> Result<ModeSettings, Sense> {
    Err(Sense::invalid_field_in_parameter_list(byte, bit))
}

#[test]
fn pages_ascend_and_say_how_long_they_are() {
    let codes = |page: ModePage| (page.code(), page.subpage());
    assert!(with_thresholds().pages().map(codes).is_sorted_by(|a, b| a < b));
    for page in with_thresholds().pages() {
        let length = match page.is_subpage() {
            false => page.bytes[1].into(),
            true => u16::from_be_bytes([page.bytes[2], page.bytes[3]]),
        };
        assert_eq!(usize::from(length), page.bytes.len() - page.header_length());
        for setting in page.settings {
            assert_eq!(page.bytes[setting.byte] & setting.mask, 0, "a setting is off at first");
        }
    }
}

#[test]
fn all_pages_in_six_and_ten_bytes() {
    let pages = [&ERROR_RECOVERY[..], &CACHING, &CONTROL, &POWER, &EXCEPTIONS].concat();
    let six = encoded(PARAMETERS, command(ModeForm::Six, 0x3f)).unwrap();
    assert_eq!(six, [&[99, 0, 0x10, 0], &pages[..]].concat());
    let ten = encoded(PARAMETERS, command(ModeForm::Ten, 0x3f)).unwrap();
    assert_eq!(ten, [&[0, 102, 0, 0x10, 0, 0, 0, 0], &pages[..]].concat());
}

#[test]
fn all_subpages_come_when_they_are_asked_for() {
    let pages = |parameters, page, subpage| {
        let command = ModeSense { subpage, ..command(ModeForm::Ten, page) };
        encoded(parameters, command).map(|out| out[8..].to_vec())
    };
    let all = [
        &ERROR_RECOVERY[..],
        &CACHING,
        &CONTROL,
        &CONTROL_EXTENSION,
        &POWER,
        &EXCEPTIONS,
        &PROVISIONING,
    ];
    assert_eq!(pages(with_thresholds(), 0x3f, 0xff), Ok(all.concat()));
    assert_eq!(pages(PARAMETERS, 0x3f, 0xff), Ok(all[..6].concat()), "no thresholds");
    let control = [&CONTROL[..], &CONTROL_EXTENSION].concat();
    assert_eq!(pages(PARAMETERS, 0x0a, 0xff), Ok(control));
    assert_eq!(pages(PARAMETERS, 0x0a, 0x01), Ok(CONTROL_EXTENSION.to_vec()));
    assert_eq!(pages(with_thresholds(), 0x1c, 0x02), Ok(PROVISIONING.to_vec()));
    assert_eq!(pages(PARAMETERS, 0x1c, 0x02), Err(Sense::invalid_field_in_cdb(3, None)));
}

#[test]
fn the_most_thresholds_fit_into_what_six_bytes_can_tell() {
    let provisioning_thresholds = vec![1; PROVISIONING_THRESHOLDS_MAX];
    let parameters = ModeParameters { provisioning_thresholds, ..PARAMETERS };
    let command = ModeSense {
        disable_block_descriptors: false,
        subpage: 0xff,
        ..command(ModeForm::Six, 0x3f)
    };
    let out = encoded(parameters, command).unwrap();
    assert_eq!(usize::from(out[0]) + 1, out.len());
}

#[test]
fn subpages_cannot_be_changed_and_come_back_as_they_were_told() {
    let changeable = ModeSense {
        page_control: PageControl::Changeable,
        subpage: 0x02,
        ..command(ModeForm::Ten, 0x1c)
    };
    let mask = encoded(with_thresholds(), changeable).unwrap();
    assert_eq!(mask[8..], [&PROVISIONING[..4], &[0; 28]].concat());
    let list = [&[0; 4], &CONTROL_EXTENSION[..], &PROVISIONING].concat();
    let select = |list: &[u8]| with_thresholds().select(ModeForm::Six, list);
    assert_eq!(select(&list), Ok(CACHE_ON));
    let changed = |byte: usize, value: u8| {
        let mut list = list.clone();
        list[byte] = value;
        select(&list)
    };
    assert_eq!(changed(4 + 4, 0), refused(8, Some(0)), "IALUAE");
    assert_eq!(changed(4 + 1, 2), refused(5, None), "no such subpage");
    assert_eq!(changed(4 + 3, 0x1b), refused(6, None), "not the subpage's length");
    assert_eq!(changed(36 + 16, 0), refused(52, Some(7)), "a threshold is not switched off");
    assert_eq!(select(&list[..7]), Err(Sense::parameter_list_length_error()));
    assert_eq!(PARAMETERS.select(ModeForm::Six, &list), refused(36, Some(6)), "no thresholds");
}

#[test]
fn a_block_descriptor_is_short_unless_long_is_accepted() {
    let with = |form, long_lba_accepted| {
        let command = ModeSense {
            disable_block_descriptors: false,
            long_lba_accepted,
            ..command(form, 0x08)
        };
        encoded(PARAMETERS, command).unwrap()
    };
    let short = [0x12, 0x34, 0x56, 0x78, 0, 0, 2, 0];
    assert_eq!(with(ModeForm::Six, false)[..12], [&[31, 0, 0x10, 8], &short[..]].concat());
    let ten = with(ModeForm::Ten, false);
    assert_eq!(ten[..16], [&[0, 34, 0, 0x10, 0, 0, 0, 8], &short[..]].concat());
    let long = [0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0, 0, 0, 2, 0];
    let ten = with(ModeForm::Ten, true);
    assert_eq!(ten[..24], [&[0, 42, 0, 0x10, 1, 0, 0, 16], &long[..]].concat());
    assert_eq!(ten[24..], CACHING);
}

#[test]
fn a_large_medium_has_all_ones_in_a_short_descriptor() {
    let large = ModeParameters { blocks: BlockCount::new(1 << 33), ..PARAMETERS };
    assert_eq!(large.short_descriptor(), [0xff, 0xff, 0xff, 0xff, 0, 0, 2, 0]);
    assert_eq!(large.long_descriptor()[..8], [0, 0, 0, 2, 0, 0, 0, 0]);
}

#[test]
fn page_control_chooses_the_values() {
    let caching = |page_control| {
        let command = ModeSense { page_control, ..command(ModeForm::Six, 0x08) };
        encoded(PARAMETERS, command).map(|out| (out[6], out[4..6].to_vec()))
    };
    assert_eq!(caching(PageControl::Current), Ok((0x04, vec![0x88, 0x12])));
    assert_eq!(caching(PageControl::Changeable), Ok((0x04, vec![0x88, 0x12])));
    assert_eq!(caching(PageControl::Default), Ok((0x00, vec![0x88, 0x12])));
    assert_eq!(caching(PageControl::Saved), Ok((0x04, vec![0x88, 0x12])));

    let control = |page_control| {
        let command = ModeSense { page_control, ..command(ModeForm::Six, 0x0a) };
        encoded(PARAMETERS, command).unwrap()[4..].to_vec()
    };
    assert_eq!(control(PageControl::Changeable), [0x8a, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let saved = [0x8a, 0x0a, 0x06, 0x10, 0, 0x40, 0, 0, 0xff, 0xff, 0, 0];
    assert_eq!(control(PageControl::Saved), saved);
    let default = [0x8a, 0x0a, 0x06, 0x10, 0x08, 0x40, 0, 0, 0xff, 0xff, 0, 0];
    assert_eq!(control(PageControl::Default), default);
}

#[test]
fn both_kinds_of_write_protection_show() {
    let header = |parameters| encoded(parameters, command(ModeForm::Six, 0x08)).unwrap()[2];
    assert_eq!(header(PARAMETERS), 0x10);
    assert_eq!(header(ModeParameters { read_only: true, ..PARAMETERS }), 0x90);
    let current = ModeSettings { software_write_protect: true, ..CACHE_ON };
    assert_eq!(header(ModeParameters { current, ..PARAMETERS }), 0x90);
}

#[test]
fn unknown_pages_are_pointed_at_and_nothing_is_written() {
    let mut out = vec![0xa5];
    let page = command(ModeForm::Six, 0x19);
    assert_eq!(PARAMETERS.encode(&page, &mut out), Err(Sense::invalid_field_in_cdb(2, Some(5))));
    for (page, subpage) in [(0x08, 1), (0x3f, 1), (0x0a, 2)] {
        let subpage = ModeSense { subpage, ..command(ModeForm::Six, page) };
        assert_eq!(
            PARAMETERS.encode(&subpage, &mut out),
            Err(Sense::invalid_field_in_cdb(3, None))
        );
    }
    assert_eq!(out, [0xa5]);
}

#[test]
fn what_mode_sense_tells_changes_nothing() {
    for form in [ModeForm::Six, ModeForm::Ten] {
        for long_lba_accepted in [false, form == ModeForm::Ten] {
            let command = ModeSense {
                disable_block_descriptors: false,
                long_lba_accepted,
                ..command(form, 0x3f)
            };
            let list = encoded(PARAMETERS, command).unwrap();
            assert_eq!(PARAMETERS.select(form, &list), Ok(CACHE_ON));
        }
    }
}

#[test]
fn the_write_cache_is_switched_if_it_may_be() {
    let off = ModeSettings { write_cache_enabled: false, ..CACHE_ON };
    assert_eq!(PARAMETERS.select(ModeForm::Six, &select_caching(0x00)), Ok(off));
    assert_eq!(PARAMETERS.select(ModeForm::Six, &select_caching(0x04)), Ok(CACHE_ON));
    let fixed = ModeParameters { changeable: ModeSettings::default(), ..PARAMETERS };
    assert_eq!(fixed.select(ModeForm::Six, &select_caching(0x00)), refused(6, Some(2)));
    assert_eq!(fixed.select(ModeForm::Six, &select_caching(0x04)), Ok(CACHE_ON));
}

#[test]
fn a_change_of_anything_else_is_pointed_at() {
    assert_eq!(PARAMETERS.select(ModeForm::Six, &select_caching(0x05)), refused(6, Some(0)));
    let mut control = [&[0; 8], &CONTROL[..]].concat();
    control[8 + 4] = 0x38;
    assert_eq!(PARAMETERS.select(ModeForm::Ten, &control), refused(12, Some(5)));
}

#[test]
fn a_second_page_is_pointed_at_where_it_stands() {
    let list = [&[0; 4], &CACHING[..], &[0x1c, 0x0a, 0x09], &EXCEPTIONS[3..]].concat();
    assert_eq!(PARAMETERS.select(ModeForm::Six, &list), refused(26, Some(0)));
}

#[test]
fn a_list_cut_short_is_a_length_error_wherever_it_ends() {
    let block_descriptor = [0x12, 0x34, 0x56, 0x78, 0, 0, 2, 0];
    let list = [&[0, 0, 0, 8], &block_descriptor[..], &CACHING].concat();
    assert_eq!(PARAMETERS.select(ModeForm::Six, &list), Ok(CACHE_ON));
    let pages = 12;
    assert_eq!(PARAMETERS.select(ModeForm::Six, &list[..pages]), Ok(CACHE_ON), "no page at all");
    for end in (1..list.len()).filter(|end| *end != pages) {
        let refused = Err(Sense::parameter_list_length_error());
        assert_eq!(PARAMETERS.select(ModeForm::Six, &list[..end]), refused, "{end} bytes");
    }
    assert_eq!(PARAMETERS.select(ModeForm::Six, &[]), Ok(CACHE_ON));
}

#[test]
fn the_head_of_a_list_is_checked() {
    let select = |form, list: &[u8]| PARAMETERS.select(form, list);
    assert_eq!(select(ModeForm::Six, &[9, 1, 0xff, 0]), refused(1, None), "medium type");
    assert_eq!(select(ModeForm::Six, &[9, 0, 0xff, 7]), refused(3, None), "descriptor length");
    assert_eq!(select(ModeForm::Ten, &[0, 0, 2, 0, 0, 0, 0, 0]), refused(2, None));
    assert_eq!(select(ModeForm::Ten, &[0, 0, 0, 0, 1, 0, 0, 8]), refused(6, None));
    assert_eq!(select(ModeForm::Ten, &[0, 0, 0, 0, 0, 0, 1, 0]), refused(6, None));
}

#[test]
fn the_medium_is_not_reformatted() {
    let short = |blocks: u32, block_length: u32| {
        let list = [[0, 0, 0, 8], blocks.to_be_bytes(), block_length.to_be_bytes()].concat();
        PARAMETERS.select(ModeForm::Six, &list)
    };
    assert_eq!(short(0, 512), Ok(CACHE_ON));
    assert_eq!(short(0x1234_5678, 0xff00_0200), Ok(CACHE_ON), "the left byte is reserved");
    assert_eq!(short(0x1234_5679, 512), refused(4, None));
    assert_eq!(short(0, 4096), refused(8, None));
    let mut long = [&[0, 0, 0, 0, 1, 0, 0, 16][..], &PARAMETERS.long_descriptor()].concat();
    assert_eq!(PARAMETERS.select(ModeForm::Ten, &long), Ok(CACHE_ON));
    long[22] = 0x10;
    assert_eq!(PARAMETERS.select(ModeForm::Ten, &long), refused(20, None));
    long[8] = 1;
    assert_eq!(PARAMETERS.select(ModeForm::Ten, &long), refused(8, None));
}

#[test]
fn the_head_of_a_page_is_checked() {
    let page = |head: [u8; 2]| {
        let list = [&[0; 4], &head[..], &CACHING[2..]].concat();
        PARAMETERS.select(ModeForm::Six, &list)
    };
    assert_eq!(page([0x88, 0x12]), Ok(CACHE_ON), "PS is reserved here");
    assert_eq!(page([0x48, 0x12]), refused(4, Some(6)), "a page without subpages");
    assert_eq!(page([0x19, 0x12]), refused(4, Some(5)), "no such page");
    assert_eq!(page([0x08, 0x0a]), refused(5, None), "not the page's length");
}

proptest! {
    #[test]
    fn no_list_makes_it_panic_and_a_pointer_stays_inside(
        ten in any::<bool>(),
        mut list in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let form = if ten { ModeForm::Ten } else { ModeForm::Six };
        // Mostly past the header, which random bytes seldom get by.
        for byte in list.iter_mut().take(if ten { 8 } else { 4 }).skip(1) {
            *byte &= 0x08;
        }
        if let Err(sense) = PARAMETERS.select(form, &list)
            && let Some(field) = sense.field
        {
            prop_assert!(usize::from(field.byte) < list.len());
        }
    }

    #[test]
    fn a_changed_bit_is_taken_over_or_pointed_at(byte in 6_usize..24, bit in 0_u8..8) {
        let mut list = select_caching(0x04);
        list[byte] ^= 1 << bit;
        let pointer = u16::try_from(byte).unwrap();
        let expected = if (byte, bit) == (6, 2) {
            Ok(ModeSettings { write_cache_enabled: false, ..CACHE_ON })
        } else {
            refused(pointer, Some(bit))
        };
        prop_assert_eq!(PARAMETERS.select(ModeForm::Six, &list), expected);
    }
}
