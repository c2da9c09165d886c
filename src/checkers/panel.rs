//! All checkers at once.

use pulsefield_units::Instant;

use crate::{
    AnsweredOnce, Checker, Durability, Event, Fairness, HeartbeatDeadline, InformationOffset,
    Linearizable, LockExclusion, Monotonic, NoEarlyTakeover, Promise, Verdict,
};

/// One checker for each [`Promise`] that is looked at.
pub struct Panel {
    checkers: Vec<Box<dyn Checker>>,
}

impl Default for Panel {
    /// For all promises.
    fn default() -> Self {
        Self::of(&Promise::ALL)
    }
}

impl Panel {
    /// For these promises, of whose checkers whoever tells can tell all that they must hear.
    pub fn of(promises: &[Promise]) -> Self {
        Self { checkers: promises.iter().map(|promise| checker(*promise)).collect() }
    }

    /// Has all of them hear what happened.
    pub fn observe(&mut self, event: &Event) {
        self.checkers.iter_mut().for_each(|checker| checker.observe(event));
    }

    /// How often each promise was seen broken, up to now.
    pub fn breaches(&self) -> impl Iterator<Item = (Promise, u64)> {
        let ledgers = self.checkers.iter().map(|checker| checker.ledger());
        ledgers.map(|ledger| (ledger.promise(), ledger.breaches_total()))
    }

    /// Has all of them judge. `at` is when nobody asked for anything any more.
    pub fn finish(self, at: Instant) -> Vec<Verdict> {
        self.checkers.into_iter().map(|checker| checker.finish(at)).collect()
    }
}

fn checker(promise: Promise) -> Box<dyn Checker> {
    match promise {
        Promise::LockExclusion => Box::new(LockExclusion::default()),
        Promise::Linearizable => Box::new(Linearizable::default()),
        Promise::Information => Box::new(InformationOffset::default()),
        Promise::HeartbeatDeadline => Box::new(HeartbeatDeadline::default()),
        Promise::Durability => Box::new(Durability::default()),
        Promise::AnsweredOnce => Box::new(AnsweredOnce::default()),
        Promise::Fairness => Box::new(Fairness::default()),
        Promise::Monotonic => Box::new(Monotonic::default()),
        Promise::NoEarlyTakeover => Box::new(NoEarlyTakeover::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{UNIT, at, done, history, read, swap, write};
    use crate::{OperationKind, Standing};

    #[test]
    fn every_promise_is_judged_once_and_in_order() {
        let verdicts = Panel::default().finish(at(0));
        let promises: Vec<_> = verdicts.iter().map(|verdict| verdict.promise).collect();
        assert_eq!(promises, Promise::ALL);
        assert!(verdicts.iter().all(|verdict| verdict.standing == Standing::Unchecked));
    }

    #[test]
    fn only_what_is_asked_for_is_judged() {
        let some = [Promise::Linearizable, Promise::Monotonic];
        let verdicts = Panel::of(&some).finish(at(0));
        assert_eq!(verdicts.iter().map(|verdict| verdict.promise).collect::<Vec<_>>(), some);
    }

    /// Neither what was there before a gap nor what was in flight across it counts; what happens after it does.
    #[test]
    fn every_checker_forgets_over_a_gap() {
        let across = history([done(1, (0, 1), write(1)), done(2, (2, 9), swap(1, 2))]);
        let gap = Event::Gap { unit: UNIT, at: at(5) };
        let after = |seen| history([done(3, (6, 7), read(7)), done(1, (8, 10), read(seen))]);
        let breaches = |seen| {
            let mut panel = Panel::default();
            let before = across[..3].iter().chain([&gap]);
            before.chain(&after(seen)).for_each(|event| panel.observe(event));
            let verdicts = panel.finish(at(20)).into_iter();
            verdicts.map(|verdict| verdict.breaches_total).sum::<u64>()
        };
        assert_eq!((breaches(7), breaches(8)), (0, 1));
    }

    #[test]
    fn a_breach_shows_at_once_and_in_one_verdict() {
        let mut panel = Panel::default();
        let lie = [
            done(1, (0, 1), write(1)),
            done(2, (2, 3), read(2)),
            done(1, (4, 5), OperationKind::Zero),
        ];
        history(lie).iter().for_each(|event| panel.observe(event));
        let broken: Vec<_> = panel.breaches().filter(|(_, breaches)| *breaches > 0).collect();
        assert_eq!(broken, [(Promise::Linearizable, 1)]);
        let verdicts = panel.finish(at(10));
        let broken = verdicts.iter().filter(|verdict| verdict.standing == Standing::Broken);
        assert_eq!(broken.count(), 1);
    }
}
