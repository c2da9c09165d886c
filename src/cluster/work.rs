//! What the hosts of a run are made to do: each kind of work draws from its own stream of the seed, and says
//! when it has something to do next. Time is passed in.

mod bulk;
mod collisions;
mod crash;
mod freeze;
mod growth;
mod offload;
mod power_on;
mod sharing;
mod status;
mod switching;
mod vmotion;

use std::collections::VecDeque;
use std::time::Duration;

use pulsefield_checkers::HostId;
use pulsefield_hosts::{Io, OrderKind};
use pulsefield_units::{self as units, BlockCount, Instant, LbaRange, Random};

pub use bulk::Bulk;
pub use collisions::Collisions;
pub use crash::Crash;
pub use freeze::Freeze;
pub use growth::Growth;
pub use offload::Offload;
pub use power_on::PowerOn;
pub use sharing::Sharing;
pub use status::Status;
pub use switching::Switching;
pub use vmotion::VMotion;

use crate::{Mix, Scratch, TimeRange};

/// One thing to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Something with locks.
    Order {
        /// By whom.
        host: HostId,
        /// What.
        kind: OrderKind,
    },
    /// Bulk I/O, which no lock protects.
    Io {
        /// By whom.
        host: HostId,
        /// What.
        io: Io,
    },
    /// The host is gone at once, and comes back after so long.
    Crash {
        /// Which.
        host: HostId,
        /// How long.
        down: Duration,
    },
    /// The host does nothing and hears nothing for so long, and then goes on as if nothing had been.
    Freeze {
        /// Which.
        host: HostId,
        /// How long.
        lasting: Duration,
    },
    /// The host pulses by plain writes from now on if it did by ATS, and the reverse.
    SwitchPulses {
        /// Which.
        host: HostId,
    },
    /// The host does without ATS from now on if it had it, and the reverse.
    SwitchLocking {
        /// Which.
        host: HostId,
    },
}

/// How a host is, as far as work must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It works.
    Up {
        /// How many bulk I/Os of it are in flight.
        bulk_in_flight: u32,
    },
    /// It is crashed or frozen.
    Away,
}

/// What a kind of work sees of the run when it acts.
struct Stage<'a> {
    now: Instant,
    seed: u64,
    scratch: &'a Scratch,
    hosts: &'a [Presence],
    random: &'a mut Random,
    /// Where it puts what it wants done.
    deeds: &'a mut VecDeque<Deed>,
}

impl Stage<'_> {
    /// Any host that works.
    fn any_host(&mut self) -> Option<HostId> {
        let up = |host: &HostId| self.is_up(*host);
        let hosts: Vec<_> = self.host_ids().filter(up).collect();
        self.any_of(&hosts)
    }

    /// Any host that works and has fewer than so many bulk I/Os in flight.
    fn any_idle_host(&mut self, depth: u32) -> Option<HostId> {
        let hosts = self.idle_hosts(depth);
        self.any_of(&hosts)
    }

    /// The same, but not this one.
    fn any_idle_host_but(&mut self, one: HostId, depth: u32) -> Option<HostId> {
        let mut hosts = self.idle_hosts(depth);
        hosts.retain(|host| *host != one);
        self.any_of(&hosts)
    }

    fn idle_hosts(&self, depth: u32) -> Vec<HostId> {
        let idle = |(presence, host): (&Presence, HostId)| match presence {
            Presence::Up { bulk_in_flight } => (*bulk_in_flight < depth).then_some(host),
            Presence::Away => None,
        };
        self.hosts.iter().zip(self.host_ids()).filter_map(idle).collect()
    }

    fn any_of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        (!choices.is_empty()).then(|| self.random.pick(choices))
    }

    /// Any host that works, if more than half of all do: what takes one away leaves a majority.
    fn any_host_to_spare(&mut self) -> Option<HostId> {
        let away = self.hosts.iter().filter(|presence| **presence == Presence::Away).count();
        if (away + 1) * 2 > self.hosts.len() { None } else { self.any_host() }
    }

    fn is_up(&self, host: HostId) -> bool {
        let presence = usize::try_from(host.0).ok().and_then(|nth| self.hosts.get(nth));
        matches!(presence, Some(Presence::Up { .. }))
    }

    fn host_ids(&self) -> impl Iterator<Item = HostId> + use<> {
        let count = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        (0..count).map(HostId)
    }

    fn order(&mut self, host: HostId, kind: OrderKind) {
        self.deeds.push_back(Deed::Order { host, kind });
    }

    /// `count` different ones of the locks that all files share.
    fn resources(&mut self, count: u32) -> Vec<u64> {
        let mut left = self.scratch.resources.clone();
        let mut locks = Vec::new();
        for _ in 0..count {
            if left.is_empty() {
                break;
            }
            locks.push(left.swap_remove(self.random.index(left.len())));
        }
        locks
    }

    /// So many blocks somewhere in the region for bulk I/O, in steps of their own length.
    fn place(&mut self, bytes: u64) -> Option<LbaRange> {
        let region = self.scratch.bulk;
        let blocks = self.scratch.block_length.blocks_in(bytes).as_u64().max(1);
        let places = region.blocks().as_u64() / blocks;
        let first = BlockCount::new(self.random.below(places) * blocks);
        let range = LbaRange::new(region.start().checked_add(first)?, BlockCount::new(blocks))?;
        region.contains(range).then_some(range)
    }
}

