//! Plans of faults that are armed while a soak runs, on whatever serves its unit.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pulsefield_control::protocol::{ArmRequest, ArmedRule};
use pulsefield_control::{Client, ClientError};
use pulsefield_faults::{Plan, Rule};
use thiserror::Error;

/// A plan, as it was read.
#[derive(Clone, Debug)]
pub(crate) struct PlanFile {
    /// What it is called.
    pub(crate) name: String,
    /// Its text, as a daemon is told it.
    pub(crate) text: String,
    /// What it says.
    pub(crate) plan: Plan,
}

/// How often a rule has hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleHits {
    /// The rule's position in its plan.
    pub(crate) position: usize,
    /// How often.
    pub(crate) hits: u64,
}

/// Why faults are not armed, or nobody knows what they did.
#[derive(Debug, Error)]
pub enum FaultError {
    /// The daemon does not do as it is asked.
    #[error(transparent)]
    Daemon(#[from] ClientError),
    /// The unit is not served by a daemon of this machine.
    #[error(
        "a plan of faults needs --lun NAME, which says which logical unit of the daemon the device is"
    )]
    NoLun,
}

/// What can break the unit of a run on purpose.
pub(crate) trait Faults {
    /// Arms a plan, for so long at most: a soak that is killed must leave nothing armed.
    ///
    /// # Errors
    /// If it is not armed.
    fn arm(&mut self, plan: &PlanFile, lasting: Duration) -> Result<(), FaultError>;

    /// Disarms it and says how often its rules have hit.
    ///
    /// # Errors
    /// If nobody knows.
    fn disarm(&mut self, plan: &PlanFile) -> Result<Vec<RuleHits>, FaultError>;
}

/// The daemon that serves the unit.
#[derive(Clone, Debug)]
pub(crate) struct DaemonFaults {
    client: Client,
    lun: Option<String>,
}

impl DaemonFaults {
    /// The logical unit that the daemon behind `socket` calls `lun`.
    pub(crate) fn new(socket: &Path, lun: Option<String>) -> Self {
        Self { client: Client::new(socket), lun }
    }

    fn lun(&self) -> Result<String, FaultError> {
        self.lun.clone().ok_or(FaultError::NoLun)
    }
}

impl Faults for DaemonFaults {
    fn arm(&mut self, plan: &PlanFile, lasting: Duration) -> Result<(), FaultError> {
        let (lun, file, plan) = (Some(self.lun()?), plan.name.clone(), plan.text.clone());
        let lasting_ms = Some(u64::try_from(lasting.as_millis()).unwrap_or(u64::MAX));
        self.client.arm_faults(ArmRequest { lun, file, plan, lasting_ms, hits: None })?;
        Ok(())
    }

    fn disarm(&mut self, plan: &PlanFile) -> Result<Vec<RuleHits>, FaultError> {
        let lun = self.lun()?;
        let armed = self.client.faults(Some(&lun))?;
        // The one that was armed last: it is asked last, and has the highest number.
        let plans = armed.into_iter().flat_map(|lun| lun.plans);
        let rules = plans.max_by_key(|plan| plan.plan).map(|plan| plan.rules).unwrap_or_default();
        for rule in &plan.plan.rules {
            self.client.disarm_faults(Some(&lun), Some(&rule.name))?;
        }
        Ok(hits(&plan.plan.rules, &rules))
    }
}

fn hits(rules: &[Rule], armed: &[ArmedRule]) -> Vec<RuleHits> {
    let of = |(position, rule): (usize, &Rule)| {
        let armed = armed.iter().find(|armed| armed.rule == rule.name);
        RuleHits { position, hits: armed.map_or(0, |armed| armed.hits) }
    };
    rules.iter().enumerate().map(of).collect()
}

/// Why a plan cannot be used.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The file cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no plan.
    #[error(transparent)]
    Invalid(#[from] Box<pulsefield_settings::Diagnostic>),
}

impl PlanFile {
    /// Reads a plan.
    ///
    /// # Errors
    /// If it cannot be read, or is none.
    pub(crate) fn read(path: &Path) -> Result<Self, PlanError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| PlanError::Unreadable { path: path.to_owned(), source })?;
        let plan = Plan::parse(&name, &text)?;
        Ok(Self { name, text, plan })
    }
}
