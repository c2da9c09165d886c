//! The format of a record file, byte by byte. All integers are little-endian; why it is so is in
//! `docs/decisions/0019-a-record-is-two-rings-in-a-file.md`.
//!
//! ```text
//! 0     FileHeader: written once
//! 2048  Hint of the first track, 2112 of the second: where its last record is
//! 4096  the first track, and after it the second
//! ```
//!
//! A track is a ring of records. Each begins at a multiple of eight bytes with a [`RecordHeader`] and
//! is in one piece: what does not fit before the track's end begins at its start again. Nothing is
//! ever rewritten to make room: a record is overwritten by later ones, and its checksum then fails.

use pulsefield_units::Instant;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum::{self, Seed};

/// The version of the format that this program writes, and the only one that it reads.
pub const VERSION: u32 = 1;

/// The first bytes of every record file.
pub(crate) const MAGIC: [u8; 8] = *b"PULSEREC";

/// The bytes before the first track: a page.
pub(crate) const HEADER_BYTES: usize = 4096;

/// Records begin at multiples of this, and are multiples of it long.
pub(crate) const ALIGNMENT: usize = 8;

/// How many tracks there are.
pub(crate) const TRACKS: usize = 2;

/// Where the hints are: in cache lines of their own, and in none with the header.
pub(crate) const HINTS: [usize; TRACKS] = [2048, 2112];

/// The longest name of a logical unit, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 240;

/// The ending of the names of record files.
pub(crate) const ENDING: &str = "pulserec";

/// What a file is.
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct FileHeader {
    pub(crate) magic: [u8; 8],
    pub(crate) version: U32,
    /// Of everything else in this header.
    pub(crate) checksum: U32,
    /// A number that no other file is likely to have: part of every checksum.
    pub(crate) identity: U64,
    pub(crate) tracks: [Extent; TRACKS],
    /// The name of the logical unit, and how many bytes of it are the name.
    pub(crate) name: [u8; NAME_BYTES_MAX],
    pub(crate) name_bytes: U32,
}

const _: () = assert!(size_of::<FileHeader>() == 300 && HINTS[0] > size_of::<FileHeader>());

/// Where a track is in the file.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Extent {
    pub(crate) offset: U64,
    pub(crate) bytes: U64,
}

/// Where the last record of a track is. Nothing is true only because a hint says so: whoever follows
/// one finds the record there, or looks through the whole track.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Hint {
    /// Its offset in the file; 0 if there is none.
    pub(crate) offset: U64,
    /// Its sequence number.
    pub(crate) sequence: U64,
}

/// What every record begins with.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RecordHeader {
    /// Of the rest of the record, with a seed from its place in the file.
    pub(crate) checksum: U32,
    /// The whole record in bytes.
    pub(crate) length: U32,
    /// Counts the records of both tracks together, from 1.
    pub(crate) sequence: U64,
    /// The sequence number of the record before it in its track; 0 if there was none.
    pub(crate) previous: U64,
    /// When it was written, on the monotonic clock.
    pub(crate) at_ns: U64,
    /// How often the file had been opened for writing by then.
    pub(crate) epoch: U32,
    /// What the rest is: [`Kind`].
    pub(crate) kind: U16,
    pub(crate) reserved: U16,
}

/// The length of [`RecordHeader`].
pub(crate) const RECORD_HEADER_BYTES: usize = 40;

const _: () = assert!(size_of::<RecordHeader>() == RECORD_HEADER_BYTES);

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Kind {
    Start = 1,
    Stop = 2,
    /// The wall clock beside the monotonic one.
    Anchor = 3,
    Command = 4,
    Found = 5,
    TaskManagement = 6,
    FaultHit = 7,
    TaskManagementOver = 8,
    AttentionRaised = 9,
    Overdue = 10,
}

impl Kind {
    pub(crate) const fn from_u16(kind: u16) -> Option<Self> {
        match kind {
            1 => Some(Self::Start),
            2 => Some(Self::Stop),
            3 => Some(Self::Anchor),
            4 => Some(Self::Command),
            5 => Some(Self::Found),
            6 => Some(Self::TaskManagement),
            7 => Some(Self::FaultHit),
            8 => Some(Self::TaskManagementOver),
            9 => Some(Self::AttentionRaised),
            10 => Some(Self::Overdue),
            _ => None,
        }
    }
}

