//! Tasks of the guest's kernel that hang, what a process takes, and who goes before whom.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::wait::wait_until;

/// How long a task may be in uninterruptible sleep at most, once all work is done.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

/// Waits until nothing sleeps uninterruptibly, and names what still does after half a minute, and where
/// in the kernel.
///
/// # Errors
/// `/proc` could not be read.
pub fn stuck() -> Result<Vec<String>> {
    let settled =
        wait_until(SETTLE_LIMIT, "an end of D state", || Ok(uninterruptible()?.is_empty()));
    if settled.is_ok() { Ok(Vec::new()) } else { uninterruptible() }
}

fn uninterruptible() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("/proc").context("listing processes")? {
        // A process may end while it is looked at.
        let process = entry?.path();
        let Ok(stat) = fs::read_to_string(process.join("stat")) else { continue };
        if let Some((name, 'D')) = name_and_state(&stat) {
            let place = fs::read_to_string(process.join("wchan")).unwrap_or_default();
            names.push(format!("{name} in {place}"));
        }
    }
    Ok(names)
}

/// `pid (name) state …`, where the name may hold spaces and parentheses.
fn name_and_state(stat: &str) -> Option<(&str, char)> {
    let (name, state) = name_and_field(stat, 3)?;
    Some((name, state.chars().next()?))
}

/// The name, and the field of this number, from 3 on, as proc_pid_stat(5) counts them.
fn name_and_field(stat: &str, number: usize) -> Option<(&str, &str)> {
    let (name, rest) = stat.rsplit_once(')')?;
    Some((name.split_once('(')?.1, rest.split_whitespace().nth(number.checked_sub(3)?)?))
}

/// Which of the threads of process `pid` that are called `prefix` and something are scheduled as everybody, and
/// not as real-time ones; an error if there is none called so.
///
/// # Errors
/// There is no such process or thread.
pub fn like_everybody(pid: u32, prefix: &str) -> Result<Vec<String>> {
    let mut any = false;
    let mut found = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task")).context("listing threads")? {
        // A thread may end while it is looked at.
        let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) else { continue };
        let (name, policy) = name_and_policy(&stat).context("unlike proc_pid_stat(5)")?;
        if name.starts_with(prefix) {
            any = true;
            if policy == SCHED_OTHER {
                found.push(name.to_owned());
            }
        }
    }
    ensure!(any, "process {pid} has no thread that is called {prefix} and something");
    Ok(found)
}

/// sched(7).
const SCHED_OTHER: u32 = 0;

fn name_and_policy(stat: &str) -> Option<(&str, u32)> {
    let (name, policy) = name_and_field(stat, 41)?;
    Some((name, policy.parse().ok()?))
}

/// What a process takes of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Its resident memory that is its own: without mapped files, of which the record of a unit grows to its size.
    pub own_kib: u64,
    /// Its open descriptors.
    pub descriptors: usize,
}

/// What the process `pid` takes now.
///
/// # Errors
/// There is no such process.
pub fn usage(pid: u32) -> Result<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("reading the status of process {pid}"))?;
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).context("listing descriptors")?;
    Ok(Usage {
        own_kib: own_kib(&status).context("a process without memory")?,
        descriptors: descriptors.count(),
    })
}

/// `RssAnon:      4711 kB`
fn own_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_its_own_has_a_line() {
        assert_eq!(own_kib("Name:\ta\nRssAnon:\t    4711 kB\n"), Some(4711));
        assert!(usage(std::process::id()).unwrap().descriptors >= 3);
    }

    #[test]
    fn tests_are_like_everybody() {
        let name = std::thread::current().name().unwrap()[..4].to_owned();
        assert!(!like_everybody(std::process::id(), &name).unwrap().is_empty());
        assert!(like_everybody(std::process::id(), "nobody").is_err());
    }

    #[test]
    fn names_with_parentheses() {
        assert_eq!(name_and_state("7 (a (b) c) D 1 2"), Some(("a (b) c", 'D')));
        assert_eq!(name_and_state("7"), None);
    }
}
