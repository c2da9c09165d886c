//! The life of a persistent reservation by `sg_persist`: registered, reserved, preempted, cleared, and
//! remembered.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use super::{BLOCK, Initiator, Initiators, LBA};
use crate::backstore::Backstore;
use crate::cdb;
use crate::daemon;
use crate::disk::COMMAND_LIMIT;
use crate::persist::{Registrant, Standing, Type, Verdict, standing};
use crate::reply::Answer;
use crate::report::Report;
use crate::sg::Data;
use crate::wait::wait_until;

/// The keys, in the order of the fabrics.
const KEYS: [u64; 4] = [0xa1, 0xb2, 0xc3, 0xd4];
const CONFLICT: Answer = Answer::RESERVATION_CONFLICT;
/// 06h/2Ah/03h RESERVATIONS PREEMPTED, which CLEAR raises.
const RESERVATIONS_PREEMPTED: Answer = Answer::Check(0x06, 0x2a, 0x03);
/// 06h/2Ah/04h RESERVATIONS RELEASED.
const RESERVATIONS_RELEASED: Answer = Answer::Check(0x06, 0x2a, 0x04);
/// 06h/2Ah/05h REGISTRATIONS PREEMPTED.
const REGISTRATIONS_PREEMPTED: Answer = Answer::Check(0x06, 0x2a, 0x05);
/// Writes that the victim of PREEMPT AND ABORT has had answered before it is preempted.
const WRITES_BEFORE: u64 = 20;
const WRITES_LIMIT: Duration = Duration::from_secs(60);

pub(super) fn run(report: &mut Report, ds1: &Backstore, initiators: &Initiators) -> Result<()> {
    let [loopback, iscsi, fc, srp] = &*initiators.each else {
        return Err(anyhow!("not four fabrics"));
    };
    registrations(report, [loopback, iscsi, fc, srp])?;
    preempted(report, loopback, iscsi)?;
    aborted(report, srp, fc)?;
    second_session(report, initiators)?;
    remembered(report, ds1, [fc, srp, loopback])
}

fn registrant(initiator: &Initiator, key: u64) -> Registrant<'_> {
    Registrant::new(&initiator.disk, key)
}

/// What the initiator hears first; it is heard once.
fn first_answer(initiator: &Initiator) -> Result<Answer> {
    let reply = initiator.device.execute(&cdb::TEST_UNIT_READY, Data::None, COMMAND_LIMIT)?;
    Ok(reply.answer())
}

/// Takes what is pending.
fn settle(initiators: &[&Initiator]) -> Result<()> {
    initiators.iter().try_for_each(|one| one.device.must(&cdb::TEST_UNIT_READY, Data::None))
}

fn stands(report: &mut Report, name: &str, over: &Initiator, expected: Standing) -> Result<()> {
    report.equal(name, expected, standing(&over.disk)?);
    Ok(())
}

/// Keys, one reservation of each type in turn, and who is told of its end.
fn registrations(report: &mut Report, four: [&Initiator; 4]) -> Result<()> {
    report.step("keys and reservations, as sg_persist shows them");
    let [loopback, iscsi, fc, srp] = four;
    let registrants: Vec<_> =
        four.iter().zip(KEYS).map(|(one, key)| registrant(one, key)).collect();
    let [first, second, ..] = &*registrants else { return Err(anyhow!("nobody")) };
    let unregistered = first.reserve(Type::WriteExclusive)?;
    report.check("RESERVE with no key", unregistered != Verdict::Done, "refused", unregistered);
    for registrant in &registrants {
        ensure!(registrant.register(false)? == Verdict::Done, "REGISTER failed");
    }
    report.equal("REGISTER again, without the old key", Verdict::Conflict, first.register(false)?);
    for (kind, seen_by) in Type::ALL.into_iter().zip([iscsi, fc, srp].into_iter().cycle()) {
        ensure!(first.reserve(kind)? == Verdict::Done, "RESERVE, {kind}");
        let holders = if kind.is_held_by_all() { KEYS.len() } else { 1 };
        let expected = Standing { keys: KEYS.to_vec(), reserved: Some(kind), holders };
        let name = format!("{kind}, seen over {}", seen_by.disk.transport);
        stands(report, &name, seen_by, expected)?;
        let theirs = if kind.is_held_by_all() { Verdict::Done } else { Verdict::Conflict };
        report.equal(&format!("{kind}: RESERVE by another"), theirs, second.reserve(kind)?);
        let other =
            if kind == Type::WriteExclusive { Type::ExclusiveAccess } else { Type::WriteExclusive };
        let name = format!("{kind}: RESERVE of another type by the holder");
        report.equal(&name, Verdict::Conflict, first.reserve(other)?);
        settle(&four)?;
        ensure!(first.release(kind)? == Verdict::Done, "RELEASE, {kind}");
        let told = if kind.admits_registrants() { RESERVATIONS_RELEASED } else { Answer::Good };
        report.equal(&format!("{kind}: what others hear of its RELEASE"), told, first_answer(fc)?);
    }
    ensure!(second.unregister()? == Verdict::Done, "REGISTER of no key failed");
    let left = KEYS.into_iter().filter(|&key| key != KEYS[1]).collect();
    let expected = Standing { keys: left, reserved: None, holders: 0 };
    stands(report, "the keys after one has left", iscsi, expected)?;
    settle(&four)?;
    ensure!(first.clear()? == Verdict::Done, "CLEAR failed");
    report.equal("what others hear of CLEAR", RESERVATIONS_PREEMPTED, first_answer(srp)?);
    let expected = Standing { keys: Vec::new(), reserved: None, holders: 0 };
    stands(report, "keys after CLEAR", loopback, expected)
}

