//! The promises one by one. Each function opens media of its own and panics at the first breach.

use std::collections::HashSet;

use pulsefield_data::Buffer;
use pulsefield_units::BlockLength;

use super::Subject;
use super::bench::{Bench, bytes_of, pattern, range};
use super::scattered::scattered;
use crate::{BackstoreError, Mapping, Op, OpOutput};

const BLOCK_LENGTHS: [BlockLength; 2] = [BlockLength::B512, BlockLength::B4096];

/// An odd number of blocks, so that the last one is nobody's neat boundary.
const BLOCKS: u64 = 1031;

fn each_block_length(subject: &Subject, test: impl Fn(Bench)) {
    for block_length in BLOCK_LENGTHS {
        test(Bench::open(subject, block_length, BLOCKS));
    }
}

/// Blocks that nobody has written read as zeros, whatever the buffer held before.
pub fn a_fresh_medium_reads_as_zeros(subject: &Subject) {
    each_block_length(subject, |mut bench| {
        bench.verify(range(0, 1));
        bench.verify(range(BLOCKS - 1, 1));
        bench.verify_all();
    });
}

/// A write reaches its own blocks, from the first to the last, and no other.
pub fn what_is_written_is_read_back(subject: &Subject) {
    each_block_length(subject, |mut bench| {
        for blocks in [range(0, 1), range(BLOCKS - 1, 1), range(7, 1), range(13, 300)] {
            bench.write(blocks, false);
            bench.verify(blocks);
        }
        bench.verify(range(12, 2));
        bench.verify(range(312, 2));
        bench.verify_all();
    });
}

/// Of two writes to one block, one after the other, the second stays.
pub fn later_writes_win(subject: &Subject) {
    each_block_length(subject, |mut bench| {
        for (start, blocks) in [(10, 20), (5, 10), (25, 10), (12, 3), (0, 64), (31, 2)] {
            bench.write(range(start, blocks), false);
            bench.verify(range(0, 64));
        }
    });
}

/// Buffers in many odd pieces are filled and stored in their order. (The other promises use such
/// buffers too; here one in a single piece is the witness.)
pub fn scattered_buffers_are_used_in_order(subject: &Subject) {
    each_block_length(subject, |mut bench| {
        let blocks = range(3, 40);
        bench.write(blocks, false);
        let whole = Buffer::heap(bench.model().len_of(blocks));
        let whole = bench.succeed(Op::Read { range: blocks }, whole).buffer;
        assert_eq!(whole.first_difference(0, bench.model().read(blocks)), None);
        bench.verify(blocks);
    });
}

/// What follows the range's bytes in a longer buffer is neither written nor stored.
pub fn a_longer_buffer_keeps_its_tail(subject: &Subject) {
    each_block_length(subject, |mut bench| {
        let blocks = range(5, 2);
        let len = bench.model().len_of(blocks);
        let buffer = scattered(len + 100, 0xa5);
        let read = bench.succeed(Op::Read { range: blocks }, buffer).buffer;
        assert_eq!(bytes_of(&read)[len..], [0xa5; 100]);
        let write = Op::Write { range: blocks, durable: false };
        bench.succeed(write, scattered(len + 100, 0x5a));
        bench.model_mut().write(blocks, &vec![0x5a; len]);
        bench.verify(range(4, 5));
    });
}

/// Zeroed blocks read as zeros and their neighbours stay, with space kept or given back.
pub fn zeroed_blocks_read_as_zeros(subject: &Subject) {
    each_block_length(subject, |mut bench| {
        for (durable, may_unmap) in [(false, false), (false, true), (true, false), (true, true)] {
            bench.write(range(0, 600), false);
            // Not at the boundaries of any page or file system block, and then across many.
            bench.write_zeroes(range(3, 1), durable, may_unmap);
            bench.write_zeroes(range(9, 500), durable, may_unmap);
            bench.verify(range(0, 600));
        }
        bench.write_zeroes(range(BLOCKS - 1, 1), false, true);
        bench.write_zeroes(range(0, BLOCKS), false, false);
        bench.verify_all();
    });
}

