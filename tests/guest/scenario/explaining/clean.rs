//! Many hosts on one volume that do nothing wrong: they pulse, they take and release their own locks, and an
//! initiator writes bulk beside them. Nothing is to be explained then. While they do, `pulsefield vmfs` shows them,
//! from the medium and from an initiator.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use super::script::Writer;
use super::watching::{self, Seen};
use super::{over, settle};
use crate::backstore::{Backstore, Kind};
use crate::clock::monotonic_ns;
use crate::command::run as command;
use crate::disk::{Disk, Transport};
use crate::explain;
use crate::fabric;
use crate::load::{Load, Region};
use crate::report::Report;
use crate::soak::HELD;
use crate::vmfs::{self, Host};
use crate::wait::wait_until;

/// It comes after the others where units are listed.
const LUN: &str = "tidy";
const LABEL: &str = "scratch";
/// Hosts over each fabric.
const HOSTS_PER_PATH: u8 = 8;

/// How long nothing goes wrong, and how much is done meanwhile.
#[derive(Clone, Copy)]
pub(super) struct Stretch {
    length: Duration,
    /// The time between two pulses of a host.
    period: Duration,
    /// Bytes a second of bulk; as many as go if there is no limit.
    bulk: Option<u64>,
}

/// A scene among others, at full load: hosts pulse more often than ESXi's, so that a minute is worth many.
pub(super) const SHORT: Stretch =
    Stretch { length: Duration::from_secs(45), period: Duration::from_millis(500), bulk: None };
/// All that happens: an hour on the grid of ESXi, on a machine that has other things to do as well.
pub(super) const HOUR: Stretch = Stretch {
    length: Duration::from_secs(3600),
    period: Duration::from_secs(3),
    bulk: Some(1 << 20),
};
/// For a wait of that length.
const LIMIT: Duration = Duration::from_secs(60);
/// Bulk, beyond the metadata.
const BULK_OFFSET: u64 = 32 << 20;
const BULK_BYTES: u64 = 16 << 20;

/// Makes the unit and exports it over every fabric. Before any initiator logs in: FC's looks for units only
/// then.
pub(super) fn export() -> Result<Backstore> {
    let unit = Backstore::new(Kind::Pulsefield, LUN, "64M");
    fabric::ALL.iter().try_for_each(|fabric| fabric::export(*fabric, &unit))?;
    Ok(unit)
}

pub(super) fn run(report: &mut Report, unit: &Backstore, stretch: Stretch) -> Result<()> {
    report.step(format!("{} s in which nothing goes wrong", stretch.length.as_secs()));
    let disks = fabric::attach_everywhere(&unit.serial()?)?;
    disks.iter().try_for_each(settle)?;
    let device = over(&disks, Transport::Loopback)?.open()?;
    device.write_block(vmfs::DESCRIPTOR_LBA, &vmfs::descriptor(LABEL))?;
    let hosts = Hosts::new(&disks)?;
    let path = over(&disks, Transport::Loopback)?.block.to_string_lossy().into_owned();
    let region = Region { path, offset: BULK_OFFSET, bytes: BULK_BYTES };
    let load = Load::start_paced(region, stretch.bulk)?;
    let watch = watching::start(LUN, stretch.length)?;
    let pulses = hosts.live_for(stretch, || show(report, &disks, &hosts))?;
    watched(report, &watching::end(watch, stretch.length)?, hosts.all().count());
    report.none("clean: errors of the bulk beside them", &load.finish()?.errors);
    report.figure("clean.pulses", pulses);
    let account = explain::explain(LUN)?;
    let words: Vec<_> = account.miscompares.iter().map(|it| &it.words).collect();
    report.none("clean: MISCOMPAREs that are explained", &words);
    let words: Vec<_> = account.late_heartbeats.iter().map(|it| &it.words).collect();
    report.none("clean: late heartbeats", &words);
    report.none("clean: heartbeats without an answer", &account.unanswered_heartbeats);
    let pulsed = &account.summary.hosts;
    report.equal("clean: hosts that were seen to pulse", hosts.all().count(), pulsed.len());
    let failed: Vec<_> = pulsed.iter().filter(|host| host.failed > 0).map(|it| &it.host).collect();
    report.none("clean: hosts whose pulse failed", &failed);
    let least = pulsed.iter().map(|host| host.pulses).min().unwrap_or_default();
    report.at_least("clean: pulses of each host in the record", 10, least);
    Ok(())
}

/// Records what whoever watched them has concluded.
fn watched(report: &mut Report, Seen { code, found }: &Seen, hosts: usize) {
    report.equal("clean: soak --watch passes", HELD, *code);
    report.none("clean: promises that are broken", &found.standing("broken"));
    let held = found.standing("held");
    for promise in ["lock-exclusion", "linearizable", "heartbeat-deadline", "monotonic"] {
        report.check(
            &format!("clean: {promise}"),
            held.contains(&promise),
            "held",
            held.join(", "),
        );
    }
    report.equal("clean: hosts that soak --watch has seen", hosts, found.setup.hosts.len());
}

/// Hosts by the paths that they use.
struct Hosts(Vec<Vec<Living>>);

/// A host with its heartbeat slot and a lock that is its own; both have its number.
struct Living {
    writer: Writer,
    number: u8,
}

