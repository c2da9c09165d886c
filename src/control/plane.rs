//! What the daemon can be asked for, by whatever door the question comes.

use pulsefield_settings::Diagnostic;
use thiserror::Error;

use crate::config::ConfigError;
use crate::protocol::{
    ArmRequest, Change, FaultHit, LunDetail, LunFaults, LunHosts, LunLatency, LunSummary, Status,
};

/// Why nothing could be done about faults. Nothing has changed.
#[derive(Debug, Error)]
pub enum FaultError {
    /// The plan is wrong.
    #[error(transparent)]
    Plan(#[from] Box<Diagnostic>),
    /// The logical unit cannot be asked; one that does not serve cannot be broken.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// No logical unit serves that the plan has rules for.
    #[error("no logical unit serves that the plan has rules for")]
    ForNobody,
    /// Nothing that was armed is called so.
    #[error("no rule \"{0}\" is armed")]
    NoSuchRule(String),
    /// Nothing was ever armed, so nothing can be repeated.
    #[error("no faults were ever armed for it")]
    NeverArmed,
    /// The log has forgotten hits: what is left is not the whole.
    #[error("the log of \"{lun}\" has forgotten its first {forgotten} hits")]
    Forgotten {
        /// The logical unit.
        lun: String,
        /// How many hits.
        forgotten: u64,
    },
}

/// Why a logical unit could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnitError {
    /// There is none of this name.
    #[error("no logical unit \"{0}\"")]
    NoSuchLun(String),
    /// It does not serve.
    #[error("the logical unit \"{0}\" does not serve")]
    NotServing(String),
    /// Its thread did not answer in time.
    #[error("the logical unit \"{0}\" does not answer")]
    NoAnswer(String),
}

/// The daemon as the control socket and D-Bus see it.
///
/// Called from the threads of those doors, several at once. Every answer describes one moment, and
/// asking twice is harmless: what is already so is not done again, and the answer says so.
pub trait ControlPlane: Send + Sync {
    /// How the daemon is.
    fn status(&self) -> Status;

    /// All logical units in brief, by name.
    fn luns(&self) -> Vec<LunSummary>;

    /// The logical unit `name` in full, if there is one.
    fn lun(&self, name: &str) -> Option<LunDetail>;

    /// How long the commands of one logical unit, or of all that serve, take; `clear` forgets it then.
    ///
    /// # Errors
    /// If the one asked for does not answer. Of all, those that do not are left out.
    fn latency(&self, lun: Option<&str>, clear: bool) -> Result<Vec<LunLatency>, UnitError>;

    /// Which hosts pulse on one logical unit, or on all that serve.
    ///
    /// # Errors
    /// If the one asked for does not answer. Of all, those that do not are left out.
    fn hosts(&self, lun: Option<&str>) -> Result<Vec<LunHosts>, UnitError>;

    /// Reads the configuration again and puts it in force; says what that changed.
    ///
    /// # Errors
    /// What is wrong with the file. The configuration in force stays as it is.
    fn reload(&self) -> Result<Vec<Change>, ConfigError>;

    /// Says whether a logical unit could be made of `cfgstring` (`<handler>/<locator>[;…]`, without
    /// the TCMU subtype). Changes nothing.
    ///
    /// # Errors
    /// The exact reason it could not, for the person who typed it.
    fn check_config(&self, cfgstring: &str) -> Result<(), String>;

    /// What a cfgstring looks like, for somebody who asks targetcli for help.
    fn config_description(&self) -> String;

    /// Arms a plan of faults; says what is armed by that.
    ///
    /// # Errors
    /// What is wrong with the plan, and where; or that there is nothing to arm it for.
    fn arm_faults(&self, request: &ArmRequest) -> Result<Vec<LunFaults>, FaultError>;

    /// Disarms the faults of one logical unit or of all, those of one rule or all; says how many
    /// rules that were.
    ///
    /// # Errors
    /// If there is no such unit or no such rule.
    fn disarm_faults(&self, lun: Option<&str>, rule: Option<&str>) -> Result<u64, FaultError>;

    /// What is armed for one logical unit or for all.
    ///
    /// # Errors
    /// If there is no such unit, or it does not answer.
    fn faults(&self, lun: Option<&str>) -> Result<Vec<LunFaults>, FaultError>;

    /// Which rule hit which command, of one logical unit or of all.
    ///
    /// # Errors
    /// If there is no such unit, or it does not answer.
    fn fault_log(&self, lun: Option<&str>) -> Result<Vec<FaultHit>, FaultError>;

    /// A plan that hits exactly what the plans have hit that are armed for this unit.
    ///
    /// # Errors
    /// If there is no such unit, it does not answer, or has forgotten hits.
    fn export_faults(&self, lun: &str) -> Result<String, FaultError>;
}
