use std::fs;
use std::sync::Arc;

use clap::Parser;
use pulsefield_control::protocol::{
    ArmRequest, ArmedPlan, ArmedRule, Change, CommandLatency, DbusState, FaultHit, Fullest,
    HostPulse, KernelSettings, LaneStatus, LunCounters, LunDetail, LunFaults, LunHosts, LunLatency,
    LunState, LunSummary, Quantiles, SlowCommand, Status, TimeParts,
};
use pulsefield_control::{ControlPlane, FaultError, Server, UnitError};
use tempfile::TempDir;

use super::*;

struct OneLun;

impl OneLun {
    fn summary() -> LunSummary {
        LunSummary {
            name: "ds1".to_owned(),
            id: 3,
            handler: "file".to_owned(),
            cfgstring: "file//srv/ds1.img".to_owned(),
            size_bytes: 64 << 30,
            block_length_bytes: 512,
            state: LunState::Serving,
            faults_armed: 3,
            data_area_mb: 1024,
            data_area_peak_percent: 37,
            ring_peak_percent: 2,
            miscompares: 1,
        }
    }
}

impl ControlPlane for OneLun {
    fn status(&self) -> Status {
        Status {
            daemon_version: "0.1.0".to_owned(),
            pid: 42,
            uptime_ms: 61_000,
            config: "/etc/pulsefield/pulsefield.toml".to_owned(),
            handlers: vec!["ram".to_owned(), "file".to_owned()],
            luns_serving: 1,
            luns_total: 1,
            dbus: DbusState::Owner,
            faults_armed: 3,
            late: 2,
            too_late: 1,
            fullest: Some(Fullest { lun: "ds1".to_owned(), percent: 37 }),
        }
    }

    fn luns(&self) -> Vec<LunSummary> {
        vec![Self::summary()]
    }

    fn lun(&self, name: &str) -> Option<LunDetail> {
        (name == "ds1").then(|| LunDetail {
            summary: Self::summary(),
            counters: LunCounters {
                commands: 7,
                compare_and_write_good: 5,
                compare_and_write_miscompare: 1,
                ..LunCounters::default()
            },
            lanes: vec![LaneStatus {
                lane: "heartbeat".to_owned(),
                queued: 0,
                in_flight: 1,
                wait_max_us: 12,
            }],
            kernel: KernelSettings {
                cmd_time_out_s: 30,
                qfull_time_out_s: -1,
                max_data_area_bytes: 1 << 30,
            },
            in_medium_ms: 12_345,
        })
    }

    fn latency(&self, lun: Option<&str>, clear: bool) -> Result<Vec<LunLatency>, UnitError> {
        if let Some(lun) = lun.filter(|lun| *lun != "ds1") {
            return Err(UnitError::NoSuchLun(lun.to_owned()));
        }
        let heartbeats = CommandLatency {
            lane: Some("heartbeat".to_owned()),
            opcode: Some(0x89),
            command: "COMPARE AND WRITE".to_owned(),
            count: 1_200,
            sum_us: 108_000,
            total: Quantiles { p50_us: 84, p99_us: 143, p999_us: 8_100, max_us: 8_003_210 },
            waiting: Quantiles { p99_us: 2, ..Quantiles::default() },
            service: Quantiles { p99_us: 95, ..Quantiles::default() },
            answer: Quantiles { p99_us: 31, ..Quantiles::default() },
        };
        let slowest = SlowCommand {
            at_us: 12_000_345,
            took_us: 8_003_210,
            lane: heartbeats.lane.clone(),
            opcode: 0x89,
            command: heartbeats.command.clone(),
            cdb: "8900".to_owned(),
            lba: Some(43_520),
            blocks: Some(1),
            reason: "fault".to_owned(),
            parts: TimeParts { fault_us: 8_000_000, medium_us: 3_210, ..TimeParts::default() },
        };
        Ok(vec![LunLatency {
            lun: "ds1".to_owned(),
            counted_ms: if clear { 1_000 } else { 61_000 },
            deadline_warning_ms: 1_000,
            deadline_error_ms: 8_000,
            late: 2,
            too_late: 1,
            commands: vec![heartbeats],
            slowest: vec![slowest],
        }])
    }

    fn hosts(&self, lun: Option<&str>) -> Result<Vec<LunHosts>, UnitError> {
        if let Some(lun) = lun.filter(|lun| *lun != "ds1") {
            return Err(UnitError::NoSuchLun(lun.to_owned()));
        }
        let host = HostPulse {
            host: "685eb8eb-7f3e3890-4544-bc2411b17e28".to_owned(),
            slot: 64,
            address: Some("10.0.0.229".to_owned()),
            up_ms: 243_300_042,
            age_ms: 1_250,
            intervals: 20,
            late: 1,
            longest_ms: 8_999,
        };
        Ok(vec![LunHosts { lun: "ds1".to_owned(), hosts: vec![host] }])
    }

