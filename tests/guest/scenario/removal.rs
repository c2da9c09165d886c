//! Logical units that go, grow and change while they are in use.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::backstore::{Backstore, Kind};
use crate::cdb;
use crate::command::run as run_command;
use crate::configfs::{Folder, user_devices};
use crate::daemon;
use crate::disk::Disk;
use crate::fabric::{self, Loopback};
use crate::kernel_log;
use crate::load::{Load, Passed, Region};
use crate::report::Report;
use crate::sg::{Data, Device};
use crate::wait::wait_until;

const REGION_BYTES: u64 = 8 << 20;
const GROWN: u64 = 192 << 20;
const LUNS: usize = 64;
const LUN_BYTES: u64 = 1 << 20;
const PASS_LIMIT: Duration = Duration::from_secs(120);
const DELETE_LIMIT: Duration = Duration::from_secs(120);
/// How long a LUN is written to while its medium changes.
const WRITING: Duration = Duration::from_secs(15);

pub(super) fn run(report: &mut Report) -> Result<()> {
    let kept = Backstore::new(Kind::Pulsefield, "kept", "128M");
    let disk = fabric::over_loopback(&kept)?;
    let log = kernel_log::mark()?;
    let load = load_on(&disk)?;
    load.await_passes(1, PASS_LIMIT)?;
    let changed = change_under_load(report, &kept, &disk, &load);
    let moved = change_medium_under_load(report);
    let removed = remove_under_load(report, &load);
    let counted = many(report);
    let stopped = stop_and_start(report, &load);
    let passed = load.finish()?;
    report.none("errors of the LUN that was kept", &passed.errors);
    report.at_least("passes over the LUN that was kept", 4, passed.passes);
    report.figure("kept.passes", passed.passes);
    for result in [changed, moved, removed, counted, stopped] {
        result?;
    }
    let name = disk.block.file_name().context("a disk without a name")?.to_string_lossy();
    let complaints = log.complaints()?;
    let about_kept: Vec<_> = complaints.iter().filter(|line| line.contains(&*name)).collect();
    report.none("complaints of the kernel about the LUN that was kept", &about_kept);
    report.none("errors and panics of the daemon", &daemon::complaints()?);
    fabric::unexport(&Loopback)?;
    kept.delete()
}

fn load_on(disk: &Disk) -> Result<Load> {
    let path = disk.block.to_string_lossy().into_owned();
    Load::start(Region { path, offset: REGION_BYTES, bytes: REGION_BYTES })
}

/// Grown, refused sizes, write cache off and on, its own configuration written again.
fn change_under_load(
    report: &mut Report,
    kept: &Backstore,
    disk: &Disk,
    load: &Load,
) -> Result<()> {
    report.step("resizing and reconfiguring under load");
    let folder = kept.folder()?;
    let device = disk.open()?;
    let bytes = |device: &Device| -> Result<u64> {
        let capacity = device.capacity()?;
        Ok(capacity.blocks * u64::from(capacity.block_bytes))
    };

    report.works("growing it", folder.write("attrib/dev_size", &GROWN.to_string()));
    report.equal("its capacity then", GROWN, bytes(&device)?);
    disk.rescan()?;
    let last = GROWN / 512 - 1;
    report.works("a WRITE to its new last block", device.write_block(last, &[7; 512]));

    for size in ["0", "1000"] {
        let refused = folder.write("attrib/dev_size", size).is_err();
        report.equal(&format!("a size of {size} bytes is refused"), true, refused);
    }
    report.equal("its capacity after refusals", GROWN, bytes(&device)?);

    // The attribute starts as 0 whatever the medium's cache is; to write 0 at once is no change.
    for enabled in [true, false, true] {
        let value = u8::from(enabled).to_string();
        report.works(
            &format!("emulate_write_cache {value}"),
            folder.write("attrib/emulate_write_cache", &value),
        );
        report.equal("its caching page then says", enabled, write_cache_enabled(&device)?);
    }
    let config = folder.read("attrib/dev_config")?;
    report.works("its own dev_config again", folder.write("attrib/dev_config", &config));
    let other = "pulsefield/file//no/such/folder/x.img";
    let refused = folder.write("attrib/dev_config", other).is_err();
    report.equal("an impossible dev_config is refused", true, refused);
    report.equal("its dev_config then", config, folder.read("attrib/dev_config")?);
    load.await_passes(1, PASS_LIMIT)
}

