//! Every bound of the device server, and what happens when it is reached.

use std::time::Duration;

/// Tasks of one logical unit in flight at once, waiting ones included; the next command is answered
/// TASK SET FULL. LIO offers 128 commands per fabric port and advertises that depth, so this is
/// reached only by a target with many ports.
pub const TASKS_MAX: usize = 4096;

/// Bulk tasks that occupy the medium at once; further ones wait in their lane. Enough to keep a fast
/// medium busy, few enough that a heartbeat never finds the handler's threads buried.
pub const BULK_SLOTS: usize = 128;

/// Heartbeat tasks that occupy the medium at once, on top of [`BULK_SLOTS`]: bulk can never take
/// what these need. A cluster of 64 hosts pulses in one instant (the 3-second grid).
pub const HEARTBEAT_SLOTS: usize = 64;

/// Heartbeat tasks started in a row while bulk tasks are ready too; then one bulk task goes first.
pub const HEARTBEAT_BURST: u32 = 16;

/// MAXIMUM TRANSFER LENGTH in bytes (VPD page B0h), if the data area is large enough
/// ([`transfer_bytes_max`]): a longer READ, WRITE or VERIFY is refused with 05h/24h/00.
pub const TRANSFER_BYTES_MAX: u32 = 8 << 20;

/// MAXIMUM TRANSFER LENGTH in bytes with the smallest data area there can be, 1 MiB.
pub const TRANSFER_BYTES_MIN: u32 = 64 << 10;

/// How many of the longest commands the data area holds at least: one that found it full would wait in
/// the kernel, and a heartbeat behind it.
pub const TRANSFERS_PER_DATA_AREA: u64 = 16;

/// MAXIMUM TRANSFER LENGTH in bytes with a data area of so many bytes: a power of two.
pub const fn transfer_bytes_max(data_area_bytes: u64) -> u32 {
    let mut bytes = TRANSFER_BYTES_MAX;
    while bytes > TRANSFER_BYTES_MIN && bytes as u64 * TRANSFERS_PER_DATA_AREA > data_area_bytes {
        bytes /= 2;
    }
    bytes
}

/// OPTIMAL TRANSFER LENGTH in bytes (VPD page B0h).
pub const TRANSFER_BYTES_OPTIMAL: u32 = 1 << 20;

/// MAXIMUM WRITE SAME LENGTH in bytes (VPD page B0h): a longer WRITE SAME is refused with
/// 05h/24h/00, one that names no number of blocks and so means the rest of the medium too. ESXi zeroes
/// in runs of 1 MiB; the blocks stay locked for the whole run. (libiscsi's suite takes a target that
/// zeroes 65,536 blocks at once for one that writes as many at once.)
pub const WRITE_SAME_BYTES_MAX: u64 = 16 << 20;

/// MAXIMUM UNMAP LBA COUNT in blocks (VPD page B0h), over all descriptors of one UNMAP; more is
/// refused with 05h/26h/00. Half a GiB of 512-byte blocks: libiscsi's suite takes no larger limit for
/// a sane one, and each range is locked while it is unmapped.
pub const UNMAP_BLOCKS_MAX: u32 = 1 << 20;

/// MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT (VPD page B0h); more is refused with 05h/26h/00.
pub const UNMAP_DESCRIPTORS_MAX: u32 = 64;

/// OPTIMAL UNMAP GRANULARITY in bytes (VPD page B0h): the block of the file systems and of memory
/// that media live on. A factor of 1 MiB, which VMFS-6 wants for automatic UNMAP.
pub const UNMAP_GRANULARITY_BYTES: u32 = 4096;

/// Most blocks a COMPARE AND WRITE can be configured to take: its length field has one byte.
pub const COMPARE_AND_WRITE_BLOCKS_MAX: u8 = u8::MAX;

/// Bytes handled at a time by commands that work through a long range in pieces (VERIFY,
/// WRITE SAME of a pattern).
pub const PIECE_BYTES: usize = 256 << 10;

/// Bytes that a PRE-FETCH reads ahead at most; the rest of what it names, which may be the whole
/// medium, stays where it is, and GOOD is no promise of more.
pub const PRE_FETCH_BYTES_MAX: u64 = TRANSFER_BYTES_MAX as u64;

/// Bytes that an overwriting SANITIZE writes with one op.
pub const BACKGROUND_WRITE_BYTES: usize = 1 << 20;

/// Bytes that FORMAT UNIT and an erasing SANITIZE zero or unmap with one op: what file systems do in a
/// moment, so that the progress shows and the daemon can end in between.
pub const BACKGROUND_ZERO_BYTES: u64 = 64 << 20;

/// Blocks that WRITE LONG can have marked at once; one more is refused with 05h/55h/03. Each costs
/// memory for as long as nobody writes it.
pub const MARKED_BLOCKS_MAX: usize = 1024;
/// Bytes of an EXTENDED COPY that are read and then written as one piece; the blocks of a piece are
/// locked for that long, and each copy in progress has the memory of one.
pub const COPY_PIECE_BYTES: usize = 256 << 10;

