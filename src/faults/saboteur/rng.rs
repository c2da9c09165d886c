//! The random numbers of a rule: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
//! generators", OOPSLA 2014).
//!
//! A rule has two streams, which follow from its plan's seed and its position there: one decides
//! which commands it hits, the other what a hit does. So one rule's draws do not depend on another
//! rule's, and a replay, which draws no hits, draws the same for each of them.

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
pub(crate) struct Rng(u64);

impl Rng {
    /// A stream of the rule at `position` of a plan with this seed.
    pub(crate) const fn new(seed: u64, position: u64, stream: Stream) -> Self {
        // Scrambled, since the generator only counts: streams would else be one another's tails.
        let mut scrambler = Self(seed);
        let mut start = scrambler.next();
        scrambler = Self(start ^ position);
        start = scrambler.next();
        scrambler = Self(start ^ stream as u64);
        Self(scrambler.next())
    }

    /// 64 random bits.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // The high half of the product: below `end`, and as even as 64 bits over `end` values can be.
        let product = u128::from(self.next()) * u128::from(end);
        u64::try_from(product >> 64).expect("the high half of 128 bits")
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
    fn the_numbers_are_splitmix64s() {
        // The first numbers for the seed 1234567, as published with the algorithm.
        let mut rng = Rng(1_234_567);
        let drawn = [(); 3].map(|()| rng.next());
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(drawn, expected);
    }

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
    fn numbers_stay_below_their_end() {
        let mut rng = Rng(7);
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
        for _ in 0..1000 {
            assert!(rng.below(3) < 3);
            assert!((0.0..1.0).contains(&rng.unit()));
        }
    }
}
