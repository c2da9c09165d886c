//! What is said on the control socket: one JSON object a line, a request and then its answer.
//!
//! ```text
//! → {"version":1,"request":"lun-show","name":"ds1"}
//! ← {"version":1,"response":"lun-show","name":"ds1","id":0,…}
//! ```
//!
//! Times end in `_us`, `_ms` or `_s`, sizes in `_bytes`. A reader skips fields it does not know, so
//! fields may be added; whatever else changes makes a new [`VERSION`].

mod faults;
mod hosts;
mod latency;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use faults::{ArmRequest, ArmedPlan, ArmedRule, FaultHit, LunFaults};
pub use hosts::{HostPulse, LunHosts};
pub use latency::{CommandLatency, LunLatency, Quantiles, SlowCommand, TimeParts};

/// The version of this protocol.
pub const VERSION: u32 = 1;

/// The longest request line in bytes, its newline included: room for a plan of faults.
pub const MAX_REQUEST_BYTES: usize = 256 << 10;

/// The longest answer line in bytes, its newline included: room for some ten thousand LUNs.
pub const MAX_RESPONSE_BYTES: usize = 16 << 20;

/// What a line is about, and which version of the protocol it is written in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// [`VERSION`] of the writer.
    pub version: u32,
    /// The request or the answer.
    #[serde(flatten)]
    pub message: T,
}

impl<T> Envelope<T> {
    /// `message` in this version.
    pub const fn new(message: T) -> Self {
        Self { version: VERSION, message }
    }
}

/// What the daemon can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// How the daemon is.
    Status,
    /// All logical units in brief.
    LunList,
    /// One logical unit in full.
    LunShow {
        /// Its name.
        name: String,
    },
    /// How long commands take.
    Latency {
        /// Of this logical unit; of all without one.
        lun: Option<String>,
        /// Whether all of it is forgotten once it is told.
        clear: bool,
    },
    /// Which hosts pulse.
    Hosts {
        /// On this logical unit; on all without one.
        lun: Option<String>,
    },
    /// Read the configuration again and do as it says.
    Reload,
    /// Arm a plan of faults.
    FaultArm(ArmRequest),
    /// Disarm faults.
    FaultDisarm {
        /// Of this logical unit; of all without one.
        lun: Option<String>,
        /// The rules of this name; all without one.
        rule: Option<String>,
    },
    /// What is armed.
    FaultList {
        /// For this logical unit; for all without one.
        lun: Option<String>,
    },
    /// Which rule hit which command.
    FaultLog {
        /// Of this logical unit; of all without one.
        lun: Option<String>,
    },
    /// The armed plans, as one plan that hits exactly what they have hit.
    FaultExport {
        /// Of this logical unit.
        lun: String,
    },
}

/// The daemon's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "kebab-case")]
pub enum Response {
    /// To [`Request::Status`].
    Status(Status),
    /// To [`Request::LunList`].
    LunList {
        /// The logical units, by name.
        luns: Vec<LunSummary>,
    },
    /// To [`Request::LunShow`].
    LunShow(Box<LunDetail>),
    /// To [`Request::Latency`].
    Latency {
        /// By logical unit, by name.
        luns: Vec<LunLatency>,
    },
    /// To [`Request::Hosts`].
    Hosts {
        /// By logical unit, by name.
        luns: Vec<LunHosts>,
    },
    /// To [`Request::Reload`]: the new configuration is in force.
    Reload {
        /// What is different now; empty if the file says what was in force already.
        changed: Vec<Change>,
    },
    /// To [`Request::FaultArm`].
    FaultArm {
        /// What is armed now that was not, by logical unit.
        armed: Vec<LunFaults>,
    },
    /// To [`Request::FaultDisarm`].
    FaultDisarm {
        /// How many rules were disarmed.
        rules: u64,
    },
    /// To [`Request::FaultList`].
    FaultList {
        /// By logical unit; those without faults are left out.
        luns: Vec<LunFaults>,
    },
    /// To [`Request::FaultLog`].
    FaultLog {
        /// The hits that are remembered, oldest first.
        hits: Vec<FaultHit>,
    },
    /// To [`Request::FaultExport`].
    FaultExport {
        /// The plan, as a file.
        plan: String,
    },
    /// To any request: it was not done, and nothing has changed.
    Error {
        /// Why, in words for the administrator.
        message: String,
    },
}

