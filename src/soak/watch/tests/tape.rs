//! A record being made up: what hosts send at which milliseconds, and how it is answered.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pulsefield_data::Buffer;
use pulsefield_engine::{Lane, Waited};
use pulsefield_record::{Detail, Finished, Origin, Overdue, Recorder, Stop, Unit, WallTime};
use pulsefield_scsi::{Sense, Status};
use pulsefield_units::{BlockCount, BlockLength, Cdb, Instant, Lba, LbaRange};
use pulsefield_vmfs::{
    DiskLock, Heartbeat, HeartbeatState, HostUuid, LockKind, LockMode, REGION_OFFSET, SECTOR,
};
use tempfile::TempDir;

pub(super) const A: HostUuid = host(0x11);
pub(super) const B: HostUuid = host(0x22);

type Sector = [u8; SECTOR];

const fn host(byte: u8) -> HostUuid {
    match HostUuid::from_bytes([byte; 16]) {
        Some(host) => host,
        None => panic!("not all zeros"),
    }
}

fn slot(owner: HostUuid, slot: u64, stamp: u64) -> Heartbeat {
    Heartbeat {
        state: HeartbeatState::InUse,
        generation: 5,
        stamp: Duration::from_secs(stamp),
        owner: Some(owner),
        major_version: 24,
        ..Heartbeat::never_used(REGION_OFFSET + 4096 * slot)
    }
}

/// The heartbeat of a host that has been up for so many seconds.
pub(super) fn in_use(owner: HostUuid, nth: u64, stamp: u64) -> Sector {
    slot(owner, nth, stamp).encode()
}

/// The same, marked by another host.
pub(super) fn replaying(owner: HostUuid, nth: u64, stamp: u64, by: HostUuid) -> Sector {
    let (state, replaying_host) = (HeartbeatState::Replaying, Some(by));
    Heartbeat { state, replaying_host, ..slot(owner, nth, stamp) }.encode()
}

fn lock(token: u64) -> DiskLock {
    DiskLock { token, ..DiskLock::never_taken(LockKind::FileDescriptor, 0x72_0000) }
}

/// A lock that nobody has.
pub(super) fn free(token: u64) -> Sector {
    lock(token).encode()
}

/// A lock that a host has alone.
pub(super) fn locked(owner: HostUuid, token: u64) -> Sector {
    DiskLock { mode: LockMode::Exclusive, owner: Some(owner), ..lock(token) }.encode()
}

/// The machine has been up for a thousand seconds when it begins.
const fn at(millis: u64) -> Instant {
    Instant::from_nanos((1_000_000 + millis) * 1_000_000)
}

fn block(lba: u64) -> LbaRange {
    LbaRange::new(Lba::new(lba), BlockCount::new(1)).unwrap()
}

/// The record of `ds1`.
pub(super) struct Tape {
    folder: TempDir,
    detail: Detail,
    recorder: Option<Recorder>,
    command_id: u16,
}

impl Tape {
    pub(super) fn new() -> Self {
        Self::of(Detail::Whole)
    }

    /// One without the data of ATS.
    pub(super) fn brief() -> Self {
        Self::of(Detail::Brief)
    }

    fn of(detail: Detail) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut tape = Self { folder, detail, recorder: None, command_id: 0 };
        tape.restart(0);
        tape
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn path(&self) -> String {
        self.folder().join("ds1.pulserec").display().to_string()
    }

    /// The daemon is gone, and there is another one.
    pub(super) fn restart(&mut self, millis: u64) {
        self.recorder = None;
        let unit = Unit {
            folder: self.folder.path(),
            lun: "ds1",
            bytes: 1 << 20,
            detail: self.detail,
            block_length: BlockLength::B512,
            blocks: BlockCount::new(1 << 21),
            after_breakdown: false,
        };
        let wall = WallTime::from_nanos(1_700_000_000_000_000_000 + millis * 1_000_000);
        self.recorder = Some(Recorder::open(&unit, at(millis), wall).unwrap());
    }

