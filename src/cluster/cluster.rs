//! The hosts of a run and their work, as one machine.
//!
//! It works until it is told to stop; then it settles: hosts give back what they have and clear their
//! heartbeats. When nothing is in flight any more it reads back what lies on the unit, for checkers to
//! compare with what was acknowledged, and then it is over.

mod member;
mod read_back;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use pulsefield_checkers::{Event, HostId, OperationId};
use pulsefield_hosts::{
    Action, HostConfig, Io, IoId, LockOutcome, MountedVolume, Notice, OrderId, Outcome,
};
use pulsefield_units::Instant;

use crate::history::{Asked, UNIT, noticed};
use crate::work::{Deed, Presence, Work};
use crate::{Mix, Scratch};
use member::Member;
use read_back::ReadBack;

/// How long a bulk command may take. ESXi gives its virtual machines' commands longer; here nobody waits for
/// them, and a run that ends does not want to.
const BULK_TIMEOUT: Duration = Duration::from_secs(15);

/// How long hosts may take to settle once none is frozen: longer than a heartbeat that is recovered, and than
/// [`BULK_TIMEOUT`]. What is in flight then is given up, and nothing is read back.
const SETTLING_MAX: Duration = Duration::from_secs(40);

/// Orders that a host has open at most; further ones are not given.
const ORDERS_MAX: usize = 64;

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The hosts; [`HostId`]s count them from 0.
    pub hosts: Vec<HostConfig>,
    /// The volume that all of them mount.
    pub volume: MountedVolume,
    /// Where on the unit they work.
    pub scratch: Scratch,
    /// What they do.
    pub mix: Mix,
    /// Where all that is drawn comes from.
    pub seed: u64,
}

/// A command of a run, and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What a cluster wants done or told. To be taken in order, until there is none.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Do this, and tell its outcome exactly once.
    Submit {
        /// What the outcome is told with.
        ticket: Ticket,
        /// Who asks. After the last host comes one that reads back.
        host: HostId,
        /// What.
        io: Io,
        /// Abort it if it has not been answered for so long, and tell [`Outcome::TimedOut`] when the abort
        /// has been.
        timeout: Duration,
    },
    /// Tell the checkers, and whoever reports.
    Event(Event),
    /// Tell whoever reports what a host noticed. What checkers make of it follows as an event.
    Noticed {
        /// Which host.
        host: HostId,
        /// When.
        at: Instant,
        /// What.
        notice: Notice,
    },
    /// Tell whoever reports how something went that a host was told to do.
    OrderEnded {
        /// What it was for: "exclusive", "transaction".
        kind: &'static str,
        /// How it ended.
        outcome: LockOutcome,
        /// How long it took.
        took: Duration,
    },
}

/// Emulated hosts at work on one logical unit.
pub struct Cluster {
    members: Vec<Member>,
    volume: MountedVolume,
    scratch: Scratch,
    work: Work,
    phase: Phase,
    /// In the order in which they were sent, so that equal seeds give equal histories to the end.
    flights: BTreeMap<Ticket, Flight>,
    tickets: u64,
    orders: u64,
    effects: VecDeque<Effect>,
}

enum Phase {
    Working,
    Settling { until: Instant },
    ReadingBack(ReadBack),
    Over,
}

/// A command that is in flight.
struct Flight {
    whose: Whose,
    asked: Option<Asked>,
}

/// Who waits for a command.
#[derive(Clone, Copy, Debug)]
enum Whose {
    Host(HostId, IoId),
    Bulk(HostId),
    ReadBack,
}

impl Cluster {
    /// Hosts that start now, on a unit that is formatted.
    pub fn new(config: ClusterConfig, now: Instant) -> Self {
        let ClusterConfig { hosts, volume, scratch, mix, seed } = config;
        let members: Vec<_> =
            hosts.into_iter().map(|host| Member::new(host, &volume, now)).collect();
        let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
        let mut cluster = Self {
            members,
            volume,
            scratch,
            work: Work::new(&mix, seed, count, now),
            phase: Phase::Working,
            flights: BTreeMap::new(),
            tickets: 0,
            orders: 0,
            effects: VecDeque::new(),
        };
        cluster.collect(now);
        cluster
    }

