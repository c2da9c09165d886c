//! What the control plane does about faults: it reads plans, and asks the threads of the units.
//!
//! Every unit keeps its own faults; nothing about them is shared.

use std::sync::Arc;
use std::time::Duration;

use pulsefield_control::protocol::{ArmRequest, ArmedPlan, ArmedRule, FaultHit, LunFaults};
use pulsefield_control::{FaultError, UnitError};
use pulsefield_engine::Outcome;
use pulsefield_faults::{
    Cause, Disarm, FaultReport, Hit, KnownLun, Plan, PlanId, PlanReport, RuleReport,
};
use pulsefield_units::Instant;
use tracing::warn;

use crate::asking::{Promise, Reached, reach};
use crate::clock;
use crate::station::Message;
use crate::table::SharedTable;

/// A number from which on no unit has hits.
pub(crate) const NO_HITS: u64 = u64::MAX;

fn reports(
    units: &[Reached],
    since: u64,
) -> impl Iterator<Item = Result<(String, FaultReport), UnitError>> {
    let ask = |unit: &Reached| unit.ask(|reply| Message::ReportFaults { since, reply });
    units.iter().map(ask).collect::<Vec<_>>().into_iter().map(Promise::wait)
}

/// Arms a plan; says what is armed by that.
pub(crate) fn arm(table: &SharedTable, request: &ArmRequest) -> Result<Vec<LunFaults>, FaultError> {
    let ArmRequest { lun, file, plan, lasting_ms, hits } = request;
    let units = reach(table, lun.as_deref())?;
    let known = |unit: &Reached| KnownLun { name: unit.name.clone(), blocks: unit.blocks };
    let known: Vec<_> = units.iter().map(known).collect();
    let mut plan = Plan::parse_for(file, plan, &known)?;
    let lasting = lasting_ms.map(Duration::from_millis);
    plan.lasting = plan.lasting.into_iter().chain(lasting).min();
    plan.hits = plan.hits.into_iter().chain(*hits).min();
    let plan = Arc::new(plan);
    let meant: Vec<_> =
        units.into_iter().filter(|unit| plan.rules_for(&unit.name).next().is_some()).collect();
    if meant.is_empty() {
        return Err(FaultError::ForNobody);
    }
    let promises: Vec<_> = meant
        .iter()
        .map(|unit| {
            warn!(name = unit.name, file, rules = plan.rules.len(), "faults are armed by request");
            let (plan, lun) = (plan.clone(), unit.name.clone());
            unit.ask(|done| Message::Arm { plan, lun, done })
        })
        .collect();
    let ids: Vec<PlanId> = promises
        .into_iter()
        .map(|promise| promise.wait().map(|(_, id)| id))
        .collect::<Result<_, _>>()?;
    reports(&meant, NO_HITS)
        .zip(ids)
        .map(|(report, id)| {
            let (lun, report) = report?;
            let new = report.plans.iter().filter(|plan| plan.id == id).map(armed_plan);
            Ok(LunFaults { lun, plans: new.collect() })
        })
        .collect()
}

/// Disarms the rules called `rule`, or all, of one unit or of all; says how many.
pub(crate) fn disarm(
    table: &SharedTable,
    lun: Option<&str>,
    rule: Option<&str>,
) -> Result<u64, FaultError> {
    let units = reach(table, lun)?;
    let which = rule.map_or(Disarm::All, |rule| Disarm::Rules(rule.to_owned()));
    let promises: Vec<_> = units
        .iter()
        .map(|unit| unit.ask(|done| Message::Disarm { which: which.clone(), done }))
        .collect();
    let mut disarmed = 0;
    for promise in promises {
        let (lun, rules) = promise.wait()?;
        if rules > 0 {
            warn!(name = lun, rules, "faults are disarmed by request");
        }
        disarmed += rules as u64;
    }
    match rule {
        Some(rule) if disarmed == 0 => Err(FaultError::NoSuchRule(rule.to_owned())),
        Some(_) | None => Ok(disarmed),
    }
}

