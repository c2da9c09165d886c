//! Records made up: a tape on which a test plays commands, one after the other.

use std::time::Duration;

use pulsefield_engine::{Lane, Stage, Waited};
use pulsefield_record::{
    Command, Event, FaultHit, Found, Image, ImageRole, Origin, Overdue, Record, SenseCode, Start,
    TaskManagement, WallTime,
};
use pulsefield_scsi::{Status, opcode};
use pulsefield_units::{BlockCount, Cdb, Instant, Lba, LbaRange};
use pulsefield_vmfs::{DiskLock, Heartbeat, HeartbeatState, HostUuid, LockKind, LockMode, SECTOR};

use crate::account::Account;
use crate::finding::FindingKind;
use crate::late::Deadlines;

pub(crate) const A: HostUuid = host(0x11);
pub(crate) const B: HostUuid = host(0x22);

/// The block that everything is about.
pub(crate) const LBA: u64 = 43_520;

const fn host(byte: u8) -> HostUuid {
    match HostUuid::from_bytes([byte; 16]) {
        Some(host) => host,
        None => panic!("not all zeros"),
    }
}

pub(crate) type Sector = [u8; SECTOR];

/// Slot 64 in use by this host, which has been up for so many seconds.
pub(crate) fn slot(owner: HostUuid, seconds: u64) -> Sector {
    in_generation(owner, seconds, 5)
}

pub(crate) fn in_generation(owner: HostUuid, seconds: u64, generation: u64) -> Sector {
    let clear = Heartbeat::never_used(0x34_0000);
    let heartbeat = Heartbeat {
        state: HeartbeatState::InUse,
        generation,
        stamp: Duration::from_secs(seconds),
        owner: Some(owner),
        major_version: 24,
        ..clear
    };
    heartbeat.encode()
}

/// Slot 64 clear.
pub(crate) fn clear(generation: u64) -> Sector {
    let never = Heartbeat::never_used(0x34_0000);
    Heartbeat { generation, major_version: 24, ..never }.encode()
}

/// A lock, free or exclusively of this host.
pub(crate) fn lock(token: u64, owner: Option<HostUuid>) -> Sector {
    let mode = if owner.is_some() { LockMode::Exclusive } else { LockMode::Free };
    let never = DiskLock::never_taken(LockKind::FileDescriptor, 0x72_0000);
    DiskLock { token, mode, owner, ..never }.encode()
}

/// Something that is nothing of VMFS's.
pub(crate) fn data(byte: u8) -> Sector {
    [byte; SECTOR]
}

