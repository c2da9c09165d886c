//! Orders: to take locks, keep them for a while and let them go.

use std::collections::{BTreeSet, VecDeque};
use std::slice;
use std::time::Duration;

use pulsefield_units::Instant;
use pulsefield_vmfs::DiskLock;

use super::acquire::Acquire;
use super::image::Aim;
use super::release::{Release, Released};
use super::upgrade::Upgrade;
use crate::ledger::Ledger;
use crate::operation::{Input, Operation, Step, View};
use crate::{LockOutcome, Notice, Order, OrderKind, Outcome};

/// How many orders a host carries out on a volume at once; more wait.
const AT_ONCE: usize = 64;

/// The orders of a host for one volume that are not carried out yet, and what must not come together with
/// those that are.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    waiting: VecDeque<(Order, Instant)>,
    running: usize,
    /// The locks of those that are carried out. The lock on the medium keeps other hosts out; within a host it
    /// is one order at a time that has it.
    in_use: BTreeSet<u64>,
}

impl Orders {
    /// Takes an order, `now`.
    pub(crate) fn give(&mut self, now: Instant, order: Order) {
        self.waiting.push_back((order, now));
    }

    /// What can be begun now: the first order that wants no lock which is in use or which one before it waits
    /// for. To be asked until there is none.
    pub(crate) fn start(&mut self) -> Option<Execution> {
        if self.running >= AT_ONCE {
            return None;
        }
        let mut waited_for: BTreeSet<u64> = BTreeSet::new();
        let next = self.waiting.iter().position(|(order, _)| {
            let locks = order.kind.locks();
            let free = |lock| !self.in_use.contains(lock) && !waited_for.contains(lock);
            let ready = locks.iter().all(free);
            waited_for.extend(locks);
            ready
        })?;
        let (order, given) = self.waiting.remove(next)?;
        self.running += 1;
        self.in_use.extend(order.kind.locks());
        Some(Execution { order, given, miscompares: 0, stage: Stage::New })
    }

    /// An execution has come to its end, by itself or not.
    pub(crate) fn ended(&mut self, execution: &Execution) {
        self.running -= 1;
        for lock in execution.order.kind.locks() {
            self.in_use.remove(lock);
        }
    }

    /// Ends all orders that wait: the volume is not there.
    pub(crate) fn abandon(&mut self, now: Instant, ledger: &mut Ledger) {
        for (order, given) in self.waiting.drain(..) {
            let took = now.since(given);
            let outcome = LockOutcome::Offline;
            ledger.notice(now, Notice::Finished { order: order.id, outcome, took, miscompares: 0 });
        }
    }
}

impl OrderKind {
    /// The locks that it is about.
    pub(super) fn locks(&self) -> &[u64] {
        match self {
            Self::Exclusive { lock, .. }
            | Self::ReadOnly { lock, .. }
            | Self::MultiWriter { lock, .. } => slice::from_ref(lock),
            Self::Transaction { locks, .. } => locks,
        }
    }

    /// How long they are kept.
    const fn hold(&self) -> Duration {
        match self {
            Self::Exclusive { hold, .. }
            | Self::ReadOnly { hold, .. }
            | Self::MultiWriter { hold, .. }
            | Self::Transaction { hold, .. } => *hold,
        }
    }
}

/// An order that is being carried out.
#[derive(Debug)]
pub(crate) struct Execution {
    order: Order,
    given: Instant,
    miscompares: u32,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    New,
    Acquiring(Acquire),
    Upgrading(Upgrade),
    Holding(Vec<DiskLock>),
    Releasing(Release),
}

impl Execution {
    fn begin(&mut self, view: &mut View<'_>) -> Step<()> {
        let (lock, aim) = match &self.order.kind {
            OrderKind::Exclusive { lock, .. } => (*lock, Aim::Exclusive),
            OrderKind::ReadOnly { lock, .. } => (*lock, Aim::ReadOnly),
            OrderKind::MultiWriter { lock, .. } => (*lock, Aim::MultiWriter),
            OrderKind::Transaction { locks, .. } => {
                self.stage = Stage::Upgrading(Upgrade::new(locks.clone(), view.now));
                return self.next(view, Input::Begin);
            }
        };
        self.stage = Stage::Acquiring(Acquire::new(lock, aim, view.now));
        self.next(view, Input::Begin)
    }

    fn hold(&mut self, view: &mut View<'_>, taken: Result<Vec<DiskLock>, LockOutcome>) -> Step<()> {
        match taken {
            Ok(locks) => {
                self.stage = Stage::Holding(locks);
                Step::Wait(self.order.kind.hold())
            }
            Err(outcome) => self.finish(view, outcome),
        }
    }

    fn finish(&self, view: &mut View<'_>, outcome: LockOutcome) -> Step<()> {
        let (order, miscompares) = (self.order.id, self.miscompares);
        let took = view.now.since(self.given);
        view.ledger.notice(view.now, Notice::Finished { order, outcome, took, miscompares });
        Step::Finished(())
    }

    /// The heartbeat is lost, and with it what was taken: nothing is let go of that may be another's by now.
    fn lose(&self, view: &mut View<'_>) -> Step<()> {
        let outcome = match self.stage {
            Stage::New | Stage::Acquiring(_) | Stage::Upgrading(_) => LockOutcome::Offline,
            Stage::Holding(_) | Stage::Releasing(_) => LockOutcome::Lost,
        };
        self.finish(view, outcome)
    }
}

impl Operation for Execution {
    type End = ();

    fn next(&mut self, view: &mut View<'_>, input: Input) -> Step<()> {
        match input {
            Input::HeartbeatLost => return self.lose(view),
            Input::Done(Outcome::Miscompare(_)) => self.miscompares += 1,
            Input::Begin | Input::Done(_) | Input::Time => {}
        }
        match &mut self.stage {
            Stage::New => self.begin(view),
            Stage::Acquiring(acquire) => acquire
                .next(view, input)
                .or_then(|taken| self.hold(view, taken.map(|lock| vec![lock]))),
            Stage::Upgrading(upgrade) => {
                upgrade.next(view, input).or_then(|taken| self.hold(view, taken))
            }
            Stage::Holding(locks) => {
                let release = Release::new(std::mem::take(locks));
                self.stage = Stage::Releasing(release);
                self.next(view, Input::Begin)
            }
            Stage::Releasing(release) => release.next(view, input).or_then(|how| {
                let outcome = match how {
                    Released::Done => LockOutcome::Done,
                    Released::Gone => LockOutcome::Lost,
                    Released::Failed => LockOutcome::Failed,
                };
                self.finish(view, outcome)
            }),
        }
    }
}
