//! libiscsi's test suite: what it printed, test by test, against what is expected of each.
//!
//! The suite's own summary counts a test that skipped everything as passed. Here a test is clean only
//! if it passed and skipped nothing, and every test that is not clean needs a reason in
//! `expected.toml`.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

/// How one test went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Passed, and skipped nothing.
    Clean,
    /// Passed, but skipped a part or all of it.
    Skips,
    /// Failed.
    Failed,
}

/// Tests by name, `Suite.Test`.
#[derive(Debug, Default, Serialize)]
pub struct Outcomes(BTreeMap<String, Outcome>);

impl Outcomes {
    /// Reads what `iscsi-test-cu -V` printed.
    ///
    /// # Errors
    /// A test without a verdict, or a count that is not the suite's own.
    pub fn parse(output: &str) -> Result<Self> {
        let mut outcomes = BTreeMap::new();
        let mut suite = "";
        let mut running: Option<(String, bool)> = None;
        for line in output.lines() {
            if let Some(name) = line.strip_prefix("Suite: ") {
                suite = name.trim();
            } else if let Some(test) = line.strip_prefix("  Test: ") {
                // What the test prints first may stand on the same line.
                let (test, rest) = test.split_once(" ...").context("a test without a name")?;
                let name = format!("{suite}.{test}");
                if let Some((name, _)) = running.replace((name, rest.contains(SKIPPED))) {
                    bail!("{name} ended without a verdict");
                }
                // And a test that prints nothing has its verdict there.
                conclude(&mut running, rest, &mut outcomes);
            } else {
                if let Some((_, skipped)) = &mut running {
                    *skipped |= line.contains(SKIPPED);
                }
                conclude(&mut running, line, &mut outcomes);
            }
        }
        if let Some((name, _)) = running {
            bail!("{name} ended without a verdict");
        }
        let (total, failed) = summary(output).context("the suite printed no summary")?;
        let counted = outcomes.values().filter(|outcome| **outcome == Outcome::Failed).count();
        ensure!(
            (total, failed) == (outcomes.len(), counted),
            "the suite counts {total} tests and {failed} failed; its output holds {} and {counted}",
            outcomes.len()
        );
        Ok(Self(outcomes))
    }

    /// Joins what the same tests came to on another logical unit. A failure anywhere is a failure; else
    /// a test that was clean anywhere is clean.
    pub fn join(&mut self, other: Self) {
        for (name, outcome) in other.0 {
            let joined = self.0.entry(name).or_insert(outcome);
            *joined = match (*joined, outcome) {
                (Outcome::Failed, _) | (_, Outcome::Failed) => Outcome::Failed,
                (Outcome::Clean, _) | (_, Outcome::Clean) => Outcome::Clean,
                (Outcome::Skips, Outcome::Skips) => Outcome::Skips,
            };
        }
    }

    /// How many tests there are.
    pub fn total(&self) -> usize {
        self.0.len()
    }

    /// How many tests ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.0.values().filter(|found| **found == outcome).count()
    }

    /// Tests of suites whose names begin so, and that are not clean.
    pub fn not_clean(&self, suites: &str) -> Vec<String> {
        let wanted = self.0.iter().filter(|(name, _)| name.starts_with(suites));
        let found = wanted.filter(|(_, outcome)| **outcome != Outcome::Clean);
        found.map(|(name, outcome)| format!("{name}: {outcome}")).collect()
    }

    /// Every test that did not go as expected, in either direction.
    pub fn unexpected(&self, expected: &Expected) -> Vec<String> {
        let mut found: Vec<_> = self
            .0
            .iter()
            .filter_map(|(name, outcome)| {
                let wanted = expected.of(name);
                let right = wanted.allows(*outcome);
                (!right).then(|| format!("{name}: expected {wanted}, seen {outcome}"))
            })
            .collect();
        let named = expected.exception.iter().flat_map(|exception| &exception.tests);
        let missing = named.filter(|name| !self.0.contains_key(*name));
        found.extend(missing.map(|name| format!("{name}: expected, but not run")));
        found
    }
}

