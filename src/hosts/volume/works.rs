//! What a host does on a volume beside its heartbeat: orders under way, and those that wait.
//!
//! They are heard of only while the heartbeat is valid. Reservations belong to initiators and not to what they
//! are for, so only one of the operations has one at a time.

use std::time::Duration;

use pulsefield_units::Instant;

use crate::lock::{Execution, Orders};
use crate::operation::{Input, Operation, Step, View};
use crate::{Io, IoId, Order, Outcome};

/// The orders of a volume.
#[derive(Debug, Default)]
pub(super) struct Works {
    orders: Orders,
    under_way: Vec<Work>,
    /// The heartbeat is being recovered.
    suspended: bool,
    /// Which of those under way has the device reserved, or is about to.
    reserving: Option<WorkId>,
    /// Which of them had it when the logical unit was reset, and does not know.
    broken: Option<WorkId>,
    next_work: WorkId,
}

/// The number of an order under way, never used again on the volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct WorkId(u64);

/// An order under way.
#[derive(Debug)]
struct Work {
    id: WorkId,
    execution: Execution,
    waits: Waits,
}

/// What it waits for.
#[derive(Debug, PartialEq, Eq)]
enum Waits {
    ForIo(IoId, Kind),
    Until(Instant),
    /// For its turn to reserve the device, which may take so long then.
    ForTurn(Duration),
    /// For the heartbeat to be valid again. Until then this outcome is kept back.
    ForHeartbeat(Kind, Outcome),
}

/// What an I/O does to the reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Reserve,
    Release,
    Other,
}

impl Kind {
    const fn of(io: &Io) -> Self {
        match io {
            Io::Reserve => Self::Reserve,
            Io::Release => Self::Release,
            Io::Read(_)
            | Io::Write { .. }
            | Io::CompareAndWrite { .. }
            | Io::TestUnitReady
            | Io::BlockLimits
            | Io::Unmap(_)
            | Io::WriteZeros(_)
            | Io::LbaStatus(_)
            | Io::Copy { .. }
            | Io::LogicalUnitReset => Self::Other,
        }
    }

    /// Whether nobody of these has the device reserved after it ended like that.
    const fn is_free_after(self, outcome: &Outcome) -> bool {
        let good = matches!(outcome, Outcome::Good(_));
        match self {
            Self::Reserve => !good,
            Self::Release => good,
            Self::Other => false,
        }
    }
}

impl Works {
    /// Whether nothing is under way. What waits would be, if it could.
    pub(super) const fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Takes an order, and begins with it as soon as it can be.
    pub(super) fn give(&mut self, view: &mut View<'_>, order: Order) {
        self.orders.give(view.now, order);
        self.start(view);
    }

    /// Takes an order that cannot be carried out: the volume is not there.
    pub(super) fn refuse(&mut self, view: &mut View<'_>, order: Order) {
        self.orders.give(view.now, order);
        self.begin_no_more(view);
    }

    /// Ends all orders that wait, and leaves alone those that are under way.
    pub(super) fn begin_no_more(&mut self, view: &mut View<'_>) {
        self.orders.abandon(view.now, view.ledger);
    }

    /// When the next of them wants to be told the time.
    pub(super) fn due(&self) -> Option<Instant> {
        let due = |work: &Work| match work.waits {
            Waits::Until(due) => Some(due),
            Waits::ForIo(..) | Waits::ForTurn(_) | Waits::ForHeartbeat(..) => None,
        };
        self.under_way.iter().filter_map(due).min().filter(|_| !self.suspended)
    }

    /// Tells the time to all that want to know it.
    pub(super) fn on_time(&mut self, view: &mut View<'_>) {
        while let Some(due) = self.due().filter(|due| *due <= view.now) {
            let is_due = |work: &Work| work.waits == Waits::Until(due);
            let nth = self.under_way.iter().position(is_due).expect("it is one of these");
            self.tell(view, nth, Input::Time);
        }
    }

