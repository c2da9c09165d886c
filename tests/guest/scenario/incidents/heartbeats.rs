//! Plans that hurt a host's heartbeat, and a host that pulses as ESXi does: it gives up after 8 s, and
//! tries again.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{LUN, hit, over};
use crate::command::run as command;
use crate::disk::{Disk, Transport};
use crate::fault;
use crate::reply::{Answer, Reply};
use crate::report::Report;
use crate::sg::{Data, Device};
use crate::{cdb, vmfs};

/// The host's heartbeat slot, and where it lies.
const SLOT: u64 = 7;
const SLOT_LBA: u64 = 6144;
/// When ESXi gives a heartbeat up.
const PATIENCE: Duration = Duration::from_secs(8);
/// Where two heartbeats of one host differ first: in the lowest byte of the stamp.
const STAMP_AT: u64 = 0x14;
/// How many pulses a buggy driver sends.
const PULSES: usize = 200;
/// How long a disk driver waits here: a lost frame shall not take half a minute.
const SHORT_TIME_OUT: Duration = Duration::from_secs(3);
/// What it waits otherwise (`SD_TIMEOUT` in `drivers/scsi/sd.h`).
const USUAL_TIME_OUT: Duration = Duration::from_secs(30);
/// How often fio may read for five seconds until a frame is lost, one in ten thousand.
const PASSES_MAX: usize = 30;

/// A host whose heartbeat lies on the unit.
struct Host {
    device: Device,
    stamp: u64,
}

impl Host {
    fn new(disk: &Disk) -> Result<Self> {
        let device = disk.open()?;
        device.write_block(SLOT_LBA, &vmfs::heartbeat(SLOT, 0))?;
        Ok(Self { device, stamp: 0 })
    }

    /// One attempt at the next pulse.
    fn attempt(&self) -> Result<Reply> {
        let [old, new] = [self.stamp, self.stamp + 1].map(|stamp| vmfs::heartbeat(SLOT, stamp));
        let halves = [old, new].concat();
        let cdb = cdb::compare_and_write(SLOT_LBA, 1);
        Ok(self.device.execute(&cdb, Data::Out(&halves), PATIENCE)?)
    }

    /// The stamp on the medium is one more than the host knows of: its attempt was carried out.
    fn is_ahead(&self) -> Result<bool> {
        let there = self.device.read_block(SLOT_LBA, 512)?;
        Ok(there == vmfs::heartbeat(SLOT, self.stamp + 1))
    }
}

/// Every twentieth heartbeat is answered after 9 s. (An iSCSI initiator of Linux is no host for this: it
/// first asks whether the target is alive, and while it is, waits for longer.)
pub(super) fn eight_seconds(report: &mut Report, disks: &[Disk]) -> Result<()> {
    let plan = "ibm-8-second-heartbeats";
    one_in_vain(report, plan, 20, over(disks, Transport::Loopback)?)?;
    hit(report, plan, "slow heartbeat", 1)
}

/// Every fortieth heartbeat is never answered.
pub(super) fn lost_status(report: &mut Report, disks: &[Disk]) -> Result<()> {
    one_in_vain(report, "lost-status", 40, over(disks, Transport::Srp)?)?;
    hit(report, "lost-status", "status lost", 1)
}

/// The pulse with number `nth` is not answered within 8 s, and its retry miscompares with itself.
fn one_in_vain(report: &mut Report, plan: &str, nth: u64, disk: &Disk) -> Result<()> {
    let mut host = Host::new(disk)?;
    for pulse in 1..nth {
        let reply = host.attempt()?;
        ensure!(reply.is_good(), "pulse {pulse} was answered {}", reply.answer());
        host.stamp += 1;
    }
    let sent = Instant::now();
    let answer = host.attempt()?.answer();
    let (waited, fabric) = (sent.elapsed().as_millis(), disk.transport);
    let in_vain = matches!(answer, Answer::Host(_));
    report.check(&format!("{plan}: pulse {nth} over {fabric}"), in_vain, "no answer", answer);
    report.at_least(&format!("{plan}: ms until the host gave up"), PATIENCE.as_millis(), waited);
    let retry = host.attempt()?;
    report.equal(&format!("{plan}: its retry"), Answer::MISCOMPARE, retry.answer());
    let offset = retry.information().unwrap_or_default();
    report.equal(&format!("{plan}: where the images differ"), STAMP_AT, offset);
    report.equal(&format!("{plan}: the host's own image lies there"), true, host.is_ahead()?);
    Ok(())
}

/// Pulses that miscompare though nobody else touches the slot, and reads whose frames are lost.
pub(super) fn driver_bug(report: &mut Report, disks: &[Disk]) -> Result<()> {
    let plan = "hba-driver-bug";
    let mut host = Host::new(over(disks, Transport::Iscsi)?)?;
    let mut miscompares = 0;
    for _ in 0..PULSES {
        let answer = host.attempt()?.answer();
        let miscompared = answer == Answer::MISCOMPARE;
        ensure!(miscompared || answer == Answer::Good, "a pulse was answered {answer}");
        miscompares += u64::from(miscompared);
        // What was sent twice is on the medium, whatever was answered.
        host.stamp += u64::from(host.is_ahead()?);
    }
    let [twice, old] = ["sent twice", "old buffer"].map(|rule| fault::hits_of(LUN, rule));
    let (twice, old) = (twice?, old?);
    report.at_least(&format!("{plan}: pulses sent twice"), 1, twice);
    report.at_least(&format!("{plan}: pulses with an old buffer"), 1, old);
    let name = format!("{plan}: MISCOMPAREs with nobody else at the slot");
    report.equal(&name, twice + old, miscompares);
    lost_frames(report, plan, over(disks, Transport::Loopback)?)
}

/// A disk driver aborts what is lost and sends it again: whoever reads sees nothing of it.
fn lost_frames(report: &mut Report, plan: &str, disk: &Disk) -> Result<()> {
    disk.set_time_out(SHORT_TIME_OUT)?;
    let file = format!("--filename={}", disk.block.display());
    let words = [
        "--name=read",
        "--rw=randread",
        "--direct=1",
        "--bs=4k",
        "--ioengine=libaio",
        "--iodepth=16",
        "--readonly",
        "--time_based",
        "--runtime=5",
    ];
    let mut failed = Vec::new();
    for _ in 0..PASSES_MAX {
        let ended = command("fio", words.into_iter().chain([&*file])).ended()?;
        if ended.code != 0 {
            failed.push(ended.said());
        }
        if fault::hits_of(LUN, "lost frame")? > 0 {
            break;
        }
    }
    disk.set_time_out(USUAL_TIME_OUT)?;
    hit(report, plan, "lost frame", 1)?;
    report.none(&format!("{plan}: reads that failed for fio"), &failed);
    Ok(())
}
