//! What happens in a device server, as one enum: for counters, for latency accounting and for the
//! recorder.

use pulsefield_backstore::{BackstoreError, Op, OpOutput};
use pulsefield_data::Buffer;
use pulsefield_scsi::{Sense, Status};
use pulsefield_units::{Cdb, Instant, LbaRange, TaskId};

use crate::lane::Lane;
use crate::unit_attention::UnitAttention;
use crate::waiting::Waited;

/// One thing that happened to a task, or to the unit. Every task arrives once and retires once.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A command came in.
    Arrived {
        /// The task it became.
        task: TaskId,
        /// Its CDB.
        cdb: &'a Cdb,
    },
    /// It will touch the medium, in this lane. Not told of one that is over before anybody could see it
    /// ([`Event::Retired`], `at_once`).
    Admitted {
        /// Which task.
        task: TaskId,
        /// Its lane.
        lane: Lane,
        /// The blocks it claims, if it claims any.
        range: Option<LbaRange>,
    },
    /// An overlapping task is ahead of it; it waits.
    Parked {
        /// Which task.
        task: TaskId,
        /// Its lane.
        lane: Lane,
    },
    /// Its range is its own now.
    Granted {
        /// Which task.
        task: TaskId,
    },
    /// It has a slot of its lane and is being carried out; told of those that were admitted.
    Started {
        /// Which task.
        task: TaskId,
        /// Its lane.
        lane: Lane,
    },
    /// It sent an op to the medium.
    OpSubmitted {
        /// Which task.
        task: TaskId,
        /// What it asked for.
        op: Op,
    },
    /// The medium answered.
    OpDone {
        /// Which task.
        task: TaskId,
        /// How it went.
        result: Result<OpOutput, BackstoreError>,
    },
    /// A task management function asked for its end.
    Aborted {
        /// Which task.
        task: TaskId,
        /// Whether its write had been sent to the medium: then it runs to its end first.
        applied: bool,
    },
    /// A COMPARE AND WRITE has found something else than it expected, and is about to be retired.
    Miscompared {
        /// Which task.
        task: TaskId,
        /// What task management functions name it by, if they do.
        tag: Option<u16>,
        /// The blocks it compares.
        blocks: LbaRange,
        /// The first byte that differs, counted from the start of these blocks.
        offset: usize,
        /// What lies there: the bytes of these blocks, and then others.
        found: &'a Buffer,
    },
    /// It is over; the answer is on its way.
    Retired {
        /// Which task.
        task: TaskId,
        /// Its lane, if it touched the medium.
        lane: Option<Lane>,
        /// Operation code of its CDB.
        opcode: u8,
        /// SCSI status it is answered with.
        status: Status,
        /// Sense that goes with it.
        sense: Option<Sense>,
        /// When it came in.
        arrived: Instant,
        /// When it was started, if it touched the medium: before that it waited.
        started: Option<Instant>,
        /// Whether it took no time of anybody else's: it was carried out while it came in, and neither admitted
        /// nor started.
        at_once: bool,
        /// What task management functions named it by, if it became a task and they did.
        tag: Option<u16>,
        /// For how long it waited, by what for.
        waited: Waited,
        /// The blocks that it claimed last, if any.
        blocks: Option<LbaRange>,
        /// Whether it is a part of a copy, of this unit or of another.
        copies: bool,
        /// Its data.
        data: &'a Buffer,
    },
    /// A unit attention condition was raised: initiators are to hear of it.
    AttentionRaised {
        /// Which one.
        condition: UnitAttention,
    },
}

/// Something that wants to know. Called inside the device thread: it must not block or allocate.
pub trait Observer {
    /// Takes note of one event at the moment `now`.
    fn observe(&mut self, now: Instant, event: &Event<'_>);
}

/// Watches nothing.
impl Observer for () {
    fn observe(&mut self, _now: Instant, _event: &Event<'_>) {}
}
