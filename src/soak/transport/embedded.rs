//! Hosts on a logical unit within the process: what serves a ring of the kernel, over a ring whose other side
//! is here as well. No root, no kernel module, and time may be virtual.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::thread;
use std::time::Duration;

use pulsefield_checkers::HostId;
use pulsefield_cluster::Ticket;
use pulsefield_embedded::{Data, EmbeddedConductor, Event, Nexus, Tag, Target};
use pulsefield_hosts::{Io, Outcome};
use pulsefield_initiator::{self as initiator, Command, Request, outcome};
use pulsefield_scsi::Sense;
use pulsefield_units::{self as units, BlockLength, Instant, Random};

use crate::area::Area;
use crate::clock;
use crate::faults::{FaultError, Faults, PlanFile, RuleHits};
use crate::transport::{Happening, Transport, TransportError};

/// How long a command is on its way to the target: as in a fabric that is not too busy. Without that, what hosts
/// do would never meet.
const WAY: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(1));

/// What time is for a run within the process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Time {
    /// What the machine's clock says.
    Real,
    /// As fast as it can be computed: when nothing is to be done, it is later at once.
    Virtual(Instant),
}

/// The initiators' side of an embedded unit.
pub(crate) struct EmbeddedTransport<'u> {
    target: Target,
    conductor: EmbeddedConductor<'u>,
    block_length: BlockLength,
    time: Time,
    /// What makes commands of several hosts overlap.
    random: Random,
    /// Commands on their way to the target, by when they are there.
    on_the_way: BTreeMap<(Instant, Ticket), OnTheWay>,
    commands: BTreeMap<Tag, InFlight>,
    /// When each command is to be aborted.
    deadlines: BTreeSet<(Instant, Tag)>,
    /// Task management functions, and what they end.
    functions: BTreeMap<Tag, Function>,
    ended: VecDeque<Happening>,
}

struct OnTheWay {
    nexus: Nexus,
    command: Command,
    deadline: Instant,
}

struct InFlight {
    ticket: Ticket,
    nexus: Nexus,
    deadline: Instant,
}

enum Function {
    Abort(Ticket),
    /// A reset, and the commands of its own nexus that it ends.
    Reset {
        ticket: Ticket,
        ended: Vec<Ticket>,
    },
}

impl<'u> EmbeddedTransport<'u> {
    /// Ways to a unit that `conductor` serves behind `target`.
    pub(crate) const fn new(
        target: Target,
        conductor: EmbeddedConductor<'u>,
        block_length: BlockLength,
        time: Time,
        seed: u64,
    ) -> Self {
        Self {
            target,
            conductor,
            block_length,
            time,
            random: Random::new(units::mix(seed)),
            on_the_way: BTreeMap::new(),
            commands: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            functions: BTreeMap::new(),
            ended: VecDeque::new(),
        }
    }

    /// Has the target have what is there by now.
    fn arrive(&mut self, now: Instant) {
        while let Some(((there, ticket), _)) = self.on_the_way.first_key_value()
            && *there <= now
        {
            let ticket = *ticket;
            let Some((_, OnTheWay { nexus, command, deadline })) = self.on_the_way.pop_first()
            else {
                return;
            };
            let data = match command.data {
                initiator::Data::None => Data::None,
                initiator::Data::In(expected) => Data::In(expected),
                initiator::Data::Out(out) => Data::Out(out),
            };
            let tag = self.target.submit(now, nexus, &command.cdb, data);
            self.commands.insert(tag, InFlight { ticket, nexus, deadline });
            self.deadlines.insert((deadline, tag));
        }
    }

