//! What a record says, once it is read.

use std::time::Duration;

use pulsefield_engine::{Lane, Stage, Waited};
use pulsefield_scsi::{Asc, SenseKey};
use pulsefield_units::{BlockCount, Cdb, Instant, Lba, LbaRange};
use zerocopy::FromBytes;

use crate::format::{
    AnchorLayout, AttentionRaisedLayout, CommandLayout, FaultHitLayout, FoundLayout, ImageLayout,
    Kind, MarkLayout, OverdueLayout, PART_MARK, PART_SENSE, PART_WAITED, SenseLayout, StartLayout,
    StopLayout, TaskManagementLayout, TaskManagementOverLayout, WaitedLayout, Whole, aligned,
};
use crate::images::{Effect, unmapped};
use crate::recorder::WallTime;

/// The command id of what is no initiator's command.
pub(crate) const NO_COMMAND: u16 = u16::MAX;

/// One thing that happened to a logical unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Counts the records of the unit from 1, whatever they are about.
    pub sequence: u64,
    /// How often the file had been opened for writing: once for each daemon that served the unit, and once
    /// for each of its breakdowns.
    pub epoch: u32,
    /// When it was written, on the monotonic clock: for a command, when its answer was ready.
    pub at: Instant,
    /// The same on the wall clock, as far as that is known.
    pub wall: Option<WallTime>,
    /// What happened.
    pub event: Event,
}

impl Record {
    /// The command, if it is about one that is over.
    pub const fn command(&self) -> Option<&Command> {
        match &self.event {
            Event::Command(command) => Some(command),
            Event::Start(_)
            | Event::Stop(_)
            | Event::Anchor(_)
            | Event::Found(_)
            | Event::TaskManagement(_)
            | Event::TaskManagementOver(_)
            | Event::FaultHit(_)
            | Event::AttentionRaised(_)
            | Event::Overdue(_) => None,
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The unit begins to serve.
    Start(Start),
    /// It has ended.
    Stop(Stop),
    /// The wall clock was looked at.
    Anchor(WallTime),
    /// A command is over.
    Command(Command),
    /// A COMPARE AND WRITE has found something else than it expected. Its own record follows.
    Found(Found),
    /// A task management function was carried out.
    TaskManagement(TaskManagement),
    /// All commands that a task management function names are answered.
    TaskManagementOver(TaskManagementOver),
    /// A rule of a plan of faults has hit a command that has just come.
    FaultHit(FaultHit),
    /// The unit has raised a unit attention condition.
    AttentionRaised(AttentionRaised),
    /// A heartbeat is not answered yet, and later than an error is.
    Overdue(Overdue),
}

/// A unit begins to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// On the wall clock.
    pub wall: WallTime,
    /// Its length.
    pub blocks: BlockCount,
    /// The length of its blocks.
    pub block_bytes: u32,
    /// The daemon's process id.
    pub process: u32,
    /// Whether it begins again after a breakdown: commands in flight were answered BUSY.
    pub after_breakdown: bool,
}

/// Why a unit has ended. Without a record of it the daemon was killed, or the machine has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It was told to.
    Told,
    /// The kernel has removed its device.
    DeviceGone,
    /// It has broken down.
    Breakdown,
}

impl Stop {
    pub(crate) const fn code(self) -> u32 {
        match self {
            Self::Told => 1,
            Self::DeviceGone => 2,
            Self::Breakdown => 3,
        }
    }

    const fn from_code(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::Told),
            2 => Some(Self::DeviceGone),
            3 => Some(Self::Breakdown),
            _ => None,
        }
    }
}

/// Whose command it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An initiator's, which the kernel knows by this id while it is in flight.
    Initiator {
        /// `cmd_id` of TCMU.
        command_id: u16,
    },
    /// A part of an EXTENDED COPY, of this unit or of another.
    Copy,
    /// A fault's own, sent after it had answered the initiator.
    Fault,
}

impl Origin {
    pub(crate) const fn code(self) -> (u8, u16) {
        match self {
            Self::Initiator { command_id } => (1, command_id),
            Self::Copy => (2, NO_COMMAND),
            Self::Fault => (3, NO_COMMAND),
        }
    }

    const fn from_code(code: u8, command_id: u16) -> Option<Self> {
        match code {
            1 => Some(Self::Initiator { command_id }),
            2 => Some(Self::Copy),
            3 => Some(Self::Fault),
            _ => None,
        }
    }
}

