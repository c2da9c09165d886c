//! One logical unit over four fabrics at once.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::backstore::{Backstore, Kind};
use crate::collision::{Collisions, collide};
use crate::command::run as command;
use crate::daemon::{self, Incumbent};
use crate::disk::Disk;
use crate::fabric;
use crate::load::{self, Region};
use crate::race::Race;
use crate::reply::Answer;
use crate::report::Report;
use crate::table::table;
use crate::tally::SECTOR;
use crate::targetcli::{targetcli, targetctl};
use crate::wait::wait_until;

/// Blocks that the checks use, clear of what mkfs and fio overwrite later.
const OFFSETS_LBA: u64 = 100;
const RACE_LBA: u64 = 200;
const COLLISION_LBA: u64 = 300;
const MARKER_LBA: u64 = 400;

const INCREMENTS: u64 = 10_000;
const COLLISIONS: u64 = 8_000;
/// Of others', who fail hundreds of these.
const COLLISIONS_ELSEWHERE: u64 = 2_000;
const SEED: u64 = 2026;
const RACE_LIMIT: Duration = Duration::from_secs(400);
const FILE_BYTES: u64 = 32 << 20;
/// How long targetcli may take to see a handler that registers itself.
const REGISTER_LIMIT: Duration = Duration::from_secs(60);

pub(super) fn run(report: &mut Report, kind: Kind) -> Result<()> {
    report.step("exporting ds1 over loopback, iSCSI, FC and SRP");
    let ds1 = Backstore::new(kind, "ds1", "1G");
    let disks = fabric::export_everywhere(&ds1)?;
    for disk in &disks {
        report.step(disk);
    }
    identity(report, &disks, &ds1)?;
    miscompare_offsets(report, &disks)?;
    report.step(format!("{INCREMENTS} increments of one sector, a writer per fabric"));
    let stop = env::temp_dir().join("never");
    let race = Race::start(&disks, RACE_LBA, INCREMENTS, &stop)?;
    let outcome = race.finish(&disks[0], RACE_LIMIT)?;
    outcome.judge(report, "race");
    report.equal("race: increments without GOOD", 0, outcome.unacknowledged());
    let saved = save_and_restore(report, &ds1, &disks)?;
    file_system(report, &saved)?;
    fabric::detach_everywhere()?;
    for fabric in fabric::ALL {
        fabric::unexport(fabric)?;
    }
    ds1.delete()?;
    compare_with_others(report, kind)
}

/// Every path shows the same logical unit.
fn identity(report: &mut Report, disks: &[Disk], backstore: &Backstore) -> Result<()> {
    let mut names = BTreeSet::new();
    for disk in disks {
        let device = disk.open()?;
        names.insert(device.naa()?);
        let capacity = device.capacity()?;
        let bytes = capacity.blocks * u64::from(capacity.block_bytes);
        report.equal(&format!("capacity over {}", disk.transport), backstore.bytes()?, bytes);
    }
    report.equal("NAA names of one logical unit", 1, names.len());
    report.figure("naa", &names);
    Ok(())
}

/// A difference in any byte is reported at that byte, over every fabric.
fn miscompare_offsets(report: &mut Report, disks: &[Disk]) -> Result<()> {
    let there: [u8; SECTOR] = std::array::from_fn(|place| place.to_le_bytes()[0]);
    let mut wrong = Vec::new();
    for disk in disks {
        let device = disk.open()?;
        device.write_block(OFFSETS_LBA, &there)?;
        for place in 0..SECTOR {
            // Every byte behind the first difference differs too: "the last" would be caught.
            let mut compare = there;
            compare[place..].iter_mut().for_each(|byte| *byte = !*byte);
            let reply = device.compare_and_write(OFFSETS_LBA, &compare, &[0; SECTOR])?;
            let right =
                reply.answer() == Answer::MISCOMPARE && reply.information() == Some(place as u64);
            if !right {
                let seen = reply.information();
                wrong.push(format!("{disk}: byte {place}: {} {seen:?}", reply.answer()));
            }
        }
        let after = device.read_block(OFFSETS_LBA, u32::try_from(SECTOR)?)?;
        if after != there {
            wrong.push(format!("{disk}: a MISCOMPARE wrote"));
        }
    }
    report.none("wrong INFORMATION offsets, every byte of a sector, every fabric", &wrong);
    Ok(())
}