    fn serve(&mut self, now: Instant) -> Result<(), TransportError> {
        self.arrive(now);
        let broken = |error| TransportError::Embedded(Box::new(error));
        self.target.serve(now, &mut self.conductor).map_err(broken)?;
        self.target.tick(now);
        while let Some(event) = self.target.event() {
            self.hear(event);
        }
        Ok(())
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Answered { tag, status, sense, data_in, .. } => {
                let Some(InFlight { ticket, deadline, .. }) = self.commands.remove(&tag) else {
                    return;
                };
                self.deadlines.remove(&(deadline, tag));
                let sense = sense.and_then(|sense| Sense::decode(&sense));
                let outcome = outcome(status, sense, data_in);
                self.ended.push_back(Happening::Ended { ticket, outcome });
            }
            Event::Managed { tag, .. } => match self.functions.remove(&tag) {
                Some(Function::Abort(ticket)) => {
                    self.ended.push_back(Happening::Ended { ticket, outcome: Outcome::TimedOut });
                }
                Some(Function::Reset { ticket, ended }) => {
                    let lost = |ticket| Happening::Ended { ticket, outcome: Outcome::Lost };
                    self.ended.extend(ended.into_iter().map(lost));
                    self.ended
                        .push_back(Happening::Ended { ticket, outcome: Outcome::Good(Vec::new()) });
                }
                None => {}
            },
        }
    }

    /// Aborts what has not been answered for too long.
    fn abort_late(&mut self, now: Instant) -> bool {
        let mut aborted = false;
        while let Some((deadline, tag)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.deadlines.pop_first();
            let Some(InFlight { ticket, nexus, .. }) = self.commands.remove(&tag) else { continue };
            let function = self.target.abort(nexus, tag);
            self.functions.insert(function, Function::Abort(ticket));
            aborted = true;
        }
        aborted
    }

    fn reset(&mut self, ticket: Ticket, nexus: Nexus) {
        let own: Vec<Tag> = self
            .commands
            .iter()
            .filter(|(_, in_flight)| in_flight.nexus == nexus)
            .map(|(tag, _)| *tag)
            .collect();
        let function = self.target.reset(nexus);
        let mut ended = Vec::new();
        for tag in own {
            if let Some(InFlight { ticket, deadline, .. }) = self.commands.remove(&tag) {
                self.deadlines.remove(&(deadline, tag));
                ended.push(ticket);
            }
        }
        self.functions.insert(function, Function::Reset { ticket, ended });
    }

    /// When there is something to do if nothing is sent before.
    fn wake_at(&mut self) -> Option<Instant> {
        let deadline = self.deadlines.first().map(|(deadline, _)| *deadline);
        let there = self.on_the_way.first_key_value().map(|((there, _), _)| *there);
        let unit = [self.target.wake_at(), self.conductor.wake_at()];
        unit.into_iter().chain([deadline, there]).flatten().min()
    }

    fn sleep_until(&mut self, moment: Instant) {
        match &mut self.time {
            Time::Real => thread::sleep(moment.since(clock::now())),
            Time::Virtual(now) => *now = moment.max(*now),
        }
    }
}

impl Transport for EmbeddedTransport<'_> {
    fn now(&self) -> Instant {
        match self.time {
            Time::Real => clock::now(),
            Time::Virtual(now) => now,
        }
    }

    /// One thread does all: there are no lanes.
    fn set_out(&mut self, _area: &Area) {}

    fn submit(&mut self, ticket: Ticket, host: HostId, io: Io, timeout: Duration) {
        let (now, nexus) = (self.now(), Nexus(host.0));
        let command = match Request::new(io, self.block_length, None) {
            Ok(Request::Command(command)) => command,
            Ok(Request::LogicalUnitReset) => return self.reset(ticket, nexus),
            Err(error) => unreachable!("hosts ask for what one command can do: {error}"),
        };
        let there = now.after(self.random.between(WAY.0, WAY.1));
        let deadline = now.after(timeout);
        self.on_the_way.insert((there, ticket), OnTheWay { nexus, command, deadline });
    }

    fn wait(&mut self, until: Instant) -> Result<Option<Happening>, TransportError> {
        loop {
            if let Some(ended) = self.ended.pop_front() {
                return Ok(Some(ended));
            }
            let now = self.now();
            self.serve(now)?;
            if self.abort_late(now) {
                self.serve(now)?;
            }
            if !self.ended.is_empty() {
                continue;
            }
            if until <= now {
                return Ok(None);
            }
            let next = self.wake_at().map_or(until, |due| due.min(until));
            // A unit that wants to be woken in the past is to be turned once more, a little later.
            self.sleep_until(next.max(now.after(Duration::from_micros(1))));
        }
    }
}

impl Faults for EmbeddedTransport<'_> {
    /// It ends with the process, whatever that ends of.
    fn arm(&mut self, plan: &PlanFile, _lasting: Duration) -> Result<(), FaultError> {
        self.conductor.arm(plan.plan.clone());
        Ok(())
    }

    fn disarm(&mut self, plan: &PlanFile) -> Result<Vec<RuleHits>, FaultError> {
        let report = self.conductor.faults(u64::MAX);
        self.conductor.disarm();
        let armed = report.plans.last();
        let rules = armed.map_or(&[][..], |armed| &armed.rules);
        let hits = |position| {
            let rule = rules.iter().find(|rule| rule.position == position);
            let (hits, effects) = rule.map_or((0, 0), |rule| (rule.hits, rule.effects));
            RuleHits { position, hits, effects }
        };
        Ok((0..plan.plan.rules.len()).map(hits).collect())
    }
}
