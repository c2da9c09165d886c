//! What tests of records have in common: the record of a unit, and what a host writes.

use std::path::Path;
use std::time::Duration;

use pulsefield_data::Buffer;
use pulsefield_record::{Detail, Recorder, Unit, WallTime};
use pulsefield_units::{BlockCount, BlockLength, Instant, Lba, LbaRange};
use pulsefield_vmfs::{Heartbeat, HeartbeatState};

/// The host that most tests are about.
pub(crate) const HOST: &str = "685eb8eb-7f3e3890-4544-bc2411b17e28";

/// Time zero on the wall clock: 2023-11-14T22:13:20Z.
const WALL_NS: u64 = 1_700_000_000_000_000_000;

pub(crate) const fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

pub(crate) const fn wall(millis: u64) -> WallTime {
    WallTime::from_nanos(WALL_NS + millis * 1_000_000)
}

pub(crate) fn range(lba: u64, blocks: u64) -> LbaRange {
    LbaRange::new(Lba::new(lba), BlockCount::new(blocks)).unwrap()
}

pub(crate) fn buffer(bytes: &[u8]) -> Buffer {
    let mut buffer = Buffer::heap(bytes.len());
    buffer.write_at(0, bytes);
    buffer
}

/// Slot 64 of a VMFS 6 volume, in use by a host that has been up for so long.
pub(crate) fn pulse(host: &str, uptime: Duration) -> Vec<u8> {
    let heartbeat = Heartbeat {
        state: HeartbeatState::InUse,
        generation: 5,
        stamp: uptime,
        owner: Some(host.parse().unwrap()),
        major_version: 24,
        ..Heartbeat::never_used(0x34_0000)
    };
    heartbeat.encode().to_vec()
}

/// Records the unit `lun` from so many milliseconds on.
pub(crate) fn recorder(folder: &Path, lun: &str, millis: u64) -> Recorder {
    let unit = Unit {
        folder,
        lun,
        bytes: 1 << 20,
        detail: Detail::Whole,
        block_length: BlockLength::B512,
        blocks: BlockCount::new(1 << 21),
        after_breakdown: false,
    };
    Recorder::open(&unit, at(millis), wall(millis)).unwrap()
}
