//! The fabric between hosts and their device: how long everything takes to get there and back, and what
//! gets lost on the way.
//!
//! It does what Fibre Channel, iSCSI and SRP may do and nothing else. Commands and answers may be late,
//! overtake one another, and be lost; what is not answered in time is aborted. Nothing of a command that was
//! aborted arrives after its abort, which is what an exchange (FC), a RefCmdSN (iSCSI) or a queue pair (SRP) is
//! for; task management is repeated until it is answered, so here it is only late. What a host sends after a
//! crash waits until LIO has let go of what it sent before.

use std::collections::BTreeMap;
use std::time::Duration;

use pulsefield_checkers::HostId;
use pulsefield_embedded::{Data, Event, Nexus, Tag, Target};
use pulsefield_hosts::{Io, Outcome};
use pulsefield_initiator::{self as initiator, Command, Request, outcome};
use pulsefield_scsi::Sense;
use pulsefield_units::{BlockLength, Instant, Random};

use crate::agenda::Agenda;

/// How often LIO is asked whether a host that was gone may begin a new session.
const LOGIN_STEP: Duration = Duration::from_millis(100);

/// What a fabric does to what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weather {
    /// How long a frame takes at least and at most.
    pub(crate) delay: (Duration, Duration),
    /// One in so many commands or answers is lost; none if 0.
    pub(crate) lost: u64,
    /// One in so many frames takes longer, as long as this draws; none if 0.
    pub(crate) late: u64,
    /// How long such a frame takes.
    pub(crate) lateness: (Duration, Duration),
}

/// What a host asked for and has not heard of.
#[derive(Debug)]
struct Flight<T> {
    ticket: T,
    host: HostId,
    nexus: Nexus,
    request: Request,
    stage: Stage,
}

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// On its way to the target.
    Leaving,
    /// There.
    There(Tag),
    /// Its answer is on its way, or lost.
    Returning,
    /// It took too long. `Some` if it had arrived.
    Aborted(Option<Tag>),
}

/// What is on its way, by the number of its flight.
#[derive(Debug)]
enum Frame {
    /// To the target: a command, or a LOGICAL UNIT RESET.
    Command(u64),
    /// To the target: an abort.
    Abort(u64),
    /// To the host.
    Outcome(u64, Outcome),
    /// Nothing: the host has waited for long enough.
    TimeOut(u64),
}

/// The sessions of one host, one after the other.
#[derive(Clone, Copy, Debug, Default)]
struct Session {
    /// How many were lost.
    lost: u32,
}

impl Session {
    fn nexus(self, host: HostId) -> Nexus {
        Nexus((host.0 << 16) | self.lost)
    }

    /// Those that were lost.
    fn before(self, host: HostId) -> impl Iterator<Item = Nexus> {
        (0..self.lost).map(move |lost| Self { lost }.nexus(host))
    }
}

/// The fabric, and what is on its way. `T` is what hosts know their I/O by.
#[derive(Debug)]
pub(crate) struct Fabric<T> {
    weather: Weather,
    block_length: BlockLength,
    random: Random,
    frames: Agenda<Frame>,
    flights: BTreeMap<u64, Flight<T>>,
    next_flight: u64,
    /// Which flight a command or a task management function at the target is of.
    tags: BTreeMap<Tag, u64>,
    sessions: BTreeMap<HostId, Session>,
}

impl<T: Copy> Fabric<T> {
    /// A fabric over which nothing goes yet, to a unit with blocks of this length.
    pub(crate) fn new(weather: Weather, block_length: BlockLength, random: Random) -> Self {
        Self {
            weather,
            block_length,
            random,
            frames: Agenda::default(),
            flights: BTreeMap::new(),
            next_flight: 0,
            tags: BTreeMap::new(),
            sessions: BTreeMap::new(),
        }
    }