const SKIPPED: &str = "[SKIPPED]";

/// Notes the verdict if `line` has one. After the last test of a suite, what the suite does to tidy up
/// follows on the same line.
fn conclude(
    running: &mut Option<(String, bool)>,
    line: &str,
    outcomes: &mut BTreeMap<String, Outcome>,
) {
    let failed = line.starts_with("FAILED");
    if !failed && !line.starts_with("passed") {
        return;
    }
    if let Some((name, skipped)) = running.take() {
        let outcome = match (failed, skipped) {
            (true, _) => Outcome::Failed,
            (false, true) => Outcome::Skips,
            (false, false) => Outcome::Clean,
        };
        outcomes.insert(name, outcome);
    }
}

/// Tests run and tests failed: `tests    230    230    215     15        0`.
fn summary(output: &str) -> Option<(usize, usize)> {
    let line = output.lines().rev().find(|line| line.trim_start().starts_with("tests "))?;
    let mut numbers = line.split_whitespace().skip(1).map(str::parse);
    let (ran, failed) = (numbers.nth(1)?.ok()?, numbers.nth(1)?.ok()?);
    Some((ran, failed))
}

/// How a test may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expectation {
    /// As every test that is named nowhere.
    Clean,
    Skips,
    Failed,
    /// It fails or is clean, as a race decides in which no backstore takes part, or the machine's speed.
    Raced,
}

impl Expectation {
    fn allows(self, outcome: Outcome) -> bool {
        match self {
            Self::Clean => outcome == Outcome::Clean,
            Self::Skips => outcome == Outcome::Skips,
            Self::Failed => outcome == Outcome::Failed,
            Self::Raced => outcome != Outcome::Skips,
        }
    }
}

/// The tests that are not expected to be clean, from `expected.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    exception: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    outcome: Expectation,
    reason: String,
    tests: Vec<String>,
}

impl Expected {
    /// Reads the list.
    ///
    /// # Errors
    /// It is not TOML of that form, an exception has no reason, or a test is named twice.
    pub fn parse(text: &str) -> Result<Self> {
        let expected: Self = toml::from_str(text).context("expected.toml")?;
        let mut names = BTreeMap::new();
        for exception in &expected.exception {
            ensure!(!exception.reason.trim().is_empty(), "an exception without a reason");
            for name in &exception.tests {
                let twice = names.insert(name, &exception.reason).is_some();
                ensure!(!twice, "expected.toml names {name} twice");
            }
        }
        Ok(expected)
    }

