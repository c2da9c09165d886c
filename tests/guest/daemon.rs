//! Pulsefield's service, and tcmu-runner beside it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command::run;
use crate::wait::wait_until;

/// The daemon's configuration file.
pub const CONFIGURATION: &str = "/etc/pulsefield/pulsefield.toml";

const SERVICE: &str = "pulsefield.service";
const INCUMBENT: &str = "incumbent.service";
/// The bus name that targetcli asks for user backstores.
const BUS_NAME: &str = "org.kernel.TCMUService1";
const START_LIMIT: Duration = Duration::from_secs(60);

/// Starts the service; systemd waits until it says that it is ready.
///
/// # Errors
/// systemd's reason.
pub fn start() -> Result<()> {
    run("systemctl", ["start", SERVICE]).output().map(drop)
}

/// Stops the service and waits for its end.
///
/// # Errors
/// systemd's reason.
pub fn stop() -> Result<()> {
    run("systemctl", ["stop", SERVICE]).output().map(drop)
}

/// Puts `text` in force as the daemon's configuration.
///
/// # Errors
/// The daemon refused it.
pub fn configure(text: &str) -> Result<()> {
    fs::create_dir_all("/etc/pulsefield").context("creating /etc/pulsefield")?;
    fs::write(CONFIGURATION, text).with_context(|| format!("writing {CONFIGURATION}"))?;
    run("pulsefield", ["reload"]).output().map(drop)
}

/// Ends the daemon with SIGKILL and waits until systemd has another one ready.
///
/// # Errors
/// There was none to kill, or none came after it.
pub fn kill_and_await_successor() -> Result<()> {
    let before = main_pid()?;
    if before == 0 {
        bail!("{SERVICE} has no main process to kill");
    }
    run("systemctl", ["kill", "--kill-whom=main", "--signal=KILL", SERVICE]).output()?;
    wait_until(START_LIMIT, "the daemon's successor", || {
        Ok(![0, before].contains(&main_pid()?) && property("ActiveState")? == "active")
    })
}

/// The daemon's process id; 0 if it is not running.
///
/// # Errors
/// systemd would not say.
pub fn main_pid() -> Result<u32> {
    main_pid_of(SERVICE)
}

fn main_pid_of(unit: &str) -> Result<u32> {
    Ok(property_of(unit, "MainPID")?.parse()?)
}

fn property(name: &str) -> Result<String> {
    property_of(SERVICE, name)
}

fn property_of(unit: &str, name: &str) -> Result<String> {
    let value = run("systemctl", ["show", "--value", "--property", name, unit]).output()?;
    Ok(value.trim().to_owned())
}

/// What the daemon has written to its journal since the guest started.
///
/// # Errors
/// The journal could not be read.
pub fn journal() -> Result<String> {
    run("journalctl", ["--unit", SERVICE, "--output", "cat", "--boot"]).output()
}

/// Lines of the daemon's journal that no healthy run has: errors and panics.
///
/// # Errors
/// The journal could not be read.
pub fn complaints() -> Result<Vec<String>> {
    let journal = journal()?;
    let bad = |line: &&str| line.contains("ERROR") || line.contains("panicked");
    Ok(journal.lines().filter(bad).map(str::to_owned).collect())
}

/// Runs tcmu-runner until dropped.
#[derive(Debug)]
pub struct Incumbent;

impl Incumbent {
    /// Stops ours, which has the bus name, starts it and waits until it owns that.
    ///
    /// # Errors
    /// It did not start.
    pub fn start() -> Result<Self> {
        stop()?;
        let unit = format!("--unit={INCUMBENT}");
        run("systemd-run", [&unit, "--collect", "--quiet", "/usr/bin/tcmu-runner"]).output()?;
        let incumbent = Self;
        wait_until(START_LIMIT, "tcmu-runner to own its bus name", || {
            let owned = ["call", "org.freedesktop.DBus", "/org/freedesktop/DBus"];
            let owner = ["org.freedesktop.DBus", "NameHasOwner", "s", BUS_NAME];
            let answer = run("busctl", owned.into_iter().chain(owner)).output()?;
            Ok(answer.trim() == "b true")
        })?;
        Ok(incumbent)
    }

    /// Its process id.
    ///
    /// # Errors
    /// systemd would not say.
    pub fn pid(&self) -> Result<u32> {
        main_pid_of(INCUMBENT)
    }
}

impl Drop for Incumbent {
    fn drop(&mut self) {
        // What is left running ends with the guest.
        let _ = run("systemctl", ["stop", INCUMBENT]).output();
    }
}
