//! What is armed and what it did, for whoever asks.

use std::sync::Arc;

use pulsefield_units::Instant;

use crate::saboteur::arming::ArmedPlan;
use crate::saboteur::rule::Armed;
use crate::{Hit, Plan, PlanId};

/// Which rules of a logical unit shall be disarmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disarm {
    /// All.
    All,
    /// Those of one plan.
    Plan(PlanId),
    /// Those with this name, of whatever plan.
    Rules(String),
}

/// The state of all faults of one logical unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultReport {
    /// The armed plans, in the order in which they were armed.
    pub plans: Vec<PlanReport>,
    /// The plans armed last, those among them too that are disarmed.
    pub known: Vec<(PlanId, Arc<Plan>)>,
    /// The hits that were asked for and are not forgotten, oldest first.
    pub hits: Vec<Hit>,
    /// The number of the next hit.
    pub next_hit: u64,
}

/// The state of one armed plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanReport {
    /// Its name among those that are armed for the unit.
    pub id: PlanId,
    /// The plan.
    pub plan: Arc<Plan>,
    /// When it was armed.
    pub armed: Instant,
    /// Commands of the unit since then.
    pub commands: u64,
    /// Hits of all its rules.
    pub hits: u64,
    /// Those of its rules that are for the unit and armed, in the plan's order.
    pub rules: Vec<RuleReport>,
}

/// What a rule has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleReport {
    /// Its position in the plan.
    pub position: usize,
    /// Commands that counted for its [`When`](crate::When).
    pub counted: u64,
    /// Those of them that it hit.
    pub hits: u64,
    /// Commands, of those that are over, to which a hit or what lasted of it made a difference: an equality that is
    /// false of data which is equal makes none. What cannot be told counts.
    pub effects: u64,
}

impl PlanReport {
    pub(crate) fn of(plan: &ArmedPlan) -> Self {
        Self {
            id: plan.id(),
            plan: plan.plan().clone(),
            armed: plan.armed(),
            commands: plan.commands(),
            hits: plan.hits(),
            rules: plan.rules().iter().map(RuleReport::of).collect(),
        }
    }
}

impl RuleReport {
    fn of(armed: &Armed) -> Self {
        let position = armed.id().position;
        let (hits, effects) = (armed.hits(), armed.effects());
        Self { position, counted: armed.counted(), hits, effects }
    }
}
