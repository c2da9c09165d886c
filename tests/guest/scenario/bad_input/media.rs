//! Media that fail: full, immutable, deleted; and blocks of 4 KiB.

use std::env;
use std::fs;
use std::thread;

use anyhow::{Context, Result};

use crate::backstore::{Backstore, Kind};
use crate::cdb;
use crate::command::run as command;
use crate::daemon;
use crate::fabric::{self, Loopback};
use crate::reply::Answer;
use crate::report::Report;
use crate::sg::{Data, Device};
use crate::targetcli::attempt;

/// 07h/27h/07h SPACE ALLOCATION FAILED WRITE PROTECT.
const NO_SPACE: Answer = Answer::Check(0x07, 0x27, 0x07);
/// 07h/27h/00h WRITE PROTECTED.
const WRITE_PROTECTED: Answer = Answer::Check(0x07, 0x27, 0x00);
const CHUNK_BLOCKS: u32 = 128;
const CHUNK_BYTES: usize = 128 * 512;
const WIDE_BLOCK: usize = 4096;
const WIDE_COMMANDS: u64 = 400;

pub(super) fn run(report: &mut Report) -> Result<()> {
    full(report)?;
    immutable(report)?;
    deleted(report)?;
    wide_blocks(report)
}

fn over_loopback(backstore: &Backstore) -> Result<Device> {
    fabric::over_loopback(backstore)?.open()
}

/// A thin file on a file system that fills up: said so at once, reads go on, and UNMAP makes room.
fn full(report: &mut Report) -> Result<()> {
    report.step("a file on a file system that fills up");
    let folder = env::temp_dir().join("small");
    fs::create_dir_all(&folder)?;
    let folder = folder.to_string_lossy();
    command("mount", ["-t", "tmpfs", "-o", "size=8M", "pulsefield", &folder]).output()?;
    let backstore = Backstore {
        cfgstring: format!("file/{folder}/full.img"),
        ..Backstore::new(Kind::Pulsefield, "full", "64M")
    };
    let device = over_loopback(&backstore)?;
    let chunk = vec![0xa7; CHUNK_BYTES];
    let write = |at: u64| -> Result<Answer> {
        let cdb = cdb::write_16(at * u64::from(CHUNK_BLOCKS), CHUNK_BLOCKS);
        Ok(device.send(&cdb, Data::Out(&chunk))?.answer())
    };
    let chunks = backstore.bytes()? / u64::try_from(CHUNK_BYTES)?;
    let mut first_refusal = None;
    for at in 0..chunks {
        let answer = write(at)?;
        if answer != Answer::Good {
            first_refusal = Some((at, answer));
            break;
        }
    }
    let (at, answer) = first_refusal.context("8 MiB took 64 MiB of data")?;
    report.equal("a WRITE without space", NO_SPACE, answer);
    report.step(format!("after {} KiB", at * 64));
    report.equal("the same WRITE again", NO_SPACE, write(at)?);
    let last = at * u64::from(CHUNK_BLOCKS) + 1024;
    let zero = [0; 512];
    let reply = device.compare_and_write(last, &zero, &[1; 512])?;
    report.equal("COMPARE AND WRITE without space", NO_SPACE, reply.answer());
    let mut read = vec![0; CHUNK_BYTES];
    device.must(&cdb::read_16(0, CHUNK_BLOCKS), Data::In(&mut read))?;
    report.equal("data written before", true, read == chunk);
    device.must(&cdb::unmap(24), Data::Out(&cdb::unmap_list(0, CHUNK_BLOCKS * 4)))?;
    report.equal("a WRITE after UNMAP made room", Answer::Good, write(at)?);
    drop(device);
    backstore.delete()?;
    command("umount", [&*folder]).output().map(drop)
}