/// Two files change places under a LUN that is written to: no write fails, and each keeps its own.
fn change_medium_under_load(report: &mut Report) -> Result<()> {
    report.step("changing the medium of a LUN under load");
    let moved = Backstore::new(Kind::Pulsefield, "moved", "64M");
    let disk = fabric::over_loopback(&moved)?;
    let (folder, device) = (moved.folder()?, disk.open()?);
    let first = folder.read("attrib/dev_config")?;
    let second = first.replace("moved.img", "moved-2.img");
    device.write_block(0, &[0xa1; 512])?;

    let path = disk.block.to_string_lossy().into_owned();
    let mut changes = 0_u32;
    let written = thread::scope(|scope| {
        let writer = scope.spawn(|| write_for(&path, WRITING));
        while !writer.is_finished() {
            for config in [&second, &first] {
                folder.write("attrib/dev_config", config)?;
                changes += 1;
            }
        }
        writer.join().unwrap_or_else(|_| bail!("the writer panicked"))
    });
    report.works("writes while the medium changes", written);
    report.at_least("changes under load", 2, changes);
    report.figure("medium_changes", changes);

    report.works("a change to the second file", folder.write("attrib/dev_config", &second));
    report.equal("its dev_config then", second.clone(), folder.read("attrib/dev_config")?);
    report.equal("its first block then", true, device.read_block(0, 512)? == [0; 512]);
    let listed = run_command("pulsefield", ["lun", "ls"]).ended()?.stdout;
    report.equal("`lun ls` shows it", true, listed.contains("moved-2.img"));
    let write_through = format!("{second};cache=write-through");
    report.works("an option of that file", folder.write("attrib/dev_config", &write_through));
    report.equal("its write cache then", false, write_cache_enabled(&device)?);
    report.works("a change back", folder.write("attrib/dev_config", &first));
    report.equal("its first block then", true, device.read_block(0, 512)? == [0xa1; 512]);
    report.equal("its write cache then", true, write_cache_enabled(&device)?);
    moved.delete()
}

/// Writes to a disk for so long, with several writes at a time.
fn write_for(path: &str, duration: Duration) -> Result<()> {
    let arguments = [
        "--name=write".to_owned(),
        format!("--filename={path}"),
        format!("--offset={REGION_BYTES}"),
        format!("--size={REGION_BYTES}"),
        "--rw=randwrite".to_owned(),
        "--bsrange=4k-64k".to_owned(),
        "--ioengine=libaio".to_owned(),
        "--iodepth=8".to_owned(),
        "--direct=1".to_owned(),
        "--time_based".to_owned(),
        format!("--runtime={}", duration.as_secs()),
    ];
    let ended = run_command("fio", arguments).limit(PASS_LIMIT).ended()?;
    ensure!(ended.code == 0, "fio: exit code {}: {}", ended.code, ended.stderr.trim());
    Ok(())
}

/// WCE of the Caching mode page (SBC-4 6.5.6).
fn write_cache_enabled(device: &Device) -> Result<bool> {
    let mut page = [0; 64];
    device.must(&cdb::mode_sense_6(0x08, 64), Data::In(&mut page))?;
    let at = 4 + usize::from(page[3]);
    ensure!(page[at] & 0x3f == 0x08, "MODE SENSE returned page {:02X}h", page[at]);
    Ok(page[at + 2] & 0x04 != 0)
}

/// A LUN deleted while fio writes to it: fio gets errors, everything else goes on.
fn remove_under_load(report: &mut Report, kept: &Load) -> Result<()> {
    report.step("deleting a LUN under load");
    let doomed = Backstore::new(Kind::Pulsefield, "doomed", "64M");
    let disk = fabric::over_loopback(&doomed)?;
    let load = load_on(&disk)?;
    load.await_passes(1, PASS_LIMIT)?;
    report.works("deleting it", doomed.delete());
    let Passed { errors, .. } = load.finish()?;
    report.at_least("its load ended with an error", 1, errors.len());
    wait_until(DELETE_LIMIT, "its UIO device to go", || {
        Ok(!user_devices()?.iter().any(|name| name.contains("doomed")))
    })?;
    kept.await_passes(1, PASS_LIMIT)
}

/// 64 LUNs made and removed in a row, the short way: targetcli would take minutes to start 128 times.
fn many(report: &mut Report) -> Result<()> {
    report.step(format!("{LUNS} LUNs in a row"));
    let before = user_devices()?.len();
    let started = Instant::now();
    let folders: Vec<_> = (0..LUNS)
        .map(|number| {
            let name = format!("row{number}");
            let config = format!("pulsefield/file//srv/{name}.img");
            Folder::create_user(&format!("user_{}", 500 + number), &name, &config, LUN_BYTES)
        })
        .collect::<Result<_>>()?;
    report.equal("devices then", before + LUNS, user_devices()?.len());
    report.figure("create_64_ms", u64::try_from(started.elapsed().as_millis())?);
    let started = Instant::now();
    folders.into_iter().try_for_each(Folder::remove)?;
    report.figure("remove_64_ms", u64::try_from(started.elapsed().as_millis())?);
    report.equal("devices after their removal", before, user_devices()?.len());
    Ok(())
}

/// A clean stop under load: commands wait on the ring and go on with the next daemon.
fn stop_and_start(report: &mut Report, load: &Load) -> Result<()> {
    report.step("stopping and starting the daemon under load");
    let started = Instant::now();
    report.works("systemctl stop", daemon::stop());
    report.figure("stop_ms", u64::try_from(started.elapsed().as_millis())?);
    report.equal("main process after stop", 0, daemon::main_pid()?);
    report.works("systemctl start", daemon::start());
    let went_on = load.await_passes(1, PASS_LIMIT);
    report.works("the load goes on", went_on);
    Ok(())
}