    fn reload(&self) -> Result<Vec<Change>, ConfigError> {
        let new = "daemon.dbus = false\ndefaults.metadata = [\"0..8\"]\n";
        Ok(Config::default().changes(&Config::parse("new.toml", new)?))
    }

    fn check_config(&self, _cfgstring: &str) -> Result<(), String> {
        Ok(())
    }

    fn config_description(&self) -> String {
        String::new()
    }

    fn arm_faults(&self, request: &ArmRequest) -> Result<Vec<LunFaults>, FaultError> {
        let plan = Plan::parse(&request.file, &request.plan)?;
        let rules = plan.rules.iter().map(|rule| ArmedRule {
            rule: rule.name.clone(),
            fault: rule.fault.name().to_owned(),
            verdict: rule.verdict.name().to_owned(),
            meaning: rule.sentence(),
            counted: 0,
            hits: 0,
            effects: 0,
        });
        let plan = ArmedPlan {
            plan: 2,
            seed: plan.seed,
            armed_ms: request.lasting_ms.unwrap_or_default(),
            commands: 0,
            hits: request.hits.unwrap_or_default(),
            rules: rules.collect(),
        };
        Ok(vec![LunFaults { lun: "ds1".to_owned(), plans: vec![plan] }])
    }

    fn disarm_faults(&self, _lun: Option<&str>, rule: Option<&str>) -> Result<u64, FaultError> {
        Ok(if rule.is_some() { 1 } else { 4 })
    }

    fn faults(&self, _lun: Option<&str>) -> Result<Vec<LunFaults>, FaultError> {
        Ok(Vec::new())
    }

    fn fault_log(&self, _lun: Option<&str>) -> Result<Vec<FaultHit>, FaultError> {
        Ok(vec![FaultHit {
            lun: "ds1".to_owned(),
            number: 0,
            plan: 2,
            rule: "slow".to_owned(),
            at_us: 12_000_345,
            command: 77,
            opcode: 0x89,
            lba: Some(43_520),
            blocks: Some(1),
            selected: true,
            delay_us: 8_000_000,
            before: Some("GOOD".to_owned()),
            after: None,
            data: None,
        }])
    }

    fn export_faults(&self, _lun: &str) -> Result<String, FaultError> {
        Ok("seed = 7\n".to_owned())
    }
}

struct Daemon {
    _server: Server,
    folder: TempDir,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&folder.path().join("s"), Arc::new(OneLun)).unwrap();
        Self { _server: server, folder }
    }

    /// What `pulsefield <line> --socket …` prints.
    fn prints(&self, line: &str) -> Result<String, CommandError> {
        prints(&format!("{line} --socket {}", self.folder.path().join("s").display()))
    }
}

