//! Plans of faults that are armed while a soak runs, on whatever serves its unit.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pulsefield_control::protocol::{ArmRequest, ArmedPlan, LunSummary};
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

/// How often a rule has hit, and how often that mattered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleHits {
    /// The rule's position in its plan.
    pub(crate) position: usize,
    /// How often.
    pub(crate) hits: u64,
    /// To how many commands that made a difference.
    pub(crate) effects: u64,
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
    /// The number that the daemon has given the plan, while that is armed.
    armed: Option<u64>,
}

impl DaemonFaults {
    /// The logical unit that the daemon behind `socket` calls `lun`.
    pub(crate) fn new(socket: &Path, lun: Option<String>) -> Self {
        Self { client: Client::new(socket), lun, armed: None }
    }

    /// What the daemon says of the unit.
    ///
    /// # Errors
    /// If it knows of none, or does not answer.
    pub(crate) fn unit(&self) -> Result<LunSummary, FaultError> {
        Ok(self.client.lun(&self.lun()?)?.summary)
    }

    fn lun(&self) -> Result<String, FaultError> {
        self.lun.clone().ok_or(FaultError::NoLun)
    }
}

impl Faults for DaemonFaults {
    fn arm(&mut self, plan: &PlanFile, lasting: Duration) -> Result<(), FaultError> {
        // The healthy control has no rules; a daemon takes that for a slip.
        if plan.plan.rules.is_empty() {
            return Ok(());
        }
        let (lun, file, plan) = (Some(self.lun()?), plan.name.clone(), plan.text.clone());
        let lasting_ms = Some(u64::try_from(lasting.as_millis()).unwrap_or(u64::MAX));
        let request = ArmRequest { lun, file, plan, lasting_ms, hits: None };
        let armed = self.client.arm_faults(request)?;
        self.armed = armed.iter().flat_map(|lun| &lun.plans).map(|plan| plan.plan).max();
        Ok(())
    }

    fn disarm(&mut self, plan: &PlanFile) -> Result<Vec<RuleHits>, FaultError> {
        let Some(number) = self.armed.take() else { return Ok(Vec::new()) };
        let lun = self.lun()?;
        let armed = self.client.faults(Some(&lun))?;
        let armed = armed.into_iter().flat_map(|lun| lun.plans).find(|plan| plan.plan == number);
        // What has come to an end by itself is not there to be disarmed, and is known by what it did.
        let Some(ArmedPlan { rules: armed, .. }) = armed else {
            let log = self.client.fault_log(Some(&lun))?;
            let hits = log.iter().filter(|hit| hit.plan == number && hit.selected);
            let hits: Vec<_> = hits.map(|hit| &*hit.rule).collect();
            let count = |name: &str| hits.iter().filter(|rule| **rule == name).count() as u64;
            // The log does not say which of them mattered.
            return Ok(of_each(&plan.plan.rules, |name| (count(name), count(name))));
        };
        for rule in &armed {
            self.client.disarm_faults(Some(&lun), Some(&rule.rule))?;
        }
        Ok(of_each(&plan.plan.rules, |name| {
            let rule = armed.iter().find(|rule| rule.rule == name);
            rule.map_or((0, 0), |rule| (rule.hits, rule.effects))
        }))
    }
}