    /// Tells the outcome of an I/O to whom it belongs, if it is one of these; as soon as the heartbeat is valid.
    pub(super) fn on_done(&mut self, view: &mut View<'_>, io: IoId, outcome: Outcome) {
        for work in &mut self.under_way {
            if let Waits::ForIo(own, kind) = work.waits
                && own == io
            {
                work.waits = Waits::ForHeartbeat(kind, outcome);
                break;
            }
        }
        if !self.suspended {
            self.resume(view);
        }
    }

    /// Nothing more is heard or done for now: the heartbeat is being recovered, and the logical unit reset.
    pub(super) const fn suspend(&mut self) {
        self.suspended = true;
        self.broken = self.reserving;
    }

    /// Goes on where all was.
    pub(super) fn resume(&mut self, view: &mut View<'_>) {
        self.suspended = false;
        let is_kept = |work: &Work| matches!(work.waits, Waits::ForHeartbeat(..));
        while let Some(nth) = self.under_way.iter().position(is_kept) {
            let kept = std::mem::replace(&mut self.under_way[nth].waits, Waits::Until(view.now));
            let Waits::ForHeartbeat(kind, mut outcome) = kept else {
                unreachable!("it was just looked at")
            };
            // Not every way to a device tells of a reset, and what was reserved is not any more.
            if self.broken == Some(self.under_way[nth].id) {
                self.broken = None;
                outcome = Outcome::Lost;
            }
            if kind.is_free_after(&outcome) {
                self.reserving = None;
            }
            self.tell(view, nth, Input::Done(outcome));
        }
    }

    /// All locks are lost, and with them whatever was under way or waited for it.
    pub(super) fn lose(&mut self, view: &mut View<'_>) {
        self.suspended = false;
        self.reserving = None;
        self.broken = None;
        for mut work in std::mem::take(&mut self.under_way) {
            let step = work.execution.next(view, Input::HeartbeatLost);
            assert!(matches!(step, Step::Finished(())), "without a heartbeat all ends");
            self.orders.ended(&work.execution);
        }
        self.orders.abandon(view.now, view.ledger);
    }

    /// Begins with what can be begun: whenever an order comes, and whenever one ends.
    fn start(&mut self, view: &mut View<'_>) {
        while let Some(execution) = self.orders.start() {
            let id = self.next_work;
            self.next_work = WorkId(id.0 + 1);
            self.under_way.push(Work { id, execution, waits: Waits::Until(view.now) });
            self.tell(view, self.under_way.len() - 1, Input::Begin);
        }
    }

    /// Tells one of them something, and does what it wants then.
    fn tell(&mut self, view: &mut View<'_>, nth: usize, input: Input) {
        let work = &mut self.under_way[nth];
        match work.execution.next(view, input) {
            Step::Do { io: Io::Reserve, timeout } => work.waits = Waits::ForTurn(timeout),
            Step::Do { io, timeout } => {
                let kind = Kind::of(&io);
                work.waits = Waits::ForIo(view.ledger.submit(view.volume, io, timeout), kind);
            }
            Step::Wait(duration) => work.waits = Waits::Until(view.now.after(duration)),
            Step::Finished(()) => {
                let work = self.under_way.remove(nth);
                if self.reserving == Some(work.id) {
                    self.reserving = None;
                }
                self.orders.ended(&work.execution);
                self.start(view);
            }
        }
        self.take_turn(view);
    }

    /// Lets the next of them reserve the device, if none of them has it.
    fn take_turn(&mut self, view: &mut View<'_>) {
        for work in &mut self.under_way {
            if let Waits::ForTurn(timeout) = work.waits
                && self.reserving.is_none_or(|id| id == work.id)
            {
                self.reserving = Some(work.id);
                let io = view.ledger.submit(view.volume, Io::Reserve, timeout);
                work.waits = Waits::ForIo(io, Kind::Reserve);
            }
        }
    }
}
