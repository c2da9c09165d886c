//! Hosts with orders, and one volume in memory, in virtual time: one I/O at a time, in any order.
//!
//! Each I/O is done and answered in one step, which step comes next is chosen outside; so operations of several
//! hosts interleave between their I/Os in every way. Heartbeats of the living pulse by themselves.

use std::time::Duration;

use pulsefield_scsi::{Asc, Sense, SenseKey, Status};
use pulsefield_units::Instant;
use pulsefield_vmfs::{
    DiskLock, Heartbeat, HeartbeatState, HostUuid, LockHolder, LockKind, PULSE_PERIOD,
};

use super::super::{Execution, Orders};
use crate::ledger::Ledger;
use crate::operation::{Input, View};
use crate::task::Task;
use crate::testing::{Medium, VMFS_6, VOLUME};
use crate::{Action, Claim, Io, LockOutcome, Locking, Notice, Order, OrderId, OrderKind, Outcome};

/// What befalls one I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    None,
    /// It is refused.
    Busy,
    /// It is refused as if another host had a reservation.
    Conflict,
    /// The device was reset before: nothing is done.
    UnitAttention,
    /// The device knows no such command.
    Refused,
    /// It is done and not answered.
    TimedOutDone,
    /// It is neither done nor answered.
    TimedOut,
    /// It is done, and the way back breaks.
    LostDone,
    /// It is not done, and the way breaks.
    Lost,
    /// An ATS is answered with a miscompare and not done, though the data is equal.
    SpuriousMiscompare,
}

impl Fault {
    pub(super) const ALL: [Self; 10] = [
        Self::None,
        Self::Busy,
        Self::Conflict,
        Self::UnitAttention,
        Self::Refused,
        Self::TimedOutDone,
        Self::TimedOut,
        Self::LostDone,
        Self::Lost,
        Self::SpuriousMiscompare,
    ];
}

/// One host: what it believes, and the orders that it carries out.
pub(super) struct TestHost {
    pub(super) own: LockHolder,
    pub(super) pulses: bool,
    orders: Orders,
    /// Those that are over are no more.
    tasks: Vec<Option<Task<Execution>>>,
    ledger: Ledger,
    /// The I/Os that are asked for, and by which task.
    wanted: Vec<(usize, Io)>,
    /// Which of them has the device reserved: reservations are the host's, so the others wait.
    reserving: Option<usize>,
    pub(super) notices: Vec<(Instant, Notice)>,
    believes: Vec<Claim>,
}

/// All of them.
pub(super) struct World {
    pub(super) medium: Medium,
    pub(super) hosts: Vec<TestHost>,
    /// What was done, in order, and by whom.
    pub(super) trace: Vec<(usize, Io, Outcome)>,
    now: Instant,
    locking: Locking,
    locks: Vec<u64>,
    orders: u64,
}

impl World {
    /// So many living hosts on a volume with these locks, which are free.
    pub(super) fn new(locking: Locking, hosts: u8, locks: &[u64]) -> Self {
        let mut medium = Medium::blank(VMFS_6);
        for address in locks {
            let lock = DiskLock::never_taken(LockKind::FileDescriptor, *address);
            medium.put(*address, &lock.encode());
        }
        let hosts = (1..=hosts)
            .map(|number| {
                let own = holder(number);
                let heartbeat = Heartbeat {
                    state: HeartbeatState::InUse,
                    generation: own.heartbeat_generation,
                    owner: Some(own.host),
                    major_version: VMFS_6.version.major,
                    ..Heartbeat::never_used(own.heartbeat_address)
                };
                medium.put(own.heartbeat_address, &heartbeat.encode());
                TestHost {
                    own,
                    pulses: true,
                    orders: Orders::default(),
                    tasks: Vec::new(),
                    ledger: Ledger::new(u64::from(number)),
                    wanted: Vec::new(),
                    reserving: None,
                    notices: Vec::new(),
                    believes: Vec::new(),
                }
            })
            .collect();
        Self {
            medium,
            hosts,
            trace: Vec::new(),
            now: Instant::default(),
            locking,
            locks: locks.to_vec(),
            orders: 0,
        }
    }

