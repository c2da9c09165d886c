//! Hosts on devices of the machine, by the kernel's SCSI pass-through.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Select, unbounded};
use pulsefield_checkers::HostId;
use pulsefield_cluster::Ticket;
use pulsefield_hosts::Io;
use pulsefield_initiator::{
    Device, Event, Initiator, Lane, Naa, Request, Settings, SgDevice, Submission,
};
use pulsefield_units::{BlockLength, Instant, Lba};

use crate::area::Area;
use crate::clock;
use crate::faults::{DaemonFaults, FaultError, Faults, PlanFile, RuleHits};
use crate::hosts::name;
use crate::transport::{Happening, Transport, TransportError};

/// Two of metadata and four of bulk at a time for each host and path: with many hosts there are many threads.
const SETTINGS: Settings = Settings {
    metadata: NonZeroUsize::new(2).unwrap(),
    bulk: NonZeroUsize::new(4).unwrap(),
    probe_interval: Duration::from_secs(1),
};

/// For how long a unit must be gone on all paths until nobody waits for it any more. Longer than a controller
/// takes to fail over.
const GONE_AFTER: Duration = Duration::from_secs(90);

/// The initiators of all hosts.
pub(crate) struct DeviceTransport {
    hosts: Vec<HostPaths>,
    naa: Option<Naa>,
    block_length: BlockLength,
    lanes: Lanes,
    /// What finds no room in its lane: which host's, in the order in which it came.
    waiting: VecDeque<(usize, Lane, Submission<Ticket>)>,
    happened: VecDeque<Happening>,
    /// Since when no host has a path.
    gone: Option<Instant>,
    faults: DaemonFaults,
}

/// Ways of one host.
struct HostPaths {
    initiator: Initiator<Ticket>,
    events: Receiver<Event<Ticket>>,
    /// What each path is called, and whether it is lost.
    paths: Vec<(String, bool)>,
}

/// Which blocks go by which lane. Before it is known where things are, all is metadata.
#[derive(Clone, Copy, Debug, Default)]
struct Lanes {
    heartbeats: (u64, u64),
    bulk: (u64, u64),
}

impl Lanes {
    fn of(area: &Area) -> Self {
        let geometry = &area.volume.geometry;
        let range = geometry.heartbeats.range();
        let lba = |offset| geometry.block_length.blocks_in(geometry.start + offset).as_u64();
        let bulk = area.scratch.bulk;
        Self {
            heartbeats: (lba(range.start), lba(range.end)),
            bulk: (bulk.start().as_u64(), bulk.end().as_u64()),
        }
    }

    fn lane(&self, io: &Io) -> Lane {
        let of = |lba: Lba| match lba.as_u64() {
            lba if (self.heartbeats.0..self.heartbeats.1).contains(&lba) => Lane::Heartbeat,
            lba if (self.bulk.0..self.bulk.1).contains(&lba) => Lane::Bulk,
            _ => Lane::Metadata,
        };
        match io {
            Io::Read(blocks) => of(blocks.start()),
            Io::Write { lba, .. } | Io::CompareAndWrite { lba, .. } => of(*lba),
            Io::Unmap(_) | Io::WriteZeros(_) | Io::LbaStatus(_) | Io::Copy { .. } => Lane::Bulk,
            Io::Reserve
            | Io::Release
            | Io::TestUnitReady
            | Io::BlockLimits
            | Io::LogicalUnitReset => Lane::Metadata,
        }
    }
}

impl DeviceTransport {
    /// Starts `hosts` hosts on a unit, spread over its paths, each with `paths_each` of them at most.
    ///
    /// # Errors
    /// If the operating system has no thread left.
    ///
    /// # Panics
    /// If there is no path.
    pub(crate) fn start(
        hosts: u32,
        paths: &[Arc<SgDevice>],
        paths_each: usize,
        naa: Option<Naa>,
        block_length: BlockLength,
        faults: DaemonFaults,
    ) -> io::Result<Self> {
        let start = |nth: u32| {
            let first = usize::try_from(nth).unwrap_or(0) % paths.len();
            let order = paths.iter().cycle().skip(first).take(paths.len().min(paths_each));
            let devices = order.clone().map(|path| Arc::clone(path) as Arc<dyn Device>).collect();
            let names = order.map(|path| (path.path().node().display().to_string(), false));
            let (sender, events) = unbounded();
            let initiator = Initiator::start(&name(nth), devices, SETTINGS, sender)?;
            Ok(HostPaths { initiator, events, paths: names.collect() })
        };
        Ok(Self {
            hosts: (0..hosts).map(start).collect::<io::Result<_>>()?,
            naa,
            block_length,
            lanes: Lanes::default(),
            waiting: VecDeque::new(),
            happened: VecDeque::new(),
            gone: None,
            faults,
        })
    }

