//! Block devices as media: loop devices and the kernel's simulated SCSI disk.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::backstore::{Backstore, Kind};
use crate::cdb;
use crate::command::{Ended, run as command};
use crate::daemon;
use crate::fabric;
use crate::load::{Load, Region};
use crate::reply::Answer;
use crate::report::Report;
use crate::sg::Data;
use crate::targetcli::attempt;
use crate::wait::wait_until;

const BYTES: u64 = 64 << 20;
const GROWN: u64 = 96 << 20;
/// Blocks in a MiB.
const MIB: u32 = 2048;
const LIMIT: Duration = Duration::from_secs(120);
/// Where the simulated disk's medium errors begin, once they are switched on (`scsi_debug.c`,
/// `OPT_MEDIUM_ERR_ADDR`).
const BAD_BLOCK: u64 = 0x1234;

pub(super) fn run(report: &mut Report) -> Result<()> {
    served(report)?;
    refused(report)?;
    simulated_disk(report)
}

/// A loop device over `/srv/<name>.img`.
struct Loop {
    device: String,
    image: PathBuf,
}

impl Loop {
    fn new(name: &str, options: &[&str]) -> Result<Self> {
        let image = PathBuf::from(format!("/srv/{name}.img"));
        fs::File::create(&image)?.set_len(BYTES)?;
        let words = ["--find", "--show"].iter().chain(options).map(|word| (*word).to_owned());
        let words = words.chain([image.to_string_lossy().into_owned()]);
        let device = command("losetup", words).output()?.trim().to_owned();
        Ok(Self { device, image })
    }

    fn detach(self) -> Result<()> {
        command("losetup", ["--detach", &self.device]).output().map(drop)
    }
}

fn on(name: &str, device: &str) -> Backstore {
    let cfgstring = format!("block/{device}");
    Backstore { cfgstring, ..Backstore::new(Kind::Pulsefield, name, "64M") }
}

/// Data, COMPARE AND WRITE, UNMAP and growth; the data area's pages take part in direct I/O.
fn served(report: &mut Report) -> Result<()> {
    report.step("a LUN on a loop device, past the page cache");
    let medium = Loop::new("served", &[])?;
    let backstore = on("served", &medium.device);
    let disk = fabric::over_loopback(&backstore)?;
    let device = disk.open()?;

    let data = vec![0xa7; 512 * 2048];
    device.must(&cdb::write_16(0, MIB), Data::Out(&data))?;
    device.must(&cdb::synchronize_cache_16(0, 0), Data::None)?;
    let mut seen = vec![0; data.len()];
    fs::File::open(&medium.image)?.read_exact_at(&mut seen, 0)?;
    report.equal("a written MiB is in the image", true, seen == data);
    device.must(&cdb::read_16(0, MIB), Data::In(&mut seen))?;
    report.equal("and is read back", true, seen == data);

    let reply = device.compare_and_write(3, &[0xa7; 512], &[0x11; 512])?;
    report.equal("COMPARE AND WRITE of equal data", Answer::Good, reply.answer());
    let reply = device.compare_and_write(3, &[0xa7; 512], &[0x22; 512])?;
    report.equal("COMPARE AND WRITE of other data", Answer::MISCOMPARE, reply.answer());
    report.equal("the block then", true, device.read_block(3, 512)? == [0x11; 512]);

    let allocated = || -> Result<u64> { Ok(fs::metadata(&medium.image)?.blocks()) };
    let before = allocated()?;
    device.must(&cdb::unmap(24), Data::Out(&cdb::unmap_list(0, MIB)))?;
    report.equal("UNMAP gives the image's space back", true, allocated()? < before);
    report.equal("an unmapped block", true, device.read_block(3, 512)? == [0; 512]);

    let path = disk.block.to_string_lossy().into_owned();
    let load = Load::start(Region { path, offset: 8 << 20, bytes: 8 << 20 })?;
    load.await_passes(1, LIMIT)?;
    let folder = backstore.folder()?;
    let grow = |bytes: u64| folder.write("attrib/dev_size", &bytes.to_string());
    report.equal("growing beyond the device is refused", true, grow(GROWN).is_err());
    fs::OpenOptions::new().write(true).open(&medium.image)?.set_len(GROWN)?;
    command("losetup", ["--set-capacity", &medium.device]).output()?;
    report.works("growing after the device", grow(GROWN));
    let blocks = device.capacity()?.blocks;
    report.equal("its blocks then", GROWN / 512, blocks);
    report.works("a WRITE to its new last block", device.write_block(blocks - 1, &[7; 512]));
    let passed = load.finish()?;
    report.none("errors of the load", &passed.errors);

    let refusal = attempt_on(&medium.device)?;
    let said = refusal.said();
    let right = refusal.code != 0 && said.contains("is in use by");
    report.check("a second LUN on the device", right, "refused: in use", &said);
    drop(device);
    backstore.delete()?;
    medium.detach()
}

