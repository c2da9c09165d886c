//! Hosts that do as a scene wants, what is to be found about it, and whether it is.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::cdb;
use crate::clock::Window;
use crate::disk::{COMMAND_LIMIT, Disk};
use crate::explain::{self, LateHeartbeat, Miscompare};
use crate::reply::Answer;
use crate::report::Report;
use crate::sg::{Data, Device};
use crate::tally::SECTOR;
use crate::vmfs::{self, Host};

pub(super) type Sector = [u8; SECTOR];

/// The stamps of two pulses are so far apart.
const PULSE_US: u64 = 3_000_000;

/// A host on one path.
pub(super) struct Writer {
    pub(super) host: Host,
    pub(super) device: Device,
}

impl Writer {
    /// Takes whatever unit attentions are pending on that path.
    pub(super) fn on(disk: &Disk, host: Host) -> Result<Self> {
        let device = disk.open()?;
        device.must(&cdb::TEST_UNIT_READY, Data::None)?;
        Ok(Self { host, device })
    }

    /// Sends one ATS and waits so long for its answer.
    pub(super) fn ats(
        &self,
        lba: u64,
        test: &Sector,
        set: &Sector,
        patience: Duration,
    ) -> Result<(Answer, Window)> {
        let (cdb, halves) = (cdb::compare_and_write(lba, 1), [*test, *set].concat());
        let (reply, window) =
            Window::around(|| Ok(self.device.execute(&cdb, Data::Out(&halves), patience)?))?;
        Ok((reply.answer(), window))
    }

    /// Sends one that succeeds; says while what it was under way.
    pub(super) fn wins(&self, lba: u64, test: &Sector, set: &Sector) -> Result<Window> {
        self.gets(Answer::Good, lba, test, set)
    }

    /// Sends one that miscompares; says while what it was under way.
    pub(super) fn loses(&self, lba: u64, test: &Sector, set: &Sector) -> Result<Window> {
        self.gets(Answer::MISCOMPARE, lba, test, set)
    }

    fn gets(&self, wanted: Answer, lba: u64, test: &Sector, set: &Sector) -> Result<Window> {
        let (answer, window) = self.ats(lba, test, set, COMMAND_LIMIT)?;
        ensure!(answer == wanted, "an ATS of host {} was answered {answer}", self.host);
        Ok(window)
    }
}

/// A host and its heartbeat.
pub(super) struct Pulsing {
    pub(super) writer: Writer,
    slot: u64,
    pulses: u64,
}

impl Pulsing {
    /// Puts its first heartbeat into the slot.
    pub(super) fn start(disk: &Disk, host: Host, slot: u64) -> Result<Self> {
        let pulsing = Self { writer: Writer::on(disk, host)?, slot, pulses: 0 };
        pulsing.writer.device.write_block(pulsing.lba(), &pulsing.image(0))?;
        Ok(pulsing)
    }

    pub(super) const fn lba(&self) -> u64 {
        vmfs::slot_lba(self.slot)
    }

    /// The slot after so many pulses.
    pub(super) fn image(&self, pulses: u64) -> Sector {
        vmfs::pulse(self.writer.host, self.slot, 1, pulses * PULSE_US)
    }

    /// The next pulse, which succeeds.
    pub(super) fn pulse(&mut self) -> Result<Window> {
        let (old, new) = (self.image(self.pulses), self.image(self.pulses + 1));
        self.pulses += 1;
        self.writer.wins(self.lba(), &old, &new)
    }

    /// The next pulse, which miscompares.
    pub(super) fn miscompares(&self) -> Result<Window> {
        self.writer.loses(self.lba(), &self.image(self.pulses), &self.image(self.pulses + 1))
    }

    /// The next pulse, for whose answer the host waits so long; it is not known whether it was applied.
    pub(super) fn try_to_pulse(&self, patience: Duration) -> Result<(Answer, Window)> {
        let (old, new) = (self.image(self.pulses), self.image(self.pulses + 1));
        self.writer.ats(self.lba(), &old, &new, patience)
    }
}