    fn of(&self, name: &str) -> Expectation {
        let named = |exception: &&Exception| exception.tests.iter().any(|test| test == name);
        self.exception.iter().find(named).map_or(Expectation::Clean, |exception| exception.outcome)
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Clean => "clean",
            Self::Skips => "skips",
            Self::Failed => "failed",
            Self::Raced => "failed or clean",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Clean => "clean",
            Self::Skips => "skips",
            Self::Failed => "failed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
Suite: CompareAndWrite
  Test: Simple ...
    Test COMPARE_AND_WRITE
passed
  Test: InvalidDataOutSize ...    [SKIPPED] Logical unit is fully provisioned.
passed    Send PRIN/READ_KEYS

Suite: Reserve6
  Test: Logout ...
    [FAILED] RESERVE6
FAILED
    1. test_reserve6_logout.c:70  - CU_ASSERT_EQUAL(_r,0)

Run Summary:    Type  Total    Ran Passed Failed Inactive
              suites      2      2    n/a      0        0
               tests      3      3      2      1        0
             asserts      9      9      8      1      n/a
";

    fn expected(outcome: &str, tests: &str) -> String {
        format!("[[exception]]\noutcome = \"{outcome}\"\nreason = \"why\"\ntests = [{tests}]\n")
    }

    #[test]
    fn output_is_taken_apart() {
        let outcomes = Outcomes::parse(OUTPUT).unwrap();
        let all: Vec<_> = outcomes.0.iter().map(|(name, outcome)| (&**name, *outcome)).collect();
        assert_eq!(
            all,
            [
                ("CompareAndWrite.InvalidDataOutSize", Outcome::Skips),
                ("CompareAndWrite.Simple", Outcome::Clean),
                ("Reserve6.Logout", Outcome::Failed),
            ]
        );
        assert_eq!(outcomes.not_clean("Compare"), ["CompareAndWrite.InvalidDataOutSize: skips"]);
    }

    #[test]
    fn a_test_that_never_ended_is_an_error() {
        let cut = OUTPUT.split_once("FAILED\n").unwrap().0;
        assert!(Outcomes::parse(cut).unwrap_err().to_string().contains("without a verdict"));
        let miscounted = OUTPUT.replace("2      1        0", "3      0        0");
        assert!(Outcomes::parse(&miscounted).unwrap_err().to_string().contains("counts"));
    }

    #[test]
    fn both_directions_are_unexpected() {
        let outcomes = Outcomes::parse(OUTPUT).unwrap();
        let skips = expected("skips", "\"CompareAndWrite.InvalidDataOutSize\"");
        let right = skips.clone() + &expected("failed", "\"Reserve6.Logout\"");
        assert!(outcomes.unexpected(&Expected::parse(&right).unwrap()).is_empty());
        let hopeful = Expected::parse(&skips).unwrap();
        let found = outcomes.unexpected(&hopeful);
        assert_eq!(found, ["Reserve6.Logout: expected clean, seen failed"]);
        let gloomy = right + &expected("failed", "\"CompareAndWrite.Simple\", \"Gone.Test\"");
        assert_eq!(
            outcomes.unexpected(&Expected::parse(&gloomy).unwrap()),
            [
                "CompareAndWrite.Simple: expected failed, seen clean",
                "Gone.Test: expected, but not run"
            ]
        );
    }

    #[test]
    fn a_test_is_clean_if_it_is_so_on_one_unit_and_fails_on_none() {
        let mut outcomes = Outcomes::parse(OUTPUT).unwrap();
        let other = BTreeMap::from([
            ("CompareAndWrite.InvalidDataOutSize".to_owned(), Outcome::Clean),
            ("CompareAndWrite.Simple".to_owned(), Outcome::Failed),
            ("Reserve6.Logout".to_owned(), Outcome::Clean),
            ("ReadOnly.ReadOnlySBC".to_owned(), Outcome::Skips),
        ]);
        outcomes.join(Outcomes(other));
        let joined: Vec<_> = outcomes.0.values().copied().collect();
        use Outcome::{Clean, Failed, Skips};
        assert_eq!(joined, [Clean, Failed, Skips, Failed]);
    }

    #[test]
    fn a_race_may_end_either_way_but_not_be_skipped() {
        let outcomes = Outcomes::parse(OUTPUT).unwrap();
        let names = "\"CompareAndWrite.Simple\", \"Reserve6.Logout\"";
        let raced =
            expected("raced", names) + &expected("skips", "\"CompareAndWrite.InvalidDataOutSize\"");
        assert!(outcomes.unexpected(&Expected::parse(&raced).unwrap()).is_empty());
        let names = names.to_owned() + ", \"CompareAndWrite.InvalidDataOutSize\"";
        assert_eq!(
            outcomes.unexpected(&Expected::parse(&expected("raced", &names)).unwrap()),
            ["CompareAndWrite.InvalidDataOutSize: expected failed or clean, seen skips"]
        );
    }

    #[test]
    fn each_exception_has_a_reason_and_one_place() {
        let silent = expected("failed", "\"A.B\"").replace("why", " ");
        assert!(Expected::parse(&silent).unwrap_err().to_string().contains("reason"));
        let twice = expected("failed", "\"A.B\"") + &expected("skips", "\"A.B\"");
        assert!(Expected::parse(&twice).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn the_list_that_ships_is_sound() {
        Expected::parse(include_str!("expected.toml")).unwrap();
    }
}
