//! WRITE (6), (10), (12), (16), WRITE AND VERIFY (10), (12), (16) and WRITE ATOMIC (16) (SBC-4 5.43
//! ff.).

use pulsefield_backstore::Op;
use pulsefield_units::LbaRange;

use super::verify::Verify;
use super::{Context, Input, OnlyOp, Step};
use crate::logical_unit::LogicalUnit;
use crate::outcome::{Outcome, Purpose};

#[derive(Debug)]
pub(crate) struct Write {
    range: LbaRange,
    fua: bool,
    /// WRITE ATOMIC: the medium itself sees to it that the write is never torn.
    atomic: bool,
    /// What follows once the data is written, for WRITE AND VERIFY. Boxed, or every task would be longer
    /// by it, and a task is moved several times.
    verify: Option<Box<Verify>>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Writing,
    Verifying,
}

impl Write {
    /// A WRITE; `fua` if its data must be on stable storage before the answer, whatever WCE says.
    pub(crate) const fn new(range: LbaRange, fua: bool) -> Self {
        Self { range, fua, atomic: false, verify: None, phase: Phase::New }
    }

    /// A WRITE ATOMIC. To other commands every write is one step, by its claim; this one is to the
    /// loss of power and to a medium that fails as well.
    pub(crate) const fn all_or_nothing(range: LbaRange, fua: bool) -> Self {
        Self { range, fua, atomic: true, verify: None, phase: Phase::New }
    }

    /// A WRITE AND VERIFY: the data goes to the medium itself before it is verified there.
    pub(crate) fn then_verify(range: LbaRange, verify: Verify) -> Self {
        let verify = Some(Box::new(verify));
        Self { range, fua: true, atomic: false, verify, phase: Phase::New }
    }

    pub(crate) const fn range(&self) -> LbaRange {
        self.range
    }

    pub(crate) const fn has_written(&self) -> bool {
        !matches!(self.phase, Phase::New)
    }

    /// What it is if nothing is verified.
    #[inline]
    pub(crate) fn only_op(&mut self, unit: &LogicalUnit) -> Option<OnlyOp> {
        let end = Outcome::GOOD;
        let only = |op| OnlyOp { op, end, purpose: Purpose::Writing };
        self.verify.is_none().then(|| only(self.begin(unit)))
    }

    fn begin(&mut self, unit: &LogicalUnit) -> Op {
        self.phase = Phase::Writing;
        let (range, durable) = (self.range, unit.durable(self.fua));
        match self.atomic {
            true => Op::WriteAtomic { range, durable },
            false => Op::Write { range, durable },
        }
    }

    pub(crate) fn step(&mut self, cx: &mut Context<'_>, input: Input) -> Step {
        match (self.phase, input) {
            (Phase::Verifying, input) => match &mut self.verify {
                Some(verify) => match verify.step(cx, input) {
                    // The buffer is Data-Out, even if nothing was compared with it.
                    Step::End(outcome) => Step::End(Outcome { data_in: None, ..outcome }),
                    step @ (Step::Op(..)
                    | Step::Claim(_)
                    | Step::Ask(_)
                    | Step::SetAccessStates(_)
                    | Step::Save(_)) => step,
                },
                None => Step::End(Outcome::GOOD),
            },
            (_, Input::Go) => Step::Op(self.begin(cx.unit), std::mem::take(cx.data)),
            (_, Input::Done(result, buffer)) => {
                *cx.data = buffer;
                match (result, &mut self.verify) {
                    (Err(error), _) => Step::failed(error, Purpose::Writing),
                    (Ok(_), None) => Step::End(Outcome::GOOD),
                    (Ok(_), Some(verify)) => {
                        self.phase = Phase::Verifying;
                        verify.step(cx, Input::Go)
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
