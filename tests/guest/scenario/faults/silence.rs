//! Faults that never answer, over every fabric: the initiator's own time-out aborts the command, and a
//! retry finds what really became of it. Nothing hangs: the scenario ends with a look for D state.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::probe::{self, BLOCK, NEW, OLD};
use super::{LBA, LUN, Path, conclude, log_objection, title};
use crate::cdb;
use crate::fault;
use crate::reply::{Answer, Reply};
use crate::report::Report;
use crate::sg::{Data, Device};
use crate::wait::wait_until;

/// How long the initiator waits before it aborts.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a ghost may take to write.
const GHOST_LIMIT: Duration = Duration::from_secs(60);

/// A fault, its settings, and what an initiator goes through with it.
type Row = (&'static str, &'static str, fn(&Device) -> Result<Vec<String>>);

const ROWS: [Row; 3] = [
    ("drop", "lba=1000 command=read at-most=1", dropped),
    ("caw.status-lost", "at-most=1", status_lost),
    // Longer than it takes to look at the block once the abort is answered.
    ("caw.late-apply", "delay=10s at-most=1", late_apply),
];

pub(super) fn names() -> Vec<&'static str> {
    ROWS.iter().map(|(fault, ..)| *fault).collect()
}

pub(super) fn run(report: &mut Report, paths: &[Path]) -> Result<()> {
    report.step("faults that never answer");
    for (fault, settings, provoke) in ROWS {
        for path in paths {
            let objections = || {
                probe::put(&path.device, LBA)?;
                let from = fault::next_hit(LUN)?;
                fault::arm(LUN, fault, settings)?;
                let mut wrong = provoke(&path.device)?;
                wrong.extend(log_objection(fault, from, 1)?);
                let state = path.disk.state()?;
                if state != "running" {
                    wrong.push(format!("the path is {state}"));
                }
                Ok(wrong)
            };
            let name = title(fault, settings, path.disk.transport);
            conclude(report, &name, objections())?;
        }
    }
    Ok(())
}

fn dropped(device: &Device) -> Result<Vec<String>> {
    let reply = in_vain(device, &cdb::read_16(LBA, 1), Data::In(&mut [0; BLOCK]))?;
    let mut wrong: Vec<_> = silence_objection(reply).into_iter().collect();
    let retried = probe::look(device, LBA)?;
    if retried != "old" {
        wrong.push(format!("the retry reads {retried}"));
    }
    Ok(wrong)
}

/// The classic: the first attempt is on the medium, and the retry miscompares with it.
fn status_lost(device: &Device) -> Result<Vec<String>> {
    let mut wrong: Vec<_> = silence_objection(compare_in_vain(device)?).into_iter().collect();
    wrong.extend(retry_objection(device)?);
    Ok(wrong)
}

/// A ghost: the abort was answered with nothing written, and then it is.
fn late_apply(device: &Device) -> Result<Vec<String>> {
    let mut wrong: Vec<_> = silence_objection(compare_in_vain(device)?).into_iter().collect();
    let then = probe::look(device, LBA)?;
    if then != "old" {
        wrong.push(format!("when the abort was answered the block was {then}"));
    }
    wait_until(GHOST_LIMIT, "the ghost to write", || Ok(probe::look(device, LBA)? == "new"))?;
    wrong.extend(retry_objection(device)?);
    Ok(wrong)
}

fn compare_in_vain(device: &Device) -> Result<Reply> {
    in_vain(device, &cdb::compare_and_write(LBA, 1), Data::Out(&[OLD, NEW].concat()))
}

/// Sends a command that is not answered in time.
fn in_vain(device: &Device, cdb: &[u8], data: Data<'_>) -> Result<Reply> {
    let sent = Instant::now();
    let reply = device.execute(cdb, data, PATIENCE)?;
    let took = sent.elapsed();
    ensure!(took >= PATIENCE, "{} after {took:?} already", reply.answer());
    Ok(reply)
}

fn silence_objection(reply: Reply) -> Option<String> {
    let answer = reply.answer();
    (!matches!(answer, Answer::Host(_))).then(|| format!("answered {answer}"))
}

/// What is wrong with a retry, which must miscompare with the first attempt.
fn retry_objection(device: &Device) -> Result<Option<String>> {
    let reply = device.compare_and_write(LBA, &OLD, &NEW)?;
    let right = (reply.answer(), reply.information()) == (Answer::MISCOMPARE, Some(0));
    Ok((!right).then(|| format!("the retry was answered {}", reply.answer())))
}
