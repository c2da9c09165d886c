//! What each fault makes of a command it hits, a file a family.

pub(crate) mod answer;
pub(crate) mod compare_and_write;
pub(crate) mod hold;
pub(crate) mod read;
pub(crate) mod write;

use std::time::Duration;

use pulsefield_engine::{Outcome, limits};
use pulsefield_units::Instant;

use crate::reach::writes_over_blocks;
use crate::saboteur::act::Act;
use crate::saboteur::delay;
use crate::saboteur::facts::Facts;
use crate::saboteur::log::DataChange;
use crate::saboteur::memory::Memory;
use crate::saboteur::rng::Rng;
use crate::saboteur::rule::{Cue, RuleId};
use crate::{BitFlipSide, Fault, Where};
use compare_and_write::Pair;
use write::Payload;

/// What happens to one command in place of its being carried out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Play {
    pub(crate) acts: Vec<Act>,
    /// For how long it is held up, as far as that is known.
    pub(crate) delay: Duration,
    /// How its data is changed, as far as that is known.
    pub(crate) data: Option<DataChange>,
}

impl Play {
    pub(crate) fn new(acts: Vec<Act>) -> Self {
        Self { acts, ..Self::default() }
    }

    /// The command is not carried out, and answered so.
    pub(crate) fn answered(outcome: impl Into<Outcome>) -> Self {
        Self::new(vec![Act::End(outcome.into())])
    }

    pub(crate) fn with_delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// With a change from one payload to another, by digest.
    pub(crate) fn with_change(self, before: &[u8], after: &[u8]) -> Self {
        Self { data: Some(DataChange::between(before, after)), ..self }
    }
}

/// What a play is made from.
pub(crate) struct Stage<'a> {
    pub(crate) cue: &'a Cue<'a>,
    pub(crate) rule: RuleId,
    pub(crate) place: &'a Where,
    /// Until when the rule hits every command that it is for.
    pub(crate) until: Option<Instant>,
    pub(crate) rng: &'a mut Rng,
    pub(crate) memory: &'a mut Memory,
}

/// Whether a fault can happen to a command, as it came and by what the rule remembers.
pub(crate) fn applies(fault: &Fault, cue: &Cue<'_>, memory: &Memory) -> bool {
    let Cue { facts, geometry, .. } = cue;
    let run = facts.run();
    let applies = match fault {
        // In place of carrying it out, or besides: its blocks do not matter.
        Fault::Latency { .. }
        | Fault::Starve { .. }
        | Fault::Stall { .. }
        | Fault::Status { .. }
        | Fault::Drop { .. }
        | Fault::NotReady { .. }
        | Fault::AluaTransition
        | Fault::ThinThreshold
        | Fault::UnitAttention { .. }
        | Fault::ReservationConflict
        | Fault::ReservationStuck
        | Fault::ZeroLieStatus => true,
        Fault::StaleCompare { age } => {
            let age = usize::try_from(age.get()).unwrap_or(usize::MAX);
            run.is_some_and(|range| memory.older(range, age).is_some())
        }
        Fault::StaleRead { .. } => replaces(facts),
        Fault::WriteRevert { .. } => replaces(facts) && !memory.is_empty(),
        Fault::MisdirectedWrite { distance } => {
            let elsewhere = |range| write::elsewhere(range, *distance, geometry.blocks);
            run.and_then(elsewhere).is_some()
        }
        Fault::MiscompareSpurious
        | Fault::MiscompareFalseEqual
        | Fault::MiscompareWrongOffset { .. }
        | Fault::MiscompareNoInformation
        | Fault::MiscompareWrongSense { .. }
        | Fault::CawStatusLost { .. }
        | Fault::CawLateApply { .. }
        | Fault::CawSlow { .. }
        | Fault::CawNotAtomic { .. }
        | Fault::CawTorn { .. }
        | Fault::CawWriteFirst
        | Fault::CawTwice
        | Fault::CawPageRmw { .. }
        | Fault::CawGlobalMutex { .. }
        | Fault::CawUnsupported
        | Fault::CawFlap { .. }
        | Fault::LostWrite
        | Fault::TornWrite { .. }
        | Fault::BitFlip { .. }
        | Fault::ZeroLieRead
        | Fault::ZeroKeepData
        | Fault::UnmapLate { .. }
        | Fault::ThinFull
        | Fault::MediumError { .. } => run.is_some(),
    };
    applies && fault.can_happen_to(&facts.command)
}