/// mkfs.xfs and fio through one fabric, the file read back through another.
fn file_system(report: &mut Report, disks: &[Disk]) -> Result<()> {
    let [first, .., last] = disks else { anyhow::bail!("two fabrics at least") };
    report.step(format!("mkfs.xfs over {}, read back over {}", first.transport, last.transport));
    let folder = env::temp_dir().join("mounted");
    fs::create_dir_all(&folder)?;
    let block = |disk: &Disk| disk.block.to_string_lossy().into_owned();
    let mount = |disk: &Disk, options: &str| {
        command("mount", ["-o", options, &block(disk), &folder.to_string_lossy()]).output()
    };
    let unmount = || command("umount", [&folder]).output();
    let file = folder.join("file").to_string_lossy().into_owned();
    let sum = || command("sha256sum", [&file]).output();

    report.works("mkfs.xfs", command("mkfs.xfs", ["-q", "-f", &block(first)]).output());
    mount(first, "defaults")?;
    let region = Region { path: file.clone(), offset: 0, bytes: FILE_BYTES };
    report.works("fio writes and verifies a file", load::pass(&region, SEED));
    let written = sum();
    unmount()?;
    mount(last, "ro")?;
    let read = sum();
    unmount()?;
    report.equal("the file's checksum over another fabric", written?, read?);
    Ok(())
}

/// `targetctl save`, `clear`, `restore`: everything is back, and every byte.
fn save_and_restore(report: &mut Report, ds1: &Backstore, disks: &[Disk]) -> Result<Vec<Disk>> {
    report.step("targetctl save, clear, restore");
    let marker: Vec<u8> = b"restored".iter().copied().cycle().take(SECTOR).collect();
    let first = disks[0].open()?;
    first.write_block(MARKER_LBA, &marker)?;
    let naa = first.naa()?;
    drop(first);
    let saved = env::temp_dir().join("saved.json").to_string_lossy().into_owned();

    fabric::detach_everywhere()?;
    targetctl(&["save", &saved])?;
    targetctl(&["clear"])?;
    let left = crate::configfs::user_devices()?;
    report.none("UIO devices after targetctl clear", &left);
    report.works("targetctl restore", targetctl(&["restore", &saved]));
    let disks = fabric::attach_everywhere(&ds1.serial()?)?;
    for disk in &disks {
        let device = disk.open()?;
        report.equal(&format!("NAA over {} after restore", disk.transport), &naa, &device.naa()?);
        let kept = device.read_block(MARKER_LBA, u32::try_from(SECTOR)?)? == marker;
        report.equal(&format!("data over {} after restore", disk.transport), true, kept);
    }
    Ok(disks)
}

