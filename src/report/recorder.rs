//! What listens while a soak runs, in memory that does not grow with its length.
//!
//! A host takes less than half a MiB, whatever else there is less than 6 MiB. Everything over time is a
//! [`timeline`](timeline::Timeline), of which only the newest detail is lost; lists keep their first entries
//! and count the others.

mod causes;
mod commands;
mod latencies;
mod locks;
mod orders;
mod pulses;
#[cfg(test)]
mod tests;
mod timeline;
mod verdicts;

use std::collections::BTreeMap;
use std::time::Duration;

use pulsefield_checkers::{Event, HostId, Promise, UnitId, Verdict};
use pulsefield_units::Instant;

use crate::run::{
    End, Expectation, Explanation, Fault, Host, INCIDENTS_MAX, Incident, Judgement, Run, Setup,
    View,
};
use causes::Causes;
use commands::AllCommands;
use latencies::Recorded;
use locks::Handovers;
use orders::AllOrders;
use pulses::HostPulses;

/// Records a run. Tell it all that the checkers are told, and what only you know.
#[derive(Debug)]
pub struct Recorder {
    setup: Setup,
    began: Instant,
    heartbeats: Recorded,
    pulses: BTreeMap<HostId, HostPulses>,
    handovers: Handovers,
    orders: AllOrders,
    commands: AllCommands,
    causes: Causes,
    incidents: Vec<Incident>,
    incidents_total: u64,
}

/// Why one COMPARE AND WRITE miscompared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Who was told so.
    pub host: Option<HostId>,
    /// What it was about: "heartbeat slot 12 of esx03". Hosts may stand here by their UUIDs.
    pub about: String,
    /// What was expected and found, and who wrote that: one or more lines. The same holds.
    pub text: String,
}

/// What is known when a run is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Conclusion {
    /// How it ended.
    pub end: End,
    /// What is concluded.
    pub judgement: Judgement,
    /// What the checkers said.
    pub verdicts: Vec<Verdict>,
    /// Why promises were not checked, or what of them cannot be seen.
    pub notes: Vec<(Promise, String)>,
    /// What followed from faults, held against what their plan declares.
    pub expectations: Vec<Expectation>,
    /// What was armed, and when.
    pub faults: Vec<Fault>,
}

impl Recorder {
    /// Records a run that begins now.
    pub fn new(setup: Setup, began: Instant) -> Self {
        let mut commands = AllCommands::default();
        for unit in &setup.units {
            commands.block_bytes(UnitId(unit.id), unit.block_bytes);
        }
        Self {
            setup,
            began,
            heartbeats: Recorded::default(),
            pulses: BTreeMap::new(),
            handovers: Handovers::default(),
            orders: AllOrders::default(),
            commands,
            causes: Causes::default(),
            incidents: Vec::new(),
            incidents_total: 0,
        }
    }

    /// There is another host, or more is known of one.
    pub fn host(&mut self, host: Host) {
        match self.setup.hosts.iter_mut().find(|known| known.id == host.id) {
            Some(known) => *known = host,
            None => self.setup.hosts.push(host),
        }
    }

    /// Hears what the checkers hear.
    pub fn observe(&mut self, event: &Event) {
        match event {
            Event::Operation(operation) => {
                let ended = operation.returned.unwrap_or(operation.invoked);
                self.commands.take(ended.since(self.began), operation);
            }
            Event::Pulse(pulse) => {
                let at = pulse.invoked.since(self.began);
                self.heartbeats.add(at, pulse.returned.since(pulse.invoked));
                self.pulses.entry(pulse.host).or_default().take(at, pulse);
            }
            Event::Taken(claim) => self.handovers.taken(claim.at.since(self.began), claim),
            Event::Left(claim) => self.handovers.left(claim),
            Event::Forgotten { host, at } => {
                if let Some(pulses) = self.pulses.get_mut(host) {
                    pulses.pause();
                }
                self.incident(*at, Some(*host), "lost or gave up all that it had");
            }
            Event::DeclaredDead { host, by, at, .. } => {
                let what = format!("was declared dead by {}", self.names().host(*by));
                self.incident(*at, Some(*host), what);
            }
            // What begins is counted when it ends; what is read back is read as everything else is; and of a
            // gap whoever knows why it is there tells.
            Event::Begun(_) | Event::ReadBack { .. } | Event::Gap { .. } => {}
        }
    }

