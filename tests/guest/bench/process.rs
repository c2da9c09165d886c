//! What a daemon takes of the machine, as `/proc` tells it (proc(5)).

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

/// `USER_HZ`: 100 on every architecture that has LIO.
const TICKS_PER_SECOND: u64 = 100;

/// A running process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process(pub(super) u32);

/// Resident memory in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Memory {
    /// Heap and stacks.
    pub(super) anonymous: u64,
    /// The program, its libraries, and pages of UIO devices: rings and data areas as far as touched.
    pub(super) file: u64,
    /// What lies in memory files.
    pub(super) shared: u64,
}

impl Process {
    /// Processor time of all its threads so far, those that have ended included.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn processor_time(self) -> Result<Duration> {
        let stat = self.read("stat")?;
        ticks(&stat)
            .map(|ticks| Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
            .with_context(|| format!("unlike proc(5): {stat}"))
    }

    /// What it has in memory.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn memory(self) -> Result<Memory> {
        let status = self.read("status")?;
        memory(&status).with_context(|| format!("unlike proc(5): {status}"))
    }

    /// How many threads it has.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn threads(self) -> Result<u64> {
        field(&self.read("status")?, "Threads:").context("unlike proc(5)")
    }

    fn read(self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.0);
        fs::read_to_string(&path).with_context(|| format!("reading {path}"))
    }
}

/// `utime` and `stime`, fields 14 and 15; the name before them may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let mut rest = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || rest.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

fn memory(status: &str) -> Option<Memory> {
    Some(Memory {
        anonymous: field(status, "RssAnon:")?,
        file: field(status, "RssFile:")?,
        shared: field(status, "RssShmem:")?,
    })
}

fn field(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 3 0 12 30 5 6 20 0 1 0 99";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a) S 1"), None);
        let status =
            "Name:\tx\nRssAnon:\t  10 kB\nRssFile:\t  20 kB\nRssShmem:\t 30 kB\nThreads:\t4\n";
        assert_eq!(memory(status), Some(Memory { anonymous: 10, file: 20, shared: 30 }));
        assert_eq!(field(status, "Threads:"), Some(4));
        assert_eq!(memory("Name:\tx\n"), None);
    }
}