    /// An ATS from and to so many milliseconds that is GOOD.
    pub(super) fn ats(&mut self, times: [u64; 2], lba: u64, test: &Sector, set: &Sector) {
        self.command(times, 0x89, Lane::Heartbeat, lba, &[*test, *set].concat(), None);
    }

    /// One that finds something else.
    pub(super) fn miscompares(
        &mut self,
        times: [u64; 2],
        lba: u64,
        test: &Sector,
        set: &Sector,
        found: &Sector,
    ) {
        let offset = test.iter().zip(found).position(|(test, found)| test != found).unwrap();
        self.miscompares_at(offset, times, lba, test, set, found);
    }

    /// The same, which says that the first difference is at this byte.
    pub(super) fn miscompares_at(
        &mut self,
        offset: usize,
        times: [u64; 2],
        lba: u64,
        test: &Sector,
        set: &Sector,
        found: &Sector,
    ) {
        let mut image = Buffer::heap(SECTOR);
        image.write_at(0, found);
        let id = self.command_id + 1;
        self.recorder().found(at(times[1]), Some(id), block(lba), offset, &image);
        let sense = Sense::miscompare(offset as u64);
        self.command(times, 0x89, Lane::Heartbeat, lba, &[*test, *set].concat(), Some(sense));
    }

    /// A plain WRITE.
    pub(super) fn writes(&mut self, times: [u64; 2], lba: u64, data: &Sector) {
        self.command(times, 0x8a, Lane::Bulk, lba, data, None);
    }

    /// A heartbeat that came, and is not answered when the second of the times is there.
    pub(super) fn overdue(&mut self, [from, to]: [u64; 2], lba: u64) {
        let overdue = Overdue {
            command_id: 0x7fff,
            cdb: cdb(0x89, lba),
            arrived: at(from),
            stage: None,
            blocks: Some(block(lba)),
        };
        self.recorder().overdue(at(to), &overdue);
    }

    /// The unit is served or recorded no more.
    pub(super) fn stops(&mut self, millis: u64) {
        self.recorder().stop(at(millis), Stop::Told);
    }

    /// Spoils what is recorded of the first command that brought this.
    pub(super) fn spoil(&mut self, sector: &Sector) {
        self.recorder = None;
        let mut bytes = fs::read(self.path()).unwrap();
        // Zeros at the end are not recorded.
        let end = sector.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let begin = &sector[..end];
        let at = bytes.windows(begin.len()).position(|window| window == begin).unwrap();
        bytes[at] ^= 0xff;
        fs::write(self.path(), bytes).unwrap();
    }

    fn recorder(&mut self) -> &mut Recorder {
        self.recorder.as_mut().unwrap()
    }

    fn command(
        &mut self,
        [from, to]: [u64; 2],
        opcode: u8,
        lane: Lane,
        lba: u64,
        data: &[u8],
        sense: Option<Sense>,
    ) {
        self.command_id += 1;
        let mut buffer = Buffer::heap(data.len());
        buffer.write_at(0, data);
        let finished = Finished {
            origin: Origin::Initiator { command_id: self.command_id },
            cdb: &cdb(opcode, lba),
            arrived: at(from),
            started: Some(at(from)),
            ended: Some(at(to)),
            waited: Waited::default(),
            lane: Some(lane),
            blocks: Some(block(lba)),
            status: if sense.is_some() { Status::CheckCondition } else { Status::Good },
            sense: sense.as_ref(),
            data: &buffer,
        };
        self.recorder().command(at(to), &finished);
    }
}

/// Of one block.
fn cdb(opcode: u8, lba: u64) -> Cdb {
    let mut cdb = [0; 16];
    (cdb[0], cdb[13]) = (opcode, 1);
    cdb[2..10].copy_from_slice(&lba.to_be_bytes());
    Cdb::new(&cdb)
}
