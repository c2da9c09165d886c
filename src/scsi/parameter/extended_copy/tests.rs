use proptest::prelude::*;

use super::*;

const LIMITS: CopyLimits = CopyLimits {
    cscd_descriptors_max: 2,
    segment_descriptors_max: 2,
    descriptor_list_bytes_max: 200,
    segment_bytes_max: 1 << 24,
    concurrent_copies_max: 1,
    granularity_exponent: 9,
};

const NAA: [u8; 16] = [0x60, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn cscd() -> Vec<u8> {
    let mut bytes = vec![0xe4, 0, 0, 0, 0x01, 0x03, 0, 16];
    bytes.extend(NAA);
    bytes.extend([0, 0, 0, 0, 0, 0, 0x02, 0x00]);
    bytes
}

fn block_to_block(bits: u8) -> Vec<u8> {
    let mut bytes = vec![0x02, bits, 0, 0x18, 0, 1, 0, 0, 0, 0, 0x12, 0x34];
    bytes.extend(7_u64.to_be_bytes());
    bytes.extend(0x1_0000_0009_u64.to_be_bytes());
    bytes
}

fn with_offset(source: u16, destination: u16) -> Vec<u8> {
    let mut bytes = vec![0x0a, 0, 0, 0x1c, 0, 0, 0xff, 0xff, 0, 1, 0, 0];
    bytes.extend(7_u64.to_be_bytes());
    bytes.extend(9_u64.to_be_bytes());
    bytes.extend(source.to_be_bytes());
    bytes.extend(destination.to_be_bytes());
    bytes
}

fn lid1(cscds: &[Vec<u8>], segments: &[Vec<u8>]) -> Vec<u8> {
    let (cscds, segments) = (cscds.concat(), segments.concat());
    let mut list = vec![0; 16];
    list[0] = 0x2a;
    list[2..4].copy_from_slice(&u16::try_from(cscds.len()).unwrap().to_be_bytes());
    list[8..12].copy_from_slice(&u32::try_from(segments.len()).unwrap().to_be_bytes());
    [list, cscds, segments].concat()
}

fn lid4(cscds: &[Vec<u8>], segments: &[Vec<u8>]) -> Vec<u8> {
    let (cscds, segments) = (cscds.concat(), segments.concat());
    let mut list = vec![0; 48];
    (list[0], list[3], list[16], list[20], list[23]) = (0x01, 0x20, 0xff, 0x12, 0x34);
    list[42..44].copy_from_slice(&u16::try_from(cscds.len()).unwrap().to_be_bytes());
    list[44..46].copy_from_slice(&u16::try_from(segments.len()).unwrap().to_be_bytes());
    [list, cscds, segments].concat()
}

fn parse(list: &[u8]) -> Result<ExtendedCopyList<'_>, Sense> {
    ExtendedCopyList::parse(ListIdentifierForm::Lid1, list, &LIMITS)
}

fn parse_lid4(list: &[u8]) -> Result<ExtendedCopyList<'_>, Sense> {
    ExtendedCopyList::parse(ListIdentifierForm::Lid4, list, &LIMITS)
}

#[track_caller]
fn refused(list: &[u8], asc: Asc, byte: u16, bit: Option<u8>) {
    let field = FieldPointer::in_parameter_list(byte, bit);
    let sense = Sense::new(SenseKey::IllegalRequest, asc).with_field(field);
    assert_eq!(parse(list).err(), Some(sense));
}

#[test]
fn both_forms_say_the_same() {
    let (cscds, segments) = ([cscd(), cscd()], [block_to_block(0), with_offset(0, 0)]);
    for (list, identifier) in
        [(lid1(&cscds, &segments), 0x2a), (lid4(&cscds, &segments), 0x12000034)]
    {
        let form =
            if identifier == 0x2a { ListIdentifierForm::Lid1 } else { ListIdentifierForm::Lid4 };
        let parsed = ExtendedCopyList::parse(form, &list, &LIMITS).unwrap();
        assert_eq!(parsed.list_identifier, identifier);
        assert_eq!(parsed.list_id_usage, ListIdUsage::Identified);
        let cscds: Vec<_> = parsed.cscds().collect();
        assert_eq!(cscds.len(), 2);
        assert_eq!(cscds[0].designator(), NAA);
        let CscdDescriptor { device_type, code_set, association, designator_type, .. } = cscds[1];
        assert_eq!((device_type, code_set, association, designator_type), (0, 1, 0, 3));
        assert_eq!(cscds[1].block_length, 512);
        let header = u16::try_from(list.len()).unwrap() - 2 * 32 - 28 - 32;
        let at = FieldPointer::in_parameter_list(header + 32 + 29, None);
        assert_eq!(cscds[1].block_length_at, at);
        let segments: Vec<_> = parsed.segments().map(Result::unwrap).collect();
        assert_eq!(
            segments,
            [
                SegmentDescriptor {
                    source: 1,
                    destination: 0,
                    source_lba: Lba::new(7),
                    destination_lba: Lba::new(0x1_0000_0009),
                    amount: CopyAmount::SourceBlocks(0x1234),
                },
                SegmentDescriptor {
                    source: 0,
                    destination: CSCD_ID_SELF,
                    source_lba: Lba::new(7),
                    destination_lba: Lba::new(9),
                    amount: CopyAmount::Bytes(0x10000),
                },
            ]
        );
    }
}

#[test]
fn dc_counts_blocks_of_the_destination() {
    let list = lid1(&[cscd()], &[block_to_block(0x02)]);
    let segment = parse(&list).unwrap().segments().next().unwrap().unwrap();
    assert_eq!(segment.amount, CopyAmount::DestinationBlocks(0x1234));
}

