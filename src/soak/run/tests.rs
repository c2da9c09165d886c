use std::collections::{BTreeMap, VecDeque};

use pulsefield_checkers::{HostId, Panel};
use pulsefield_cluster::{ClusterConfig, Mix, Ticket};
use pulsefield_faults::Plan;
use pulsefield_hosts::{Io, Locking, Outcome as Answer};
use pulsefield_report::{Recorder, Setup};
use pulsefield_units::{BlockCount, BlockLength};

use super::*;
use crate::area::{Area, UnitFacts, prepare};
use crate::collector::Collector;
use crate::hosts::hosts;

const SECOND: Duration = Duration::from_secs(1);

/// A unit that does at once what it is told, and is gone as soon as faults are armed.
struct Vanishing {
    now: Instant,
    blocks: BTreeMap<u64, Vec<u8>>,
    ended: VecDeque<Happening>,
    armed: Vec<Duration>,
    disarmed: usize,
}

impl Vanishing {
    fn carry_out(&mut self, io: Io) -> Answer {
        const BLOCK: usize = 512;
        match io {
            Io::Read(range) => {
                let of = |lba| self.blocks.get(&lba).cloned().unwrap_or(vec![0; BLOCK]);
                let blocks = range.start().as_u64()..range.end().as_u64();
                Answer::Good(blocks.flat_map(of).collect())
            }
            Io::Write { lba, data } => {
                let blocks = data.chunks(BLOCK).map(<[u8]>::to_vec);
                self.blocks.extend((lba.as_u64()..).zip(blocks));
                Answer::Good(Vec::new())
            }
            Io::CompareAndWrite { .. }
            | Io::Unmap(_)
            | Io::LbaStatus(_)
            | Io::WriteZeros(_)
            | Io::Copy { .. }
            | Io::Reserve
            | Io::Release
            | Io::TestUnitReady
            | Io::BlockLimits
            | Io::LogicalUnitReset => Answer::Busy,
        }
    }
}

impl Transport for &mut Vanishing {
    fn now(&self) -> Instant {
        self.now
    }

    fn set_out(&mut self, _area: &Area) {}

    fn submit(&mut self, ticket: Ticket, _host: HostId, io: Io, _timeout: Duration) {
        let outcome = self.carry_out(io);
        self.ended.push_back(Happening::Ended { ticket, outcome });
    }

    fn wait(&mut self, until: Instant) -> Result<Option<Happening>, TransportError> {
        if !self.armed.is_empty() {
            return Err(TransportError::Gone { seconds: 90 });
        }
        let happened = self.ended.pop_front();
        if happened.is_none() {
            self.now = until;
        }
        Ok(happened)
    }
}

impl Faults for &mut Vanishing {
    fn arm(&mut self, _plan: &PlanFile, lasting: Duration) -> Result<(), FaultError> {
        self.armed.push(lasting);
        Ok(())
    }

    fn disarm(&mut self, _plan: &PlanFile) -> Result<Vec<RuleHits>, FaultError> {
        self.disarmed += 1;
        Ok(Vec::new())
    }
}

/// Whoever uses the unit afterwards would not know why it does wrong.
#[test]
fn a_run_that_breaks_off_leaves_no_fault_armed_and_neither_does_one_that_is_killed() {
    let began = Instant::from_nanos(1_000_000_000_000);
    let mut unit = Vanishing {
        now: began,
        blocks: BTreeMap::new(),
        ended: VecDeque::new(),
        armed: Vec::new(),
        disarmed: 0,
    };
    let facts = UnitFacts {
        name: "unit".to_owned(),
        product: String::new(),
        blocks: BlockCount::new(1 << 20),
        block_length: BlockLength::B512,
        unmaps_to_zeros: false,
        copies: false,
    };
    let area = prepare(&mut &mut unit, &facts, Locking::AtsOnly, 0).unwrap();
    let config = ClusterConfig {
        hosts: hosts(2, 1),
        volume: area.volume,
        scratch: area.scratch,
        mix: Mix::named("mixed").unwrap(),
        seed: 1,
    };
    let recorder = Recorder::new(Setup::default(), began);
    let (collector, teller) = Collector::start(Panel::default(), recorder).unwrap();
    let text = "[[rule]]\nfault = \"caw.slow\"\ndelay = \"1s\"\n".to_owned();
    let plan = Plan::parse("slow", &text).unwrap();
    let plan = PlanFile { name: "slow".to_owned(), text, plan };
    let schedule = Schedule { duration: 20 * SECOND, plan: Some((plan, 5 * SECOND)) };
    let progress = Progress::new(Some(20 * SECOND), collector.counts(), true);
    let run = Run {
        transport: &mut unit,
        cluster: Cluster::new(config, began),
        teller,
        looks: None,
        schedule,
        interrupts: &Interrupts::default(),
        progress: &progress,
    };
    let outcome = run.conduct(began);
    assert!(matches!(outcome.end, End::Broken(_)), "{outcome:?}");
    assert!(outcome.faults.is_some());
    collector.finish(outcome.at);
    assert_eq!(unit.armed, [15 * SECOND + FAULTS_OUTLAST], "the daemon ends it by itself, too");
    assert_eq!(unit.disarmed, 1);
}
