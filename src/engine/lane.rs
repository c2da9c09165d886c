//! Lanes: which of the commands that may run goes first.
//!
//! A pure function of command, configuration and what is known of the blocks says which lane a command takes. Each lane starts
//! its tasks in the order in which they became ready and has slots of its own, so bulk can never
//! occupy what a heartbeat needs, and a storm of heartbeats never keeps bulk from its slots. Lanes
//! reorder only tasks whose ranges do not overlap: a task enters its lane once its range lock is
//! granted, and range locks are granted in order of arrival.

use std::collections::VecDeque;

use pulsefield_scsi::Command;
use pulsefield_units::LbaRange;

use crate::limits;
use crate::range_lock::Holder;

/// The two lanes of a logical unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// COMPARE AND WRITE, and reads and writes of VMFS metadata.
    Heartbeat,
    /// Everything else that touches the medium.
    Bulk,
}

impl Lane {
    /// Both lanes, the quicker one first.
    pub const ALL: [Self; 2] = [Self::Heartbeat, Self::Bulk];

    /// The lane's name in logs, metrics and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Bulk => "bulk",
        }
    }

    const fn slots(self) -> usize {
        match self {
            Self::Heartbeat => limits::HEARTBEAT_SLOTS,
            Self::Bulk => limits::BULK_SLOTS,
        }
    }
}

/// The lane of a command that touches `range`, where `metadata` are the blocks configured as VMFS
/// metadata: COMPARE AND WRITE always; READ and WRITE if they stay inside one of those ranges, or move
/// what is `known` to be metadata.
pub fn lane_of(command: &Command, range: LbaRange, metadata: &[LbaRange], known: bool) -> Lane {
    let moves = matches!(command, Command::Read(_) | Command::Write(_));
    let configured = || metadata.iter().any(|configured| configured.contains(range));
    if matches!(command, Command::CompareAndWrite(_)) || (moves && (known || configured())) {
        Lane::Heartbeat
    } else {
        Lane::Bulk
    }
}

#[derive(Debug)]
struct Queue {
    ready: VecDeque<Holder>,
    running: usize,
}

/// The tasks that hold their range and wait to be started, and how many run.
#[derive(Debug)]
pub(crate) struct Lanes {
    heartbeat: Queue,
    bulk: Queue,
    /// Heartbeat tasks started since a bulk task was last started or none was waiting.
    burst: u32,
}

impl Lanes {
    pub(crate) fn new() -> Self {
        let queue = || Queue { ready: VecDeque::new(), running: 0 };
        Self { heartbeat: queue(), bulk: queue(), burst: 0 }
    }

    const fn queue(&mut self, lane: Lane) -> &mut Queue {
        match lane {
            Lane::Heartbeat => &mut self.heartbeat,
            Lane::Bulk => &mut self.bulk,
        }
    }

    /// Puts a task that holds its range at the end of its lane.
    #[inline]
    pub(crate) fn enqueue(&mut self, lane: Lane, task: Holder) {
        self.queue(lane).ready.push_back(task);
    }

    /// Takes a task that was not started yet out of its lane.
    pub(crate) fn withdraw(&mut self, lane: Lane, task: Holder) {
        self.queue(lane).ready.retain(|ready| *ready != task);
    }

    /// The next task to start, which now occupies a slot of its lane.
    #[inline]
    pub(crate) fn start_next(&mut self) -> Option<Holder> {
        let startable =
            |queue: &Queue, lane: Lane| !queue.ready.is_empty() && queue.running < lane.slots();
        let heartbeat = startable(&self.heartbeat, Lane::Heartbeat);
        let bulk = startable(&self.bulk, Lane::Bulk);
        let lane = match (heartbeat, bulk) {
            (true, true) if self.burst >= limits::HEARTBEAT_BURST => Lane::Bulk,
            (true, _) => Lane::Heartbeat,
            (false, true) => Lane::Bulk,
            (false, false) => return None,
        };
        self.burst = if lane == Lane::Heartbeat && bulk { self.burst + 1 } else { 0 };
        let queue = self.queue(lane);
        queue.running += 1;
        queue.ready.pop_front()
    }

    /// Whether a task that comes now could start at once and before none that is ready.
    #[inline]
    pub(crate) fn lets_by(&self, lane: Lane) -> bool {
        let (queue, quicker) = match lane {
            Lane::Heartbeat => (&self.heartbeat, None),
            Lane::Bulk => (&self.bulk, Some(&self.heartbeat)),
        };
        queue.ready.is_empty()
            && queue.running < lane.slots()
            && quicker.is_none_or(|quicker| quicker.ready.is_empty())
    }

    /// Gives a slot to a task that has started without having been in its lane ([`Self::lets_by`]).
    pub(crate) fn occupy(&mut self, lane: Lane) {
        self.queue(lane).running += 1;
    }

    /// Gives the slot of a started task back.
    pub(crate) fn finish(&mut self, lane: Lane) {
        self.queue(lane).running -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_starts_before_bulk_that_came_first() {
        let mut lanes = Lanes::new();
        lanes.enqueue(Lane::Bulk, 1);
        lanes.enqueue(Lane::Bulk, 2);
        lanes.enqueue(Lane::Heartbeat, 3);
        let order: Vec<_> = std::iter::from_fn(|| lanes.start_next()).collect();
        assert_eq!(order, [3, 1, 2]);
    }

    #[test]
    fn bulk_never_takes_the_heartbeats_slots() {
        let mut lanes = Lanes::new();
        for task in 0..1000 {
            lanes.enqueue(Lane::Bulk, task);
        }
        assert_eq!(std::iter::from_fn(|| lanes.start_next()).count(), limits::BULK_SLOTS);
        lanes.enqueue(Lane::Heartbeat, 5000);
        assert_eq!(lanes.start_next(), Some(5000));
        assert_eq!(lanes.start_next(), None);
        lanes.finish(Lane::Bulk);
        assert_eq!(lanes.start_next(), Some(u32::try_from(limits::BULK_SLOTS).unwrap()));
    }

    #[test]
    fn a_storm_of_heartbeats_lets_bulk_through() {
        let mut lanes = Lanes::new();
        lanes.enqueue(Lane::Bulk, 9999);
        let mut before = 0;
        loop {
            lanes.enqueue(Lane::Heartbeat, before);
            match lanes.start_next() {
                Some(9999) => break,
                Some(_) => lanes.finish(Lane::Heartbeat),
                None => unreachable!("both lanes have ready tasks"),
            }
            before += 1;
        }
        assert_eq!(before, limits::HEARTBEAT_BURST);
    }
}