    /// A host was told to do something, which ended so after so long.
    pub fn order(&mut self, kind: &str, outcome: &str, took: Duration) {
        self.orders.count(kind, outcome, took);
    }

    /// A COMPARE AND WRITE miscompared, for this cause and with this advice, seen from this side. It is
    /// `explain`ed only if there is room for one more of the cause. May be told late: also at the end.
    pub fn miscompare(
        &mut self,
        at: Instant,
        view: View,
        (cause, advice): (&str, &str),
        explain: impl FnOnce() -> Found,
    ) {
        let names = Names { setup: &self.setup, began: self.began };
        self.causes.count(at.since(self.began), view, (cause, advice), |id| {
            let Found { host, about, text } = explain();
            let host = host.map(|host| names.host(host));
            let (about, text) = (names.by_name(about), names.by_name(text));
            Explanation { id, at_ms: names.at_ms(at), host, about, text }
        });
    }

    /// Something happened, to one host or to all.
    pub fn incident(&mut self, at: Instant, host: Option<HostId>, what: impl Into<String>) {
        self.incidents_total += 1;
        if self.incidents.len() < INCIDENTS_MAX {
            let (at_ms, host) = (self.at_ms(at), host.map(|host| self.names().host(host)));
            self.incidents.push(Incident { at_ms, host, what: what.into() });
        }
    }

    /// Milliseconds from the run's beginning to a moment.
    pub fn at_ms(&self, at: Instant) -> u64 {
        self.names().at_ms(at)
    }

    /// The run is over.
    pub fn finish(mut self, at: Instant, conclusion: Conclusion) -> Run {
        let lasted = at.since(self.began);
        let lasted_ms = self.at_ms(at);
        let names = Names { setup: &self.setup, began: self.began };
        let Conclusion { end, judgement, verdicts, mut notes, expectations, faults } = conclusion;
        let mut note_of = |promise| {
            let nth = notes.iter().position(|(of, _)| *of == promise)?;
            Some(notes.swap_remove(nth).1)
        };
        let promises = verdicts.into_iter().map(|verdict| {
            let note = note_of(verdict.promise);
            verdicts::promise(verdict, note, &names)
        });
        let promises = promises.collect();
        let pulses = self.setup.hosts.iter().map(|host| {
            let pulses = self.pulses.remove(&HostId(host.id)).unwrap_or_default();
            pulses.finish(host.id, lasted)
        });
        let pulses = pulses.collect();
        Run {
            lasted_ms,
            end,
            judgement,
            promises,
            expectations,
            faults,
            heartbeats: self.heartbeats.finish(lasted),
            pulses,
            handovers: self.handovers.finish(lasted),
            orders: self.orders.finish(),
            commands: self.commands.finish(lasted),
            causes: self.causes.finish(lasted),
            incidents: self.incidents,
            incidents_total: self.incidents_total,
            setup: self.setup,
        }
    }

    const fn names(&self) -> Names<'_> {
        Names { setup: &self.setup, began: self.began }
    }
}

/// Numbers and moments of events as people know them.
struct Names<'r> {
    setup: &'r Setup,
    began: Instant,
}

impl Names<'_> {
    fn host(&self, id: HostId) -> String {
        if id == HostId::SOMEBODY {
            return "somebody".to_owned();
        }
        let host = self.setup.hosts.iter().find(|host| host.id == id.0);
        host.map_or_else(|| format!("host {}", id.0), |host| host.name.clone())
    }

    /// The same with names where UUIDs of hosts stand.
    fn by_name(&self, text: String) -> String {
        let uuids = self.setup.hosts.iter().filter(|host| !host.uuid.is_empty());
        uuids.fold(text, |text, host| text.replace(&host.uuid, &host.name))
    }

    fn unit(&self, id: UnitId) -> String {
        let unit = self.setup.units.iter().find(|unit| unit.id == id.0);
        unit.map_or_else(|| format!("unit {}", id.0), |unit| unit.name.clone())
    }

    fn at_ms(&self, at: Instant) -> u64 {
        u64::try_from(at.since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}