/// How the daemon is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version, not the protocol's. Named apart from [`Envelope::version`], beside
    /// which it stands on the line.
    pub daemon_version: String,
    /// Its process id.
    pub pid: u32,
    /// How long ago it started.
    pub uptime_ms: u64,
    /// The configuration file it reads.
    pub config: String,
    /// The handlers it can open media with.
    pub handlers: Vec<String>,
    /// How many logical units are served.
    pub luns_serving: u64,
    /// How many exist, served or not.
    pub luns_total: u64,
    /// Whether targetcli can see it.
    pub dbus: DbusState,
    /// How many rules of faults are armed, over all logical units.
    #[serde(default)]
    pub faults_armed: u64,
    /// How many commands were late, over all logical units that exist.
    #[serde(default)]
    pub late: u64,
    /// How many were too late.
    #[serde(default)]
    pub too_late: u64,
    /// The logical unit whose data area or command ring was fullest, if any was in use.
    #[serde(default)]
    pub fullest: Option<Fullest>,
}

/// The logical unit that was nearest to having commands wait in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fullest {
    /// Its name.
    pub lun: String,
    /// How full its data area or its command ring was, in percent.
    pub percent: u64,
}

/// How the daemon stands on the system bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum DbusState {
    /// The configuration says not to use the bus.
    Disabled,
    /// On the way: connecting, or asking for the name.
    Connecting,
    /// This daemon answers targetcli itself.
    Owner,
    /// Another daemon (tcmu-runner) answers targetcli, and passes questions on to this one.
    Registered {
        /// The other's unique name on the bus.
        with: String,
    },
    /// Another daemon answers targetcli and would not have this one; it takes over when the other
    /// ends.
    Waiting {
        /// Why not.
        reason: String,
    },
    /// No bus, or none that lets this daemon in; tried again every few seconds.
    Absent {
        /// Why not.
        reason: String,
    },
}

impl fmt::Display for DbusState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("disabled by configuration"),
            Self::Connecting => f.write_str("connecting"),
            Self::Owner => f.write_str("owner of org.kernel.TCMUService1"),
            Self::Registered { with } => write!(f, "registered with tcmu-runner ({with})"),
            Self::Waiting { reason } => {
                write!(f, "waiting for org.kernel.TCMUService1: {reason}")
            }
            Self::Absent { reason } => write!(f, "absent: {reason}"),
        }
    }
}

/// A logical unit in brief.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LunSummary {
    /// The name it was created under.
    pub name: String,
    /// N of its `/dev/uioN`.
    pub id: u32,
    /// The handler that opened its medium.
    pub handler: String,
    /// The cfgstring it was created with, without the subtype.
    pub cfgstring: String,
    /// Its capacity.
    pub size_bytes: u64,
    /// The length of one logical block.
    pub block_length_bytes: u32,
    /// Whether it is served.
    #[serde(flatten)]
    pub state: LunState,
    /// How many rules of faults are armed for it: it breaks promises on purpose.
    #[serde(default)]
    pub faults_armed: u64,
    /// The length of its data area: `max_data_area_mb`; 0 as long as it is not served.
    #[serde(default)]
    pub data_area_mb: u64,
    /// The most of the data area that was in use since the daemon took it over, in percent.
    #[serde(default)]
    pub data_area_peak_percent: u64,
    /// The most of the command ring that was in use, in percent.
    #[serde(default)]
    pub ring_peak_percent: u64,
    /// COMPARE AND WRITEs that found other data.
    #[serde(default)]
    pub miscompares: u64,
}

/// Whether a logical unit is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum LunState {
    /// Its medium is being opened, or its device taken over.
    Opening,
    /// Commands are executed.
    Serving,
    /// Its medium could not be opened, or its server broke down; initiators see it not ready.
    Failed {
        /// What went wrong.
        reason: String,
    },
    /// It is drained and let go.
    Stopped,
}

impl fmt::Display for LunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opening => f.write_str("opening"),
            Self::Serving => f.write_str("serving"),
            Self::Failed { reason } => write!(f, "failed: {reason}"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// A logical unit in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LunDetail {
    /// What the list says too.
    #[serde(flatten)]
    pub summary: LunSummary,
    /// What it has done since the daemon took it over.
    pub counters: LunCounters,
    /// What waits and what runs, by lane.
    pub lanes: Vec<LaneStatus>,
    /// What the kernel was told about it.
    pub kernel: KernelSettings,
    /// For how long its thread has been waiting for its medium, and for nothing else; 0 if it does not.
    #[serde(default)]
    pub in_medium_ms: u64,
}

/// What a logical unit has done since the daemon took it over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LunCounters {
    /// Commands answered, whatever the answer.
    pub commands: u64,
    /// COMPARE AND WRITEs that wrote.
    pub compare_and_write_good: u64,
    /// COMPARE AND WRITEs that found other data and wrote nothing.
    pub compare_and_write_miscompare: u64,
    /// Commands that a task management function took back.
    pub aborted: u64,
    /// Commands answered with MEDIUM ERROR or HARDWARE ERROR.
    pub errors: u64,
    /// How often its server was started again after a panic.
    pub restarts: u64,
    /// Commands taken in and not yet answered.
    pub in_flight: u64,
    /// Commands that took as long as `deadline_warning`, and not as long as `deadline_error`.
    #[serde(default)]
    pub late: u64,
    /// Commands that took as long as `deadline_error`.
    #[serde(default)]
    pub too_late: u64,
}

