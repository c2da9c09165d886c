//! A unit with a fault, hosts that contend for a few of its blocks, and whether the panel sees it: every time,
//! and never without one.

use pulsefield_units::{Instant, Random};

use crate::history::{UNIT, at, block, blocks, read, swap, write};
use crate::{
    Begun, Ending, Event, HostId, Operation, OperationId, OperationKind, Panel, Promise, Standing,
    Verdict,
};

const HOSTS: usize = 6;
const BLOCKS: usize = 4;
const STEPS: u64 = 12_000;

/// What the unit does wrong, now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    FalseEqual,
    NotAtomic,
    LostWrite,
    StaleRead,
    MisdirectedWrite,
    SpuriousMiscompare,
    LateApply,
    WrongOffset,
}

/// A command of a host, and how far the unit is with it.
struct Flight {
    operation: Operation,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Arrived,
    /// Compared and equal, and not written yet.
    Compared,
    Applied(Ending),
}

struct World {
    fault: Option<Fault>,
    random: Random,
    now: u64,
    /// What each block holds, and held before.
    held: [(u64, u64); BLOCKS],
    /// What each host saw last of each block.
    seen: [[Option<u64>; BLOCKS]; HOSTS],
    flights: [Option<Flight>; HOSTS],
    /// Commands that were aborted and happen nevertheless.
    ghosts: Vec<Operation>,
    values: u64,
    commands: u64,
    panel: Panel,
}

impl World {
    fn new(fault: Option<Fault>, seed: u64) -> Self {
        Self {
            fault,
            random: Random::new(seed),
            now: 0,
            held: [(0, 0); BLOCKS],
            seen: [[None; BLOCKS]; HOSTS],
            flights: [const { None }; HOSTS],
            ghosts: Vec::new(),
            values: 0,
            commands: 0,
            panel: Panel::default(),
        }
    }

    fn run(mut self) -> Vec<Verdict> {
        for _ in 0..STEPS {
            let host = self.random.index(HOSTS);
            self.step(host);
        }
        for host in 0..HOSTS {
            while self.flights[host].is_some() {
                self.step(host);
            }
        }
        self.panel.observe(&Event::ReadBack { unit: UNIT, at: at(self.now) });
        for nth in 0..BLOCKS {
            self.ask(0, nth, read(0));
            while self.flights[0].is_some() {
                self.step(0);
            }
        }
        self.panel.finish(at(self.now))
    }

    /// One thing happens to a host's command.
    fn step(&mut self, host: usize) {
        self.now += 1;
        // Later than what hosts ask for meanwhile, or nobody could tell.
        if self.random.one_in(100)
            && let Some(ghost) = self.ghosts.pop()
        {
            self.execute(&ghost);
        }
        let Some(mut flight) = self.flights[host].take() else {
            let nth = self.random.index(BLOCKS);
            let kind = self.choose(host, nth);
            self.ask(host, nth, kind);
            return;
        };
        match flight.stage {
            Stage::Applied(ending) => self.answer(host, flight.operation, ending),
            Stage::Arrived if self.random.one_in(40) => {
                if self.fault == Some(Fault::LateApply) {
                    self.ghosts.push(flight.operation.clone());
                }
                self.answer(host, flight.operation, Ending::Maybe);
            }
            Stage::Arrived | Stage::Compared => {
                flight.stage = self.apply(&mut flight.operation, flight.stage);
                self.flights[host] = Some(flight);
            }
        }
    }

    fn choose(&mut self, host: usize, nth: usize) -> OperationKind {
        self.values += 1;
        match (self.random.below(10), self.seen[host][nth]) {
            (0..5, Some(seen)) => swap(seen, self.values),
            (5..7, _) => write(self.values),
            (7, _) => OperationKind::Zero,
            _ => read(0),
        }
    }

    fn ask(&mut self, host: usize, nth: usize, kind: OperationKind) {
        self.commands += 1;
        let (id, host_id) = (OperationId(self.commands), HostId(u32::try_from(host).unwrap()));
        let (blocks, invoked) = (blocks(nth as u64, 1), at(self.now));
        let begun = Begun { id, host: host_id, unit: UNIT, at: invoked, blocks };
        self.panel.observe(&Event::Begun(begun));
        let operation = Operation {
            id,
            host: host_id,
            unit: UNIT,
            blocks,
            invoked,
            returned: None,
            kind,
            ending: Ending::Refused,
        };
        self.flights[host] = Some(Flight { operation, stage: Stage::Arrived });
    }

    fn answer(&mut self, host: usize, operation: Operation, ending: Ending) {
        let nth = index(&operation);
        if let (OperationKind::Read { data }, Ending::Done) = (&operation.kind, ending) {
            self.seen[host][nth] = Some(number(data));
        }
        let returned: Option<Instant> = Some(at(self.now));
        self.panel.observe(&Event::Operation(Operation { returned, ending, ..operation }));
    }