/// The same where the medium copies within itself: a piece takes a fraction of the time.
pub const COPY_WITHIN_BYTES: u64 = 1 << 20;

/// MAXIMUM SEGMENT LENGTH of EXTENDED COPY in bytes: a longer segment ends the copy with
/// 0Ah/26h/00h. Four times what ESXi asks for by default.
pub const COPY_SEGMENT_BYTES_MAX: u32 = 16 << 20;

/// MAXIMUM CSCD DESCRIPTOR COUNT of EXTENDED COPY; more are refused with 05h/26h/06h.
pub const CSCD_DESCRIPTORS_MAX: u16 = 8;

/// MAXIMUM SEGMENT DESCRIPTOR COUNT of EXTENDED COPY; more are refused with 05h/26h/08h. With
/// [`COPY_SEGMENT_BYTES_MAX`] it bounds how long one command can take.
pub const SEGMENT_DESCRIPTORS_MAX: u16 = 8;

/// MAXIMUM DESCRIPTOR LIST LENGTH of EXTENDED COPY in bytes; a longer list is refused with
/// 05h/1Ah/00h.
pub const COPY_DESCRIPTOR_LIST_BYTES_MAX: u32 = 1024;

/// TOTAL CONCURRENT COPIES: a further one is answered BUSY. Half of the depth that LIO offers to a
/// fabric port, and 16 MiB of memory when all are in progress.
pub const CONCURRENT_COPIES_MAX: u16 = 64;

/// Copies of which something is known, those in progress included; of more, the oldest that ended is
/// forgotten.
pub const COPY_RECORDS_MAX: usize = 2 * CONCURRENT_COPIES_MAX as usize;

/// How long RECEIVE COPY RESULTS knows of a copy that ended: long enough to ask, short enough that
/// nobody takes the copy for one of its own (see `copies.rs`).
pub const COPY_RECORD_HELD: Duration = Duration::from_secs(5);

/// Bytes that are written into a pool of space before the medium is asked again what it takes; near
/// the pool's limit it is asked after every write. Other units of the pool do not see them until then.
pub const SPACE_REPORT_BYTES: u64 = 64 << 20;

/// The resources that thresholds are counted in (VPD page B2h), in bytes.
pub const THRESHOLD_SET_BYTES: u32 = 1 << 20;

/// Most LBA STATUS DESCRIPTORs returned by one GET LBA STATUS: each costs a question to the medium.
pub const LBA_STATUS_DESCRIPTORS_MAX: usize = 64;

/// Most bytes of a READ or WRITE that may take the heartbeat lane for what was seen in its first block:
/// VMFS moves a lock or a heartbeat alone or with what it protects, a sector or a page of VMFS 6 at a time.
pub const METADATA_BYTES_MAX: u64 = 4096;

/// Places for blocks that were seen to hold VMFS metadata; of two that share a place the later is known.
pub const SEEN_METADATA_MAX: usize = 1024;

/// Unit attention conditions waiting to be reported; each kind at most once, so never exceeded.
pub const UNIT_ATTENTIONS_MAX: usize = 6;

/// How often a unit attention condition is reported for each initiator there may be, if there are
/// several. Whoever sends the next command hears of it; of initiators that are equally busy, one in
/// twenty then misses all of the reports (1/e^3).
pub const UNIT_ATTENTION_REPORTS_PER_INITIATOR: u32 = 3;

/// The most reports of one condition; where there are more than 64 initiators, fewer hear of it.
pub const UNIT_ATTENTION_REPORTS_MAX: u32 = 192;

/// The least time between two reports of one condition: an initiator sends the command again at
/// once, and gives up after a few attempts.
pub const UNIT_ATTENTION_PAUSE: Duration = Duration::from_secs(1);

const _: () = {
    // Both lanes fit among the tasks, with room for those that wait.
    assert!(BULK_SLOTS + HEARTBEAT_SLOTS < TASKS_MAX);
    // A piece is a whole number of blocks of either length.
    assert!(PIECE_BYTES.is_multiple_of(4096));
    assert!(BACKGROUND_WRITE_BYTES.is_multiple_of(4096));
    assert!(BACKGROUND_ZERO_BYTES.is_multiple_of(4096));
    assert!(COPY_PIECE_BYTES.is_multiple_of(4096));
    // One descriptor too many is told as such, since the list is not too long for it.
    assert!((CSCD_DESCRIPTORS_MAX as u32 + 1) * 32 + 28 <= COPY_DESCRIPTOR_LIST_BYTES_MAX);
    assert!((SEGMENT_DESCRIPTORS_MAX as u32 + 1) * 32 + 32 <= COPY_DESCRIPTOR_LIST_BYTES_MAX);
    // What VPD page B0h advertises is a whole number of blocks of either length.
    assert!(TRANSFER_BYTES_MIN.is_multiple_of(4096));
    assert!(TRANSFER_BYTES_MAX.is_multiple_of(4096) && WRITE_SAME_BYTES_MAX.is_multiple_of(4096));
    assert!((1 << 20) % UNMAP_GRANULARITY_BYTES == 0);
    assert!(SEEN_METADATA_MAX.is_power_of_two());
};