/// One lane of a logical unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneStatus {
    /// The lane's name.
    pub lane: String,
    /// Commands that wait to be started.
    pub queued: u64,
    /// Commands started and not yet answered.
    pub in_flight: u64,
    /// The longest that a command has waited before it was started.
    pub wait_max_us: u64,
}

/// What the kernel was told about a logical unit, from its configfs attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelSettings {
    /// `cmd_time_out`: after this the initiator gets NOT READY; 0 is never.
    pub cmd_time_out_s: u32,
    /// `qfull_time_out`: -1 is as `cmd_time_out`, 0 is TASK SET FULL at once.
    pub qfull_time_out_s: i32,
    /// `max_data_area_mb`, in bytes.
    pub max_data_area_bytes: u64,
}

/// One setting that a reload changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The setting's dotted key, as `lun.ds1.metadata`.
    pub key: String,
    /// Its value before, as TOML writes it.
    pub from: String,
    /// Its value now.
    pub to: String,
    /// From when on the new value counts.
    pub effect: Effect,
}

/// From when on a changed setting counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It does already.
    Now,
    /// When the daemon is started the next time.
    AtRestart,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(state: LunState) -> LunSummary {
        LunSummary {
            name: "ds1".into(),
            id: 3,
            handler: "file".into(),
            cfgstring: "file//srv/ds1.img".into(),
            size_bytes: 64 << 30,
            block_length_bytes: 512,
            state,
            faults_armed: 2,
            data_area_mb: 256,
            data_area_peak_percent: 7,
            ring_peak_percent: 1,
            miscompares: 3,
        }
    }

    #[test]
    fn the_bytes_on_the_socket_are_fixed() {
        let request = Envelope::new(Request::LunShow { name: "ds1".into() });
        assert_eq!(
            serde_json::to_string(&request).unwrap(),
            r#"{"version":1,"request":"lun-show","name":"ds1"}"#
        );
        let failed = LunState::Failed { reason: "no such file".into() };
        let response = Envelope::new(Response::LunList { luns: vec![summary(failed)] });
        assert_eq!(
            serde_json::to_string(&response).unwrap(),
            concat!(
                r#"{"version":1,"response":"lun-list","luns":[{"name":"ds1","id":3,"handler":"file","#,
                r#""cfgstring":"file//srv/ds1.img","size_bytes":68719476736,"block_length_bytes":512,"#,
                r#""state":"failed","reason":"no such file","faults_armed":2,"data_area_mb":256,"#,
                r#""data_area_peak_percent":7,"ring_peak_percent":1,"miscompares":3}]}"#
            )
        );
    }

    #[test]
    fn every_answer_survives_the_line() {
        let detail = LunDetail {
            summary: summary(LunState::Serving),
            counters: LunCounters { commands: u64::MAX, ..LunCounters::default() },
            lanes: vec![LaneStatus {
                lane: "heartbeat".into(),
                queued: 1,
                in_flight: 2,
                wait_max_us: 3,
            }],
            kernel: KernelSettings { qfull_time_out_s: -1, ..KernelSettings::default() },
            in_medium_ms: 4,
        };
        let status = Status {
            daemon_version: "0.1.0".into(),
            pid: 1,
            uptime_ms: 2,
            config: "/etc/pulsefield/pulsefield.toml".into(),
            handlers: vec!["ram".into()],
            luns_serving: 1,
            luns_total: 2,
            dbus: DbusState::Registered { with: ":1.7".into() },
            faults_armed: 0,
            late: 0,
            too_late: 0,
            fullest: Some(Fullest { lun: "ds1".into(), percent: 7 }),
        };
        let latency = LunLatency { lun: "ds1".into(), ..LunLatency::default() };
        let hosts = LunHosts { lun: "ds1".into(), hosts: vec![HostPulse::default()] };
        let change = Change {
            key: "lun.ds1.metadata".into(),
            from: "[\"0..8\"]".into(),
            to: "[]".into(),
            effect: Effect::Now,
        };
        for response in [
            Response::Status(status),
            Response::LunList { luns: vec![] },
            Response::LunShow(Box::new(detail)),
            Response::Reload { changed: vec![change] },
            Response::Latency { luns: vec![latency] },
            Response::Hosts { luns: vec![hosts] },
            Response::FaultList { luns: vec![] },
            Response::FaultDisarm { rules: 3 },
            Response::Error { message: "no".into() },
        ] {
            let line = serde_json::to_string(&Envelope::new(response.clone())).unwrap();
            let back: Envelope<Response> = serde_json::from_str(&line).unwrap();
            assert_eq!(back, Envelope::new(response));
        }
    }
}