impl Hosts {
    /// Puts a heartbeat and a free lock of each on the volume.
    fn new(disks: &[Disk]) -> Result<Self> {
        let mut numbers = 1..;
        let on = |disk: &Disk| {
            let numbers = numbers.by_ref().take(HOSTS_PER_PATH.into());
            numbers.map(|number| Living::on(disk, number)).collect::<Result<Vec<_>>>()
        };
        disks.iter().map(on).collect::<Result<_>>().map(Self)
    }

    fn all(&self) -> impl Iterator<Item = &Living> {
        self.0.iter().flatten()
    }

    /// Lets all of them live for so long, and does something else once; says how often they pulsed.
    fn live_for(&self, stretch: Stretch, meanwhile: impl FnOnce() -> Result<()>) -> Result<u64> {
        let until = monotonic_ns()? + u64::try_from(stretch.length.as_nanos())?;
        let trouble = AtomicBool::new(false);
        let live = |hosts: &[Living]| {
            let lived = live_until(hosts, stretch.period, until, &trouble);
            trouble.fetch_or(lived.is_err(), Ordering::Relaxed);
            lived
        };
        thread::scope(|scope| {
            let live = &live;
            let paths: Vec<_> =
                self.0.iter().map(|hosts| scope.spawn(move || live(hosts))).collect();
            let done = meanwhile();
            let pulses = paths
                .into_iter()
                .map(|path| path.join().unwrap_or_else(|_| bail!("a path panicked")));
            let pulses = pulses.sum::<Result<u64>>();
            done.and(pulses)
        })
    }
}

/// Round after round each host pulses, and then takes and releases its lock.
fn live_until(hosts: &[Living], period: Duration, until: u64, trouble: &AtomicBool) -> Result<u64> {
    let mut rounds = 0;
    while monotonic_ns()? < until && !trouble.load(Ordering::Relaxed) {
        let next = monotonic_ns()? + u64::try_from(period.as_nanos())?;
        hosts.iter().try_for_each(|host| host.pulse(rounds))?;
        hosts.iter().try_for_each(|host| host.use_lock(2 * rounds))?;
        rounds += 1;
        wait_until(LIMIT, "the next pulse", || Ok(monotonic_ns()? >= next))?;
    }
    Ok(rounds * hosts.len() as u64)
}

impl Living {
    fn on(disk: &Disk, number: u8) -> Result<Self> {
        let living = Self { writer: Writer::on(disk, Host::number(number))?, number };
        let device = &living.writer.device;
        device.write_block(vmfs::slot_lba(number.into()), &living.heartbeat(0))?;
        device.write_block(vmfs::lock_lba(number.into()), &living.lock(0))?;
        Ok(living)
    }

    fn heartbeat(&self, pulses: u64) -> [u8; 512] {
        vmfs::pulse(self.writer.host, self.number.into(), 1, pulses * 3_000_000)
    }

    /// Free after an even number of changes.
    fn lock(&self, changes: u64) -> [u8; 512] {
        let owner = (self.writer.host, self.number.into());
        vmfs::file_lock(self.number.into(), changes, (changes % 2 == 1).then_some(owner))
    }

    fn pulse(&self, before: u64) -> Result<()> {
        let (old, new) = (self.heartbeat(before), self.heartbeat(before + 1));
        self.writer.wins(vmfs::slot_lba(self.number.into()), &old, &new).map(drop)
    }

    fn use_lock(&self, before: u64) -> Result<()> {
        let lba = vmfs::lock_lba(self.number.into());
        for changes in [before, before + 1] {
            self.writer.wins(lba, &self.lock(changes), &self.lock(changes + 1))?;
        }
        Ok(())
    }
}

/// `pulsefield vmfs` of the live volume, by its unit and by an initiator's device: its hosts, and a lock
/// that is held meanwhile.
fn show(report: &mut Report, disks: &[Disk], hosts: &Hosts) -> Result<()> {
    const FILE: u64 = 200;
    let Some(holder) = hosts.all().next() else { bail!("no host") };
    let (host, slot) = (holder.writer.host, u64::from(holder.number));
    let held = vmfs::file_lock(FILE, 1, Some((host, slot)));
    holder.writer.device.write_block(vmfs::lock_lba(FILE), &held)?;
    let disk = over(disks, Transport::Iscsi)?.block.to_string_lossy().into_owned();
    for volume in [LUN, &disk] {
        let output = command("pulsefield", ["vmfs", volume, "--json"]).output()?;
        let shown: Value = serde_json::from_str(&output)?;
        ensure!(shown["heartbeats"].is_array(), "pulsefield vmfs {volume}: {output}");
        let name = |what: &str| format!("pulsefield vmfs {volume}: {what}");
        let label = &shown["file_system"]["label"];
        report.equal(&name("the label"), &json!(LABEL), label);
        let mut owners: Vec<_> =
            list(&shown["heartbeats"]).filter_map(|it| it["owner"].as_str()).collect();
        owners.sort_unstable();
        let mut wanted: Vec<_> = hosts.all().map(|it| it.writer.host.to_string()).collect();
        wanted.sort_unstable();
        report.check(&name("hosts"), owners == wanted, wanted.len(), owners.len());
        let offset = vmfs::lock_lba(FILE) * 512;
        let lock = list(&shown["held_locks"]).find(|it| it["offset"] == json!(offset));
        let owner = lock.and_then(|lock| lock["owner"].as_str()).unwrap_or("nobody");
        report.equal(&name("who has a lock"), &*host.to_string(), owner);
    }
    Ok(())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
