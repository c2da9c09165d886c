//! How often the same thing is told.

use std::time::Duration;

use pulsefield_units::Instant;

/// Lets a line into the log now and then, and counts the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// The least time between two.
    period: Duration,
    /// When the next one may be.
    next: Instant,
    withheld: u64,
}

impl Rate {
    pub(crate) const fn new(period: Duration) -> Self {
        Self { period, next: Instant::from_nanos(0), withheld: 0 }
    }

    /// Whether a line may be written now; if so, how many were withheld since the last.
    pub(crate) fn admit(&mut self, now: Instant) -> Option<u64> {
        if now < self.next {
            self.withheld += 1;
            return None;
        }
        self.next = now.after(self.period);
        Some(std::mem::take(&mut self.withheld))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_withheld_is_counted() {
        let at = |seconds: u64| Instant::from_nanos(seconds * 1_000_000_000);
        let mut rate = Rate::new(Duration::from_secs(10));
        let told: Vec<_> = (0..22).map(|second| rate.admit(at(second))).collect();
        let lines: Vec<_> = told.iter().flatten().collect();
        assert_eq!(lines, [&0, &9, &9]);
        assert_eq!(told[20], Some(9));
    }
}