/// Fencing: whoever has its registration preempted has lost the unit.
fn preempted(report: &mut Report, victim: &Initiator, survivor: &Initiator) -> Result<()> {
    report.step("PREEMPT");
    let kind = Type::WriteExclusiveRegistrantsOnly;
    let (dead, alive) = (registrant(victim, KEYS[0]), registrant(survivor, KEYS[1]));
    for verdict in [dead.register(false)?, alive.register(false)?, dead.reserve(kind)?] {
        ensure!(verdict == Verdict::Done, "preparing PREEMPT: {verdict}");
    }
    settle(&[victim, survivor])?;
    report.equal("PREEMPT of a key that nobody has", Verdict::Conflict, alive.preempt(0xff, kind)?);
    report.equal("PREEMPT of the holder", Verdict::Done, alive.preempt(KEYS[0], kind)?);
    let expected = Standing { keys: vec![KEYS[1]], reserved: Some(kind), holders: 1 };
    stands(report, "what stands then", survivor, expected)?;
    report.equal("what the victim hears", REGISTRATIONS_PREEMPTED, first_answer(victim)?);
    report.equal("the victim's WRITE", CONFLICT, victim.write(0)?);
    report.equal("the survivor's WRITE", Answer::Good, survivor.write(0x77)?);
    report.equal("the victim's PREEMPT", Verdict::Conflict, dead.preempt(KEYS[1], kind)?);
    ensure!(alive.clear()? == Verdict::Done, "CLEAR failed");
    settle(&[victim, survivor])
}

/// PREEMPT AND ABORT: once it is answered, nothing that the victim has sent changes the medium.
fn aborted(report: &mut Report, victim: &Initiator, survivor: &Initiator) -> Result<()> {
    report.step("PREEMPT AND ABORT of one that is writing");
    let kind = Type::WriteExclusiveRegistrantsOnly;
    let (dead, alive) = (registrant(victim, KEYS[3]), registrant(survivor, KEYS[2]));
    for verdict in [dead.register(false)?, alive.register(false)?, dead.reserve(kind)?] {
        ensure!(verdict == Verdict::Done, "preparing PREEMPT AND ABORT: {verdict}");
    }
    settle(&[victim, survivor])?;
    let written = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let (at_the_answer, last) = thread::scope(|scope| {
        let writer = scope.spawn(|| write_until_refused(victim, &written, &stop));
        let preempt = || -> Result<Vec<u8>> {
            wait_until(WRITES_LIMIT, "the victim's writes", || {
                Ok(written.load(Ordering::Relaxed) >= WRITES_BEFORE)
            })?;
            let verdict = alive.preempt_and_abort(KEYS[3], kind)?;
            ensure!(verdict == Verdict::Done, "PREEMPT AND ABORT: {verdict}");
            survivor.device.read_block(LBA, 512)
        };
        let block = preempt();
        // A victim that was not preempted would write for ever.
        stop.store(block.is_err(), Ordering::Relaxed);
        let last = writer.join().map_err(|_| anyhow!("the victim panicked"))?;
        anyhow::Ok((block?, last?))
    })?;
    report.equal("how the victim's writes end", CONFLICT, last);
    let later = survivor.device.read_block(LBA, 512)?;
    report.equal(
        "the block once PREEMPT AND ABORT was answered stays",
        true,
        later == at_the_answer,
    );
    ensure!(alive.clear()? == Verdict::Done, "CLEAR failed");
    settle(&[victim, survivor])
}

