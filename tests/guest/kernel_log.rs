//! What the guest's kernel had to say since a scenario began.

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
        Ok(lines()?.into_iter().skip(self.0).filter(|line| is_bad(line)).collect())
    }
}

fn is_bad(line: &str) -> bool {
    BAD.iter().any(|sign| line.contains(sign)) && !is_read_ahead(line)
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
        let line =
            |flags| format!("I/O error, dev sdd, sector 520 op 0x0:(READ) flags {flags} prio");
        assert!(!is_bad(&line("0x80700")));
        assert!(is_bad(&line("0x800")));
        assert!(is_bad("INFO: task fio:7 blocked for more than 60 seconds."));
        assert!(!is_bad("sd 6:0:1:0: [sda] Attached SCSI disk"));
    }
}
