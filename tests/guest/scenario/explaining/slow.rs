//! A unit on a disk that takes its time: heartbeats that are late by no fault, and the retry that follows one.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use super::script::{Pulsing, Script, Scripted, ScriptedLate};
use super::{over, settle};
use crate::backstore::{Backstore, Kind};
use crate::cdb;
use crate::clock::Window;
use crate::command::run as command;
use crate::disk::{Disk, Transport, in_flight};
use crate::fabric::{self, Iscsi, Loopback};
use crate::reply::Answer;
use crate::report::Report;
use crate::sg::Data;
use crate::vmfs::Host;
use crate::wait::wait_until;

const LUN: &str = "slow";
const LIMIT: Duration = Duration::from_secs(120);
/// What the kernel's simulated disk takes for each command, in ticks of the kernel's clock: 4 ms in Debian's.
const USUAL_TICKS: &str = "1";
const SLOW_TICKS: &str = "1250";
/// The same in time.
const SLOW: Duration = Duration::from_secs(5);
/// When ESXi gives a heartbeat up.
const PATIENCE: Duration = Duration::from_secs(8);

pub(super) fn run(report: &mut Report) -> Result<()> {
    let options = ["dev_size_mb=64", "delay=1"];
    command("modprobe", ["scsi_debug"].into_iter().chain(options)).output()?;
    wait_until(LIMIT, "the simulated disk", || Ok(simulated_disk()?.is_some()))?;
    let sysfs = simulated_disk()?.context("the simulated disk went away again")?;
    let name = sysfs.file_name().context("a disk without a name")?.to_string_lossy();
    let cfgstring = format!("block//dev/{name}");
    let unit = Backstore { cfgstring, ..Backstore::new(Kind::Pulsefield, LUN, "64M") };
    let disks = fabric::export_over(&[&Loopback, &Iscsi], &unit)?;
    disks.iter().try_for_each(settle)?;
    let slow = SlowDisk { sysfs };
    let mut script = Script::default();
    report.step("a pulse that the disk does not finish in time");
    given_up(&slow, &disks, &mut script)?;
    report.step("a pulse that waits for a read");
    behind_a_read(&slow, &disks, &mut script)?;
    script.judge(report, LUN)
}

/// The kernel's simulated disk.
struct SlowDisk {
    /// Its folder under `/sys/block`.
    sysfs: PathBuf,
}

impl SlowDisk {
    /// Does something while each command takes [`SLOW`].
    fn while_slow<T>(&self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        self.set(SLOW_TICKS)?;
        let done = act();
        self.set(USUAL_TICKS)?;
        done
    }

    /// The module refuses while a command is under way.
    fn set(&self, ticks: &str) -> Result<()> {
        let delay = "/sys/bus/pseudo/drivers/scsi_debug/delay";
        wait_until(LIMIT, "the simulated disk to rest", || Ok(fs::write(delay, ticks).is_ok()))
    }
}

/// The simulated disk's folder in sysfs.
fn simulated_disk() -> Result<Option<PathBuf>> {
    for entry in fs::read_dir("/sys/block")? {
        let path = entry?.path();
        let model = fs::read_to_string(path.join("device/model")).unwrap_or_default();
        if model.trim() == "scsi_debug" {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// A pulse takes two commands of the disk and is given up before the second ends. It is applied all the same,
/// and the next one, from the same image, meets it.
fn given_up(slow: &SlowDisk, disks: &[Disk], script: &mut Script) -> Result<()> {
    let host = Host::number(0x81);
    let pulsing = Pulsing::start(over(disks, Transport::Loopback)?, host, 1)?;
    let first = slow.while_slow(|| {
        let (answer, first) = pulsing.try_to_pulse(PATIENCE)?;
        ensure!(matches!(answer, Answer::Host(_)), "it was answered {answer}");
        Ok(first)
    })?;
    let sent = pulsing.writer.loses(pulsing.lba(), &pulsing.image(0), &pulsing.image(2))?;
    let scene = "a pulse that the disk does not finish in time";
    script.miscompares.push(Scripted {
        scene,
        finding: "retry-of-an-applied-ats",
        host,
        sent,
        moments: vec![("/first/at_ns", first), ("/aborted_ns", first)],
        facts: vec![("/same_data", json!(false))],
    });
    script.late.push(ScriptedLate {
        scene,
        host,
        sent: first,
        longest: "in service of the medium",
        behind: None,
        rule: None,
    });
    Ok(())
}

/// A pulse comes while another initiator reads its block, and then has the disk to itself.
fn behind_a_read(slow: &SlowDisk, disks: &[Disk], script: &mut Script) -> Result<()> {
    let host = Host::number(0x82);
    let mut pulsing = Pulsing::start(over(disks, Transport::Loopback)?, host, 2)?;
    let reader = over(disks, Transport::Iscsi)?.open()?;
    pulsing.pulse()?;
    let lba = pulsing.lba();
    let read = || {
        let mut blocks = [0; 8 * 512];
        Window::around(|| reader.must(&cdb::read_16(lba, 8), Data::In(&mut blocks)))
    };
    let (read, sent) = slow.while_slow(|| {
        thread::scope(|scope| {
            let reading = scope.spawn(read);
            wait_until(LIMIT, "the read to be under way", || Ok(in_flight(&slow.sysfs)? > 0))?;
            let sent = pulsing.pulse()?;
            let ((), read) = reading.join().unwrap_or_else(|_| bail!("the reader panicked"))?;
            Ok((read, sent))
        })
    })?;
    script.late.push(ScriptedLate {
        scene: "a pulse that waits for a read",
        host,
        sent,
        longest: "in service of the medium",
        behind: Some((SLOW / 2, read)),
        rule: None,
    });
    Ok(())
}