/// A command that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Whose it is.
    pub origin: Origin,
    /// Its CDB, as long as the transport brought it; of a command of the unit's own, one that would do
    /// the same.
    pub cdb: Cdb,
    /// When it was found on the ring.
    pub arrived: Instant,
    /// When it held its blocks and a slot of its lane, if it came so far.
    pub started: Option<Instant>,
    /// When the device server was done with it, if it came there. What followed until the answer was a
    /// fault's doing.
    pub ended: Option<Instant>,
    /// When its answer was ready.
    pub answered: Instant,
    /// For how long it waited in the device server, by what for.
    pub waited: Waited,
    /// The lane it took, if it was to touch the medium.
    pub lane: Option<Lane>,
    /// The blocks it claimed last, if any.
    pub blocks: Option<LbaRange>,
    /// The length of its data in bytes, Data-Out or room for Data-In.
    pub data_bytes: u32,
    /// The status it was answered with.
    pub status: u8,
    /// The sense data that went with it.
    pub sense: Option<SenseCode>,
    /// The number of the hit in the unit's log of faults, if a rule has hit it.
    pub hit: Option<u64>,
    /// When its abort was asked for, if it was.
    pub aborted: Option<Instant>,
    /// What of its data is kept.
    pub images: Vec<Image>,
}

impl Command {
    /// The image with this role, if it is kept.
    pub fn image(&self, role: ImageRole) -> Option<&Image> {
        self.images.iter().find(|image| image.role == role)
    }

    /// Whether it may have changed the block `lba`: it was to, and came so far. One that failed may have
    /// changed some of its blocks.
    pub fn may_have_changed(&self, lba: Lba) -> bool {
        let Some(block) = LbaRange::new(lba, BlockCount::new(1)) else { return false };
        let miscompare = self.sense.is_some_and(|sense| sense.key == SenseKey::Miscompare.as_u8());
        let claimed = self.blocks.is_some_and(|blocks| blocks.contains(block));
        self.started.is_some()
            && match Effect::of(&self.cdb) {
                Effect::Reads => false,
                Effect::ComparesAndWrites => claimed && !miscompare,
                Effect::Writes | Effect::Repeats => claimed,
                Effect::Unmaps => {
                    let list = self.image(ImageRole::UnmapList).map_or(&[][..], |list| &list.bytes);
                    claimed || unmapped(list, |range| range.contains(block)).is_some()
                }
                Effect::ChangesAll => true,
            }
    }

    /// How long it took until its answer was ready.
    pub const fn took(&self) -> Duration {
        self.answered.since(self.arrived)
    }
}

/// Sense data, as far as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenseCode {
    /// SENSE KEY.
    pub key: u8,
    /// ADDITIONAL SENSE CODE.
    pub asc: u8,
    /// ADDITIONAL SENSE CODE QUALIFIER.
    pub ascq: u8,
    /// INFORMATION, if it is valid.
    pub information: Option<u64>,
}

/// What an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageRole {
    /// What a COMPARE AND WRITE expects: the first half of its data.
    Expected,
    /// What is to be written: its second half, or the data of a WRITE.
    Written,
    /// The block that a WRITE SAME repeats.
    Repeated,
    /// The parameter list of an UNMAP.
    UnmapList,
    /// What lay there.
    Found,
}

impl ImageRole {
    pub(crate) const fn as_u8(self) -> u8 {
        match self {
            Self::Expected => 1,
            Self::Written => 2,
            Self::Repeated => 3,
            Self::UnmapList => 4,
            Self::Found => 5,
        }
    }

    const fn from_u8(role: u8) -> Option<Self> {
        match role {
            1 => Some(Self::Expected),
            2 => Some(Self::Written),
            3 => Some(Self::Repeated),
            4 => Some(Self::UnmapList),
            5 => Some(Self::Found),
            _ => None,
        }
    }
}

/// Bytes that a command brought, or found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What they are.
    pub role: ImageRole,
    /// Where the first is, in bytes from the start of the first block that the command touches.
    pub offset: u64,
    /// They themselves.
    pub bytes: Vec<u8>,
}

impl Image {
    /// Block `index` of those that the command touches, if all of it is here; blocks have `block_bytes` bytes.
    pub fn block(&self, index: u64, block_bytes: usize) -> Option<&[u8]> {
        let at = index.checked_mul(block_bytes as u64)?.checked_sub(self.offset)?;
        let at = usize::try_from(at).ok()?;
        self.bytes.get(at..at.checked_add(block_bytes)?)
    }
}

/// What a COMPARE AND WRITE found in place of what it expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which command.
    pub origin: Origin,
    /// The blocks that it compares.
    pub blocks: LbaRange,
    /// What lay there, at least where the first difference is.
    pub image: Image,
}