/// [`Kind::Start`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct StartLayout {
    /// Nanoseconds since 1970, UTC.
    pub(crate) wall_ns: U64,
    pub(crate) blocks: U64,
    pub(crate) block_bytes: U32,
    pub(crate) process: U32,
    /// 1 if the unit had broken down before.
    pub(crate) after_breakdown: U32,
    pub(crate) reserved: U32,
}

/// [`Kind::Anchor`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct AnchorLayout {
    /// Nanoseconds since 1970, UTC, at the moment of the record.
    pub(crate) wall_ns: U64,
}

/// [`Kind::Stop`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct StopLayout {
    /// 1: told to; 2: the device is gone; 3: it broke down.
    pub(crate) reason: U32,
    pub(crate) reserved: U32,
}

/// [`Kind::Command`]; after it the CDB up to the next multiple of eight bytes, then what `parts` says, in
/// the order of its bits, and then the images.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct CommandLayout {
    pub(crate) arrived_ns: U64,
    /// 0 if it never was.
    pub(crate) started_ns: U64,
    /// When the device server was done with it; 0 if it never had it.
    pub(crate) ended_ns: U64,
    pub(crate) lba: U64,
    /// 0 if it claimed no blocks.
    pub(crate) blocks: U64,
    pub(crate) data_bytes: U32,
    /// The kernel's number for it; FFFFh if it is none of an initiator's.
    pub(crate) command_id: U16,
    pub(crate) origin: u8,
    /// 0 none, 1 heartbeat, 2 bulk.
    pub(crate) lane: u8,
    pub(crate) status: u8,
    pub(crate) cdb_bytes: u8,
    pub(crate) parts: u8,
    pub(crate) images: u8,
    pub(crate) reserved: U32,
}

/// Parts of a command's record: the bits of `CommandLayout::parts`.
pub(crate) const PART_WAITED: u8 = 1;
pub(crate) const PART_SENSE: u8 = 2;
pub(crate) const PART_MARK: u8 = 4;

/// What a command waited for, in nanoseconds: [`PART_WAITED`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct WaitedLayout {
    pub(crate) blocks_ns: U64,
    pub(crate) slot_ns: U64,
    pub(crate) pool_ns: U64,
}

/// Sense data: [`PART_SENSE`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SenseLayout {
    pub(crate) information: U64,
    pub(crate) key: u8,
    pub(crate) asc: u8,
    pub(crate) ascq: u8,
    /// 1 if `information` means something.
    pub(crate) valid: u8,
    pub(crate) reserved: U32,
}

/// What happened to a command on its way: [`PART_MARK`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct MarkLayout {
    /// The number of the fault's hit in the unit's log, and one more; 0 for none.
    pub(crate) hit: U64,
    /// When its abort was asked for; 0 if it was not.
    pub(crate) aborted_ns: U64,
}

/// Bytes that a command brought or found; after it the bytes without the zeros at their end, up to the
/// next multiple of eight.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ImageLayout {
    /// Where they are, in bytes from the start of the first block, or of the parameter list.
    pub(crate) offset: U64,
    pub(crate) length: U32,
    /// How many of them follow; the others are zero.
    pub(crate) stored: U16,
    pub(crate) role: u8,
    pub(crate) reserved: u8,
}

/// [`Kind::Found`]; after it one image.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct FoundLayout {
    pub(crate) lba: U64,
    pub(crate) blocks: U64,
    pub(crate) command_id: U16,
    pub(crate) reserved: [u8; 6],
}

/// [`Kind::TaskManagement`]; after it so many ids, up to the next multiple of eight bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct TaskManagementLayout {
    /// The kernel's number for the function.
    pub(crate) function: u8,
    pub(crate) reserved: u8,
    /// The ids that follow.
    pub(crate) listed: U16,
    /// The commands it named.
    pub(crate) commands: U32,
}

/// [`Kind::FaultHit`]; after it the rule's name, up to the next multiple of eight bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct FaultHitLayout {
    pub(crate) number: U64,
    pub(crate) delay_ns: U64,
    pub(crate) command_id: U16,
    pub(crate) opcode: u8,
    pub(crate) reserved: u8,
    pub(crate) name_bytes: U32,
}

