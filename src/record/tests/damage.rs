//! Whatever happens to a file, what a reader tells was once told to a recorder, or it says that it cannot
//! read it.

use std::sync::LazyLock;

use super::*;

/// A record of some commands, in bytes, and what it says.
static WRITTEN: LazyLock<(Vec<u8>, Vec<Record>)> = LazyLock::new(write);

fn written() -> (Vec<u8>, &'static [Record]) {
    (WRITTEN.0.clone(), &WRITTEN.1)
}

fn write() -> (Vec<u8>, Vec<Record>) {
    let desk = Desk::new(64 << 10);
    let mut recorder = desk.open();
    for nth in 0..40 {
        let fill = u8::try_from(nth).unwrap();
        match nth % 4 {
            0 => Told::ats(nth, &[fill; 200], &[fill + 1; 200]).tell(&mut recorder, 100 + nth),
            1 => Told::write(8, 8, fill).tell(&mut recorder, 100 + nth),
            2 => Told::ats(nth, &[1], &[2]).miscompared(0).tell(&mut recorder, 100 + nth),
            _ => recorder.task_management(at(100 + nth), 5, &[fill.into(); 9], |_| true),
        }
    }
    drop(recorder);
    (fs::read(desk.path()).unwrap(), desk.records())
}

fn read(bytes: &[u8]) -> Result<(Vec<Record>, u64), ReadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pulserec");
    fs::write(&path, bytes).unwrap();
    let reader = Reader::open(&path)?;
    Ok((reader.records().collect(), reader.missing()))
}

/// That each of `told` is one of `once`, each of which was written once; but for the wall clock, which is
/// reckoned from what else is there.
fn assert_nothing_made_up(told: &[Record], once: &[Record]) {
    for record in told {
        let same = |other: &&Record| Record { wall: record.wall, ..(*other).clone() } == *record;
        assert!(once.iter().any(|other| same(&other)), "{record:?}");
    }
    assert!(told.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
}

#[test]
fn what_is_no_record_says_so() {
    let (bytes, _) = written();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pulserec");
    let open = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        Reader::open(&path)
    };
    let with = |at: usize, byte: u8| [&bytes[..at], &[byte], &bytes[at + 1..]].concat();
    assert!(matches!(open(&[]), Err(ReadError::Truncated { bytes: 0, .. })));
    assert!(matches!(open(&bytes[..100]), Err(ReadError::Truncated { bytes: 100, .. })));
    assert!(matches!(open(&[7; 4096]), Err(ReadError::NotARecord { .. })));
    assert!(matches!(open(&with(8, 2)), Err(ReadError::Version { found: 2, .. })));
    assert!(matches!(open(&with(57, b'x')), Err(ReadError::Damaged { .. })));
    assert!(matches!(open(&with(299, 0xff)), Err(ReadError::Damaged { .. })));
    fs::write(&path, &bytes).unwrap();
    let open = || Reader::open(&path).unwrap();
    assert!(open().of_unit("ds1").is_ok());
    let error = open().of_unit("ds2").unwrap_err();
    assert!(matches!(&error, ReadError::OtherUnit { found, .. } if found == "ds1"), "{error}");
    assert!(matches!(Reader::open(Path::new("/nowhere")), Err(ReadError::Io { .. })));
}

#[test]
fn a_file_that_is_cut_short_tells_what_is_left() {
    let (bytes, records) = written();
    assert_eq!(read(&bytes).unwrap().0, records);
    for length in (300..12_000).step_by(137) {
        let (told, missing) = read(&bytes[..length]).unwrap();
        assert_nothing_made_up(&told, records);
        assert_eq!(missing, 0, "the end is cut off, and nothing within");
    }
}

#[test]
fn a_torn_record_is_passed_over_and_what_follows_is_told() {
    let (mut bytes, records) = written();
    // The second record is torn: its second half is still what was there before.
    let second = 4096 + 72;
    bytes[second + 100..second + 200].fill(0);
    let (told, missing) = read(&bytes).unwrap();
    assert_eq!((told.len(), missing), (records.len() - 1, 1));
    assert_nothing_made_up(&told, records);
}

#[test]
fn a_record_within_a_block_is_not_taken_for_one_of_the_file() {
    let desk = Desk::new(MIB);
    let mut recorder = desk.open();
    let start = fs::read(desk.path()).unwrap()[4096..4096 + 72].to_vec();
    // A host writes a record into the sector after an ATS: somebody keeps records on the unit itself.
    let forged = [start.clone(), start].concat();
    Told::ats(1, &forged, &forged).tell(&mut recorder, 40);
    let mut bytes = fs::read(desk.path()).unwrap();
    assert_eq!(read(&bytes).unwrap().0.len(), 2);
    // Even where the record around it is damaged.
    bytes[4096 + 72] ^= 1;
    assert_eq!(read(&bytes).unwrap().0.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bits_make_nothing_up(flips in prop::collection::vec((0..16_000_usize, 0..8_u8), 1..20)) {
        let (mut bytes, records) = written();
        for (at, bit) in flips {
            bytes[at] ^= 1 << bit;
        }
        if let Ok((told, _)) = read(&bytes) {
            assert_nothing_made_up(&told, records);
        }
    }

    #[test]
    fn noise_and_truncation_make_nothing_up(
        from in 0..16_000_usize,
        noise in prop::collection::vec(any::<u8>(), 0..600),
        length in 0..65_536_usize,
    ) {
        let (mut bytes, records) = written();
        bytes[from..from + noise.len()].copy_from_slice(&noise);
        bytes.truncate(length);
        if let Ok((told, _)) = read(&bytes) {
            assert_nothing_made_up(&told, records);
        }
    }

    #[test]
    fn what_is_told_is_what_was_told(
        told in prop::collection::vec(
            (
                any::<[u8; 16]>(),
                any::<u16>(),
                prop::option::of(0..1_000_000_u64),
                prop::collection::vec(any::<u8>(), 0..3000),
                any::<bool>(),
            ),
            1..40,
        ),
    ) {
        let desk = Desk::new(MIB);
        let mut recorder = desk.open();
        for (nth, (cdb, command_id, lba, data, heartbeat)) in told.iter().enumerate() {
            let lane = Some(if *heartbeat { Lane::Heartbeat } else { Lane::Bulk });
            let command = Told {
                origin: Origin::Initiator { command_id: *command_id },
                cdb: Cdb::new(cdb),
                lane: lane.filter(|_| lba.is_some()),
                blocks: lba.map(|lba| range(lba, 3)),
                status: Status::Good,
                sense: None,
                data: data.clone(),
            };
            command.tell(&mut recorder, 100 + nth as u64);
        }
        let read = desk.commands();
        prop_assert_eq!(read.len(), told.len());
        for ((cdb, command_id, lba, data, _), command) in told.into_iter().zip(read) {
            prop_assert_eq!(command.origin, Origin::Initiator { command_id });
            prop_assert_eq!(command.cdb.as_bytes(), cdb);
            prop_assert_eq!(command.blocks, lba.map(|lba| range(lba, 3)));
            prop_assert_eq!(command.data_bytes as usize, data.len());
            for image in &command.images {
                let half = if image.role == ImageRole::Expected { 0 } else { data.len() / 2 };
                let at = match cdb[0] {
                    0x89 => half,
                    _ => usize::try_from(image.offset).unwrap(),
                };
                prop_assert_eq!(&image.bytes, &data[at..at + image.bytes.len()]);
            }
        }
    }
}
