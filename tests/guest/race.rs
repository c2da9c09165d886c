//! Several writers incrementing one sector at once, one process per fabric, and the judgement over
//! their logs.
//!
//! COMPARE AND WRITE is atomic if the increments that were applied form one chain: every total from
//! the first to the last exactly once, and the last is what the sector holds. A MISCOMPARE is right
//! if another increment lay between the value the writer believed in and a moment while its command was
//! in flight, and its INFORMATION field names the first byte in which those two values differ.

use std::env;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::command::{Running, run};
use crate::disk::Disk;
use crate::increment::{Log, Miscompare, Success, read_tally};
use crate::report::Report;
use crate::sg::Device;
use crate::tally::{Reader, SECTOR, Tally, first_difference};

/// One race.
#[derive(Debug)]
pub struct Race {
    lba: u64,
    writers: Vec<(String, Running)>,
}

/// What a race came to.
#[derive(Debug)]
pub struct Outcome {
    /// The writers' names and logs, in order.
    pub logs: Vec<(String, Log)>,
    /// The total in the sector at the end.
    pub total: u64,
}

/// Puts an untouched tally on block `lba`.
///
/// # Errors
/// The WRITE failed.
pub fn reset(device: &Device, lba: u64) -> Result<()> {
    device.write_block(lba, Tally::ZERO.as_bytes())
}

/// The total on block `lba`, waiting out a daemon that restarts.
///
/// # Errors
/// The sector could not be read for two minutes.
pub fn total(device: &Device, lba: u64) -> Result<u64> {
    let mut log = Log::default();
    Ok(read_tally(device, lba, &mut Reader::new(), &mut log)?.total())
}

impl Race {
    /// Starts a writer process for each disk; they stop by themselves at `total` increments, or
    /// when the file `stop` appears.
    ///
    /// # Errors
    /// The sector could not be reset, or a process not be started.
    pub fn start(disks: &[Disk], lba: u64, total: u64, stop: &Path) -> Result<Self> {
        let first = disks.first().context("a race needs a disk")?.open()?;
        reset(&first, lba)?;
        let program = env::current_exe().context("finding this program")?;
        let program = program.to_str().context("this program's path is not UTF-8")?;
        let writers = disks.iter().enumerate().map(|(writer, disk)| {
            let running = run(program, ["increment"])
                .arg("--device", &disk.generic.to_string_lossy())
                .arg("--lba", &lba.to_string())
                .arg("--writer", &writer.to_string())
                .arg("--total", &total.to_string())
                .arg("--stop", &stop.to_string_lossy())
                .start()?;
            Ok((disk.transport.to_string(), running))
        });
        Ok(Self { lba, writers: writers.collect::<Result<_>>()? })
    }

    /// Waits for all writers and reads the sector through `disk`.
    ///
    /// # Errors
    /// A writer failed or took longer than `limit`.
    pub fn finish(self, disk: &Disk, limit: Duration) -> Result<Outcome> {
        let mut logs = Vec::new();
        for (name, running) in self.writers {
            let ended = running.wait(limit)?;
            ensure!(ended.code == 0, "the writer over {name} failed: {}", ended.stderr.trim());
            let log = serde_json::from_str(&ended.stdout)
                .with_context(|| format!("reading the log of the writer over {name}"))?;
            logs.push((name, log));
        }
        let block = disk.open()?.read_block(self.lba, u32::try_from(SECTOR)?)?;
        let sector = <[u8; SECTOR]>::try_from(block.as_slice())?;
        Ok(Outcome { logs, total: Reader::new().read(sector)?.total() })
    }
}

impl Outcome {
    /// All increments that were applied.
    pub fn successes(&self) -> Vec<Success> {
        let mut all: Vec<_> =
            self.logs.iter().flat_map(|(_, log)| &log.successes).copied().collect();
        all.sort_by_key(|success| success.total);
        all
    }

    /// How many increments were applied without a GOOD that said so. While nothing fails, none.
    pub fn unacknowledged(&self) -> usize {
        let all = self.logs.iter().flat_map(|(_, log)| &log.successes);
        all.filter(|success| !success.acknowledged).count()
    }

    /// Records every check and figure of the race under `name`.
    pub fn judge(&self, report: &mut Report, name: &str) {
        let chain = self.successes();
        let count = chain.len() as u64;
        report.equal(&format!("{name}: successes = final value"), count, self.total);
        report.none(&format!("{name}: totals made twice or never"), &gaps(&chain));
        let mut wrong = Vec::new();
        let mut complaints = Vec::new();
        let timeline = Timeline::new(&chain);
        report.figure(&format!("{name}.unacknowledged"), self.unacknowledged());
        for (fabric, log) in &self.logs {
            let say = |text: String| format!("{fabric}: {text}");
            complaints.extend(log.complaints.iter().cloned().map(say));
            let found =
                log.miscompares.iter().filter_map(|miscompare| timeline.objection(miscompare));
            wrong.extend(found.map(say));
            let least = format!("{name}: increments over {fabric}");
            report.at_least(&least, 1, log.successes.len());
            report.figure(&format!("{name}.{fabric}.successes"), log.successes.len());
            report.figure(&format!("{name}.{fabric}.miscompares"), log.miscompares.len());
            report.figure(&format!("{name}.{fabric}.unclear"), &log.unclear);
        }
        report.none(&format!("{name}: MISCOMPAREs unexplained or with a wrong offset"), &wrong);
        report.none(&format!("{name}: complaints of the writers"), &complaints);
    }
}

