//! The random numbers of a rule.
//!
//! A rule has two streams, which follow from its plan's seed and its position there: one decides
//! which commands it hits, the other what a hit does. So one rule's draws do not depend on another
//! rule's, and a replay, which draws no hits, draws the same for each of them.

use pulsefield_units::Random;

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Which commands are hit.
    Hits,
    /// What a hit does.
    Effects,
}

/// A stream of random numbers. The same seed gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Rng(Random);

impl Rng {
    /// A stream of the rule at `position` of a plan with this seed.
    pub(crate) const fn new(seed: u64, position: u64, stream: Stream) -> Self {
        // Scrambled, since the generator only counts: streams would else be one another's tails.
        let mut start = Random::new(seed).any();
        start = Random::new(start ^ position).any();
        start = Random::new(start ^ stream as u64).any();
        Self(Random::new(start))
    }

    /// 64 random bits.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0.any()
    }

    /// A number below `end`; 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.below(end)
    }

    /// A number from 0 up to, but not including, 1, of 53 bits.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit into the mantissa")]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_apart_from_one_another() {
        let draw = |seed, position, stream| Rng::new(seed, position, stream).next();
        let all: std::collections::HashSet<_> = (0..8)
            .flat_map(|seed| (0..8).map(move |position| (seed, position)))
            .flat_map(|(seed, position)| {
                [Stream::Hits, Stream::Effects].map(|stream| draw(seed, position, stream))
            })
            .collect();
        assert_eq!(all.len(), 8 * 8 * 2);
        assert_eq!(draw(1, 2, Stream::Hits), draw(1, 2, Stream::Hits));
    }

    #[test]
    fn parts_of_one_stay_below_it() {
        let mut rng = Rng::new(7, 0, Stream::Effects);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&rng.unit())));
    }
}
