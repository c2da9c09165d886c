//! RESERVE (6) and RELEASE (6) (SPC-2), as VMFS-3 and volumes without ATS use them.

use std::thread;

use anyhow::{Result, anyhow, ensure};

use super::{BLOCK, Initiator, Initiators, LBA};
use crate::cdb;
use crate::command::run as command;
use crate::reply::Answer;
use crate::report::Report;
use crate::sg::Data;

/// How often each initiator passes the critical section.
const ROUNDS: u64 = 40;
/// How often it may be turned away before something must be wrong.
const ATTEMPTS_MAX: u64 = 1_000_000;
const REQUEST_SENSE: &[u8] = &[0x03, 0, 0, 0, 64, 0];
const REPORT_LUNS: &[u8] = &[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0];

pub(super) fn run(report: &mut Report, initiators: &Initiators) -> Result<()> {
    report.step("RESERVE (6) and RELEASE (6)");
    let mut wrong = Vec::new();
    for holder in &initiators.each {
        wrong.extend(objections(holder, initiators)?);
    }
    report.none("RESERVE (6), from each fabric against all others", &wrong);
    second_session(report, initiators)?;
    critical_section(report, initiators)?;
    reset(report, initiators)?;
    after_a_reset(report, initiators)
}

/// What is wrong while `holder` has the unit, and after it has released it.
fn objections(holder: &Initiator, initiators: &Initiators) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let mut expect = |who: &Initiator, what: &str, expected: Answer, seen: Answer| {
        if seen != expected {
            let (holder, who) = (holder.disk.transport, who.disk.transport);
            wrong.push(format!("{holder} holds, {who}: {what}: expected {expected}; seen {seen}"));
        }
    };
    expect(holder, "RESERVE", Answer::Good, reserve(holder)?);
    expect(holder, "RESERVE again", Answer::Good, reserve(holder)?);
    expect(holder, "WRITE", Answer::Good, holder.write(0x11)?);
    expect(holder, "READ", Answer::Good, holder.read()?);
    expect(holder, "COMPARE AND WRITE", Answer::Good, holder.compare_and_write(0x11, 0x22)?);
    let others = initiators.each.iter().filter(|other| other.disk != holder.disk);
    for other in others.clone() {
        let conflict = Answer::RESERVATION_CONFLICT;
        expect(other, "RESERVE", conflict, reserve(other)?);
        expect(other, "READ", conflict, other.read()?);
        expect(other, "WRITE", conflict, other.write(0x33)?);
        expect(other, "COMPARE AND WRITE", conflict, other.compare_and_write(0x22, 0x33)?);
        let ready = other.device.send(&cdb::TEST_UNIT_READY, Data::None)?.answer();
        expect(other, "TEST UNIT READY", conflict, ready);
        let mut page = [0; 255];
        let inquiry = other.device.send(&cdb::inquiry_vpd(0x83), Data::In(&mut page))?.answer();
        expect(other, "INQUIRY", Answer::Good, inquiry);
        // SPC-2 lets these two pass; the kernel does not (`target_scsi2_reservation_check`,
        // `drivers/target/target_core_pr.c:92`).
        for (what, cdb) in [("REQUEST SENSE", REQUEST_SENSE), ("REPORT LUNS", REPORT_LUNS)] {
            let seen = other.device.send(cdb, Data::In(&mut page[..64]))?.answer();
            expect(other, what, conflict, seen);
        }
        // Whoever does not hold it releases nothing, and is told that all is well.
        expect(other, "RELEASE", Answer::Good, release(other)?);
        expect(other, "READ after its RELEASE", conflict, other.read()?);
    }
    let kept = holder.device.read_block(LBA, 512)? == [0x22; BLOCK];
    ensure!(kept, "a command that met RESERVATION CONFLICT wrote");
    expect(holder, "RELEASE", Answer::Good, release(holder)?);
    for other in others {
        expect(other, "READ after the holder's RELEASE", Answer::Good, other.read()?);
    }
    Ok(wrong)
}

/// Two sessions of one initiator are two I_T nexuses, and the kernel takes them for one: of their session
/// identifiers it compares four bytes (`__transport_register_session`,
/// `drivers/target/target_core_transport.c:422`), in which those of open-iscsi do not differ.
fn second_session(report: &mut Report, initiators: &Initiators) -> Result<()> {
    let [_, first, ..] = &*initiators.each else { return Err(anyhow!("no iSCSI")) };
    let second = &initiators.second_path;
    report.equal("RESERVE over iSCSI", Answer::Good, reserve(first)?);
    let name = "WRITE over the same initiator's other session (the kernel's mistake)";
    report.equal(name, Answer::Good, second.write(0x44)?);
    report.equal("RELEASE over iSCSI", Answer::Good, release(first)?);
    Ok(())
}

