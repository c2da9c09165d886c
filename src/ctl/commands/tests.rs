use std::fs;
use std::sync::Arc;

use clap::Parser;
use pulsefield_control::protocol::{
    Change, DbusState, KernelSettings, LaneStatus, LunCounters, LunDetail, LunState, LunSummary,
    Status,
};
use pulsefield_control::{ControlPlane, Server};
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
        })
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
    execute(Cli::try_parse_from(words).unwrap().command, serve, &mut out)?;
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
         D-Bus          owner of org.kernel.TCMUService1\n"
    );
    assert_eq!(
        daemon.prints("lun ls").unwrap(),
        "NAME  DEVICE  SIZE    BLOCK  CONFIGURATION      STATE\n\
         ds1   uio3    64 GiB  512    file//srv/ds1.img  serving\n"
    );
    let lun = daemon.prints("lun show ds1").unwrap();
    for line in [
        "size               64 GiB (68719476736 bytes)\n",
        "compare and write  5 good, 1 miscompared\n",
        "qfull_time_out     as cmd_time_out\n",
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
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(prints(&format!("completions {shell}")).unwrap().contains("print-config"));
    }
}

#[test]
fn serving_is_the_daemons_business() {
    let line = ["pulsefield", "serve", "--config", "/c", "--socket", "/s"];
    let code = run(Cli::try_parse_from(line).unwrap(), |args| {
        assert_eq!((args.config.to_str(), args.socket.to_str()), (Some("/c"), Some("/s")));
        Err(io::Error::from(io::ErrorKind::AddrInUse))
    });
    assert_eq!(code, ExitCode::FAILURE);
}
