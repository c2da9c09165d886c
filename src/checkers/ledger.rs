//! What a checker keeps of what it found.

use crate::{Breach, Figure, Promise, Standing, Verdict};

/// So many breaches are kept in words; the others are only counted.
pub const BREACHES_MAX: usize = 100;

/// The count of what a checker looked at, and the first breaches.
#[derive(Debug)]
pub struct Ledger {
    promise: Promise,
    checked: u64,
    breaches: Vec<Breach>,
    breaches_total: u64,
}

impl Ledger {
    pub(crate) const fn new(promise: Promise) -> Self {
        Self { promise, checked: 0, breaches: Vec::new(), breaches_total: 0 }
    }

    /// What is checked.
    pub const fn promise(&self) -> Promise {
        self.promise
    }

    /// How often the promise was seen broken, up to now.
    pub const fn breaches_total(&self) -> u64 {
        self.breaches_total
    }

    /// One more thing was looked at.
    pub(crate) const fn count(&mut self) {
        self.checked += 1;
    }

    /// One more thing broke the promise. Its words are only made if they are kept.
    pub(crate) fn breach(&mut self, breach: impl FnOnce() -> Breach) {
        self.breaches_total += 1;
        if self.breaches.len() < BREACHES_MAX {
            self.breaches.push(breach());
        }
    }

    pub(crate) fn verdict(self, figures: Vec<Figure>) -> Verdict {
        let standing = match (self.breaches_total, self.checked) {
            (1.., _) => Standing::Broken,
            (0, 0) => Standing::Unchecked,
            (0, 1..) => Standing::Held,
        };
        Verdict {
            promise: self.promise,
            standing,
            checked: self.checked,
            figures,
            breaches: self.breaches,
            breaches_total: self.breaches_total,
        }
    }
}

#[cfg(test)]
mod tests {
    use pulsefield_units::Instant;

    use super::*;

    #[test]
    fn the_first_breaches_are_kept_and_all_are_counted() {
        let mut ledger = Ledger::new(Promise::Fairness);
        for nth in 0..BREACHES_MAX as u64 + 5 {
            ledger.count();
            let at = Instant::from_nanos(nth);
            ledger.breach(|| Breach { at, unit: None, hosts: Vec::new(), what: String::new() });
        }
        let verdict = ledger.verdict(Vec::new());
        assert_eq!((verdict.standing, verdict.checked), (Standing::Broken, 105));
        assert_eq!((verdict.breaches.len(), verdict.breaches_total), (BREACHES_MAX, 105));
        assert_eq!(verdict.breaches[99].at, Instant::from_nanos(99));
    }

    #[test]
    fn a_promise_that_nothing_was_looked_at_for_is_unchecked() {
        let verdict = |ledger: Ledger| ledger.verdict(Vec::new()).standing;
        let mut ledger = Ledger::new(Promise::Fairness);
        assert_eq!(verdict(Ledger::new(Promise::Fairness)), Standing::Unchecked);
        ledger.count();
        assert_eq!(verdict(ledger), Standing::Held);
    }
}