/// A task management function. LIO answers it once the commands that it names are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskManagement {
    /// The kernel's number for it: `TCMU_TMR_…` of `linux/target_core_user.h`.
    pub function: u8,
    /// How many commands it aborts.
    pub commands: u32,
    /// The kernel's ids of the first of them.
    pub command_ids: Vec<u16>,
}

/// All commands that a task management function names are answered, which is when LIO answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskManagementOver {
    /// As of [`TaskManagement`].
    pub function: u8,
    /// How many commands it aborts.
    pub commands: u32,
    /// When it was asked for: the time of its own record.
    pub asked: Instant,
}

/// The unit has raised a unit attention condition. Who hears of it has it as the sense of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionRaised {
    /// The additional sense code that it is reported with.
    pub asc: Asc,
}

/// A heartbeat is not answered yet, and later than an error is. Once it is answered, its own record follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// The kernel's id of it.
    pub command_id: u16,
    /// Its CDB.
    pub cdb: Cdb,
    /// When it was found on the ring.
    pub arrived: Instant,
    /// What it waits for, since when; `None` if the device server does not have it: a fault does.
    pub stage: Option<(Stage, Instant)>,
    /// The blocks that it claims, if it claims any.
    pub blocks: Option<LbaRange>,
}

pub(crate) const fn stage_code(stage: Option<Stage>) -> u8 {
    match stage {
        None => 0,
        Some(Stage::Blocks) => 1,
        Some(Stage::Slot) => 2,
        Some(Stage::Pool) => 3,
        Some(Stage::Medium) => 4,
        Some(Stage::Elsewhere) => 5,
    }
}

/// The stage with this code; `None` if there is none.
const fn stage_of(code: u8) -> Option<Option<Stage>> {
    match code {
        0 => Some(None),
        1 => Some(Some(Stage::Blocks)),
        2 => Some(Some(Stage::Slot)),
        3 => Some(Some(Stage::Pool)),
        4 => Some(Some(Stage::Medium)),
        5 => Some(Some(Stage::Elsewhere)),
        _ => None,
    }
}

/// A rule of a plan of faults has hit a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultHit {
    /// Its number in the unit's log of faults.
    pub number: u64,
    /// The rule's name.
    pub rule: String,
    /// The command.
    pub command_id: u16,
    /// The command's operation code.
    pub opcode: u8,
    /// For how long the command was to be held up.
    pub delay: Duration,
}

/// What `whole` says; `None` if it does not say it as this version does.
pub(crate) fn decode(whole: &Whole<'_>) -> Option<Event> {
    let mut body = Body(whole.body);
    Some(match whole.kind {
        Kind::Start => {
            let start: StartLayout = body.take()?;
            Event::Start(Start {
                wall: WallTime::from_nanos(start.wall_ns.get()),
                blocks: BlockCount::new(start.blocks.get()),
                block_bytes: start.block_bytes.get(),
                process: start.process.get(),
                after_breakdown: start.after_breakdown.get() == 1,
            })
        }
        Kind::Stop => Event::Stop(Stop::from_code(body.take::<StopLayout>()?.reason.get())?),
        Kind::Anchor => {
            let anchor: AnchorLayout = body.take()?;
            Event::Anchor(WallTime::from_nanos(anchor.wall_ns.get()))
        }
        Kind::Command => Event::Command(command(&mut body, whole.at())?),
        Kind::Found => {
            let found: FoundLayout = body.take()?;
            let command_id = found.command_id.get();
            Event::Found(Found {
                origin: match command_id {
                    NO_COMMAND => Origin::Fault,
                    command_id => Origin::Initiator { command_id },
                },
                blocks: range(found.lba.get(), found.blocks.get())?,
                image: body.image()?,
            })
        }
        Kind::TaskManagement => {
            let head: TaskManagementLayout = body.take()?;
            let ids = body.padded(2 * usize::from(head.listed.get()))?;
            let (ids, _) = ids.as_chunks::<2>();
            Event::TaskManagement(TaskManagement {
                function: head.function,
                commands: head.commands.get(),
                command_ids: ids.iter().map(|id| u16::from_le_bytes(*id)).collect(),
            })
        }
        Kind::FaultHit => {
            let hit: FaultHitLayout = body.take()?;
            let name = body.padded(usize::try_from(hit.name_bytes.get()).ok()?)?;
            Event::FaultHit(FaultHit {
                number: hit.number.get(),
                rule: String::from_utf8_lossy(name).into_owned(),
                command_id: hit.command_id.get(),
                opcode: hit.opcode,
                delay: Duration::from_nanos(hit.delay_ns.get()),
            })
        }
        Kind::TaskManagementOver => {
            let over: TaskManagementOverLayout = body.take()?;
            Event::TaskManagementOver(TaskManagementOver {
                function: over.function,
                commands: over.commands.get(),
                asked: Instant::from_nanos(over.asked_ns.get()),
            })
        }
        Kind::AttentionRaised => {
            let raised: AttentionRaisedLayout = body.take()?;
            Event::AttentionRaised(AttentionRaised { asc: Asc::new(raised.asc, raised.ascq) })
        }
        Kind::Overdue => {
            let layout: OverdueLayout = body.take()?;
            let stage = stage_of(layout.stage)?;
            let since = Instant::from_nanos(layout.since_ns.get());
            Event::Overdue(Overdue {
                command_id: layout.command_id.get(),
                cdb: Cdb::new(body.padded(layout.cdb_bytes.into())?),
                arrived: Instant::from_nanos(layout.arrived_ns.get()),
                stage: stage.map(|stage| (stage, since)),
                blocks: range(layout.lba.get(), layout.blocks.get()),
            })
        }
    })
}

