//! What hosts, tools and media do to one another's heartbeats and locks, with no fault armed.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::over;
use super::script::{Pulsing, Script, Scripted, Sector, Writer};
use crate::clock::{Window, monotonic_ns};
use crate::command::run as command;
use crate::disk::{Disk, Transport};
use crate::tally::SECTOR;
use crate::vmfs::{self, Host};
use crate::wait::wait_until;

/// The unit's medium.
const MEDIUM: &str = "/srv/ds1.img";
/// How long after its last pulse others may take a host for dead.
const LEASE: Duration = Duration::from_secs(16);
/// A host that comes so much later than the write that it does not know of has not looked.
const LOOK: Duration = Duration::from_secs(1);
/// For waits of a fixed length.
const PATIENCE: Duration = Duration::from_secs(60);

/// Something that is played on the unit, and noted.
pub(super) type Play = fn(&[Disk], &mut Script) -> Result<()>;

pub(super) const ALL: [(&str, Play); 8] = [
    ("two hosts want a lock", contention),
    ("a pulse sent twice", sent_twice),
    ("an image of several pulses ago", stale_view),
    ("a slot taken from a living host", seized),
    ("sg_dd over a slot", overwritten_by_sg_dd),
    ("dd over a slot", overwritten_by_dd),
    ("bytes changed behind the target's back", changed_behind),
    ("a medium that goes back", rolled_back),
];

/// Over each fabric one host wins, and another over the next one loses.
fn contention(disks: &[Disk], script: &mut Script) -> Result<()> {
    let lba = vmfs::lock_lba(0);
    let lock = |token, owner: Option<Host>| vmfs::file_lock(0, token, owner.map(|it| (it, 0)));
    let (winner, loser) = (Host::number(0x11), Host::number(0x12));
    disks.first().context("no path")?.open()?.write_block(lba, &lock(0, None))?;
    let others = disks.iter().cycle().skip(1);
    for ((first, second), token) in disks.iter().zip(others).zip((0..).step_by(2)) {
        let (first, second) = (Writer::on(first, winner)?, Writer::on(second, loser)?);
        let (free, taken) = (lock(token, None), lock(token + 1, Some(winner)));
        let won = first.wins(lba, &free, &taken)?;
        let sent = second.loses(lba, &free, &lock(token + 1, Some(loser)))?;
        first.wins(lba, &taken, &lock(token + 2, None))?;
        script.miscompares.push(Scripted {
            scene: "two hosts want a lock",
            finding: "contention",
            host: loser,
            sent,
            moments: vec![("/winner/at_ns", won)],
            facts: vec![("/host", json!(winner.to_string())), ("/writes_since", json!(1))],
        });
    }
    Ok(())
}

/// A path fails after a pulse was applied, and the host sends it once more over another one.
fn sent_twice(disks: &[Disk], script: &mut Script) -> Result<()> {
    let host = Host::number(0x21);
    let mut pulsing = Pulsing::start(over(disks, Transport::Loopback)?, host, 1)?;
    pulsing.pulse()?;
    let (old, new) = (pulsing.image(1), pulsing.image(2));
    let first = pulsing.pulse()?;
    let sent =
        Writer::on(over(disks, Transport::Iscsi)?, host)?.loses(pulsing.lba(), &old, &new)?;
    script.miscompares.push(Scripted {
        scene: "a pulse sent twice",
        finding: "retry-of-an-applied-ats",
        host,
        sent,
        moments: vec![("/first/at_ns", first)],
        facts: vec![("/same_data", json!(true)), ("/aborted_ns", json!(null))],
    });
    Ok(())
}

/// A host sets out from an image that was on the medium three pulses ago.
fn stale_view(disks: &[Disk], script: &mut Script) -> Result<()> {
    let host = Host::number(0x22);
    let mut pulsing = Pulsing::start(over(disks, Transport::Srp)?, host, 2)?;
    pulsing.pulse()?;
    let replaced_by = pulsing.pulse()?;
    pulsing.pulse()?;
    pulsing.pulse()?;
    wait_since(replaced_by.to_ns, LOOK)?;
    let late = Writer::on(over(disks, Transport::Fc)?, host)?;
    let sent = late.loses(pulsing.lba(), &pulsing.image(1), &pulsing.image(5))?;
    script.miscompares.push(Scripted {
        scene: "an image of several pulses ago",
        finding: "stale-view",
        host,
        sent,
        moments: vec![("/replaced_by/at_ns", replaced_by)],
        facts: vec![("/writes_since", json!(3))],
    });
    Ok(())
}

/// Another host takes the slot of one that has just pulsed.
fn seized(disks: &[Disk], script: &mut Script) -> Result<()> {
    let (owner, other) = (Host::number(0x31), Host::number(0x32));
    let mut pulsing = Pulsing::start(over(disks, Transport::Loopback)?, owner, 3)?;
    let last = pulsing.pulse()?;
    let thief = Writer::on(over(disks, Transport::Srp)?, other)?;
    let taken = thief.wins(pulsing.lba(), &pulsing.image(1), &taken_by(other, 3))?;
    let sent = pulsing.miscompares()?;
    script.miscompares.push(Scripted {
        scene: "a slot taken from a living host",
        finding: "slot-taken-from-a-living-host",
        host: owner,
        sent,
        moments: vec![("/writer/at_ns", taken), ("/last_pulse/at_ns", last)],
        facts: vec![("/owner", json!(owner.to_string())), ("/by", json!(other.to_string()))],
    });
    Ok(())
}