#[test]
fn no_descriptors_are_no_error() {
    let list = lid1(&[], &[]);
    let parsed = parse(&list).unwrap();
    assert_eq!((parsed.cscds().len(), parsed.segments().count()), (0, 0));
}

#[test]
fn a_list_that_ends_early_is_a_length_error_wherever_it_ends() {
    let list = lid1(&[cscd(), cscd()], &[block_to_block(0), with_offset(0, 0)]);
    for length in 1..list.len() {
        let error = parse(&list[..length]).err();
        assert_eq!(error, Some(Sense::parameter_list_length_error()), "{length} bytes");
    }
    let list = lid4(&[cscd()], &[block_to_block(0)]);
    for length in 1..list.len() {
        let error = parse_lid4(&list[..length]).err();
        assert_eq!(error, Some(Sense::parameter_list_length_error()), "{length} bytes");
    }
}

#[test]
fn what_follows_the_descriptors_is_ignored() {
    let mut list = lid1(&[cscd()], &[block_to_block(0)]);
    list.extend([0xff; 100]);
    assert_eq!(parse(&list).unwrap().segments().count(), 1);
}

#[test]
fn segments_that_do_not_fill_their_list_are_a_length_error() {
    let mut list = lid1(&[cscd()], &[block_to_block(0)]);
    for (length, extra) in [(29, vec![0x02]), (40, block_to_block(0)[..12].to_vec())] {
        list.truncate(16 + 32 + 28);
        list[11] = length;
        list.extend(extra);
        assert_eq!(parse(&list).err(), Some(Sense::parameter_list_length_error()));
    }
}

#[test]
fn every_limit_has_its_own_code() {
    let three = [cscd(), cscd(), cscd()];
    refused(&lid1(&three, &[]), Asc::TOO_MANY_TARGET_DESCRIPTORS, 2, None);
    let three = [block_to_block(0), block_to_block(0), block_to_block(0)];
    refused(&lid1(&[], &three), Asc::TOO_MANY_SEGMENT_DESCRIPTORS, 8, None);
    let too_long = lid1(&vec![cscd(); 7], &[]);
    assert_eq!(parse(&too_long).err(), Some(Sense::parameter_list_length_error()));
    let mut inline = lid1(&[cscd()], &[]);
    inline[15] = 1;
    refused(&inline, Asc::INLINE_DATA_LENGTH_EXCEEDED, 12, None);
}

#[test]
fn descriptors_of_other_types_are_pointed_at() {
    let mut fc = cscd();
    fc[0] = 0xe0;
    let list = lid1(&[cscd(), fc], &[]);
    refused(&list, Asc::UNSUPPORTED_TARGET_DESCRIPTOR_TYPE_CODE, 16 + 32, None);
    let stream = vec![0x03, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let list = lid1(&[cscd()], &[block_to_block(0), stream]);
    refused(&list, Asc::UNSUPPORTED_SEGMENT_DESCRIPTOR_TYPE_CODE, 16 + 32 + 28, None);
}

#[test]
fn wrong_fields_are_pointed_at() {
    let invalid = Asc::INVALID_FIELD_IN_PARAMETER_LIST;
    let mut long = cscd();
    long[7] = 21;
    refused(&lid1(&[long], &[]), invalid, 16 + 7, None);
    let mut odd = lid1(&[cscd()], &[]);
    odd[3] = 31;
    refused(&odd, invalid, 2, None);
    let mut segment = block_to_block(0);
    segment[3] = 0x14;
    refused(&lid1(&[], &[segment]), invalid, 16 + 2, None);
    refused(&lid1(&[], &[with_offset(1, 0)]), invalid, 16 + 28, None);
    refused(&lid1(&[], &[with_offset(0, 1)]), invalid, 16 + 30, None);
    let mut unnamed = lid1(&[], &[]);
    unnamed[1] = 0x18;
    refused(&unnamed, invalid, 0, None);
    unnamed[0] = 0;
    assert_eq!(parse(&unnamed).unwrap().list_id_usage, ListIdUsage::None);
}

#[test]
fn the_long_header_is_checked() {
    let good = lid4(&[cscd()], &[block_to_block(0)]);
    for (byte, value, pointer) in [
        (0, 0x00, (0, None)),
        (3, 0x21, (2, None)),
        (15, 0x01, (15, Some(0))),
        (15, 0x02, (15, Some(1))),
        (16, 0xe4, (16, None)),
    ] {
        let mut list = good.clone();
        list[byte] = value;
        let refused = Sense::invalid_field_in_parameter_list(pointer.0, pointer.1);
        assert_eq!(parse_lid4(&list).err(), Some(refused));
    }
}

proptest! {
    #[test]
    fn no_list_makes_it_panic(list in proptest::collection::vec(any::<u8>(), 0..300), lid4: bool) {
        let form = if lid4 { ListIdentifierForm::Lid4 } else { ListIdentifierForm::Lid1 };
        if let Ok(list) = ExtendedCopyList::parse(form, &list, &LIMITS) {
            prop_assert!(list.cscds().len() <= 2);
            prop_assert!(list.segments().filter(Result::is_ok).count() <= 2);
        }
    }

    #[test]
    fn a_list_changed_anywhere_is_read_or_refused(at in 0..136_usize, byte: u8) {
        let mut list = lid1(&[cscd(), cscd()], &[block_to_block(0), block_to_block(0)]);
        list[at] = byte;
        match parse(&list) {
            Ok(list) => prop_assert!(list.segments().all(|segment| segment.is_ok())),
            Err(sense) => prop_assert_eq!(sense.key, SenseKey::IllegalRequest),
        }
    }
}