/// A kind of work.
trait Source {
    /// When it wants to act next.
    fn due(&self) -> Instant;

    /// Acts, and is due later than now.
    fn act(&mut self, stage: &mut Stage<'_>);
}

/// All work of a run.
pub(crate) struct Work {
    sources: Vec<(Box<dyn Source>, Random)>,
    seed: u64,
    deeds: VecDeque<Deed>,
}

impl Work {
    /// What `mix` has `hosts` hosts do from `start` on.
    pub(crate) fn new(mix: &Mix, seed: u64, hosts: u32, start: Instant) -> Self {
        let mut sources: Vec<(Box<dyn Source>, Random)> = Vec::new();
        // A stream has the number of its kind of work, so that one kind draws the same whatever else is done.
        let mut add = |stream: u64, source: Option<Box<dyn Source>>| {
            sources.extend(source.map(|source| (source, stream_of(seed, stream))));
        };
        add(1, mix.power_on.map(|work| work.source(start)));
        add(2, mix.growth.map(|work| work.source(hosts, start)));
        add(3, mix.vmotion.map(|work| work.source(start)));
        add(4, mix.sharing.map(|work| work.source(hosts, start)));
        add(5, mix.crash.map(|work| work.source(start)));
        add(6, mix.freeze.map(|work| work.source(start)));
        add(7, mix.pulses.map(|work| work.source(start, |host| Deed::SwitchPulses { host })));
        add(8, mix.bulk.map(|work| work.source(hosts, start)));
        add(9, mix.offload.map(|work| work.source(hosts, start)));
        add(10, mix.lock_modes.map(|work| work.source(start, |host| Deed::SwitchLocking { host })));
        add(11, mix.status.map(|work| work.source(hosts, start)));
        add(12, mix.collisions.map(|work| work.source(start)));
        Self { sources, seed, deeds: VecDeque::new() }
    }

    /// When there is something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.deeds.is_empty() {
            true => self.sources.iter().map(|(source, _)| source.due()).min(),
            false => Some(Instant::default()),
        }
    }

    /// What is to be done by now; asked again until there is nothing.
    pub(crate) fn next(
        &mut self,
        now: Instant,
        scratch: &Scratch,
        hosts: &[Presence],
    ) -> Option<Deed> {
        if self.deeds.is_empty()
            && let Some((source, random)) =
                self.sources.iter_mut().find(|(source, _)| source.due() <= now)
        {
            let deeds = &mut self.deeds;
            source.act(&mut Stage { now, seed: self.seed, scratch, hosts, random, deeds });
        }
        self.deeds.pop_front()
    }
}

/// The numbers that a kind of work draws: its own, whatever others draw.
const fn stream_of(seed: u64, stream: u64) -> Random {
    Random::new(units::mix(seed ^ units::mix(stream)))
}

/// What has happened at random moments, so often for each host.
#[derive(Clone, Copy, Debug)]
struct Pace {
    every: TimeRange,
    due: Instant,
}

impl Pace {
    /// Of each of `hosts` hosts, once in `every`.
    fn of_each(hosts: u32, every: Duration, start: Instant) -> Self {
        let every = TimeRange::around((every / hosts.max(1)).max(Duration::from_micros(1)));
        Self { every, due: start }
    }

    /// Once in `every`, of all hosts together, and first after the first such time.
    fn of_all(every: Duration, start: Instant) -> Self {
        Self { every: TimeRange::around(every), due: start.after(every) }
    }

    fn next(&mut self, now: Instant, random: &mut Random) {
        self.due = now.after(self.every.draw(random));
    }
}

#[cfg(test)]
mod tests;