fn command(body: &mut Body<'_>, answered: Instant) -> Option<Command> {
    let layout: CommandLayout = body.take()?;
    let cdb = Cdb::new(body.padded(layout.cdb_bytes.into())?);
    let has = |part: u8| layout.parts & part != 0;
    let mut waited = Waited::default();
    if has(PART_WAITED) {
        let parts: WaitedLayout = body.take()?;
        let of = |nanos: zerocopy::little_endian::U64| Duration::from_nanos(nanos.get());
        let (blocks, slot, pool) = (of(parts.blocks_ns), of(parts.slot_ns), of(parts.pool_ns));
        waited = Waited { blocks, slot, pool };
    }
    let sense = if has(PART_SENSE) { Some(body.take::<SenseLayout>()?) } else { None };
    let mark = if has(PART_MARK) { Some(body.take::<MarkLayout>()?) } else { None };
    let images = (0..layout.images).map(|_| body.image()).collect::<Option<Vec<_>>>()?;
    Some(Command {
        origin: Origin::from_code(layout.origin, layout.command_id.get())?,
        cdb,
        arrived: Instant::from_nanos(layout.arrived_ns.get()),
        started: moment(layout.started_ns.get()),
        ended: moment(layout.ended_ns.get()),
        answered,
        waited,
        lane: match layout.lane {
            0 => None,
            1 => Some(Lane::Heartbeat),
            2 => Some(Lane::Bulk),
            _ => return None,
        },
        blocks: range(layout.lba.get(), layout.blocks.get()),
        data_bytes: layout.data_bytes.get(),
        status: layout.status,
        sense: sense.map(|sense| SenseCode {
            key: sense.key,
            asc: sense.asc,
            ascq: sense.ascq,
            information: (sense.valid == 1).then(|| sense.information.get()),
        }),
        hit: mark.and_then(|mark| mark.hit.get().checked_sub(1)),
        aborted: mark.and_then(|mark| moment(mark.aborted_ns.get())),
        images,
    })
}

fn range(lba: u64, blocks: u64) -> Option<LbaRange> {
    LbaRange::new(Lba::new(lba), BlockCount::new(blocks))
}

fn moment(nanos: u64) -> Option<Instant> {
    (nanos > 0).then(|| Instant::from_nanos(nanos))
}

/// The rest of a record's body.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take<T: FromBytes>(&mut self) -> Option<T> {
        let (layout, rest) = T::read_from_prefix(self.0).ok()?;
        self.0 = rest;
        Some(layout)
    }

    /// The next `length` bytes, of which there are more up to the next multiple of eight.
    fn padded(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(aligned(length))?;
        self.0 = rest;
        Some(&bytes[..length])
    }

    fn image(&mut self) -> Option<Image> {
        let layout: ImageLayout = self.take()?;
        let length = usize::try_from(layout.length.get()).ok()?;
        let stored = self.padded(layout.stored.get().into())?;
        if stored.len() > aligned(length) || length > crate::entry::IMAGE_BYTES_MAX {
            return None;
        }
        let mut bytes = stored.to_vec();
        bytes.resize(length, 0);
        let role = ImageRole::from_u8(layout.role)?;
        Some(Image { role, offset: layout.offset.get(), bytes })
    }
}
