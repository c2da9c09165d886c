//! Two units in a pool of space that fills up: a threshold on the way, then no space for either, and
//! blocks that have space are written as ever.

use anyhow::{Context, Result};

use crate::backstore::{Backstore, Kind};
use crate::cdb;
use crate::command::run as command;
use crate::fabric::{self, Loopback};
use crate::reply::Answer;
use crate::report::Report;
use crate::sg::{Data, Device};

const CHUNK_BLOCKS: u32 = 512;
const CHUNK_BYTES: usize = 512 * 512;
/// What the pool in the configuration holds, in chunks; a file's own metadata may take some.
const POOL_CHUNKS: u64 = (32 << 20) / CHUNK_BYTES as u64;
/// 07h/27h/07h SPACE ALLOCATION FAILED WRITE PROTECT.
const NO_SPACE: Answer = Answer::Check(0x07, 0x27, 0x07);
/// What Linux says on 06h/38h/07h (`scsi_report_sense`, `drivers/scsi/scsi_error.c`).
const THRESHOLD: &str = "thin provisioning soft threshold";

pub(super) fn run(report: &mut Report) -> Result<()> {
    report.step("a pool of 32 MiB that fills up");
    let units = ["one", "two"].map(|name| Backstore::new(Kind::Pulsefield, name, "64M"));
    let [one, two] = [over_loopback(&units[0])?, over_loopback(&units[1])?];
    // Takes the kernel's unit attention: there is a LUN more than when the first path came up.
    one.capacity()?;
    let filled = fill(report, &one)?;
    // A unit learns what others wrote when it looks itself: after UNMAP, or 64 MiB of its own.
    two.must(&cdb::unmap(24), Data::Out(&cdb::unmap_list(0, 8)))?;
    let other = write(&two, 0)?;
    report.equal("a WRITE to the pool's other unit", NO_SPACE, other);
    let reply = two.compare_and_write(9, &[0; 512], &[1; 512])?;
    report.equal("COMPARE AND WRITE of a block without space", NO_SPACE, reply.answer());
    report.equal("a WRITE of blocks that have space", Answer::Good, write(&one, 0)?);
    let reply = one.compare_and_write(0, &[0xa7; 512], &[0xa8; 512])?;
    report.equal("COMPARE AND WRITE of a block that has space", Answer::Good, reply.answer());
    let mut read = vec![0; CHUNK_BYTES];
    let last = (filled - 1) * u64::from(CHUNK_BLOCKS);
    one.must(&cdb::read_16(last, CHUNK_BLOCKS), Data::In(&mut read))?;
    report.equal("data written before", true, read.iter().all(|&byte| byte == 0xa7));
    let list = cdb::unmap_list(0, CHUNK_BLOCKS * 8);
    one.must(&cdb::unmap(24), Data::Out(&list))?;
    report.equal("a WRITE to the other unit after UNMAP made room", Answer::Good, write(&two, 0)?);
    drop([one, two]);
    fabric::unexport(&Loopback)?;
    units.iter().try_for_each(Backstore::delete)
}

fn over_loopback(unit: &Backstore) -> Result<Device> {
    fabric::over_loopback(unit)?.open()
}

/// Writes chunk after chunk until there is no space; says how many there was space for.
fn fill(report: &mut Report, device: &Device) -> Result<u64> {
    let mut refused = None;
    for chunk in 0..POOL_CHUNKS * 2 {
        let answer = write(device, chunk)?;
        if answer != Answer::Good {
            refused = Some((chunk, answer));
            break;
        }
    }
    let (chunk, answer) = refused.context("the pool never filled up")?;
    report.equal("the first WRITE that failed", NO_SPACE, answer);
    // 06h/38h/07h goes to whoever asks next, be it udev; the initiator's kernel tells of each.
    let told = command("dmesg", [] as [&str; 0]).output()?.matches(THRESHOLD).count();
    report.equal("warnings at the threshold of half the pool", 1, told);
    report.at_least("chunks there was space for", POOL_CHUNKS - 8, chunk);
    report.check("chunks, and the limit", chunk <= POOL_CHUNKS, POOL_CHUNKS, chunk);
    Ok(chunk)
}

/// The answer to one WRITE.
fn write(device: &Device, chunk: u64) -> Result<Answer> {
    let cdb = cdb::write_16(chunk * u64::from(CHUNK_BLOCKS), CHUNK_BLOCKS);
    Ok(device.send(&cdb, Data::Out(&[0xa7; CHUNK_BYTES]))?.answer())
}