    /// Gives an order to a host.
    pub(super) fn order(&mut self, host: usize, kind: OrderKind) -> OrderId {
        self.orders += 1;
        let id = OrderId(self.orders);
        self.hosts[host].orders.give(self.now, Order { id, volume: VOLUME, kind });
        self.start(host);
        id
    }

    fn start(&mut self, host: usize) {
        let (now, locking) = (self.now, self.locking);
        let host = &mut self.hosts[host];
        while let Some(execution) = host.orders.start() {
            let view = &mut view(now, locking, host.own, &mut host.ledger);
            host.tasks.push(Some(Task::begin(execution, view)));
        }
        host.collect();
    }

    /// What can be done next: the I/Os that are wanted, as host and place in its list.
    fn ready(&self) -> Vec<(usize, usize)> {
        let of_host = |(number, host): (usize, &TestHost)| {
            let free = |(at, (task, io)): (usize, &(usize, Io))| {
                let turn = host.reserving.is_none_or(|reserving| reserving == *task);
                (*io != Io::Reserve || turn).then_some((number, at))
            };
            host.wanted.iter().enumerate().filter_map(free).collect::<Vec<_>>()
        };
        self.hosts.iter().enumerate().flat_map(of_host).collect()
    }

    /// Takes one step: the I/O that `choice` picks, with this fault, or the time to the next moment that
    /// somebody waits for. Says whether there was anything to do.
    pub(super) fn step(&mut self, choice: usize, fault: Fault) -> bool {
        let ready = self.ready();
        if ready.is_empty() {
            return self.pass_time();
        }
        let (host, at) = ready[choice % ready.len()];
        let (task, io) = self.hosts[host].wanted.remove(at);
        let before: Vec<_> = self.locks.iter().map(|lock| self.medium.lock(*lock)).collect();
        let outcome = self.perform(host, &io, fault);
        self.check_tokens(&before);
        if matches!(outcome, Outcome::Good(_)) && [Io::Reserve, Io::Release].contains(&io) {
            self.hosts[host].reserving = (io == Io::Reserve).then_some(task);
        }
        self.trace.push((host, io, outcome.clone()));
        self.hear(host, |nth, _| nth == task, &Input::Done(outcome));
        true
    }

    /// Runs until there is nothing to do any more, without faults.
    pub(super) fn run(&mut self) {
        while self.step(0, Fault::None) {}
    }

    fn pass_time(&mut self) -> bool {
        let tasks = self.hosts.iter().flat_map(|host| host.tasks.iter().flatten());
        let Some(due) = tasks.filter_map(Task::due).min() else { return false };
        self.now = self.now.max(due);
        self.pulse();
        for host in 0..self.hosts.len() {
            let now = self.now;
            let is_due = |task: &Task<_>| task.due().is_some_and(|due| due <= now);
            self.hear(host, |_, task| is_due(task), &Input::Time);
        }
        true
    }

    /// Whoever is alive has pulsed by now.
    fn pulse(&mut self) {
        let period = PULSE_PERIOD.as_secs();
        let tick = self.now.since(Instant::default()).as_secs() / period * period;
        let stamp = Duration::from_secs(tick) + Duration::from_millis(42);
        for host in self.hosts.iter().filter(|host| host.pulses) {
            self.medium.change(slot_of(host.own), |heartbeat| Heartbeat { stamp, ..heartbeat });
        }
    }

    /// The heartbeat of a host is lost.
    pub(super) fn lose(&mut self, host: usize) {
        self.hosts[host].wanted.clear();
        self.hosts[host].ledger.leave_all(self.now, VOLUME);
        self.hosts[host].reserving = None;
        self.hear(host, |_, _| true, &Input::HeartbeatLost);
    }

    /// Tells something to the tasks of a host that it is for.
    fn hear(&mut self, host: usize, who: impl Fn(usize, &Task<Execution>) -> bool, what: &Input) {
        let (now, locking) = (self.now, self.locking);
        let listener = &mut self.hosts[host];
        for (nth, slot) in listener.tasks.iter_mut().enumerate() {
            let Some(task) = slot.as_mut().filter(|task| who(nth, task)) else { continue };
            let view = &mut view(now, locking, listener.own, &mut listener.ledger);
            if task.hear(view, what.clone()).is_some() {
                listener.orders.ended(task.operation());
                listener.reserving = listener.reserving.filter(|reserving| *reserving != nth);
                *slot = None;
            }
        }
        listener.collect();
        self.start(host);
        self.check_beliefs();
    }

