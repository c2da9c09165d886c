//! Faults that never answer, over every fabric but one, all at once: the initiator's own time-out aborts the
//! command, and a retry finds what really became of it. Nothing hangs: the scenario ends with a look for D
//! state.
//!
//! The one is FC by `tcm_fc`. It tells nobody that a command was aborted (`ft_recv_seq`), and never frees
//! one that is answered after that (`ft_queue_status`, both in `drivers/target/tcm_fc/tfc_cmd.c`, 6.1):
//! whatever the backstore, a target that has seen an abort cannot be deleted any more.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::probe::{self, BLOCK, NEW, OLD};
use super::{LBA, LUN, Path, conclude, log_objection, title};
use crate::cdb;
use crate::disk::Transport;
use crate::fault;
use crate::reply::{Answer, Reply};
use crate::report::Report;
use crate::sg::{Data, Device};
use crate::wait::wait_until;

/// How long the initiator waits before it aborts.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a ghost may take to write.
const GHOST_LIMIT: Duration = Duration::from_secs(60);

/// How far apart the blocks lie that the initiators use.
const BLOCKS_APART: usize = 100;

/// A fault, its settings, and what an initiator goes through with it.
type Row = (&'static str, &'static str, fn(&Device, u64) -> Result<Vec<String>>);

const ROWS: [Row; 3] = [
    ("drop", "lba=1000..2000 command=read", dropped),
    ("caw.status-lost", "", status_lost),
    // Longer than it takes to look at the block once the abort is answered.
    ("caw.late-apply", "delay=5s", late_apply),
];

pub(super) fn names() -> Vec<&'static str> {
    ROWS.iter().map(|(fault, ..)| *fault).collect()
}

pub(super) fn run(report: &mut Report, paths: &[Path]) -> Result<()> {
    report.step("faults that never answer");
    let paths: Vec<_> = paths.iter().filter(|it| it.disk.transport != Transport::Fc).collect();
    for (fault, settings, provoke) in ROWS {
        let each: Vec<_> = paths.iter().zip((LBA..).step_by(BLOCKS_APART)).collect();
        each.iter().try_for_each(|(path, lba)| probe::put(&path.device, *lba))?;
        let from = fault::next_hit(LUN)?;
        // The first attempts: each initiator sends its own long before another one's retry.
        fault::arm(LUN, fault, &format!("{settings} at-most={}", paths.len()))?;
        let provoked: Vec<_> = thread::scope(|scope| {
            let initiators: Vec<_> = each
                .iter()
                .map(|(path, lba)| scope.spawn(|| provoke(&path.device, *lba)))
                .collect();
            let joined = initiators.into_iter().map(|initiator| {
                initiator.join().unwrap_or_else(|_| bail!("an initiator panicked"))
            });
            joined.collect()
        });
        let logged = log_objection(fault, from, paths.len())?;
        for (path, provoked) in paths.iter().zip(provoked) {
            let objections = || {
                let mut wrong = provoked?;
                wrong.extend(logged.clone());
                let state = path.disk.state()?;
                if state != "running" {
                    wrong.push(format!("the path is {state}"));
                }
                Ok(wrong)
            };
            conclude(report, &title(fault, settings, path.disk.transport), objections())?;
        }
    }
    Ok(())
}

fn dropped(device: &Device, lba: u64) -> Result<Vec<String>> {
    let reply = in_vain(device, &cdb::read_16(lba, 1), Data::In(&mut [0; BLOCK]))?;
    let mut wrong: Vec<_> = silence_objection(reply).into_iter().collect();
    let retried = probe::look(device, lba)?;
    if retried != "old" {
        wrong.push(format!("the retry reads {retried}"));
    }
    Ok(wrong)
}

/// The classic: the first attempt is on the medium, and the retry miscompares with it.
fn status_lost(device: &Device, lba: u64) -> Result<Vec<String>> {
    let mut wrong: Vec<_> = silence_objection(compare_in_vain(device, lba)?).into_iter().collect();
    wrong.extend(retry_objection(device, lba)?);
    Ok(wrong)
}

/// A ghost: the abort was answered with nothing written, and then it is.
fn late_apply(device: &Device, lba: u64) -> Result<Vec<String>> {
    let mut wrong: Vec<_> = silence_objection(compare_in_vain(device, lba)?).into_iter().collect();
    let then = probe::look(device, lba)?;
    if then != "old" {
        wrong.push(format!("when the abort was answered the block was {then}"));
    }
    wait_until(GHOST_LIMIT, "the ghost to write", || Ok(probe::look(device, lba)? == "new"))?;
    wrong.extend(retry_objection(device, lba)?);
    Ok(wrong)
}

fn compare_in_vain(device: &Device, lba: u64) -> Result<Reply> {
    in_vain(device, &cdb::compare_and_write(lba, 1), Data::Out(&[OLD, NEW].concat()))
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
fn retry_objection(device: &Device, lba: u64) -> Result<Option<String>> {
    let reply = device.compare_and_write(lba, &OLD, &NEW)?;
    let right = (reply.answer(), reply.information()) == (Answer::MISCOMPARE, Some(0));
    Ok((!right).then(|| format!("the retry was answered {}", reply.answer())))
}
