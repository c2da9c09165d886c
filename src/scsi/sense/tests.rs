use super::*;

/// What `sense` looks like in a buffer full of old bytes.
fn encoded(sense: Sense, format: SenseFormat) -> Vec<u8> {
    let mut out = [0xa5; SENSE_BUFFER_LENGTH];
    let used = sense.encode(format, &mut out);
    assert!(out[used..].iter().all(|byte| *byte == 0), "old bytes leak");
    out[..used].to_vec()
}

#[test]
fn a_miscompare_tells_where_in_both_forms() {
    let sense = Sense::miscompare(0x1fe);
    assert_eq!(
        encoded(sense, SenseFormat::Fixed),
        [0xf0, 0, 0x0e, 0, 0, 1, 0xfe, 10, 0, 0, 0, 0, 0x1d, 0, 0, 0, 0, 0]
    );
    assert_eq!(
        encoded(sense, SenseFormat::Descriptor),
        [0x72, 0x0e, 0x1d, 0, 0, 0, 0, 12, 0x00, 0x0a, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 0xfe]
    );
}

#[test]
fn a_miscompare_in_the_first_byte_is_still_valid() {
    assert_eq!(encoded(Sense::miscompare(0), SenseFormat::Fixed)[..7], [0xf0, 0, 0x0e, 0, 0, 0, 0]);
}

#[test]
fn information_wider_than_the_fixed_field_is_not_valid_there() {
    let sense = Sense::new(SenseKey::MediumError, Asc::UNRECOVERED_READ_ERROR)
        .with_information(0x1_2345_6789);
    assert_eq!(encoded(sense, SenseFormat::Fixed)[..7], [0x70, 0, 3, 0, 0, 0, 0]);
    assert_eq!(
        encoded(sense, SenseFormat::Descriptor)[8..],
        [0, 0x0a, 0x80, 0, 0, 0, 0, 1, 0x23, 0x45, 0x67, 0x89]
    );
}

#[test]
fn a_field_pointer_names_byte_and_bit() {
    let bits = Sense::invalid_field_in_cdb(1, Some(7));
    assert_eq!(
        encoded(bits, SenseFormat::Fixed),
        [0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0, 0, 0xcf, 0, 1]
    );
    assert_eq!(
        encoded(bits, SenseFormat::Descriptor),
        [0x72, 5, 0x24, 0, 0, 0, 0, 8, 2, 6, 0, 0, 0xcf, 0, 1, 0]
    );
    let bytes = Sense::invalid_field_in_parameter_list(0x0102, None);
    assert_eq!(encoded(bytes, SenseFormat::Fixed)[12..], [0x26, 0, 0, 0x80, 1, 2]);
}

#[test]
fn progress_stands_in_the_sense_key_specific_bytes() {
    let asc = Asc::LOGICAL_UNIT_NOT_READY_SANITIZE_IN_PROGRESS;
    let sense = Sense::new(SenseKey::NotReady, asc).with_progress(0x8001);
    assert_eq!(
        encoded(sense, SenseFormat::Fixed),
        [0x70, 0, 2, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x04, 0x1b, 0, 0x80, 0x80, 0x01]
    );
    assert_eq!(
        encoded(sense, SenseFormat::Descriptor),
        [0x72, 2, 0x04, 0x1b, 0, 0, 0, 8, 2, 6, 0, 0, 0x80, 0x80, 0x01, 0]
    );
    let text = "NOT READY, LOGICAL UNIT NOT READY, SANITIZE IN PROGRESS (04h/1Bh), 50% done";
    assert_eq!(sense.to_string(), text);
}

#[test]
fn both_descriptors_fit_one_after_the_other() {
    let sense = Sense::invalid_field_in_cdb(2, None).with_information(7);
    let bytes = encoded(sense, SenseFormat::Descriptor);
    assert_eq!((bytes.len(), bytes[7], bytes[8], bytes[20]), (28, 20, 0x00, 0x02));
}

#[test]
fn an_aborted_copy_tells_its_segment() {
    let sense = Sense::copy_aborted(Asc::COPY_TARGET_DEVICE_NOT_REACHABLE, 0x0102);
    assert_eq!(
        encoded(sense, SenseFormat::Fixed),
        [0x70, 0, 0x0a, 0, 0, 0, 0, 10, 0, 0, 1, 2, 0x0d, 0x02, 0, 0, 0, 0]
    );
    assert_eq!(
        encoded(sense, SenseFormat::Descriptor),
        [0x72, 0x0a, 0x0d, 0x02, 0, 0, 0, 12, 0x01, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]
    );
    let all = sense.with_information(1).with_field(FieldPointer::in_parameter_list(4, None));
    assert_eq!(encoded(all, SenseFormat::Descriptor)[7], 12 + 12 + 8);
}

#[test]
fn nothing_to_report_is_a_form_too() {
    assert_eq!(encoded(Sense::NO_SENSE, SenseFormat::Descriptor), [0x72, 0, 0, 0, 0, 0, 0, 0]);
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
}
