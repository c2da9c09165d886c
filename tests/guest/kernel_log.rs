//! What the guest's kernel had to say since a scenario began.

use std::iter;

use anyhow::Result;

use crate::command::run;

/// Lines that no healthy run has: an I/O error that reached a user, a hung task, a broken kernel.
const BAD: [&str; 6] =
    ["I/O error", "blocked for more than", "WARNING:", "BUG:", "ring broken", "Medium Error"];

/// `REQ_RAHEAD` of `<linux/blk_types.h>`, kernel 6.1.
const REQ_RAHEAD: u32 = 1 << 19;

/// A place in the kernel's log.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

/// Where the log ends now.
///
/// # Errors
/// The log could not be read.
pub fn mark() -> Result<Mark> {
    Ok(Mark(lines()?.len()))
}

impl Mark {
    /// Bad lines since then.
    ///
    /// # Errors
    /// The log could not be read.
    pub fn complaints(self) -> Result<Vec<String>> {
        let lines: Vec<_> = lines()?.into_iter().skip(self.0).collect();
        let before = iter::once("").chain(lines.iter().map(String::as_str));
        let bad = lines.iter().zip(before).filter(|(line, before)| is_bad(before, line));
        Ok(bad.map(|(line, _)| line.clone()).collect())
    }
}

/// Whether `line` is bad, which follows on the line `before`.
fn is_bad(before: &str, line: &str) -> bool {
    let ours = !is_read_ahead(line) && !is_of_the_initiator(before, line);
    BAD.iter().any(|sign| line.contains(sign)) && ours
}

/// Whether the kernel warns of its iSCSI initiator: a session that is unbound waits for a queue that it
/// should not wait for, if power management still has something to do (`__iscsi_unbind_session` through
/// `pm_runtime_remove`, 6.1). What it warns of stands in the line before the one that says where.
fn is_of_the_initiator(before: &str, line: &str) -> bool {
    line.contains("check_flush_dependency") && before.contains("iscsi_ctrl_")
}

/// Whether a line tells of a read-ahead that failed. Those are sent once and never repeated; whoever
/// truly needs the data reads again, with retries.
fn is_read_ahead(line: &str) -> bool {
    let flags = line.split_once("flags 0x").map(|(_, rest)| rest.split(' ').next());
    let flags = flags.flatten().and_then(|flags| u32::from_str_radix(flags, 16).ok());
    flags.is_some_and(|flags| flags & REQ_RAHEAD != 0)
}

fn lines() -> Result<Vec<String>> {
    Ok(run("dmesg", [] as [&str; 0]).output()?.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_nobody_sees_is_none() {
        let bad = |line: &str| is_bad("", line);
        let line =
            |flags| format!("I/O error, dev sdd, sector 520 op 0x0:(READ) flags {flags} prio");
        assert!(!bad(&line("0x80700")));
        assert!(bad(&line("0x800")));
        assert!(bad("INFO: task fio:7 blocked for more than 60 seconds."));
        assert!(!bad("sd 6:0:1:0: [sda] Attached SCSI disk"));
    }

    #[test]
    fn a_warning_is_ones_own_unless_it_is_of_the_initiator() {
        let place =
            "WARNING: CPU: 1 PID: 37 at kernel/workqueue.c:2635 check_flush_dependency+0xb4";
        assert!(is_bad("workqueue: WQ_MEM_RECLAIM target_completion is flushing", place));
        assert!(!is_bad("workqueue: WQ_MEM_RECLAIM iscsi_ctrl_9:2:__iscsi_unbind_session", place));
    }
}