    /// Whatever a host believes to have is on the medium; so nobody else can have it, and no entry of a
    /// host that shares a lock was overwritten.
    fn check_beliefs(&mut self) {
        for host in &self.hosts {
            for claim in &host.believes {
                let lock = self.medium.lock(claim.lock);
                let named = lock.claims().any(|named| named == host.own);
                assert!(named && lock.mode == claim.mode, "{claim:?} of {:?}: {lock:?}", host.own);
            }
        }
    }

    /// With each change of a lock its token grows by one.
    fn check_tokens(&self, before: &[DiskLock]) {
        for before in before {
            let now = self.medium.lock(before.address);
            let changed = now != *before;
            assert!(!changed || now.token == before.token + 1, "{before:?} became {now:?}");
        }
    }

    fn perform(&mut self, host: usize, io: &Io, fault: Fault) -> Outcome {
        let refusal = |key, asc| Outcome::Failed {
            status: Status::CheckCondition,
            sense: Some(Sense::new(key, asc)),
        };
        match fault {
            Fault::Busy => Outcome::Busy,
            Fault::Conflict => Outcome::ReservationConflict,
            Fault::UnitAttention => refusal(SenseKey::UnitAttention, Asc::new(0x29, 0x00)),
            Fault::Refused => {
                refusal(SenseKey::IllegalRequest, Asc::INVALID_COMMAND_OPERATION_CODE)
            }
            Fault::TimedOut => Outcome::TimedOut,
            Fault::Lost => Outcome::Lost,
            Fault::TimedOutDone => {
                self.medium.execute(host, io);
                Outcome::TimedOut
            }
            Fault::LostDone => {
                self.medium.execute(host, io);
                Outcome::Lost
            }
            Fault::SpuriousMiscompare if matches!(io, Io::CompareAndWrite { .. }) => {
                Outcome::Miscompare(Some(0))
            }
            Fault::None | Fault::SpuriousMiscompare => self.medium.execute(host, io),
        }
    }

    /// How an order ended; `None` if it has not.
    pub(super) fn outcome(&self, order: OrderId) -> Option<LockOutcome> {
        let mut notices = self.hosts.iter().flat_map(|host| &host.notices);
        notices.find_map(|(_, notice)| {
            let Notice::Finished { order: finished, outcome, .. } = notice else { return None };
            (*finished == order).then_some(*outcome)
        })
    }
}

impl TestHost {
    /// Takes what its ledger has to say and to ask.
    fn collect(&mut self) {
        while let Some(action) = self.ledger.next_action() {
            match action {
                Action::Submit { id, io, .. } => {
                    let asks = |task: &Option<Task<_>>| {
                        task.as_ref().is_some_and(|task| task.waits_for(id))
                    };
                    let task = self.tasks.iter().position(asks).expect("a task asked for it");
                    self.wanted.push((task, io));
                }
                Action::Notice { at, notice } => {
                    if let Notice::LockTaken(claim) = notice {
                        self.believes.push(claim);
                    } else if let Notice::LockLeft(claim) = notice {
                        self.believes.retain(|own| *own != claim);
                    }
                    self.notices.push((at, notice));
                }
            }
        }
    }
}

fn view<'a>(now: Instant, locking: Locking, own: LockHolder, ledger: &'a mut Ledger) -> View<'a> {
    View {
        now,
        uptime: now.since(Instant::default()),
        volume: VOLUME,
        geometry: &VMFS_6,
        locking,
        own,
        ledger,
    }
}

/// Where its heartbeat is.
pub(super) fn slot_of(holder: LockHolder) -> u64 {
    (holder.heartbeat_address - VMFS_6.heartbeats.address(0).unwrap()) / VMFS_6.heartbeats.stride
}

/// The host with this number, and its heartbeat, which is in the slot of that number.
pub(super) fn holder(number: u8) -> LockHolder {
    LockHolder {
        heartbeat_address: VMFS_6.heartbeats.address(number.into()).unwrap(),
        heartbeat_generation: 5,
        host: HostUuid::from_bytes([number; 16]).unwrap(),
    }
}
