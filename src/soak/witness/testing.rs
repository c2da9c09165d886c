//! Records made up: COMPARE AND WRITE commands on one block, one after the other.

use std::time::Duration;

use pulsefield_engine::{Lane, Waited};
use pulsefield_record::{
    Command, Event, Found, Image, ImageRole, Origin, Record, SenseCode, WallTime,
};
use pulsefield_scsi::{Status, opcode};
use pulsefield_units::{BlockCount, Cdb, Instant, Lba, LbaRange};

/// So many milliseconds after the beginning.
pub(crate) const fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

/// The block that everything is about.
pub(crate) fn block() -> LbaRange {
    LbaRange::new(Lba::new(7), BlockCount::new(1)).unwrap()
}

/// What is nothing of VMFS's.
pub(crate) const fn data(byte: u8) -> [u8; 512] {
    [byte; 512]
}

/// Counts records.
#[derive(Default)]
pub(crate) struct Tape(u64);

impl Tape {
    /// An ATS that was applied at once, and answered after so long.
    pub(crate) fn applied(&mut self, millis: u64, halves: [u8; 2], took: Duration) -> Record {
        let command = command(millis, halves, took);
        let at = command.answered;
        self.record(at, Event::Command(command))
    }

    /// An ATS that found something else.
    pub(crate) fn miscompared(&mut self, millis: u64, halves: [u8; 2], found: u8) -> [Record; 2] {
        let mut command = command(millis, halves, Duration::from_millis(1));
        command.status = Status::CheckCondition.as_u8();
        command.sense = Some(SenseCode { key: 0x0e, asc: 0x1d, ascq: 0, information: Some(0) });
        let found = Found {
            origin: command.origin,
            blocks: block(),
            image: image(ImageRole::Found, data(found)),
        };
        let at = command.answered;
        [self.record(at, Event::Found(found)), self.record(at, Event::Command(command))]
    }

    /// Something that explains nothing.
    pub(crate) fn idle(&mut self, millis: u64) -> Record {
        self.record(at(millis), Event::Anchor(WallTime::from_nanos(0)))
    }

    fn record(&mut self, at: Instant, event: Event) -> Record {
        self.0 += 1;
        Record { sequence: self.0, epoch: 1, at, wall: None, event }
    }
}

fn command(millis: u64, [expected, written]: [u8; 2], took: Duration) -> Command {
    let arrived = at(millis);
    let mut cdb = [0; 16];
    cdb[0] = opcode::COMPARE_AND_WRITE;
    cdb[2..10].copy_from_slice(&block().start().as_u64().to_be_bytes());
    cdb[13] = 1;
    Command {
        origin: Origin::Initiator { command_id: u16::try_from(millis % 60_000).unwrap() },
        cdb: Cdb::new(&cdb),
        arrived,
        started: Some(arrived),
        ended: Some(arrived.after(Duration::from_micros(500))),
        answered: arrived.after(took),
        waited: Waited::default(),
        lane: Some(Lane::Heartbeat),
        blocks: Some(block()),
        data_bytes: 1024,
        status: Status::Good.as_u8(),
        sense: None,
        hit: None,
        aborted: None,
        images: vec![
            image(ImageRole::Expected, data(expected)),
            image(ImageRole::Written, data(written)),
        ],
    }
}

fn image(role: ImageRole, bytes: [u8; 512]) -> Image {
    Image { role, offset: 0, bytes: bytes.to_vec() }
}
