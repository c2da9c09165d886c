//! A plan that is armed for one logical unit.

use std::sync::Arc;

use pulsefield_units::Instant;

use crate::Plan;
use crate::saboteur::rule::{Armed, Cue, Decision, PlanId, RuleId};

/// A plan that is armed for one logical unit, and what it has counted.
#[derive(Debug)]
pub(crate) struct ArmedPlan {
    id: PlanId,
    plan: Arc<Plan>,
    armed: Instant,
    /// Those of its rules that are for this unit.
    rules: Vec<Armed>,
    /// Commands of the unit since it was armed.
    commands: u64,
    hits: u64,
}

impl ArmedPlan {
    /// Arms the rules of a plan that are for the logical unit `lun`.
    pub(crate) fn new(id: PlanId, now: Instant, plan: Arc<Plan>, lun: &str) -> Self {
        let rules = plan.rules_for(lun).map(|(position, rule)| {
            Armed::new(RuleId { plan: id, position }, now, plan.seed, rule.clone())
        });
        Self { id, armed: now, rules: rules.collect(), commands: 0, hits: 0, plan }
    }

    /// Its name among the plans that are armed for the unit.
    pub(crate) const fn id(&self) -> PlanId {
        self.id
    }

    /// The plan.
    pub(crate) const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// When it was armed.
    pub(crate) const fn armed(&self) -> Instant {
        self.armed
    }

    /// Those of its rules that are for this unit, in the plan's order.
    pub(crate) fn rules(&self) -> &[Armed] {
        &self.rules
    }

    /// Commands of the unit since it was armed.
    pub(crate) const fn commands(&self) -> u64 {
        self.commands
    }

    /// Hits of all its rules. What an earlier hit causes does not count.
    pub(crate) const fn hits(&self) -> u64 {
        self.hits
    }

    pub(crate) fn rules_mut(&mut self) -> &mut Vec<Armed> {
        &mut self.rules
    }

    /// When it ends by itself.
    pub(crate) fn end(&self) -> Option<Instant> {
        self.plan.lasting.map(|lasting| self.armed.after(lasting))
    }

    /// Whether it has hit all that it may.
    pub(crate) fn is_spent(&self) -> bool {
        self.plan.hits.is_some_and(|hits| self.hits >= hits)
    }

    /// Counts a command of the unit.
    pub(crate) const fn count_command(&mut self) {
        self.commands += 1;
    }

    /// Counts a hit.
    pub(crate) const fn count_hit(&mut self) {
        self.hits += 1;
    }

    /// The first rule that hits the command, and what it makes of it.
    pub(crate) fn consider(&mut self, cue: &Cue<'_>) -> Option<(&mut Armed, Decision)> {
        let (commands, spent) = (self.commands, self.is_spent());
        self.rules.iter_mut().find_map(|armed| {
            let decision = armed.consider(cue, commands, spent)?;
            Some((armed, decision))
        })
    }
}