/// Unmapped blocks read as zeros and their neighbours stay, whether or not space is given back.
pub fn unmapped_blocks_read_as_zeros(subject: &Subject) {
    each_block_length(subject, |mut bench| {
        bench.write(range(0, BLOCKS), false);
        for blocks in [range(0, 1), range(BLOCKS - 1, 1), range(17, 5), range(100, 700)] {
            bench.unmap(blocks);
            bench.unmap(blocks);
        }
        bench.verify_all();
        bench.write(range(300, 3), false);
        bench.verify_all();
    });
}

/// Provisioning comes in runs that leave no block out, from wherever one asks. What is deallocated
/// reads as zeros, what was written is mapped, and on a thin medium that knows what was unmapped is not.
pub fn provisioning_covers_every_block(subject: &Subject) {
    // Large enough that a file system with 64 KiB blocks has whole ones to give back.
    const MIB: u64 = 1 << 20;
    for block_length in BLOCK_LENGTHS {
        let mib = block_length.blocks_in(MIB).as_u64();
        let mut bench = Bench::open(subject, block_length, 4 * mib);
        bench.provisioning(0);
        bench.write(range(0, 3 * mib), true);
        bench.unmap(range(mib, mib));
        for start in [0, 1, mib - 1, mib, mib + 1, 4 * mib - 1] {
            let blocks = bench.provisioning(start);
            for (lba, mapping) in (start..).zip(blocks) {
                let written = lba < mib || (2 * mib..3 * mib).contains(&lba);
                let unmapped = (mib..2 * mib).contains(&lba);
                if written && bench.retains() {
                    assert_eq!(mapping, Mapping::Mapped, "block {lba} was written");
                } else if unmapped && bench.knows_its_holes() {
                    assert_eq!(mapping, Mapping::Deallocated, "block {lba} was unmapped");
                }
            }
        }
        let short = bench.first_extent(range(0, 1));
        assert_eq!(short.blocks.as_u64(), 1, "one block was asked about");
        bench.verify_all();
    }
}

/// A medium that says how much space it takes counts what was written, once it is on stable storage,
/// and no longer what was unmapped, if it is thin.
pub fn space_that_is_told_of_follows_what_is_written(subject: &Subject) {
    // Far more than a file system's own records of it.
    const MIB: u64 = 1 << 20;
    for block_length in BLOCK_LENGTHS {
        let mib = block_length.blocks_in(MIB).as_u64();
        let mut bench = Bench::open(subject, block_length, 8 * mib);
        let Some(fresh) = bench.medium().allocated_bytes() else { return };
        bench.write(range(mib, 4 * mib), true);
        let written = bench.medium().allocated_bytes().expect("it could tell before");
        assert!(written >= fresh + 4 * MIB, "{fresh} bytes, and with 4 MiB more {written}");
        bench.unmap(range(mib, 4 * mib));
        let unmapped = bench.medium().allocated_bytes().expect("it could tell before");
        if bench.medium().capabilities().thin {
            assert!(unmapped + 3 * MIB <= written, "{unmapped} bytes left of {written}");
        }
    }
}

/// Durable writes and flushes succeed. (That they reach stable storage, no test in one process
/// sees.)
pub fn durable_writes_and_flushes_are_answered(subject: &Subject) {
    each_block_length(subject, |mut bench| {
        bench.succeed(Op::Flush, Buffer::empty());
        bench.write(range(0, 9), true);
        bench.write(range(4, 9), false);
        bench.succeed(Op::Flush, Buffer::empty());
        bench.verify(range(0, 20));
    });
}