/// Collisions for ours and for three others, in one boot, over loopback.
fn compare_with_others(report: &mut Report, ours: Kind) -> Result<()> {
    let mut all = Vec::new();
    for kind in [Kind::Pulsefield, Kind::Fileio, Kind::Ramdisk, Kind::TcmuRunner] {
        if kind == Kind::Pulsefield && ours != Kind::Pulsefield {
            continue;
        }
        let incumbent = (kind == Kind::TcmuRunner).then(Incumbent::start).transpose()?;
        let rounds = if kind == ours { COLLISIONS } else { COLLISIONS_ELSEWHERE };
        report.step(format!("{rounds} collisions on {kind}"));
        let backstore = Backstore::new(kind, "collide", "64M");
        backstore.create()?;
        let disk = fabric::over_loopback(&backstore)?;
        all.push((kind, collide(&disk, COLLISION_LBA, rounds, SEED)?));
        backstore.delete()?;
        if incumbent.is_some() && ours == Kind::Pulsefield {
            beside_the_incumbent(report)?;
        }
    }
    println!("{}", collision_table(&all));
    for (kind, collisions) in &all {
        report.figure(&format!("collisions.{kind}"), collisions);
        if *kind == Kind::Pulsefield {
            judge(report, collisions);
        }
    }
    // A method that finds nothing anywhere has shown nothing.
    let found = all.iter().filter(|(kind, _)| *kind != Kind::Pulsefield);
    let found = found.map(|(_, collisions)| collisions.violations).max().unwrap_or_default();
    report.at_least("violations that the method finds in others", 1, found);
    Ok(())
}

fn judge(report: &mut Report, collisions: &Collisions) {
    let Collisions { rounds, overlapping, compare_first, write_first, violations, .. } =
        *collisions;
    report.equal("collisions", COLLISIONS, rounds);
    report.equal("COMPARE AND WRITE not atomic against WRITE", 0, violations);
    report.equal("wrong INFORMATION offsets in collisions", 0, collisions.wrong_offsets);
    report.equal("collisions without explanation", 0, collisions.other);
    report.at_least("collisions truly at the same time", rounds / 2, overlapping);
    report.at_least("COMPARE AND WRITE first", 1, compare_first);
    report.at_least("WRITE first", 1, write_first);
}

fn collision_table(all: &[(Kind, Collisions)]) -> String {
    let rows: Vec<_> = all
        .iter()
        .map(|(kind, collisions)| {
            let Collisions { rounds, overlapping, compare_first, write_first, .. } = collisions;
            let first = [rounds, overlapping, compare_first, write_first, &collisions.violations];
            [kind.to_string()].into_iter().chain(first.map(u64::to_string)).collect()
        })
        .collect();
    table(&["backstore", "rounds", "at once", "CAW first", "WRITE first", "NOT ATOMIC"], &rows)
}

/// tcmu-runner owns the bus name; Pulsefield registers with it, and each serves its own.
fn beside_the_incumbent(report: &mut Report) -> Result<()> {
    report.step("Pulsefield beside a running tcmu-runner");
    daemon::start().context("starting beside tcmu-runner")?;
    let seen = wait_until(REGISTER_LIMIT, "targetcli to show user:pulsefield", || {
        Ok(targetcli(&["ls", "/backstores", "1"])?.contains("user:pulsefield"))
    });
    if report.works("targetcli shows user:pulsefield beside tcmu-runner", seen).is_none() {
        return daemon::stop();
    }
    // tcmu-runner refuses devices of handlers that it did not load itself, unless nobody waits for
    // its answer.
    let ours = Backstore {
        control: "nl_reply_supported=-1",
        ..Backstore::new(Kind::Pulsefield, "ours", "64M")
    };
    report.works("a LUN of ours beside tcmu-runner", ours.create());
    let theirs = Backstore::new(Kind::TcmuRunner, "theirs", "64M");
    report.works("a LUN of tcmu-runner's beside us", theirs.create());
    for backstore in [&ours, &theirs] {
        let served = serves(backstore);
        report.works(&format!("COMPARE AND WRITE on {}", backstore.name), served);
    }
    theirs.delete()?;
    ours.delete()?;
    daemon::stop()
}

/// Exports a backstore over loopback and does one COMPARE AND WRITE.
fn serves(backstore: &Backstore) -> Result<()> {
    let device = fabric::over_loopback(backstore)?.open()?;
    device.write_block(0, &[1; SECTOR])?;
    let reply = device.compare_and_write(0, &[1; SECTOR], &[2; SECTOR])?;
    anyhow::ensure!(reply.is_good(), "{}", reply.answer());
    Ok(())
}
