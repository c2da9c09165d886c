//! Tasks of the guest's kernel that hang, where programs wait, what a process takes, and who goes before whom.

use std::fs;
use std::path::{Path, PathBuf};
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
    let processes = processes()?;
    let hang = processes.iter().filter(|(_, stat)| matches!(name_and_state(stat), Some((_, 'D'))));
    Ok(hang.map(|(process, stat)| place(process, stat)).collect())
}

/// The folder of every process, and its stat.
fn processes() -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("listing processes")? {
        let process = entry?.path();
        // A process may end while it is looked at.
        if let Ok(stat) = fs::read_to_string(process.join("stat")) {
            found.push((process, stat));
        }
    }
    Ok(found)
}

/// Where the process `pid`, those that it has started, and theirs are: a line each, with its arguments, its state and
/// the functions of the kernel that it waits in, as far as they may be known.
///
/// # Errors
/// `/proc` could not be read.
pub fn whereabouts(pid: u32) -> Result<Vec<String>> {
    let processes = processes()?;
    let mut family = vec![pid];
    let mut told = Vec::new();
    while let Some(parent) = family.pop() {
        for (process, stat) in &processes {
            let Some((pid, of)) = pid_and_parent(stat) else { continue };
            if of == parent {
                family.push(pid);
            }
            if pid == parent {
                told.push(place(process, stat));
            }
        }
    }
    Ok(told)
}

/// `python3 /usr/bin/targetcli ls, S: futex_wait_queue < futex_wait < …`
fn place(process: &Path, stat: &str) -> String {
    let (name, state) = name_and_state(stat).unwrap_or(("?", '?'));
    let words = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
    let words = words.split_terminator('\0').collect::<Vec<_>>().join(" ");
    let stack = fs::read_to_string(process.join("stack")).unwrap_or_default();
    let frames: Vec<_> = stack.lines().filter_map(function).collect();
    let shown = if words.is_empty() { name } else { &words };
    format!("{shown}, {state}: {}", frames.join(" < "))
}

/// `[<0>] futex_wait+0x74/0x130`
fn function(frame: &str) -> Option<&str> {
    frame.split_once("] ")?.1.split(['+', ' ']).next()
}

/// `pid (name) state …`, where the name may hold spaces and parentheses.
fn name_and_state(stat: &str) -> Option<(&str, char)> {
    let (name, state) = name_and_field(stat, 3)?;
    Some((name, state.chars().next()?))
}

fn pid_and_parent(stat: &str) -> Option<(u32, u32)> {
    let (pid, _) = stat.split_once(' ')?;
    Some((pid.parse().ok()?, name_and_field(stat, 4)?.1.parse().ok()?))
}

/// The name, and the field of this number, from 3 on, as proc_pid_stat(5) counts them.
pub(crate) fn name_and_field(stat: &str, number: usize) -> Option<(&str, &str)> {
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
        own_kib: status_number(&status, "RssAnon").context("a process without memory")?,
        descriptors: descriptors.count(),
    })
}

/// The number in the line `name` of a process's status: a count, or KiB.
pub fn status_number(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use super::*;
    use crate::command::run;
    use crate::wait::wait_for;

    #[test]
    fn what_a_process_takes_is_told_by_the_kernel() {
        let status = "Name:\tRssAnon\nRssAnon:\t    4711 kB\nThreads:\t3\n";
        assert_eq!(status_number(status, "RssAnon"), Some(4711));
        assert_eq!(status_number(status, "Threads"), Some(3));
        assert_eq!(status_number(status, "Rss"), None);
        assert!(usage(std::process::id()).unwrap().descriptors >= 3);
    }

    #[test]
    fn a_program_and_what_it_started_are_found_where_they_wait() {
        let script = "sleep 77 & echo $!; wait";
        let mut shell = Command::new("sh");
        let mut shell = shell.args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut sleeper = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut sleeper).unwrap();
        // The shell tells of it before it has become another program.
        let told = wait_for(SETTLE_LIMIT, "a program in a shell", || {
            let told = whereabouts(shell.id())?;
            Ok(told.iter().any(|line| line.starts_with("sleep 77, S: ")).then_some(told))
        });
        run("sh", ["-c", &format!("kill {sleeper}")]).output().unwrap();
        shell.wait().unwrap();
        let told = told.unwrap();
        assert!(told[0].starts_with("sh -c sleep 77 & "), "{told:?}");
        assert_eq!(told.len(), 2);
    }

    #[test]
    fn a_frame_is_its_function() {
        assert_eq!(function("[<0>] futex_wait+0x74/0x130"), Some("futex_wait"));
        assert_eq!(function("nonsense"), None);
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
