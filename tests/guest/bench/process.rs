//! What a daemon takes of the machine, as `/proc` tells it (proc(5)).

use std::collections::BTreeMap;
use std::time::Duration;
use std::{fmt, fs};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::processes::{name_and_field, status_number};

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

/// What a thread has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ran {
    /// What it is called.
    pub(super) name: String,
    /// For how long.
    pub(super) time: Duration,
    /// How often it was put on a processor.
    pub(super) times: u64,
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, time, times } = self;
        write!(f, "{name} {:.1} ms in {times} times", time.as_secs_f64() * 1e3)
    }
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
        status_number(&self.read("status")?, "Threads").context("unlike proc(5)")
    }

    /// What each of its threads has run so far, by their ids.
    ///
    /// # Errors
    /// It is gone, or the kernel does not count that (`CONFIG_SCHED_INFO`).
    pub(super) fn ran(self) -> Result<BTreeMap<u32, Ran>> {
        let mut threads = BTreeMap::new();
        let folder = format!("/proc/{}/task", self.0);
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {folder}"))? {
            let id: u32 = entry?.file_name().to_string_lossy().parse().context("a thread's id")?;
            let name = self.read(&format!("task/{id}/comm"))?.trim_end().to_owned();
            let counted = self.read(&format!("task/{id}/schedstat"))?;
            let (time, times) = schedstat(&counted).context("unlike proc(5)")?;
            threads.insert(id, Ran { name, time, times });
        }
        Ok(threads)
    }

    fn read(self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.0);
        fs::read_to_string(&path).with_context(|| format!("reading {path}"))
    }
}

/// `utime` and `stime`, fields 14 and 15.
fn ticks(stat: &str) -> Option<u64> {
    let field = |number| name_and_field(stat, number)?.1.parse::<u64>().ok();
    Some(field(14)? + field(15)?)
}

/// The first and the third number of a thread's `schedstat`.
fn schedstat(counted: &str) -> Option<(Duration, u64)> {
    let mut numbers = counted.split_whitespace().map(str::parse);
    let time = numbers.next()?.ok()?;
    Some((Duration::from_nanos(time), numbers.nth(1)?.ok()?))
}

fn memory(status: &str) -> Option<Memory> {
    Some(Memory {
        anonymous: status_number(status, "RssAnon")?,
        file: status_number(status, "RssFile")?,
        shared: status_number(status, "RssShmem")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 3 0 12 30 5 6 20 0 1 0 99";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a) S 1"), None);
        let ran = schedstat("1500 20 7\n");
        assert_eq!(ran, Some((Duration::from_nanos(1500), 7)));
        assert_eq!(schedstat("1500\n"), None);
        let status = "Name:\tx\nRssAnon:\t  10 kB\nRssFile:\t  20 kB\nRssShmem:\t 30 kB\n";
        assert_eq!(memory(status), Some(Memory { anonymous: 10, file: 20, shared: 30 }));
        assert_eq!(memory("Name:\tx\n"), None);
    }
}