/// [`Kind::TaskManagementOver`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct TaskManagementOverLayout {
    /// When the function was found on the ring.
    pub(crate) asked_ns: U64,
    /// As in [`TaskManagementLayout`].
    pub(crate) function: u8,
    pub(crate) reserved: [u8; 3],
    pub(crate) commands: U32,
}

/// [`Kind::AttentionRaised`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct AttentionRaisedLayout {
    pub(crate) asc: u8,
    pub(crate) ascq: u8,
    pub(crate) reserved: [u8; 6],
}

/// [`Kind::Overdue`]; after it the CDB up to the next multiple of eight bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct OverdueLayout {
    pub(crate) arrived_ns: U64,
    /// Since when it is at its stage.
    pub(crate) since_ns: U64,
    pub(crate) lba: U64,
    /// 0 if it claims no blocks.
    pub(crate) blocks: U64,
    pub(crate) command_id: U16,
    /// What it waits for: 0 nothing that the device server knows of, 1 its blocks, 2 a slot of its lane, 3 the
    /// pool of space, 4 the medium, 5 something else.
    pub(crate) stage: u8,
    pub(crate) cdb_bytes: u8,
    pub(crate) reserved: U32,
}

/// The next multiple of [`ALIGNMENT`].
pub(crate) const fn aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}

/// The tracks of a file of `bytes`: three quarters for heartbeats, the rest for bulk.
pub(crate) fn extents(bytes: u64) -> [Extent; TRACKS] {
    let room = bytes.saturating_sub(HEADER_BYTES as u64);
    let heartbeat = (room / 4 * 3).next_multiple_of(HEADER_BYTES as u64).min(room);
    let extent = |offset: u64, bytes: u64| Extent { offset: offset.into(), bytes: bytes.into() };
    let first = HEADER_BYTES as u64;
    [extent(first, heartbeat), extent(first + heartbeat, room - heartbeat)]
}

/// A record that is whole and stands where it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whole<'a> {
    pub(crate) header: RecordHeader,
    pub(crate) kind: Kind,
    pub(crate) body: &'a [u8],
}

impl Whole<'_> {
    pub(crate) fn length(&self) -> usize {
        RECORD_HEADER_BYTES + self.body.len()
    }

    pub(crate) fn at(&self) -> Instant {
        Instant::from_nanos(self.header.at_ns.get())
    }
}

/// The record that `bytes` begin with and that stands at `offset` of the file, if it is whole.
pub(crate) fn whole(bytes: &[u8], seed: Seed, offset: u64) -> Option<Whole<'_>> {
    let (header, _) = RecordHeader::ref_from_prefix(bytes).ok()?;
    let length = usize::try_from(header.length.get()).ok()?;
    let possible = length >= RECORD_HEADER_BYTES && length.is_multiple_of(ALIGNMENT);
    let record = bytes.get(..length).filter(|_| possible)?;
    let kind = Kind::from_u16(header.kind.get())?;
    let checksum = checksum::of_record(seed, offset, record);
    (checksum == header.checksum.get()).then(|| Whole {
        header: *header,
        kind,
        body: &record[RECORD_HEADER_BYTES..],
    })
}

/// The name of the file in which the logical unit `lun` is recorded: whatever means something in a path
/// is written as % and two hexadecimal digits.
pub fn file_name(lun: &str) -> String {
    format!("{}.{ENDING}", escaped(lun))
}

/// `lun` as a part of the name of a file.
pub(crate) fn escaped(lun: &str) -> String {
    let escape = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    lun.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_mean_nothing_in_paths() {
        assert_eq!(file_name("ds1"), "ds1.pulserec");
        assert_eq!(file_name("../a.b"), "%2E%2E%2Fa%2Eb.pulserec");
    }

    #[test]
    fn tracks_fill_the_file() {
        for bytes in [64 << 10, 1 << 20, 64 << 20, (1 << 20) + 8] {
            let [heartbeat, bulk] = extents(bytes);
            assert_eq!(heartbeat.offset.get(), HEADER_BYTES as u64);
            assert_eq!(bulk.offset.get(), HEADER_BYTES as u64 + heartbeat.bytes.get());
            assert_eq!(bulk.offset.get() + bulk.bytes.get(), bytes);
            assert!(heartbeat.bytes.get() >= 2 * bulk.bytes.get(), "{bytes}");
        }
    }
}
