use proptest::prelude::*;

use super::*;

/// The bytes of a CDB with this operation code that say which command it is.
fn head(opcode: u8) -> &'static [usize] {
    if opcode == VARIABLE_LENGTH { &[0, 7, 8, 9] } else { &[0, 1] }
}

/// A CDB of this row in which every bit outside its [`head`] is zero.
fn plain_cdb(row: &OperationCode) -> Vec<u8> {
    let mut bytes = vec![0; row.usage.len()];
    bytes[0] = row.opcode;
    let service_action = row.service_action.unwrap_or(0);
    if row.opcode == VARIABLE_LENGTH {
        bytes[7] = 0x18;
        bytes[8..10].copy_from_slice(&service_action.to_be_bytes());
    } else {
        bytes[1] = u8::try_from(service_action).unwrap();
    }
    bytes
}

fn engine_rows() -> impl Iterator<Item = &'static OperationCode> {
    TABLE.iter().filter(|row| matches!(row.executor, Executor::Engine(_)))
}

#[test]
fn rows_ascend_and_none_is_twice() {
    let key = |row: &OperationCode| (row.opcode, row.service_action);
    assert!(TABLE.is_sorted_by(|a, b| key(a) < key(b)));
}

#[test]
fn an_operation_code_has_service_actions_throughout_or_not_at_all() {
    for row in TABLE {
        let rows = rows(row.opcode);
        assert!(row.service_action.is_some() || rows.len() == 1, "{}", row.name);
        assert!(rows.iter().all(|other| other.usage.len() == row.usage.len()), "{}", row.name);
    }
}

#[test]
fn the_usage_map_has_the_length_its_group_code_asks_for() {
    for row in TABLE {
        // SPC-4, Operation code format: the group code is the operation code's left three bits.
        let length = match row.opcode >> 5 {
            0 => 6,
            1 | 2 => 10,
            3 if row.opcode == VARIABLE_LENGTH => 32,
            4 => 16,
            5 => 12,
            group => panic!("{} is of reserved group {group}", row.name),
        };
        assert_eq!(row.usage.len(), length, "{}", row.name);
        assert_eq!(cdb_length(row.opcode), Some(length));
        assert_eq!(row.usage[0], row.opcode, "{}", row.name);
    }
}

#[test]
fn a_plain_cdb_of_every_row_is_found_again() {
    for row in TABLE {
        let cdb = Cdb::new(&plain_cdb(row));
        assert_eq!(name_of(&cdb), Some(row.name));
        match row.executor {
            // Without WR_UNCOR it is obsolete.
            Executor::Engine(_) if row.name.starts_with("WRITE LONG") => {
                assert_eq!(parse(&cdb), Err(Sense::invalid_field_in_cdb(1, Some(6))));
            }
            Executor::Engine(_) => assert!(parse(&cdb).is_ok(), "{}", row.name),
            Executor::Kernel => assert_eq!(parse(&cdb), Err(Sense::invalid_opcode())),
        }
    }
}

#[test]
fn bits_outside_the_usage_map_change_nothing() {
    // What is not evaluated, set all at once; obsolete bits that are refused are WRITE SAME's own.
    for row in engine_rows().filter(|row| !row.name.starts_with("WRITE SAME")) {
        let mut bytes = plain_cdb(row);
        let plain = parse(&Cdb::new(&bytes));
        for (byte, usage) in bytes.iter_mut().zip(row.usage).skip(1) {
            *byte |= !usage;
        }
        if row.service_action.is_some() {
            for at in head(row.opcode) {
                bytes[*at] = plain_cdb(row)[*at];
            }
        }
        assert_eq!(parse(&Cdb::new(&bytes)), plain, "{}", row.name);
    }
}

#[test]
fn naca_is_refused_everywhere() {
    for row in engine_rows() {
        let mut bytes = plain_cdb(row);
        let control = if row.opcode == VARIABLE_LENGTH { 1 } else { bytes.len() - 1 };
        bytes[control] = 0x04;
        let pointer = u16::try_from(control).unwrap();
        assert_eq!(
            parse(&Cdb::new(&bytes)),
            Err(Sense::invalid_field_in_cdb(pointer, Some(2))),
            "{}",
            row.name
        );
    }
}

#[test]
fn a_cdb_cut_short_is_pointed_at_where_it_ends() {
    for row in engine_rows() {
        let bytes = plain_cdb(row);
        for length in 2..bytes.len() {
            let pointer = u16::try_from(length).unwrap();
            assert_eq!(
                parse(&Cdb::new(&bytes[..length])),
                Err(Sense::invalid_field_in_cdb(pointer, None)),
                "{}",
                row.name
            );
        }
    }
}

