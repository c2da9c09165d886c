//! Plans that make the unit itself something else: without ATS, full, starved, a liar, failing over.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{LUN, arm, hit, over};
use crate::cdb;
use crate::command::{Running, run as command};
use crate::disk::{COMMAND_LIMIT, Disk, Transport};
use crate::fault;
use crate::reply::Answer;
use crate::report::Report;
use crate::sg::{Data, Device};
use crate::wait::wait_until;

const BLOCK: usize = 512;
const DATA: [u8; BLOCK] = [0x5c; BLOCK];
/// The first block of a page of 4 KiB, and the blocks of that page.
const LBA: u64 = 1000;
const PAGE_BLOCKS: u32 = 8;
/// 06h/38h/07h THIN PROVISIONING SOFT THRESHOLD REACHED, and what Linux says of it.
const THRESHOLD: Answer = Answer::Check(0x06, 0x38, 0x07);
const THRESHOLD_WORDS: &str = "thin provisioning soft threshold";
/// 07h/27h/07h SPACE ALLOCATION FAILED WRITE PROTECT.
const NO_SPACE: Answer = Answer::Check(0x07, 0x27, 0x07);
/// 02h/04h/0Ah ASYMMETRIC ACCESS STATE TRANSITION.
const TRANSITION: Answer = Answer::Check(0x02, 0x04, 0x0a);
/// The pool is full two minutes after arming.
const FULL_LIMIT: Duration = Duration::from_secs(240);
/// One read in a thousand lies.
const READS_MAX: u32 = 20_000;
/// How long commands of a controller that fails over are held at least: the first for 12 s, and those
/// that come a moment later for that much less.
const SILENCE: Duration = Duration::from_secs(11);
const FAILOVER_LIMIT: Duration = Duration::from_secs(50);
const FIO_LIMIT: Duration = Duration::from_secs(120);

/// COMPARE AND WRITE is unknown, and the Block Limits page says so.
pub(super) fn without_ats(report: &mut Report, disks: &[Disk]) -> Result<()> {
    for disk in disks {
        let (device, fabric) = (disk.open()?, disk.transport);
        let answer = device.compare_and_write(LBA, &[0; BLOCK], &DATA)?.answer();
        let name = format!("non-ats-lun: COMPARE AND WRITE over {fabric}");
        report.equal(&name, Answer::INVALID_OPCODE, answer);
        let name = format!("non-ats-lun: its length in the Block Limits page over {fabric}");
        report.equal(&name, 0, device.compare_and_write_length()?);
    }
    hit(report, "non-ats-lun", "no ATS", 1)
}

/// The first write meets a warning, of which the initiator's kernel tells, and the second does not.
pub(super) fn threshold(report: &mut Report, disk: &Disk) -> Result<bool> {
    let device = disk.open()?;
    let first = write(&device)?;
    report.equal("thin-pool-full: the first WRITE", THRESHOLD, first);
    let told = command("dmesg", [] as [&str; 0]).output()?.matches(THRESHOLD_WORDS).count();
    report.at_least("thin-pool-full: warnings of the initiator's kernel", 1, told);
    Ok(report.works("thin-pool-full: a WRITE after that", device.write_block(LBA, &DATA)).is_some())
}

/// Two minutes later no write has space, not even of blocks that have it, and reads go on.
pub(super) fn full(report: &mut Report, disk: &Disk) -> Result<()> {
    report.step("thin-pool-full.toml: two minutes later");
    let device = disk.open()?;
    wait_until(FULL_LIMIT, "the pool to be full", || Ok(write(&device)? == NO_SPACE))?;
    let answer = device.compare_and_write(LBA, &DATA, &[0; BLOCK])?.answer();
    report.equal("thin-pool-full: COMPARE AND WRITE", NO_SPACE, answer);
    report.equal("thin-pool-full: data on it", true, reads(&device, &DATA)?);
    fault::disarm(super::POOL)?;
    report.equal("thin-pool-full: a WRITE once disarmed", Answer::Good, write(&device)?);
    Ok(())
}