/// What a fault makes of a command that it can happen to.
pub(crate) fn play(fault: &Fault, stage: Stage<'_>) -> Play {
    let Stage { cue, rule, place, until, rng, memory } = stage;
    let Cue { now, facts, cdb, data, geometry, command_time_out, in_flight } = *cue;
    let pair = || Pair::of(facts, data).expect("a COMPARE AND WRITE of at least one block");
    let payload = || Payload::of(facts, data).expect("a write of at least one block");
    let limit = |limit: Option<Duration>| limit.unwrap_or(command_time_out);
    match *fault {
        Fault::MiscompareSpurious => pair().spurious(rng.next()),
        Fault::MiscompareFalseEqual => pair().false_equal(),
        Fault::MiscompareWrongOffset { shift } => pair().wrong_offset(shift),
        Fault::MiscompareNoInformation => compare_and_write::no_information(),
        Fault::MiscompareWrongSense { key, asc } => compare_and_write::wrong_sense(key, asc),
        Fault::CawStatusLost { limit: longest } => compare_and_write::status_lost(limit(longest)),
        Fault::CawLateApply { delay, limit: longest } => pair().late(limit(longest), delay),
        Fault::CawSlow { delay, phase } => hold::slow(delay::draw(delay, rng), phase),
        Fault::CawNotAtomic { gap } => pair().not_atomic(delay::draw(gap, rng)),
        Fault::CawTorn { bytes } => pair().torn(bytes),
        Fault::CawWriteFirst => pair().write_first(),
        Fault::CawTwice => pair().twice(),
        Fault::CawPageRmw { page, gap } => pair().page_wide(page, geometry, delay::draw(gap, rng)),
        Fault::CawGlobalMutex { hold } => hold::one_at_a_time(rule, delay::draw(hold, rng)),
        Fault::CawUnsupported => answer::unsupported(),
        Fault::CawFlap { .. } => answer::unsupported(),
        Fault::Latency { delay } => hold::slow(delay::draw(delay, rng), crate::Phase::Before),
        Fault::Starve { step, free } => hold::starved(step, free, in_flight),
        Fault::Stall { .. } => hold::stalled(now, until.unwrap_or(now)),
        Fault::Status { status, sense } => Play::answered(Outcome { status, sense, data_in: None }),
        Fault::Drop { limit: longest } => Play::new(vec![Act::Hold(limit(longest))]),
        Fault::StaleRead { lasting } => read::stale(rule, facts, lasting),
        Fault::LostWrite => match Pair::of(facts, data) {
            Some(pair) => pair.lost(),
            None => write::lost(),
        },
        Fault::MisdirectedWrite { distance } => payload().misdirected(distance, geometry.blocks),
        Fault::BitFlip { side: BitFlipSide::Read, bits } => read::flipped(rng, facts, bits),
        Fault::BitFlip { side: BitFlipSide::Write, bits } => match Pair::of(facts, data) {
            Some(pair) => pair.flipped(rng, bits),
            None => payload().flipped(rng, bits),
        },
        Fault::TornWrite { bytes } => match Pair::of(facts, data) {
            Some(pair) => pair.torn(bytes),
            None => payload().torn(bytes),
        },
        Fault::WriteRevert { writes } => {
            let writes = usize::try_from(writes.get()).unwrap_or(usize::MAX);
            write::revert(memory.take_newest(writes))
        }
        Fault::StaleCompare { age } => {
            let pair = pair();
            let age = usize::try_from(age.get()).unwrap_or(usize::MAX);
            let older = memory.older(pair.range, age).expect("there is one, or it would not apply");
            pair.with_test(older)
        }
        Fault::ZeroLieRead => read::zeros(),
        Fault::ZeroLieStatus => read::inverted_lba_status(),
        Fault::ZeroKeepData => write::lost(),
        Fault::UnmapLate { delay } => write::late(*cdb, data, delay::draw(delay, rng)),
        Fault::ThinFull => answer::full(),
        Fault::ThinThreshold => answer::threshold(),
        Fault::NotReady { qualifier } => answer::not_ready(qualifier),
        Fault::AluaTransition => answer::not_ready(answer::TRANSITION),
        Fault::UnitAttention { asc } => answer::unit_attention(asc),
        Fault::ReservationConflict | Fault::ReservationStuck => answer::reservation_conflict(),
        Fault::MediumError { asc } => answer::medium_error(facts, place, asc),
    }
}

/// Whether a command writes over blocks of which an image can be read first: all that one transfer
/// moves.
pub(crate) fn replaces(facts: &Facts) -> bool {
    let bytes = facts.run().and_then(|run| facts.block_length.bytes_in(run));
    writes_over_blocks(&facts.command)
        && bytes.is_some_and(|bytes| bytes <= limits::TRANSFER_BYTES_MAX.into())
}
