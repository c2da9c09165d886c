//! Whether a hit changed anything: a fault may come upon a command to which it makes no difference, as an equality
//! does that is false of data which is equal.
//!
//! What the saboteur cannot tell counts as a change: whether anybody wrote while a COMPARE AND WRITE was not atomic,
//! say, or missed a write that was lost.

use std::time::Duration;

use pulsefield_scsi::Status;

use crate::saboteur::log::Hit;
use crate::{BitFlipSide, Fault};

/// What shows that a hit changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// That it hit: the command was not carried out, or never answered.
    Hit,
    /// That the command was held up for some time.
    Delay,
    /// That it was answered otherwise than the device server had ended it first.
    Answer,
    /// That its data was changed.
    Data,
    /// That it, or what was done in its place, ended with GOOD.
    Good,
    /// Both that its data was changed and that it ended with GOOD.
    GoodData,
}

const fn sign(fault: &Fault) -> Sign {
    match fault {
        Fault::MiscompareSpurious
        | Fault::MiscompareFalseEqual
        | Fault::MiscompareWrongOffset { .. }
        | Fault::MiscompareNoInformation
        | Fault::MiscompareWrongSense { .. }
        | Fault::CawWriteFirst
        | Fault::CawTwice => Sign::Answer,
        Fault::CawSlow { .. }
        | Fault::CawGlobalMutex { .. }
        | Fault::Latency { .. }
        | Fault::Starve { .. }
        | Fault::Stall { .. } => Sign::Delay,
        // Of a stale read it is the reads that tell.
        Fault::StaleRead { .. }
        | Fault::StaleCompare { .. }
        | Fault::ZeroLieRead
        | Fault::ZeroLieStatus
        | Fault::BitFlip { side: BitFlipSide::Read, .. } => Sign::Data,
        Fault::CawLateApply { .. }
        | Fault::CawNotAtomic { .. }
        | Fault::CawPageRmw { .. }
        | Fault::LostWrite
        | Fault::MisdirectedWrite { .. }
        | Fault::ZeroKeepData
        | Fault::UnmapLate { .. } => Sign::Good,
        Fault::CawTorn { .. }
        | Fault::TornWrite { .. }
        | Fault::BitFlip { side: BitFlipSide::Write, .. } => Sign::GoodData,
        Fault::CawStatusLost { .. }
        | Fault::CawUnsupported
        | Fault::CawFlap { .. }
        | Fault::Status { .. }
        | Fault::Drop { .. }
        | Fault::WriteRevert { .. }
        | Fault::ThinFull
        | Fault::ThinThreshold
        | Fault::NotReady { .. }
        | Fault::AluaTransition
        | Fault::UnitAttention { .. }
        | Fault::ReservationConflict
        | Fault::ReservationStuck
        | Fault::MediumError { .. } => Sign::Hit,
    }
}

/// Whether a hit that holds its command up for so long changes something, whatever becomes of the command.
pub(crate) const fn is_certain(fault: &Fault, delay: Duration) -> bool {
    match sign(fault) {
        Sign::Hit => true,
        Sign::Delay => !delay.is_zero(),
        Sign::Answer | Sign::Data | Sign::Good | Sign::GoodData => false,
    }
}

/// Whether `hit`, of which nothing more will come, has changed something that was not certain. `last` is how the
/// command ended, or what was done in its name after its answer.
pub(crate) fn has_shown(fault: &Fault, hit: &Hit, last: Option<Status>) -> bool {
    let is_good = last == Some(Status::Good);
    let is_other_data = hit.data.is_some_and(|data| data.before != data.after);
    match sign(fault) {
        Sign::Hit | Sign::Delay => false,
        Sign::Answer => hit.before.is_some() && hit.before != hit.after,
        Sign::Data => is_other_data,
        Sign::Good => is_good,
        Sign::GoodData => is_good && is_other_data,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::saboteur::testing::{MS, World, compare_and_write, pair};
    use crate::{Delay, Phase};

    /// Hits of the only rule, and those of them that changed something.
    fn counts(world: &World) -> (u64, u64) {
        let rule = world.saboteur.report(0).plans[0].rules[0];
        (rule.hits, rule.effects)
    }

    #[test]
    fn what_was_equal_is_not_found_equal_falsely() {
        for fault in [Fault::MiscompareFalseEqual, Fault::CawWriteFirst] {
            let mut world = World::with(fault);
            world.caw(3, 0, 1).good();
            assert_eq!(counts(&world), (1, 0), "{fault:?}");
            world.caw(3, 0, 2);
            assert_eq!(counts(&world), (2, 1), "{fault:?}");
        }
    }

    #[test]
    fn a_wrong_answer_to_a_miscompare_needs_one() {
        let shift = NonZeroU32::new(8).unwrap();
        let wrong = [Fault::MiscompareWrongOffset { shift }, Fault::MiscompareNoInformation];
        for fault in wrong {
            let mut world = World::with(fault);
            world.caw(3, 0, 1).good();
            world.caw(3, 0, 1);
            assert_eq!(counts(&world), (2, 1), "{fault:?}");
        }
    }

    #[test]
    fn what_miscompares_is_neither_torn_nor_lost_nor_done_twice() {
        let torn = Fault::CawTorn { bytes: 256 };
        for fault in [torn, Fault::LostWrite, Fault::CawTwice, Fault::MiscompareSpurious] {
            let mut world = World::with(fault);
            world.caw(3, 9, 1).miscompare(0);
            assert_eq!(counts(&world), (1, 0), "{fault:?}");
            world.caw(3, 0, 1);
            assert_eq!(counts(&world), (2, 1), "{fault:?}");
        }
    }

    #[test]
    fn nothing_is_starved_while_few_are_in_flight() {
        let mut world = World::with(Fault::Starve { step: MS, free: 1 });
        world.write(3, 1).good();
        assert_eq!(counts(&world), (1, 0));
        let slow = Fault::CawSlow { delay: Delay::Fixed(MS), phase: Phase::After };
        let mut world = World::with(slow);
        world.send(&compare_and_write(3), &pair(0, 1));
        assert_eq!(counts(&world), (1, 1));
    }

    #[test]
    fn a_stale_read_is_one_that_finds_something_else() {
        let mut world = World::with(Fault::StaleRead { lasting: MS });
        world.write(3, 1).good();
        assert_eq!(counts(&world), (1, 0), "nobody has looked");
        assert_eq!(world.read(3), [0; 512]);
        assert_eq!(counts(&world), (1, 1));
    }

    #[test]
    fn zeros_are_no_lie_where_there_are_some() {
        let mut world = World::with(Fault::ZeroLieRead);
        world.read(3);
        world.put(4, &[7]);
        world.read(4);
        assert_eq!(counts(&world), (2, 1));
    }

    #[test]
    fn a_ghost_that_finds_something_else_writes_nothing() {
        let mut world = World::with(Fault::CawLateApply { delay: MS, limit: None });
        let late = |world: &mut World, test| {
            let late = world.send(&compare_and_write(3), &pair(test, 1));
            world.abort(late);
            world.pass(MS);
        };
        late(&mut world, 9);
        assert_eq!(counts(&world), (1, 0));
        late(&mut world, 0);
        assert_eq!(counts(&world), (2, 1));
    }
}