/// Everything is GOOD, and much of it a lie.
pub(super) fn lie_about_zeros(report: &mut Report, disks: &[Disk]) -> Result<()> {
    let plan = "zero-lie";
    let device = over(disks, Transport::Loopback)?.open()?;
    device.write_block(LBA, &DATA)?;
    let mut deallocated = 0;
    for _ in 0..4 {
        let mut status = [0; 24];
        device.must(&cdb::get_lba_status(LBA), Data::In(&mut status))?;
        deallocated += u32::from(status[20] & 0x0f == 1);
    }
    let name = format!("{plan}: of 4 questions, told that what is written is deallocated");
    report.equal(&name, 2, deallocated);
    let mut kept = 0;
    for _ in 0..6 {
        device.write_block(LBA, &DATA)?;
        device.must(&cdb::unmap(24), Data::Out(&cdb::unmap_list(LBA, PAGE_BLOCKS)))?;
        kept += u32::from(reads(&device, &DATA)?);
    }
    report.equal(&format!("{plan}: of 6 UNMAPs, those that left the data"), 2, kept);
    device.write_block(LBA, &DATA)?;
    let mut lies = 0;
    for _ in 0..READS_MAX {
        lies += u32::from(reads(&device, &[0; BLOCK])?);
        if lies > 0 {
            break;
        }
    }
    report.equal(&format!("{plan}: zeros read where data lies"), 1, lies);
    report.equal(&format!("{plan}: and again the data"), true, reads(&device, &DATA)?);
    Ok(())
}

/// More in flight than the array takes: slow, then TASK SET FULL, and fio sees nothing but time.
pub(super) fn starved(report: &mut Report, disks: &[Disk]) -> Result<()> {
    let fio = read_with_fio(over(disks, Transport::Loopback)?, 128, 5)?;
    let ended = fio.wait(FIO_LIMIT)?;
    report.check("starved-array: fio", ended.code == 0, "ends with 0", ended.stderr.trim());
    hit(report, "starved-array", "queue full", 1)?;
    hit(report, "starved-array", "ever slower", 100)
}

/// Silence, transition, change: one initiator is told, and another's disk driver hides it from fio.
pub(super) fn failover(report: &mut Report, disks: &[Disk]) -> Result<()> {
    let plan = "controller-failover";
    let fio = read_with_fio(over(disks, Transport::Loopback)?, 4, 20)?;
    let device = over(disks, Transport::Iscsi)?.open()?;
    // The silence begins with a command of the first second, so somebody reads while it is armed.
    let told = thread::scope(|scope| {
        let reader = scope.spawn(|| read_through(&device));
        arm(report, LUN, plan);
        reader.join().unwrap_or_else(|_| bail!("the reader panicked"))
    });
    if let Some(answers) = report.works(&format!("{plan}: all of it over iSCSI"), told) {
        let told = answers.contains(&TRANSITION.to_string());
        let seen = answers.into_iter().collect::<Vec<_>>().join(", ");
        report.check(&format!("{plan}: answers over iSCSI"), told, TRANSITION, seen);
    }
    for rule in ["silence", "transition", "changed"] {
        hit(report, plan, rule, 1)?;
    }
    let ended = fio.wait(FIO_LIMIT)?;
    let name = format!("{plan}: fio over loopback");
    report.check(&name, ended.code == 0, "ends with 0", ended.stderr.trim());
    fault::disarm(LUN)
}

/// Reads until the unit was silent, in transition, and changed; says what was answered on the way.
fn read_through(device: &Device) -> Result<BTreeSet<String>> {
    let mut longest = Duration::ZERO;
    let mut answers = BTreeSet::new();
    wait_until(FAILOVER_LIMIT, "silence, transition and change", || {
        let sent = Instant::now();
        let cdb = cdb::read_16(LBA, 1);
        let reply = device.execute(&cdb, Data::In(&mut [0; BLOCK]), COMMAND_LIMIT)?;
        longest = longest.max(sent.elapsed());
        answers.insert(reply.answer().to_string());
        let both = longest >= SILENCE && answers.contains(&TRANSITION.to_string());
        Ok(both && reply.is_good() && fault::hits_of(LUN, "changed")? > 0)
    })?;
    Ok(answers)
}

/// fio reading at random for so many seconds.
fn read_with_fio(disk: &Disk, depth: u32, seconds: u32) -> Result<Running> {
    let words = [
        "--name=read".to_owned(),
        format!("--filename={}", disk.block.display()),
        "--rw=randread".to_owned(),
        "--direct=1".to_owned(),
        "--bs=4k".to_owned(),
        "--ioengine=libaio".to_owned(),
        format!("--iodepth={depth}"),
        "--readonly".to_owned(),
        "--time_based".to_owned(),
        format!("--runtime={seconds}"),
    ];
    command("fio", words).start()
}

/// The answer to one WRITE, a unit attention included.
fn write(device: &Device) -> Result<Answer> {
    let cdb = cdb::write_16(LBA, 1);
    Ok(device.execute(&cdb, Data::Out(&DATA), COMMAND_LIMIT)?.answer())
}

/// Whether the block reads so.
fn reads(device: &Device, block: &[u8; BLOCK]) -> Result<bool> {
    Ok(device.read_block(LBA, u32::try_from(BLOCK)?)? == block)
}