fn millis(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

/// The tape.
pub(crate) struct Tape {
    records: Vec<Record>,
    sequence: u64,
    epoch: u32,
    now: Instant,
    command_id: u16,
    hits: u64,
}

impl Tape {
    pub(crate) fn new() -> Self {
        let (records, now) = (Vec::new(), millis(1));
        let mut tape = Self { records, sequence: 0, epoch: 0, now, command_id: 0, hits: 0 };
        tape.restart();
        tape
    }

    /// From now on it is so late, in milliseconds.
    pub(crate) fn at(&mut self, at: u64) -> &mut Self {
        self.now = millis(at + 1_000);
        self
    }

    pub(crate) fn restart(&mut self) -> &mut Self {
        self.epoch += 1;
        let wall = WallTime::from_nanos(self.now.as_nanos());
        self.put(Event::Start(Start {
            wall,
            blocks: BlockCount::new(1 << 21),
            block_bytes: 512,
            process: 1,
            after_breakdown: false,
        }))
    }

    /// So many records are not there.
    pub(crate) fn lose(&mut self, records: u64) -> &mut Self {
        self.sequence += records;
        self
    }

    /// Everything up to here is not there.
    pub(crate) fn forget(&mut self) -> &mut Self {
        self.records.clear();
        self
    }

    /// An ATS that is applied within a millisecond.
    pub(crate) fn ats(&mut self, expected: &Sector, written: &Sector) -> &mut Self {
        self.compare(expected, written, Status::Good, None)
    }

    /// An ATS that finds what [`Self::found`] says.
    pub(crate) fn miscompare(&mut self, expected: &Sector, written: &Sector) -> &mut Self {
        let sense = SenseCode { key: 0x0e, asc: 0x1d, ascq: 0, information: Some(20) };
        self.compare(expected, written, Status::CheckCondition, Some(sense))
    }

    /// What the next command finds.
    pub(crate) fn found(&mut self, found: &Sector) -> &mut Self {
        let origin = Origin::Initiator { command_id: self.command_id + 1 };
        let image = image(ImageRole::Found, found);
        self.put(Event::Found(Found { origin, blocks: block(), image }))
    }

    /// Another command on the block, by operation code, with this data if that is kept.
    pub(crate) fn other(&mut self, opcode: u8, kept: Option<(ImageRole, &Sector)>) -> &mut Self {
        let images = kept.map(|(role, bytes)| image(role, bytes));
        self.command(opcode, images.into_iter().collect(), 512, Status::Good, None)
    }

    /// The next command has the id of the last one, which is answered.
    pub(crate) const fn same_id(&mut self) -> &mut Self {
        self.command_id -= 1;
        self
    }

    /// Changes the last command.
    pub(crate) fn but(&mut self, change: impl FnOnce(&mut Command)) -> &mut Self {
        let Some(Event::Command(command)) = self.records.last_mut().map(|it| &mut it.event) else {
            panic!("the last record is no command");
        };
        change(command);
        self
    }

    /// A rule has hit the last command, and was to hold it up for so many milliseconds.
    pub(crate) fn hit(&mut self, rule: &str, delay: u64) -> &mut Self {
        let number = self.hits;
        self.hits += 1;
        let hit = FaultHit {
            number,
            rule: rule.to_owned(),
            command_id: self.command_id,
            opcode: opcode::COMPARE_AND_WRITE,
            delay: Duration::from_millis(delay),
        };
        self.but(|command| command.hit = Some(number)).put(Event::FaultHit(hit))
    }

    /// An ABORT TASK of the last command.
    pub(crate) fn abort(&mut self) -> &mut Self {
        let command_ids = vec![self.command_id];
        self.put(Event::TaskManagement(TaskManagement { function: 1, commands: 1, command_ids }))
    }

    /// The next command is not answered yet after so long.
    pub(crate) fn overdue(&mut self, after: Duration, stage: Option<Stage>) -> &mut Self {
        let nanos = u64::try_from(after.as_nanos()).expect("less than centuries");
        let arrived = Instant::from_nanos(self.now.as_nanos() - nanos);
        self.put(Event::Overdue(Overdue {
            command_id: self.command_id + 1,
            cdb: Cdb::new(&cdb(opcode::COMPARE_AND_WRITE)),
            arrived,
            stage: stage.map(|stage| (stage, arrived)),
            blocks: stage.map(|_| block()),
        }))
    }

    pub(crate) fn records(self) -> Vec<Record> {
        self.records
    }

    fn compare(
        &mut self,
        expected: &Sector,
        written: &Sector,
        status: Status,
        sense: Option<SenseCode>,
    ) -> &mut Self {
        let halves = vec![image(ImageRole::Expected, expected), image(ImageRole::Written, written)];
        self.command(opcode::COMPARE_AND_WRITE, halves, 1024, status, sense)
    }

    fn command(
        &mut self,
        opcode: u8,
        images: Vec<Image>,
        data_bytes: u32,
        status: Status,
        sense: Option<SenseCode>,
    ) -> &mut Self {
        self.command_id += 1;
        let done = self.now.after(Duration::from_micros(500));
        let command = Command {
            origin: Origin::Initiator { command_id: self.command_id },
            cdb: Cdb::new(&cdb(opcode)),
            arrived: self.now,
            started: Some(self.now),
            ended: Some(done),
            answered: done,
            waited: Waited::default(),
            lane: Some(Lane::Heartbeat),
            blocks: Some(block()),
            data_bytes,
            status: status.as_u8(),
            sense,
            hit: None,
            aborted: None,
            images,
        };
        self.put(Event::Command(command))
    }

    fn put(&mut self, event: Event) -> &mut Self {
        self.sequence += 1;
        let at = if let Event::Command(command) = &event { command.answered } else { self.now };
        let (sequence, epoch) = (self.sequence, self.epoch);
        self.records.push(Record { sequence, epoch, at, wall: None, event });
        self
    }
}

fn cdb(opcode: u8) -> [u8; 16] {
    let mut cdb = [0; 16];
    cdb[0] = opcode;
    cdb[2..10].copy_from_slice(&LBA.to_be_bytes());
    cdb[13] = 1;
    cdb
}

fn block() -> LbaRange {
    LbaRange::new(Lba::new(LBA), BlockCount::new(1)).unwrap()
}

fn image(role: ImageRole, bytes: &Sector) -> Image {
    Image { role, offset: 0, bytes: bytes.to_vec() }
}

pub(crate) fn hosts(records: &[Record]) -> Vec<crate::Host> {
    Account::of(records, 0, Deadlines::default()).summary.hosts
}

/// What is found about the only MISCOMPARE, and its words.
pub(crate) fn explain(tape: Tape) -> (FindingKind, String) {
    let records = tape.records();
    let account = Account::of(&records, 0, Deadlines::default());
    let [miscompare] = &account.miscompares[..] else {
        panic!("{} miscompares", account.miscompares.len());
    };
    (miscompare.finding.kind(), miscompare.finding.to_string())
}

/// What is found about the last of several.
pub(crate) fn last_kind(tape: Tape) -> FindingKind {
    let records = tape.records();
    let account = Account::of(&records, 0, Deadlines::default());
    account.miscompares.last().expect("a miscompare").finding.kind()
}