/// What targetcli says to a LUN on `device`.
fn attempt_on(device: &str) -> Result<Ended> {
    let cfgstring = format!("cfgstring=block/{device}");
    attempt(&[Kind::Pulsefield.folder(), "create", "name=refused", "size=64M", &cfgstring])
}

/// Devices that cannot be had, each with its reason.
fn refused(report: &mut Report) -> Result<()> {
    report.step("devices that cannot be served");
    let medium = Loop::new("refused", &[])?;
    command("mkfs.ext4", ["-q", &medium.device]).output()?;
    command("mount", [&medium.device, "/mnt"]).output()?;
    let mounted = attempt_on(&medium.device)?;
    command("umount", ["/mnt"]).output()?;
    medium.detach()?;
    let medium = Loop::new("wide", &["--sector-size", "4096"])?;
    let wide = attempt_on(&medium.device)?;
    medium.detach()?;
    for (name, refusal, reason) in [
        ("a mounted device", mounted, "is in use by the file system mounted on /mnt"),
        ("a regular file", attempt_on("/srv/wide.img")?, "is a regular file"),
        ("a device that is not there", attempt_on("/dev/none")?, "No such file"),
    ] {
        let said = refusal.said();
        let right = refusal.code != 0 && said.contains(reason);
        report.check(name, right, reason, &said);
    }
    // The block length is known only once the device is made, and the kernel passes no words on.
    report.equal("a 4Kn device for blocks of 512 bytes is refused", true, wide.code != 0);
    let told = daemon::journal()?.contains("create it with control=hw_block_size=4096");
    report.equal("and the journal says what to do", true, told);
    Ok(())
}

/// The kernel's simulated SCSI disk: its shape, its medium errors, and its removal.
fn simulated_disk(report: &mut Report) -> Result<()> {
    report.step("a LUN on the kernel's simulated disk");
    let options = ["dev_size_mb=64", "physblk_exp=3", "lbpws=1", "unmap_granularity=128"];
    command("modprobe", ["scsi_debug"].into_iter().chain(options)).output()?;
    wait_until(LIMIT, "the simulated disk", || Ok(find_simulated()?.is_some()))?;
    let sysfs = find_simulated()?.context("the simulated disk went away again")?;
    let name = sysfs.file_name().context("a disk without a name")?.to_string_lossy();
    let backstore = on("simulated", &format!("/dev/{name}"));
    let disk = fabric::over_loopback(&backstore)?;
    let device = disk.open()?;

    let mut capacity = [0; 32];
    device.must(&cdb::read_capacity_16(), Data::In(&mut capacity))?;
    report.equal("logical blocks per physical block exponent", 3, capacity[13] & 0x0f);
    let mut limits = [0; 255];
    device.must(&cdb::inquiry_vpd(0xb0), Data::In(&mut limits))?;
    let granularity = u32::from_be_bytes([limits[28], limits[29], limits[30], limits[31]]);
    report.equal("OPTIMAL UNMAP GRANULARITY in blocks", 128, granularity);
    device.must(&cdb::unmap(24), Data::Out(&cdb::unmap_list(0, MIB)))?;

    report.works("a WRITE to a good block", device.write_block(BAD_BLOCK, &[1; 512]));
    let faults = "/sys/bus/pseudo/drivers/scsi_debug/opts";
    fs::write(faults, "2")?;
    let mut block = [0; 512];
    let bad = device.send(&cdb::read_16(BAD_BLOCK, 1), Data::In(&mut block))?.answer();
    report.equal("READ of a block that cannot be read", Answer::Check(0x03, 0x11, 0x00), bad);
    fs::write(faults, "0")?;
    report.works("the same READ afterwards", device.read_block(BAD_BLOCK, 512));

    fs::write(sysfs.join("device/delete"), "1")?;
    wait_until(LIMIT, "the simulated disk to go", || Ok(find_simulated()?.is_none()))?;
    let gone = Answer::Check(0x02, 0x04, 0x03);
    let read = device.send(&cdb::read_16(0, 1), Data::In(&mut block))?.answer();
    report.equal("READ from a disk that was removed", gone, read);
    let write = device.send(&cdb::write_16(0, 1), Data::Out(&block))?.answer();
    report.equal("WRITE to a disk that was removed", gone, write);
    drop(device);
    backstore.delete()?;
    command("rmmod", ["scsi_debug"]).output().map(drop)
}

/// The simulated disk's directory in sysfs.
fn find_simulated() -> Result<Option<PathBuf>> {
    for entry in fs::read_dir("/sys/block")? {
        let path = entry?.path();
        let model = fs::read_to_string(path.join("device/model")).unwrap_or_default();
        if model.trim() == "scsi_debug" {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
