use proptest::prelude::*;

use super::*;

/// What `sense` looks like in a buffer full of old bytes.
fn encoded(sense: Sense, format: SenseFormat) -> Vec<u8> {
    let mut out = [0xa5; SENSE_BUFFER_LENGTH];
    let used = sense.encode(format, &mut out);
    assert!(out[used..].iter().all(|byte| *byte == 0), "old bytes leak");
    out[..used].to_vec()
}

/// Every part of sense data in both formats, alone and together.
#[test]
fn golden_bytes_of_both_formats() {
    // A new part of sense data belongs below.
    let Sense { key: _, asc: _, information: _, field: _, progress: _, segment: _ } =
        Sense::NO_SENSE;
    let bad_field = Sense::new(SenseKey::IllegalRequest, Asc::INVALID_FIELD_IN_CDB);
    let in_list = Sense::invalid_field_in_parameter_list;
    let golden: [(Sense, [u8; 18], &[u8]); 10] = [
        (
            Sense::NO_SENSE,
            *b"\x70\0\x00\0\0\0\0\x0a\0\0\0\0\x00\x00\0\0\0\0",
            b"\x72\x00\x00\x00\0\0\0\x00",
        ),
        (
            bad_field,
            *b"\x70\0\x05\0\0\0\0\x0a\0\0\0\0\x24\x00\0\0\0\0",
            b"\x72\x05\x24\x00\0\0\0\x00",
        ),
        // INFORMATION and VALID; wider than the fixed field, and so not valid there.
        (
            Sense::miscompare(0x0102_0304),
            *b"\xf0\0\x0e\x01\x02\x03\x04\x0a\0\0\0\0\x1d\x00\0\0\0\0",
            b"\x72\x0e\x1d\x00\0\0\0\x0c\x00\x0a\x80\0\0\0\0\0\x01\x02\x03\x04",
        ),
        (
            Sense::miscompare(1 << 32),
            *b"\x70\0\x0e\0\0\0\0\x0a\0\0\0\0\x1d\x00\0\0\0\0",
            b"\x72\x0e\x1d\x00\0\0\0\x0c\x00\x0a\x80\0\0\0\0\x01\0\0\0\0",
        ),
        // SKSV, C/D, BPV, BIT POINTER and FIELD POINTER: in the CDB, then in the parameter list.
        (
            Sense::invalid_field_in_cdb(0x0102, Some(5)),
            *b"\x70\0\x05\0\0\0\0\x0a\0\0\0\0\x24\x00\0\xcd\x01\x02",
            b"\x72\x05\x24\x00\0\0\0\x08\x02\x06\0\0\xcd\x01\x02\0",
        ),
        (
            Sense::invalid_field_in_cdb(0x0102, None),
            *b"\x70\0\x05\0\0\0\0\x0a\0\0\0\0\x24\x00\0\xc0\x01\x02",
            b"\x72\x05\x24\x00\0\0\0\x08\x02\x06\0\0\xc0\x01\x02\0",
        ),
        (
            in_list(0x0102, Some(7)),
            *b"\x70\0\x05\0\0\0\0\x0a\0\0\0\0\x26\x00\0\x8f\x01\x02",
            b"\x72\x05\x26\x00\0\0\0\x08\x02\x06\0\0\x8f\x01\x02\0",
        ),
        // SKSV and PROGRESS INDICATION.
        (
            Sense::NO_SENSE.with_progress(0x0102),
            *b"\x70\0\x00\0\0\0\0\x0a\0\0\0\0\x00\x00\0\x80\x01\x02",
            b"\x72\x00\x00\x00\0\0\0\x08\x02\x06\0\0\x80\x01\x02\0",
        ),
        // COMMAND-SPECIFIC INFORMATION.
        (
            Sense::copy_aborted(Asc::UNEXPECTED_INEXACT_SEGMENT, 0x0102),
            *b"\x70\0\x0a\0\0\0\0\x0a\0\0\x01\x02\x26\x0a\0\0\0\0",
            b"\x72\x0a\x26\x0a\0\0\0\x0c\x01\x0a\0\0\0\0\0\0\0\0\x01\x02",
        ),
        (
            in_list(3, None).with_information(1).with_segment(2),
            *b"\xf0\0\x05\0\0\0\x01\x0a\0\0\0\x02\x26\x00\0\x80\0\x03",
            b"\x72\x05\x26\x00\0\0\0\x20\x00\x0a\x80\0\0\0\0\0\0\0\0\x01\
              \x01\x0a\0\0\0\0\0\0\0\0\0\x02\x02\x06\0\0\x80\0\x03\0",
        ),
    ];
    for (sense, fixed, descriptor) in golden {
        assert_eq!(encoded(sense, SenseFormat::Fixed), fixed, "{sense}");
        assert_eq!(encoded(sense, SenseFormat::Descriptor), descriptor, "{sense}");
    }
}