    /// The unit works on a command, rightly or not.
    fn apply(&mut self, operation: &mut Operation, stage: Stage) -> Stage {
        // Who does not lock does not lock at all.
        let goes_wrong = self.fault == Some(Fault::NotAtomic) || self.random.one_in(6);
        let fault = self.fault.filter(|_| goes_wrong);
        let nth = index(operation);
        let (holds, held) = self.held[nth];
        match &mut operation.kind {
            OperationKind::Read { data } => {
                *data = block(if fault == Some(Fault::StaleRead) { held } else { holds });
                return Stage::Applied(Ending::Done);
            }
            OperationKind::CompareAndWrite { test, .. } if stage == Stage::Arrived => {
                let difference = test.iter().zip(block(holds).iter()).position(|(a, b)| a != b);
                let ending = match (difference, fault) {
                    (None, Some(Fault::SpuriousMiscompare)) => Ending::Miscompared(Some(0)),
                    (None, Some(Fault::NotAtomic)) => return Stage::Compared,
                    (None, _) | (Some(_), Some(Fault::FalseEqual)) => Ending::Done,
                    (Some(_), Some(Fault::WrongOffset)) => Ending::Miscompared(Some(500)),
                    (Some(offset), _) => Ending::Miscompared(Some(offset as u64)),
                };
                if ending != Ending::Done {
                    return Stage::Applied(ending);
                }
            }
            OperationKind::CompareAndWrite { .. }
            | OperationKind::Write { .. }
            | OperationKind::Zero
            | OperationKind::Copy { .. } => {}
        }
        match fault {
            Some(Fault::LostWrite) => {}
            Some(Fault::MisdirectedWrite) => self.put((nth + 1) % BLOCKS, &operation.kind),
            _ => self.put(nth, &operation.kind),
        }
        Stage::Applied(Ending::Done)
    }

    /// The unit works on a command of which nobody hears any more.
    fn execute(&mut self, ghost: &Operation) {
        let nth = index(ghost);
        let equal = match &ghost.kind {
            OperationKind::CompareAndWrite { test, .. } => number(test) == self.held[nth].0,
            OperationKind::Read { .. } => false,
            OperationKind::Write { .. } | OperationKind::Zero | OperationKind::Copy { .. } => true,
        };
        if equal {
            self.put(nth, &ghost.kind);
        }
    }

    fn put(&mut self, nth: usize, kind: &OperationKind) {
        let value = match kind {
            OperationKind::Write { data: set } | OperationKind::CompareAndWrite { set, .. } => {
                number(set)
            }
            OperationKind::Zero | OperationKind::Read { .. } | OperationKind::Copy { .. } => 0,
        };
        self.held[nth] = (value, self.held[nth].0);
    }
}

fn index(operation: &Operation) -> usize {
    usize::try_from(operation.blocks.start().as_u64()).unwrap()
}

fn number(block: &[u8]) -> u64 {
    u64::from_le_bytes(block[..8].try_into().unwrap())
}

fn broken(verdicts: &[Verdict]) -> Vec<Promise> {
    let broken = verdicts.iter().filter(|verdict| verdict.standing == Standing::Broken);
    broken.map(|verdict| verdict.promise).collect()
}

#[test]
fn a_unit_without_a_fault_breaks_no_promise() {
    for seed in 0..20 {
        let verdicts = World::new(None, seed).run();
        assert_eq!(broken(&verdicts), [], "seed {seed}: {verdicts:#?}");
        let held = verdicts.iter().filter(|verdict| verdict.standing == Standing::Held);
        let held: Vec<_> = held.map(|verdict| verdict.promise).collect();
        let [linearizable, information] = [Promise::Linearizable, Promise::Information];
        let checked = [linearizable, information, Promise::AnsweredOnce, Promise::Fairness];
        assert!(checked.iter().all(|promise| held.contains(promise)), "seed {seed}: {held:?}");
    }
}

#[test]
fn every_fault_is_seen_every_time() {
    let faults = [
        (Fault::FalseEqual, Promise::Linearizable),
        (Fault::NotAtomic, Promise::Linearizable),
        (Fault::LostWrite, Promise::Linearizable),
        (Fault::StaleRead, Promise::Linearizable),
        (Fault::MisdirectedWrite, Promise::Linearizable),
        (Fault::SpuriousMiscompare, Promise::Linearizable),
        (Fault::LateApply, Promise::Linearizable),
        (Fault::WrongOffset, Promise::Information),
    ];
    for (fault, promise) in faults {
        for seed in 0..10 {
            let verdicts = World::new(Some(fault), seed).run();
            assert!(broken(&verdicts).contains(&promise), "{fault:?}, seed {seed}");
        }
    }
}
