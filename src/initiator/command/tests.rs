use pulsefield_scsi::parameter::{
    CSCD_ID_SELF, CopyAmount, CopyLimits, ExtendedCopyList, ListIdUsage, UnmapList,
};
use pulsefield_scsi::{self as scsi, DataLength, ListIdentifierForm};

use super::*;

const NAA: [u8; 16] = [0x60, 0x01, 0x40, 0x5a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc];

fn range(lba: u64, blocks: u64) -> LbaRange {
    LbaRange::new(Lba::new(lba), BlockCount::new(blocks)).unwrap()
}

fn request(io: Io) -> Result<Request, CommandError> {
    Request::new(io, BlockLength::B512, Naa::from_bytes(&NAA).as_ref())
}

fn command(io: Io) -> Command {
    let Request::Command(command) = request(io).unwrap() else { panic!("it is no command") };
    command
}

/// The target's parser understands every command, and its data length agrees.
#[test]
fn every_command_parses_and_brings_what_its_cdb_says() {
    let block = vec![0xa5; 512];
    let ios = [
        Io::Read(range(1 << 40, 8)),
        Io::Write { lba: Lba::new(7), data: vec![1; 1024] },
        Io::CompareAndWrite { lba: Lba::new(7), test: block.clone(), set: block },
        Io::TestUnitReady,
        Io::BlockLimits,
        Io::Unmap(range(2048, 2048)),
        Io::WriteZeros(range(2048, 2048)),
        Io::LbaStatus(Lba::new(1 << 40)),
        Io::Copy { from: Lba::new(0), to: Lba::new(8192), blocks: BlockCount::new(8192) },
    ];
    for io in ios {
        let Command { cdb, data } = command(io);
        let parsed = scsi::parse(&cdb).unwrap_or_else(|sense| panic!("{cdb:?}: {sense}"));
        let bytes = match parsed.data_length(BlockLength::B512) {
            DataLength::None => 0,
            DataLength::In(bytes)
            | DataLength::InUpTo(bytes)
            | DataLength::Out(bytes)
            | DataLength::ParameterList(bytes) => bytes,
        };
        match data {
            Data::None => assert_eq!(bytes, 0, "{cdb:?}"),
            Data::In(length) => assert_eq!(bytes, length as u64, "{cdb:?}"),
            Data::Out(out) => {
                // Of WRITE SAME one block comes, however many are written.
                let comes = if cdb.opcode() == Some(0x93) { 512 } else { bytes };
                assert_eq!(out.len() as u64, comes, "{cdb:?}");
            }
        }
    }
}

#[test]
fn a_compare_and_write_brings_what_must_be_there_first() {
    let io = Io::CompareAndWrite { lba: Lba::new(43_008), test: vec![1; 512], set: vec![2; 512] };
    let Command { cdb, data } = command(io);
    assert_eq!(cdb.as_bytes()[..10], [0x89, 0, 0, 0, 0, 0, 0, 0, 0xa8, 0]);
    assert_eq!(data, Data::Out([vec![1; 512], vec![2; 512]].concat()));
}

#[test]
fn reservations_are_the_old_ones() {
    assert_eq!(command(Io::Reserve).cdb.as_bytes(), [0x16, 0, 0, 0, 0, 0]);
    assert_eq!(command(Io::Release).cdb.as_bytes(), [0x17, 0, 0, 0, 0, 0]);
}

#[test]
fn unmap_names_its_blocks() {
    let Data::Out(list) = command(Io::Unmap(range(0x1_0000_0002, 8))).data else { panic!() };
    let parsed = UnmapList::parse_unlimited(&list).unwrap();
    let extents: Vec<_> =
        parsed.extents().map(|it| (it.lba.as_u64(), it.blocks.as_u64())).collect();
    assert_eq!(extents, [(0x1_0000_0002, 8)]);
    assert_eq!(list[1], 22, "UNMAP DATA LENGTH");
}

#[test]
fn a_copy_names_the_unit_or_says_that_it_is_this_one() {
    let io =
        || Io::Copy { from: Lba::new(5), to: Lba::new(1 << 33), blocks: BlockCount::new(8192) };
    let limits = CopyLimits {
        cscd_descriptors_max: 2,
        segment_descriptors_max: 1,
        descriptor_list_bytes_max: 1024,
        segment_bytes_max: 16 << 20,
        concurrent_copies_max: 1,
        granularity_exponent: 9,
    };
    let named = Request::new(io(), BlockLength::B512, Naa::from_bytes(&NAA).as_ref()).unwrap();
    let self_named = Request::new(io(), BlockLength::B512, None).unwrap();
    for (request, cscds, id) in [(named, 2, 0), (self_named, 0, CSCD_ID_SELF)] {
        let Request::Command(Command { data: Data::Out(list), .. }) = request else { panic!() };
        let parsed = ExtendedCopyList::parse(ListIdentifierForm::Lid1, &list, &limits).unwrap();
        assert_eq!(parsed.list_id_usage, ListIdUsage::None);
        assert_eq!(parsed.cscds().len(), cscds);
        for cscd in parsed.cscds() {
            assert_eq!((cscd.code_set, cscd.association, cscd.designator_type), (1, 0, 3));
            assert_eq!((cscd.designator(), cscd.block_length), (&NAA[..], 512));
        }
        let segments: Vec<_> = parsed.segments().map(Result::unwrap).collect();
        assert_eq!(segments.len(), 1);
        assert_eq!(segments[0].source, id);
        assert_eq!(segments[0].source_lba, Lba::new(5));
        assert_eq!(segments[0].destination_lba, Lba::new(1 << 33));
        assert_eq!(segments[0].amount, CopyAmount::SourceBlocks(8192));
    }
}

#[test]
fn what_no_command_can_do_is_refused() {
    let blocks = BlockCount::new(1 << 32);
    let max = u32::MAX;
    let long = range(0, 1 << 32);
    for io in [Io::Read(long), Io::Unmap(long), Io::WriteZeros(long)] {
        assert_eq!(request(io), Err(CommandError::TooManyBlocks { blocks, max }));
    }
    let io = Io::Copy { from: Lba::new(0), to: Lba::new(0), blocks: BlockCount::new(65_536) };
    assert!(request(io).unwrap_err().to_string().starts_with("65536 blocks are too many"));
    for data in [vec![], vec![0; 511], vec![0; 513]] {
        let refused = request(Io::Write { lba: Lba::new(0), data: data.clone() });
        assert!(matches!(refused, Err(CommandError::Partial { .. })), "{refused:?}");
        let io = Io::CompareAndWrite { lba: Lba::new(0), test: vec![0; 512], set: data };
        assert!(matches!(request(io), Err(CommandError::Partial { .. })));
    }
}

#[test]
fn a_reset_is_no_command() {
    assert_eq!(request(Io::LogicalUnitReset), Ok(Request::LogicalUnitReset));
}