/// Many requests at once, urgent ones among them, are each answered once, with their own buffer.
pub fn requests_side_by_side_are_each_answered_once(subject: &Subject) {
    const EACH: u64 = 4;
    const COUNT: u64 = BLOCKS / EACH;
    let count = usize::try_from(COUNT).expect("few requests");
    each_block_length(subject, |mut bench| {
        let mut expected = HashSet::new();
        for nth in 0..COUNT {
            let blocks = range(nth * EACH, EACH);
            let bytes = pattern(nth, bench.model().len_of(blocks));
            let mut buffer = scattered(bytes.len(), 0);
            buffer.write_at(0, &bytes);
            let durable = nth % 32 == 0;
            expected.insert(bench.start(Op::Write { range: blocks, durable }, buffer));
            bench.model_mut().write(blocks, &bytes);
        }
        for answer in bench.collect(count) {
            assert_eq!(answer.result, Ok(OpOutput::Done));
            assert!(expected.remove(&answer.tag), "{:?} was answered twice", answer.tag);
        }
        // Reads may overlap each other, so these do.
        let mut ranges = Vec::new();
        for nth in 0..COUNT {
            let blocks = range(nth * EACH / 2, EACH);
            let buffer = scattered(bench.model().len_of(blocks), 0xa5);
            ranges.push((bench.start(Op::Read { range: blocks }, buffer), blocks));
        }
        for answer in bench.collect(count) {
            assert_eq!(answer.result, Ok(OpOutput::Done));
            let nth = ranges.iter().position(|(tag, _)| *tag == answer.tag);
            let nth = nth.unwrap_or_else(|| panic!("{:?} was answered twice", answer.tag));
            let (_, blocks) = ranges.swap_remove(nth);
            assert_eq!(answer.buffer.first_difference(0, bench.model().read(blocks)), None);
        }
        assert!(bench.close().is_empty(), "more answers than requests");
    });
}

/// Once a medium is closed, everything that was sent to it has been done and answered.
pub fn closing_answers_what_is_queued(subject: &Subject) {
    each_block_length(subject, |mut bench| {
        let sent: HashSet<_> = (0..BLOCKS)
            .map(|lba| {
                let blocks = range(lba, 1);
                let buffer = Buffer::heap(bench.model().len_of(blocks));
                bench.start(Op::Write { range: blocks, durable: false }, buffer)
            })
            .collect();
        let answers = bench.close();
        assert_eq!(answers.len(), sent.len());
        assert!(answers.iter().all(|answer| answer.result == Ok(OpOutput::Done)));
        assert_eq!(answers.iter().map(|answer| answer.tag).collect::<HashSet<_>>(), sent);
    });
}

/// New blocks read as zeros, old ones stay; a block that was cut off comes back as zeros. (On a
/// device that was found the kit zeroes them itself.)
pub fn growing_adds_zeros_and_shrinking_forgets(subject: &Subject) {
    each_block_length(subject, |mut bench| {
        bench.write(range(0, BLOCKS), false);
        bench.resize(BLOCKS);
        bench.resize(BLOCKS + 500);
        bench.verify_all();
        bench.write(range(BLOCKS - 1, 501), false);
        bench.resize(3);
        bench.verify_all();
        bench.resize(BLOCKS);
        bench.verify_all();
        assert_eq!(bench.provisioning(0).len() as u64, bench.blocks());
        let impossible = pulsefield_units::BlockCount::new(u64::MAX / 2);
        assert!(bench.medium().resize(impossible).is_err());
        assert_eq!(bench.medium().geometry().blocks.as_u64(), BLOCKS, "nothing has changed");
    });
}

/// A medium opened for reading only holds what it held, and refuses every change. Holds for handlers
/// that can open one so.
pub fn a_read_only_medium_refuses_to_change(subject: &Subject) {
    let Some(read_only) = subject.read_only else {
        return;
    };
    each_block_length(subject, |mut bench| {
        bench.write(range(1, 9), false);
        let mut bench = bench.reopen_by(read_only);
        assert!(bench.medium().capabilities().read_only);
        let blocks = range(0, 4);
        let data = || Buffer::heap(4 * 4096);
        let changes = [
            Op::Write { range: blocks, durable: false },
            Op::Write { range: blocks, durable: true },
            Op::WriteZeroes { range: blocks, durable: false, may_unmap: true },
            Op::WriteZeroes { range: blocks, durable: true, may_unmap: false },
            Op::Unmap { range: blocks },
        ];
        for op in changes {
            assert_eq!(bench.fail(op, data()), BackstoreError::ReadOnly, "{op:?}");
        }
        bench.succeed(Op::Flush, Buffer::empty());
        bench.provisioning(0);
        bench.verify_all();
        let more = pulsefield_units::BlockCount::new(BLOCKS + 1);
        assert!(bench.medium().resize(more).is_err(), "a resize is a change");
    });
}