/// The hits of each rule and their effects, which are known by the rules' names.
fn of_each(rules: &[Rule], counts: impl Fn(&str) -> (u64, u64)) -> Vec<RuleHits> {
    let of = |(position, rule): (usize, &Rule)| {
        let (hits, effects) = counts(&rule.name);
        RuleHits { position, hits, effects }
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

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixListener;
    use std::thread::{self, JoinHandle};

    use tempfile::TempDir;

    use super::*;

    const LASTING: Duration = Duration::from_secs(60);
    const TWO: &str = "[[rule]]\nname = \"a\"\nfault = \"drop\"\nwhen = { every = 2 }\n\
        [[rule]]\nname = \"b\"\nfault = \"drop\"\n";

    fn plan(text: &str) -> PlanFile {
        PlanFile {
            name: "p".to_owned(),
            text: text.to_owned(),
            plan: Plan::parse("p", text).unwrap(),
        }
    }

    /// Answers questions, one after the other, with these lines, and says in the end what they were.
    fn daemon(folder: &TempDir, answers: Vec<String>) -> (DaemonFaults, JoinHandle<Vec<String>>) {
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let answer = move |answer: String| {
            let (mut client, _) = listener.accept().unwrap();
            let mut question = String::new();
            BufReader::new(&client).read_line(&mut question).unwrap();
            writeln!(client, "{{\"version\":1,{answer}}}").unwrap();
            question
        };
        let thread = thread::spawn(|| answers.into_iter().map(answer).collect());
        (DaemonFaults::new(&socket, Some("ds1".to_owned())), thread)
    }

    /// Plan 7 with these rules and their hits, as the daemon has it.
    fn armed(rules: &[(&str, u64)]) -> String {
        let rule = |(name, hits): &(&str, u64)| {
            format!(
                r#"{{"rule":"{name}","fault":"drop","verdict":"","meaning":"","counted":9,"hits":{hits},"effects":{hits}}}"#
            )
        };
        let rules = rules.iter().map(rule).collect::<Vec<_>>().join(",");
        let plan = format!(
            r#"{{"plan":7,"seed":1,"armed_ms":0,"commands":9,"hits":9,"rules":[{rules}]}}"#
        );
        format!(r#"[{{"lun":"ds1","plans":[{plan}]}}]"#)
    }

    fn hits(faults: &mut DaemonFaults, plan: &PlanFile) -> Vec<u64> {
        faults.disarm(plan).unwrap().into_iter().map(|rule| rule.hits).collect()
    }

    #[test]
    fn what_is_armed_for_the_unit_is_disarmed_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let rules = armed(&[("b", 4)]);
        let (mut faults, daemon) = daemon(
            &folder,
            vec![
                format!(r#""response":"fault-arm","armed":{rules}"#),
                format!(r#""response":"fault-list","luns":{rules}"#),
                r#""response":"fault-disarm","rules":1"#.to_owned(),
            ],
        );
        let plan = plan(TWO);
        faults.arm(&plan, LASTING).unwrap();
        assert_eq!(hits(&mut faults, &plan), [0, 4]);
        assert!(daemon.join().unwrap()[2].contains(r#""rule":"b""#));
    }

    #[test]
    fn a_plan_that_has_ended_by_itself_is_known_by_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let hit = |plan, rule, selected| {
            format!(
                r#"{{"lun":"ds1","number":0,"plan":{plan},"rule":"{rule}","at_us":0,"command":1,"opcode":137,
                "lba":null,"blocks":null,"selected":{selected},"delay_us":0,"before":null,"after":null,"data":null}}"#
            )
            .replace('\n', "")
        };
        let hits_of_log =
            [hit(6, "a", true), hit(7, "b", true), hit(7, "b", true), hit(7, "b", false)];
        let (mut faults, daemon) = daemon(
            &folder,
            vec![
                format!(r#""response":"fault-arm","armed":{}"#, armed(&[("a", 0), ("b", 0)])),
                r#""response":"fault-list","luns":[]"#.to_owned(),
                format!(r#""response":"fault-log","hits":[{}]"#, hits_of_log.join(",")),
            ],
        );
        let plan = plan(TWO);
        faults.arm(&plan, LASTING).unwrap();
        assert_eq!(hits(&mut faults, &plan), [0, 2]);
        daemon.join().unwrap();
    }

    #[test]
    fn a_plan_without_rules_is_nothing_that_a_daemon_could_arm() {
        let mut faults = DaemonFaults::new(Path::new("/nowhere"), None);
        let control = plan("seed = 1\n");
        faults.arm(&control, LASTING).unwrap();
        assert_eq!(faults.disarm(&control).unwrap(), []);
    }
}
