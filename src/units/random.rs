//! Chance that can be repeated: random numbers that are passed in, as time is.

use std::time::Duration;

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): a
/// word of state, and the same seed gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of `seed`. Those of different seeds may be one another's tails: who draws seeds does so
    /// from another [`Random`], or puts what he has through [`mix`].
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Any byte.
    pub const fn byte(&mut self) -> u8 {
        self.any().to_le_bytes()[7]
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The high half of the product: below `end`, and as even as 64 bits over `end` values can be.
        let product = u128::from(self.any()) * u128::from(end);
        u64::try_from(product >> 64).expect("the high half of 128 bits")
    }

    /// A time from `shortest` to `longest`, in nanoseconds; `shortest` if that is not less.
    pub fn between(&mut self, shortest: Duration, longest: Duration) -> Duration {
        let span = u64::try_from(longest.saturating_sub(shortest).as_nanos()).unwrap_or(u64::MAX);
        shortest + Duration::from_nanos(self.below(span.saturating_add(1)))
    }

    /// An index into something of `len` elements, which must not be none.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below a usize")
    }

    /// True once in `n` times; never if `n` is 0.
    pub fn one_in(&mut self, n: u64) -> bool {
        n > 0 && self.below(n) == 0
    }

    /// One of `choices`.
    ///
    /// # Panics
    /// If there are none.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }
}

/// SplitMix64's finalizer: a hash of 64 bits, in which every bit of `word` matters to every bit that
/// comes out.
pub const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_splitmix64s() {
        // The first numbers for the seed 1234567, as published with the algorithm.
        let mut random = Random::new(1_234_567);
        let drawn = [(); 3].map(|()| random.any());
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(drawn, expected);
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        let mut random = Random::new(7);
        assert_eq!((random.below(0), random.below(1)), (0, 0));
        let (shortest, longest) = (Duration::from_nanos(3), Duration::from_nanos(5));
        let mut seen = [false; 3];
        for _ in 0..1000 {
            assert!(random.below(3) < 3);
            let drawn = random.between(shortest, longest);
            seen[usize::try_from((drawn - shortest).as_nanos()).unwrap()] = true;
        }
        assert_eq!(seen, [true; 3]);
        assert_eq!(random.between(longest, shortest), longest);
        assert!(!random.one_in(0) && random.one_in(1));
        assert_eq!(random.pick(&[7]), 7);
    }
}
