//! The soak: hosts that come up, a fault half-way, and what is concluded from both.

use std::fs;
use std::iter;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::LUN;
use crate::command::{Running, run as command};
use crate::control::ask;
use crate::disk::Disk;
use crate::report::Report;
use crate::soak::{CAUGHT, Fault, Found, Promise};
use crate::wait::wait_until;
use crate::{explain, fault};

/// Transactions on metadata that hosts share, and nothing that keeps a host from pulsing: what is late is
/// the fault's doing.
const MIX: &str = "file-growth";
/// How long hosts work; the plan is armed when half of it is over.
const DURATION: &str = "90s";
/// How long until hosts have formatted the unit, found their slots and pulse.
const UP_LIMIT: Duration = Duration::from_secs(120);
/// How long until the plan is armed, and then until it hits: every twentieth heartbeat, and four hosts
/// have one each 3 s.
const FAULT_LIMIT: Duration = Duration::from_secs(120);
/// How long until hosts have given back what they have, and everything was read back.
const END_LIMIT: Duration = Duration::from_secs(180);

const PLAN: &str = "ibm-8-second-heartbeats";
const RULE: &str = "slow heartbeat";
/// The promise that the plan has the unit break.
const DEADLINE: &str = "heartbeat-deadline";

/// A soak that goes on.
pub(super) struct Soaking(Running);

/// Starts a soak with a host on each of `disks`, and waits until all of them pulse.
pub(super) fn start(report: &mut Report, disks: &[Disk]) -> Result<Soaking> {
    // The sector of the race lies there, and what holds something is formatted only if that is said twice.
    let options = format!(
        "--hosts {} --mix {MIX} --duration {DURATION} --plan {} --lun {LUN} --report . --destroy --destroy",
        disks.len(),
        fault::plan_path(PLAN)
    );
    let words: Vec<String> = iter::once("soak".to_owned())
        .chain(disks.iter().map(|disk| disk.block.display().to_string()))
        .chain(options.split(' ').map(str::to_owned))
        .collect();
    report.step(format!("pulsefield {}", words.join(" ")));
    let soaking = Soaking(command("pulsefield", words).start()?);
    let soaking = soaking.until(UP_LIMIT, "hosts that pulse", || Ok(pulsing()? == disks.len()))?;
    report.equal("hosts that pulse", disks.len(), pulsing()?);
    show(&["hosts", LUN])?;
    Ok(soaking)
}

/// How many hosts the daemon sees pulse.
fn pulsing() -> Result<usize> {
    let answer = ask("hosts", json!({ "lun": LUN }))?;
    let hosts = answer["luns"][0]["hosts"].as_array().context("a list of hosts")?;
    Ok(hosts.len())
}

/// Prints what `pulsefield` has to say.
fn show(words: &[&str]) -> Result<()> {
    println!("\n{}", command("pulsefield", words).output()?);
    Ok(())
}

impl Soaking {
    /// Waits for `condition`, but not for longer than the soak goes on.
    fn until(
        mut self,
        limit: Duration,
        what: &str,
        mut condition: impl FnMut() -> Result<bool>,
    ) -> Result<Self> {
        let mut has_ended = false;
        let waited = wait_until(limit, what, || {
            has_ended = self.0.has_ended()?;
            Ok(has_ended || condition()?)
        });
        if has_ended {
            let said = self.0.wait(Duration::ZERO)?.said();
            bail!("no {what}: the soak has ended: {said}");
        }
        waited.map(|()| self)
    }

    /// Shows the plan when it is armed and what it hits first, and waits for the soak's end.
    pub(super) fn through_the_fault(self, report: &mut Report) -> Result<Found> {
        let is_armed = || Ok(!fault::armed(LUN)?.is_empty());
        let soaking = self.until(FAULT_LIMIT, "plan that is armed", is_armed)?;
        report.step(format!("the plan {PLAN} is armed"));
        show(&["fault", "ls", LUN])?;
        let has_hit = || Ok(fault::hits_of(LUN, RULE)? > 0);
        let soaking = soaking.until(FAULT_LIMIT, "heartbeat that it hits", has_hit)?;
        report.step(
            "it has hit a heartbeat: its host gives up after 8 s, and the answer comes after 9",
        );
        show(&["fault", "log", LUN])?;
        report.step("to the end of the soak, when all that was acknowledged is read back");
        let ended = soaking.0.wait(END_LIMIT)?;
        println!("\n{}", ended.stdout);
        let name = "soak: exit status; 5 is \"promises were broken exactly as the plan declares\"";
        if !report.equal(name, CAUGHT, ended.code) {
            report.step(ended.stderr.trim());
        }
        let text = fs::read_to_string("soak.json").context("the soak's report")?;
        serde_json::from_str(&text).context("the soak's report")
    }
}

/// Checks that hosts were on all fabrics, and that nothing was broken but what the plan is about.
pub(super) fn judge(report: &mut Report, found: &Found, fabrics: usize) {
    report.equal("soak: fabrics that hosts were on", fabrics, found.hosts_by_transport().len());
    report.equal("soak: passed", true, found.judgement.passed);
    for Fault { rule, hits, .. } in &found.faults {
        report.at_least(&format!("soak: hits of the rule \"{rule}\""), 1, *hits);
    }
    for Promise { name, standing, checked, .. } in &found.promises {
        let expected = if name == DEADLINE { "broken" } else { "held" };
        // Nobody need have died in so short a time.
        let never_came_up = *checked == 0 && name == "no-early-takeover";
        let seen = format!("{standing}, {checked} looked at");
        let passed = standing == expected || never_came_up;
        report.check(&format!("soak: {name}"), passed, expected, seen);
    }
}

/// Shows what the record of the unit says of one late heartbeat and of one MISCOMPARE, and checks the rest.
pub(super) fn explain(report: &mut Report) -> Result<()> {
    let account = explain::explain(LUN)?;
    let blamed = account.late_heartbeats.iter().filter(|late| late.rule.as_deref() == Some(RULE));
    report.at_least("explain: late heartbeats that are the rule's doing", 1, blamed.count());
    let is_odd = |finding: &str| ["corruption", "foreign-write", "unknown"].contains(&finding);
    let odd: Vec<_> = account
        .miscompares
        .iter()
        .filter(|miscompare| is_odd(&miscompare.finding))
        .map(|miscompare| format!("{}: {}", miscompare.finding, miscompare.words))
        .collect();
    report.none("explain: MISCOMPAREs that nobody can explain, or that corruption explains", &odd);
    let text = command("pulsefield", ["explain", LUN]).output()?;
    for sign in ["HEARTBEAT TOO LATE", "finding:  injected"] {
        let first = text.split("\n\n").find(|paragraph| paragraph.contains(sign));
        println!("\n{}", first.unwrap_or_default());
    }
    println!();
    Ok(())
}