    /// Ends all work. [`Cluster::is_over`] says when there is nothing to wait for any more.
    pub fn stop(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Working) {
            let frozen = self.members.iter().map(Member::thaws_at).max().unwrap_or_default();
            self.phase = Phase::Settling { until: frozen.max(now).after(SETTLING_MAX) };
            self.members.iter_mut().for_each(|member| member.leave(now));
            self.go_on(now);
        }
    }

    /// Gives up what is in flight, at once: the device is gone, or somebody cannot wait.
    pub fn abandon(&mut self, now: Instant) {
        self.phase = Phase::Over;
        for (_, flight) in std::mem::take(&mut self.flights) {
            let ended = flight.asked.map(|asked| asked.ended(now, &Outcome::Lost));
            self.effects.extend(ended.map(Effect::Event));
        }
    }

    /// Whether all is done. Effects may be left to be taken.
    pub const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Whether it does what its mix says.
    pub const fn is_working(&self) -> bool {
        matches!(self.phase, Phase::Working)
    }

    /// How many hosts are there that are neither crashed nor frozen.
    pub fn hosts_up(&self) -> usize {
        self.members.iter().filter(|member| member.is_up()).count()
    }

    /// What is to be done or told next.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Cluster::on_time`] is due.
    pub fn wake_at(&self) -> Option<Instant> {
        let members = self.members.iter().filter_map(Member::wake_at).min();
        let phase = match &self.phase {
            Phase::Working => self.work.due(),
            Phase::Settling { until } => Some(*until),
            Phase::ReadingBack(_) | Phase::Over => None,
        };
        members.into_iter().chain(phase).min()
    }

    /// Does what is due.
    pub fn on_time(&mut self, now: Instant) {
        self.members.iter_mut().for_each(|member| member.on_time(now));
        if matches!(self.phase, Phase::Working) {
            self.do_work(now);
        }
        self.go_on(now);
    }

    /// A command has ended. What is told a second time is not heard.
    pub fn on_done(&mut self, now: Instant, ticket: Ticket, outcome: Outcome) {
        let Some(Flight { whose, asked }) = self.flights.remove(&ticket) else { return };
        let ended = asked.map(|asked| asked.ended(now, &outcome));
        self.effects.extend(ended.map(Effect::Event));
        match whose {
            Whose::Host(host, io) => {
                if let Some(member) = self.member(host) {
                    member.on_done(now, io, outcome);
                }
            }
            Whose::Bulk(host) => {
                if let Some(member) = self.member(host) {
                    member.bulk_in_flight -= 1;
                }
            }
            Whose::ReadBack => {}
        }
        self.go_on(now);
    }

    fn member(&mut self, host: HostId) -> Option<&mut Member> {
        self.members.get_mut(usize::try_from(host.0).ok()?)
    }

    fn do_work(&mut self, now: Instant) {
        // Asked anew for each deed: a crash takes a host away from what follows.
        loop {
            let presence: Vec<Presence> = self.members.iter().map(Member::presence).collect();
            let Some(deed) = self.work.next(now, &self.scratch, &presence) else { return };
            self.carry_out(now, deed);
        }
    }

    fn carry_out(&mut self, now: Instant, deed: Deed) {
        match deed {
            Deed::Io { host, io } => {
                if let Some(member) = self.member(host) {
                    member.bulk_in_flight += 1;
                    self.submit(now, host, Whose::Bulk(host), io, BULK_TIMEOUT);
                }
            }
            Deed::Order { host, kind } => {
                self.orders += 1;
                let id = OrderId(self.orders);
                if let Some(member) = self.member(host)
                    && member.orders.len() < ORDERS_MAX
                {
                    member.order(now, id, kind);
                }
            }
            Deed::Crash { host, down } => {
                if let Some(member) = self.member(host) {
                    member.crash(now, down);
                }
            }
            Deed::Freeze { host, lasting } => {
                if let Some(member) = self.member(host) {
                    member.freeze(now, lasting);
                }
            }
            Deed::SwitchPulses { host } => {
                if let Some(member) = self.member(host) {
                    member.switch_pulses();
                }
            }
            Deed::SwitchLocking { host } => {
                if let Some(member) = self.member(host) {
                    member.switch_locking(now);
                }
            }
        }
        self.collect(now);
    }

    /// Takes what hosts want, and sees how far the run is.
    fn go_on(&mut self, now: Instant) {
        self.collect(now);
        let settled = || self.members.iter().all(Member::has_left) && self.flights.is_empty();
        match &self.phase {
            Phase::Settling { .. } if settled() => {
                self.effects.push_back(Effect::Event(Event::ReadBack { unit: UNIT, at: now }));
                let geometry = &self.volume.geometry;
                self.phase = Phase::ReadingBack(ReadBack::new(&self.scratch, geometry));
            }
            Phase::Settling { until } if *until <= now => self.abandon(now),
            Phase::Working | Phase::Settling { .. } | Phase::ReadingBack(_) | Phase::Over => {}
        }
        while let Phase::ReadingBack(read_back) = &mut self.phase {
            match read_back.next(self.flights.len()) {
                read_back::Next::Read(blocks) => {
                    let reader = HostId(u32::try_from(self.members.len()).unwrap_or(u32::MAX));
                    self.submit(now, reader, Whose::ReadBack, Io::Read(blocks), BULK_TIMEOUT);
                }
                read_back::Next::Wait => return,
                read_back::Next::Done => self.phase = Phase::Over,
            }
        }
    }

    fn collect(&mut self, now: Instant) {
        for nth in 0..self.members.len() {
            let host = HostId(u32::try_from(nth).unwrap_or(u32::MAX));
            while let Some(action) = self.members[nth].poll_action() {
                match action {
                    Action::Submit { id, io, timeout, .. } => {
                        self.submit(now, host, Whose::Host(host, id), io, timeout);
                    }
                    Action::Notice { at, notice } => self.notice(host, at, notice),
                }
            }
        }
    }

    fn notice(&mut self, host: HostId, at: Instant, notice: Notice) {
        let whose = |uuid| {
            let nth = self.members.iter().position(|member| member.uuid() == uuid)?;
            u32::try_from(nth).ok().map(HostId)
        };
        let frozen = |from| match usize::try_from(host.0).ok().and_then(|nth| self.members.get(nth))
        {
            Some(member) => member.frozen_between(from, at),
            None => Duration::ZERO,
        };
        let event = noticed(host, at, &notice, frozen, whose);
        if let Notice::Finished { order, outcome, took, .. } = notice
            && let Some(kind) = self.member(host).and_then(|member| member.orders.remove(&order))
        {
            self.effects.push_back(Effect::OrderEnded { kind, outcome, took });
        }
        self.effects.push_back(Effect::Noticed { host, at, notice });
        self.effects.extend(event.map(Effect::Event));
    }

    fn submit(&mut self, now: Instant, host: HostId, whose: Whose, io: Io, timeout: Duration) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let id = OperationId(ticket.0);
        let asked = Asked::new(id, host, now, &io, self.scratch.block_length);
        self.effects.extend(asked.as_ref().map(Asked::begun).map(Effect::Event));
        self.effects.push_back(Effect::Submit { ticket, host, io, timeout });
        self.flights.insert(ticket, Flight { whose, asked });
    }
}

#[cfg(test)]
mod tests;