/// A MISCOMPARE that a scene has brought about, and what is to be found about it.
pub(super) struct Scripted {
    pub(super) scene: &'static str,
    pub(super) finding: &'static str,
    /// The host that sent it.
    pub(super) host: Host,
    /// While it was under way.
    pub(super) sent: Window,
    /// The moments that are named as evidence: where, and in which time they lie. Those of a command
    /// are in the time while it was under way.
    pub(super) moments: Vec<(&'static str, Window)>,
    /// What else the evidence says: where, and what.
    pub(super) facts: Vec<(&'static str, Value)>,
}

/// A late heartbeat that a scene has brought about, and where its time is to have gone.
pub(super) struct ScriptedLate {
    pub(super) scene: &'static str,
    pub(super) host: Host,
    /// While it was under way.
    pub(super) sent: Window,
    /// Where most of its time went.
    pub(super) longest: &'static str,
    /// For how long at least it waited for another command, and while what that one was under way.
    pub(super) behind: Option<(Duration, Window)>,
    /// The rule that did it.
    pub(super) rule: Option<&'static str>,
}

/// What was played on a unit.
#[derive(Default)]
pub(super) struct Script {
    pub(super) miscompares: Vec<Scripted>,
    pub(super) late: Vec<ScriptedLate>,
}

impl Script {
    /// Records whether what is explained of `lun` is just that.
    pub(super) fn judge(mut self, report: &mut Report, lun: &str) -> Result<()> {
        let account = explain::explain(lun)?;
        report.figure(&format!("{lun}.findings"), words(&account));
        self.miscompares.sort_by_key(|it| it.sent.to_ns);
        self.late.sort_by_key(|it| it.sent.to_ns);
        let (played, told) = (self.miscompares.len(), account.miscompares.len());
        report.equal(&format!("{lun}: MISCOMPAREs that are explained"), played, told);
        for (scripted, told) in self.miscompares.iter().zip(&account.miscompares) {
            let Scripted { scene, finding, .. } = scripted;
            let name = format!("{scene}: is explained as {finding}, by its writer and time");
            report.none(&name, &scripted.objections(told));
        }
        let (played, told) = (self.late.len(), account.late_heartbeats.len());
        report.equal(&format!("{lun}: late heartbeats that are explained"), played, told);
        for (scripted, told) in self.late.iter().zip(&account.late_heartbeats) {
            let name = format!("{}: most of its time went {}", scripted.scene, scripted.longest);
            report.none(&name, &scripted.objections(told));
        }
        report
            .none(&format!("{lun}: heartbeats without an answer"), &account.unanswered_heartbeats);
        Ok(())
    }
}

/// All that was found, for whoever reads the results.
fn words(account: &explain::Account) -> Vec<String> {
    let miscompares = account.miscompares.iter().map(|it| format!("{}: {}", it.finding, it.words));
    miscompares.chain(account.late_heartbeats.iter().map(|it| it.words.clone())).collect()
}

impl Scripted {
    fn objections(&self, told: &Miscompare) -> Vec<String> {
        let mut wrong = Vec::new();
        let Miscompare { command, host, finding, words, evidence } = told;
        if finding != self.finding {
            wrong.push(format!("{finding}: {words}"));
        }
        if !self.sent.contains(command.at_ns) {
            wrong.push(format!("the command is of {} ns, not {}", command.at_ns, self.sent));
        }
        if host.as_deref() != Some(&*self.host.to_string()) {
            wrong.push(format!("it is of host {host:?}"));
        }
        for (place, window) in &self.moments {
            let at_ns = evidence.pointer(place).and_then(Value::as_u64);
            if !at_ns.is_some_and(|at_ns| window.contains(at_ns)) {
                wrong.push(format!("{place} is of {at_ns:?} ns, not {window}"));
            }
        }
        for (place, fact) in &self.facts {
            let said = evidence.pointer(place).unwrap_or(&Value::Null);
            if said != fact {
                wrong.push(format!("{place} is {said}, not {fact}"));
            }
        }
        wrong
    }
}

impl ScriptedLate {
    fn objections(&self, told: &LateHeartbeat) -> Vec<String> {
        let mut wrong = Vec::new();
        let LateHeartbeat { command, host, longest, shares_us, behind, rule, words } = told;
        if longest != self.longest {
            wrong.push(format!("most of it {longest}: {words}"));
        }
        if !self.sent.contains(command.at_ns) {
            wrong.push(format!("the command is of {} ns, not {}", command.at_ns, self.sent));
        }
        if host.as_deref() != Some(&*self.host.to_string()) {
            wrong.push(format!("it is of host {host:?}"));
        }
        if rule.as_deref() != self.rule {
            wrong.push(format!("the rule is {rule:?}"));
        }
        let waited = shares_us.get("waiting for others on its blocks").copied().unwrap_or_default();
        match (&self.behind, behind) {
            (None, None) => {}
            (Some((least, window)), Some(behind)) => {
                if Duration::from_micros(waited) < *least || !window.contains(behind.at_ns) {
                    wrong.push(format!("it waited {waited} µs for {behind:?}"));
                }
            }
            (_, behind) => wrong.push(format!("it waited for {behind:?}")),
        }
        wrong
    }
}
