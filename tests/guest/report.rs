//! What a scenario finds: one verdict per check, and every figure it measured.
//!
//! Progress goes to standard output as it happens; `results.json` is written once, at the end,
//! whether the scenario got there or stopped on an error. `cargo xtask vm` reads it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

/// Collects the checks and figures of one scenario.
#[derive(Debug)]
pub struct Report {
    scenario: String,
    started: Instant,
    checks: Vec<Check>,
    figures: BTreeMap<String, Value>,
}

/// One thing that was to be seen, and what was.
#[derive(Debug, Serialize)]
struct Check {
    name: String,
    passed: bool,
    expected: String,
    seen: String,
    /// Both in one sentence, for whoever prints the check.
    detail: String,
}

#[derive(Serialize)]
struct Written<'a> {
    scenario: &'a str,
    passed: usize,
    failed: usize,
    seconds: f64,
    checks: &'a [Check],
    figures: &'a BTreeMap<String, Value>,
}

impl Report {
    /// An empty report; its clock starts now.
    pub fn new(scenario: &str) -> Self {
        Self {
            scenario: scenario.to_owned(),
            started: Instant::now(),
            checks: Vec::new(),
            figures: BTreeMap::new(),
        }
    }

    /// Begins a part of what is told, for whoever watches.
    pub fn chapter(&self, title: impl Display) {
        println!("\n{title}");
    }

    /// Says what happens next.
    pub fn step(&self, text: impl Display) {
        self.say("--", text);
    }

    /// Records that `seen` was to equal `expected`.
    pub fn equal<T: PartialEq + Display>(&mut self, name: &str, expected: T, seen: T) -> bool {
        let passed = expected == seen;
        self.check(name, passed, expected, seen)
    }

    /// Records that `seen` was to be `least` or more.
    pub fn at_least<T: PartialOrd + Display>(&mut self, name: &str, least: T, seen: T) -> bool {
        let passed = seen >= least;
        self.check(name, passed, format_args!("at least {least}"), seen)
    }

    /// Records that a list of complaints was to be empty; shows the first few.
    pub fn none<T: Display>(&mut self, name: &str, complaints: &[T]) -> bool {
        const SHOWN: usize = 5;
        let first: Vec<_> = complaints.iter().take(SHOWN).map(ToString::to_string).collect();
        let seen = match complaints.len() {
            0 => "none".to_owned(),
            count => format!("{count}: {}", first.join("; ")),
        };
        self.check(name, complaints.is_empty(), "none", seen)
    }

    /// Records that something was to work.
    pub fn works<T>(&mut self, name: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.check(name, true, "works", "works");
                Some(value)
            }
            Err(error) => {
                self.check(name, false, "works", format_args!("{error:#}"));
                None
            }
        }
    }

    /// Records a check whose verdict the caller has reached.
    pub fn check(
        &mut self,
        name: &str,
        passed: bool,
        expected: impl Display,
        seen: impl Display,
    ) -> bool {
        let (expected, seen) = (expected.to_string(), seen.to_string());
        let detail = format!("expected {expected}; seen {seen}");
        if passed {
            self.say("ok", format_args!("{name}: {seen}"));
        } else {
            self.say("FAILED", format_args!("{name}: {detail}"));
        }
        self.checks.push(Check { name: name.to_owned(), passed, expected, seen, detail });
        passed
    }

    /// Keeps a measured figure.
    pub fn figure(&mut self, name: &str, value: impl Serialize) {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.figures.insert(name.to_owned(), value);
    }

    /// Whether every check so far has passed, and there was one.
    pub fn passed(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.passed)
    }

    /// Writes `results.json` in `folder` and lists the checks that failed.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let failed: Vec<_> = self.checks.iter().filter(|check| !check.passed).collect();
        let seconds = self.started.elapsed().as_secs_f64();
        println!(
            "{}: {} of {} checks passed in {seconds:.0} s",
            self.scenario,
            self.checks.len() - failed.len(),
            self.checks.len(),
        );
        for check in &failed {
            println!("  FAILED {}\n    {}", check.name, check.detail);
        }
        let written = Written {
            scenario: &self.scenario,
            passed: self.checks.len() - failed.len(),
            failed: failed.len(),
            seconds,
            checks: &self.checks,
            figures: &self.figures,
        };
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let path = folder.join("results.json");
        let json = serde_json::to_string_pretty(&written)?;
        fs::write(&path, json + "\n").with_context(|| format!("writing {}", path.display()))
    }

    fn say(&self, mark: &str, text: impl Display) {
        println!("[{:>6.1} s] {mark:<6} {text}", self.started.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_check_fails_the_scenario() {
        let mut report = Report::new("trial");
        assert!(!report.passed(), "a scenario that checked nothing has not passed");
        assert!(report.equal("two", 2, 2));
        assert!(report.passed());
        assert!(!report.none("complaints", &["a", "b"]));
        assert!(!report.passed());
    }

    #[test]
    fn the_file_holds_checks_and_figures() {
        let folder = std::env::temp_dir().join(format!("pulsefield-report-{}", std::process::id()));
        let mut report = Report::new("trial");
        report.at_least("three", 3, 4);
        report.figure("p50_us", 17);
        report.write(&folder).unwrap();
        let text = fs::read_to_string(folder.join("results.json")).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["passed"], 1);
        assert_eq!(json["checks"][0]["expected"], "at least 3");
        assert_eq!(json["figures"]["p50_us"], 17);
    }
}