#[test]
fn a_miscompare_in_the_first_byte_is_still_valid() {
    assert_eq!(encoded(Sense::miscompare(0), SenseFormat::Fixed)[..7], [0xf0, 0, 0x0e, 0, 0, 0, 0]);
}

#[test]
fn a_log_reads_like_the_standard() {
    assert_eq!(
        Sense::invalid_field_in_cdb(1, Some(7)).to_string(),
        "ILLEGAL REQUEST, INVALID FIELD IN CDB (24h/00h), CDB byte 1 bit 7"
    );
    assert_eq!(
        Sense::miscompare(16).to_string(),
        "MISCOMPARE, MISCOMPARE DURING VERIFY OPERATION (1Dh/00h), information 0x10"
    );
    let asc = Asc::LOGICAL_UNIT_NOT_READY_SANITIZE_IN_PROGRESS;
    assert_eq!(
        Sense::new(SenseKey::NotReady, asc).with_progress(0x8001).to_string(),
        "NOT READY, LOGICAL UNIT NOT READY, SANITIZE IN PROGRESS (04h/1Bh), 50% done"
    );
}

#[test]
fn what_other_targets_send_is_read() {
    // Less than the encoder writes, and more: all of byte 18 on is the vendor's.
    let short = [0x70, 0, 0x06, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0x29, 0x00];
    let reset =
        Sense::new(SenseKey::UnitAttention, Asc::POWER_ON_RESET_OR_BUS_DEVICE_RESET_OCCURRED);
    assert_eq!(Sense::decode(&short), Some(reset));
    let mut long = [0xff; 96];
    long[..18].copy_from_slice(b"\x71\0\x06\0\0\0\0\x58\0\0\0\0\x29\0\0\0\0\0");
    assert_eq!(Sense::decode(&long), Some(reset));
    // A stream commands descriptor (03h) before the one that is wanted, and a length that says more than
    // there is.
    let mut descriptors = vec![0x72, 0x0e, 0x1d, 0, 0, 0, 0, 200];
    descriptors.extend([0x03, 0x02, 0xff, 0xff]);
    descriptors.extend([0x00, 0x0a, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 0x80]);
    assert_eq!(Sense::decode(&descriptors), Some(Sense::miscompare(0x180)));
    // INFORMATION without VALID.
    descriptors[14] = 0;
    assert_eq!(Sense::decode(&descriptors).and_then(|sense| sense.information), None);
}

#[test]
fn what_is_no_sense_is_none() {
    for bytes in [&[][..], &[0; 18], &[0x70, 0, 5], &[0x72, 5, 0x24, 0], &[0x7f; 18]] {
        assert_eq!(Sense::decode(bytes), None, "{bytes:x?}");
    }
}

proptest! {
    /// What is encoded is read again, as far as the form has room for it.
    #[test]
    fn either_form_and_back(
        key in (0..16_u8).prop_map(|bits| SenseKey::from_u8(bits).unwrap()),
        (asc, ascq) in any::<(u8, u8)>(),
        information in any::<Option<u64>>(),
        number in any::<u16>(),
        bit in proptest::option::of(0..8_u8),
        in_cdb in any::<bool>(),
        there in any::<bool>(),
    ) {
        let mut sense = Sense::new(key, Asc::new(asc, ascq));
        sense.information = information;
        if key == SenseKey::IllegalRequest && there {
            sense.field = Some(match in_cdb {
                true => FieldPointer::in_cdb(number, bit),
                false => FieldPointer::in_parameter_list(number, bit),
            });
        } else if matches!(key, SenseKey::NoSense | SenseKey::NotReady) && there {
            sense.progress = Some(number);
        } else if key == SenseKey::CopyAborted {
            sense.segment = Some(number);
        }
        prop_assert_eq!(Sense::decode(&encoded(sense, SenseFormat::Descriptor)), Some(sense));
        sense.information = information.filter(|it| *it <= u32::MAX.into());
        prop_assert_eq!(Sense::decode(&encoded(sense, SenseFormat::Fixed)), Some(sense));
    }

    #[test]
    fn no_bytes_make_it_panic(
        code in prop_oneof![0x70..0x74_u8, any::<u8>()],
        rest in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let _ = Sense::decode(&[vec![code], rest].concat());
    }
}