/// A slot in its next generation, in use by another host.
fn taken_by(host: Host, slot: u64) -> Sector {
    vmfs::pulse(host, slot, 2, 0)
}

/// A host that has pulsed for the last time.
pub(super) struct Silent {
    pulsing: Pulsing,
    last: Window,
    heir: Writer,
}

/// Lets a host fall silent.
pub(super) fn fall_silent(disks: &[Disk]) -> Result<Silent> {
    let mut pulsing = Pulsing::start(over(disks, Transport::Fc)?, Host::number(0x41), 4)?;
    pulsing.pulse()?;
    let last = pulsing.pulse()?;
    let heir = Writer::on(over(disks, Transport::Iscsi)?, Host::number(0x42))?;
    Ok(Silent { pulsing, last, heir })
}

impl Silent {
    /// Once the lease is over another host takes its slot, and it comes back.
    pub(super) fn taken_over(self, script: &mut Script) -> Result<()> {
        let Self { pulsing, last, heir } = self;
        wait_since(last.to_ns, LEASE)?;
        let taken = heir.wins(pulsing.lba(), &pulsing.image(2), &taken_by(heir.host, 4))?;
        let sent = pulsing.miscompares()?;
        let (owner, by) = (pulsing.writer.host, heir.host);
        script.miscompares.push(Scripted {
            scene: "takeover after a missed lease",
            finding: "takeover-after-a-missed-lease",
            host: owner,
            sent,
            moments: vec![("/writer/at_ns", taken), ("/last_pulse/at_ns", last)],
            facts: vec![("/owner", json!(owner.to_string())), ("/by", json!(by.to_string()))],
        });
        Ok(())
    }
}

/// Zeros through the generic node, by a tool that knows nothing of VMFS.
fn overwritten_by_sg_dd(disks: &[Disk], script: &mut Script) -> Result<()> {
    let disk = over(disks, Transport::Iscsi)?;
    let to = format!("of={}", disk.generic.display());
    let write = |lba: u64| {
        let words = ["if=/dev/zero", &to, "bs=512", "count=1", &format!("seek={lba}")];
        command("sg_dd", words).output().map(drop)
    };
    overwritten("sg_dd over a slot", 5, disks, write, true, script)
}

/// Noise through the block device.
fn overwritten_by_dd(disks: &[Disk], script: &mut Script) -> Result<()> {
    let disk = over(disks, Transport::Fc)?;
    let to = format!("of={}", disk.block.display());
    let write = |lba: u64| {
        let seek = format!("seek={lba}");
        let words =
            ["if=/dev/urandom", &to, "bs=512", "count=1", &seek, "oflag=direct", "conv=notrunc"];
        command("dd", words).output().map(drop)
    };
    overwritten("dd over a slot", 6, disks, write, false, script)
}

fn overwritten(
    scene: &'static str,
    slot: u64,
    disks: &[Disk],
    write: impl FnOnce(u64) -> Result<()>,
    zeros: bool,
    script: &mut Script,
) -> Result<()> {
    let host = Host::number(0x51);
    let mut pulsing = Pulsing::start(over(disks, Transport::Loopback)?, host, slot)?;
    pulsing.pulse()?;
    let ((), written) = Window::around(|| write(pulsing.lba()))?;
    let sent = pulsing.miscompares()?;
    script.miscompares.push(Scripted {
        scene,
        finding: "foreign-write",
        host,
        sent,
        moments: vec![("/writer/at_ns", written)],
        facts: vec![("/zeros", json!(zeros))],
    });
    Ok(())
}

/// Somebody writes to the medium, and not through the target.
fn changed_behind(disks: &[Disk], script: &mut Script) -> Result<()> {
    let host = Host::number(0x61);
    let mut pulsing = Pulsing::start(over(disks, Transport::Srp)?, host, 7)?;
    let last = pulsing.pulse()?;
    write_to_medium(pulsing.lba(), &[0xa5; SECTOR])?;
    let sent = pulsing.miscompares()?;
    script.miscompares.push(Scripted {
        scene: "bytes changed behind the target's back",
        finding: "corruption",
        host,
        sent,
        moments: vec![("/last_writer/at_ns", last)],
        facts: vec![("/older_writer", json!(null))],
    });
    Ok(())
}

/// What was acknowledged is gone, and what was there before is back.
fn rolled_back(disks: &[Disk], script: &mut Script) -> Result<()> {
    let host = Host::number(0x62);
    let mut pulsing = Pulsing::start(over(disks, Transport::Iscsi)?, host, 8)?;
    let older = pulsing.pulse()?;
    let last = pulsing.pulse()?;
    write_to_medium(pulsing.lba(), &pulsing.image(1))?;
    let sent = pulsing.miscompares()?;
    script.miscompares.push(Scripted {
        scene: "a medium that goes back",
        finding: "corruption",
        host,
        sent,
        moments: vec![("/last_writer/at_ns", last), ("/older_writer/at_ns", older)],
        facts: vec![],
    });
    Ok(())
}

fn write_to_medium(lba: u64, sector: &Sector) -> Result<()> {
    let medium = OpenOptions::new().write(true).open(MEDIUM).context(MEDIUM)?;
    medium.write_all_at(sector, lba * SECTOR as u64).context(MEDIUM)
}

/// Waits until so much time has passed since a moment.
fn wait_since(from_ns: u64, time: Duration) -> Result<()> {
    let until = from_ns + u64::try_from(time.as_nanos())?;
    wait_until(PATIENCE, "time to pass", || Ok(monotonic_ns()? >= until))
}
