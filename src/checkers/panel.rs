//! All checkers at once.

use pulsefield_units::Instant;

use crate::{
    AnsweredOnce, Checker, Durability, Event, Fairness, HeartbeatDeadline, InformationOffset,
    Linearizable, LockExclusion, Monotonic, NoEarlyTakeover, Promise, Verdict,
};

/// One checker for each [`Promise`].
pub struct Panel {
    checkers: Vec<Box<dyn Checker>>,
}

impl Default for Panel {
    fn default() -> Self {
        Self {
            checkers: vec![
                Box::new(LockExclusion::default()),
                Box::new(Linearizable::default()),
                Box::new(InformationOffset::default()),
                Box::new(HeartbeatDeadline::default()),
                Box::new(Durability::default()),
                Box::new(AnsweredOnce::default()),
                Box::new(Fairness::default()),
                Box::new(Monotonic::default()),
                Box::new(NoEarlyTakeover::default()),
            ],
        }
    }
}

impl Panel {
    /// Has all of them hear what happened.
    pub fn observe(&mut self, event: &Event) {
        self.checkers.iter_mut().for_each(|checker| checker.observe(event));
    }

    /// How often each promise was seen broken, up to now.
    pub fn breaches(&self) -> impl Iterator<Item = (Promise, u64)> {
        self.checkers.iter().map(|checker| (checker.promise(), checker.breaches()))
    }

    /// Has all of them judge. `at` is when nobody asked for anything any more.
    pub fn finish(self, at: Instant) -> Vec<Verdict> {
        self.checkers.into_iter().map(|checker| checker.finish(at)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{at, done, history, read, write};
    use crate::{OperationKind, Standing};

    #[test]
    fn every_promise_is_judged_once_and_in_order() {
        let verdicts = Panel::default().finish(at(0));
        let promises: Vec<_> = verdicts.iter().map(|verdict| verdict.promise).collect();
        assert_eq!(promises, Promise::ALL);
        assert!(verdicts.iter().all(|verdict| verdict.standing == Standing::Unchecked));
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
