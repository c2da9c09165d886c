//! Faults that show only between two commands, or in the course of time.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::probe::{self, NEW, OLD, PAGE_BLOCKS, UNEQUAL};
use super::{LBA, LUN, Path, conclude, lifted_objection, log_objection, settle, title, while_held};
use crate::cdb;
use crate::disk::Disk;
use crate::fault;
use crate::hammer::hammer;
use crate::reply::Answer;
use crate::report::Report;
use crate::sg::{Data, Device};
use crate::wait::wait_until;

/// Where the hosts' lock lies.
const LOCK_LBA: u64 = 4096;
/// How often each host takes it.
const TIMES: usize = 250;
/// How long what comes late, or flaps, may take.
const LATE_LIMIT: Duration = Duration::from_secs(60);

/// A fault, its settings, and what two initiators see of it; the last with the fault armed or not.
type Scene = (&'static str, &'static str, fn(&[Path], bool) -> Result<Vec<String>>);

const SCENES: [Scene; 4] = [
    ("caw.not-atomic", "gap=5s lba=1000", not_atomic),
    ("caw.page-rmw", "gap=5s page=4KiB", page_rmw),
    ("unmap.late", "delay=5s", unmap_late),
    ("caw.flap", "off=3s on=3s", flap),
];

pub(super) fn names() -> Vec<&'static str> {
    SCENES.iter().map(|(fault, ..)| *fault).collect()
}

pub(super) fn run(report: &mut Report, paths: &[Path]) -> Result<()> {
    report.step("faults between two commands, and in the course of time");
    for (fault, settings, scene) in SCENES {
        let objections = || {
            let from = fault::next_hit(LUN)?;
            fault::arm(LUN, fault, settings)?;
            let mut wrong = scene(paths, true)?;
            wrong.extend(log_objection(fault, from, 1)?);
            fault::disarm(LUN)?;
            settle(paths)?;
            let from = fault::next_hit(LUN)?;
            wrong.extend(scene(paths, false)?);
            wrong.extend(lifted_objection(from)?);
            Ok(wrong)
        };
        conclude(report, &title(fault, settings, "two fabrics"), objections())?;
        settle(paths)?;
    }
    let disks: Vec<_> = paths.iter().map(|path| path.disk.clone()).collect();
    sums(report, &disks)
}

/// A WRITE between the halves of a COMPARE AND WRITE: acknowledged, and lost.
fn not_atomic(paths: &[Path], armed: bool) -> Result<Vec<String>> {
    let [first, second] = two(paths)?;
    probe::put(first, LBA)?;
    let compare = || probe::compare_and_write(first, LBA, &OLD, &NEW);
    let write = || second.write_block(LBA, &UNEQUAL);
    let (compared, expected) = if armed {
        (while_held(compare, write)?.0, "new")
    } else {
        (compare().and_then(|reply| write().map(|()| reply))?, "unequal")
    };
    Ok(seen(compared.answer(), probe::look(first, LBA)?, expected))
}

/// A WRITE to a neighbour in the page while a COMPARE AND WRITE writes all of the page back.
fn page_rmw(paths: &[Path], armed: bool) -> Result<Vec<String>> {
    let [first, second] = two(paths)?;
    let neighbour = LBA + 1;
    [LBA, neighbour].into_iter().try_for_each(|lba| probe::put(first, lba))?;
    let compare = || probe::compare_and_write(first, LBA, &OLD, &NEW);
    let write = || second.write_block(neighbour, &UNEQUAL);
    let (compared, expected) = if armed {
        (while_held(compare, write)?.0, "old")
    } else {
        (compare().and_then(|reply| write().map(|()| reply))?, "unequal")
    };
    Ok(seen(compared.answer(), probe::look(first, neighbour)?, expected))
}

/// What is written after an UNMAP is deallocated by it.
fn unmap_late(paths: &[Path], armed: bool) -> Result<Vec<String>> {
    let [first, second] = two(paths)?;
    probe::put(first, LBA)?;
    let list = cdb::unmap_list(LBA, PAGE_BLOCKS);
    first.must(&cdb::unmap(24), Data::Out(&list))?;
    second.write_block(LBA, &NEW)?;
    let then = probe::look(first, LBA)?;
    if armed {
        wait_until(LATE_LIMIT, "the UNMAP to be carried out", || {
            Ok(probe::look(first, LBA)? == "zeros")
        })?;
    }
    Ok(seen(Answer::Good, then, "new"))
}

/// Refused, served, refused again, and told of it.
fn flap(paths: &[Path], armed: bool) -> Result<Vec<String>> {
    const CHANGED: Answer = Answer::Check(0x06, 0x3f, 0x03);
    let [device, _] = two(paths)?;
    let mut told = 0;
    let turns = if armed { &[false, true, false][..] } else { &[true] };
    for turn in turns {
        wait_until(LATE_LIMIT, "COMPARE AND WRITE to come or go", || {
            let answer = probe::compare_and_write(device, LBA, &OLD, &NEW)?.answer();
            told += u32::from(answer == CHANGED);
            let served = matches!(answer, Answer::Good | Answer::MISCOMPARE);
            let refused = answer == Answer::INVALID_OPCODE;
            ensure!(served || refused || answer == CHANGED, "answered {answer}");
            Ok(if *turn { served } else { refused })
        })?;
    }
    let untold = armed && told == 0;
    Ok(untold.then(|| "no unit attention told of it".to_owned()).into_iter().collect())
}

/// Hosts on four fabrics take one lock: without a fault each taking counts, with these some do not.
fn sums(report: &mut Report, disks: &[Disk]) -> Result<()> {
    report.step("one lock, taken over four fabrics");
    let sound = hammer(disks, LOCK_LBA, TIMES)?;
    report.figure("hammer.sound", sound);
    report.equal("takings that count without a fault", sound.acknowledged, sound.counted);
    report.at_least("takings that met another's without a fault", 1, sound.miscompared);
    for (fault, settings) in [("caw.not-atomic", "gap=10ms"), ("miscompare.false-equal", "")] {
        fault::arm(LUN, fault, settings)?;
        let broken = hammer(disks, LOCK_LBA, TIMES)?;
        fault::disarm(LUN)?;
        report.figure(&format!("hammer.{fault}"), broken);
        let lost = broken.acknowledged.saturating_sub(broken.counted);
        report.at_least(&format!("takings that do not count with {fault}"), 1, lost);
    }
    let sound = hammer(disks, LOCK_LBA, TIMES)?;
    report.equal("takings that count once disarmed", sound.acknowledged, sound.counted);
    Ok(())
}

fn seen(answer: Answer, block: String, expected: &str) -> Vec<String> {
    let right = answer == Answer::Good && block == expected;
    let wrong = (!right).then(|| format!("{answer}; expected {expected}; seen {block}"));
    wrong.into_iter().collect()
}

/// Two initiators of different fabrics.
fn two(paths: &[Path]) -> Result<[&Device; 2]> {
    ensure!(paths.len() >= 2, "a scene needs two fabrics");
    Ok([&paths[0].device, &paths[1].device])
}
