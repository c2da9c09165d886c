use std::fs::OpenOptions;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, mpsc};

use pulsefield_units::Lba;

use super::*;
use crate::{Completion, CompletionSink, Mapping, OpTag};

struct Inbox(mpsc::SyncSender<Completion>);

impl CompletionSink for Inbox {
    fn complete(&self, completion: Completion) {
        self.0.send(completion).unwrap();
    }
}

fn execute(medium: &FileMedium, op: Op, buffer: Buffer) -> Completion {
    let (sender, answers) = mpsc::sync_channel(1);
    let request = Request::new(op, OpTag(1), buffer, false, Arc::new(Inbox(sender)));
    request.carry_out(|op, buffer| medium.execute(op, buffer));
    answers.recv().unwrap()
}

fn result(medium: &FileMedium, op: Op) -> Result<OpOutput, BackstoreError> {
    execute(medium, op, Buffer::heap(0)).result
}

fn range(start: u64, blocks: u64) -> LbaRange {
    LbaRange::new(Lba::new(start), BlockCount::new(blocks)).unwrap()
}

const CACHED: MediumAccess = MediumAccess { read_only: false, write_cache: true };

fn geometry(block_length: BlockLength, blocks: u64) -> Geometry {
    Geometry { block_length, blocks: BlockCount::new(blocks) }
}

fn medium_of(file: File, blocks: u64) -> FileMedium {
    FileMedium::new(file, "test".to_owned(), geometry(BlockLength::B512, blocks), CACHED).unwrap()
}

fn temporary(blocks: u64) -> FileMedium {
    let file = tempfile::tempfile().unwrap();
    file.set_len(blocks * 512).unwrap();
    medium_of(file, blocks)
}

#[test]
fn a_full_file_system_is_no_space() {
    let full = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
    let medium = medium_of(full, 8);
    let op = Op::Write { range: range(0, 8), durable: false };
    let answer = execute(&medium, op, Buffer::heap(8 * 512));
    assert_eq!(answer.result, Err(BackstoreError::NoSpace));
    assert_eq!(answer.buffer.len(), 8 * 512, "the buffer comes back with the error");
}

#[test]
fn a_file_opened_without_the_right_to_write_is_read_only() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(8 * 512).unwrap();
    let medium = medium_of(File::open(file.path()).unwrap(), 8);
    let op = Op::Write { range: range(0, 1), durable: false };
    let refused = Err(BackstoreError::ReadOnly);
    assert_eq!(execute(&medium, op, Buffer::heap(512)).result, refused);
    assert_eq!(result(&medium, Op::Unmap { range: range(0, 8) }), refused);
    assert!(!medium.capabilities().thin);
}

#[test]
fn a_file_cut_short_behind_our_back_does_not_read_as_zeros() {
    let medium = temporary(8);
    medium.file().set_len(3 * 512).unwrap();
    let read = |blocks| {
        let buffer = Buffer::heap(usize::try_from(blocks * 512).unwrap());
        execute(&medium, Op::Read { range: range(0, blocks) }, buffer).result
    };
    assert_eq!(read(3), Ok(OpOutput::Done));
    assert_eq!(read(4), Err(BackstoreError::Medium));
}

#[test]
fn a_lost_write_back_spoils_every_later_flush() {
    let medium = temporary(8);
    assert_eq!(result(&medium, Op::Flush), Ok(OpOutput::Done));
    medium.write_back_lost.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        assert_eq!(result(&medium, Op::Flush), Err(BackstoreError::Medium));
    }
}

#[test]
fn a_flush_that_fails_is_remembered() {
    let full = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
    let medium = medium_of(full, 8);
    assert_eq!(result(&medium, Op::Flush), Err(BackstoreError::Medium), "a device without fsync");
    assert!(medium.write_back_lost.load(Ordering::Relaxed));
}

#[test]
fn punching_gives_the_space_back_and_zeroing_keeps_the_size() {
    const MIB: u64 = 2048;
    let medium = temporary(4 * MIB);
    let buffer = Buffer::heap(4 << 20);
    let write = Op::Write { range: range(0, 4 * MIB), durable: true };
    assert_eq!(execute(&medium, write, buffer).result, Ok(OpOutput::Done));
    let full = medium.file().metadata().unwrap().blocks();
    assert!(full >= 4 * MIB);
    assert_eq!(result(&medium, Op::Unmap { range: range(MIB, 2 * MIB) }), Ok(OpOutput::Done));
    let metadata = medium.file().metadata().unwrap();
    assert_eq!(metadata.len(), 4 << 20);
    if medium.capabilities().thin {
        assert!(metadata.blocks() <= full - 2 * MIB, "{} of {full} left", metadata.blocks());
    }
    let zero = Op::WriteZeroes { range: range(0, 4 * MIB), durable: true, may_unmap: false };
    assert_eq!(result(&medium, zero), Ok(OpOutput::Done));
    assert_eq!(medium.file().metadata().unwrap().len(), 4 << 20);
}

#[test]
fn a_block_with_a_hole_smaller_than_itself_is_mapped() {
    // Holes come in pages of 4096 bytes at most, so 512-byte blocks see every one of them whole.
    let medium = temporary(64);
    let write = Op::Write { range: range(17, 1), durable: true };
    assert_eq!(execute(&medium, write, Buffer::heap(512)).result, Ok(OpOutput::Done));
    let mut at = 0;
    let mut mapped = Vec::new();
    while at < 64 {
        match result(&medium, Op::Provisioning { range: range(at, 64 - at) }) {
            Ok(OpOutput::Extent(Extent { mapping, blocks })) => {
                if mapping == Mapping::Mapped {
                    mapped.extend(at..at + blocks.as_u64());
                }
                at += blocks.as_u64();
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(mapped.contains(&17) && mapped.len() <= 8, "{mapped:?}");
}

#[test]
fn a_medium_larger_than_any_file_is_refused() {
    let medium = temporary(8);
    let refused = medium.resize(BlockCount::new(1 << 54));
    assert!(matches!(refused, Err(OpenError::TooLarge { .. })));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "18014398509481984 blocks of 512 bytes are more than a medium can hold"
    );
    assert_eq!(medium.geometry().blocks, BlockCount::new(8), "nothing has changed");
}