/// Counts upwards in the block, whatever is aborted; returns the answer that ended it.
fn write_until_refused(
    victim: &Initiator,
    written: &AtomicU64,
    stop: &AtomicBool,
) -> Result<Answer> {
    let mut count = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        count += 1;
        let mut block = [0; BLOCK];
        block[..8].copy_from_slice(&count.to_be_bytes());
        let answer = victim.device.send(&cdb::write_16(LBA, 1), Data::Out(&block))?.answer();
        if answer == Answer::Good {
            written.store(count, Ordering::Relaxed);
        } else if !answer.is_tried_again() {
            return Ok(answer);
        }
    }
    Err(anyhow!("nobody preempted the victim"))
}

/// One initiator with two iSCSI sessions to one target. The kernel keeps *registered* once for both
/// (`DEF_PR_REG_ACTIVE`, `core_scsi3_pr_seq_non_holder`, `target_core_pr.c:332`), and takes both for the
/// holder when one of them is (`target_scsi3_pr_reservation_check`, line 580, compares four bytes of
/// the session identifier); a key is registered for one of them.
fn second_session(report: &mut Report, initiators: &Initiators) -> Result<()> {
    report.step("two sessions of one initiator");
    let [_, first, fc, ..] = &*initiators.each else { return Err(anyhow!("no FC")) };
    let second = &initiators.second_path;
    let kind = Type::WriteExclusiveRegistrantsOnly;
    let (one, holder) = (registrant(first, KEYS[1]), registrant(fc, KEYS[2]));
    for verdict in [one.register(false)?, holder.register(false)?, holder.reserve(kind)?] {
        ensure!(verdict == Verdict::Done, "preparing two sessions: {verdict}");
    }
    report.equal("WRITE over the session that is registered", Answer::Good, first.write(1)?);
    let name = "WRITE over the one that is not (the kernel's mistake)";
    report.equal(name, Answer::Good, second.write(2)?);
    let kind_of_one = Type::ExclusiveAccess;
    for verdict in [holder.release(kind)?, one.reserve(kind_of_one)?] {
        ensure!(verdict == Verdict::Done, "reserving over one of two sessions: {verdict}");
    }
    report.equal("WRITE over the session that holds", Answer::Good, first.write(3)?);
    let name = "WRITE over the other, not registered (the kernel's mistake)";
    report.equal(name, Answer::Good, second.write(4)?);
    report.equal("WRITE of another initiator", CONFLICT, fc.write(5)?);
    ensure!(holder.clear()? == Verdict::Done, "CLEAR failed");
    settle(&[first, second, fc])
}

/// A reservation is the kernel's: it outlives the daemon, killed or stopped; with APTPL it is also in
/// a file.
fn remembered(
    report: &mut Report,
    ds1: &Backstore,
    [owner, other, stranger]: [&Initiator; 3],
) -> Result<()> {
    report.step("a reservation that is remembered");
    let kind = Type::ExclusiveAccessAllRegistrants;
    let (first, second) = (registrant(owner, KEYS[2]), registrant(other, KEYS[3]));
    for verdict in [first.register(true)?, second.register(true)?, first.reserve(kind)?] {
        ensure!(verdict == Verdict::Done, "preparing APTPL: {verdict}");
    }
    let folder = ds1.folder()?;
    let active = folder.read("pr/res_aptpl_active")?;
    report.equal("the kernel says of APTPL", "APTPL Bit Status: Activated", &*active);
    let root = fs::read_to_string("/sys/kernel/config/target/dbroot")?;
    let path = format!("{}/pr/aptpl_{}", root.trim(), ds1.serial()?);
    let file = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    report.equal("registrations in the APTPL file", 2, file.matches("PR_REG_START").count());
    let keys = [KEYS[2], KEYS[3]].map(|key| format!("sa_res_key={key}"));
    report.equal("their keys", true, keys.iter().all(|key| file.contains(key)));

    let expected = Standing { keys: vec![KEYS[2], KEYS[3]], reserved: Some(kind), holders: 2 };
    daemon::kill_and_await_successor()?;
    stands(report, "after kill -9 of the daemon", stranger, expected.clone())?;
    report.equal("a stranger's WRITE then", CONFLICT, stranger.write(0)?);
    report.equal("a registered initiator's WRITE then", Answer::Good, other.write(0x78)?);
    daemon::stop()?;
    daemon::start()?;
    stands(report, "after a restart of the daemon", stranger, expected)?;
    report.equal("a stranger's WRITE then", CONFLICT, stranger.write(0)?);
    ensure!(first.clear()? == Verdict::Done, "CLEAR failed");
    settle(&[owner, other, stranger])
}
