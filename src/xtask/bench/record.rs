//! A run's figures: as they come from the guest, as they are kept, and beside an earlier run's.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::native::NativeFigure;
use super::seen::{Seen, number};
use crate::workshop::{output, root, target};

/// Everything a run has to say, kept as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// The checkout, as git names it; with `-dirty` if something was changed in it.
    pub(super) commit: String,
    /// When it began, in UTC.
    pub(super) began: String,
    /// The machine's processor and how many of it there are.
    pub(super) machine: String,
    /// The machine's load averages before and after the run: the guest itself makes two.
    pub(super) load: [String; 2],
    pub(super) rounds: usize,
    /// Whether each thing was measured for a second or two only.
    pub(super) quick: bool,
    pub(super) samples: Vec<Sample>,
    pub(super) native: Vec<NativeFigure>,
}

/// One figure of a workload on a subject, a value a round.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sample {
    workload: String,
    subject: String,
    figure: String,
    unit: String,
    values: Vec<f64>,
}

impl Record {
    /// Nothing measured yet.
    ///
    /// # Errors
    /// When the operating system does not say what machine this is.
    pub(super) fn new(rounds: usize, quick: bool) -> Result<Self> {
        let describe = ["describe", "--always", "--dirty"];
        let commit = output(Command::new("git").args(describe).current_dir(root()));
        Ok(Self {
            // Outside a checkout there is no commit.
            commit: commit.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned()),
            began: output(Command::new("date").args(["--utc", "+%Y-%m-%dT%H:%MZ"]))?
                .trim()
                .to_owned(),
            machine: machine()?,
            load: [load()?, String::new()],
            rounds,
            quick,
            samples: Vec::new(),
            native: Vec::new(),
        })
    }

    /// Takes over what the guest's `results.json` tells.
    ///
    /// # Errors
    /// When there is no such file, or it holds no samples.
    pub(super) fn add_guest(&mut self, results: &Path) -> Result<()> {
        #[derive(Deserialize)]
        struct Results {
            figures: Figures,
        }
        #[derive(Deserialize)]
        struct Figures {
            samples: Vec<Sample>,
        }
        let text = fs::read_to_string(results)
            .with_context(|| format!("the guest has left no {}", results.display()))?;
        let results: Results = serde_json::from_str(&text).context("results.json")?;
        self.samples = results.figures.samples;
        Ok(())
    }

    /// Notes what the machine was like at the end.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn finish(&mut self) -> Result<()> {
        self.load[1] = load()?;
        Ok(())
    }

    /// The record that an earlier run has kept.
    ///
    /// # Errors
    /// When there is none, or it is not one.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no record", path.display()))
    }

    /// Keeps it; says where.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self) -> Result<PathBuf> {
        let folder = target().join("bench");
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{}-{}.json", self.began, self.commit));
        fs::write(&path, serde_json::to_string_pretty(self)?)
            .with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// The rounds' values; none if it was not measured.
    pub(super) fn values(&self, workload: &str, subject: &str, figure: &str) -> &[f64] {
        let wanted = |sample: &&Sample| {
            (&*sample.workload, &*sample.subject, &*sample.figure) == (workload, subject, figure)
        };
        self.samples.iter().find(wanted).map_or(&[], |sample| &sample.values)
    }

    /// The value of a micro-benchmark.
    pub(super) fn native(&self, name: &str) -> Option<f64> {
        self.native.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }

    /// Every figure that both have, then and now.
    pub(super) fn beside(&self, earlier: &Self) -> String {
        let mut text =
            format!("{:48} {:>12} {:>12}  now ÷ then\n", "", earlier.commit, self.commit);
        let mut line = |name: &str, then: f64, now: f64| {
            let (ratio, then, now) = (now / then, number(then), number(now));
            writeln!(text, "{name:48} {then:>12} {now:>12}  {ratio:.2}").expect("a string grows");
        };
        for Sample { workload, subject, figure, unit, values } in &self.samples {
            let then = earlier.values(workload, subject, figure).iter().copied();
            if let (Some(now), Some(then)) = (Seen::of(values.iter().copied()), Seen::of(then)) {
                let name = format!("{workload} {subject} {figure} {unit}");
                line(&name, then.median, now.median);
            }
        }
        for NativeFigure { name, value, unit } in &self.native {
            if let Some(then) = earlier.native(name) {
                line(&format!("{name} {unit}"), then, *value);
            }
        }
        text
    }
}

fn load() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg").context("reading the load average")?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}

fn machine() -> Result<String> {
    let text = fs::read_to_string("/proc/cpuinfo").context("reading what processor this is")?;
    let models: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("model name")).collect();
    let model = models.first().map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    Ok(format!("{} × {model}", models.len()))
}

/// A record with these samples of one workload, `w`, and one figure, `f`.
#[cfg(test)]
pub(super) fn with(samples: &[(&str, &[f64])]) -> Record {
    let sample = |&(subject, values): &(&str, &[f64])| Sample {
        workload: "w".to_owned(),
        subject: subject.to_owned(),
        figure: "f".to_owned(),
        unit: "u".to_owned(),
        values: values.to_vec(),
    };
    Record {
        commit: "abc".to_owned(),
        began: "2026-01-01T00:00Z".to_owned(),
        machine: "2 × one".to_owned(),
        load: ["0.1".to_owned(), "2.0".to_owned()],
        rounds: 1,
        quick: false,
        samples: samples.iter().map(sample).collect(),
        native: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_beside_those_of_earlier() {
        let (then, now) = (with(&[("a", &[2.0]), ("gone", &[1.0])]), with(&[("a", &[3.0])]));
        let text = now.beside(&then);
        assert!(text.contains("w a f u"), "{text}");
        assert!(text.contains("1.50") && !text.contains("gone"), "{text}");
    }

    #[test]
    fn what_is_kept_can_be_read() {
        let json = serde_json::to_string(&with(&[("a", &[2.0, 4.0])])).unwrap();
        let record: Record = serde_json::from_str(&json).unwrap();
        assert_eq!(record.values("w", "a", "f"), [2.0, 4.0]);
        assert!(record.values("w", "b", "f").is_empty());
    }
}