/// What is armed.
pub(crate) fn list(table: &SharedTable, lun: Option<&str>) -> Result<Vec<LunFaults>, FaultError> {
    let units = reach(table, lun)?;
    let mut luns = Vec::new();
    for report in reports(&units, NO_HITS) {
        let (lun, report) = report?;
        if !report.plans.is_empty() {
            luns.push(LunFaults { lun, plans: report.plans.iter().map(armed_plan).collect() });
        }
    }
    luns.sort_by(|a, b| a.lun.cmp(&b.lun));
    Ok(luns)
}

/// Which rule hit which command, in the order of time.
pub(crate) fn log(table: &SharedTable, lun: Option<&str>) -> Result<Vec<FaultHit>, FaultError> {
    let units = reach(table, lun)?;
    let mut hits = Vec::new();
    for report in reports(&units, 0) {
        let (lun, report) = report?;
        hits.extend(report.hits.iter().map(|hit| fault_hit(&lun, hit)));
    }
    hits.sort_by_key(|hit| hit.at_us);
    Ok(hits)
}

/// The plan that was armed last for the unit, as one that hits exactly what that has hit.
pub(crate) fn export(table: &SharedTable, lun: &str) -> Result<String, FaultError> {
    let units = reach(table, Some(lun))?;
    let Some(report) = reports(&units, 0).next() else {
        return Err(UnitError::NotServing(lun.to_owned()).into());
    };
    let (_, report) = report?;
    let Some((id, plan)) = report.known.last() else { return Err(FaultError::NeverArmed) };
    // What the log has forgotten may have been of this plan.
    let first = report.hits.first().map_or(report.next_hit, |hit| hit.number);
    let older = |hit: &Hit| hit.plan < *id;
    if first > 0 && !report.hits.first().is_some_and(older) {
        return Err(FaultError::Forgotten { lun: lun.to_owned(), forgotten: first });
    }
    let hits = report.hits.iter().filter(|hit| hit.plan == *id && hit.cause == Cause::Selected);
    Ok(plan.replay(hits.map(|hit| (&*hit.rule, hit.command))).to_toml())
}

fn armed_plan(report: &PlanReport) -> ArmedPlan {
    let PlanReport { id, plan, armed, commands, hits, rules } = report;
    let age = clock::now().since(*armed);
    ArmedPlan {
        plan: id.as_u64(),
        seed: plan.seed,
        armed_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        commands: *commands,
        hits: *hits,
        rules: rules.iter().filter_map(|rule| armed_rule(plan, rule)).collect(),
    }
}

fn armed_rule(plan: &Plan, report: &RuleReport) -> Option<ArmedRule> {
    let rule = plan.rules.get(report.position)?;
    Some(ArmedRule {
        rule: rule.name.clone(),
        fault: rule.fault.name().to_owned(),
        verdict: rule.verdict.name().to_owned(),
        meaning: rule.sentence(),
        counted: report.counted,
        hits: report.hits,
        effects: report.effects,
    })
}

fn fault_hit(lun: &str, hit: &Hit) -> FaultHit {
    FaultHit {
        lun: lun.to_owned(),
        number: hit.number,
        plan: hit.plan.as_u64(),
        rule: hit.rule.to_string(),
        at_us: hit.at.since(Instant::default()).as_micros().try_into().unwrap_or(u64::MAX),
        command: hit.command,
        opcode: hit.opcode,
        lba: hit.blocks.map(|range| range.start().as_u64()),
        blocks: hit.blocks.map(|range| range.blocks().as_u64()),
        selected: hit.cause == Cause::Selected,
        delay_us: hit.delay.as_micros().try_into().unwrap_or(u64::MAX),
        before: hit.before.as_ref().map(words),
        after: hit.after.as_ref().map(words),
        data: hit.data.map(|data| [data.before, data.after].map(|digest| format!("{digest:016x}"))),
    }
}

/// How a command ended, in T10's words.
fn words(outcome: &Outcome) -> String {
    match outcome.sense {
        Some(sense) => sense.to_string(),
        None => outcome.status.to_string(),
    }
}

#[cfg(test)]
mod tests;