fn prints(line: &str) -> Result<String, CommandError> {
    let words = ["pulsefield"].into_iter().chain(line.split(' '));
    let mut out = Vec::new();
    let serve = |_| panic!("serves");
    let soak = |_, _: &mut dyn Write| panic!("nobody wants to soak");
    execute(Cli::try_parse_from(words).unwrap().command, serve, soak, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn people_get_words() {
    let daemon = Daemon::start();
    assert_eq!(
        daemon.prints("status").unwrap(),
        "version        0.1.0\n\
         process        42\n\
         up for         00:01:01\n\
         configuration  /etc/pulsefield/pulsefield.toml\n\
         handlers       ram, file\n\
         logical units  1 of 1 serving\n\
         faults         3 rules ARMED\n\
         late commands  2 over deadline_warning, 1 over deadline_error\n\
         fullest        the data area or ring of ds1, 37 % at most\n\
         D-Bus          owner of org.kernel.TCMUService1\n"
    );
    assert_eq!(
        daemon.prints("lun ls").unwrap(),
        "NAME  DEVICE  SIZE    BLOCK  CONFIGURATION      FAULTS  STATE\n\
         ds1   uio3    64 GiB  512    file//srv/ds1.img  3       serving\n"
    );
    let lun = daemon.prints("lun show ds1").unwrap();
    for line in [
        "state              serving, waits for its medium since 12 s\n",
        "size               64 GiB (68719476736 bytes)\n",
        "compare and write  5 good, 1 miscompared\n",
        "qfull_time_out     as cmd_time_out\n",
        "data area          1 GiB, 37 % in use at most; of the ring 2 %\n",
        "heartbeat  0       1          12 µs\n",
    ] {
        assert!(lun.contains(line), "{lun}");
    }
    assert_eq!(
        daemon.prints("reload").unwrap(),
        "daemon.dbus: true → false, from the daemon's next start on\n\
         defaults.metadata: [] → [\"0..8\"]\n"
    );
}

#[test]
fn latencies_are_a_table() {
    let daemon = Daemon::start();
    assert_eq!(
        daemon.prints("latency").unwrap(),
        "ds1: counted for 00:01:01, 2 over 1s, 1 over 8s\n\
         LANE       COMMAND            COUNT  P50    P99     P99.9    MAX     WAITING P99  \
         SERVICE P99  ANSWER P99\n\
         heartbeat  COMPARE AND WRITE  1200   84 µs  143 µs  8.10 ms  8.00 s  2 µs         \
         95 µs        31 µs\n\
         \n\
         TIME       TOOK    LANE       COMMAND            BLOCKS   OF WHICH\n\
         12.000345  8.00 s  heartbeat  COMPARE AND WRITE  43520+1  fault 8.00 s\n"
    );
    assert!(daemon.prints("latency ds1 --reset").unwrap().contains("counted for 00:00:01"));
    let error = daemon.prints("latency ds2").unwrap_err().to_string();
    assert_eq!(error, "no logical unit \"ds2\"; did you mean \"ds1\"?");
    let json = daemon.prints("latency --json").unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["commands"][0]["total"]["p999_us"], 8_100);
    assert_eq!(json[0]["slowest"][0]["parts"]["fault_us"], 8_000_000);
}

#[test]
fn hosts_are_a_table() {
    let daemon = Daemon::start();
    assert_eq!(
        daemon.prints("hosts").unwrap(),
        "LUN  HOST                                 ADDRESS     SLOT  LAST PULSE  LONGEST PAUSE  OVER 8s  UP\n\
         ds1  685eb8eb-7f3e3890-4544-bc2411b17e28  10.0.0.229  64    1.2 s ago   9.0 s          1        2 d 19:35:00\n"
    );
    let error = daemon.prints("hosts ds2").unwrap_err().to_string();
    assert!(error.starts_with("no logical unit \"ds2\""), "{error}");
    assert!(daemon.prints("hosts ds1 --json").unwrap().contains("\"age_ms\": 1250"));
}

#[test]
fn top_prints_one_screen_where_it_is_told_to() {
    let daemon = Daemon::start();
    let screen = daemon.prints("top --once").unwrap();
    assert_eq!(screen.lines().count(), 24);
    assert!(
        screen.contains("> ds1") && screen.contains("685eb8eb-7f3e3890-4544-bc2411b17e28"),
        "{screen}"
    );
    let json = daemon.prints("top --once --json").unwrap();
    for key in ["status", "luns", "latency", "hosts", "faults", "miscompares"] {
        assert!(json.contains(&format!("\n  \"{key}\": ")), "{json}");
    }
}

#[test]
fn programs_get_json() {
    let daemon = Daemon::start();
    let json = |line: &str| -> serde_json::Value {
        serde_json::from_str(&daemon.prints(&format!("{line} --json")).unwrap()).unwrap()
    };
    assert_eq!(json("status")["dbus"]["state"], "owner");
    assert_eq!(json("lun ls")[0]["size_bytes"], 68_719_476_736_u64);
    assert_eq!(json("lun show ds1")["counters"]["compare_and_write_good"], 5);
    assert_eq!(json("reload")[0]["effect"], "at-restart");
}

#[test]
fn failures_have_words_and_a_code() {
    let daemon = Daemon::start();
    let refused = daemon.prints("lun show ds2").unwrap_err();
    assert_eq!(refused.to_string(), "no logical unit \"ds2\"; did you mean \"ds1\"?");
    assert_eq!(refused.exit_code(), ExitCode::FAILURE);
    let absent = prints("status --socket /nonexistent/socket").unwrap_err();
    assert_eq!(absent.exit_code(), ExitCode::from(3));
    let closed = CommandError::from(io::Error::from(io::ErrorKind::BrokenPipe));
    assert_eq!(closed.exit_code(), ExitCode::SUCCESS);
}

#[test]
fn a_volume_is_looked_for_where_its_unit_keeps_it() {
    let daemon = Daemon::start();
    let error = daemon.prints("vmfs ds1").unwrap_err();
    assert_eq!(error.to_string(), "cannot open /srv/ds1.img");
    let error = daemon.prints("vmfs ds2").unwrap_err();
    assert!(with_causes(&error).ends_with("no logical unit \"ds2\"; did you mean \"ds1\"?"));
    assert_eq!(error.exit_code(), ExitCode::FAILURE);
    let alone = prints("vmfs ds1 --socket /nonexistent/socket").unwrap_err();
    assert_eq!(alone.exit_code(), ExitCode::from(3));
}

#[test]
fn a_configuration_is_checked_without_a_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("p.toml");
    let check = format!("check {}", file.display());
    assert!(prints(&check).unwrap_err().to_string().starts_with("cannot read"));
    fs::write(&file, "[daemon]\nlgo = \"info\"\n").unwrap();
    let error = prints(&check).unwrap_err();
    assert!(error.to_string().contains("p.toml:2:1: unknown key \"lgo\""), "{error}");
    assert_eq!(error.exit_code(), ExitCode::FAILURE);
    fs::write(&file, "[daemon]\nlog = \"warn\"\n").unwrap();
    assert!(prints(&check).unwrap().ends_with("p.toml: valid\n"));
    let effective = prints(&format!("serve --print-config --config {}", file.display())).unwrap();
    assert!(effective.starts_with("[daemon]\nlog = \"warn\"\ndbus = true\n"), "{effective}");
}

