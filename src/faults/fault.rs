//! What can happen to a command.

use std::num::{NonZeroI64, NonZeroU32};
use std::time::Duration;

use pulsefield_scsi::{Asc, Sense, SenseKey, Status};

/// The longest page of `caw.page-rmw` in bytes.
pub(crate) const PAGE_BYTES_MAX: u32 = 1 << 20;

/// What happens to a command that a rule hits.
///
/// A *limit* is for how long at most a command is held that is never to be answered; without one it
/// is the kernel's `cmd_time_out`. Whatever the fault, a command is answered in the end: when it is
/// aborted, when its limit is over, or when the unit stops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// `miscompare.spurious`: MISCOMPARE though the data is equal; nothing is written.
    MiscompareSpurious,
    /// `miscompare.false-equal`: written and GOOD though the data differs.
    MiscompareFalseEqual,
    /// `miscompare.wrong-offset`: a genuine MISCOMPARE whose INFORMATION is `shift` bytes too high.
    MiscompareWrongOffset {
        /// In bytes.
        shift: NonZeroU32,
    },
    /// `miscompare.no-information`: a genuine MISCOMPARE without INFORMATION.
    MiscompareNoInformation,
    /// `miscompare.wrong-sense`: a genuine MISCOMPARE told as something else.
    MiscompareWrongSense {
        /// The sense key instead.
        key: SenseKey,
        /// The additional sense code instead.
        asc: Asc,
    },
    /// `caw.status-lost`: carried out, never answered.
    CawStatusLost {
        /// For how long it is held at most.
        limit: Option<Duration>,
    },
    /// `caw.late-apply`: held; carried out `delay` after its abort was answered.
    CawLateApply {
        /// How long after the abort was answered.
        delay: Duration,
        /// For how long it is held at most if nobody aborts it; it is not carried out then.
        limit: Option<Duration>,
    },
    /// `caw.slow`: delayed before it is carried out, or after.
    CawSlow {
        /// For how long.
        delay: Delay,
        /// Before or after.
        phase: Phase,
    },
    /// `caw.not-atomic`: between compare and write the blocks are anybody's.
    CawNotAtomic {
        /// For how long.
        gap: Delay,
    },
    /// `caw.torn`: of what is to be written only the first bytes are; GOOD.
    CawTorn {
        /// How many.
        bytes: u32,
    },
    /// `caw.write-first`: the data differs, is written all the same, and MISCOMPARE is answered.
    CawWriteFirst,
    /// `caw.twice`: carried out twice; the answer is the second one's.
    CawTwice,
    /// `caw.page-rmw`: the whole page around the block is read, changed and written back, and others
    /// may write to it in between.
    CawPageRmw {
        /// The length of a page in bytes: a power of two, at least a block. One above 1 MiB counts as that.
        page: u32,
        /// How long after it was read the page is written back.
        gap: Delay,
    },
    /// `caw.global-mutex`: one COMPARE AND WRITE at a time, whatever its blocks, each so long.
    CawGlobalMutex {
        /// For how long each has the mutex.
        hold: Delay,
    },
    /// `caw.unsupported`: INVALID COMMAND OPERATION CODE, and 0 for the longest COMPARE AND WRITE in
    /// the Block Limits VPD page.
    CawUnsupported,
    /// `caw.flap`: supported and unsupported in turn, with INQUIRY DATA HAS CHANGED at each turn.
    CawFlap {
        /// For how long it is unsupported, which is first.
        off: Duration,
        /// For how long it is supported.
        on: Duration,
    },
    /// `latency`: carried out later.
    Latency {
        /// How much later.
        delay: Delay,
    },
    /// `starve`: carried out the later the more commands are in flight.
    Starve {
        /// How much later for each command in flight beyond `free`.
        step: Duration,
        /// So many commands in flight cost nothing.
        free: u32,
    },
    /// `stall`: this command and all that come after it and that the rule is for are held until the
    /// stall is over.
    Stall {
        /// How long it takes from the command that was hit.
        duration: Duration,
    },
    /// `status`: this status in place of carrying it out.
    Status {
        /// The status.
        status: Status,
        /// Sense data; with CHECK CONDITION, and only then.
        sense: Option<Sense>,
    },
    /// `drop`: never carried out, never answered.
    Drop {
        /// For how long it is held at most.
        limit: Option<Duration>,
    },
    /// `stale-read`: what a write replaces is what reads find for a while.
    StaleRead {
        /// For how long.
        lasting: Duration,
    },
    /// `lost-write`: GOOD; nothing is written.
    LostWrite,
    /// `misdirected-write`: GOOD; written elsewhere.
    MisdirectedWrite {
        /// How many blocks away; towards the start if negative. Where there are no such blocks, in
        /// the other direction.
        distance: NonZeroI64,
    },
    /// `bit-flip`: bits of the data are inverted on the way.
    BitFlip {
        /// On the way to the medium, or from it.
        side: BitFlipSide,
        /// How many, at places that are drawn.
        bits: NonZeroU32,
    },
    /// `torn-write`: only the first bytes are written; GOOD.
    TornWrite {
        /// How many.
        bytes: u32,
    },
    /// `write.revert`: the last writes that were answered with GOOD are undone before this command
    /// is carried out.
    WriteRevert {
        /// How many.
        writes: NonZeroU32,
    },
    /// `stale-compare`: the data to compare with is not what this command brings, but what an
    /// earlier one for the same blocks brought.
    StaleCompare {
        /// How many commands earlier.
        age: NonZeroU32,
    },
    /// `zero.lie-read`: zeros are read where there is data.
    ZeroLieRead,
    /// `zero.lie-status`: GET LBA STATUS says mapped of what is not, and the reverse.
    ZeroLieStatus,
    /// `zero.keep-data`: GOOD for WRITE SAME and UNMAP; the data stays.
    ZeroKeepData,
    /// `unmap.late`: answered with GOOD at once, carried out later.
    UnmapLate {
        /// How much later.
        delay: Delay,
    },
    /// `thin.full`: 07h/27h/07h, nothing written.
    ThinFull,
    /// `thin.threshold`: 06h/38h/07h, nothing done.
    ThinThreshold,
    /// `not-ready`: 02h/04h and this qualifier.
    NotReady {
        /// ASCQ.
        qualifier: u8,
    },
    /// `alua-transition`: 02h/04h/0Ah.
    AluaTransition,
    /// `unit-attention`: 06h and this code.
    UnitAttention {
        /// The condition.
        asc: Asc,
    },
    /// `reservation.conflict`: RESERVATION CONFLICT.
    ReservationConflict,
    /// `reservation.stuck`: from the command that was hit on, RESERVATION CONFLICT to all that the
    /// rule is for but those that a reservation lets pass, until the rule is disarmed.
    ReservationStuck,
    /// `medium-error`: 03h and this code, with the first block that the rule is for in INFORMATION.
    MediumError {
        /// What is wrong with the block.
        asc: Asc,
    },
}

/// When a delay takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Before the command is carried out.
    Before,
    /// After it was carried out, before it is answered.
    After,
}

/// Where data loses bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BitFlipSide {
    /// On the way from the medium to the initiator: the medium stays as it is.
    Read,
    /// On the way from the initiator to the medium.
    Write,
}

/// How long something takes: drawn anew for every hit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    /// Always so long.
    Fixed(Duration),
    /// Any time from one to the other, both included, with the same chance.
    Uniform {
        /// The shortest.
        from: Duration,
        /// The longest; not shorter.
        to: Duration,
    },
    /// Most often about `mean`; never below zero.
    Normal {
        /// The mean, before what is below zero becomes zero.
        mean: Duration,
        /// The standard deviation.
        deviation: Duration,
    },
    /// Mostly little more than `minimum`, now and then very much more.
    Pareto {
        /// The shortest.
        minimum: Duration,
        /// The smaller, the longer the tail; above 0.
        shape: f64,
        /// The longest: what is drawn beyond it becomes this.
        maximum: Duration,
    },
}