#[test]
fn an_unknown_service_action_is_pointed_at() {
    for bytes in [&[0x9e, 0x1f][..], &[0xa3, 0x00], &[0x9e], &[0x5f, 0x1f], &[0x48, 0x04]] {
        assert_eq!(
            parse(&Cdb::new(bytes)),
            Err(Sense::invalid_field_in_cdb(1, Some(4))),
            "{bytes:02x?}"
        );
    }
}

#[test]
fn unknown_operation_codes_are_refused_in_every_group() {
    for opcode in [0x01, 0x3e, 0x7e, 0x60, 0x8d, 0xc0, 0xe5, 0xff] {
        let cdb = Cdb::new(&[opcode; 32]);
        assert_eq!(parse(&cdb), Err(Sense::invalid_opcode()));
        assert_eq!((cdb_length(opcode), name_of(&cdb)), (None, None));
    }
    assert_eq!(parse(&Cdb::new(&[])), Err(Sense::invalid_opcode()));
}

#[test]
fn what_a_logical_unit_lacks_is_answered_as_if_there_were_no_such_row() {
    let parse = |bytes: &[u8], lacks: &[(u8, Option<u16>)]| {
        parse_supported(&Cdb::new(bytes), |opcode, action| !lacks.contains(&(opcode, action)))
    };
    let unmap = [0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert!(parse(&unmap, &[]).is_ok());
    assert_eq!(parse(&unmap, &[(0x42, None)]), Err(Sense::invalid_opcode()));
    let get_lba_status = [0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        parse(&get_lba_status, &[(0x9e, Some(0x12))]),
        Err(Sense::invalid_field_in_cdb(1, Some(4)))
    );
    assert_eq!(
        parse(&get_lba_status, &[(0x9e, Some(0x10)), (0x9e, Some(0x12))]),
        Err(Sense::invalid_opcode())
    );
}

#[test]
fn a_cdb_of_variable_length_says_which_it_is() {
    let mut cdb = [0; 32];
    (cdb[0], cdb[7], cdb[9]) = (0x7f, 0x18, 0x09);
    assert!(parse(&Cdb::new(&cdb)).is_ok());
    let changed = |byte: usize, value: u8| {
        let mut cdb = cdb;
        cdb[byte] = value;
        parse(&Cdb::new(&cdb))
    };
    let refused = |byte| Err(Sense::invalid_field_in_cdb(byte, None));
    for length in [0, 0x10, 0x19, 0xf8] {
        assert_eq!(changed(7, length), refused(7), "no other length");
    }
    assert_eq!(changed(8, 0x01), refused(8), "0109h");
    assert_eq!(changed(9, 0x0e), refused(8), "ORWRITE (32)");
    // To a unit without them, none of it means anything.
    for cdb in [&cdb[..], &cdb[..8], &[0x7f], &[0x7f; 32]] {
        let lacks = parse_supported(&Cdb::new(cdb), |opcode, _| opcode != VARIABLE_LENGTH);
        assert_eq!(lacks, Err(Sense::invalid_opcode()), "{cdb:02x?}");
    }
    let lacks_one = parse_supported(&Cdb::new(&cdb), |_, action| action != Some(0x09));
    assert_eq!(lacks_one, refused(8));
}

#[test]
fn bytes_after_the_cdb_are_not_read() {
    // TCMU rounds up to eight: what follows the six bytes is not ours.
    assert_eq!(parse(&Cdb::new(&[0, 0, 0, 0, 0, 0, 0xff, 0xff])), Ok(Command::TestUnitReady));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let cdb = Cdb::new(&bytes);
        if let Ok(command) = parse(&cdb) {
            command.data_length(pulsefield_units::BlockLength::B4096);
        }
    }

    #[test]
    fn no_fields_of_a_known_command_make_it_panic(
        nth in 0..TABLE.len(),
        mut bytes in proptest::collection::vec(any::<u8>(), 32),
    ) {
        let row = &TABLE[nth];
        for at in head(row.opcode) {
            bytes[*at] = plain_cdb(row)[*at];
        }
        match (parse(&Cdb::new(&bytes)), row.executor) {
            (Ok(_), Executor::Engine(_)) => (),
            (Err(sense), Executor::Engine(_)) => {
                let field = sense.field.expect("a refusal says why");
                prop_assert!(usize::from(field.byte) < row.usage.len());
                prop_assert!(row.usage[usize::from(field.byte)] != 0, "refused what is not used");
            }
            (result, Executor::Kernel) => prop_assert_eq!(result, Err(Sense::invalid_opcode())),
        }
    }
}