    fn send(&mut self, host: usize, lane: Lane, submission: Submission<Ticket>) {
        if let Err(submission) = self.hosts[host].initiator.submit(lane, submission) {
            self.waiting.push_back((host, lane, submission));
        }
    }

    fn send_waiting(&mut self) {
        for _ in 0..self.waiting.len() {
            if let Some((host, lane, submission)) = self.waiting.pop_front() {
                self.send(host, lane, submission);
            }
        }
    }

    /// Hears what has happened, without waiting.
    fn hear(&mut self) {
        for (nth, host) in self.hosts.iter_mut().enumerate() {
            let id = HostId(u32::try_from(nth).unwrap_or(u32::MAX));
            for event in host.events.try_iter() {
                let (path, is_lost, at) = match event {
                    Event::Done(done) => {
                        let (ticket, outcome) = (done.tag, done.outcome);
                        self.happened.push_back(Happening::Ended { ticket, outcome });
                        continue;
                    }
                    Event::PathLost { path, at } => (path, true, at),
                    Event::PathBack { path, at } => (path, false, at),
                };
                let (name, lost) = &mut host.paths[path];
                *lost = is_lost;
                let what = if is_lost { "lost the path" } else { "has again the path" };
                let what = format!("{what} {name}");
                self.happened.push_back(Happening::Path { at, host: id, what });
            }
        }
        let is_gone = self.hosts.iter().all(|host| host.paths.iter().all(|(_, lost)| *lost));
        self.gone = is_gone.then(|| self.gone.unwrap_or_else(clock::now));
    }

    /// Waits until something may have happened.
    fn listen(&self, until: Instant) {
        let mut select = Select::new();
        for host in &self.hosts {
            select.recv(&host.events);
        }
        // That nothing has happened by then is seen by whoever looks.
        let _ = select.ready_timeout(until.since(clock::now()));
    }
}

impl Transport for DeviceTransport {
    fn now(&self) -> Instant {
        clock::now()
    }

    fn set_out(&mut self, area: &Area) {
        self.lanes = Lanes::of(area);
    }

    fn submit(&mut self, ticket: Ticket, host: HostId, io: Io, timeout: Duration) {
        let host = usize::try_from(host.0).unwrap_or(0) % self.hosts.len();
        let lane = self.lanes.lane(&io);
        match Request::new(io, self.block_length, self.naa.as_ref()) {
            Ok(request) => self.send(host, lane, Submission { tag: ticket, request, timeout }),
            Err(error) => unreachable!("hosts ask for what one command can do: {error}"),
        }
    }

    fn wait(&mut self, until: Instant) -> Result<Option<Happening>, TransportError> {
        loop {
            if let Some(happened) = self.happened.pop_front() {
                return Ok(Some(happened));
            }
            self.send_waiting();
            self.hear();
            if !self.happened.is_empty() {
                continue;
            }
            let now = clock::now();
            if let Some(since) = self.gone
                && now.since(since) > GONE_AFTER
            {
                return Err(TransportError::Gone { seconds: GONE_AFTER.as_secs() });
            }
            if until <= now {
                return Ok(None);
            }
            self.listen(until);
        }
    }
}

impl Faults for DeviceTransport {
    fn arm(&mut self, plan: &PlanFile, lasting: Duration) -> Result<(), FaultError> {
        self.faults.arm(plan, lasting)
    }

    fn disarm(&mut self, plan: &PlanFile) -> Result<Vec<RuleHits>, FaultError> {
        self.faults.disarm(plan)
    }
}

#[cfg(test)]
mod tests {
    use pulsefield_units::{BlockCount, LbaRange};

    use super::*;

    #[test]
    fn a_command_takes_the_lane_of_its_blocks() {
        let lanes = Lanes { heartbeats: (100, 200), bulk: (1000, 2000) };
        let read = |first| {
            lanes.lane(&Io::Read(LbaRange::new(Lba::new(first), BlockCount::new(1)).unwrap()))
        };
        assert_eq!([99, 100, 199, 200].map(read), {
            use Lane::{Heartbeat, Metadata};
            [Metadata, Heartbeat, Heartbeat, Metadata]
        });
        assert_eq!([999, 1000, 1999, 2000].map(read), {
            use Lane::{Bulk, Metadata};
            [Metadata, Bulk, Bulk, Metadata]
        });
        assert_eq!(Lanes::default().lane(&Io::TestUnitReady), Lane::Metadata);
    }
}