#[test]
fn a_plan_is_checked_and_explained_without_a_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.toml");
    let check = format!("check {}", file.display());
    fs::write(&file, "seed = 1\n[[rule]]\nfault = \"drpo\"\n").unwrap();
    let error = prints(&check).unwrap_err().to_string();
    assert!(error.contains("plan.toml:3:9: fault cannot be \"drpo\"; did you mean"), "{error}");
    fs::write(&file, "seed = 1\n[[rule]]\nfault = \"drop\"\n").unwrap();
    let words = prints(&check).unwrap();
    assert!(words.contains("plan.toml: a valid plan of faults\n\nOne rule, seed 1."), "{words}");
    assert!(words.contains("every command is neither carried out nor answered"), "{words}");
}

#[test]
fn faults_are_armed_listed_and_disarmed() {
    let daemon = Daemon::start();
    let armed =
        daemon.prints("fault arm ds1 caw.slow delay=8s every=20 --for 1min --hits 3").unwrap();
    assert_eq!(
        armed,
        "ds1, plan 2: seed 1, armed for 00:01:00, 0 commands, 3 hits\n  \
         0 of 0  caw.slow: one COMPARE AND WRITE in 20 is delayed by 8s after it is carried out. \
         The initiator is told, or waits in vain.\n"
    );
    let error = daemon.prints("fault arm ds1 caw.slow dealy=8s").unwrap_err().to_string();
    assert!(error.contains("fault:3:1: unknown key \"dealy\" in [rule]; did you mean"), "{error}");
    assert_eq!(daemon.prints("fault ls").unwrap(), "no faults are armed\n");
    assert_eq!(daemon.prints("fault disarm").unwrap(), "4 rules disarmed\n");
    assert_eq!(daemon.prints("fault disarm ds1 --rule slow").unwrap(), "1 rule disarmed\n");
    assert_eq!(daemon.prints("fault log ds1 --export").unwrap(), "seed = 7\n");
    let log = daemon.prints("fault log").unwrap();
    let hit = "12.000345  ds1  0    slow  77       89h     43520+1  8s     GOOD    -";
    assert_eq!(log.lines().nth(1), Some(hit));
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(prints(&format!("completions {shell}")).unwrap().contains("print-config"));
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    assert_eq!(prints(&format!("manual {path}")).unwrap(), "");
    let page = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(page("pulsefield.1").contains("COMPARE AND WRITE"));
    assert!(page("pulsefield-lun-show.1").contains("as given to targetcli"));
    let error = prints(&format!("manual {path}/none")).unwrap_err().to_string();
    assert_eq!(error, format!("cannot write manual pages into {path}/none"));
}

#[test]
fn serving_is_the_daemons_business() {
    let line = ["pulsefield", "serve", "--config", "/c", "--socket", "/s"];
    let serve = |args: ServeArgs| {
        assert_eq!((args.config.to_str(), args.socket.to_str()), (Some("/c"), Some("/s")));
        Err(io::Error::from(io::ErrorKind::AddrInUse))
    };
    let soak = |_: SoakArgs, _: &mut dyn Write| -> io::Result<ExitCode> { panic!("no soak") };
    assert_eq!(run(Cli::try_parse_from(line).unwrap(), serve, soak), ExitCode::FAILURE);
}
