//! fio as a load that is measured: what it is told, and what it tells.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::command::{Run, run};
use crate::disk::Disk;

/// What fio does with each of its disks.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// `randread`, `randwrite`, `read` or `write`.
    pub pattern: &'static str,
    /// Bytes of one request.
    pub block_bytes: u32,
    /// Requests in flight.
    pub depth: u32,
}

/// How much of it fio did, on all disks together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Done {
    /// Requests.
    pub requests: u64,
    /// Requests per second.
    pub iops: f64,
    /// Bytes per second.
    pub bandwidth: f64,
}

/// The first bytes of every disk, which fio leaves alone: that is where heartbeats are.
const RESERVED: u32 = 1 << 20;

/// fio doing `work` on all `disks` at once, past the page cache, for so long.
pub fn for_so_long(work: Work, disks: &[&Disk], duration: Duration) -> Run {
    let timed = ["--time_based".to_owned(), format!("--runtime={}ms", duration.as_millis())];
    run("fio", arguments(work, disks, &timed))
}

/// fio doing `work` once over each disk.
pub fn once(work: Work, disks: &[&Disk]) -> Run {
    run("fio", arguments(work, disks, &[]))
}

fn arguments(work: Work, disks: &[&Disk], more: &[String]) -> Vec<String> {
    let mut arguments = vec![
        format!("--rw={}", work.pattern),
        format!("--bs={}", work.block_bytes),
        format!("--iodepth={}", work.depth),
        "--ioengine=libaio".to_owned(),
        "--direct=1".to_owned(),
        format!("--offset={RESERVED}"),
        "--thread".to_owned(),
        "--norandommap".to_owned(),
        // Its own latencies are not looked at, and each would cost two readings of the clock.
        "--gtod_reduce=1".to_owned(),
        "--output-format=json".to_owned(),
    ];
    arguments.extend_from_slice(more);
    for disk in disks {
        // What stands before the first name is for all jobs.
        let path = disk.block.display();
        arguments.extend(["--name=work".to_owned(), format!("--filename={path}")]);
    }
    arguments
}

/// What fio printed as JSON.
///
/// # Errors
/// It printed none, or a job that failed.
pub fn done(stdout: &str) -> Result<Done> {
    let mut sum = Done { requests: 0, iops: 0.0, bandwidth: 0.0 };
    for job in jobs(stdout)? {
        ensure!(job.error == 0, "error {}", job.error);
        for direction in [job.read, job.write] {
            sum.requests += direction.total_ios;
            sum.iops += direction.iops;
            sum.bandwidth += direction.bw_bytes;
        }
    }
    Ok(sum)
}

#[derive(Deserialize)]
struct Output {
    jobs: Vec<Job>,
}

/// One job of fio's output.
#[derive(Debug, Deserialize)]
pub struct Job {
    /// 0, or an `errno`.
    pub error: i64,
    #[serde(default)]
    read: Direction,
    #[serde(default)]
    write: Direction,
}

#[derive(Debug, Default, Deserialize)]
struct Direction {
    total_ios: u64,
    iops: f64,
    bw_bytes: f64,
}

/// The jobs in fio's output, before which it may say something else; there is at least one.
///
/// # Errors
/// It printed no JSON, or ran nothing.
pub fn jobs(stdout: &str) -> Result<Vec<Job>> {
    let json = stdout.find('{').map(|start| &stdout[start..]).context("it printed no JSON")?;
    let mut values = serde_json::Deserializer::from_str(json).into_iter::<Output>();
    let output = values.next().context("it printed no JSON")??;
    ensure!(!output.jobs.is_empty(), "it ran no job");
    Ok(output.jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_summed_and_a_failed_one_is_an_error() {
        let job = |error: i64| {
            let read = r#"{"total_ios":10,"iops":5.5,"bw_bytes":22528}"#;
            format!(r#"{{"jobname":"work","error":{error},"read":{read}}}"#)
        };
        let output = |error| format!("note\n{{\"jobs\":[{},{}]}}\n", job(0), job(error));
        let expected = Done { requests: 20, iops: 11.0, bandwidth: 45_056.0 };
        assert_eq!(done(&output(0)).unwrap(), expected);
        assert!(done(&output(5)).unwrap_err().to_string().contains('5'));
        assert!(done("fio: no such option").is_err());
    }
}
