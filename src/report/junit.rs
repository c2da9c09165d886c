//! A run as JUnit XML, which build servers show: a test case for each promise, and for each rule of a plan.

use std::fmt::Write as _;

use crate::markup::Escaped;
use crate::run::{Breach, Emulation, End, Expectation, Promise, Run, Standing};
use crate::words::{iso_date, when};

/// Writes it. With a plan of faults, what a promise's case says is whether it held or the plan declares that it
/// is broken: only then is the run as a whole as it should be.
pub fn write(run: &Run) -> String {
    let mut cases: Vec<Case> = run.promises.iter().map(|it| Case::promise(run, it)).collect();
    cases.extend(run.expectations.iter().map(Case::expectation));
    cases.push(Case::run(run));
    let count =
        |wanted: fn(&Outcome) -> bool| cases.iter().filter(|it| wanted(&it.outcome)).count();
    let failures = count(|outcome| matches!(outcome, Outcome::Failed { .. }));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped { .. }));
    let totals = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{}.{:03}\"",
        cases.len(),
        run.lasted_ms / 1000,
        run.lasted_ms % 1000
    );
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {totals}>\n\
         <testsuite name=\"pulsefield soak: {}\" timestamp=\"{}\" {totals}>\n",
        Escaped(&of(run)),
        iso_date(run.setup.began_unix_ms)
    );
    let properties = [
        ("version", run.setup.version.clone()),
        ("seed", run.setup.seed.to_string()),
        ("command", run.setup.command.clone()),
    ];
    xml += "<properties>\n";
    for (name, value) in &properties {
        // A string grows.
        let _ = writeln!(xml, "<property name=\"{name}\" value=\"{}\"/>", Escaped(value));
    }
    xml += "</properties>\n";
    cases.iter().for_each(|case| case.write(&mut xml));
    xml += "</testsuite>\n</testsuites>\n";
    xml
}

/// What was run: the mix, or units that others used.
fn of(run: &Run) -> String {
    match run.setup.emulation {
        Emulation::Watched => {
            let units: Vec<_> = run.setup.units.iter().map(|unit| unit.name.as_str()).collect();
            format!("watching {}", units.join(", "))
        }
        Emulation::Devices | Emulation::Embedded | Emulation::Virtual => run.setup.mix.clone(),
    }
}

struct Case {
    class: &'static str,
    name: String,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    /// There was nothing to look at, or nobody could.
    Skipped {
        /// If there is more to say.
        why: Option<String>,
    },
    Failed {
        /// In a line.
        message: String,
        text: String,
    },
}

impl Case {
    fn promise(run: &Run, promise: &Promise) -> Self {
        let Promise { name, says, standing, note, breaches, breaches_total, .. } = promise;
        let outcome = match standing {
            Standing::Held => Outcome::Passed,
            Standing::Broken if run.judgement.passed => Outcome::Passed,
            Standing::Broken => Outcome::Failed {
                message: format!("broken {breaches_total} times: {says}"),
                text: breaches.iter().map(line).collect(),
            },
            Standing::Unchecked => Outcome::Skipped { why: note.clone() },
        };
        Self { class: "pulsefield.soak.promise", name: name.clone(), outcome }
    }

    fn expectation(expectation: &Expectation) -> Self {
        let Expectation { rule, fault, expected, seen, met } = expectation;
        let outcome = match met {
            true => Outcome::Passed,
            false => Outcome::Failed {
                message: format!("expected: {expected}; seen: {seen}"),
                text: format!("fault {fault}\n"),
            },
        };
        Self { class: "pulsefield.soak.rule", name: rule.clone(), outcome }
    }

    /// The run as a whole: there are reasons to fail that belong to no promise.
    fn run(run: &Run) -> Self {
        let end = match &run.end {
            End::Planned => String::new(),
            End::Interrupted => "interrupted before its time was over\n".to_owned(),
            End::Broken { why } => format!("ended before its time was over: {why}\n"),
        };
        let outcome = match run.judgement.passed {
            true => Outcome::Passed,
            false => Outcome::Failed { message: run.judgement.reasons.join(" "), text: end },
        };
        Self { class: "pulsefield.soak", name: "run".to_owned(), outcome }
    }

    fn write(&self, xml: &mut String) {
        let Self { class, name, outcome } = self;
        let _ = write!(xml, "<testcase classname=\"{class}\" name=\"{}\"", Escaped(name));
        *xml += &match outcome {
            Outcome::Passed => "/>\n".to_owned(),
            Outcome::Skipped { why: None } => "><skipped/></testcase>\n".to_owned(),
            Outcome::Skipped { why: Some(why) } => {
                format!("><skipped message=\"{}\"/></testcase>\n", Escaped(why))
            }
            Outcome::Failed { message, text } => format!(
                "><failure message=\"{}\">{}</failure></testcase>\n",
                Escaped(message),
                Escaped(text)
            ),
        };
    }
}

fn line(breach: &Breach) -> String {
    format!("{} {}: {}\n", when(breach.at_ms), breach.hosts.join(", "), breach.what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn failures(xml: &str) -> Vec<&str> {
        let failed = xml.lines().filter(|line| line.contains("<failure"));
        failed.filter_map(|line| line.split('"').nth(3)).collect()
    }

    #[test]
    fn every_promise_is_a_case() {
        let xml = write(&testing::with_faults());
        assert_eq!(xml.matches("<testcase").count(), 9 + 2 + 1);
        assert_eq!(xml.matches("<skipped/>").count(), 1);
        assert!(
            xml.contains("tests=\"12\" failures=\"0\" errors=\"0\" skipped=\"1\" time=\"600.000\"")
        );
        assert!(xml.contains("timestamp=\"2026-07-14T03:30:00\""));
        assert_eq!(failures(&xml), [""; 0]);
    }

    #[test]
    fn a_run_that_watched_names_units_and_says_why_something_is_skipped() {
        let mut run = testing::with_faults();
        run.setup.emulation = Emulation::Watched;
        let promise = run.promises.iter_mut().find(|it| it.name == "no-early-takeover").unwrap();
        promise.note = Some("nobody looked".to_owned());
        let xml = write(&run);
        assert!(xml.contains("><skipped message=\"nobody looked\"/></testcase>"), "{xml}");
        assert!(xml.contains("name=\"pulsefield soak: watching "), "{xml}");
    }

    #[test]
    fn what_is_broken_fails() {
        let xml = write(&testing::failed());
        let names = ["lock-exclusion", "heartbeat-deadline", "slow-heartbeats", "run"];
        assert_eq!(failures(&xml), names);
        assert!(xml.contains("the heartbeat sent at 241.1 s was aborted"));
    }

    #[test]
    fn whatever_a_name_is_it_stays_one() {
        let mut run = testing::failed();
        run.setup.mix = "\"/><boom>&\u{0}".to_owned();
        run.promises[0].name = "<![CDATA[".to_owned();
        run.promises[0].breaches[..].iter_mut().for_each(|it| it.what = "]]></failure>".to_owned());
        let xml = write(&run);
        assert!(xml.contains("soak: &quot;/&gt;&lt;boom&gt;&amp;\u{fffd}\""));
        assert!(xml.contains("name=\"&lt;![CDATA[\""));
        assert!(!xml.contains("]]>"));
    }
}