/// COMPARE AND WRITE writes all blocks or none, and names the first byte that differs. Holds for
/// media that claim it.
pub fn compare_and_write_is_all_or_nothing(subject: &Subject) {
    each_block_length(subject, |mut bench| {
        if !bench.medium().capabilities().compare_and_write {
            return;
        }
        let blocks = range(BLOCKS - 3, 3);
        bench.write(blocks, false);
        let op = Op::CompareAndWrite { range: blocks, durable: true };
        let len = bench.model().len_of(blocks);
        let new = pattern(0xfeed, len);
        for at in [0, 511, 512, len - 1] {
            let mut buffer = scattered(2 * len, 0);
            buffer.write_at(0, bench.model().read(blocks));
            buffer.write_at(len, &new);
            let mut byte = [0];
            buffer.read_at(at, &mut byte);
            buffer.fill(at, 1, byte[0] ^ 0x80);
            let offset = u32::try_from(at).expect("three blocks");
            assert_eq!(bench.run(op, buffer).result, Ok(OpOutput::Miscompare { offset }));
            bench.verify_all();
        }
        let mut buffer = scattered(2 * len, 0);
        buffer.write_at(0, bench.model().read(blocks));
        buffer.write_at(len, &new);
        assert_eq!(bench.run(op, buffer).result, Ok(OpOutput::Done));
        bench.model_mut().write(blocks, &new);
        bench.verify_all();
    });
}

/// An atomic write is a write, wherever it lies and whether its blocks had space or not. Holds for
/// media that claim it; that it is never torn only the medium's own tests can show.
pub fn atomic_writes_land_where_they_belong(subject: &Subject) {
    each_block_length(subject, |mut bench| {
        if !bench.medium().capabilities().atomic_write {
            return;
        }
        for (blocks, durable) in
            [(range(0, 1), true), (range(7, 300), false), (range(300, 9), true)]
        {
            let data = pattern(blocks.start().as_u64(), bench.model().len_of(blocks));
            let mut buffer = scattered(data.len(), 0);
            buffer.write_at(0, &data);
            bench.succeed(Op::WriteAtomic { range: blocks, durable }, buffer);
            bench.model_mut().write(blocks, &data);
            bench.verify_all();
        }
    });
}

/// A copy reaches its own blocks and no other, from and to wherever, and leaves its source alone.
pub fn copies_are_what_the_source_was(subject: &Subject) {
    each_block_length(subject, |mut bench| {
        if !bench.medium().capabilities().copy {
            return;
        }
        bench.write(range(0, 300), false);
        bench.unmap(range(40, 50));
        let places = [(0, 300), (299, 0), (13, 700), (35, 501), (0, BLOCKS - 100)];
        for (durable, (from, to)) in [false, true].into_iter().cycle().zip(places) {
            let blocks = if from == 299 { 1 } else { 100 };
            bench.copy(range(from, blocks), range(to, blocks), durable);
            bench.verify_all();
        }
    });
}

/// What is copied from blocks without space has none afterwards, whatever lay there before, on a
/// medium that knows.
pub fn a_copy_of_what_has_no_space_takes_none(subject: &Subject) {
    const MIB: u64 = 1 << 20;
    for block_length in BLOCK_LENGTHS {
        let mib = block_length.blocks_in(MIB).as_u64();
        let mut bench = Bench::open(subject, block_length, 4 * mib);
        if !bench.medium().capabilities().copy || !bench.knows_its_holes() {
            return;
        }
        bench.write(range(2 * mib, 2 * mib), true);
        bench.copy(range(0, mib), range(2 * mib, mib), true);
        let blocks = usize::try_from(mib).expect("small media");
        let now = bench.provisioning(2 * mib);
        assert!(now[..blocks].iter().all(|mapping| *mapping == Mapping::Deallocated));
        assert!(now[blocks..].iter().all(|mapping| *mapping == Mapping::Mapped));
        bench.verify_all();
    }
}