    /// Has a host ask for something; [`Self::step`] says what became of it.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        host: HostId,
        ticket: T,
        io: Io,
        timeout: Duration,
    ) {
        let nexus = self.sessions.entry(host).or_default().nexus(host);
        let id = self.next_flight;
        self.next_flight += 1;
        let request = Request::new(io, self.block_length, None);
        let request = request.expect("no host asks for more than a command can do");
        let is_reset = request == Request::LogicalUnitReset;
        self.flights.insert(id, Flight { ticket, host, nexus, request, stage: Stage::Leaving });
        // A reset is not lost and has no time-out: it is done when all that it ends has ended.
        if !is_reset {
            self.frames.put(now.after(timeout), Frame::TimeOut(id));
        }
        if is_reset || !self.loses() {
            self.carry(now, Frame::Command(id));
        }
    }

    /// Has a host be gone; returns what it waits for, of which nobody hears any more.
    pub(crate) fn lose(&mut self, host: HostId, target: &mut Target) -> Vec<T> {
        let session = self.sessions.entry(host).or_default();
        target.lose(session.nexus(host));
        session.lost += 1;
        let gone: Vec<_> = self.flights.extract_if(.., |_, flight| flight.host == host).collect();
        self.tags.retain(|_, id| self.flights.contains_key(id));
        gone.into_iter().map(|(_, flight)| flight.ticket).collect()
    }

    /// When the next frame arrives somewhere.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.frames.next_at()
    }

    /// Has what is due arrive; returns the next thing that a host hears, if one does.
    pub(crate) fn step(&mut self, now: Instant, target: &mut Target) -> Option<(T, Outcome)> {
        while let Some(frame) = self.frames.due(now) {
            match frame {
                Frame::Command(id) => self.arrive(now, id, target),
                Frame::Abort(id) => self.abort(now, id, target),
                Frame::TimeOut(id) => self.time_out(now, id),
                Frame::Outcome(id, outcome) => {
                    let is_aborted = |flight: &Flight<T>| matches!(flight.stage, Stage::Aborted(_));
                    let aborted = self.flights.get(&id).is_none_or(is_aborted);
                    // Of what it aborts a host hears only that.
                    if aborted && outcome != Outcome::TimedOut {
                        continue;
                    }
                    if let Some(flight) = self.flights.remove(&id) {
                        return Some((flight.ticket, outcome));
                    }
                }
            }
        }
        None
    }

    /// Takes what the target tells.
    pub(crate) fn take(&mut self, now: Instant, event: Event) {
        let (Event::Answered { tag, .. } | Event::Managed { tag, .. }) = &event;
        let Some(id) = self.tags.remove(tag) else { return };
        let Some(flight) = self.flights.get_mut(&id) else { return };
        let outcome = match event {
            Event::Managed { .. } if flight.request == Request::LogicalUnitReset => {
                Outcome::Good(Vec::new())
            }
            Event::Managed { .. } => Outcome::TimedOut,
            // The answer to its abort is what its host hears.
            Event::Answered { .. } if matches!(flight.stage, Stage::Aborted(_)) => return,
            Event::Answered { status, sense, data_in, .. } => {
                flight.stage = Stage::Returning;
                if self.loses() {
                    return;
                }
                let sense = sense.and_then(|sense| Sense::decode(&sense));
                outcome(status, sense, data_in)
            }
        };
        self.carry(now, Frame::Outcome(id, outcome));
    }

    fn arrive(&mut self, now: Instant, id: u64, target: &mut Target) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        if flight.stage != Stage::Leaving {
            return;
        }
        let session = self.sessions.get(&flight.host).copied().unwrap_or_default();
        if session.before(flight.host).any(|nexus| target.is_busy_for(nexus)) {
            self.frames.put(now.after(LOGIN_STEP), Frame::Command(id));
            return;
        }
        let tag = submit(now, flight.nexus, &mut flight.request, target);
        flight.stage = Stage::There(tag);
        self.tags.insert(tag, id);
    }

    fn time_out(&mut self, now: Instant, id: u64) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        flight.stage = Stage::Aborted(match flight.stage {
            Stage::There(tag) => Some(tag),
            Stage::Leaving | Stage::Returning | Stage::Aborted(_) => None,
        });
        self.carry(now, Frame::Abort(id));
    }

    fn abort(&mut self, now: Instant, id: u64, target: &mut Target) {
        let Some(flight) = self.flights.get(&id) else { return };
        match flight.stage {
            Stage::Aborted(Some(command)) => {
                let tag = target.abort(flight.nexus, command);
                self.tags.remove(&command);
                self.tags.insert(tag, id);
            }
            // It never came, or was answered.
            Stage::Aborted(None) | Stage::Leaving | Stage::There(_) | Stage::Returning => {
                self.carry(now, Frame::Outcome(id, Outcome::TimedOut));
            }
        }
    }

    fn loses(&mut self) -> bool {
        self.random.one_in(self.weather.lost)
    }

    /// Has a frame be on its way for as long as the weather wants.
    fn carry(&mut self, now: Instant, frame: Frame) {
        let Weather { delay, late, lateness, .. } = self.weather;
        let (shortest, longest) = if self.random.one_in(late) { lateness } else { delay };
        let takes = self.random.between(shortest, longest);
        self.frames.put(now.after(takes), frame);
    }
}

/// Sends a request that is sent no second time: its data goes with it.
pub(crate) fn submit(
    now: Instant,
    nexus: Nexus,
    request: &mut Request,
    target: &mut Target,
) -> Tag {
    let Request::Command(Command { cdb, data }) = request else { return target.reset(nexus) };
    let data = match data {
        initiator::Data::None => Data::None,
        initiator::Data::In(bytes) => Data::In(*bytes),
        initiator::Data::Out(bytes) => Data::Out(std::mem::take(bytes)),
    };
    target.submit(now, nexus, cdb, data)
}

#[cfg(test)]
mod tests {
    use pulsefield_embedded::Options;

    use super::*;

    /// Nothing is ever answered: there is no daemon.
    #[test]
    fn every_command_has_one_outcome_whatever_happens_to_it() {
        let millis = Duration::from_millis;
        let weather = Weather {
            delay: (millis(1), millis(50)),
            lost: 3,
            late: 4,
            lateness: (millis(500), millis(3_000)),
        };
        let mut target = Target::new(Options::default()).unwrap();
        let mut fabric = Fabric::new(weather, BlockLength::B512, Random::new(1));
        for ticket in 0..100 {
            fabric.send(
                Instant::default(),
                HostId(ticket % 3),
                ticket,
                Io::TestUnitReady,
                millis(1_000),
            );
        }
        let mut gone = fabric.lose(HostId(2), &mut target);
        assert_eq!(gone.len(), 33);
        let next = |fabric: &Fabric<u32>, target: &Target| {
            [fabric.wake_at(), target.wake_at()].into_iter().flatten().min()
        };
        while let Some(now) = next(&fabric, &target) {
            while let Some((ticket, outcome)) = fabric.step(now, &mut target) {
                assert_eq!(outcome, Outcome::TimedOut);
                gone.push(ticket);
            }
            target.tick(now);
            while let Some(event) = target.event() {
                fabric.take(now, event);
            }
        }
        gone.sort_unstable();
        assert!(gone.into_iter().eq(0..100));
    }
}
