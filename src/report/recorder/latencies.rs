//! Times that are recorded over time.

use std::time::Duration;

use super::timeline::{Timeline, Times};
use crate::series::Latencies;

/// Times, all together and over time.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    all: Times,
    over_time: Timeline<Times>,
}

impl Recorded {
    /// Adds one that began `at` after the run's beginning.
    pub(super) fn add(&mut self, at: Duration, time: Duration) {
        self.all.add(time);
        self.over_time.at(at).add(time);
    }

    pub(super) fn finish(self, lasted: Duration) -> Latencies {
        let over_time = self.over_time.finish(lasted, |times| times.spread());
        Latencies { all: self.all.spread(), over_time }
    }
}