/// A file that cannot be written: refused, with the option that serves it; then every write says so.
fn immutable(report: &mut Report) -> Result<()> {
    report.step("a file that cannot be written");
    let backstore = Backstore::new(Kind::Pulsefield, "immutable", "64M");
    let path = "/srv/immutable.img";
    fs::File::create(path)?.set_len(backstore.bytes()?)?;
    command("chattr", ["+i", path]).output()?;
    let refusal = attempt(&[
        backstore.kind.folder(),
        "create",
        "name=immutable",
        "size=64M",
        "cfgstring=file//srv/immutable.img",
    ])?;
    let said = refusal.said();
    let right = refusal.code != 0 && said.contains("read-only=yes");
    report.check("a file that cannot be written", right, "refused, naming read-only=yes", &said);

    let backstore =
        Backstore { cfgstring: format!("{};read-only=yes", backstore.cfgstring), ..backstore };
    let device = over_loopback(&backstore)?;
    device.read_block(0, 512)?;
    let write = device.send(&cdb::write_16(0, 1), Data::Out(&[1; 512]))?;
    report.equal("WRITE to a read-only medium", WRITE_PROTECTED, write.answer());
    let reply = device.compare_and_write(0, &[0; 512], &[1; 512])?;
    report.equal("COMPARE AND WRITE to a read-only medium", WRITE_PROTECTED, reply.answer());
    let reply = device.send(&cdb::write_same_16(0, 1), Data::Out(&[1; 512]))?;
    report.equal("WRITE SAME to a read-only medium", WRITE_PROTECTED, reply.answer());
    let mut page = [0; 64];
    device.must(&cdb::mode_sense_6(0x3f, 64), Data::In(&mut page))?;
    report.equal("MODE SENSE: WP", true, page[2] & 0x80 != 0);
    drop(device);
    backstore.delete()?;
    command("chattr", ["-i", path]).output().map(drop)
}

/// A file that loses its name while it is served: nothing stops, and the journal says so.
fn deleted(report: &mut Report) -> Result<()> {
    report.step("a file deleted while it is served");
    let backstore = Backstore::new(Kind::Pulsefield, "deleted", "64M");
    let device = over_loopback(&backstore)?;
    device.write_block(5, &[1; 512])?;
    fs::remove_file("/srv/deleted.img")?;
    let reply = device.compare_and_write(5, &[1; 512], &[2; 512])?;
    report.equal("COMPARE AND WRITE after that", Answer::Good, reply.answer());
    device.must(&cdb::synchronize_cache_16(0, 0), Data::None)?;
    let read = device.read_block(5, 512)?;
    report.equal("and its data", true, read == [2; 512]);
    let warned = daemon::journal()?.contains("the file was deleted");
    report.equal("the journal warns", true, warned);
    drop(device);
    backstore.delete()
}

/// Blocks of 4 KiB: one COMPARE AND WRITE brings 8 KiB, which the kernel hands over in one piece or
/// in two, as its data area is fragmented. Bulk I/O beside it fragments it.
fn wide_blocks(report: &mut Report) -> Result<()> {
    report.step("4 KiB blocks: COMPARE AND WRITE beside bulk I/O");
    let backstore = Backstore {
        control: "hw_block_size=4096",
        ..Backstore::new(Kind::Pulsefield, "wide", "64M")
    };
    backstore.create()?;
    let device = over_loopback(&backstore)?;
    report.equal("its block length", 4096, device.capacity()?.block_bytes);
    let failed = thread::scope(|scope| -> Result<Vec<String>> {
        let bulk: Vec<_> = (0..3)
            .map(|lane: u64| {
                let device = &device;
                scope.spawn(move || -> Result<()> {
                    for round in 0..WIDE_COMMANDS {
                        let lba = 1000 + lane * 1000 + round % 100;
                        let blocks = u32::try_from(1 + (round + lane) % 5)?;
                        let data = vec![0x33; WIDE_BLOCK * usize::try_from(blocks)?];
                        device.must(&cdb::write_16(lba, blocks), Data::Out(&data))?;
                    }
                    Ok(())
                })
            })
            .collect();
        let failed = compare_wide_blocks(&device)?;
        for thread in bulk {
            thread.join().map_err(|_| anyhow::anyhow!("a bulk thread panicked"))??;
        }
        Ok(failed)
    })?;
    report.none("wrong COMPARE AND WRITEs of 4 KiB blocks", &failed);
    drop(device);
    fabric::unexport(&Loopback)?;
    backstore.delete()
}

/// Alternates a success with a failure in a byte that walks through the block.
fn compare_wide_blocks(device: &Device) -> Result<Vec<String>> {
    let mut failed = Vec::new();
    let mut there = vec![0; WIDE_BLOCK];
    device.write_block(7, &there)?;
    for round in 0..WIDE_COMMANDS {
        let place = usize::try_from(round * 41 % 4096)?;
        let mut next = there.clone();
        next[place] = next[place].wrapping_add(1);
        let reply = device.compare_and_write(7, &next, &there)?;
        if reply.answer() != Answer::MISCOMPARE || reply.information() != Some(place as u64) {
            failed.push(format!("byte {place}: {} {:?}", reply.answer(), reply.information()));
        }
        let reply = device.compare_and_write(7, &there, &next)?;
        if !reply.is_good() {
            failed.push(format!("round {round}: {}", reply.answer()));
        }
        there = next;
    }
    if device.read_block(7, 4096)? != there {
        failed.push("the block is not what the last success wrote".to_owned());
    }
    Ok(failed)
}