/// VMFS-3's way to change metadata: RESERVE, READ, WRITE, RELEASE. No increment is ever lost.
fn critical_section(report: &mut Report, initiators: &Initiators) -> Result<()> {
    let first = &initiators.each[0];
    first.device.write_block(LBA, &[0; BLOCK])?;
    let conflicts = thread::scope(|scope| -> Result<u64> {
        let threads: Vec<_> =
            initiators.each.iter().map(|one| scope.spawn(|| increments(one))).collect();
        let mut conflicts = 0;
        for thread in threads {
            conflicts += thread.join().map_err(|_| anyhow!("an initiator panicked"))??;
        }
        Ok(conflicts)
    })?;
    let total = counter(&first.device.read_block(LBA, 512)?)?;
    let expected = ROUNDS * u64::try_from(initiators.each.len())?;
    report.equal("increments under RESERVE (6), four fabrics at once", expected, total);
    report.at_least("RESERVATION CONFLICTs on the way", 1, conflicts);
    Ok(())
}

/// Increments the block's counter under a reservation; says how often it was turned away.
fn increments(initiator: &Initiator) -> Result<u64> {
    let mut conflicts = 0;
    for _ in 0..ROUNDS {
        loop {
            let answer = reserve(initiator)?;
            if answer == Answer::Good {
                break;
            }
            ensure!(answer == Answer::RESERVATION_CONFLICT, "RESERVE (6): {answer}");
            conflicts += 1;
            ensure!(conflicts < ATTEMPTS_MAX, "turned away {conflicts} times");
        }
        let mut block = initiator.device.read_block(LBA, 512)?;
        let next = counter(&block)? + 1;
        block[..8].copy_from_slice(&next.to_be_bytes());
        initiator.device.write_block(LBA, &block)?;
        ensure!(release(initiator)? == Answer::Good, "RELEASE (6) failed");
    }
    Ok(conflicts)
}

fn counter(block: &[u8]) -> Result<u64> {
    Ok(u64::from_be_bytes(block[..8].try_into()?))
}

/// LOGICAL UNIT RESET is how a host breaks the reservation of one that died.
fn reset(report: &mut Report, initiators: &Initiators) -> Result<()> {
    let count = initiators.each.len();
    for (place, holder) in initiators.each.iter().enumerate() {
        let breaker = &initiators.each[(place + 1) % count];
        let name = format!("{} breaks {}'s", breaker.disk.transport, holder.disk.transport);
        ensure!(reserve(holder)? == Answer::Good, "{name} reservation: RESERVE failed");
        reset_unit(breaker)?;
        let written = breaker.write(0x55)?;
        report.equal(&format!("WRITE after {name} reservation by reset"), Answer::Good, written);
    }
    Ok(())
}

/// A reset leaves the initiator session identifier of an iSCSI reservation behind
/// (`core_tmr_lun_reset`, `drivers/target/target_core_tmr.c:417`, which clears the holder and one flag
/// of two); the next reservation by an initiator without one then excludes its own holder
/// (`target_scsi2_reservation_check`, `target_core_pr.c:108`) and cannot be released
/// (`target_scsi2_reservation_release`, line 223). A reset, and a reservation over iSCSI that is
/// released, cure it.
fn after_a_reset(report: &mut Report, initiators: &Initiators) -> Result<()> {
    let [_, iscsi, fc, ..] = &*initiators.each else { return Err(anyhow!("no FC")) };
    ensure!(reserve(iscsi)? == Answer::Good, "RESERVE over iSCSI failed");
    reset_unit(fc)?;
    let reserved = reserve(fc)?;
    report.equal("RESERVE over FC after a reset broke iSCSI's", Answer::Good, reserved);
    report.equal(
        "the holder's own READ (the kernel's mistake)",
        Answer::RESERVATION_CONFLICT,
        fc.read()?,
    );
    reset_unit(fc)?;
    ensure!(reserve(iscsi)? == Answer::Good && release(iscsi)? == Answer::Good, "no cure");
    report.equal("READ over FC after iSCSI reserved and released", Answer::Good, fc.read()?);
    Ok(())
}

fn reserve(initiator: &Initiator) -> Result<Answer> {
    Ok(initiator.device.send(&cdb::RESERVE_6, Data::None)?.answer())
}

fn release(initiator: &Initiator) -> Result<Answer> {
    Ok(initiator.device.send(&cdb::RELEASE_6, Data::None)?.answer())
}

/// LOGICAL UNIT RESET, and nothing stronger if it fails.
fn reset_unit(initiator: &Initiator) -> Result<()> {
    let device = initiator.disk.generic.to_string_lossy();
    command("sg_reset", ["--device", "--no-esc", &*device]).output().map(drop)
}