/// Totals that do not follow on the one before.
fn gaps(chain: &[Success]) -> Vec<String> {
    let totals = [0].into_iter().chain(chain.iter().map(|success| success.total));
    let pairs = totals.clone().zip(totals.skip(1));
    pairs.filter(|(a, b)| a + 1 != *b).map(|(a, b)| format!("{b} after {a}")).collect()
}

/// When each total was on the medium, as far as the writers can know.
struct Timeline {
    /// By time: from when on at least this total was there.
    reached: Vec<(u64, u64)>,
    /// By time: from when on at most this total can have been there.
    possible: Vec<(u64, u64)>,
}

impl Timeline {
    fn new(chain: &[Success]) -> Self {
        Self {
            reached: rising(chain.iter().map(|success| (success.known_ns, success.total))),
            possible: rising(chain.iter().map(|success| (success.sent_ns, success.total))),
        }
    }

    /// What is wrong with a MISCOMPARE, if anything.
    fn objection(&self, miscompare: &Miscompare) -> Option<String> {
        let Miscompare { expected, sent_ns, answered_ns, offset } = *miscompare;
        let earliest = at(&self.reached, sent_ns).max(expected + 1);
        let latest = at(&self.possible, answered_ns);
        let mut there = (earliest..=latest).filter_map(|total| first_difference(expected, total));
        let offset_found = there.clone().any(|place| Some(place as u64) == offset);
        if offset_found {
            return None;
        }
        let first = there.next();
        Some(match (first, offset) {
            (None, _) => format!("a MISCOMPARE against {expected}, which was on the medium"),
            (Some(_), None) => format!("a MISCOMPARE against {expected} without INFORMATION"),
            (Some(place), Some(offset)) => format!(
                "a MISCOMPARE against {expected} at offset {offset}; {earliest} to {latest} were \
                 there, which differ first at {place}"
            ),
        })
    }
}

/// Sorts by time and makes the totals a running maximum: what has been reached stays reached.
fn rising(points: impl Iterator<Item = (u64, u64)>) -> Vec<(u64, u64)> {
    let mut points: Vec<_> = points.collect();
    points.sort_unstable();
    let mut highest = 0;
    for (_, total) in &mut points {
        highest = highest.max(*total);
        *total = highest;
    }
    points
}

/// The total of the last point before `time_ns`; 0 before the first.
fn at(points: &[(u64, u64)], time_ns: u64) -> u64 {
    let after = points.partition_point(|(time, _)| *time < time_ns);
    after.checked_sub(1).map_or(0, |last| points[last].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Vec<Success> {
        (1..=20)
            .map(|total| Success {
                total,
                sent_ns: total * 100,
                known_ns: total * 100 + 50,
                acknowledged: true,
            })
            .collect()
    }

    fn miscompare(
        expected: u64,
        sent_ns: u64,
        answered_ns: u64,
        offset: Option<u64>,
    ) -> Miscompare {
        Miscompare { expected, sent_ns, answered_ns, offset }
    }

    #[test]
    fn a_chain_has_no_gaps() {
        let mut successes = chain();
        assert!(gaps(&successes).is_empty());
        successes[4].total = 4;
        assert_eq!(gaps(&successes), ["4 after 4", "6 after 4"]);
    }

    #[test]
    fn the_offset_must_be_of_a_value_that_was_there() {
        let timeline = Timeline::new(&chain());
        let right = first_difference(5, 7).map(|place| place as u64);
        assert_eq!(timeline.objection(&miscompare(5, 760, 790, right)), None);
        let wrong = right.map(|place| place + 1);
        assert!(timeline.objection(&miscompare(5, 760, 790, wrong)).unwrap().contains("at offset"));
        let silent = timeline.objection(&miscompare(5, 760, 790, None)).unwrap();
        assert!(silent.contains("without INFORMATION"), "{silent}");
    }

    #[test]
    fn a_miscompare_against_what_was_there_all_the_time_is_spurious() {
        let timeline = Timeline::new(&chain());
        let spurious = timeline.objection(&miscompare(7, 760, 790, Some(3))).unwrap();
        assert!(spurious.contains("which was on the medium"), "{spurious}");
    }
}
