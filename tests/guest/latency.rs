//! How long one command takes of those that are sent one at a time.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;

/// What was measured, in µs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half of the commands took no longer.
    pub p50_us: u128,
    /// All but one in a hundred took no longer.
    pub p99_us: u128,
    /// None took longer.
    pub max_us: u128,
}

impl Latency {
    /// The quantiles of these times.
    ///
    /// # Errors
    /// There are none.
    pub fn of(mut times: Vec<Duration>) -> Result<Self> {
        ensure!(!times.is_empty(), "nothing was measured");
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
        Ok(Self {
            p50_us: at(50).as_micros(),
            p99_us: at(99).as_micros(),
            max_us: at(100).as_micros(),
        })
    }

    /// How much longer half of the commands took than half of `undisturbed` ones.
    pub fn p50_ratio(&self, undisturbed: &Self) -> f64 {
        self.p50_us as f64 / undisturbed.p50_us as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_hundred() {
        let latency = Latency::of((1..=100).rev().map(Duration::from_micros).collect()).unwrap();
        assert_eq!(latency, Latency { p50_us: 51, p99_us: 100, max_us: 100 });
        assert!(Latency::of(Vec::new()).is_err());
    }
}
