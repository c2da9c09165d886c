//! Faults of what is read: the medium keeps the right bytes.

use std::num::NonZeroU32;
use std::time::Duration;

use super::Play;
use crate::saboteur::act::Act;
use crate::saboteur::alteration::{Alteration, draw_bits};
use crate::saboteur::facts::Facts;
use crate::saboteur::rng::Rng;
use crate::saboteur::rule::RuleId;

/// `stale-read`: carried out; what was there before is read for a while.
pub(super) fn stale(rule: RuleId, facts: &Facts, lasting: Duration) -> Play {
    let range = facts.run().expect("it writes over blocks");
    Play::new(vec![Act::ReadImage(range), Act::Original, Act::LayOver(rule, range, lasting)])
}

/// The reads that follow a `stale-read`.
pub(crate) fn overlaid() -> Play {
    Play::new(vec![Act::Original, Act::ReadOverlaid])
}

/// `bit-flip` of a read.
pub(super) fn flipped(rng: &mut Rng, facts: &Facts, bits: NonZeroU32) -> Play {
    let bytes = facts.run().map_or(0, |range| facts.bytes_in(range));
    let alteration = Alteration::FlipBits(draw_bits(rng, bits, bytes));
    Play::new(vec![Act::Original, Act::Alter(alteration)])
}

/// `zero.lie-read`.
pub(super) fn zeros() -> Play {
    Play::new(vec![Act::Original, Act::Alter(Alteration::ZeroData)])
}

/// `zero.lie-status`.
pub(super) fn inverted_lba_status() -> Play {
    Play::new(vec![Act::Original, Act::Alter(Alteration::InvertLbaStatus)])
}

#[cfg(test)]
mod tests;
